//! `sources`: where rules are evaluated. Bellwether's own section.

use super::address::parse_http_url;
use super::client::{CLIENT, client, user_info};
use super::model::{ANSWER_BYTES_MAX, CONCURRENT_QUERIES_DEFAULT, QUERY_TIMEOUT};
use super::read::{Fields, Reader, Shape};
use super::{HttpClientConfig, SourceConfig, SourceKind};

const SOURCE: Shape = Shape {
    read: &["name", "type", "url", "external_url", "labels", "timeout", "max_concurrent_queries", "max_answer_bytes"],
    ..Shape::NONE
};

/// Kinds of sources that are planned.
const LATER_KINDS: [&str; 2] = ["remote_read", "embedded"];

/// More queries in flight than this are a slip of the hand, and a storm for the source.
const CONCURRENT_QUERIES_MAX: u64 = 10_000;

pub(super) fn sources(reader: &mut Reader<'_>, top: &Fields<'_>) -> Vec<SourceConfig> {
    let nodes = reader.list(top, "sources");
    let mut sources: Vec<SourceConfig> = Vec::new();
    for node in nodes {
        if node.is_null() {
            reader.error("empty or null source", node.span);
            continue;
        }
        let fields = reader.section("sources", node, node.head(), &[&SOURCE, &CLIENT]);
        let Some(source) = source(reader, &fields, nodes.len() == 1) else { continue };
        tell_apart(reader, &sources, &source, &fields);
        sources.push(source);
    }
    sources
}

/// A rule runs on every source, so the labels must say whose alert it is.
fn tell_apart(reader: &mut Reader<'_>, others: &[SourceConfig], source: &SourceConfig, fields: &Fields<'_>) {
    if others.iter().any(|other| other.name == source.name) {
        reader.error(format!("two sources have the name {:?}", source.name), fields.value("name"));
    } else if let Some(other) = others.iter().find(|other| other.labels == source.labels) {
        let message = format!(
            "sources {:?} and {:?} have the same labels: a rule runs on each, and their alerts would be one",
            other.name, source.name
        );
        reader.error_help(message, "give each labels of its own, like labels: {cluster: eu}", fields.key("labels"));
    }
}

fn source(reader: &mut Reader<'_>, fields: &Fields<'_>, only_one: bool) -> Option<SourceConfig> {
    let name = reader.filled_text(fields, "name").or(only_one.then(|| SourceConfig::DEFAULT_NAME.to_owned()));
    if name.is_none() {
        reader.error("a source needs a name where there are several", fields.at);
    }
    let kind = source_kind(reader, fields);
    if fields.is_blank("url") {
        reader.error("a source needs a url", fields.at);
    }
    let url = reader.url(fields, "url", parse_http_url);
    let external_url = reader.url(fields, "external_url", parse_http_url);
    if external_url.as_ref().is_some_and(|url| !url.username().is_empty() || url.password().is_some()) {
        let message = "external_url must hold no user information: it is in every alert";
        reader.error(message, fields.key("external_url"));
    }
    let mut http = client(reader, fields, HttpClientConfig::default());
    let labels = reader.label_set(fields);
    let timeout = reader.positive_duration(fields, "timeout", QUERY_TIMEOUT);
    let max_concurrent_queries = concurrent_queries(reader, fields);
    let max_answer_bytes = answer_bytes(reader, fields);
    let mut url = url?;
    user_info(reader, fields, &mut url, &mut http);
    Some(SourceConfig {
        name: name?,
        kind: kind?,
        url,
        external_url,
        labels,
        http,
        timeout,
        max_concurrent_queries,
        max_answer_bytes,
    })
}

fn source_kind(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<SourceKind> {
    match reader.filled_text(fields, "type").as_deref() {
        None => reader.error_help("a source needs a type", "write type: prometheus", fields.at),
        Some("prometheus") => return Some(SourceKind::Prometheus),
        Some(later) if LATER_KINDS.contains(&later) => {
            reader.error(format!("sources of type {later:?} are not offered yet"), fields.value("type"));
        }
        Some(other) => {
            let message = format!("unknown type of source {other:?}");
            reader.error_help(message, "the type offered is prometheus", fields.value("type"));
        }
    }
    None
}

fn concurrent_queries(reader: &mut Reader<'_>, fields: &Fields<'_>) -> usize {
    match reader.unsigned(fields, "max_concurrent_queries") {
        None => CONCURRENT_QUERIES_DEFAULT,
        Some(number @ 1..=CONCURRENT_QUERIES_MAX) => usize::try_from(number).expect("the bound above fits every usize"),
        Some(_) => {
            let message = format!("max_concurrent_queries must be between 1 and {CONCURRENT_QUERIES_MAX}");
            reader.error(message, fields.value("max_concurrent_queries"));
            CONCURRENT_QUERIES_DEFAULT
        }
    }
}

fn answer_bytes(reader: &mut Reader<'_>, fields: &Fields<'_>) -> u64 {
    let Some(text) = reader.text(fields, "max_answer_bytes") else { return ANSWER_BYTES_MAX };
    parse_size(&text).filter(|bytes| *bytes > 0).unwrap_or_else(|| {
        let message = format!("max_answer_bytes must be a size like 256MiB, or a number of bytes, not {text:?}");
        reader.error(message, fields.value("max_answer_bytes"));
        ANSWER_BYTES_MAX
    })
}

/// A number of bytes with an optional unit; `KB` is 1024 as `KiB` is, which is how Prometheus reads sizes.
fn parse_size(text: &str) -> Option<u64> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let shift = match unit.trim() {
        "" | "B" => 0,
        "KB" | "KiB" => 10,
        "MB" | "MiB" => 20,
        "GB" | "GiB" => 30,
        "TB" | "TiB" => 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::parse_size;

    #[test]
    fn sizes_have_binary_units() {
        for (text, expected) in [
            ("0", Some(0)),
            ("1048576", Some(1 << 20)),
            ("256MiB", Some(256 << 20)),
            ("1 GB", Some(1 << 30)),
            ("2KiB", Some(2048)),
            ("MiB", None),
            ("1.5GiB", None),
            ("-1", None),
            ("99999999TiB", None),
            ("5 Mib", None),
        ] {
            assert_eq!(parse_size(text), expected, "{text}");
        }
    }
}
