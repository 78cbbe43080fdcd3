//! A group, evaluation after evaluation, against answers from a table.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::alerting::RESOLVED_RETENTION;
use crate::model::*;
use crate::rules::{AlertingRule, Dependencies, Group, RecordingRule, Rule, RuleKind};
use crate::template::Template;

const MINUTE: Duration = Duration::from_secs(60);

fn settings() -> Settings {
    Settings {
        source: Arc::from("default"),
        interval: MINUTE,
        query_offset: Duration::ZERO,
        external_labels: Labels::from_pairs([("cluster", "eu")]),
        source_labels: Labels::empty(),
        external_url: Arc::from("http://bellwether"),
        generator_url: GeneratorUrl::Graph(Arc::from("http://prometheus")),
        resend_delay: MINUTE,
        resolved_retention: RESOLVED_RETENTION,
        outage_tolerance: 60 * MINUTE,
        grace_period: 10 * MINUTE,
    }
}

fn alerting(name: &str, hold: Duration, labels: &[(&str, &str)], annotations: &[(&str, &str)]) -> Rule {
    let templates = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(n, text)| (Arc::from(*n), Template::parse(name, text).unwrap())).collect()
    };
    Rule {
        name: Arc::from(name),
        expr: crate::promql::parse(&name.to_lowercase()).unwrap(),
        labels: Labels::from_pairs(labels.iter().copied()),
        kind: RuleKind::Alerting(AlertingRule {
            hold_duration: hold,
            keep_firing_for: Duration::ZERO,
            label_templates: templates(labels),
            annotation_templates: templates(annotations),
            annotations: Labels::from_pairs(annotations.iter().copied()),
        }),
        line: 1,
    }
}

fn recording(name: &str, expr: &str, labels: &[(&str, &str)]) -> Rule {
    Rule {
        name: Arc::from(name),
        expr: crate::promql::parse(expr).unwrap(),
        labels: Labels::from_pairs(labels.iter().copied()),
        kind: RuleKind::Recording(RecordingRule),
        line: 1,
    }
}

fn group(rules: Vec<Rule>) -> Group {
    Group {
        file: Arc::from("rules.yml"),
        name: Arc::from("g"),
        interval: None,
        query_offset: None,
        limit: None,
        dependencies: Dependencies::of(&rules),
        rules,
    }
}

/// Answers by expression; whatever is not in it is a source that does not answer.
type World<'a> = &'a [(&'a str, &'a [(&'a str, f64)])];

fn vector(elements: &[(&str, f64)]) -> Evaluated {
    let sample = |(labels, value): &(&str, f64)| Sample {
        labels: labels.split(',').filter_map(|pair| pair.split_once('=')).collect(),
        value: Value::Float(*value),
    };
    Evaluated::Vector(elements.iter().map(sample).collect())
}

fn answer(world: World<'_>, need: &Need) -> Answer {
    let Need::Query { expr, times } = need;
    match world.iter().find(|(known, _)| *known == &**expr) {
        Some((_, elements)) => {
            Answer::Known(times.iter().map(|_| (vector(elements), Annotations::default())).collect())
        }
        None => {
            Answer::Unknown(SourceError { kind: SourceErrorKind::Connect, message: "connection refused".to_owned() })
        }
    }
}

/// What a group did at one timestamp, as text a reader can check.
#[derive(Debug, Default)]
struct Seen {
    samples: Vec<String>,
    markers: Vec<String>,
    alerts: Vec<String>,
    errors: Vec<String>,
    asked: Vec<String>,
}

fn evaluate(group: &Group, settings: &Settings, state: GroupState, at: i64, world: World<'_>) -> (GroupState, Seen) {
    let at = Timestamp::from_seconds(at);
    let mut evaluation = GroupEvaluation::new(Arc::new(group.clone()), Arc::new(settings.clone()), state, &[at]);
    let mut seen = Seen::default();
    loop {
        for outcome in evaluation.take_outcomes() {
            seen.samples.extend(outcome.samples.iter().map(sample_text));
            seen.markers.extend(outcome.markers.iter().map(sample_text));
            seen.alerts.extend(outcome.alerts.iter().map(alert_text));
            seen.errors.extend(outcome.error.map(|error| error.to_string()));
        }
        seen.markers.extend(evaluation.take_markers().iter().map(sample_text));
        let asks = evaluation.take_asks();
        if asks.is_empty() {
            break;
        }
        for ask in asks {
            let Need::Query { expr, times } = &ask.need;
            seen.asked.push(format!("{expr} @{}", times[0].as_whole_seconds()));
            let answer = answer(world, &ask.need);
            evaluation.supply(ask, answer);
        }
    }
    (evaluation.finish(), seen)
}

fn sample_text(sample: &TimedSample) -> String {
    let value = sample.value.as_float();
    let value = if is_stale(value) { "stale".to_owned() } else { format_shortest(value) };
    format!("{} {value} @{}", sample.labels, sample.at.as_whole_seconds())
}

fn alert_text(alert: &Alert) -> String {
    let state = match alert.state {
        AlertState::Firing { valid_for } => format!("firing for {}", format_duration(valid_for)),
        AlertState::Resolved { resolved_at } => format!("resolved @{}", resolved_at.as_whole_seconds()),
    };
    format!("{} since {} {state}", alert.labels, alert.starts_at.as_whole_seconds())
}

#[test]
fn an_alert_goes_pending_fires_and_resolves() {
    let group = group(vec![alerting("Down", 2 * MINUTE, &[("severity", "page")], &[("summary", "it is")])]);
    let settings = settings();
    let mut state = GroupState::new(&group, &settings, false);
    let up: World<'_> = &[("down", &[("__name__=up,job=a", 0.0)])];
    let gone: World<'_> = &[("down", &[])];
    let labels = r#"{alertname="Down", job="a", severity="page"}"#;
    let alerts = |state: &str| {
        format!(r#"{{__name__="ALERTS", alertname="Down", alertstate="{state}", job="a", severity="page"}}"#)
    };
    let for_state = r#"{__name__="ALERTS_FOR_STATE", alertname="Down", job="a", severity="page"}"#;
    for (at, world, told, samples, markers) in [
        (0, up, vec![], vec![format!("{} 1 @0", alerts("pending")), format!("{for_state} 0 @0")], vec![]),
        (60, up, vec![], vec![format!("{} 1 @60", alerts("pending")), format!("{for_state} 0 @60")], vec![]),
        (
            120,
            up,
            vec![format!("{labels} since 120 firing for 4m")],
            vec![format!("{} 1 @120", alerts("firing")), format!("{for_state} 0 @120")],
            vec![format!("{} stale @120", alerts("pending"))],
        ),
        (180, up, vec![], vec![format!("{} 1 @180", alerts("firing")), format!("{for_state} 0 @180")], vec![]),
        (
            240,
            gone,
            vec![format!("{labels} since 120 resolved @240")],
            vec![],
            vec![format!("{} stale @240", alerts("firing")), format!("{for_state} stale @240")],
        ),
        (300, gone, vec![], vec![], vec![]),
    ] {
        let (next, seen) = evaluate(&group, &settings, state, at, world);
        assert_eq!(seen.alerts, told, "told at {at}");
        assert_eq!(seen.samples, samples, "written at {at}");
        assert_eq!(seen.markers, markers, "ended at {at}");
        state = next;
    }
}

#[test]
fn a_source_that_does_not_answer_changes_nothing() {
    let group = group(vec![alerting("Down", MINUTE, &[], &[]), recording("r", "x", &[])]);
    let settings = settings();
    let known: World<'_> = &[("down", &[("job=a", 0.0)]), ("x", &[("job=a", 1.0)])];
    let (state, _) = evaluate(&group, &settings, GroupState::new(&group, &settings, false), 0, known);
    let (state, seen) = evaluate(&group, &settings, state, 60, &[]);
    assert_eq!(seen.errors, ["connection refused", "connection refused"]);
    assert!(seen.samples.is_empty() && seen.markers.is_empty() && seen.alerts.is_empty(), "{seen:?}");
    let (_, seen) = evaluate(&group, &settings, state, 120, known);
    assert_eq!(seen.alerts, [r#"{alertname="Down", job="a"} since 120 firing for 4m"#], "the for went on");
}

#[test]
fn over_the_limit_is_an_error_that_forgets_nothing() {
    let mut group = group(vec![alerting("Down", Duration::ZERO, &[], &[])]);
    group.limit = Some(1);
    let settings = settings();
    let one: World<'_> = &[("down", &[("job=a", 0.0)])];
    let two: World<'_> = &[("down", &[("job=a", 0.0), ("job=b", 0.0)])];
    let (state, _) = evaluate(&group, &settings, GroupState::new(&group, &settings, false), 0, one);
    let (state, seen) = evaluate(&group, &settings, state, 60, two);
    assert_eq!(seen.errors, ["exceeded limit of 1 with 2 alerts; alerts stay as they were"]);
    assert_eq!(state.rules[0].active().count(), 1, "what fired goes on firing");
    let (_, seen) = evaluate(&group, &settings, state, 120, &[("down", &[])]);
    assert_eq!(seen.alerts, [r#"{alertname="Down", job="a"} since 0 resolved @120"#]);
}

#[test]
fn two_elements_with_one_label_set_are_an_error() {
    let group = group(vec![alerting("Down", Duration::ZERO, &[], &[]), recording("r", "x", &[("job", "")])]);
    let settings = settings();
    let world: World<'_> =
        &[("down", &[("__name__=x,job=a", 0.0), ("__name__=y,job=a", 0.0)]), ("x", &[("job=a", 1.0), ("job=b", 1.0)])];
    let (state, seen) = evaluate(&group, &settings, GroupState::new(&group, &settings, false), 0, world);
    assert_eq!(
        seen.errors,
        [
            r#"vector contains metrics with the same labelset after applying alert labels: {alertname="Down", job="a"}"#,
            r#"vector contains metrics with the same labelset after applying rule labels: {__name__="r"}"#,
        ]
    );
    assert_eq!(state.rules[0].active().count(), 0);
}

#[test]
fn recorded_series_take_the_rules_labels_and_end_with_a_marker() {
    let group = group(vec![recording("job:x:sum", "x", &[("team", "{{ literal }}"), ("drop", "")])]);
    let settings = Settings { query_offset: MINUTE, ..settings() };
    let state = GroupState::new(&group, &settings, false);
    let (state, seen) =
        evaluate(&group, &settings, state, 600, &[("x", &[("__name__=x,job=a,drop=1", 2.5), ("job=b", 3.0)])]);
    assert_eq!(seen.asked, ["x @540"]);
    assert_eq!(
        seen.samples,
        [
            r#"{__name__="job:x:sum", job="a", team="{{ literal }}"} 2.5 @540"#,
            r#"{__name__="job:x:sum", job="b", team="{{ literal }}"} 3 @540"#,
        ]
    );
    let (_, seen) = evaluate(&group, &settings, state, 660, &[("x", &[("job=b", 3.0)])]);
    assert_eq!(seen.markers, [r#"{__name__="job:x:sum", job="a", team="{{ literal }}"} stale @600"#]);
}

#[test]
fn a_rule_is_asked_about_when_the_end_of_what_it_reads_is_written() {
    let group = group(vec![recording("r", "x", &[]), recording("reader", "r", &[])]);
    assert_eq!(group.dependencies.reads(1), [0]);
    let settings = settings();
    let state = GroupState::new(&group, &settings, false);
    let (state, _) = evaluate(&group, &settings, state, 0, &[("x", &[("job=a", 1.0)]), ("r", &[])]);
    let at = Timestamp::from_seconds(60);
    let mut evaluation = GroupEvaluation::new(Arc::new(group), Arc::new(settings), state, &[at]);
    let ask = evaluation.take_asks().remove(0);
    evaluation.supply(ask, Answer::Known(vec![(vector(&[]), Annotations::default())]));
    let outcomes = evaluation.take_outcomes();
    let markers: Vec<String> = outcomes[0].markers.iter().map(sample_text).collect();
    assert_eq!(markers, [r#"{__name__="r", job="a"} stale @60"#]);
    assert_eq!(evaluation.take_asks()[0].after, [0]);
}

#[test]
fn what_another_rule_of_the_group_writes_gets_no_marker() {
    let group = group(vec![recording("r", "x", &[]), recording("r", "y", &[])]);
    let settings = settings();
    let state = GroupState::new(&group, &settings, false);
    let (state, _) = evaluate(&group, &settings, state, 0, &[("x", &[("job=a", 1.0)]), ("y", &[])]);
    let (_, seen) = evaluate(&group, &settings, state, 60, &[("x", &[]), ("y", &[("job=a", 1.0)])]);
    assert_eq!(seen.samples, [r#"{__name__="r", job="a"} 1 @60"#]);
    assert!(seen.markers.is_empty(), "{seen:?}");
}

/// `ALERTS_FOR_STATE` of an alert that was pending for ten of its thirty minutes when it was last written, ten minutes ago;
/// as written by the first evaluation after the restart.
fn active_at_after_a_restart(ended: bool) -> Value {
    let group = group(vec![alerting("Down", 30 * MINUTE, &[("severity", "{{ $value }}")], &[])]);
    let settings = settings();
    let state = GroupState::new(&group, &settings, true);
    let asked = r#"ALERTS_FOR_STATE{alertname="Down"}[1h]"#;
    let at = Timestamp::from_seconds(3600);
    let mut evaluation = GroupEvaluation::new(Arc::new(group.clone()), Arc::new(settings.clone()), state, &[at]);
    let mut samples = BTreeMap::new();
    loop {
        for outcome in evaluation.take_outcomes() {
            samples.extend(outcome.samples.into_iter().map(|s| (s.labels.value(METRIC_NAME).to_owned(), s.value)));
        }
        let asks = evaluation.take_asks();
        if asks.is_empty() {
            break;
        }
        for ask in asks {
            let Need::Query { expr, times } = &ask.need;
            let value = if &**expr == asked {
                let labels = Labels::from_pairs([
                    (METRIC_NAME, "ALERTS_FOR_STATE"),
                    (ALERT_NAME, "Down"),
                    ("cluster", "eu"),
                    ("job", "a"),
                    ("severity", "0"),
                ]);
                let samples = vec![(Timestamp::from_seconds(3000), Value::Float(2400.0))];
                Evaluated::Matrix(Arc::from([Series { labels, samples }]))
            } else if expr.starts_with("ALERTS_FOR_STATE") {
                assert_eq!(times[..], [Timestamp::from_seconds(3299)], "when it is visible, unless a marker ended it");
                let visible = ("__name__=ALERTS_FOR_STATE,alertname=Down,cluster=eu,job=a,severity=0", 2400.0);
                vector(if ended { &[] } else { std::slice::from_ref(&visible) })
            } else {
                vector(&[("job=a", 0.0)])
            };
            evaluation.supply(ask, Answer::Known(vec![(value, Annotations::default())]));
        }
    }
    samples["ALERTS_FOR_STATE"].clone()
}

#[test]
fn a_restart_finds_the_for_again_whatever_storage_added() {
    assert_eq!(active_at_after_a_restart(false), Value::Float(3000.0), "twenty of thirty minutes are left");
}

#[test]
fn a_restart_does_not_find_an_alert_that_had_ended() {
    assert_eq!(active_at_after_a_restart(true), Value::Float(3600.0), "it is a new one");
}

#[test]
fn what_is_not_restored_yet_is_not_written_over() {
    let group = group(vec![alerting("Down", 30 * MINUTE, &[], &[])]);
    let settings = settings();
    let world: World<'_> = &[("down", &[("job=a", 0.0)])];
    let (state, seen) = evaluate(&group, &settings, GroupState::new(&group, &settings, true), 3600, world);
    assert_eq!(seen.asked.len(), 2);
    assert!(seen.samples.is_empty(), "the old state is still wanted: {seen:?}");
    let (_, seen) = evaluate(&group, &settings, state, 3660, world);
    assert_eq!(seen.asked.len(), 2, "asked again");
}

#[test]
fn a_reload_keeps_what_has_the_same_name_and_labels_and_resolves_the_rest() {
    let settings = settings();
    let old = group(vec![
        alerting("Kept", Duration::ZERO, &[], &[]),
        alerting("Relabelled", Duration::ZERO, &[("severity", "page")], &[]),
        recording("gone", "x", &[]),
    ]);
    let world: World<'_> = &[("kept", &[("job=a", 0.0)]), ("relabelled", &[("job=a", 0.0)]), ("x", &[("job=a", 1.0)])];
    let (state, _) = evaluate(&old, &settings, GroupState::new(&old, &settings, false), 0, world);
    let new = group(vec![
        alerting("Relabelled", Duration::ZERO, &[("severity", "ticket")], &[]),
        alerting("Kept", 60 * MINUTE, &[], &[]),
    ]);
    let (state, told) = GroupState::carried_over(&new, &settings, &old, state, Timestamp::from_seconds(30));
    let told: Vec<String> = told.iter().map(alert_text).collect();
    assert_eq!(told, [r#"{alertname="Relabelled", job="a", severity="page"} since 0 resolved @30"#]);
    let (_, seen) = evaluate(&new, &settings, state, 60, world);
    assert_eq!(
        seen.alerts,
        [
            r#"{alertname="Relabelled", job="a", severity="ticket"} since 60 firing for 4m"#,
            r#"{alertname="Kept", job="a"} since 0 resolved @60"#,
        ],
        "a longer `for` takes a firing alert back to pending, and says so"
    );
    let ended: Vec<&str> = seen.markers.iter().map(|marker| &marker[..marker.find(',').unwrap()]).collect();
    assert_eq!(
        ended,
        [r#"{__name__="ALERTS""#, r#"{__name__="ALERTS""#, r#"{__name__="ALERTS_FOR_STATE""#, r#"{__name__="gone""#,]
    );
}

#[test]
fn a_reload_that_changes_where_alerts_lead_changes_those_that_fire() {
    let group = group(vec![alerting("Down", Duration::ZERO, &[], &[])]);
    let before = settings();
    let after = Settings { generator_url: GeneratorUrl::Graph(Arc::from("http://moved")), ..settings() };
    let world: World<'_> = &[("down", &[("job=a", 0.0)])];
    let (state, _) = evaluate(&group, &before, GroupState::new(&group, &before, false), 0, world);
    let (state, seen) = evaluate(&group, &after, state, 60, world);
    assert_eq!(seen.alerts, [r#"{alertname="Down", job="a"} since 0 firing for 4m"#], "told anew");
    assert!(state.rules[0].active().all(|alert| alert.generator_url.starts_with("http://moved/graph")));
    let (_, seen) = evaluate(&group, &after, state, 120, world);
    assert!(seen.alerts.is_empty());
}

#[test]
fn many_timestamps_give_what_one_after_another_gives() {
    let group = group(vec![alerting("Down", 2 * MINUTE, &[], &[("v", "x")]), recording("r", "x", &[])]);
    let settings = settings();
    let at = |minute: i64| Timestamp::from_seconds(60 * minute);
    let times: Vec<Timestamp> = (0..20).map(at).collect();
    let present = |minute: i64| !matches!(minute, 4 | 9 | 10 | 11 | 15..);
    let value = |minute: i64| if present(minute) { vector(&[("job=a", minute as f64)]) } else { vector(&[]) };
    let run = |batches: Vec<&[Timestamp]>| {
        let (mut state, mut alerts, mut samples) = (GroupState::new(&group, &settings, false), Vec::new(), Vec::new());
        for batch in batches {
            let mut evaluation =
                GroupEvaluation::new(Arc::new(group.clone()), Arc::new(settings.clone()), state, batch);
            loop {
                for outcome in evaluation.take_outcomes() {
                    samples.extend(outcome.samples.iter().chain(&outcome.markers).map(sample_text));
                    alerts.extend(outcome.alerts.iter().map(alert_text));
                }
                samples.extend(evaluation.take_markers().iter().map(sample_text));
                let asks = evaluation.take_asks();
                if asks.is_empty() {
                    break;
                }
                for ask in asks {
                    let Need::Query { times, .. } = &ask.need;
                    let minutes = times.iter().map(|at| at.as_whole_seconds() / 60);
                    let answer = minutes.map(|minute| (value(minute), Annotations::default())).collect();
                    evaluation.supply(ask, Answer::Known(answer));
                }
            }
            state = evaluation.finish();
        }
        samples.sort();
        (alerts, samples)
    };
    let together = run(vec![&times]);
    assert_eq!(together, run(times.chunks(1).collect()));
    assert_eq!(together.0.len(), 6, "fires and resolves three times");
}
