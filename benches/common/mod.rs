//! What the benches of evaluation share.

#![allow(dead_code, reason = "no bench uses all of it")]

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bellwether::alerting::RESOLVED_RETENTION;
use bellwether::diagnostic::SourceText;
use bellwether::evaluation::{GeneratorUrl, GroupEvaluation, GroupState, RuleOutcome, Settings};
use bellwether::model::{Annotations, Answer, Evaluated, Labels, LabelsPacker, Sample, Timestamp, Value};
use bellwether::rules::{self, Group};

/// Time of this thread on the processor, so that what else runs on the machine does not count; wall time where the
/// system does not tell.
pub(crate) struct Stopwatch {
    on_processor: Option<Duration>,
    wall: Instant,
}

impl Stopwatch {
    pub(crate) fn start() -> Stopwatch {
        Stopwatch { on_processor: on_processor(), wall: Instant::now() }
    }

    pub(crate) fn read(&self) -> Duration {
        match (self.on_processor, on_processor()) {
            (Some(start), Some(end)) => end.saturating_sub(start),
            _ => self.wall.elapsed(),
        }
    }
}

/// Linux keeps it up to date from one to four milliseconds, unless the thread has just been switched.
fn on_processor() -> Option<Duration> {
    std::thread::yield_now();
    let text = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(Duration::from_nanos(text.split(' ').next()?.parse().ok()?))
}

pub(crate) fn settings() -> Settings {
    let minute = Duration::from_secs(60);
    Settings {
        source: Arc::from("default"),
        interval: minute,
        query_offset: Duration::ZERO,
        external_labels: Labels::from_pairs([("cluster", "eu")]),
        source_labels: Labels::empty(),
        external_url: Arc::from("http://bellwether.example.com:9595"),
        generator_url: GeneratorUrl::Graph(Arc::from("http://prometheus.example.com:9090")),
        resend_delay: minute,
        resolved_retention: RESOLVED_RETENTION,
        outage_tolerance: 60 * minute,
        grace_period: 10 * minute,
    }
}

/// A group of one rule, given in YAML's flow style.
pub(crate) fn group(rule: &str) -> Arc<Group> {
    let text = format!("groups: [{{name: bench, rules: [{rule}]}}]");
    let (mut groups, findings) = rules::parse(&SourceText::new("bench.yml", text), &rules::Options::default());
    assert!(findings.is_empty(), "{findings:?}");
    Arc::new(groups.remove(0))
}

/// What a source's answer is parsed to: container series as a Kubernetes cluster has them, about 210 bytes of labels each.
pub(crate) fn samples(count: usize, offset: f64) -> Vec<Sample> {
    let mut packer = LabelsPacker::default();
    (0..count)
        .map(|index| {
            packer.push("__name__", "container_memory_working_set_bytes");
            packer.push("container", ["app", "sidecar", "istio-proxy"][index % 3]);
            packer.push("endpoint", "https-metrics");
            packer.push("instance", &format!("10.12.{}.{}:10250", index / 250 % 250, index % 250));
            packer.push("job", "kubelet");
            packer.push("namespace", &format!("team-{}", index % 31));
            packer.push("node", &format!("node-{}.eu-west-1.compute.internal", index % 97));
            packer.push("pod", &format!("checkout-{:06x}-7d9f8b6c5-x2x{}", index / 3, index % 97));
            Sample { labels: packer.finish(), value: Value::Float(index as f64 * 12_345.678 + offset * 1e9) }
        })
        .collect()
}

/// One evaluation, from the parsed answer to the outcome.
pub(crate) fn tick(
    group: &Arc<Group>,
    settings: &Arc<Settings>,
    state: GroupState,
    at: Timestamp,
    answer: Arc<[Sample]>,
) -> (GroupState, Vec<RuleOutcome>) {
    let mut evaluation = GroupEvaluation::new(group.clone(), settings.clone(), state, &[at]);
    let mut asks = evaluation.take_asks();
    let ask = asks.pop().expect("one rule asks once");
    evaluation.supply(ask, Answer::Known(vec![(Evaluated::Vector(answer), Annotations::default())]));
    let outcomes = evaluation.take_outcomes();
    (evaluation.finish(), outcomes)
}
