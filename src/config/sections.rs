//! The sections of the configuration file, each from its fields to its checked type.

use std::collections::HashSet;
use std::rc::Rc;

use super::address::{parse_http_url, quoted, take_user_info};
use super::client::{CLIENT, check_header_name, client, is_reserved_header};
use super::expand::expand;
use super::model::{
    ALERTMANAGER_TIMEOUT, ANSWER_BYTES_MAX, CONCURRENT_QUERIES_DEFAULT, QUERY_TIMEOUT, REMOTE_WRITE_TIMEOUT,
};
use super::pattern::Pattern;
use super::read::{Fields, Reader, Shape};
use super::yaml::{Entry, Node};
use super::{
    Alerting, AlertmanagerConfig, Global, HttpClientConfig, RemoteWriteConfig, RemoteWriteQueue, Secret, SecretText,
    SourceConfig, SourceKind, TargetGroup, relabeling,
};
use crate::diagnostic::Span;
use crate::model::{Labels, ValidationScheme};

const GLOBAL: Shape = Shape {
    read: &["evaluation_interval", "rule_query_offset", "external_labels", "metric_name_validation_scheme"],
    unused: &["query_log_file"],
    passed: &[
        "scrape_interval",
        "scrape_timeout",
        "scrape_protocols",
        "scrape_failure_log_file",
        "body_size_limit",
        "sample_limit",
        "target_limit",
        "label_limit",
        "label_name_length_limit",
        "label_value_length_limit",
        "keep_dropped_targets",
        "metric_name_escaping_scheme",
        "scrape_native_histograms",
        "convert_classic_histograms_to_nhcb",
        "always_scrape_classic_histograms",
        "extra_scrape_metrics",
    ],
    ..Shape::NONE
};

/// What an external label may ask of the environment.
pub(super) type Environment<'e> = dyn Fn(&str) -> Option<String> + 'e;

/// The scheme decides which label names are valid anywhere in the file, so it is read before all else.
pub(super) fn validation_scheme(reader: &mut Reader<'_>, global: &Fields<'_>) -> ValidationScheme {
    match reader.filled_text(global, "metric_name_validation_scheme").as_deref() {
        None | Some("utf8") => ValidationScheme::Utf8,
        Some("legacy") => ValidationScheme::Legacy,
        Some(other) => {
            let message = format!("metric_name_validation_scheme must be utf8 or legacy, not {other:?}");
            reader.error(message, global.value("metric_name_validation_scheme"));
            ValidationScheme::Utf8
        }
    }
}

pub(super) fn global_fields<'n>(reader: &mut Reader<'_>, entry: &'n Entry) -> Fields<'n> {
    reader.section("global", &entry.value, entry.key_span, &[&GLOBAL])
}

pub(super) fn global(reader: &mut Reader<'_>, fields: &Fields<'_>, environment: &Environment<'_>) -> Global {
    let default = Global::default();
    let interval = reader.duration(fields, "evaluation_interval").filter(|interval| !interval.is_zero());
    Global {
        evaluation_interval: interval.unwrap_or(default.evaluation_interval),
        rule_query_offset: reader.duration(fields, "rule_query_offset").unwrap_or_default(),
        external_labels: external_labels(reader, fields, environment),
        validation_scheme: reader.scheme,
    }
}

fn external_labels(reader: &mut Reader<'_>, fields: &Fields<'_>, environment: &Environment<'_>) -> Labels {
    let mut labels = Vec::new();
    for (name, value, at) in reader.text_map(fields, "external_labels") {
        reader.check_label_name(&name, at);
        let value = expand(&value, |variable| {
            let found = environment(variable).filter(|text| !text.is_empty());
            if found.is_none() {
                reader.warning(format!("external label {name:?}: environment variable {variable:?} is empty"), at);
            }
            found.unwrap_or_default()
        });
        // An external label without a value is the same as none, everywhere it is used.
        if !value.is_empty() {
            labels.push((name, value));
        }
    }
    Labels::from_pairs(labels)
}

/// The patterns of rule files, joined to the directory of the file, with their places.
pub(super) fn rule_files(reader: &mut Reader<'_>, top: &Fields<'_>) -> Vec<(String, Span)> {
    let patterns = reader.texts(top, "rule_files");
    let mut joined = Vec::new();
    for (pattern, at) in patterns {
        if pattern.is_empty() {
            reader.error("invalid rule file path \"\": it is empty", at);
            continue;
        }
        let pattern = Pattern::join(reader.directory, &pattern);
        if let Err(error) = Pattern::parse(&pattern) {
            reader.error(format!("invalid rule file path {pattern:?}: {error}"), at);
        }
        joined.push((pattern, at));
    }
    joined
}

const ALERTING: Shape = Shape { read: &["alert_relabel_configs", "alertmanagers"], ..Shape::NONE };

const ALERTMANAGER: Shape = Shape {
    read: &[
        "scheme",
        "path_prefix",
        "timeout",
        "api_version",
        "static_configs",
        "relabel_configs",
        "alert_relabel_configs",
    ],
    refused: &["sigv4"],
    ..Shape::NONE
};

/// Discovery that Prometheus has and we do not have yet: known by name, judged by `judge_discovery`.
///
/// Source: Prometheus `discovery/*`, and those of earlier 3.x and 2.x releases.
const DISCOVERY: Shape = Shape {
    read: &[
        "aws_sd_configs",
        "azure_sd_configs",
        "consul_sd_configs",
        "digitalocean_sd_configs",
        "dns_sd_configs",
        "docker_sd_configs",
        "dockerswarm_sd_configs",
        "ec2_sd_configs",
        "ecs_sd_configs",
        "elasticache_sd_configs",
        "eureka_sd_configs",
        "file_sd_configs",
        "gce_sd_configs",
        "hetzner_sd_configs",
        "http_sd_configs",
        "ionos_sd_configs",
        "kubernetes_sd_configs",
        "kuma_sd_configs",
        "lightsail_sd_configs",
        "linode_sd_configs",
        "marathon_sd_configs",
        "msk_sd_configs",
        "nerve_sd_configs",
        "nomad_sd_configs",
        "oci_sd_configs",
        "openstack_sd_configs",
        "outscale_sd_configs",
        "ovhcloud_sd_configs",
        "puppetdb_sd_configs",
        "rds_sd_configs",
        "scaleway_sd_configs",
        "serverset_sd_configs",
        "stackit_sd_configs",
        "triton_sd_configs",
        "uyuni_sd_configs",
        "vultr_sd_configs",
    ],
    ..Shape::NONE
};

const STATIC: Shape = Shape { read: &["targets", "labels"], ..Shape::NONE };

/// `ignore_discovery`: the Alertmanagers come from flags, so it does no harm that some here are not found.
pub(super) fn alerting(reader: &mut Reader<'_>, top: &Fields<'_>, ignore_discovery: bool) -> Alerting {
    let Some(fields) = reader.subsection(top, "alerting", &ALERTING) else { return Alerting::default() };
    let relabel = relabeling::rules(reader, &fields, "alert_relabel_configs", "empty or null alert relabeling rule");
    let blocks = reader.list(&fields, "alertmanagers");
    let alertmanagers = blocks.iter().filter_map(|node| alertmanager(reader, node, ignore_discovery)).collect();
    Alerting { relabel, alertmanagers }
}

fn alertmanager(reader: &mut Reader<'_>, node: &Rc<Node>, ignore_discovery: bool) -> Option<AlertmanagerConfig> {
    if node.is_null() {
        reader.error("empty or null Alertmanager section", node.span);
        return None;
    }
    let fields = reader.section("alertmanagers", node, node.head(), &[&ALERTMANAGER, &CLIENT, &DISCOVERY]);
    if !ignore_discovery {
        judge_discovery(reader, &fields);
    }
    let default = AlertmanagerConfig::default();
    let scheme = reader.filled_text(&fields, "scheme").unwrap_or(default.scheme);
    if !matches!(scheme.as_str(), "http" | "https") {
        reader.error(format!("scheme must be http or https, not {scheme:?}"), fields.value("scheme"));
    }
    if let Some(version) = reader.text(&fields, "api_version").filter(|version| version != "v2") {
        let message = format!("expected Alertmanager api version to be one of [v2] but got {version}");
        reader.error(message, fields.value("api_version"));
    }
    let relabel =
        relabeling::rules(reader, &fields, "relabel_configs", "empty or null Alertmanager target relabeling rule");
    Some(AlertmanagerConfig {
        scheme,
        path_prefix: reader.text(&fields, "path_prefix").unwrap_or_default(),
        timeout: reader.positive_duration(&fields, "timeout", ALERTMANAGER_TIMEOUT),
        http: client(reader, &fields, HttpClientConfig::default()),
        static_configs: static_configs(reader, &fields),
        relabel,
        alert_relabel: relabeling::rules(
            reader,
            &fields,
            "alert_relabel_configs",
            "empty or null Alertmanager alert relabeling rule",
        ),
    })
}

/// An Alertmanager that is silently not discovered is a lost page.
fn judge_discovery(reader: &mut Reader<'_>, fields: &Fields<'_>) {
    let help = "use static_configs, or name the Alertmanagers by --alertmanager.url";
    let mut has_targets = fields.has("static_configs");
    for name in DISCOVERY.read {
        if fields.has(name) {
            has_targets = true;
            reader.error_help(format!("{name} is not offered yet"), help, fields.key(name));
        }
    }
    if !has_targets {
        reader.warning("this entry of alertmanagers has no static_configs: it reaches no Alertmanager", fields.at);
    }
}

fn static_configs(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Vec<TargetGroup> {
    // Relabeling may make an address of anything.
    let judge_addresses = reader.list(fields, "relabel_configs").is_empty();
    let mut groups = Vec::new();
    for node in reader.list(fields, "static_configs") {
        let group = reader.section("static_configs", node, node.head(), &[&STATIC]);
        let targets = reader.texts(&group, "targets");
        for (target, at) in &targets {
            if judge_addresses && (target.is_empty() || target.contains('/')) {
                let help = "write host:port; scheme and path_prefix are fields of their own";
                reader.error_help(format!("{} is not a valid hostname", quoted(target)), help, *at);
            }
        }
        let labels = label_set(reader, &group);
        groups.push(TargetGroup { targets: targets.into_iter().map(|(target, _)| target).collect(), labels });
    }
    groups
}

fn label_set(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Labels {
    let labels = reader.text_map(fields, "labels");
    for (name, _, at) in &labels {
        reader.check_label_name(name, *at);
    }
    Labels::from_pairs(labels.iter().filter(|(_, value, _)| !value.is_empty()).map(|(name, value, _)| (name, value)))
}

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
            let shown = super::redacted(&block.url);
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
    if reader.filled_text(fields, "url").is_none() {
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

/// User information in a URL is basic authentication, and wins over other kinds as it does in the reference.
fn user_info(reader: &mut Reader<'_>, fields: &Fields<'_>, url: &mut url::Url, http: &mut HttpClientConfig) {
    let Some(auth) = take_user_info(url) else { return };
    if http.oauth2.is_some() || http.authorization.is_some() || http.basic_auth.is_some() {
        let message = "the user information in the url wins over every other authentication of the section";
        reader.warning(message, fields.key("url"));
    }
    (http.basic_auth, http.authorization, http.oauth2) = (Some(auth), None, None);
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
    let mut sources: Vec<(SourceConfig, Span)> = Vec::new();
    for node in nodes {
        let at = node.head();
        if node.is_null() {
            reader.error("empty or null source", node.span);
            continue;
        }
        let fields = reader.section("sources", node, at, &[&SOURCE, &CLIENT]);
        let Some(source) = source(reader, &fields, nodes.len() == 1) else { continue };
        for (other, _) in &sources {
            tell_apart(reader, other, &source, &fields);
        }
        sources.push((source, at));
    }
    sources.into_iter().map(|(source, _)| source).collect()
}

/// A rule runs on every source, so the labels must say whose alert it is.
fn tell_apart(reader: &mut Reader<'_>, one: &SourceConfig, other: &SourceConfig, fields: &Fields<'_>) {
    if one.name == other.name {
        reader.error(format!("two sources have the name {:?}", one.name), fields.value("name"));
    } else if one.labels == other.labels {
        let message = format!(
            "sources {:?} and {:?} have the same labels: a rule runs on each, and their alerts would be one",
            one.name, other.name
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
    if reader.filled_text(fields, "url").is_none() {
        reader.error("a source needs a url", fields.at);
    }
    let url = reader.url(fields, "url", parse_http_url);
    let external_url = reader.url(fields, "external_url", parse_http_url);
    if external_url.as_ref().is_some_and(|url| !url.username().is_empty() || url.password().is_some()) {
        let message = "external_url must hold no user information: it is in every alert";
        reader.error(message, fields.key("external_url"));
    }
    let mut http = client(reader, fields, HttpClientConfig::default());
    let labels = label_set(reader, fields);
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
