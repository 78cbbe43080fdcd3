//! Expansion of annotation templates, one alert at a time.

use std::hint::black_box;

use bellwether::model::{Labels, Sample, Timestamp, Value};
use bellwether::template::{Context, Queries, Template};
use criterion::{Criterion, criterion_group, criterion_main};

struct NoQueries;

impl Queries for NoQueries {
    fn answer(&self, _: &str) -> Option<Result<&[Sample], &str>> {
        None
    }
}

/// Name and text; all but the first and the last are from awesome-prometheus-alerts or close to it.
const TEMPLATES: [(&str, &str); 5] = [
    ("instance_and_value", "{{ $labels.instance }} is at {{ $value | humanize }}"),
    (
        "labels",
        "Host out of memory (instance {{ $labels.instance }})\n  VALUE = {{ $value }}\n  LABELS = {{ $labels }}",
    ),
    ("percentage", "{{ $labels.job }} on {{ $labels.instance }} has {{ $value | humanizePercentage }} errors"),
    (
        "branches",
        "{{ if gt $value 1000.0 }}very {{ else if gt $value 100.0 }}quite {{ end }}slow: {{ printf \"%.2f\" $value }}s",
    ),
    ("plain", "The host has been down for five minutes."),
];

fn expansion(c: &mut Criterion) {
    let labels = Labels::from_pairs([
        ("__name__", "node_memory_MemAvailable_bytes"),
        ("instance", "host-1.example.com:9100"),
        ("job", "node"),
        ("severity", "critical"),
        ("team", "storage"),
    ]);
    let context = Context {
        labels: &labels,
        external_labels: &Labels::from_pairs([("cluster", "eu1")]),
        external_url: "http://prometheus.example.com",
        value: &Value::Float(1234.5678),
        at: Timestamp::from_seconds(1_700_000_000),
    };
    for (name, text) in TEMPLATES {
        let template = Template::parse("Bench", text).expect("the template is good");
        c.bench_function(&format!("template/expand/{name}"), |b| {
            b.iter(|| template.expand(black_box(&context), &NoQueries));
        });
    }
    c.bench_function("template/parse/branches", |b| b.iter(|| Template::parse("Bench", black_box(TEMPLATES[3].1))));
}

criterion_group!(benches, expansion);
criterion_main!(benches);
