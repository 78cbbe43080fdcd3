//! Tables over the whole room: every function, every construct, every bound.

use super::*;
use crate::model::{BucketBounds, Histogram, HistogramBucket};
use proptest::prelude::*;

struct Answers(Vec<Sample>);

impl Queries for Answers {
    fn answer(&self, expr: &str) -> Option<Result<&[Sample], &str>> {
        match expr {
            "unasked" => None,
            "broken" => Some(Err("query failed")),
            "empty" => Some(Ok(&[])),
            _ => Some(Ok(&self.0)),
        }
    }
}

fn sample(labels: &[(&str, &str)], value: Value) -> Sample {
    Sample { labels: Labels::from_pairs(labels.iter().copied()), value }
}

fn histogram() -> Value {
    let bucket = |lower, upper, count, bounds| HistogramBucket { lower, upper, count, bounds };
    Value::Histogram(Arc::new(Histogram {
        count: 3.0,
        sum: 10.0,
        buckets: vec![
            bucket(-4.0, -2.0, 1.0, BucketBounds::OpenRight),
            bucket(-0.001, 0.001, 2.0, BucketBounds::Closed),
            bucket(0.5, 1.0, 1.0, BucketBounds::OpenLeft),
        ],
    }))
}

fn answers() -> Answers {
    Answers(vec![
        sample(&[("__name__", "m"), ("a", "b")], Value::Float(11.0)),
        sample(&[("__name__", "m"), ("a", "a"), ("__value__", "sv")], Value::Float(2.5)),
        sample(&[("a", "h")], histogram()),
    ])
}

fn expand_at(text: &str, value: &Value, at: Timestamp) -> Expansion {
    let template = match Template::parse("T", text) {
        Ok(template) => template,
        Err(error) => return Expansion::Failed(format!("{}: {error}", error.offset)),
    };
    let labels = Labels::from_pairs([("a", "x"), ("instance", "h.example.com:9100"), ("markup", "<a>")]);
    let context = Context {
        labels: &labels,
        external_labels: &Labels::from_pairs([("cluster", "eu1")]),
        external_url: "http://testhost:9090/path/pre%20fix",
        value,
        at,
    };
    template.expand(&context, &answers())
}

fn expand(text: &str) -> Expansion {
    expand_at(text, &Value::Float(1_000_000.0), Timestamp::from_seconds(1_353_755_652))
}

#[track_caller]
fn check(cases: &[(&str, &str)]) {
    let differs = |(text, expect): &&(&str, &str)| expand(text) != Expansion::Done((*expect).to_owned());
    let show = |(text, expect): &(&str, &str)| format!("{text}\n  {:?}\n  {expect:?}", expand(text));
    let differences: Vec<String> = cases.iter().filter(differs).map(show).collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// The end of the error text, or all of a parse error behind the template's name.
#[track_caller]
fn check_failures(cases: &[(&str, &str)]) {
    let mut differences = Vec::new();
    for (text, expect) in cases {
        match expand(text) {
            Expansion::Failed(error) if error.ends_with(expect) => {}
            other => differences.push(format!("{}\n  {other:?}\n  {expect:?}", quote::truncate_chars(text, 200))),
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn numbers_are_humanized() {
    check(&[
        ("{{ humanize 0 }} {{ humanize 1 }} {{ humanize 999.95 }} {{ humanize 999999 }}", "0 1 1000 1000k"),
        ("{{ humanize 1234567 }} {{ humanize -1500 }} {{ humanize 9.223372036854775807e18 }}", "1.235M -1.5k 9.223E"),
        ("{{ humanize 1e30 }} {{ humanize .12 }} {{ humanize .001 }} {{ humanize 1e-30 }}", "1e+06Y 120m 1m 1e-06y"),
        ("{{ humanize \"Inf\" }} {{ humanize \"-Inf\" }} {{ humanize \"NaN\" }}", "+Inf -Inf NaN"),
        (
            "{{ humanize1024 1 }} {{ humanize1024 .12 }} {{ humanize1024 1023 }} {{ humanize1024 1024 }}",
            "1 0.12 1023 1ki",
        ),
        ("{{ humanize1024 1234567 }} {{ humanize1024 -2048 }} {{ humanize1024 1e30 }}", "1.177Mi -2ki 8.272e+05Yi"),
        ("{{ humanize1024 9223372036854775807 }} {{ humanize1024 18446744073709551615.0 }}", "8Ei 16Ei"),
        ("{{ humanizePercentage 0.959 }} {{ humanizePercentage 1234567 }}", "95.9% 1.235e+08%"),
        (
            "{{ humanizeDuration 60 }}, {{ humanizeDuration 3600 }}, {{ humanizeDuration 86400 }}",
            "1m 0s, 1h 0m 0s, 1d 0h 0m 0s",
        ),
        ("{{ humanizeDuration -183845 }}, {{ humanizeDuration 899.99 }}", "-2d 3h 4m 5s, 14m 59s"),
        (
            "{{ humanizeDuration 59.99 }}, {{ humanizeDuration 12.345 }}, {{ humanizeDuration 1.2345 }}",
            "59.99s, 12.35s, 1.234s",
        ),
        (
            "{{ humanizeDuration .12345 }} {{ humanizeDuration .0001 }} {{ humanizeDuration -0.001 }}",
            "123.5ms 100us -1ms",
        ),
        ("{{ humanizeDuration 1e-9 }} {{ humanizeDuration 0 }} {{ humanizeDuration \"Inf\" }}", "1ns 0s +Inf"),
        ("{{ humanizeDuration ((toTime 90).Sub (toTime 0)) }}", "1m 30s"),
        ("{{ humanize 1048576 }} {{ humanize1024 1048576 }} {{ humanizeDuration 135.3563 }}", "1.049M 1Mi 2m 15s"),
    ]);
    check_failures(&[
        ("{{ humanize true }}", "error calling humanize: can't convert bool to float"),
        ("{{ humanize nil }}", "error calling humanize: can't convert <nil> to float"),
        ("{{ humanize \"1e999\" }}", "strconv.ParseFloat: parsing \"1e999\": value out of range"),
        ("{{ humanize (toTime 0) }}", "can't convert *time.Time to float"),
    ]);
}

#[test]
fn times_and_durations() {
    check(&[
        ("{{ humanizeTimestamp 1643114203 }}", "2022-01-25 12:36:43 +0000 UTC"),
        (
            "{{ humanizeTimestamp 1435065584.128 }} {{ humanizeTimestamp \"NaN\" }}",
            "2015-06-23 13:19:44.128 +0000 UTC NaN",
        ),
        ("{{ toTime 0 }} {{ (1435065584.128 | toTime).Format \"2006\" }}", "1970-01-01 00:00:00 +0000 UTC 2015"),
        ("{{ now }} {{ (toTime now).Unix }}", "1.353755652e+09 1353755652"),
        ("{{ (\"-30m\" | parseDuration | toDuration | (now | toTime).Add).UnixMilli }}", "1353753852000"),
        (
            "{{ parseDuration \"1h2m10ms\" }} {{ parseDuration \"30d\" }} {{ parseDuration \"-5m\" }}",
            "3720.01 2.592e+06 -300",
        ),
        ("{{ (1800 | toDuration).String }} {{ toDuration 90 }} {{ toDuration .00025 }}", "30m0s 1m30s 250µs"),
        ("{{ (toDuration 5400).Hours }} {{ (toDuration 90).Minutes }} {{ (toDuration 1.5).Seconds }}", "1.5 1.5 1.5"),
        ("{{ (toDuration 1.5).Milliseconds }} {{ (toDuration 95).Round 60000000000 }}", "1500 2m0s"),
        ("{{ (toDuration 95).Truncate (toDuration 60) }} {{ (toDuration -1).Abs }}", "1m0s 1s"),
        ("{{ (toTime now).Year }} {{ (toTime now).Month }} {{ (toTime now).Day }}", "2012 November 24"),
        (
            "{{ with toTime now }}{{ .Hour }}:{{ .Minute }}:{{ .Second }} {{ .Weekday }} {{ .YearDay }}{{ end }}",
            "11:14:12 Saturday 329",
        ),
        ("{{ (toTime 90).Sub (toTime 30) }} {{ ((toTime 0).AddDate 1 1 1).Format \"2006-01-02\" }}", "1m0s 1971-02-02"),
        (
            "{{ (toTime 1).After (toTime 0) }} {{ (toTime 1).Before (toTime 0) }} {{ (toTime 1).Equal (toTime 1) }}",
            "true false true",
        ),
        ("{{ ((toTime 0).Add 1500000000).UTC.String }}", "1970-01-01 00:00:01.5 +0000 UTC"),
        (
            "{{ printf \"%d %s %v\" (toTime now).Month (toTime now).Month (toTime now).Weekday }}",
            "11 November Saturday",
        ),
        ("{{ printf \"%T %T\" (toTime 0) ((toTime 0).Sub (toTime 0)) }}", "*time.Time time.Duration"),
    ]);
    check_failures(&[
        ("{{ toTime \"NaN\" }}", "error calling toTime: value is NaN or Inf"),
        (
            "{{ humanizeTimestamp 1e20 }}",
            "1e+20 cannot be represented as a nanoseconds timestamp since it overflows int64",
        ),
        ("{{ parseDuration \"x\" }}", "error calling parseDuration: not a valid duration string: \"x\""),
        ("{{ (toTime 0).Format }}", "at <0>: wrong number of args for Format: want 1 got 0"),
        ("{{ (toTime 0).Nope }}", "can't evaluate field Nope in type *time.Time"),
        ("{{ (toTime 0).Add \"1h\" }}", "at <\"1h\">: expected integer; found \"1h\""),
        ("{{ (toTime 0).Clock }}", "function Clock has 3 return values; should be 1 or 2"),
        ("{{ (toTime 0).Zone }}", "invalid function signature for Zone: second return value should be error; is int"),
    ]);
}

#[test]
fn texts() {
    check(&[
        ("{{ title \"aa bb CC don't foo-bar\" }}", "Aa Bb CC Don't Foo-Bar"),
        ("{{ title \"foo_bar a.b.c 3rd x2y\" }}", "Foo_bar A.b.c 3Rd X2y"),
        ("{{ title \"ǆ ßa ﬁn éa\" }}", "ǅ Ssa Fin Éa"),
        ("{{ toUpper \"is testing ß é\" }} {{ toLower \"THE STRINGS É İ\" }}", "IS TESTING ß É the strings é i"),
        ("{{ match \"[0-9]+$\" \"1234a\" }} {{ match \"a+\" \"aa\" }}", "false true"),
        ("{{ reReplaceAll \"(a)b\" \"x$1\" \"ab\" }} {{ reReplaceAll \"(a)b\" \"$1x\" \"ab\" }}|", "xa |"),
        ("{{ reReplaceAll \"(?P<n>a)b\" \"${n}-$$\" \"ab\" }}", "a-$"),
        ("{{ $p := \"b+\" }}{{ match $p \"abb\" }} {{ reReplaceAll $p \"x\" \"abba\" }}", "true axa"),
        ("{{ safeHtml \"<b>\" }} {{ printf \"%T\" (safeHtml \"\") }}", "<b> template.HTML"),
        (
            "{{ html $labels.markup }} {{ html 1 2 }} {{ js \"it's <x>&=\" }}",
            r"&lt;a&gt; 1 2 it\'s \u003Cx\u003E\u0026\u003D",
        ),
        ("{{ urlquery \"a b&c\" }} {{ urlQueryEscape \"a b/é~\" }}", "a+b%26c a+b%2F%C3%A9~"),
        ("{{ len \"é\" }} {{ index \"abc\" 1 }} {{ slice \"hello\" 1 3 }} {{ slice \"hello\" 2 }}", "2 98 el llo"),
        (
            "{{ print 1 2 \"x\" \"y\" }}|{{ println 1 \"x\" }}|{{ print nil 1 2.5 true }}",
            "1 2xy|1 x\n|<nil> 1 2.5 true",
        ),
    ]);
    check_failures(&[
        (
            "{{ reReplaceAll \"a[\" \"\" \"\" }}",
            "error calling reReplaceAll: regexp: Compile(`a[`): error parsing regexp: missing closing ]: `[`",
        ),
        ("{{ safeHtml \"x\" | toUpper }}", "wrong type for value; expected string; got template.HTML"),
        ("{{ toUpper nil }}", "cannot assign nil to string"),
        ("{{ slice \"abc\" 2 1 }}", "error calling slice: invalid slice index: 2 > 1"),
        ("{{ slice \"abc\" 4 }}", "error calling slice: index out of range: 4"),
        ("{{ index \"abc\" 3 }}", "error calling index: reflect: string index out of range"),
        ("{{ index 1 1 }}", "error calling index: can't index item of type int"),
        ("{{ len 3 }}", "error calling len: len of type int"),
        ("{{ call 1 }}", "error calling call: non-function 1 of type int"),
    ]);
}

#[test]
fn hosts_and_links() {
    check(&[
        (
            "{{ stripPort \"[::1]:6006\" }} {{ stripPort \"127.0.0.1:4004\" }} {{ stripPort \"a:b:c\" }}",
            "::1 127.0.0.1 a:b:c",
        ),
        ("{{ stripPort \"::1\" }} {{ stripPort \":80\" }}|{{ stripPort \"[a]b:1\" }}", "::1 |[a]b:1"),
        (
            "{{ stripDomain \"a.b.c:80\" }} {{ stripDomain \"192.0.2.1:1\" }} {{ stripDomain \"http://a.b:80\" }}",
            "a:80 192.0.2.1:1 http://a",
        ),
        ("{{ graphLink \"up{a=\\\"b\\\"}\" }}", "/graph?g0.expr=up%7Ba%3D%22b%22%7D&g0.tab=0"),
        ("{{ tableLink \"up\" }}", "/graph?g0.expr=up&g0.tab=1"),
        (
            "{{ externalURL }} {{ pathPrefix }} {{ $externalURL }}",
            "http://testhost:9090/path/pre%20fix /path/pre fix http://testhost:9090/path/pre%20fix",
        ),
    ]);
}

#[test]
fn queries_and_samples() {
    check(&[
        ("{{ query \"m\" | first | value }} {{ query \"m\" | first | label \"a\" }}", "11 b"),
        ("{{ (query \"m\" | first).Value }} {{ (index (query \"m\") 1).Labels.a }}", "11 a"),
        ("{{ query \"m\" | sortByLabel \"a\" | first | strvalue }}", "sv"),
        (
            "{{ range query \"m\" | sortByLabel \"a\" }}{{ .Labels.a }}:{{ . | value }},{{ end }}",
            "a:2.5,b:11,h:{count:3, sum:10, [-4,-2):1, [-0.001,0.001]:2, (0.5,1]:1},",
        ),
        ("{{ $q := query \"m\" }}{{ $s := sortByLabel \"a\" $q }}{{ (index $q 0).Labels.a }}", "a"),
        ("{{ $q := query \"m\" }}{{ len (slice $q 1) }} {{ (index (slice $q 1 2) 0).Value }}", "2 2.5"),
        ("{{ query \"m\" | first }} {{ len (query \"empty\") }}", "{map[__name__:m a:b] 11} 0"),
        ("{{ with query \"empty\" }}some{{ else }}none{{ end }}", "none"),
        ("{{ (index (query \"m\") 2).Value.Count }}", "3"),
        ("{{ eq (query \"m\" | first) (query \"m\" | first) }}", "true"),
    ]);
    check_failures(&[
        ("{{ query \"broken\" }}", "error calling query: query failed"),
        ("{{ query \"empty\" | first }}", "error calling first: first() called on vector with no elements"),
        (
            "{{ label \"a\" nil }}",
            "error calling label: runtime error: invalid memory address or nil pointer dereference",
        ),
        ("{{ value 1 }}", "can't handle 1 for arg of type *template.sample"),
        ("{{ index (query \"m\") 3 }}", "error calling index: reflect: slice index out of range"),
    ]);
    assert_eq!(expand("{{ query \"m\" | len }}{{ query \"unasked\" }}"), Expansion::Needs("unasked".to_owned()));
}

#[test]
fn histograms_print_and_are_true() {
    let shown = "{count:3, sum:10, [-4,-2):1, [-0.001,0.001]:2, (0.5,1]:1}";
    let at = Timestamp::from_millis(0);
    for (text, expect) in [
        ("{{ $value }}", shown),
        ("{{ if .Value }}{{ printf \"%s\" .Value }}{{ end }}", shown),
        ("{{ .Value.Sum }} {{ printf \"%T\" $value }}", "10 *histogram.FloatHistogram"),
    ] {
        assert_eq!(expand_at(text, &histogram(), at), Expansion::Done(expect.to_owned()));
    }
    let Expansion::Failed(error) = expand_at("{{ humanize $value }}", &histogram(), at) else { panic!("a number?") };
    assert!(error.ends_with("can't convert *histogram.FloatHistogram to float"));
}

#[test]
fn the_language() {
    check(&[
        ("{{ $value }} {{ 100000.0 }} {{ 1048576.0 }} {{ 1e-05 }} {{ 12.0 }}", "1e+06 100000 1.048576e+06 1e-05 12"),
        ("a {{- 3 -}} b a {{-3}} b", "a3b a -3 b"),
        ("{{/* c */}}x {{- /* d */ -}} y", "xy"),
        (
            "{{ \"x\\té\" }}{{ `a\\n` }}{{ 'a' }} {{ 1_000 }} {{ 0b11 }} {{ 0o17 }} {{ 0x10 }} {{ .5 }}",
            "x\téa\\n97 1000 3 15 16 0.5",
        ),
        ("{{ 1+2i }} {{ 2i }} {{ 1e2-1i }}", "(1+2i) (0+2i) (100-1i)"),
        ("{{ $x := 1 }}{{ if true }}{{ $x := 2 }}{{ end }}{{ $x }}{{ if true }}{{ $x = 3 }}{{ end }}{{ $x }}", "13"),
        ("{{ with $labels.missing }}A{{ else with $labels.a }}B{{ . }}{{ else }}C{{ end }}", "Bx"),
        ("{{ if 0 }}a{{ else if 0.0 }}b{{ else if \"\" }}c{{ else if not 1 }}d{{ end }}", ""),
        ("{{ range 3 }}{{ . }}{{ if eq . 1 }}{{ break }}{{ end }},{{ end }}", "0,1"),
        (
            "{{ range $i := 4 }}{{ if eq $i 1 }}{{ continue }}{{ end }}{{ $i }}{{ end }}{{ range 0 }}{{ else }}none{{ end }}",
            "023none",
        ),
        ("{{ range $k, $v := $externalLabels }}{{ $k }}={{ $v }}{{ end }}", "cluster=eu1"),
        ("{{ $k := 0 }}{{ $v := 0 }}{{ range $k, $v = $externalLabels }}{{ end }}{{ $k }}={{ $v }}", "cluster=eu1"),
        (
            "{{ define \"t\" }}[{{ .arg0 }}]{{ end }}{{ template \"t\" (args \"q\") }}{{ template \"t\" }}",
            "[q][<no value>]",
        ),
        ("{{ block \"b\" $labels.a }}<{{ . }}>{{ end }}{{ template \"b\" 1 }}", "<x><1>"),
        (
            "{{ define \"r\" }}{{ if lt . 3 }}{{ . }}{{ template \"r\" (len (printf \"%*s\" . \"\" | print \"x\")) }}{{ end }}{{ end }}{{ template \"r\" 0 }}",
            "012",
        ),
        (
            "{{ and 1 0 }} {{ or \"\" \"d\" }} {{ or 0 \"\" \"z\" }} {{ not 0 }} {{ and true (or false 7) }}",
            "0 d z true 7",
        ),
        ("{{ or true (index \"\" 9) }} {{ 1 | and 2 }}", "true 1"),
        (
            "{{ eq 1 2 1 }} {{ ne \"a\" \"b\" }} {{ lt 1.0 2.0 }} {{ ge \"b\" \"a\" }} {{ gt (index \"b\" 0) 97 }}",
            "true true true true true",
        ),
        ("{{ eq .Labels nil }} {{ eq nil nil }} {{ le \"a\" \"a\" }}", "false true true"),
        ("{{ index $labels \"nope\" }}|{{ $labels.nope }}|{{ (args 1).arg9 }}|{{ len (args 1 2) }}", "||<no value>|2"),
        ("{{ $labels.a | toUpper | printf \"%s-%s\" \"p\" }}", "p-X"),
        (
            "{{ (args \"k\" 2) }} {{ printf \"%v %#v\" (args nil) (args \"a\") }}",
            "map[arg0:k arg1:2] map[arg0:<nil>] map[string]interface {}{\"arg0\":\"a\"}",
        ),
        ("{{ with $x := 1 }}{{ $x }}{{ $.Value }}{{ end }}{{\n  $labels.a\n}}", "11e+06x"),
        ("line1\n{{ if true }}\nline2\n{{ end }}\nline3", "line1\n\nline2\n\nline3"),
    ]);
}

#[test]
fn failures_have_gos_words_and_places() {
    check_failures(&[
        (
            "{{ gt $value 10 }}",
            "error executing template __alert_T: template: __alert_T:1:115: executing \"__alert_T\" at <gt $value 10>: error calling gt: incompatible types for comparison: float64 and int",
        ),
        (
            "a\nb {{ .Foo }}",
            "template: __alert_T:2:5: executing \"__alert_T\" at <.Foo>: can't evaluate field Foo in type struct { Labels map[string]string; ExternalLabels map[string]string; ExternalURL string; Value interface {} }",
        ),
        ("{{ .Value.foo }}", "at <.Value.foo>: can't evaluate field foo in type interface {}"),
        ("{{ $value.foo }}", "at <$value.foo>: can't evaluate field foo in type float64"),
        ("{{ .Labels.a 1 }}", "a is not a method but has arguments"),
        ("{{ .Value 1 }}", "Value has arguments but cannot be invoked as function"),
        ("{{ $x = 1 }}", "at <1>: undefined variable: $x"),
        ("{{ nil }}", "nil is not a command"),
        ("{{ 1 2 }}", "can't give argument to non-function 1"),
        ("{{ 18446744073709551615 }}", "18446744073709551615 overflows int"),
        ("{{ (args 1).arg9.x }}", "nil pointer evaluating interface {}.x"),
        ("{{ range $i, $e := 3 }}{{ end }}", "can't use 3 to iterate over more than one variable"),
        (
            "{{ define \"t\" }}{{ .x.y }}{{ end }}{{ template \"t\" \"s\" }}",
            "executing \"t\" at <.x.y>: can't evaluate field x in type string",
        ),
        ("{{ eq }}", "wrong number of args for eq: want at least 1 got 0"),
        ("{{ eq 1 }}", "error calling eq: missing argument for comparison"),
        ("{{ lt nil 1 }}", "error calling lt: invalid type for comparison"),
        (
            "{{ eq $labels $labels }}",
            "error calling eq: non-comparable type map[a:x instance:h.example.com:9100 markup:<a>]: map[string]string",
        ),
        // At load.
        ("{{ if }}", "template: __alert_T:1: missing value for if"),
        (
            "x {{ \n $labels.\"x\" }}",
            "template: __alert_T:2: bad character U+0022 '\"' in action started at __alert_T:1",
        ),
        ("{{\n", "template: __alert_T:2: unclosed action started at __alert_T:1"),
        ("{{ /* c */ }}", "unexpected \"/\" in command"),
        ("{{/* c }}", "unclosed comment"),
        ("{{ (1 }}", "unclosed left paren"),
        ("{{ 1) }}", "unexpected right paren"),
        ("{{ break }}", "{{break}} outside {{range}}"),
        ("{{ if true }}", "unexpected EOF"),
        ("{{ if 1 }}{{ else }}{{ else }}{{ end }}", "expected end; found {{else}}"),
        ("{{ 1 | 2 }}", "non executable command in pipeline stage 2"),
        ("{{ $x, $y := 1 }}", "too many declarations in command"),
        ("{{ true.x }}", "unexpected . after term \"true\""),
        ("{{ define \"a\" }}x{{ end }}{{ define \"a\" }}y{{ end }}", "template: multiple definition of template \"a\""),
        ("{{ define a }}{{ end }}", "unexpected \"a\" in define clause"),
        ("{{ template 1 }}", "unexpected \"1\" in template clause"),
        ("{{ 1e }}", "illegal number syntax: \"1e\""),
        ("{{ 1x }}", "bad number syntax: \"1x\""),
        ("{{ \"\\q\" }}", "invalid syntax"),
        ("{{ if 1 }}{{ define \"x\" }}{{ end }}{{ end }}", "unexpected <define> in command"),
    ]);
    let error = Template::parse("T", "ab {{ nofunc }}").expect_err("there is no such function");
    assert_eq!((error.offset, &*error.message), (6, "template: __alert_T:1: function \"nofunc\" not defined"));
}

#[test]
fn printf_knows_gos_verbs_flags_and_markers() {
    for (call, expect) in [
        ("\"%.2f\" 7.5", "7.50"),
        ("\"%.0f\" 7.5", "8"),
        ("\"%d\" 7.5", "%!d(float64=7.5)"),
        ("\"%s\" 7.5", "%!s(float64=7.5)"),
        ("\"%s %d\" \"only\"", "only %!d(MISSING)"),
        ("\"%d\" 1 2", "1%!(EXTRA int=2)"),
        ("\"%d\" 1 nil \"x\"", "1%!(EXTRA <nil>, string=x)"),
        (
            "\"%5.1f|%-6s|%06.2f|%x|%t|%e|%g\" 3.14159 \"ab\" 2.5 255 true 12345.678 1e-7",
            "  3.1|ab    |002.50|ff|true|1.234568e+04|1e-07",
        ),
        ("\"%.3g\" 1234567.0", "1.23e+06"),
        ("\"%05d|%+d|%5s|%q\" 42 42 \"b\" \"x\"", "00042|+42|    b|\"x\""),
        ("\"%v\" 12345678901234567890.0", "1.2345678901234567e+19"),
        (
            "\"%05d|% d|%x|%X|%#x|%b|%o|%#o|%O\" -42 7 \"hi\" \"hi\" 255 5 8 8 8",
            "-0042| 7|6869|6869|0xff|101|10|010|0o10",
        ),
        ("\"%c|%q|%U|%#U\" 65 65 233 233", "A|'A'|U+00E9|U+00E9 'é'"),
        ("\"%+q|%#q|% x|%#x\" \"é\" \"a\" \"ab\" \"ab\"", "\"\\u00e9\"|`a`|61 62|0x6162"),
        (
            "\"%8.3f|%-8.2f|%+.1e|%08.3f|% .1f\" 3.14159 3.14159 12345.0 -3.14159 2.0",
            "   3.142|3.14    |+1.2e+04|-003.142| 2.0",
        ),
        ("\"%6.2v|%.3s|%5t|%v\" 3.14159 \"abcdef\" true nil", "   3.1|abc| true|<nil>"),
        ("\"%*d|%-*d|%.*f\" 5 42 4 7 1 2.55", "   42|7   |2.5"),
        ("\"%[2]d %[1]d %d\" 1 2", "2 1 2"),
        ("\"%[3]d %[x]d %[1]\" 1", "%!d(BADINDEX) %!d(BADINDEX) %!(NOVERB)"),
        ("\"%y|%z|%\" 1 2", "%!y(int=1)|%!z(int=2)|%!(NOVERB)"),
        ("\"%*d\" \"x\" 1", "%!(BADWIDTH)1"),
        ("\"%d %s\" true nil", "%!d(bool=true) %!s(<nil>)"),
        ("\"%d%%\" 5", "5%"),
        ("\"%#g|%#.3g|%#v|%+v|%#v\" 1.0 2.0 1.5 \"a\" \"a\"", "1.00000|2.00|1.5|a|\"a\""),
        (
            "\"%s|%v|%q\" $externalLabels $externalLabels $externalLabels",
            "map[cluster:eu1]|map[cluster:eu1]|map[\"cluster\":\"eu1\"]",
        ),
        ("\"%d\" $externalLabels", "map[%!d(string=cluster):%!d(string=eu1)]"),
        ("\"%#v\" $externalLabels", "map[string]string{\"cluster\":\"eu1\"}"),
        ("\"%+v\" (query \"m\" | first)", "&{Labels:map[__name__:m a:b] Value:11}"),
        ("\"%5v|%-5v|%05v\" 1 true \"a\"", "    1|true |0000a"),
        ("\"%f %.1f %g\" (humanize 1 | len) \"x\" 1", "%!f(int=1) %!f(string=x) %!g(int=1)"),
    ] {
        let text = format!("{{{{ printf {call} }}}}");
        check(&[(&text, expect)]);
    }
}

#[test]
fn everything_is_bounded() {
    let deep =
        |open: &str, middle: &str, close: &str| format!("{}{middle}{}", open.repeat(100_000), close.repeat(100_000));
    let nested_args = "{{ $x := args 1 }}{{ range 50 }}{{ $x = args $x $x }}{{ end }}{{ $x }}";
    let doubled = "{{ $x := \"xxxxxxxxxx\" }}{{ range 90 }}{{ $x = print $x $x }}{{ end }}";
    let endless = "{{ define \"r\" }}{{ template \"r\" . }}{{ end }}{{ template \"r\" . }}";
    let endless_deep = format!(
        "{{{{ define \"r\" }}}}{}{{{{ template \"r\" . }}}}{}{{{{ end }}}}{{{{ template \"r\" . }}}}",
        "{{ if (len ((((((((((((print 1))))))))))))) }}".repeat(40),
        "{{ end }}".repeat(40)
    );
    check_failures(&[
        (&deep("{{ if true }}", "", "{{ end }}"), "nested deeper than 100 levels"),
        (&format!("{{{{ {} }}}}", deep("(", "1", ")")), "nested deeper than 100 levels"),
        (&deep("{{ range 1 }}{{ with 1 }}", "", "{{ end }}{{ end }}"), "nested deeper than 100 levels"),
        (endless, "exceeded maximum template depth (300)"),
        (&endless_deep, "exceeded maximum template depth (300)"),
        ("{{ range 1000000 }}{{ end }}", "more than 100000 iterations"),
        ("{{ range 100000 }}{{ range 2 }}{{ end }}{{ end }}", "more than 100000 iterations"),
        ("{{ range 100 }}{{ printf \"%100000d\" 1 }}{{ end }}", "text is longer than 1048576 bytes"),
        ("{{ range 1000 }}{{ $x := printf \"%100000d\" 1 }}{{ end }}", "template makes more than 16777216 bytes"),
        (doubled, "error calling print: text is longer than 1048576 bytes"),
        (nested_args, "args inside args inside args: more than 32 levels"),
        ("{{ $x := args 1 }}{{ range 30 }}{{ $x = args $x $x }}{{ end }}{{ $x }}", "text is longer than 1048576 bytes"),
        (
            "{{ $x := printf \"%10000d\" 1 }}{{ reReplaceAll \"\" $x $x }}",
            "replacing could make more than 16777216 bytes",
        ),
        ("{{ range 9000 }}{{ match (print . \"x\") \"\" }}{{ end }}", "template makes more than 16777216 bytes"),
    ]);
    check(&[
        ("{{ printf \"%1000000000d\" 1 }}", "%!(NOVERB)%!(EXTRA int=1)"),
        ("{{ printf \"%.1000000000f\" 1.0 }}", "%!(NOVERB)%!(EXTRA float64=1)"),
        ("{{ printf \"%*d\" 1000000000 1 }}", "%!(BADWIDTH)1"),
        ("{{ len (printf \"%.70000f %70000d %.70000U\" 1.0 1 1) }}", "210006"),
    ]);
    // A chain of `else if` is no nesting.
    check(&[(&format!("{{{{ if 0 }}}}{}{{{{ end }}}}", "{{ else if 0 }}".repeat(5000)), "")]);
}

/// Pieces that random templates are made of.
const PIECES: [&str; 44] = [
    "{{",
    "}}",
    "{{-",
    "-}}",
    " ",
    "\n",
    "(",
    ")",
    "|",
    ",",
    ":=",
    "=",
    ".",
    "$",
    "$x",
    "$labels",
    "$value",
    ".Labels",
    ".Value",
    ".a",
    "if",
    "else",
    "end",
    "range",
    "with",
    "define",
    "template",
    "block",
    "break",
    "\"t\"",
    "1",
    "-1.5",
    "0x1p-2",
    "nil",
    "true",
    "query \"m\"",
    "first",
    "sortByLabel \"a\"",
    "printf \"%v %[1]*.3q\"",
    "humanize",
    "index",
    "slice",
    "args",
    "toTime",
];

proptest! {
    #[test]
    fn no_template_panics(pieces in proptest::collection::vec(0..PIECES.len(), 0..40), spaced in any::<bool>()) {
        let words: Vec<&str> = pieces.iter().map(|index| PIECES[*index]).collect();
        expand(&words.join(if spaced { " " } else { "" }));
    }

    #[test]
    fn no_action_panics(pieces in proptest::collection::vec(14..PIECES.len(), 1..10)) {
        let words: Vec<&str> = pieces.iter().map(|index| PIECES[*index]).collect();
        expand(&format!("{{{{ {} }}}}{{{{ end }}}}", words.join(" ")));
        expand(&format!("{{{{ $x := 1 }}}}{{{{ {} }}}}", words.join(" ")));
    }

    #[test]
    fn no_format_panics(format in "[%a-zA-Z0-9*.+# \\[\\]-]{0,20}", number in any::<f64>(), int in any::<i64>()) {
        expand(&format!("{{{{ printf {} {number:?} {int} \"é\" . }}}}", quote::quote(&format)));
        expand(&format!("{{{{ (toTime {int}).Format {} }}}}", quote::quote(&format)));
        expand(&format!("{{{{ (toDuration {number:e}).Round {int} }}}}{{{{ humanizeDuration {number:e} }}}}"));
        expand(&format!("{{{{ (toTime {number:e}).Round {int} }}}}{{{{ (toTime 0).AddDate {int} {int} {int} }}}}"));
    }

    #[test]
    fn a_text_without_actions_stays_as_it_is(text in "[^{]{0,60}") {
        prop_assert_eq!(expand(&text), Expansion::Done(text));
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "says that it was skipped")]
fn damaged_golden_templates_do_not_panic() {
    let Ok(corpus) = std::env::var("BELLWETHER_CORPUS") else {
        println!("skipped: BELLWETHER_CORPUS is not set");
        return;
    };
    let path = std::path::Path::new(&corpus).join("golden/templates.jsonl");
    let goldens = std::fs::read_to_string(path).expect("the corpus holds golden/templates.jsonl");
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |below: usize| {
        // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as usize % below.max(1)
    };
    for line in goldens.lines() {
        let golden: serde_json::Value = serde_json::from_str(line).expect("every line is JSON");
        let mut chars: Vec<char> = golden["template"].as_str().expect("every line has a template").chars().collect();
        for _ in 0..3 {
            let at = random(chars.len());
            match random(3) {
                0 if !chars.is_empty() => _ = chars.remove(at),
                1 => chars.splice(at..at, PIECES[random(PIECES.len())].chars()).for_each(drop),
                _ if !chars.is_empty() => chars.truncate(at),
                _ => {}
            }
            expand(&chars.iter().collect::<String>());
        }
    }
}
