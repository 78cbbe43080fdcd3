//! The end of the process, and the beginning of the next.

use crate::harness::*;

const RULES: &str = "groups: [{name: g, rules: [{alert: Loaded, expr: load > 1}]}]";

fn loaded() -> Labels {
    labels([("alertname", "Loaded")])
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_delivers_what_can_be_delivered_and_says_what_is_left() {
    let source = PrometheusStub::start().await;
    source.set("load > 1", [("n", "1")], 2.0);
    let (late, mute) =
        tokio::join!(AlertmanagerStub::start(Behaviour::Answer(503)), AlertmanagerStub::start(Behaviour::Never));
    let config = Config::new(source.url(), &[&late.address, &mute.address]);
    let mut bellwether =
        Bellwether::with(&config, RULES).resend_delay("15s").argument("--shutdown.timeout=5s").start().await;
    eventually("both were tried", secs(10), async || {
        let tried = [late.requests().len(), mute.requests().len()];
        if tried.iter().all(|tried| *tried >= 2) { Ok(()) } else { Err(format!("{tried:?}")) }
    })
    .await;
    bellwether.signal("TERM");
    tokio::time::sleep(millis(500)).await;
    late.behave(Behaviour::Accept);
    let status = bellwether.exit(secs(13)).await;
    let log = bellwether.log();
    assert_eq!(status.code(), Some(0), "{log}");
    late.firing(&loaded()).expect("it was delivered during the stop");
    let line = |address: &str| {
        let about = |line: &&str| line.contains(address) && line.contains("left=");
        log.lines().rfind(about).unwrap_or_else(|| panic!("nothing is said of {address}: {log}")).to_owned()
    };
    assert!(line(&late.address).contains("left=0"), "{}", line(&late.address));
    assert!(line(&mute.address).contains("left=1"), "{}", line(&mute.address));
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_finishes_the_running_evaluation_and_delivers_what_it_found() {
    let (source, alertmanager) = tokio::join!(PrometheusStub::start(), AlertmanagerStub::start(Behaviour::Accept));
    source.fail(Some(Fault::Slow(millis(900))));
    let rules = RULES.replace("{name: g,", "{name: g, interval: 4s,");
    let mut bellwether = Bellwether::with(&Config::new(source.url(), &[&alertmanager.address]), &rules).start().await;
    eventually("a quiet evaluation", secs(15), async || bellwether.healthy("Loaded", "ok").await).await;
    source.set("load > 1", [("n", "1")], 2.0);
    let before = source.asked().len();
    eventually("the next evaluation runs", secs(10), async || {
        if source.asked().len() > before { Ok(()) } else { Err("not asked") }
    })
    .await;
    bellwether.signal("TERM");
    let status = bellwether.exit(secs(15)).await;
    assert_eq!(status.code(), Some(0), "{}", bellwether.log());
    alertmanager.firing(&loaded()).expect("what was found was delivered");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_by_sigint_does_not_wait_for_a_source_that_hangs() {
    let source = PrometheusStub::start().await;
    source.fail(Some(Fault::Slow(secs(300))));
    let config = Config::new(source.url(), &[]).to_yaml().replace("timeout: 1s", "timeout: 2m");
    let rules = RULES.replace("{name: g,", "{name: g, interval: 2s,");
    let mut bellwether = Bellwether::with_text(&config, &rules).argument("--shutdown.timeout=2s").start().await;
    eventually("it was asked", secs(15), async || if source.asked().is_empty() { Err("not asked") } else { Ok(()) })
        .await;
    bellwether.signal("INT");
    let status = bellwether.exit(secs(8)).await;
    assert_eq!(status.code(), Some(0), "{}", bellwether.log());
}

const RESTORED: &str = "
groups:
  - name: levels
    labels: {team: water}
    rules:
      - {alert: Pending, expr: level > 10, for: 20s, labels: {site: '{{ $labels.site | toUpper }}'}}
      - {alert: Fired, expr: level > 10, for: 4s}
";
const HOLD_MS: i64 = 20_000;

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restart_for_goes_on_where_it_was() {
    let Some(peers) = Peers::find() else { return };
    let alertmanager = AlertmanagerStub::start(Behaviour::Accept).await;
    let prometheus = Prometheus::start(&peers, "global: {}\n").await;
    let feeder = Feeder::start(&[prometheus.write_url()]);
    feeder.set("level", [("site", "a")], 20.0);
    let config = Config::new(prometheus.url(), &[&alertmanager.address]).remote_write(prometheus.write_url());
    let config = config.external_label("cluster", "eu").external_label("replica", "r1");
    let grace = "--rules.alert.for-grace-period=1s";
    let mut bellwether = Bellwether::with(&config, RESTORED).argument(grace).start().await;
    let pending = labels([("alertname", "Pending"), ("site", "A")]);
    let fired = labels([("alertname", "Fired"), ("site", "a")]);
    let fired_before = bellwether.wait_for(&fired, "firing", secs(20)).await;
    let pending_before = bellwether.alert_in(&pending, "pending").await.expect("it waits");
    let pending_since = parse_ms(&pending_before["activeAt"]);
    until(pending_since + 9000).await;
    eventually("the state is stored", secs(5), async || {
        let series = prometheus.query("time() - timestamp(ALERTS_FOR_STATE{cluster=\"eu\"}) < 3").await?;
        if series.len() == 2 { Ok(()) } else { Err(format!("{series:?}")) }
    })
    .await;

    bellwether.signal("TERM");
    assert_eq!(bellwether.exit(secs(20)).await.code(), Some(0));
    let stopped_ms = now_ms();
    tokio::time::sleep(secs(2)).await;
    bellwether.start_again().await;
    let restarted_ms = now_ms();
    let fired_after = eventually("what fired fires again at once", secs(8), async || {
        let alert = bellwether.alert_in(&fired, "firing").await?;
        // Restored to the second.
        let moved_ms = (parse_ms(&alert["activeAt"]) - parse_ms(&fired_before["activeAt"])).abs();
        if moved_ms <= 1000 { Ok(alert) } else { Err(format!("{moved_ms} ms moved: {alert}")) }
    })
    .await;
    eventually("and is sent", secs(5), async || alertmanager.firing(&fired)).await;
    let pending_after = bellwether.alert_in(&pending, "pending").await.expect("it waits on");
    // The time in which nobody looked does not count.
    let moved_ms = parse_ms(&pending_after["activeAt"]) - pending_since;
    let (least, most) = (stopped_ms - pending_since, now_ms() - pending_since);
    println!(
        "fired: {fired_after}, pending: {pending_after}, moved by {moved_ms} ms, stopped after {least}, now {most}"
    );
    let away_ms = restarted_ms - stopped_ms;
    assert!(moved_ms >= away_ms - 1500 && moved_ms <= away_ms + 5000, "moved by {moved_ms} ms, away for {away_ms} ms");
    let latest = pending_since + HOLD_MS + moved_ms + 3000;
    let limit = millis(u64::try_from(latest - now_ms()).unwrap_or(0));
    bellwether.wait_for(&pending, "firing", limit).await;
    let sent = eventually("it is sent", secs(5), async || alertmanager.firing(&pending)).await;
    assert!(sent.starts_ms >= pending_since + HOLD_MS, "not before its time: {sent:?}");
    assert!(alertmanager.accepted(&Labels::new()).iter().all(|posted| !posted.is_resolve()), "nothing ended");
}
