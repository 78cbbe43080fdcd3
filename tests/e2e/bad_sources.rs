//! A Prometheus that answers badly, in every way. A question that failed is not an answer.

use futures_util::future::join_all;

use crate::harness::*;

const RULES: &str = "
groups:
  - name: g
    rules:
      - {alert: Firing, expr: load > 1}
      - {alert: Pending, expr: load > 2, for: 1h}
      - {record: recorded, expr: load + 0}
";

/// Words of which one must be in the rule's last error.
type Words = &'static [&'static str];

fn faults() -> Vec<(Fault, Words)> {
    vec![
        (Fault::NotJson, &["JSON"]),
        (Fault::HalfJson, &["JSON", "end"]),
        (Fault::CutOff, &["cut", "middle"]),
        (Fault::WrongShape, &["result"]),
        (Fault::Error(422, "execution", "many-to-many matching not allowed"), &["many-to-many matching not allowed"]),
        (Fault::Error(400, "bad_data", "unknown function"), &["unknown function"]),
        (Fault::Status(503), &["503"]),
        (Fault::Redirect("/elsewhere".to_owned()), &["404", "redirect"]),
        (Fault::Slow(secs(30)), &["no answer within", "timeout", "timed out", "deadline"]),
        (Fault::Huge, &["1MiB", "1 MiB", "1048576", "large"]),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prometheus_that_answers_badly_is_told_of_and_resolves_nothing_and_resets_no_for() {
    let mut errors = join_all(faults().into_iter().map(|(fault, words)| suffer(fault, words))).await;
    let told = errors.len();
    errors.sort();
    errors.dedup();
    assert_eq!(errors.len(), told, "each fault has words of its own: {errors:#?}");
}

/// Lets a source fail for longer than an alert lives at an Alertmanager that is told nothing; gives the rule's last error.
async fn suffer(fault: Fault, words: Words) -> String {
    let (source, alertmanager) = tokio::join!(PrometheusStub::start(), AlertmanagerStub::start(Behaviour::Accept));
    for expr in ["load > 1", "load > 2", "load + 0"] {
        source.set(expr, [("n", "1")], 5.0);
    }
    let bellwether = Bellwether::with(&Config::new(source.url(), &[&alertmanager.address]), RULES).start().await;
    let (firing, pending) = (labels([("alertname", "Firing")]), labels([("alertname", "Pending")]));
    let firing_before = bellwether.wait_for(&firing, "firing", secs(20)).await;
    let pending_before = bellwether.wait_for(&pending, "pending", secs(5)).await;
    eventually("it is sent", secs(5), async || alertmanager.firing(&firing)).await;
    let failures =
        async || bellwether.metric("prometheus_rule_evaluation_failures_total", &[]).await.expect("a metric");
    assert_eq!(failures().await, 0.0, "{fault:?}");

    source.fail(Some(fault.clone()));
    let error = eventually(&format!("{fault:?} is told"), secs(15), async || {
        for rule in ["Firing", "Pending", "recorded"] {
            bellwether.healthy(rule, "err").await?;
        }
        let rule = bellwether.rule("Firing").await?;
        Ok::<_, String>(rule["lastError"].as_str().unwrap_or_default().to_owned())
    })
    .await;
    println!("{fault:?}: {error}");
    assert!(words.iter().any(|word| error.contains(word)), "{fault:?} is told as {error:?}");
    hold(&format!("alive through {fault:?}"), secs(6), async || alertmanager.firing(&firing).map(drop)).await;
    let counted = failures().await;
    assert!(counted >= 6.0, "{fault:?}: {counted} failures counted");

    source.fail(None);
    eventually(&format!("well after {fault:?}"), secs(10), async || bellwether.healthy("Firing", "ok").await).await;
    let firing_now = bellwether.alert_in(&firing, "firing").await.expect("it fires");
    let pending_now = bellwether.alert_in(&pending, "pending").await.expect("it waits");
    assert_eq!(firing_now["activeAt"], firing_before["activeAt"], "{fault:?}");
    assert_eq!(pending_now["activeAt"], pending_before["activeAt"], "{fault:?}");
    let posted = alertmanager.accepted(&firing);
    assert!(posted.iter().all(|posted| !posted.is_resolve()), "nothing was resolved by {fault:?}");
    let kept = posted.windows(2).all(|pair| pair[1].at_ms < pair[0].ends_ms && pair[1].starts_ms == pair[0].starts_ms);
    assert!(kept, "{fault:?}: it was always sent again in time: {posted:#?}");
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_beyond_the_limit_fails_the_rule_and_resolves_nothing() {
    let (source, alertmanager) = tokio::join!(PrometheusStub::start(), AlertmanagerStub::start(Behaviour::Accept));
    let rules = "groups: [{name: g, limit: 2, rules: [{alert: Loaded, expr: load > 1}]}]";
    for n in ["1", "2"] {
        source.set("load > 1", [("n", n)], 5.0);
    }
    let bellwether = Bellwether::with(&Config::new(source.url(), &[&alertmanager.address]), rules).start().await;
    let [one, two, three] = ["1", "2", "3"].map(|n| labels([("alertname", "Loaded"), ("n", n)]));
    let before = bellwether.wait_for(&one, "firing", secs(10)).await;
    eventually("both are sent", secs(5), async || alertmanager.firing(&one).and(alertmanager.firing(&two))).await;
    source.set("load > 1", [("n", "3")], 5.0);
    let rule = eventually("the rule fails", secs(5), async || bellwether.healthy("Loaded", "err").await).await;
    let error = rule["lastError"].as_str().unwrap_or_default();
    assert!(error.starts_with("exceeded limit of 2 with 3 alerts"), "{error}");
    hold("both go on firing", secs(6), async || alertmanager.firing(&one).and(alertmanager.firing(&two)).map(drop))
        .await;
    assert!(alertmanager.accepted(&three).is_empty(), "one too many is not sent");
    source.remove("load > 1", [("n", "2")]);
    eventually("the rule is well", secs(5), async || bellwether.healthy("Loaded", "ok").await).await;
    eventually("the end is told", secs(5), async || alertmanager.resolved(&two)).await;
    eventually("the third fires", secs(5), async || alertmanager.firing(&three)).await;
    let after = bellwether.alert(&one).await.expect("it is active");
    assert_eq!(after["activeAt"], before["activeAt"]);
    assert!(alertmanager.accepted(&one).iter().all(|posted| !posted.is_resolve()), "it never ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_query_is_sent_as_it_is_written_and_equal_ones_of_a_tick_once() {
    let source = PrometheusStub::start().await;
    let rules = "groups: [{name: g, interval: 2s, rules: [\
                 {alert: One, expr: 'sum( load )by(n)>1 # why'}, {alert: Two, expr: 'sum( load )by(n)>1 # why', for: 1h}]}]";
    let bellwether = Bellwether::with(&Config::new(source.url(), &[]), rules).start().await;
    let rule = eventually("evaluated", secs(10), async || bellwether.healthy("Two", "ok").await).await;
    assert_eq!(rule["query"], "sum by (n) (load) > 1");
    eventually("three rounds", secs(15), async || {
        let asked = source.asked();
        if asked.len() >= 3 { Ok(()) } else { Err(format!("{asked:?}")) }
    })
    .await;
    let asked: Vec<_> = source.asked().into_iter().filter(|asked| !asked.query.contains("ALERTS")).collect();
    assert!(asked.iter().all(|asked| asked.query == "sum( load )by(n)>1 # why"), "{asked:?}");
    let apart: Vec<i64> = asked.windows(2).map(|pair| pair[1].at_ms - pair[0].at_ms).collect();
    assert!(apart.iter().all(|apart_ms| *apart_ms > 1000), "asked once for both rules: {apart:?} ms apart");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_source_holds_its_own_alerts_and_nobody_elses() {
    let (main, second) = tokio::join!(PrometheusStub::start(), PrometheusStub::start());
    let alertmanager = AlertmanagerStub::start(Behaviour::Accept).await;
    for source in [&main, &second] {
        source.set("load > 1", [("n", "1")], 5.0);
    }
    let config = Config::new(main.url(), &[&alertmanager.address]).second_source(second.url());
    let rules = "groups: [{name: g, rules: [{alert: Loaded, expr: load > 1}]}]";
    let bellwether = Bellwether::with(&config, rules).start().await;
    let [of_main, of_second] =
        ["main", "second"].map(|cluster| labels([("alertname", "Loaded"), ("cluster", cluster)]));
    for alert in [&of_main, &of_second] {
        eventually("it fires", secs(10), async || alertmanager.firing(alert)).await;
    }
    main.fail(Some(Fault::Status(503)));
    second.remove("load > 1", [("n", "1")]);
    main.remove("load > 1", [("n", "1")]);
    eventually("the end at the other source is told", secs(10), async || alertmanager.resolved(&of_second)).await;
    hold("nobody knows of an end at the broken one", secs(6), async || alertmanager.firing(&of_main).map(drop)).await;
    bellwether.alert_in(&of_main, "firing").await.expect("it is listed");
    main.fail(None);
    eventually("now it is known", secs(10), async || alertmanager.resolved(&of_main)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_slower_than_the_interval_costs_slots_and_nothing_else() {
    let (source, alertmanager) = tokio::join!(PrometheusStub::start(), AlertmanagerStub::start(Behaviour::Accept));
    source.set("load > 1", [("n", "1")], 5.0);
    source.fail(Some(Fault::Slow(millis(2300))));
    let config = Config::new(source.url(), &[&alertmanager.address]).to_yaml().replace("timeout: 1s", "timeout: 5s");
    let rules = "groups: [{name: g, rules: [{alert: Loaded, expr: load > 1}]}]";
    let bellwether = Bellwether::with_text(&config, rules).start().await;
    let loaded = labels([("alertname", "Loaded")]);
    eventually("it fires", secs(15), async || alertmanager.firing(&loaded)).await;
    let begin = source.asked().len();
    hold("it goes on firing", secs(6), async || alertmanager.firing(&loaded).map(drop)).await;
    let asked = source.asked().len() - begin;
    assert!(asked <= 4, "nothing piles up: asked {asked} times in six seconds");
    let missed = bellwether.metric("prometheus_rule_group_iterations_missed_total", &[";g\""]).await;
    assert!(missed.as_ref().is_ok_and(|missed| *missed >= 3.0), "{missed:?}");
    bellwether.healthy("Loaded", "ok").await.expect("late is not wrong");
}
