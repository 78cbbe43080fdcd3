//! Peers that die and come back.

use crate::harness::*;

const LEVELS: &str = "
groups:
  - name: levels
    rules:
      - alert: High
        expr: level > 10
      - alert: HighForLong
        expr: level > 10
        for: 14s
";
const LONG_SECONDS: i64 = 14;

#[tokio::test(flavor = "multi_thread")]
async fn a_prometheus_that_dies_and_comes_back_resolves_nothing_and_resets_no_for() {
    let Some(peers) = Peers::find() else { return };
    let webhook = Webhook::start().await;
    let alertmanager = Alertmanager::start(&peers, &webhook.url("am")).await;
    let mut prometheus = Prometheus::start(&peers, "global: {}\n").await;
    let feeder = Feeder::start(&[prometheus.write_url()]);
    feeder.set("level", [("site", "a")], 20.0);
    let config = Config::new(prometheus.url(), &[&alertmanager.address()]).remote_write(prometheus.write_url());
    let bellwether = Bellwether::with(&config, LEVELS).start().await;
    let (high, long) = (labels([("alertname", "High")]), labels([("alertname", "HighForLong")]));
    let pending = bellwether.wait_for(&long, "pending", secs(15)).await;
    let firing = bellwether.wait_for(&high, "firing", secs(5)).await;
    eventually("the webhook knows", secs(10), async || webhook.last_told("am", &high, false)).await;

    prometheus.kill();
    let error = eventually("the rule says that it cannot ask", secs(10), async || {
        let rule = bellwether.healthy("High", "err").await?;
        Ok::<_, String>(rule["lastError"].as_str().unwrap_or_default().to_owned())
    })
    .await;
    assert!(error.to_lowercase().contains("refused") || error.contains("connect"), "{error}");
    // With a resend delay of a second an alert ends by itself four seconds after it was last sent.
    hold("the alert fires at the Alertmanager", secs(8), async || {
        alertmanager.firing(&high).await?;
        let alert = bellwether.alert_in(&high, "firing").await?;
        if alert["activeAt"] == firing["activeAt"] { Ok(()) } else { Err(alert.to_string()) }
    })
    .await;
    let failures = bellwether.metric("prometheus_rule_evaluation_failures_total", &[";levels\""]).await;
    assert!(failures.as_ref().is_ok_and(|failures| *failures >= 4.0), "{failures:?}");

    prometheus.restart().await;
    eventually("the rule is well again", secs(10), async || bellwether.healthy("High", "ok").await).await;
    let fired = bellwether.wait_for(&long, "firing", secs(15)).await;
    assert_eq!(fired["activeAt"], pending["activeAt"], "`for` went on counting");
    let sent = eventually("it is sent", secs(5), async || alertmanager.firing(&long).await).await;
    let waited_ms = parse_ms(&sent["startsAt"]) - parse_ms(&pending["activeAt"]);
    assert!((LONG_SECONDS * 1000..LONG_SECONDS * 1000 + 4000).contains(&waited_ms), "{waited_ms} ms");
    assert_eq!(webhook.told("am", &high), [false], "one beginning, no end so far");

    feeder.set("level", [("site", "a")], 1.0);
    for alert in [&high, &long] {
        eventually("the end is told", secs(15), async || webhook.last_told("am", alert, true)).await;
        assert_eq!(webhook.told("am", alert), [false, true]);
    }
}

const UP: &str = "
groups:
  - name: up
    rules:
      - alert: Down
        expr: up == 0
        annotations: {summary: '{{ $labels.instance }} is down'}
";

/// Long enough that no Alertmanager ends an alert by itself while it is away: four times this.
const RESEND_DELAY: &str = "15s";

#[tokio::test(flavor = "multi_thread")]
async fn an_alertmanager_that_was_away_is_told_the_truth_and_the_others_never_wait_for_it() {
    let Some(peers) = Peers::find() else { return };
    let (webhook, source) = (Webhook::start().await, PrometheusStub::start().await);
    let healthy = Alertmanager::start(&peers, &webhook.url("healthy")).await;
    let frozen = Alertmanager::start(&peers, &webhook.url("frozen")).await;
    let mut killed = Alertmanager::start(&peers, &webhook.url("killed")).await;
    let addresses = [healthy.address(), frozen.address(), killed.address()];
    let config = Config::new(source.url(), &addresses.each_ref().map(String::as_str));
    for instance in ["ends", "stays"] {
        source.set("up == 0", [("instance", instance)], 0.0);
    }
    let bellwether = Bellwether::with(&config, UP).resend_delay(RESEND_DELAY).start().await;
    let [ends, stays, begins] = ["ends", "stays", "begins"].map(|instance| labels([("instance", instance)]));
    for alertmanager in [&healthy, &frozen, &killed] {
        for alert in [&ends, &stays] {
            eventually("it fires everywhere", secs(10), async || alertmanager.firing(alert).await).await;
        }
    }
    eventually("the webhook knows", secs(5), async || webhook.last_told("frozen", &ends, false)).await;

    frozen.freeze();
    killed.kill();
    source.remove("up == 0", [("instance", "ends")]);
    source.set("up == 0", [("instance", "begins")], 0.0);
    let changed_ms = now_ms();
    eventually("the healthy one knows the new alert", secs(6), async || healthy.firing(&begins).await).await;
    eventually("the healthy one knows the end", secs(6), async || healthy.not_firing(&ends).await).await;
    eventually("its webhook too", secs(6), async || webhook.last_told("healthy", &ends, true)).await;
    let rule = bellwether.healthy("Down", "ok").await.expect("evaluation goes on");
    assert!(now_ms() - parse_ms(&rule["lastEvaluation"]) < 3000, "{rule}");
    for away in [&frozen, &killed] {
        eventually("what is undelivered can be seen", secs(5), async || {
            match bellwether.metric("bellwether_notifications_undelivered", &[&away.address()]).await? {
                2.0.. => Ok(()),
                undelivered => Err(format!("{undelivered} at {}", away.url())),
            }
        })
        .await;
    }
    until(changed_ms + 7000).await;

    frozen.thaw();
    killed.restart().await;
    for back in [&frozen, &killed] {
        for alert in [&begins, &stays] {
            eventually("what fires is told", secs(25), async || back.firing(alert).await).await;
        }
        eventually("what ended is told", secs(25), async || back.not_firing(&ends).await).await;
    }
    eventually("the webhook hears the end", secs(10), async || webhook.last_told("frozen", &ends, true)).await;
    assert_eq!(webhook.told("frozen", &ends), [false, true]);
    assert_eq!(webhook.told("healthy", &stays), [false], "nothing ended that did not end");
    eventually("nothing is left to say", secs(10), async || {
        match bellwether.metric("bellwether_notifications_undelivered", &[]).await? {
            0.0 => Ok(()),
            undelivered => Err(format!("{undelivered} undelivered")),
        }
    })
    .await;
    assert!(killed.not_firing(&ends).await.is_ok(), "it stays ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_remote_write_target_delays_no_alert_and_gets_what_it_missed() {
    let Some(peers) = Peers::find() else { return };
    let (source, alertmanager) = tokio::join!(PrometheusStub::start(), AlertmanagerStub::start(Behaviour::Accept));
    let mut target = Prometheus::start(&peers, "global: {}\n").await;
    target.kill();
    source.set("up == 0", [("instance", "a:1")], 0.0);
    source.set("up", [("instance", "a:1")], 0.0);
    source.set("recorded == 0", [("instance", "a:1")], 0.0);
    let rules = UP.replace(
        "    rules:\n",
        "    rules:\n      - {record: recorded, expr: up}\n      - {alert: Chained, expr: recorded == 0}\n",
    );
    let config = Config::new(source.url(), &[&alertmanager.address]).remote_write(target.write_url());
    let bellwether = Bellwether::with(&config, &rules).start().await;
    for name in ["Down", "Chained"] {
        let wanted = labels([("alertname", name), ("instance", "a:1")]);
        eventually("it fires", secs(10), async || alertmanager.firing(&wanted)).await;
    }
    let missed_ms = now_ms();
    hold("evaluation goes on", secs(3), async || {
        let rule = bellwether.healthy("Chained", "ok").await?;
        let age_ms = now_ms() - parse_ms(&rule["lastEvaluation"]);
        if age_ms < 3500 { Ok(()) } else { Err(rule.to_string()) }
    })
    .await;
    target.restart().await;
    for selector in ["recorded", "ALERTS{alertname=\"Down\"}"] {
        eventually("what was missed arrives", secs(20), async || {
            let series = target.stored(selector).await?;
            match series.first().and_then(|series| series.samples.first()) {
                Some((at, _)) if *at <= missed_ms => Ok(()),
                other => Err(format!("{selector}: first {other:?}, should be before {missed_ms}")),
            }
        })
        .await;
    }
}
