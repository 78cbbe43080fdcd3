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

/// A ruler with one alert that has waited for nine of its twenty seconds, and one that fired.
struct Restarted {
    prometheus: Prometheus,
    alertmanager: AlertmanagerStub,
    bellwether: Bellwether,
    pending_since: i64,
    fired_since: i64,
    _feeder: Feeder,
}

impl Restarted {
    fn pending() -> Labels {
        labels([("alertname", "Pending"), ("site", "A")])
    }

    fn fired() -> Labels {
        labels([("alertname", "Fired"), ("site", "a")])
    }

    async fn begin(peers: &Peers) -> Restarted {
        let alertmanager = AlertmanagerStub::start(Behaviour::Accept).await;
        let prometheus = Prometheus::start(peers, "global: {}\n").await;
        let feeder = Feeder::start(&[prometheus.write_url()]);
        feeder.set("level", [("site", "a")], 20.0);
        let config = Config::new(prometheus.url(), &[&alertmanager.address]).remote_write(prometheus.write_url());
        let config = config.external_label("cluster", "eu").external_label("replica", "r1");
        let grace = "--rules.alert.for-grace-period=1s";
        let bellwether = Bellwether::with(&config, RESTORED).argument(grace).start().await;
        let fired = bellwether.wait_for(&Restarted::fired(), "firing", secs(20)).await;
        let pending = bellwether.alert_in(&Restarted::pending(), "pending").await.expect("it waits");
        let pending_since = parse_ms(&pending["activeAt"]);
        until(pending_since + 9000).await;
        eventually("the state is stored", secs(5), async || {
            let series = prometheus.query("time() - timestamp(ALERTS_FOR_STATE{cluster=\"eu\"}) < 3").await?;
            if series.len() == 2 { Ok(()) } else { Err(format!("{series:?}")) }
        })
        .await;
        let fired_since = parse_ms(&fired["activeAt"]);
        Restarted { prometheus, alertmanager, bellwether, pending_since, fired_since, _feeder: feeder }
    }

    /// After it was blind from `stopped_ms` to `back_ms`. Gives by how much the pending alert's time was moved.
    async fn check(&self, stopped_ms: i64, back_ms: i64) -> i64 {
        let bellwether = &self.bellwether;
        eventually("what fired fires again at once", secs(8), async || {
            let alert = bellwether.alert_in(&Restarted::fired(), "firing").await?;
            // Stored in whole seconds.
            let moved_ms = (parse_ms(&alert["activeAt"]) - self.fired_since).abs();
            if moved_ms <= 1000 { Ok(()) } else { Err(format!("{moved_ms} ms moved: {alert}")) }
        })
        .await;
        eventually("and is sent", secs(5), async || {
            let posted = self.alertmanager.firing(&Restarted::fired())?;
            if posted.at_ms > back_ms { Ok(()) } else { Err("not since the restart".to_owned()) }
        })
        .await;
        // The time in which nobody looked does not count as waiting.
        let away_ms = back_ms - stopped_ms;
        eventually("the pending one goes on where it was", secs(5), async || {
            let alert = bellwether.alert_in(&Restarted::pending(), "pending").await?;
            let moved_ms = parse_ms(&alert["activeAt"]) - self.pending_since;
            let expected = away_ms - 1500..away_ms + 5000;
            if expected.contains(&moved_ms) {
                Ok(moved_ms)
            } else {
                Err(format!("away {away_ms} ms, moved {moved_ms} ms"))
            }
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restart_for_goes_on_where_it_was() {
    let Some(peers) = Peers::find() else { return };
    let mut story = Restarted::begin(&peers).await;
    story.bellwether.signal("TERM");
    assert_eq!(story.bellwether.exit(secs(20)).await.code(), Some(0));
    let stopped_ms = now_ms();
    tokio::time::sleep(secs(2)).await;
    story.bellwether.start_again().await;
    let moved_ms = story.check(stopped_ms, now_ms()).await;
    let latest = story.pending_since + HOLD_MS + moved_ms + 3000;
    let limit = millis(u64::try_from(latest - now_ms()).unwrap_or(0));
    story.bellwether.wait_for(&Restarted::pending(), "firing", limit).await;
    let alertmanager = &story.alertmanager;
    let sent = eventually("it is sent", secs(5), async || alertmanager.firing(&Restarted::pending())).await;
    assert!(sent.starts_ms >= story.pending_since + HOLD_MS, "not before its time: {sent:?}");
    assert!(alertmanager.accepted(&Labels::new()).iter().all(|posted| !posted.is_resolve()), "nothing ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_power_cut_it_is_up_before_its_source_and_still_finds_the_for_again() {
    let Some(peers) = Peers::find() else { return };
    let mut story = Restarted::begin(&peers).await;
    let stopped_ms = now_ms();
    story.bellwether.kill();
    story.prometheus.kill();
    story.bellwether.start_again().await;
    let bellwether = &story.bellwether;
    eventually("the source is not there yet", secs(5), async || bellwether.healthy("Pending", "err").await).await;
    tokio::time::sleep(secs(2)).await;
    story.prometheus.restart().await;
    story.check(stopped_ms, now_ms()).await;
    let posted = story.alertmanager.accepted(&Labels::new());
    assert!(posted.iter().all(|posted| !posted.is_resolve()), "nothing ended");
}
