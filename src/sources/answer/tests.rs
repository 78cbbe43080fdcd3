use proptest::prelude::*;

use super::*;
use crate::model::{BucketBounds, Histogram, HistogramBucket, Timestamp, Value};

type Outcome = Result<(Evaluated, Annotations), AnswerError>;

const BYTES_MAX: u64 = 1 << 20;

fn parse(json: &[u8]) -> Outcome {
    parse_chunks([json])
}

fn parse_chunks<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let mut parser = AnswerParser::new(BYTES_MAX, Labels::empty());
    for chunk in chunks {
        parser.push(chunk)?;
    }
    parser.finish()
}

/// What an answer says, in one line.
fn show(outcome: &Outcome) -> String {
    match outcome {
        Err(error) => error.to_string(),
        Ok((value, annotations)) => {
            let value = match value {
                Evaluated::Vector(samples) => {
                    samples.iter().map(|s| format!("{} {}", s.labels, number(&s.value))).collect()
                }
                Evaluated::Scalar(value) => vec![format!("scalar {value}")],
                Evaluated::String(text) => vec![format!("string {text:?}")],
                Evaluated::Matrix(series) => series.iter().map(show_series).collect(),
            };
            let doubts = [&annotations.warnings[..], &annotations.infos[..]].concat();
            format!("[{}]{}", value.join("; "), doubts.iter().map(|doubt| format!(" !{doubt}")).collect::<String>())
        }
    }
}

fn show_series(series: &Series) -> String {
    let samples = series.samples.iter().map(|(at, value)| format!(" {}@{}", number(value), at.as_millis()));
    format!("{}{}", series.labels, samples.collect::<String>())
}

fn number(value: &Value) -> String {
    match value {
        Value::Float(value) => value.to_string(),
        Value::Histogram(histogram) => histogram.to_string(),
    }
}

fn result(result_type: &str, result: &str) -> String {
    format!(r#"{{"status":"success","data":{{"resultType":"{result_type}","result":{result}}}}}"#)
}

#[test]
fn answers_are_read_to_the_letter() {
    let vector = |elements: &str| result("vector", &format!("[{elements}]"));
    for (json, said) in [
        (vector(""), "[]"),
        (vector(r#"{"metric":{},"value":[1,"1"]}"#), "[{} 1]"),
        (
            vector(r#"{"metric":{"a":"1","b":"2"},"value":[1435781451.781,"1e-7"]},{"metric":{"a":"2"},"value":[1,"-0.5"]}"#),
            r#"[{a="1", b="2"} 0.0000001; {a="2"} -0.5]"#,
        ),
        (vector(r#"{"value":[1,"+Inf"],"metric":{"b":"2","a":"1"}}"#), r#"[{a="1", b="2"} inf]"#),
        (vector(r#"{"metric":{"a":""},"value":[1,"-Inf"]}"#), "[{} -inf]"),
        (vector(r#"{"metric":{"a":"x\"y\\z\/\b\f\n\r\t\u003c"},"value":[1,"1"]}"#), r#"[{a="x\"y\\z/\b\f\n\r\t<"} 1]"#),
        (vector(r#"{"metric":{"\u0061":"\ud83d\ude00é😀"},"value":[1,"1"]}"#), r#"[{a="😀é😀"} 1]"#),
        (vector(r#"{"metric":{"a":"\ud83d-\ude00\ud83d\u0041"},"value":[1,"1"]}"#), "[{a=\"\u{fffd}-\u{fffd}\u{fffd}A\"} 1]"),
        (
            vector(r#"{"metric":{},"histogram":[1,{"count":"3","sum":"10","buckets":[[3,"-0.25","0.25","2"],[0,"0.5","1","1"]]}]}"#),
            "[{} {count:3, sum:10, [-0.25,0.25]:2, (0.5,1]:1}]",
        ),
        (vector(r#"{"metric":{},"histogram":[1,{"sum":"NaN","count":"0"}]}"#), "[{} {count:0, sum:NaN}]"),
        (result("vector", "null"), "[]"),
        (result("scalar", r#"[1.5,"42"]"#), "[scalar 42]"),
        (result("string", r#"[1.5,"4\u00322"]"#), r#"[string "422"]"#),
        (
            result("matrix", r#"[{"metric":{"a":"1"},"values":[[1,"1"],[2.0005,"2"]]},{"metric":{},"values":[]}]"#),
            r#"[{a="1"} 1@1000 2@2001; {}]"#,
        ),
        (
            result("matrix", r#"[{"metric":{},"histograms":[[2,{"count":"1","sum":"1"}]],"values":[[1,"1"],[3e0,"3"]]}]"#),
            "[{} 1@1000 {count:1, sum:1}@2000 3@3000]",
        ),
        (
            r#" { "infos" : ["i"] , "new":[{},[1,-2.5e+3,true,null,"x"]], "data" : { "result" : [ { "metric" : { "a" : "1" } , "value" : [ 1 , "1" ], "x":false } ] ,
                "stats":{}, "resultType" : "vector" }, "warnings":["w",null], "status" : "success" } "#
                .to_owned(),
            r#"[{a="1"} 1] !w !i"#,
        ),
    ] {
        assert_eq!(show(&parse(json.as_bytes())), said, "{json}");
    }
}

#[test]
fn an_ordinary_nan_has_the_bits_that_prometheus_stores() {
    let Ok((Evaluated::Scalar(value), _)) = parse(result("scalar", r#"[1,"NaN"]"#).as_bytes()) else { panic!() };
    assert_eq!(value.to_bits(), 0x7ff8_0000_0000_0001);
}

#[test]
fn histograms_keep_counts_bounds_and_their_kind() {
    let json = result(
        "vector",
        r#"[{"metric":{},"histogram":[1,{"count":"4","sum":"8","buckets":[[0,"1","2","1"],[1,"2","3","1"],[2,"3","4","1"],[3,"4","+Inf","1"]]}]}]"#,
    );
    let Ok((Evaluated::Vector(samples), _)) = parse(json.as_bytes()) else { panic!() };
    let bucket = |lower, upper, bounds| HistogramBucket { lower, upper, count: 1.0, bounds };
    let buckets = vec![
        bucket(1.0, 2.0, BucketBounds::OpenLeft),
        bucket(2.0, 3.0, BucketBounds::OpenRight),
        bucket(3.0, 4.0, BucketBounds::OpenBoth),
        bucket(4.0, f64::INFINITY, BucketBounds::Closed),
    ];
    assert_eq!(samples[0].value, Value::Histogram(Arc::new(Histogram { count: 4.0, sum: 8.0, buckets })));
}

#[test]
fn what_is_no_answer_says_why() {
    let deep = format!(r#"{{"x":{}{}}}"#, "[".repeat(100), "]".repeat(100));
    for (json, said) in [
        ("", "the answer is not JSON: nothing where an object was expected at byte 0"),
        ("<html>", "the answer is not JSON: no value where one was expected at byte 0"),
        ("[1, 2]", "the answer is JSON, but not that of the query API: no object at byte 0"),
        ("{}", "the answer is JSON, but not that of the query API: no `status` of success or error at byte 2"),
        (r#"{"status":"success"}"#, "the answer is JSON, but not that of the query API: no `result` at byte 20"),
        (
            r#"{"status":"success","data":["a"]}"#,
            "the answer is JSON, but not that of the query API: no `result` at byte 33",
        ),
        (r#"{"status":"success","#, "the answer ended in the middle, after 20 bytes"),
        (r#"{"status":"error","errorType":"bad_data","error":"no"}"#, "bad_data: no"),
        (r#"{"status":"error","errorType":"execution","error":"no","data":null}"#, "execution: no"),
        (
            r#"{"status":"error","status":"success","data":{"resultType":"vector","result":[]}}"#,
            "the answer is JSON, but not that of the query API: a second `status` at byte 27",
        ),
        (
            r#"{"status":"success","errorType":"internal","error":"half","data":{"resultType":"vector","result":[]}}"#,
            "internal: half",
        ),
        (
            r#"{"status":1}"#,
            "the answer is JSON, but not that of the query API: something where a text was expected at byte 10",
        ),
        (r#"{"status" "success"}"#, "the answer is not JSON: no `:` behind a key at byte 10"),
        (r#"{"status":"success" 1}"#, "the answer is not JSON: no `,` or `}` behind a value at byte 20"),
        (r#"{"status":"a\q"}"#, "the answer is not JSON: an unknown escape in a string at byte 13"),
        (r#"{"status":"a\u12x4"}"#, "the answer is not JSON: an escape without its four hexadecimal digits at byte 16"),
        ("{\"status\":\"a\nb\"}", "the answer is not JSON: a control character in a string at byte 12"),
        (r#"{"x":01}"#, "the answer is not JSON: a number with a leading zero at byte 6"),
        (r#"{"x":1.}"#, "the answer is not JSON: a number without digits at byte 7"),
        (r#"{"x":nul}"#, "the answer is not JSON: no value where one was expected at byte 8"),
        (r#"{"x":1,}"#, "the answer is not JSON: no string where one was expected at byte 7"),
        (&deep, "the answer is not JSON: values nested too deep at byte 70"),
        (&(result("vector", "[]") + "x"), "the answer is not JSON: more behind the end of the answer at byte 63"),
        (
            &result("streams", "[]"),
            "the answer is JSON, but not that of the query API: a `resultType` that is none of vector, scalar, matrix, string at byte 50",
        ),
    ] {
        assert_eq!(show(&parse(json.as_bytes())), said, "{json}");
    }
}

#[test]
fn a_partial_answer_says_so() {
    let whole = result("vector", "[]");
    for (flag, warnings) in [("true", 1), ("false", 0), ("null", 0)] {
        let json = format!(r#"{{"isPartial":{flag},{}"#, &whole[1..]);
        let (_, annotations) = parse(json.as_bytes()).expect("an answer");
        assert_eq!(annotations.warnings.len(), warnings, "{flag}");
    }
}

#[test]
fn wrong_shapes_are_told_from_broken_json() {
    for (result_type, elements, what) in [
        ("vector", r#"[1,"1"]"#, "a `result` that does not fit its `resultType`"),
        ("vector", r#"[{"metric":{},"values":[[1,"1"]]}]"#, "a `result` that does not fit its `resultType`"),
        ("matrix", r#"[{"metric":{},"value":[1,"1"]}]"#, "a `result` that does not fit its `resultType`"),
        ("scalar", "[]", "a `result` that does not fit its `resultType`"),
        ("scalar", r#"[1,"x"]"#, "a scalar that is no number"),
        ("vector", r#"[{"metric":{},"value":[1,"1"]},{"metric":{},"values":[]}]"#, "a result of samples and of series"),
        ("vector", r#"[{"metric":{}}]"#, "an element without a value"),
        ("vector", r#"[{"value":[1,"1"]}]"#, "an element without `metric`"),
        ("vector", r#"[{"metric":{},"metric":{}}]"#, "a second `metric`"),
        ("vector", r#"[{"metric":{},"value":[1,"1"],"value":[1,"1"]}]"#, "an element with two values"),
        ("vector", r#"[{"metric":{"a":1},"value":[1,"1"]}]"#, "something where a string was expected"),
        ("vector", r#"[{"metric":["a"],"value":[1,"1"]}]"#, "something where an object was expected"),
        ("vector", r#"[{"metric":{},"value":[1,1]}]"#, "something where a string was expected"),
        ("vector", r#"[{"metric":{},"value":["1","1"]}]"#, "something where a number was expected"),
        ("vector", r#"[{"metric":{},"value":[1,"one"]}]"#, "a value that is no number"),
        ("vector", r#"[{"metric":{},"histogram":[1,{"count":"1"}]}]"#, "a histogram without `count` or `sum`"),
        ("vector", r#"[{"metric":{},"histogram":[1,{"buckets":[[4,"1","1","1"]]}]}]"#, "a bucket with unknown bounds"),
        ("matrix", r#"[{"metric":{},"values":[[1e300,"1"]]}]"#, "a time out of range"),
        ("vector", r#"["x"]"#, "an element that is no object"),
        ("vector", r#"{"a":1}"#, "a `result` that is no array"),
    ] {
        let json = result(result_type, elements);
        match parse(json.as_bytes()) {
            Err(AnswerError::Shape { what: found, .. }) => assert_eq!(found, what, "{json}"),
            other => panic!("{json}: {}", show(&other)),
        }
    }
}

#[test]
fn an_answer_over_the_bound_is_refused_and_stays_refused() {
    let mut parser = AnswerParser::new(10, Labels::empty());
    assert_eq!(parser.push(b"{\"status\""), Ok(()));
    assert_eq!(parser.push(b":\"success\""), Err(AnswerError::TooLarge { bytes_max: 10 }));
    assert_eq!(parser.push(b""), Err(AnswerError::TooLarge { bytes_max: 10 }));
    assert_eq!(parser.finish(), Err(AnswerError::TooLarge { bytes_max: 10 }));
}

#[test]
fn an_element_far_larger_than_a_chunk_is_read_too() {
    let long = "é".repeat(200_000);
    let json = result("vector", &format!(r#"[{{"metric":{{"a":"{long}"}},"value":[1,"7"]}}]"#));
    let Ok((Evaluated::Vector(samples), _)) = parse_chunks(json.as_bytes().chunks(1000)) else { panic!() };
    assert_eq!(samples[0].labels.get("a"), Some(&*long));
    assert_eq!(samples[0].value, Value::Float(7.0));
}

#[test]
fn long_texts_of_errors_are_cut() {
    let json = format!(r#"{{"status":"error","errorType":"internal","error":"{}"}}"#, "é".repeat(5000));
    let Err(AnswerError::Envelope { message, .. }) = parse(json.as_bytes()) else { panic!() };
    assert_eq!(message.len(), ERROR_TEXT_BYTES_MAX);
}

fn json_string() -> impl Strategy<Value = String> {
    proptest::collection::vec(any::<char>(), 0..12)
        .prop_map(|chars| serde_json::to_string(&chars.into_iter().collect::<String>()).unwrap())
}

/// Good answers of all kinds, in several styles of writing.
fn answers() -> impl Strategy<Value = String> {
    let metric = proptest::collection::btree_map("[a-z_]{1,10}", json_string(), 0..5).prop_map(|labels| {
        let pairs: Vec<String> = labels.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", pairs.join(","))
    });
    let value = prop_oneof![any::<f64>().prop_map(|v| v.to_string()), Just("NaN".to_owned()), Just("+Inf".to_owned())];
    let histogram = (any::<f64>(), any::<f64>())
        .prop_map(|(a, b)| format!(r#"{{"count":"{a}","sum":"{b}","buckets":[[0,"{b}","{a}","{a}"]]}}"#));
    let sample = (metric, value, histogram, 0..4_000_000_000_000_i64).prop_map(|(metric, value, histogram, at)| {
        let at = format!("{}.{:03}", at / 1000, at % 1000);
        [
            format!(r#"{{"metric":{metric},"value":[{at},"{value}"]}}"#),
            format!(r#"{{"metric":{metric},"histogram":[{at},{histogram}]}}"#),
            format!(r#"{{ "values" : [ [{at},"{value}"] , [{at},"1"] ], "histograms":[[{at},{histogram}]],"metric":{metric} }}"#),
        ]
    });
    let samples = proptest::collection::vec(sample, 0..5);
    let annotations = proptest::collection::vec(json_string(), 0..3).prop_map(|texts| format!("[{}]", texts.join(",")));
    (samples, annotations, 0..5_usize, any::<bool>()).prop_map(|(samples, warnings, kind, type_first)| {
        let pick = |which: fn(&[String; 3], usize) -> String| {
            let texts: Vec<String> = samples.iter().enumerate().map(|(i, sample)| which(sample, i)).collect();
            format!("[{}]", texts.join(","))
        };
        let (result_type, result) = match kind {
            0 | 1 => ("vector", pick(|sample, i| sample[i % 2].clone())),
            2 => ("matrix", pick(|sample, _| sample[2].clone())),
            3 => ("scalar", r#"[1,"42"]"#.to_owned()),
            _ => ("string", r#"[1,"\u00e9\ud83d\ude00x"]"#.to_owned()),
        };
        let (result_type, result) = (format!(r#""resultType":"{result_type}""#), format!(r#""result":{result}"#));
        let data = if type_first { [result_type, result] } else { [result, result_type] }.join(",");
        format!(r#"{{"status":"success","data":{{{data}}},"warnings":{warnings}}}"#)
    })
}

proptest! {
    #[test]
    fn a_good_answer_is_read_and_no_beginning_of_it_is(json in answers()) {
        prop_assert!(parse(json.as_bytes()).is_ok(), "{} {}", json, show(&parse(json.as_bytes())));
        for end in 0..json.len() {
            match parse(&json.as_bytes()[..end]) {
                Err(AnswerError::Cut { bytes }) => prop_assert_eq!(bytes, end as u64),
                Err(AnswerError::NotJson { .. }) => prop_assert_eq!(end, 0),
                other => prop_assert!(false, "{} of {}: {}", end, json, show(&other)),
            }
        }
    }

    #[test]
    fn chunk_boundaries_do_not_matter(json in answers(), sizes in proptest::collection::vec(1..40_usize, 1..20)) {
        prop_assert_eq!(show(&in_chunks(json.as_bytes(), &sizes)), show(&parse(json.as_bytes())));
    }

    #[test]
    fn broken_answers_are_broken_wherever_chunks_end(
        json in answers(),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
        sizes in proptest::collection::vec(1..40_usize, 1..20),
    ) {
        let mut bytes = json.into_bytes();
        for (index, byte) in flips {
            let index = index.index(bytes.len());
            bytes[index] = byte;
        }
        prop_assert_eq!(show(&in_chunks(&bytes, &sizes)), show(&parse(&bytes)));
        bytes.truncate(cut.index(bytes.len()));
        prop_assert_eq!(show(&in_chunks(&bytes, &sizes)), show(&parse(&bytes)));
        // What we call an answer is JSON to everybody else.
        if parse(&bytes).is_ok() {
            prop_assert!(serde_json::from_slice::<serde_json::Value>(&bytes).is_ok());
        }
    }

    #[test]
    fn any_bytes_at_all_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&bytes);
    }
}

fn in_chunks(bytes: &[u8], sizes: &[usize]) -> Outcome {
    let (mut rest, mut chunks, mut sizes) = (bytes, Vec::new(), sizes.iter().cycle());
    while !rest.is_empty() {
        let (chunk, after) = rest.split_at(rest.len().min(*sizes.next().unwrap()));
        chunks.push(chunk);
        rest = after;
    }
    parse_chunks(chunks)
}

#[test]
fn times_are_rounded_to_milliseconds() {
    for (text, millis) in [("1435781451.781", 1_435_781_451_781), ("0.0005", 1), ("-1.25", -1250), ("1e3", 1_000_000)] {
        let json = result("matrix", &format!(r#"[{{"metric":{{}},"values":[[{text},"1"]]}}]"#));
        let Ok((Evaluated::Matrix(series), _)) = parse(json.as_bytes()) else { panic!("{text}") };
        assert_eq!(series[0].samples[0].0, Timestamp::from_millis(millis), "{text}");
    }
}
