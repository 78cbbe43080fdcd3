//! Templates and what Prometheus makes of them, errors included.

use bellwether::model::{Labels, Sample, Timestamp, Value};
use bellwether::template::{Context, Expansion, Queries, Template};

struct Answers(Vec<Sample>);

impl Queries for Answers {
    fn answer(&self, expr: &str) -> Option<Result<&[Sample], &str>> {
        Some(match expr {
            _ if expr.contains("none") => Ok(&[]),
            _ if expr.contains("error") => Err("query failed"),
            _ => Ok(&self.0),
        })
    }
}

fn expand(text: &str) -> Result<String, String> {
    let template = Template::parse("X", text).map_err(|error| format!("error parsing template __alert_X: {error}"))?;
    let labels = Labels::from_pairs([
        ("instance", "host-1.example.com:9100"),
        ("job", "node"),
        ("severity", "critical"),
        ("name", "web api"),
        ("empty", ""),
        ("mountpoint", "/data"),
    ]);
    let answers = Answers(vec![
        Sample {
            labels: Labels::from_pairs([("__name__", "metric"), ("instance", "b:9100")]),
            value: Value::Float(11.0),
        },
        Sample {
            labels: Labels::from_pairs([("__name__", "metric"), ("instance", "a:9100"), ("__value__", "sv")]),
            value: Value::Float(2.5),
        },
    ]);
    let context = Context {
        labels: &labels,
        external_labels: &Labels::from_pairs([("cluster", "eu1")]),
        external_url: "http://prom.example:9090/prefix",
        value: &Value::Float(1234.5678),
        at: Timestamp::from_millis(1_700_000_000_123),
    };
    match template.expand(&context, &answers) {
        Expansion::Done(text) => Ok(text),
        Expansion::Failed(error) => Err(error),
        Expansion::Needs(expr) => Err(format!("needs {expr}")),
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "says that it was skipped")]
fn every_golden_template_agrees() {
    let Ok(corpus) = std::env::var("BELLWETHER_CORPUS") else {
        println!("skipped: BELLWETHER_CORPUS is not set");
        return;
    };
    let path = std::path::Path::new(&corpus).join("golden/templates.jsonl");
    let goldens = std::fs::read_to_string(&path).expect("the corpus holds golden/templates.jsonl");
    let mut differences = Vec::new();
    for line in goldens.lines() {
        let golden: serde_json::Value = serde_json::from_str(line).expect("every line is JSON");
        let text = golden["template"].as_str().expect("every line has a template");
        let expect = match golden["out"].as_str() {
            Some(out) => Ok(out.to_owned()),
            None => Err(golden["error"].as_str().expect("out or error").to_owned()),
        };
        let got = expand(text);
        if got != expect {
            differences.push(format!("{text:?}\n  expected {expect:?}\n  got      {got:?}"));
        }
    }
    assert!(differences.is_empty(), "{} differ:\n{}", differences.len(), differences.join("\n"));
    assert!(goldens.lines().count() > 2000, "the corpus has lost lines");
}
