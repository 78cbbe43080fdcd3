//! `remote_write`: where recorded series and the series of alerts go.

use std::collections::HashSet;

use super::address::{parse_http_url, redacted};
use super::client::{CLIENT, check_header_name, client, is_reserved_header, user_info};
use super::model::REMOTE_WRITE_TIMEOUT;
use super::read::{Fields, Reader, Shape};
use super::{HttpClientConfig, RemoteWriteConfig, RemoteWriteQueue, Secret, SecretText, relabeling};

const REMOTE_WRITE: Shape = Shape {
    read: &["url", "remote_timeout", "headers", "write_relabel_configs", "name", "protobuf_message", "queue_config"],
    unused: &[
        "metadata_config",
        "send_exemplars",
        "send_native_histograms",
        "round_robin_dns",
        "failed_request_logging",
    ],
    refused: &["sigv4", "azuread", "google_iam"],
    ..Shape::NONE
};

const QUEUE: Shape = Shape {
    read: &[
        "capacity",
        "max_shards",
        "min_shards",
        "max_samples_per_send",
        "min_backoff",
        "max_backoff",
        "retry_on_http_429",
    ],
    unused: &["batch_send_deadline", "sample_age_limit"],
    ..Shape::NONE
};

pub(super) fn remote_write(reader: &mut Reader<'_>, top: &Fields<'_>) -> Vec<RemoteWriteConfig> {
    let mut blocks: Vec<RemoteWriteConfig> = Vec::new();
    let mut names = HashSet::new();
    for node in reader.list(top, "remote_write") {
        let at = node.head();
        if node.is_null() {
            reader.error("empty or null remote write config section", node.span);
            continue;
        }
        let fields = reader.section("remote_write", node, at, &[&REMOTE_WRITE, &CLIENT]);
        let given_name = reader.filled_text(&fields, "name");
        if let Some(name) = given_name.as_ref().filter(|name| !names.insert((*name).clone())) {
            let message = format!("found multiple remote write configs with job name {name:?}");
            reader.error(message, fields.value("name"));
        }
        let Some(mut block) = remote_write_block(reader, &fields) else { continue };
        let twin = blocks.iter().any(|other| RemoteWriteConfig { name: String::new(), ..other.clone() } == block);
        if twin && given_name.is_none() {
            let shown = redacted(&block.url);
            reader.error(
                format!("duplicate remote write configs are not allowed, found duplicate for URL: {shown}"),
                fields.key("url"),
            );
        }
        block.name = given_name.unwrap_or_else(|| block.default_name(|name| names.contains(name)));
        names.insert(block.name.clone());
        blocks.push(block);
    }
    blocks
}

/// The block without its name.
fn remote_write_block(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<RemoteWriteConfig> {
    if fields.is_blank("url") {
        reader.error("url for remote_write is empty", fields.key("url"));
    }
    let url = reader.url(fields, "url", parse_http_url);
    match reader.filled_text(fields, "protobuf_message").as_deref() {
        None | Some("prometheus.WriteRequest") => {}
        Some("io.prometheus.write.v2.Request") => {
            let help = "leave protobuf_message out, or write prometheus.WriteRequest";
            reader.error_help("remote write 2.0 is not offered yet", help, fields.value("protobuf_message"));
        }
        Some(other) => {
            let message = format!("invalid protobuf_message value: {other:?}");
            reader.error(message, fields.value("protobuf_message"));
        }
    }
    let default = HttpClientConfig { enable_http2: false, ..HttpClientConfig::default() };
    let mut http = client(reader, fields, default);
    plain_headers(reader, fields, &mut http);
    let write_relabel = relabeling::rules(
        reader,
        fields,
        "write_relabel_configs",
        "empty or null relabeling rule in remote write config",
    );
    let timeout = reader.positive_duration(fields, "remote_timeout", REMOTE_WRITE_TIMEOUT);
    let queue = queue(reader, fields);
    let mut url = url?;
    user_info(reader, fields, &mut url, &mut http);
    Some(RemoteWriteConfig { name: String::new(), url, timeout, http, write_relabel, queue })
}

/// `headers`, the older way to say `http_headers`; they often hold tokens, so their values never show.
fn plain_headers(reader: &mut Reader<'_>, fields: &Fields<'_>, http: &mut HttpClientConfig) {
    for entry in reader.entries(fields, "headers") {
        let name = &entry.key;
        reader.hide(entry.value.span);
        if name.eq_ignore_ascii_case("authorization") {
            let message = "authorization header must be changed via the basic_auth, authorization, oauth2, sigv4, \
                           azuread or google_iam parameter";
            reader.error(message, entry.key_span);
        } else if is_reserved_header(name) {
            reader.error(format!("{name} is a reserved header. It must not be changed"), entry.key_span);
        }
        check_header_name(reader, name, entry.key_span);
        if let Some(value) = reader.plain_text(name, &entry.value, entry.key_span) {
            let values = http.http_headers.entry(name.clone()).or_default();
            values.push(SecretText::Inline(Secret::new(value)));
        }
    }
}

fn queue(reader: &mut Reader<'_>, fields: &Fields<'_>) -> RemoteWriteQueue {
    let default = RemoteWriteQueue::default();
    let Some(fields) = reader.subsection(fields, "queue_config", &QUEUE) else { return default };
    let capacity = positive(reader, &fields, "capacity", 10_000);
    let max_shards = positive(reader, &fields, "max_shards", 50);
    let min_shards = positive(reader, &fields, "min_shards", 1);
    let max_samples_per_send = positive(reader, &fields, "max_samples_per_send", default.max_samples_per_send as u64);
    if min_shards > max_shards {
        let message = "remote write queue min_shards must not be greater than max_shards";
        reader.error(message, fields.key("min_shards"));
    }
    let min_backoff = reader.duration(&fields, "min_backoff").unwrap_or(default.min_backoff);
    let max_backoff = reader.duration(&fields, "max_backoff").unwrap_or(default.max_backoff);
    if max_backoff < min_backoff {
        let message = "remote write queue max_backoff must not be less than min_backoff";
        reader.error(message, fields.key("max_backoff"));
    }
    // Prometheus holds `capacity` samples in each of up to `max_shards` queues; here it is one queue.
    let capacity = usize::try_from(capacity.saturating_mul(max_shards)).unwrap_or(usize::MAX);
    RemoteWriteQueue {
        capacity: capacity.min(RemoteWriteQueue::CAPACITY_MAX),
        max_samples_per_send: usize::try_from(max_samples_per_send).unwrap_or(usize::MAX),
        min_backoff,
        max_backoff,
        retry_on_http_429: reader.flag(&fields, "retry_on_http_429", default.retry_on_http_429),
    }
}

fn positive(reader: &mut Reader<'_>, fields: &Fields<'_>, name: &str, default: u64) -> u64 {
    match reader.unsigned(fields, name) {
        Some(0) => {
            reader.error(format!("remote write queue {name} must be positive"), fields.value(name));
            default
        }
        number => number.unwrap_or(default),
    }
}
