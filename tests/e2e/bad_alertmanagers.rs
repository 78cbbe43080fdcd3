//! Alertmanagers that misbehave, all at once, beside one that does not.

use crate::harness::*;

const RULES: &str = "groups: [{name: g, rules: [{alert: Loaded, expr: load > 1}]}]";
const NUMBERS: [&str; 5] = ["1", "2", "3", "4", "5"];
const RETRY_AFTER_SECONDS: u64 = 3;

fn number(number: &str) -> Labels {
    labels([("alertname", "Loaded"), ("n", number)])
}

async fn has_all(alertmanager: &AlertmanagerStub, numbers: &[&str], limit: std::time::Duration) {
    for n in numbers {
        eventually("the alert is accepted", limit, async || alertmanager.firing(&number(n))).await;
    }
}

async fn undelivered(bellwether: &Bellwether, alertmanager: &AlertmanagerStub) -> f64 {
    let metric = bellwether.metric("bellwether_notifications_undelivered", &[&alertmanager.address]).await;
    metric.expect("the metric is there")
}

#[tokio::test(flavor = "multi_thread")]
async fn each_alertmanager_ends_up_with_what_it_takes_and_none_harms_another() {
    let source = PrometheusStub::start().await;
    for n in NUMBERS {
        source.set("load > 1", [("n", n)], 2.0);
    }
    let healthy = AlertmanagerStub::start(Behaviour::Accept).await;
    let slow = AlertmanagerStub::start(Behaviour::AcceptAfter(millis(700))).await;
    let failing = AlertmanagerStub::start(Behaviour::Answer(500)).await;
    let busy = AlertmanagerStub::start(Behaviour::RetryAfter(RETRY_AFTER_SECONDS)).await;
    let picky = AlertmanagerStub::start(Behaviour::Refuse("n", "3")).await;
    let small = AlertmanagerStub::start(Behaviour::AtMost(2)).await;
    let mute = AlertmanagerStub::start(Behaviour::Never).await;
    let closed = AlertmanagerStub::start(Behaviour::Answer(401)).await;
    let moved = AlertmanagerStub::start(Behaviour::Redirect(format!("http://{}/elsewhere", healthy.address))).await;
    let all = [&healthy, &slow, &failing, &busy, &picky, &small, &mute, &closed, &moved];
    let config = Config::new(source.url(), &all.map(|stub| stub.address.as_str()));
    let bellwether = Bellwether::with(&config, RULES).resend_delay("2s").start().await;

    has_all(&healthy, &NUMBERS, secs(6)).await;
    has_all(&slow, &NUMBERS, secs(6)).await;
    has_all(&small, &NUMBERS, secs(6)).await;
    has_all(&picky, &["1", "2", "4", "5"], secs(6)).await;
    eventually("it is asked to come back later", secs(5), async || first_answer(&busy)).await;
    busy.behave(Behaviour::Accept);
    has_all(&busy, &NUMBERS, secs(10)).await;
    check_retry_after(&busy);
    check_failing(&bellwether, &failing).await;
    check_refused(&bellwether, &picky).await;
    for away in [&mute, &closed, &moved] {
        assert!(away.known().is_empty(), "{:?}", away.known());
        assert_eq!(undelivered(&bellwether, away).await, 5.0, "all five are kept for {}", away.address);
    }
    let tries = closed.requests().len() + moved.requests().len();
    assert!((2..=6).contains(&tries), "who needs a person is tried slowly: {tries} requests");
    for away in [&failing, &mute, &closed, &moved] {
        assert!(bellwether.log().contains(&away.address), "the log says that {} takes nothing", away.address);
    }

    source.remove("load > 1", [("n", "1")]);
    for alertmanager in [&healthy, &slow, &failing, &busy, &picky, &small] {
        eventually("the end arrives", secs(6), async || alertmanager.resolved(&number("1"))).await;
    }
    mute.behave(Behaviour::Accept);
    has_all(&mute, &["2", "3", "4", "5"], secs(15)).await;
    assert!(mute.firing(&number("1")).is_err(), "what ended meanwhile does not begin");
    check_never_ran_out(&healthy);
}

fn first_answer(alertmanager: &AlertmanagerStub) -> Result<(), String> {
    let requests = alertmanager.requests();
    match requests.first().and_then(|request| request.status) {
        Some(_) => Ok(()),
        None => Err(format!("{} requests", requests.len())),
    }
}

fn check_retry_after(busy: &AlertmanagerStub) {
    let at: Vec<i64> = busy.requests().iter().map(|request| request.at_ms).collect();
    let pause_ms = at[1] - at[0];
    // The client's clock begins when the answer has arrived, so less is never right; much more would be another reason.
    assert!(pause_ms >= RETRY_AFTER_SECONDS as i64 * 1000 - 50 && pause_ms < 8000, "{pause_ms} ms");
}

async fn check_failing(bellwether: &Bellwether, failing: &AlertmanagerStub) {
    let requests = failing.requests().len();
    assert!((3..30).contains(&requests), "retried, with growing pauses: {requests} requests");
    assert_eq!(undelivered(bellwether, failing).await, 5.0);
    let errors = bellwether.metric("prometheus_notifications_errors_total", &[&failing.address]).await;
    // Three tries at least: of five alerts, then of two, then of one, since what fails is tried in smaller batches.
    assert!(errors.as_ref().is_ok_and(|errors| *errors >= 8.0), "{errors:?}");
    failing.behave(Behaviour::Accept);
    has_all(failing, &NUMBERS, secs(15)).await;
}

async fn check_refused(bellwether: &Bellwether, picky: &AlertmanagerStub) {
    let rejected = bellwether.metric("bellwether_notifications_rejected_total", &[&picky.address]).await;
    assert!(rejected.as_ref().is_ok_and(|rejected| *rejected >= 1.0), "{rejected:?}");
    let log = bellwether.log();
    let told = log.lines().any(|line| line.contains("refused") && line.contains("Loaded") && line.contains('3'));
    assert!(told, "the log names the alert that was refused");
    let asked =
        picky.requests().iter().filter(|request| request.alerts.iter().any(|alert| alert.labels["n"] == "3")).count();
    assert!(asked < 12, "a refused alert is not tried over and over: {asked} times");
}

/// Each firing alert is sent again before the Alertmanager would end it by itself.
fn check_never_ran_out(healthy: &AlertmanagerStub) {
    for n in NUMBERS {
        for pair in healthy.accepted(&number(n)).windows(2) {
            assert!(pair[1].at_ms < pair[0].ends_ms || pair[0].is_resolve(), "{pair:?}");
            assert_eq!(pair[0].starts_ms, pair[1].starts_ms, "it began once");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_alerts_go_out_in_batches_and_all_of_them_end() {
    const COUNT: usize = 2000;
    let (source, alertmanager) = tokio::join!(PrometheusStub::start(), AlertmanagerStub::start(Behaviour::Accept));
    let numbers: Vec<String> = (0..COUNT).map(|number| number.to_string()).collect();
    for n in &numbers {
        source.set("load > 1", [("n", n)], 2.0);
    }
    let config = Config::new(source.url(), &[&alertmanager.address]);
    let bellwether = Bellwether::with(&config, RULES).resend_delay("20s").start().await;
    let ended = |posted: &alertmanager_stub::Posted| posted.is_resolve();
    let known = async |ends: bool| {
        let known = alertmanager.known();
        let count = known.values().filter(|posted| ended(posted) == ends).count();
        if count == COUNT { Ok(()) } else { Err(format!("{count} of {COUNT}")) }
    };
    eventually("all fire", secs(20), async || known(false).await).await;
    for n in &numbers {
        source.remove("load > 1", [("n", n)]);
    }
    eventually("all have ended", secs(20), async || known(true).await).await;
    let sizes: Vec<usize> = alertmanager.requests().iter().map(|request| request.alerts.len()).collect();
    assert!(sizes.iter().all(|size| *size <= 256), "{sizes:?}");
    let sent = bellwether.metric("prometheus_notifications_sent_total", &[]).await.expect("a metric");
    assert!(sent >= 2.0 * COUNT as f64, "{sent}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_have_arrived_is_ended_and_what_nobody_heard_of_is_not_begun() {
    let source = PrometheusStub::start().await;
    source.set("load > 1", [("n", "1")], 2.0);
    let (silent, down) =
        tokio::join!(AlertmanagerStub::start(Behaviour::TakeSilently), AlertmanagerStub::start(Behaviour::Answer(503)));
    let config = Config::new(source.url(), &[&silent.address, &down.address]);
    // An Alertmanager that took the alert would hold it for a minute.
    let bellwether = Bellwether::with(&config, RULES).resend_delay("15s").start().await;
    eventually("it has arrived", secs(10), async || silent.firing(&number("1"))).await;
    source.remove("load > 1", [("n", "1")]);
    eventually("it is over", secs(5), async || match bellwether.alert(&number("1")).await {
        Ok(alert) => Err(alert.to_string()),
        Err(_) => Ok(()),
    })
    .await;
    for alertmanager in [&silent, &down] {
        alertmanager.behave(Behaviour::Accept);
    }
    eventually("its end arrives too", secs(10), async || silent.resolved(&number("1"))).await;
    eventually("nothing is left to say", secs(10), async || {
        match bellwether.metric("bellwether_notifications_undelivered", &[]).await? {
            0.0 => Ok(()),
            undelivered => Err(format!("{undelivered} undelivered")),
        }
    })
    .await;
    assert!(down.firing(&number("1")).is_err(), "no alert begins after its end: {:?}", down.known());
}
