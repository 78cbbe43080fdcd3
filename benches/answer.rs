//! Reading an instant answer of 10,000 series: ours, and serde_json into typed structs.
//!
//! Run with `cargo bench --bench answer`; the figure to look at is the throughput.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::hint::black_box;

use bellwether::model::{Labels, Sample, Value};
use bellwether::sources::AnswerParser;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use serde::Deserialize;

const SERIES: usize = 10_000;
/// As they come from a connection.
const CHUNK_BYTES: usize = 16 << 10;

/// What kube-state-metrics and cAdvisor series look like, sorted by label name as Prometheus writes them.
fn kubernetes() -> String {
    answer(|index, text| {
        let (node, pod, container) = (index % 97, index / 3, ["app", "sidecar", "istio-proxy"][index % 3]);
        let _ = write!(
            text,
            r#""__name__":"container_memory_working_set_bytes","container":"{container}","endpoint":"https-metrics","id":"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{index:08x}.slice","image":"registry.example.com/team/{container}:v1.{node}.3","instance":"10.12.{node}.7:10250","job":"kubelet","metrics_path":"/metrics/cadvisor","namespace":"team-{}","node":"node-{node}.eu-west-1.compute.internal","pod":"checkout-{pod:06x}-7d9f8b6c5-x2x{node}","service":"kube-prometheus-kubelet""#,
            index % 31,
        );
    })
}

/// What node exporter series look like.
fn node() -> String {
    answer(|index, text| {
        let mode = ["idle", "iowait", "irq", "nice", "softirq", "steal", "system", "user"][index % 8];
        let _ = write!(
            text,
            r#""__name__":"node_cpu_seconds_total","cpu":"{}","instance":"10.0.{}.{}:9100","job":"node","mode":"{mode}""#,
            index / 8 % 64,
            index / 512 / 250,
            index / 512 % 250,
        );
    })
}

fn answer(labels: impl Fn(usize, &mut String)) -> String {
    let mut text = r#"{"status":"success","data":{"resultType":"vector","result":["#.to_owned();
    for index in 0..SERIES {
        text.push_str(if index == 0 { r#"{"metric":{"# } else { r#",{"metric":{"# });
        labels(index, &mut text);
        let _ = write!(text, r#"}},"value":[1435781451.781,"{}"]}}"#, index as f64 * 12345.678);
    }
    text.push_str("]}}");
    text
}

fn ours(json: &str) -> usize {
    let mut parser = AnswerParser::new(1 << 30, Labels::empty());
    for chunk in json.as_bytes().chunks(CHUNK_BYTES) {
        parser.push(chunk).expect("the answer is good");
    }
    match parser.finish().expect("the answer is whole") {
        (bellwether::model::Evaluated::Vector(samples), _) => samples.len(),
        other => panic!("{other:?}"),
    }
}

#[derive(Deserialize)]
struct Envelope<L> {
    data: Data<L>,
}

#[derive(Deserialize)]
struct Data<L> {
    result: Vec<Element<L>>,
}

#[derive(Deserialize)]
struct Element<L> {
    metric: L,
    value: (f64, String),
}

/// The struct that one would write first.
fn serde_typed(json: &str) -> usize {
    let envelope: Envelope<BTreeMap<String, String>> = serde_json::from_str(json).expect("the answer is good");
    let values = envelope.data.result.iter().map(|element| element.value.1.parse::<f64>().expect("a number"));
    black_box(values.sum::<f64>());
    envelope.data.result.len()
}

/// The same, ending in our own samples.
fn serde_to_samples(json: &str) -> usize {
    let envelope: Envelope<BTreeMap<String, String>> = serde_json::from_str(json).expect("the answer is good");
    let samples: Vec<Sample> = envelope
        .data
        .result
        .into_iter()
        .map(|element| Sample {
            labels: Labels::from_pairs(&element.metric),
            value: Value::Float(element.value.1.parse().expect("a number")),
        })
        .collect();
    samples.len()
}

fn bench(criterion: &mut Criterion) {
    for (name, json) in [("kubernetes", kubernetes()), ("node", node())] {
        let mut group = criterion.benchmark_group(format!("answer/{name}"));
        group.throughput(Throughput::Bytes(json.len() as u64));
        group.sample_size(30);
        for (reader, read) in [
            ("ours", ours as fn(&str) -> usize),
            ("serde_json typed", serde_typed),
            ("serde_json to samples", serde_to_samples),
        ] {
            assert_eq!(read(&json), SERIES);
            group.bench_function(reader, |bencher| bencher.iter(|| read(black_box(&json))));
        }
        group.finish();
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
