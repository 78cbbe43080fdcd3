//! Our reading of PromQL against Prometheus' own, on recorded answers of its parser.
//!
//! Numbers of known differences are pinned: they may shrink, and then the pin follows.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the tallies are worth reading")]

use std::collections::BTreeMap;

use bellwether::promql::{Features, parse, parse_with};
use serde_json::Value;

fn golden(name: &str) -> Option<Vec<Value>> {
    let Ok(corpus) = std::env::var("BELLWETHER_CORPUS") else {
        eprintln!("skipped: BELLWETHER_CORPUS is not set");
        return None;
    };
    let text = std::fs::read_to_string(format!("{corpus}/golden/{name}")).expect("the corpus has this file");
    Some(text.lines().map(|line| serde_json::from_str(line).expect("one JSON object a line")).collect())
}

const EVERYTHING: Features = Features { experimental_functions: true, fill_modifiers: true };

/// What Prometheus takes with its default features and we do not: strings that hold bytes which are not UTF-8, and an
/// offset in parentheses. Sorted.
const NOT_UNDERSTOOD_YET: &[&str] = &[
    r#""\a\b\f\n\r\t\v\\\" - \xFF\377\u1234\U00010111\U0001011111☺""#,
    r#""\xff""#,
    r"'\a\b\f\n\r\t\v\\\' - \xFF\377\u1234\U00010111\U0001011111☺'",
    r#"count_values("a\xc5z", version)"#,
    "foo offset +(5)",
    "foo offset -(1h)",
    "foo offset -(5)",
    r#"label_replace(testmetric, "\xff", "", "src", "(.*)")"#,
];

/// Duration expressions and `anchored` and `smoothed` selectors, which are experimental and not understood yet.
const EXPERIMENTS_REFUSED: usize = 265;
const MUTANTS_REFUSED: usize = 68;

#[derive(Default)]
struct Tally {
    agreed_valid: usize,
    agreed_invalid: usize,
    same_message: usize,
    wrongly_refused: Vec<String>,
    wrongly_accepted: Vec<String>,
    other_text: Vec<String>,
}

fn tally(cases: &[Value], valid: &str, features: Features) -> Tally {
    let mut tally = Tally::default();
    // Broken UTF-8 cannot be written down in JSON.
    for case in cases.iter().filter(|case| case["error"] != "invalid UTF-8 rune") {
        let expr = case["expr"].as_str().expect("`expr` is a text");
        let is_valid = case[valid].as_bool().expect("a verdict");
        match parse_with(expr, features) {
            Ok(_) if !is_valid => tally.wrongly_accepted.push(format!("{expr}   [{}]", case["error"])),
            Ok(ours) => {
                tally.agreed_valid += 1;
                let (canonical, kind) = (case["canonical"].as_str(), case["type"].as_str());
                if canonical != Some(ours.normalised()) || kind != Some(ours.value_type().as_str()) {
                    tally.other_text.push(format!("{expr}   [{}, ours: {}]", case["canonical"], ours.normalised()));
                }
            }
            Err(error) if is_valid => tally.wrongly_refused.push(format!("{expr}   [{error}]")),
            Err(error) => {
                tally.agreed_invalid += 1;
                tally.same_message += usize::from(case["error"].as_str() == Some(&error.message));
            }
        }
    }
    tally
}

impl Tally {
    fn report(&self, name: &str) {
        println!(
            "{name}: {} taken by both, {} refused by both ({} in the same words), {} wrongly refused, {} wrongly \
             taken, {} printed otherwise",
            self.agreed_valid,
            self.agreed_invalid,
            self.same_message,
            self.wrongly_refused.len(),
            self.wrongly_accepted.len(),
            self.other_text.len(),
        );
        let lists = BTreeMap::from([
            ("wrongly refused", &self.wrongly_refused),
            ("wrongly taken", &self.wrongly_accepted),
            ("printed otherwise", &self.other_text),
        ]);
        for (title, list) in lists {
            list.iter().for_each(|line| println!("  {title}: {line}"));
        }
    }
}

#[test]
fn expressions_read_as_prometheus_reads_them() {
    let Some(cases) = golden("promql-syntax.jsonl") else { return };
    let plain = tally(&cases, "ok_without_features", Features::default());
    plain.report("default features");
    assert_eq!(plain.other_text, [""; 0]);
    assert_eq!(plain.wrongly_accepted, [""; 0]);
    let mut refused: Vec<&str> = plain
        .wrongly_refused
        .iter()
        .map(|line| line.split("   [").next().expect("split gives one part at least"))
        .collect();
    refused.sort_unstable();
    refused.dedup();
    assert_eq!(refused, NOT_UNDERSTOOD_YET);
}

#[test]
fn experimental_functions_read_as_prometheus_reads_them() {
    let Some(cases) = golden("promql-syntax.jsonl") else { return };
    let all = tally(&cases, "ok", EVERYTHING);
    all.report("every feature");
    assert_eq!(all.other_text, [""; 0]);
    assert_eq!(all.wrongly_accepted, [""; 0]);
    assert_eq!(all.wrongly_refused.len(), EXPERIMENTS_REFUSED);
}

#[test]
fn damaged_expressions_are_refused_as_prometheus_refuses_them() {
    let Some(cases) = golden("promql-mutants.jsonl") else { return };
    let all = tally(&cases, "ok", EVERYTHING);
    all.report("mutants");
    assert_eq!(all.other_text, [""; 0]);
    assert_eq!(all.wrongly_accepted, [""; 0]);
    assert_eq!(all.wrongly_refused.len(), MUTANTS_REFUSED);
}

#[test]
fn hostile_expressions_are_refused_soon() {
    for hostile in [
        "(".repeat(1_000_000),
        "sum(".repeat(10_000) + "a" + &")".repeat(10_000),
        "a+".repeat(30_000) + "a",
        "-".repeat(100_000) + "a",
        "a[5m:]".to_owned() + &"[5m:]".repeat(50_000),
        "a^".repeat(5_000) + "a",
        "{".repeat(100_000),
        "a{b=\"".to_owned() + &"x".repeat(1 << 20) + "\"}",
        "x[1e40]".to_owned(),
        "x offset 1e300".to_owned(),
        "x offset -Inf".to_owned(),
        "x @ NaN".to_owned(),
        "x[5m:1e40]".to_owned(),
    ] {
        assert!(parse(&hostile).is_err(), "{}", hostile.chars().take(40).collect::<String>());
    }
    for long in [
        "a + ".repeat(399) + "a",
        "a ^ ".repeat(399) + "a",
        "-".repeat(399) + "a",
        "abs(".repeat(99) + "a" + &")".repeat(99),
        "f".to_owned() + &"{a=\"b\"} or f".repeat(399),
    ] {
        let parsed = parse(&long).expect("within the bounds");
        assert_eq!(parse(parsed.normalised()).expect("a print parses").normalised(), parsed.normalised());
    }
}
