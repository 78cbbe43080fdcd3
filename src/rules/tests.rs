//! Tables: texts of rule files and what is found in them.

use super::*;
use crate::diagnostic::Severity;
use proptest::prelude::*;

fn parse_with(text: &str, options: Options) -> (Vec<Group>, Vec<Finding>) {
    parse(&SourceText::new("rules.yml", text), &options)
}

/// `line:column: message` of each finding of a severity.
fn said(text: &str, compat: Compat, severity: Severity) -> Vec<String> {
    let (_, findings) = parse_with(text, Options { compat, ..Options::default() });
    let told = findings.into_iter().filter(|finding| finding.severity == severity);
    told.map(|finding| {
        let shown = Finding { help: None, ..finding }.to_string();
        shown.strip_prefix("rules.yml:").unwrap_or(&shown).to_owned()
    })
    .collect()
}

fn errors(text: &str, compat: Compat) -> Vec<String> {
    said(text, compat, Severity::Error)
}

/// A rule of group `g`, given as the lines of its mapping.
fn one_rule(lines: &str) -> String {
    format!("groups:\n- name: g\n  rules:\n  - {}\n", lines.replace('\n', "\n    "))
}

#[test]
fn every_field_arrives() {
    let text = r#"
groups:
  - name: example
    interval: 90s
    query_offset: 0s
    limit: 5
    labels: {team: a, severity: none}
    rules:
      - record: job:up:sum
        expr: 1
      - alert: Down
        expr: |
          up == 0
        for: 5m
        keep_firing_for: 1h30m
        labels:
          severity: 010
          empty:
        annotations: {summary: "{{ $labels.instance }}", zero: 1e3}
"#;
    let (groups, findings) = parse_with(text, Options::default());
    assert_eq!(findings, []);
    let group = &groups[0];
    assert_eq!((&*group.name, &*group.file), ("example", "rules.yml"));
    assert_eq!(group.interval.unwrap().as_secs(), 90);
    assert_eq!(group.query_offset.unwrap().as_secs(), 0);
    assert_eq!(group.limit, Some(5));
    let [record, alert] = &group.rules[..] else { panic!("two rules") };
    assert_eq!((&*record.name, &**record.expr.text(), record.line), ("job:up:sum", "1", 9));
    assert!(record.alerting().is_none());
    assert_eq!(record.labels.to_string(), r#"{severity="none", team="a"}"#);
    assert_eq!((&*alert.name, &**alert.expr.text(), alert.line), ("Down", "up == 0\n", 11));
    assert_eq!(alert.labels.to_string(), r#"{empty="", severity="010", team="a"}"#);
    let alerting = alert.alerting().unwrap();
    assert_eq!((alerting.hold_duration.as_secs(), alerting.keep_firing_for.as_secs()), (300, 5400));
    assert_eq!(alerting.annotations.to_string(), r#"{summary="{{ $labels.instance }}", zero="1e3"}"#);
    let names = |templates: &[(Arc<str>, crate::template::Template)]| {
        templates.iter().map(|(name, template)| format!("{name}={}", template.text())).collect::<Vec<_>>()
    };
    assert_eq!(names(&alerting.label_templates), ["empty=", "severity=010", "team=a"]);
    assert_eq!(names(&alerting.annotation_templates), ["summary={{ $labels.instance }}", "zero=1e3"]);
}

#[test]
fn faults_of_a_rule_have_prometheus_words_and_the_place() {
    for (rule, expected) in [
        (
            "record: a\nalert: b\nexpr: 1",
            "5:12: group \"g\", rule 1, \"b\": only one of 'record' and 'alert' must be set",
        ),
        ("expr: 1", "4:5: group \"g\", rule 1, \"\": one of 'record' or 'alert' must be set"),
        ("alert: ~\nexpr: 1", "4:5: group \"g\", rule 1, \"\": one of 'record' or 'alert' must be set"),
        ("alert: a", "4:5: group \"g\", rule 1, \"a\": field 'expr' must be set in rule"),
        ("alert: a\nexpr: ''", "5:11: group \"g\", rule 1, \"a\": field 'expr' must be set in rule"),
        (
            "record: a\nexpr: 1\nannotations: {a: b}",
            "6:5: group \"g\", rule 1, \"a\": invalid field 'annotations' in recording rule",
        ),
        ("record: a\nexpr: 1\nfor: 1m", "6:10: group \"g\", rule 1, \"a\": invalid field 'for' in recording rule"),
        (
            "record: a\nexpr: 1\nkeep_firing_for: 1m",
            "6:22: group \"g\", rule 1, \"a\": invalid field 'keep_firing_for' in recording rule",
        ),
        (
            "record: a{b=\"c\"}\nexpr: 1",
            "4:13: group \"g\", rule 1, \"a{b=\\\"c\\\"}\": braces present in the recording rule name; should it be in expr?: a{b=\"c\"}",
        ),
        ("alert: a\nexpr: 1\nlabels: {__name__: x}", "6:14: group \"g\", rule 1, \"a\": invalid label name: __name__"),
        ("alert: a\nexpr: 1\nannotations: {'': x}", "6:19: group \"g\", rule 1, \"a\": invalid annotation name: "),
        (
            "alert: a\nexpr: 1\nfor: 60",
            "6:10: group \"g\", rule 1, \"a\": field 'for': not a valid duration string: \"60\"",
        ),
        ("alert: a\nexpr: 1\nfor: ''", "6:10: group \"g\", rule 1, \"a\": field 'for': empty duration string"),
        ("alert: a\nexpr: [1]", "5:11: group \"g\", rule 1, \"a\": cannot unmarshal !!seq into string"),
        (
            "alert: a\nexpr: 1\nlabels: x",
            "6:13: group \"g\", rule 1, \"a\": cannot unmarshal !!str `x` into map[string]string",
        ),
        ("alert: a\nexpr: 1\nlabels: {a: {}}", "6:17: group \"g\", rule 1, \"a\": cannot unmarshal !!map into string"),
        (
            "alert: a\nexpr: 1\nannotation: {}",
            "6:5: group \"g\", rule 1, \"a\": field annotation not found in type rulefmt.Rule",
        ),
        ("alert: a\nexpr: 1\nalert: a", "6:5: mapping key \"alert\" already defined at line 4"),
        ("alert: a\nexpr: *x", "5:11: yaml: unknown anchor 'x' referenced"),
        ("alert: a\nexpr: 1\n<<: 5", "6:9: yaml: map merge requires map or sequence of maps as the value"),
    ] {
        for compat in [Compat::Promtool, Compat::Native] {
            assert_eq!(errors(&one_rule(rule), compat), [expected], "{rule}");
        }
    }
}

#[test]
fn faults_of_expressions_stand_where_they_are() {
    for (lines, at) in [
        ("expr: rate(up)", "5:11: group \"g\", rule 1, \"a\": could not parse expression: expected type range vector"),
        ("expr: |\n  sum(\n    up{a=~\"(\"}\n  )", "7:15: "),
        ("expr: >-\n  up\n\n  and up{a=~\"(\"}", "8:17: "),
        ("expr: 'up{a=\"it''s\"} and up{a=~\"(\"}'", "5:36: "),
        ("expr: \"up{a=\\\"b\\\"} and up{a=~\\\"(\\\"}\"", "5:34: "),
    ] {
        let found = errors(&one_rule(&format!("alert: a\n{lines}")), Compat::Native);
        assert!(found.len() == 1 && found[0].starts_with(at), "{lines}: {found:?}");
    }
}

#[test]
fn faults_of_templates_stand_where_they_are() {
    for (lines, at) in [
        ("annotations:\n  summary: \"it\\tis {{ $labls.job }}\"", "7:"),
        ("annotations:\n  summary: |\n    first\n    it is {{ $labls.job }}", "9:"),
        ("labels: {a: '{{ nosuch }}'}", "6:"),
    ] {
        let text = one_rule(&format!("alert: a\nexpr: 1\n{lines}"));
        for compat in [Compat::Promtool, Compat::Native] {
            let found = errors(&text, compat);
            assert!(found.len() == 1 && found[0].starts_with(at), "{text}: {found:?}");
            assert!(found[0].contains(": template: __alert_a:"), "{found:?}");
        }
        assert_eq!(
            errors(&text.replace("alert: a", "record: a").replace("annotations", "labels"), Compat::Native).len(),
            0
        );
    }
    let text = "groups:\n- name: g\n  labels: {a: '{{'}\n  rules:\n  - {alert: a, expr: 1}\n  - {alert: b, expr: 1}\n";
    assert_eq!(errors(text, Compat::Native).len(), 1, "once for all rules");
    assert_eq!(errors(text, Compat::Promtool).len(), 0);
    assert_eq!(said(text, Compat::Promtool, Severity::Warning).len(), 1);
}

#[test]
fn all_faults_are_told_at_once() {
    let text = "\
groups:
- name: g
  interval: 5
  limt: 1
  rules:
  - record: a
    expr: 1
    for: 1m
    labels: {__name__: x}
  - alert:
- name: g
  rules: {}
- rules: [5]
---
groups: @
";
    assert_eq!(
        errors(text, Compat::Native),
        [
            "3:13: group \"g\": field 'interval': not a valid duration string: \"5\"",
            "4:3: group \"g\": field limt not found in type rulefmt.RuleGroup",
            "8:10: group \"g\", rule 1, \"a\": invalid field 'for' in recording rule",
            "9:14: group \"g\", rule 1, \"a\": invalid label name: __name__",
            "10:5: group \"g\", rule 2, \"\": field 'expr' must be set in rule",
            "10:5: group \"g\", rule 2, \"\": one of 'record' or 'alert' must be set",
            "11:9: groupname: \"g\" is repeated in the same file",
            "12:10: group \"g\": cannot unmarshal !!map into []rulefmt.Rule",
            "13:3: Groupname must not be empty",
            "13:11: cannot unmarshal !!int `5` into rulefmt.Rule",
            "15:9: yaml: unexpected character: `@'",
        ]
    );
    assert_eq!(errors(text, Compat::Promtool).len(), 10, "promtool does not see the second document");
}

#[test]
fn odd_but_good_files_are_taken() {
    for (text, rules) in [
        ("", 0),
        ("# nothing\n", 0),
        ("groups:\n", 0),
        ("groups: []", 0),
        ("{\"groups\": [{\"name\": \"g\", \"rules\": [{\"alert\": \"a\", \"expr\": \"1\"}]}]}", 1),
        ("\u{feff}groups: [{name: g}]\r\n", 0),
        ("groups: [~, {name: g, rules: [~, {record: a, expr: 1, for: 0s}, ~]}]", 1),
        ("groups: [{name: g, limit: -1, interval: 0}, {name: 5, limit: 0x10, query_offset: }]", 0),
        ("groups: [{name: g, rules: [{record: a é, expr: 1, labels: {é: x, ~: y}}]}]", 1),
        (
            "groups:\n- name: g\n  rules:\n  - &base\n    alert: a\n    expr: &e up\n    labels: &l {a: b}\n  - <<: *base\n    alert: b\n    expr: *e\n  - <<: [{expr: 2}, *base]\n    labels: {<<: *l, c: d}\n",
            3,
        ),
    ] {
        for compat in [Compat::Promtool, Compat::Native] {
            let (groups, findings) = parse_with(text, Options { compat, ..Options::default() });
            assert!(!findings.iter().any(Finding::is_error), "{text}: {findings:?}");
            assert_eq!(groups.iter().map(|group| group.rules.len()).sum::<usize>(), rules, "{text}");
        }
    }
}

#[test]
fn merged_keys_lose_against_own_ones() {
    let text = "groups:\n- name: g\n  rules:\n  - &base {alert: a, expr: 1, for: 1m, labels: {x: y}}\n  - {<<: *base, for: 2m}\n  - {<<: [{for: 3m}, *base]}\n";
    let (groups, findings) = parse_with(text, Options::default());
    assert_eq!(findings, []);
    let holds: Vec<u64> = groups[0].rules.iter().map(|r| r.alerting().unwrap().hold_duration.as_secs()).collect();
    assert_eq!(holds, [60, 120, 180]);
    assert!(groups[0].rules.iter().all(|rule| rule.labels.get("x") == Some("y")));
}

#[test]
fn fields_of_others_have_their_verdict() {
    let group = |field: &str| format!("groups:\n- name: g\n  {field}\n");
    for (field, severity, part) in [
        ("partial_response_strategy: ABORT", None, ""),
        ("partial_response_strategy: warn", Some(Severity::Error), "can only be `abort`"),
        ("concurrency: 4", Some(Severity::Info), "run concurrently anyway"),
        ("type: graphite", Some(Severity::Error), "can only be `prometheus`"),
        ("type: prometheus", None, ""),
        ("eval_offset: 5m", Some(Severity::Error), "not supported"),
        ("source_tenants: [a, b]", Some(Severity::Error), "said by a source"),
        ("limit: 1.5", Some(Severity::Error), "a whole number is wanted"),
        ("limit: '5'", Some(Severity::Error), "cannot unmarshal !!str `5` into int"),
    ] {
        let (_, findings) = parse_with(&group(field), Options::default());
        let found = findings.first().map(|finding| finding.severity);
        assert_eq!((findings.len(), found), (usize::from(severity.is_some()), severity), "{field}: {findings:?}");
        assert!(severity.is_none() || findings[0].message.contains(part), "{field}: {findings:?}");
        let quirk = field == "limit: 1.5";
        assert_eq!(errors(&group(field), Compat::Promtool).is_empty(), quirk, "{field}");
    }
    let (groups, _) = parse_with(&group("eval_delay: 30s"), Options::default());
    assert_eq!(groups[0].query_offset.unwrap().as_secs(), 30);
    let twice = errors(&group("eval_delay: 30s\n  query_offset: 1m"), Compat::Native);
    assert_eq!(twice, ["4:17: group \"g\": the query offset is given twice, under two names"]);
    let (groups, findings) =
        parse_with(&group("colour: red"), Options { ignore_unknown_fields: true, ..Options::default() });
    assert_eq!((groups.len(), findings.len()), (1, 0));
    let text = one_rule("alert: a\nexpr: 1\ninterval: 5m");
    let (_, findings) = parse_with(&text, Options::default());
    assert_eq!(findings[0].help.as_deref(), Some("it belongs to a group, not to a rule"));
}

#[test]
fn objects_of_the_operator_are_read() {
    let object = |name: &str| {
        format!(
            "apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata: {{name: x}}\nspec:\n  groups:\n  - name: {name}\n    rules: [{{record: a, expr: 1}}]\n"
        )
    };
    let list = format!(
        "apiVersion: v1\nkind: List\nitems:\n- {}- apiVersion: v1\n  kind: ConfigMap\n",
        object("c").replace('\n', "\n  ").trim_end_matches(' ')
    );
    let text = format!(
        "{}---\n{}---\napiVersion: v1\nkind: Service\n---\n{list}---\ngroups: [{{name: d}}]\n",
        object("a"),
        object("b")
    );
    let (groups, findings) = parse_with(&text, Options::default());
    let names: Vec<&str> = groups.iter().map(|group| &*group.name).collect();
    assert_eq!(names, ["a", "b", "c", "d"]);
    let infos: Vec<&str> = findings.iter().map(|finding| &*finding.message).collect();
    assert_eq!(
        infos,
        [
            "object of kind Service is passed over: it holds no rules",
            "object of kind ConfigMap is passed over: it holds no rules"
        ]
    );
    let refused = errors(&object("a"), Compat::Promtool);
    assert_eq!(refused[0], "1:1: field apiVersion not found in type rulefmt.RuleGroups");
    let twice = errors(&format!("{}---\n{}", object("a"), object("a")), Compat::Native);
    assert_eq!(twice, ["14:11: groupname: \"a\" is repeated in the same file"]);
}

#[test]
fn riddles_are_refused() {
    let mut bomb = String::from("a: &a {x: y}\n");
    for level in 0..25 {
        let (this, last) = (char::from(b'b' + level), char::from(b'a' + level));
        bomb.push_str(&format!("{this}: &{this} {{<<: [*{last}, *{last}, *{last}, *{last}]}}\n"));
    }
    // With a key that makes the bomb a rule.
    bomb.push_str("groups: [{name: g, rules: [{<<: *z}]}]\n");
    let ignoring = Options { ignore_unknown_fields: true, ..Options::default() };
    let (_, findings) = parse_with(&bomb, ignoring);
    assert!(findings.iter().any(|finding| finding.message.contains("excessive aliasing")), "{findings:?}");
    for text in ["[".repeat(100_000), "- ".repeat(100_000), "? ".repeat(100_000), "a: &a [*a]".to_owned()] {
        assert!(!errors(&text, Compat::Native).is_empty());
    }
    let many: String = (0..5000).map(|number| format!("x{number}: 1\n")).collect();
    let (_, findings) = parse_with(&many, Options::default());
    assert_eq!(findings.len(), FINDINGS_MAX + 1);
    assert_eq!(findings[FINDINGS_MAX].message, "4000 more findings are not shown");
}

#[test]
fn equal_rules_have_equal_canonical_text() {
    let parse_one = |text: &str| parse_with(text, Options::default()).0.remove(0);
    let left = parse_one(
        "groups:\n- name: g\n  labels: {a: b}\n  rules:\n  - {alert: A, expr: up, for: 60s, annotations: {x: y}} # c\n",
    );
    let right = parse_one(
        "groups:\n- rules:\n  - labels: {a: b}\n    annotations: {x: y}\n    for: 1m\n    expr: up\n    alert: A\n  name: g\n",
    );
    assert!(left.same_as(&right));
    assert_eq!(left.rules[0].canonical(), right.rules[0].canonical());
    assert_eq!(left.rules[0].canonical(), "alert: A\nexpr: up\nfor: 1m\nlabels:\n  a: b\nannotations:\n  x: y\n");
    for (from, to) in
        [("expr: up", "expr: down"), ("60s", "61s"), ("a: b", "a: c"), ("x: y", "x: z"), ("alert: A", "record: A")]
    {
        let text =
            "groups:\n- name: g\n  labels: {a: b}\n  rules:\n  - {alert: A, expr: up, for: 60s, annotations: {x: y}}\n";
        let mut changed = text.replace(from, to);
        if to == "record: A" {
            changed = changed.replace(", for: 60s, annotations: {x: y}", "");
        }
        let changed = parse_one(&changed);
        assert!(!left.same_as(&changed), "{to}");
        assert_ne!(left.rules[0].canonical(), changed.rules[0].canonical(), "{to}");
    }
}

#[test]
fn the_legacy_scheme_is_strict_about_names() {
    let options = Options { validation: ValidationScheme::Legacy, ..Options::default() };
    let text = "groups: [{name: g, labels: {a.b: c}, rules: [{record: a.b, expr: 1}, {alert: a b, expr: 1, annotations: {é: x}}]}]";
    let (_, findings) = parse_with(text, options);
    let messages: Vec<&str> = findings.iter().map(|finding| &*finding.message).collect();
    assert_eq!(
        messages,
        [
            "group \"g\": invalid label name: a.b",
            "group \"g\", rule 1, \"a.b\": invalid recording rule name: a.b",
            "group \"g\", rule 2, \"a b\": invalid annotation name: é"
        ]
    );
    assert_eq!(parse_with(text, Options::default()).1, []);
}

const GOOD: &str = "\
groups:
  - name: example # with a comment
    interval: 1m
    labels: &l {team: \"a\\tb\", 'it''s': yes}
    rules:
      - record: job:up:sum
        expr: sum by (job) (up)
        labels: *l
      - &down
        alert: Down
        expr: >-
          up == 0
            and é

          x
        for: 5m
        annotations: {summary: |
          text
          }
      - <<: *down
        alert: \"multi
          line\"
---
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
spec: {groups: [{name: b, rules: []}]}
";

proptest! {
    #[test]
    fn mutations_never_panic(
        cuts in proptest::collection::vec((0_usize..GOOD.len(), 0_usize..12, "[-:|>&*\\[\\]{}\"'#,!%@`~?<é\t\r\n x0.]{0,4}"), 1..5),
        promtool in any::<bool>(),
    ) {
        let mut text = GOOD.to_owned();
        for (at, length, with) in cuts {
            let boundary = |mut at: usize| {
                at = at.min(text.len());
                while !text.is_char_boundary(at) { at -= 1 }
                at
            };
            let range = boundary(at)..boundary(at + length);
            text.replace_range(range, &with);
        }
        let compat = if promtool { Compat::Promtool } else { Compat::Native };
        let (_, findings) = parse_with(&text, Options { compat, ..Options::default() });
        for finding in findings {
            let place = finding.place.as_ref().expect("every finding of a file has a place");
            prop_assert!(place.source.text.get(place.span.range()).is_some(), "{finding}: {:?}", place.span);
            finding.render(false);
        }
    }

    #[test]
    fn bytes_never_panic(text in "\\PC{0,80}") {
        parse_with(&text, Options::default());
    }
}
