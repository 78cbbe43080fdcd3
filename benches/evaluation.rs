//! One evaluation of a rule with 100,000 alerts: from the parsed answer to the outcome.
//!
//! Run with `cargo bench --bench evaluation`. Times are those of this thread on the processor, where the system tells
//! them (see `Stopwatch`). What each alert takes of memory is told by `cargo bench --bench memory`.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use bellwether::evaluation::{GroupState, Settings};
use bellwether::model::{Labels, LabelsBuilder, Timestamp};
use bellwether::relabel::{RelabelRule, RelabelSpec, relabel};
use bellwether::rules::Group;
use common::{Stopwatch, group, samples, settings, tick};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

mod common;

const ALERTS: usize = 100_000;
const MINUTE: Duration = Duration::from_secs(60);

/// What happens between two evaluations.
#[derive(Clone, Copy)]
enum Change {
    /// Nothing.
    None,
    /// Each value, and with it each annotation.
    Values,
    /// The answer is empty in the second.
    Gone,
}

struct Case {
    name: &'static str,
    rule: &'static str,
    /// Evaluations before the one that is measured.
    before: usize,
    change: Change,
}

const ANNOTATION: &str = "annotations: {summary: '{{ $labels.instance }} is at {{ $value | humanize }}'}";

const CASES: [Case; 8] = [
    Case { name: "firing, nothing new", rule: "alert: A", before: 2, change: Change::None },
    Case { name: "firing, new values", rule: "alert: A", before: 2, change: Change::Values },
    Case { name: "new, pending", rule: "alert: A, for: 5m", before: 0, change: Change::None },
    Case { name: "new, firing", rule: "alert: A", before: 0, change: Change::None },
    Case { name: "pending, nothing new", rule: "alert: A, for: 1h", before: 2, change: Change::None },
    Case { name: "pending to firing", rule: "alert: A, for: 1m", before: 1, change: Change::None },
    Case { name: "firing to resolved", rule: "alert: A", before: 2, change: Change::Gone },
    Case {
        name: "firing, label template",
        rule: "alert: A, labels: {severity: page, where: '{{ $labels.namespace }}/{{ $labels.pod }}'}",
        before: 2,
        change: Change::None,
    },
];

fn ticks(criterion: &mut Criterion) {
    let settings = Arc::new(settings());
    let mut benches = criterion.benchmark_group(format!("tick/{ALERTS}"));
    benches.sample_size(10).warm_up_time(Duration::from_millis(1)).measurement_time(Duration::from_secs(3));
    benches.throughput(Throughput::Elements(ALERTS as u64));
    for case in CASES {
        let group = group(&format!("{{{}, expr: up, {ANNOTATION}}}", case.rule));
        benches.bench_function(case.name, |bencher| {
            bencher.iter_custom(|count| (0..count).map(|_| one(&case, &group, &settings)).sum());
        });
    }
    let group = group("{record: 'a:b', expr: up, labels: {team: x}}");
    let case = Case { name: "recording", rule: "", before: 1, change: Change::Values };
    benches.bench_function(case.name, |bencher| {
        bencher.iter_custom(|count| (0..count).map(|_| one(&case, &group, &settings)).sum());
    });
    benches.finish();
}

/// The time of one evaluation. Every answer is read anew, as it is from a source: its label sets are nobody else's.
fn one(case: &Case, group: &Arc<Group>, settings: &Arc<Settings>) -> Duration {
    let mut at = Timestamp::from_seconds(1_700_000_000);
    let mut state = GroupState::new(group, settings, false);
    for _ in 0..case.before {
        let (next, outcomes) = tick(group, settings, state, at, samples(ALERTS, 0.0).into());
        assert!(outcomes.iter().all(|outcome| outcome.error.is_none()), "{outcomes:?}");
        (state, at) = (next, at + MINUTE);
    }
    let answer = match case.change {
        Change::None => samples(ALERTS, 0.0),
        Change::Values => samples(ALERTS, 1.0),
        Change::Gone => Vec::new(),
    };
    let answer = answer.into();
    let stopwatch = Stopwatch::start();
    let (state, outcomes) = tick(group, settings, state, at, answer);
    let took = stopwatch.read();
    drop(black_box((state, outcomes)));
    took
}

/// The steps that each label set goes through, one by one.
fn label_sets(criterion: &mut Criterion) {
    let sample = &samples(1, 0.0)[0];
    let labels = &sample.labels;
    criterion.bench_function("labels/from sorted pairs", |b| b.iter(|| Labels::from_pairs(black_box(labels).iter())));
    criterion.bench_function("labels/set two, remove one", |b| {
        b.iter(|| {
            let mut builder = LabelsBuilder::new(black_box(labels));
            builder.remove("__name__");
            builder.set("alertname", "A");
            builder.set("severity", "page");
            builder.finish()
        });
    });
    criterion.bench_function("labels/fingerprint", |b| b.iter(|| black_box(labels).fingerprint()));
    let rule = |spec: RelabelSpec| RelabelRule::new(spec).expect("the rule is good");
    let rules = [
        rule(RelabelSpec {
            regex: Some("prometheus_replica".into()),
            action: Some("labeldrop".into()),
            ..RelabelSpec::default()
        }),
        rule(RelabelSpec {
            source_labels: Some(vec!["namespace".into()]),
            regex: Some("team-(.+)".into()),
            target_label: Some("team".into()),
            ..RelabelSpec::default()
        }),
    ];
    criterion.bench_function("labels/relabel by two rules", |b| b.iter(|| relabel(&rules, black_box(labels))));
}

criterion_group!(benches, ticks, label_sets);
criterion_main!(benches);
