//! Rule files of other people: the verdict of promtool 3.5 on each, and what we take beyond it.
//!
//! `BELLWETHER_CORPUS` names the directory with `EXPECTED.tsv`; without it these tests pass and say so.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a test says what it saw")]

use std::path::{Path, PathBuf};

use bellwether::diagnostic::{Finding, SourceText};
use bellwether::rules::{self, Compat, Options, Verdict};

/// Files on which our verdict differs from promtool's under `Compat::Promtool`, each with the reason.
const KNOWN: &[(&str, &str)] = &[];

struct Case {
    path: String,
    passes: bool,
    rules: Option<usize>,
}

fn corpus() -> Option<(PathBuf, Vec<Case>)> {
    let Some(root) = std::env::var_os("BELLWETHER_CORPUS").map(PathBuf::from) else {
        eprintln!("skipped: BELLWETHER_CORPUS is not set");
        return None;
    };
    let table = std::fs::read_to_string(root.join("EXPECTED.tsv")).expect("the corpus has EXPECTED.tsv");
    let mut lines = table.lines().map(|line| line.split('\t').collect::<Vec<_>>());
    let heading = lines.next().expect("a heading");
    let column = |name: &str| heading.iter().position(|cell| *cell == name).expect("a column of the heading");
    let (path, kind, verdict, rules) = (column("path"), column("kind"), column("v3_5"), column("rules"));
    let cases: Vec<Case> = lines
        .filter(|cells| cells[kind] == "rules")
        .map(|cells| Case {
            path: cells[path].to_owned(),
            passes: cells[verdict] == "pass",
            rules: cells.get(rules).and_then(|count| count.parse().ok()),
        })
        .collect();
    assert!(cases.len() > 700, "{} rule files", cases.len());
    Some((root, cases))
}

fn check(root: &Path, path: &str, compat: Compat) -> (usize, Vec<Finding>) {
    let text = std::fs::read_to_string(root.join(path)).expect("a file of the corpus is there and is UTF-8");
    let source = SourceText::new(path, text);
    let (groups, findings) = rules::parse(&source, &Options { compat, ..Options::default() });
    for finding in &findings {
        assert!(finding.place.is_some(), "{path}: a finding without place: {finding}");
        assert!(!finding.render(false).is_empty());
    }
    (groups.iter().map(|group| group.rules.len()).sum(), findings)
}

fn errors(findings: &[Finding]) -> Vec<String> {
    findings.iter().filter(|finding| finding.is_error()).map(Finding::to_string).collect()
}

#[test]
fn verdicts_are_promtools() {
    let Some((root, cases)) = corpus() else { return };
    let (mut agree, mut differ) = (0, Vec::new());
    for case in &cases {
        let (rules, findings) = check(&root, &case.path, Compat::Promtool);
        let errors = errors(&findings);
        if errors.is_empty() != case.passes {
            let expected = if case.passes { "pass" } else { "fail" };
            differ.push((case.path.as_str(), format!("expected {expected}: {}", errors.join(" | "))));
            continue;
        }
        agree += 1;
        if let (true, Some(expected)) = (case.passes, case.rules) {
            assert_eq!(rules, expected, "{}: number of rules", case.path);
        }
    }
    println!("{agree} agree, {} differ", differ.len());
    for (path, what) in &differ {
        println!("  {path}: {what}");
    }
    let differ: Vec<&str> = differ.into_iter().map(|(path, _)| path).collect();
    let known: Vec<&str> = KNOWN.iter().map(|(path, _)| *path).collect();
    assert_eq!(differ, known, "files that differ, and those that are known to");
}

/// `docs/rule-files.md` lists, file by file, what we take and promtool refuses.
#[test]
fn what_is_taken_beyond_promtool_is_documented() {
    let Some((root, cases)) = corpus() else { return };
    let mut rows = Vec::new();
    for case in cases.iter().filter(|case| !case.passes) {
        let (rules, findings) = check(&root, &case.path, Compat::Native);
        if !errors(&findings).is_empty() || KNOWN.iter().any(|(path, _)| *path == case.path) {
            continue;
        }
        let (_, refusals) = check(&root, &case.path, Compat::Promtool);
        let reason = reason(&refusals);
        rows.push(format!("| `{}` | {rules} | {reason} |", case.path));
    }
    // The other way round nothing may be lost: what promtool takes, we take.
    for case in cases.iter().filter(|case| case.passes && !KNOWN.iter().any(|(path, _)| *path == case.path)) {
        let (rules, findings) = check(&root, &case.path, Compat::Native);
        assert_eq!(errors(&findings), Vec::<String>::new(), "{}: promtool takes it", case.path);
        let (of_first_document, _) = check(&root, &case.path, Compat::Promtool);
        if rules != of_first_document {
            let reason = format!("promtool reads only its first document, with {of_first_document} rules");
            rows.push(format!("| `{}` | {rules} | {reason} |", case.path));
        }
    }
    let table = format!("| file | rules | taken although |\n|---|--:|---|\n{}\n", rows.join("\n"));
    println!("{table}");
    assert!(docs().contains(&table), "docs/rule-files.md has to hold this table:\n{table}");
}

/// Prometheus' own fixtures for its dependency analysis: for each rule, the earlier rules it reads.
#[test]
fn dependencies_are_prometheus() {
    let Some((root, _)) = corpus() else { return };
    for (file, expected) in [
        ("rules_dependencies.yaml", ". 0"),
        ("rules_chain.yaml", ". . 0 2 2 3 3"),
        ("rules_multiple_dependents_on_base.yaml", ". 0 0 0 . 4 4 4"),
        ("rules_multiple_independent.yaml", ". . . . . . . ."),
        ("rules_indeterminates.yaml", ". 0 0,1 0,1,2 0,1,2,3 0,1,2,3,4 0,1,2,3,4,5"),
    ] {
        let text = std::fs::read_to_string(root.join("rules-fixtures").join(file)).expect("a fixture is there");
        let (groups, _) = rules::parse(&SourceText::new(file, text), &Options::default());
        let group = groups.first().expect("a group");
        let reads = (0..group.rules.len()).map(|rule| match group.dependencies.reads(rule) {
            [] => ".".to_owned(),
            earlier => earlier.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
        });
        assert_eq!(reads.collect::<Vec<_>>().join(" "), expected, "{file}");
        assert_eq!(group.dependencies.is_indeterminate(), file.contains("indeterminates"), "{file}");
    }
}

/// The table of fields in the docs is the table in the code.
#[test]
fn fields_of_others_are_documented() {
    let rows = rules::FIELDS.iter().filter(|field| field.verdict != Verdict::Read).map(|field| {
        let verdict = match field.verdict {
            Verdict::Read => unreachable!("filtered out"),
            Verdict::Means(name) => format!("read as `{name}`"),
            Verdict::Only(value) => format!("`{value}` is taken, all else refused"),
            Verdict::PassedOver => "passed over, with an info".to_owned(),
            Verdict::Refused => "refused".to_owned(),
        };
        format!("| {} | `{}` | {} | {verdict} | {} |", field.level.as_str(), field.name, field.origin, field.reason)
    });
    let rows: Vec<String> = rows.collect();
    let table = format!("| in a | field | of | verdict | because |\n|---|---|---|---|---|\n{}\n", rows.join("\n"));
    assert!(docs().contains(&table), "docs/rule-files.md has to hold this table:\n{table}");
}

fn docs() -> String {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/rule-files.md");
    std::fs::read_to_string(docs).expect("docs/rule-files.md is there")
}

/// The kinds of fault that promtool's verdict rests on, each once.
fn reason(refusals: &[Finding]) -> String {
    let mut reasons: Vec<String> = Vec::new();
    for finding in refusals.iter().filter(|finding| finding.is_error()) {
        let message = &finding.message;
        let field = message.split("field ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap_or_default();
        let reason = match field {
            "apiVersion" | "kind" | "metadata" | "spec" => "it is a `PrometheusRule` object".to_owned(),
            _ if message.contains("not found in type") => format!("it has the field `{field}`"),
            _ => message.clone(),
        };
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    reasons.join(", ")
}
