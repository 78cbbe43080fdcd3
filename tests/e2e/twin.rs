//! A second Prometheus evaluates the same rules on the same samples: both must come to the same.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::harness::prometheus::Series;
use crate::harness::*;

const RULES: &str = r#"
groups:
  - name: levels
    labels: {team: water}
    rules:
      - record: site:level:max
        expr: max by (site) (level)
        labels: {kind: recorded}
      - alert: High
        expr: level > 10
        for: 3s
        labels:
          severity: '{{ if gt $value 50.0 }}page{{ else }}ticket{{ end }}'
          nothing: '{{ $labels.missing }}'
        annotations:
          summary: '{{ $labels.site }} at {{ $value | humanize }} of {{ with query "count(level)" }}{{ . | first | value }}{{ end }}'
          broken: '{{ query "nothing_there" | first | value }}'
      - alert: RecordedHigh
        expr: site:level:max{kind="recorded"} > 10
        for: 2s
        annotations: {value: '{{ printf "%.1f" $value }}'}
      - alert: Kept
        expr: level{site="a"} > 10
        keep_firing_for: 3s
        annotations: {value: '{{ $value | humanizePercentage }}'}
      - alert: Busy
        expr: avg_over_time(level[5s]) > 30
        for: 1s
  - name: looks back
    query_offset: 3s
    rules:
      - record: level:sum
        expr: sum(level)
      - alert: HighBefore
        expr: level{site="a"} > 10
        for: 2s
        annotations: {now: '{{ with query "vector(1)" }}{{ . | first | value }}{{ end }}'}
  - name: ends
    interval: 1s
    rules:
      - alert: NoHeartbeat
        expr: absent(heartbeat{job="pump"})
        annotations: {summary: '{{ $labels.job }} is silent'}
      - alert: WillOverflow
        expr: predict_linear(ramp[10s], 20) > 100
        labels: {site: '{{ $labels.site | toUpper }}'}
"#;

const EXTERNAL: &str = "{cluster: eu, replica: r1}";
const INTERVAL_MS: i64 = 1000;
/// Length of the story, from second 0.
const STORY_SECONDS: i64 = 32;

/// Rising, falling, flapping, vanishing and coming back. Nothing lasts exactly as long as a `for`: who evaluates half a
/// second later may then rightly see something else.
fn story(begin_ms: i64) -> Timeline {
    let range = -20..STORY_SECONDS + 20;
    Timeline::new(begin_ms)
        .series("level", [("site", "a")], range.clone(), |second| match second {
            5..14 => Some(20.0),
            14..20 => Some(80.0),
            _ => Some(5.0),
        })
        .series("level", [("site", "b")], range.clone(), |second| match second {
            7..9 | 13..15 => Some(20.0),
            _ => Some(1.0),
        })
        .series("level", [("site", "c")], range.clone(), |second| match second {
            6..16 => Some(20.0),
            22..28 => Some(30.0),
            _ => None,
        })
        .series("heartbeat", [("job", "pump")], range.clone(), |second| match second {
            10..15 => None,
            _ => Some(1.0),
        })
        .series("ramp", [("site", "x")], range, |second| (second < 18).then_some(3.0 * second as f64))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prometheus_that_evaluates_the_same_rules_itself_comes_to_the_same_alerts_and_series() {
    let Some(peers) = Peers::find() else { return };
    let (ours, theirs) =
        tokio::join!(AlertmanagerStub::start(Behaviour::Accept), AlertmanagerStub::start(Behaviour::Accept));
    let source = Prometheus::start(&peers, "global: {}\n").await;
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let rules = directory.path().join("rules.yml");
    std::fs::write(&rules, RULES).expect("rules can be written");
    let twin = Prometheus::start(&peers, &twin_yml(&rules.display().to_string(), &theirs)).await;
    let mut config = Config::new(source.url(), &[&ours.address]).remote_write(source.write_url());
    config = config.external_label("cluster", "eu").external_label("replica", "r1");
    let bellwether = Bellwether::with(&config, RULES).start().await;
    // Both have then looked for what to restore, and write `ALERTS`.
    for url in [bellwether.url(), twin.url()] {
        for group in ["levels", "looks back", "ends"] {
            let part = format!(";{group}\"");
            eventually("some iterations", secs(20), async || {
                let done = http::metric(&url, "prometheus_rule_group_iterations_total", &[&part]).await?;
                if done > 4.0 { Ok(()) } else { Err(format!("{done} of {group}")) }
            })
            .await;
        }
    }
    let story = story(now_ms() / 1000 * 1000 + 2000);
    let (to_source, to_twin) = (source.write_url(), twin.write_url());
    tokio::join!(story.push(&to_source), story.push(&to_twin));

    until(story.begin_ms + 11_300).await;
    eventually("both list the same alerts", secs(1), async || {
        let (ours, theirs) = (listed(&bellwether.url()).await?, listed(&twin.url()).await?);
        compare_listed(&ours, &theirs)
    })
    .await;

    until(story.begin_ms + STORY_SECONDS * 1000).await;
    let mut tolerance_ms = INTERVAL_MS;
    for url in [bellwether.url(), twin.url()] {
        let missed = http::metric(&url, "prometheus_rule_group_iterations_missed_total", &[]).await.expect("a metric");
        tolerance_ms += missed as i64 * INTERVAL_MS;
    }
    for selector in ["ALERTS", "site:level:max", "level:sum"] {
        let (ours, theirs) =
            (source.stored(selector).await.expect("a query"), twin.stored(selector).await.expect("a query"));
        compare_stored(&ours, &theirs, story.begin_ms, tolerance_ms);
    }
    compare_for_state(&source, &twin, story.begin_ms, tolerance_ms).await;
    assert_eq!(delivered(&ours, story.begin_ms), delivered(&theirs, story.begin_ms));
}

fn twin_yml(rules: &str, alertmanager: &AlertmanagerStub) -> String {
    format!(
        "global: {{evaluation_interval: 1s, external_labels: {EXTERNAL}}}\nrule_files: ['{rules}']\n\
         alerting: {{alertmanagers: [{{static_configs: [{{targets: ['{}']}}]}}]}}\n",
        alertmanager.address
    )
}

/// What the two mean to write differently. External labels stand on what goes by remote write, and so on what is made of
/// it, not on what is kept locally; and a label whose template gives nothing stands in Prometheus' own `ALERTS` as its
/// template.
fn without_external(mut labels: Labels) -> Labels {
    labels.retain(|name, value| name != "cluster" && name != "replica" && !value.contains("{{"));
    labels
}

async fn listed(url: &str) -> Result<Vec<(Labels, Value)>, String> {
    let data = http::api(url, "alerts", &[]).await?;
    let alerts = data["alerts"].as_array().cloned().unwrap_or_default();
    let mut alerts: Vec<_> =
        alerts.into_iter().map(|alert| (without_external(string_map(&alert["labels"])), alert)).collect();
    alerts.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(alerts)
}

fn compare_listed(ours: &[(Labels, Value)], theirs: &[(Labels, Value)]) -> Result<(), String> {
    let names = |alerts: &[(Labels, Value)]| alerts.iter().map(|(labels, _)| labels.clone()).collect::<Vec<_>>();
    if names(ours) != names(theirs) {
        return Err(format!("ours: {:?}\n theirs: {:?}", names(ours), names(theirs)));
    }
    for ((_, ours), (_, theirs)) in ours.iter().zip(theirs) {
        for field in ["state", "value", "annotations"] {
            if ours[field] != theirs[field] {
                return Err(format!("{field}: {ours}\n theirs: {theirs}"));
            }
        }
        // Whatever began before the story began at some time of its own.
        let apart_ms = (parse_ms(&ours["activeAt"]) - parse_ms(&theirs["activeAt"])).abs();
        if apart_ms > INTERVAL_MS {
            return Err(format!("activeAt {apart_ms} ms apart: {ours}\n theirs: {theirs}"));
        }
    }
    Ok(())
}

/// When a series had samples (first and last of each run), and which values.
#[derive(Default)]
struct Runs {
    runs: Vec<(i64, i64)>,
    values: BTreeSet<String>,
}

fn runs(series: &[Series], begin_ms: i64, gap_ms: i64) -> BTreeMap<Labels, Runs> {
    let mut all: BTreeMap<Labels, Runs> = BTreeMap::new();
    for series in series {
        let of_one = all.entry(without_external(series.labels.clone())).or_default();
        for (at, value) in series.samples.iter().filter(|(at, _)| *at >= begin_ms) {
            of_one.values.insert(value.to_string());
            match of_one.runs.last_mut() {
                Some((_, last)) if *at - *last <= gap_ms => *last = *at,
                _ => of_one.runs.push((*at, *at)),
            }
        }
    }
    all.retain(|_, of_one| !of_one.runs.is_empty());
    all
}

fn compare_stored(ours: &[Series], theirs: &[Series], begin_ms: i64, tolerance_ms: i64) {
    let gap_ms = INTERVAL_MS / 2 + tolerance_ms;
    let (ours, theirs) = (runs(ours, begin_ms, gap_ms), runs(theirs, begin_ms, gap_ms));
    let names = |all: &BTreeMap<Labels, Runs>| all.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&ours), names(&theirs));
    for (labels, ours) in &ours {
        let theirs = &theirs[labels];
        let told = || {
            let from_begin = |runs: &Runs| {
                runs.runs.iter().map(|(first, last)| (first - begin_ms, last - begin_ms)).collect::<Vec<_>>()
            };
            format!("{labels:?}: ours {:?}, theirs {:?}", from_begin(ours), from_begin(theirs))
        };
        assert_eq!(ours.values, theirs.values, "{labels:?}");
        assert_eq!(ours.runs.len(), theirs.runs.len(), "{}", told());
        for (our_run, their_run) in ours.runs.iter().zip(&theirs.runs) {
            let apart_ms = (our_run.0 - their_run.0).abs().max((our_run.1 - their_run.1).abs());
            assert!(apart_ms <= tolerance_ms, "{apart_ms} ms apart: {}", told());
        }
    }
}

async fn compare_for_state(source: &Prometheus, twin: &Prometheus, begin_ms: i64, tolerance_ms: i64) {
    let mut sets = Vec::new();
    for prometheus in [source, twin] {
        let mut set: BTreeMap<Labels, Vec<i64>> = BTreeMap::new();
        for series in prometheus.stored("ALERTS_FOR_STATE").await.expect("a query") {
            let since = series.samples.iter().filter(|(at, _)| *at >= begin_ms);
            let values: BTreeSet<i64> = since.map(|(_, value)| *value as i64 * 1000).collect();
            let values = values.into_iter().filter(|value| *value >= begin_ms).collect();
            set.insert(without_external(series.labels), values);
        }
        set.retain(|_, values| !values.is_empty());
        sets.push(set);
    }
    let keys = |set: &BTreeMap<Labels, Vec<i64>>| set.keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&sets[0]), keys(&sets[1]));
    for (labels, ours) in &sets[0] {
        let theirs = &sets[1][labels];
        assert_eq!(ours.len(), theirs.len(), "{labels:?}: ours {ours:?}, theirs {theirs:?}");
        // Whole seconds, rounded down: one more second of difference.
        let close = ours.iter().zip(theirs).all(|(ours, theirs)| (ours - theirs).abs() <= tolerance_ms + 1000);
        assert!(close, "{labels:?}: ours {ours:?}, theirs {theirs:?}");
    }
}

/// Everything that an Alertmanager was told of as firing, and whether it was told the end.
fn delivered(alertmanager: &AlertmanagerStub, begin_ms: i64) -> BTreeSet<(Labels, Labels, bool)> {
    let posted = alertmanager.accepted(&Labels::new());
    let since = posted.into_iter().filter(|posted| posted.at_ms >= begin_ms);
    since.map(|posted| (posted.labels.clone(), posted.annotations.clone(), posted.is_resolve())).collect()
}
