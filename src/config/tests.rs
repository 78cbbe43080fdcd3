//! Tests of the whole room.

use std::path::Path;

use proptest::prelude::*;

use super::{Config, LoadError, LoadOptions, Loaded, ParseOptions, load, load_rules, parse};
use crate::config::load::current_digest;
use crate::config::{Flags, parse_http_url};
use crate::diagnostic::{Finding, Severity, SourceText};

fn read(text: &str) -> (Option<Config>, Vec<Finding>) {
    let environment = |name: &str| (name == "CLUSTER").then(|| "eu".to_owned());
    let options =
        ParseOptions { environment: &environment, directory: Path::new("/etc/prom"), ignore_discovery: false };
    parse(&SourceText::new("p.yml", text), &options)
}

/// Every finding in one line each, warnings and infos marked.
fn lines(findings: &[Finding]) -> Vec<String> {
    let mark = |finding: &Finding| match finding.severity {
        Severity::Error => "",
        Severity::Warning => "warning ",
        Severity::Info => "info ",
    };
    findings.iter().map(|finding| format!("{}{finding}", mark(finding))).collect()
}

#[test]
fn every_fault_is_told_in_one_line() {
    for (text, expected) in FAULTS {
        let (config, findings) = read(text);
        assert_eq!(lines(&findings), *expected, "{text}");
        assert_eq!(config.is_none(), findings.iter().any(Finding::is_error), "{text}");
    }
}

/// A text, and everything that is wrong with it.
const FAULTS: &[(&str, &[&str])] = &[
    (
        "rule_fils: [a.yml]",
        &[r#"p.yml:1:1: unknown field "rule_fils" in the configuration; did you mean "rule_files"?"#],
    ),
    ("globl: {}", &[r#"p.yml:1:1: unknown field "globl" in the configuration; did you mean "global"?"#]),
    ("xyzzyxyzzy: 1", &[r#"p.yml:1:1: unknown field "xyzzyxyzzy" in the configuration"#]),
    ("- a", &["p.yml:1:1: the configuration must be a mapping, not a list"]),
    ("global: [1]", &["p.yml:1:1: global must be a mapping, not a list"]),
    ("global: {evaluation_interval: 60}", &[r#"p.yml:1:31: evaluation_interval: not a valid duration string: "60""#]),
    ("global: {evaluation_interval: 1x}", &[r#"p.yml:1:31: evaluation_interval: unknown unit "x" in duration "1x""#]),
    ("global: {rule_query_offset: [1m]}", &["p.yml:1:10: rule_query_offset must be a text, not a list"]),
    (
        "global: {evaluation_intervall: 1m}",
        &[r#"p.yml:1:10: unknown field "evaluation_intervall" in global; did you mean "evaluation_interval"?"#],
    ),
    (
        "global: {metric_name_validation_scheme: utf16}",
        &[r#"p.yml:1:41: metric_name_validation_scheme must be utf8 or legacy, not "utf16""#],
    ),
    (
        "global: {metric_name_validation_scheme: legacy, external_labels: {a-b: x, ok: y}}",
        &[r#"p.yml:1:67: "a-b" is not a valid label name"#],
    ),
    (r#"global: {external_labels: {"": x}}"#, &[r#"p.yml:1:28: "" is not a valid label name"#]),
    (
        r#"global: {external_labels: {a: "$MISSING", b: "${HOME_X}"}}"#,
        &[
            r#"warning p.yml:1:28: external label "a": environment variable "MISSING" is empty"#,
            r#"warning p.yml:1:43: external label "b": environment variable "HOME_X" is empty"#,
        ],
    ),
    ("global: {external_labels: {a: [x]}}", &["p.yml:1:28: a must be a text, not a list"]),
    ("global: {external_labels: [x]}", &["p.yml:1:10: external_labels must be a mapping, not a list"]),
    (
        "global: {query_log_file: q.log, scrape_interval: 15s}\nscrape_configs: anything",
        &[
            "info p.yml:1:10: query_log_file is taken, but nothing here uses it",
            "info p.yml:2:1: passed over, since a ruler does not need it: scrape_configs, global.scrape_interval",
        ],
    ),
    ("rule_files: rules.yml", &["p.yml:1:1: rule_files must be a list, not a single value"]),
    (
        r#"rule_files: ["a/**b.yml", "[x", ""]"#,
        &[
            r#"p.yml:1:14: invalid rule file path "/etc/prom/a/**b.yml": `**` must stand alone between slashes"#,
            r#"p.yml:1:27: invalid rule file path "/etc/prom/[x": unclosed character class; missing ']'"#,
            r#"p.yml:1:33: invalid rule file path "": it is empty"#,
        ],
    ),
    (
        "alerting: {alertmanager: []}",
        &[r#"p.yml:1:12: unknown field "alertmanager" in alerting; did you mean "alertmanagers"?"#],
    ),
    ("alerting: {alertmanagers: [~]}", &["p.yml:1:28: empty or null Alertmanager section"]),
    (
        "alerting: {alertmanagers: [x]}",
        &[
            "p.yml:1:28: alertmanagers must be a mapping, not a single value",
            "warning p.yml:1:28: this entry of alertmanagers has no static_configs: it reaches no Alertmanager",
        ],
    ),
    (
        "alerting: {alertmanagers: [{scheme: ftp}]}",
        &[
            "warning p.yml:1:29: this entry of alertmanagers has no static_configs: it reaches no Alertmanager",
            r#"p.yml:1:37: scheme must be http or https, not "ftp""#,
        ],
    ),
    (
        "alerting: {alertmanagers: [{timeout: 0s}]}",
        &[
            "warning p.yml:1:29: this entry of alertmanagers has no static_configs: it reaches no Alertmanager",
            "p.yml:1:38: timeout must be greater than 0",
        ],
    ),
    (
        "alerting: {alertmanagers: [{api_version: v1}]}",
        &[
            "warning p.yml:1:29: this entry of alertmanagers has no static_configs: it reaches no Alertmanager",
            "p.yml:1:42: expected Alertmanager api version to be one of [v2] but got v1",
        ],
    ),
    (
        r#"alerting: {alertmanagers: [{static_configs: [{targets: ["http://u:p@am:9093/x", ""]}]}]}"#,
        &[
            r#"p.yml:1:57: "http://xxxxx@am:9093/x" is not a valid hostname; write host:port; scheme and path_prefix are fields of their own"#,
            r#"p.yml:1:81: "" is not a valid hostname; write host:port; scheme and path_prefix are fields of their own"#,
        ],
    ),
    (
        r#"alerting: {alertmanagers: [{static_configs: [{target: ["am:9093"]}]}]}"#,
        &[r#"p.yml:1:47: unknown field "target" in static_configs; did you mean "targets"?"#],
    ),
    (
        "alerting: {alertmanagers: [{dns_sd_configs: [{names: [x]}]}]}",
        &[
            "p.yml:1:29: dns_sd_configs is not offered yet; use static_configs, or name the Alertmanagers by --alertmanager.url",
        ],
    ),
    (
        "alerting: {alertmanagers: [{sigv4: {region: x}}]}",
        &[
            "p.yml:1:29: sigv4 is not offered yet",
            "warning p.yml:1:29: this entry of alertmanagers has no static_configs: it reaches no Alertmanager",
        ],
    ),
    (
        "alerting: {alertmanagers: [{relabel_configs: [~], alert_relabel_configs: [~]}], alert_relabel_configs: [~]}",
        &[
            "warning p.yml:1:29: this entry of alertmanagers has no static_configs: it reaches no Alertmanager",
            "p.yml:1:47: empty or null Alertmanager target relabeling rule",
            "p.yml:1:75: empty or null Alertmanager alert relabeling rule",
            "p.yml:1:105: empty or null alert relabeling rule",
        ],
    ),
    (
        "alerting: {alert_relabel_configs: [{sourcelabels: [a]}]}",
        &[r#"p.yml:1:37: unknown field "sourcelabels" in alert_relabel_configs; did you mean "source_labels"?"#],
    ),
    ("remote_write: [~]", &["p.yml:1:16: empty or null remote write config section"]),
    ("remote_write: [{}]", &["p.yml:1:16: url for remote_write is empty"]),
    (
        r#"remote_write: [{url: "h:9090"}]"#,
        &[r#"p.yml:1:22: url: "h:9090" is not an http or https URL: its scheme is h"#],
    ),
    (
        r#"remote_write: [{url: "http://u:secretpw@"}]"#,
        &[r#"p.yml:1:22: url: "http://xxxxx@" is not an http or https URL: empty host"#],
    ),
    (
        r#"remote_write: [{url: "http://a", name: x}, {url: "http://b", name: x}]"#,
        &[r#"p.yml:1:68: found multiple remote write configs with job name "x""#],
    ),
    (
        r#"remote_write: [{url: "http://a"}, {url: "http://a"}]"#,
        &["p.yml:1:36: duplicate remote write configs are not allowed, found duplicate for URL: http://a/"],
    ),
    (
        r#"remote_write: [{url: "http://a", protobuf_message: io.prometheus.write.v2.Request}]"#,
        &[
            "p.yml:1:52: remote write 2.0 is not offered yet; leave protobuf_message out, or write prometheus.WriteRequest",
        ],
    ),
    (
        r#"remote_write: [{url: "http://a", protobuf_message: x}]"#,
        &[r#"p.yml:1:52: invalid protobuf_message value: "x""#],
    ),
    (
        r#"remote_write: [{url: "http://a", headers: {Authorization: x, Host: y, "a b": z}}]"#,
        &[
            "p.yml:1:44: authorization header must be changed via the basic_auth, authorization, oauth2, sigv4, azuread or google_iam parameter",
            "p.yml:1:62: Host is a reserved header. It must not be changed",
            r#"p.yml:1:71: "a b" is not a valid header name"#,
        ],
    ),
    (r#"remote_write: [{url: "http://a", azuread: {}}]"#, &["p.yml:1:34: azuread is not offered yet"]),
    (
        r#"remote_write: [{url: "http://a", google_iam: {credentials_file: x}}]"#,
        &["p.yml:1:34: google_iam is not offered yet"],
    ),
    (
        r#"remote_write: [{url: "http://a", write_relabel_configs: [~]}]"#,
        &["p.yml:1:58: empty or null relabeling rule in remote write config"],
    ),
    (r#"remote_write: [{url: "http://a", remote_timeout: 0}]"#, &["p.yml:1:50: remote_timeout must be greater than 0"]),
    (
        r#"remote_write: [{url: "http://a", queue_config: {capacity: 0, max_shards: 2, min_shards: 3, max_samples_per_send: x, min_backoff: 10s, max_backoff: 1s, batch_send_deadline: 1s}}]"#,
        &[
            "p.yml:1:59: remote write queue capacity must be positive",
            "p.yml:1:77: remote write queue min_shards must not be greater than max_shards",
            r#"p.yml:1:114: max_samples_per_send must be a whole number, not "x""#,
            "p.yml:1:135: remote write queue max_backoff must not be less than min_backoff",
            "info p.yml:1:152: batch_send_deadline is taken, but nothing here uses it",
        ],
    ),
    (
        r#"remote_write: [{url: "http://a", metadata_config: {send: false}, send_exemplars: true}]"#,
        &[
            "info p.yml:1:34: metadata_config is taken, but nothing here uses it",
            "info p.yml:1:66: send_exemplars is taken, but nothing here uses it",
        ],
    ),
    ("sources: [~]", &["p.yml:1:11: empty or null source"]),
    (
        "sources: [{}]",
        &["p.yml:1:11: a source needs a type; write type: prometheus", "p.yml:1:11: a source needs a url"],
    ),
    (
        r#"sources: [{type: prometheus, url: "http://a"}, {type: prometheus, url: "http://b"}]"#,
        &[
            "p.yml:1:12: a source needs a name where there are several",
            "p.yml:1:49: a source needs a name where there are several",
        ],
    ),
    (
        r#"sources: [{name: a, type: prometheus, url: "http://a"}, {name: b, type: prometheus, url: "http://b"}]"#,
        &[
            r#"p.yml:1:58: sources "a" and "b" have the same labels: a rule runs on each, and their alerts would be one; give each labels of its own, like labels: {cluster: eu}"#,
        ],
    ),
    (
        r#"sources: [{name: a, type: prometheus, url: "http://a"}, {name: a, type: prometheus, url: "http://b", labels: {x: y}}]"#,
        &[r#"p.yml:1:64: two sources have the name "a""#],
    ),
    (
        r#"sources: [{type: remote_read, url: "http://a"}]"#,
        &[r#"p.yml:1:18: sources of type "remote_read" are not offered yet"#],
    ),
    (
        r#"sources: [{type: thanos, url: "http://a"}]"#,
        &[r#"p.yml:1:18: unknown type of source "thanos"; the type offered is prometheus"#],
    ),
    (
        r#"sources: [{type: prometheus, url: "http://a", external_url: "http://u:p@x"}]"#,
        &["p.yml:1:47: external_url must hold no user information: it is in every alert"],
    ),
    (
        r#"sources: [{type: prometheus, url: "http://a", max_concurrent_queries: 0, max_answer_bytes: 1.5GiB, timeout: 0}]"#,
        &[
            "p.yml:1:71: max_concurrent_queries must be between 1 and 10000",
            r#"p.yml:1:92: max_answer_bytes must be a size like 256MiB, or a number of bytes, not "1.5GiB""#,
            "p.yml:1:109: timeout must be greater than 0",
        ],
    ),
    (
        r#"sources: [{type: prometheus, url: "http://u:pw@a", bearer_token: t}]"#,
        &["warning p.yml:1:30: the user information in the url wins over every other authentication of the section"],
    ),
    (
        r#"sources: [{type: prometheus, url: "http://a", basic_auth: hunter2}]"#,
        &["p.yml:1:47: basic_auth must be a mapping, not a single value"],
    ),
    (
        r#"sources: [{type: prometheus, url: "http://a", basic_auth: {user: x, pasword: hunter2}}]"#,
        &[
            r#"p.yml:1:60: unknown field "user" in basic_auth"#,
            r#"p.yml:1:69: unknown field "pasword" in basic_auth; did you mean "password"?"#,
        ],
    ),
    (
        r#"sources: [{type: prometheus, url: "http://a", basic_auth: {username: x, username_file: y, password: hunter2, password_file: z}}]"#,
        &[
            "p.yml:1:73: at most one of basic_auth username, username_file & username_ref must be configured",
            "p.yml:1:110: at most one of basic_auth password, password_file & password_ref must be configured",
        ],
    ),
    (
        r#"sources: [{type: prometheus, url: "http://a", basic_auth: {username_ref: x}}]"#,
        &["p.yml:1:60: username_ref is not offered yet"],
    ),
    (
        r#"sources: [{type: prometheus, url: "http://a", basic_auth: {}, authorization: {type: Basic, credentials: c, credentials_file: f}}]"#,
        &[
            "p.yml:1:63: at most one of basic_auth, oauth2 & authorization must be configured",
            r#"p.yml:1:85: authorization type cannot be set to "basic", use "basic_auth" instead"#,
            "p.yml:1:108: at most one of authorization credentials & credentials_file must be configured",
        ],
    ),
    (
        r#"sources: [{type: prometheus, url: "http://a", basic_auth: {}, bearer_token: t, bearer_token_file: f}]"#,
        &[
            "p.yml:1:63: at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be configured",
            "p.yml:1:80: at most one of bearer_token & bearer_token_file must be configured",
        ],
    ),
    (
        r#"sources: [{type: prometheus, url: "http://a", authorization: {}, bearer_token: t}]"#,
        &["p.yml:1:66: authorization is not compatible with bearer_token & bearer_token_file"],
    ),
    (
        r#"sources: [{type: prometheus, url: "http://a", oauth2: {}}]"#,
        &[
            "p.yml:1:47: oauth2 client_id must be configured",
            "p.yml:1:47: oauth2 token_url must be configured",
            "p.yml:1:47: oauth2 client_secret or client_secret_file must be configured",
        ],
    ),
    (
        r#"sources: [{type: prometheus, url: "http://a", oauth2: {client_id: a, client_secret: b, client_secret_file: c, token_url: x, grant_type: "urn:x", claims: {}}}]"#,
        &[
            "p.yml:1:88: at most one of oauth2 client_secret, client_secret_file & client_secret_ref must be configured using grant-type=client_credentials",
            r#"p.yml:1:122: token_url: "x" is not an http or https URL: relative URL without a base"#,
            r#"p.yml:1:137: oauth2 grant_type "urn:x" is not offered yet"#,
            "p.yml:1:146: claims is not offered yet",
        ],
    ),
    (
        r#"sources: [{type: prometheus, url: "http://a", basic_auth: {}, oauth2: {client_id: a, client_secret: b, token_url: "http://t"}}]"#,
        &["p.yml:1:63: at most one of basic_auth, oauth2 & authorization must be configured"],
    ),
    (
        r#"sources: [{type: prometheus, url: "http://a", tls_config: {ca: x, ca_file: y, cert: c, cert_file: d}}]"#,
        &[
            "p.yml:1:47: exactly one of key or key_file must be configured when a client certificate is configured",
            "p.yml:1:67: at most one of ca, ca_file & ca_ref must be configured",
            "p.yml:1:88: at most one of cert, cert_file & cert_ref must be configured",
        ],
    ),
    (
        r#"sources: [{type: prometheus, url: "http://a", tls_config: {key: k, key_file: l, min_version: TLS13, max_version: TLS12}}]"#,
        &[
            "p.yml:1:47: exactly one of cert or cert_file must be configured when a client key is configured",
            "p.yml:1:68: at most one of key and key_file must be configured",
            "p.yml:1:114: tls_config.max_version must be greater than or equal to tls_config.min_version if both are specified",
        ],
    ),
    (
        r#"sources: [{type: prometheus, url: "http://a", tls_config: {min_version: SSL3, insecure_skip_verify: "true"}}]"#,
        &["p.yml:1:73: unknown TLS version: SSL3", "p.yml:1:101: insecure_skip_verify must be true or false"],
    ),
    (
        r#"sources: [{type: prometheus, url: "http://a", proxy_connect_header: {A: [b]}}]"#,
        &[
            "p.yml:1:47: if proxy_connect_header is configured, proxy_url or proxy_from_environment must also be configured",
        ],
    ),
    (
        r#"sources: [{type: prometheus, url: "http://a", proxy_url: "http://p", proxy_from_environment: true, no_proxy: x}]"#,
        &[
            "p.yml:1:47: if proxy_from_environment is configured, proxy_url must not be configured",
            "p.yml:1:100: if proxy_from_environment is configured, no_proxy must not be configured",
        ],
    ),
    (
        r#"sources: [{type: prometheus, url: "http://a", no_proxy: x}]"#,
        &["p.yml:1:47: if no_proxy is configured, proxy_url must also be configured"],
    ),
    (
        r#"sources: [{type: prometheus, url: "http://a", proxy_url: "gopher://p"}]"#,
        &[r#"p.yml:1:58: proxy_url: "gopher://p" is not an http, https or socks5 URL: its scheme is gopher"#],
    ),
    (
        r#"sources: [{type: prometheus, url: "http://a", http_headers: {user-agent: {values: [x]}, X-Y: {value: x}, X-Z: x}}]"#,
        &[
            r#"p.yml:1:62: setting header "User-Agent" is not allowed"#,
            r#"p.yml:1:95: unknown field "value" in http_headers; did you mean "values"?"#,
            "p.yml:1:106: http_headers must be a mapping, not a single value",
        ],
    ),
    (
        r#"sources: [{type: prometheus, url: "http://a", follow_redirects: maybe, enable_http2: 1}]"#,
        &["p.yml:1:65: follow_redirects must be true or false", "p.yml:1:86: enable_http2 must be true or false"],
    ),
    (
        r#"sources: [{type: prometheus, url: "http://a", labels: {"": x}}]"#,
        &[r#"p.yml:1:56: "" is not a valid label name"#],
    ),
    (
        "a: 1\na: 2",
        &[
            r#"p.yml:1:1: unknown field "a" in the configuration"#,
            r#"p.yml:2:1: mapping key "a" already defined at line 1"#,
        ],
    ),
    (r#"global: {evaluation_interval: "1m"#, &["p.yml:1:31: yaml: unclosed quote"]),
    ("global:\n\ttab: 1", &["p.yml:2:2: yaml: tabs disallowed within this context (block indentation)"]),
    (
        "x: *nowhere",
        &[
            "p.yml:1:4: yaml: unknown anchor referenced; an anchor must stand before its use; a text that begins with `*` must be quoted",
        ],
    ),
    ("? [a]\n: 1", &["p.yml:1:3: a key must be a single value", r#"p.yml:1:3: unknown field "" in the configuration"#]),
    (
        "alerting: {alert_relabel_configs: [{action: kep}, {regex: '('}, {source_labels: ['']}, {action: hashmod, target_label: a}]}",
        &[
            r#"p.yml:1:45: unknown relabel action "kep""#,
            "p.yml:1:59: error parsing regexp: missing closing ): `^(?s:()$`",
            r#"p.yml:1:81: "" is not a valid label name"#,
            "p.yml:1:89: relabel configuration for hashmod requires non-zero modulus",
        ],
    ),
    (
        "alerting: {alert_relabel_configs: [{regex: a}, {action: lowercase, target_label: a, replacement: b}, {action: labeldrop, modulus: 3}, {modulus: -1}]}",
        &[
            "p.yml:1:37: relabel configuration for replace action requires 'target_label' value",
            "p.yml:1:85: 'replacement' can not be set for lowercase action",
            "p.yml:1:103: labeldrop action requires only 'regex', and no other fields",
            r#"p.yml:1:145: modulus must be a whole number, not "-1""#,
        ],
    ),
    (
        "global: {metric_name_validation_scheme: legacy}\nalerting: {alert_relabel_configs: [{target_label: a-b}]}",
        &[r#"p.yml:2:51: "a-b" is invalid 'target_label' for replace action"#],
    ),
    (
        "alerting: {alertmanagers: [{static_configs: [{targets: [am:9093]}], relabel_configs: x}]}\nremote_write: [{url: [x]}]",
        &[
            "p.yml:1:69: relabel_configs must be a list, not a single value",
            "p.yml:2:17: url must be a text, not a list",
        ],
    ),
];

/// A configuration as one finds it next to a Prometheus, with everything a ruler reads and much that it does not.
const WHOLE: &str = r#"
# The production Prometheus.
global:
  scrape_interval: 30s
  scrape_timeout: 10s
  evaluation_interval: 15s
  rule_query_offset: 5s
  query_log_file: /var/log/prometheus/query.log
  external_labels:
    cluster: ${CLUSTER}
    replica: "0$$"

runtime:
  gogc: 50

rule_files:
  - rules/*.yml
  - /srv/shared/**/alerts-?.yaml

alerting:
  alert_relabel_configs:
    - regex: replica
      action: labeldrop
  alertmanagers:
    - scheme: https
      path_prefix: /alertmanager
      timeout: 5s
      api_version: v2
      basic_auth: &auth
        username: prometheus
        password_file: secrets/am-password
      tls_config:
        ca_file: /etc/ssl/am-ca.pem
        min_version: TLS12
      static_configs:
        - targets: ["am-0.example:9093", "am-1.example:9093"]
          labels: {zone: a}
      relabel_configs:
        - source_labels: [__address__]
          regex: (.+):9093
          target_label: __address__
      alert_relabel_configs:
        - source_labels: [severity]
          regex: info
          action: drop

scrape_config_files: [scrapes/*.yml]
scrape_configs:
  - job_name: node
    basic_auth:
      <<: *auth
      username: scraper
    static_configs:
      - targets: [localhost:9100]
    some_field_of_the_future: [1, {2: 3}]

storage:
  tsdb:
    out_of_order_time_window: 30m
tracing:
  endpoint: otel:4317
otlp:
  promote_resource_attributes: [service.name]

remote_read:
  - url: http://old:9090/api/v1/read
remote_write:
  - url: https://mimir.example/api/v1/push
    name: mimir
    remote_timeout: 20s
    headers: {X-Scope-OrgID: tenant}
    authorization:
      credentials_file: secrets/token
    queue_config: {capacity: 2500, max_shards: 200, max_samples_per_send: 500, min_backoff: 1s}
    metadata_config: {send: true, send_interval: 1m}
    write_relabel_configs:
      - source_labels: [__name__]
        regex: up
        action: keep
  - url: http://localhost:9090/api/v1/write

sources:
  - name: eu
    type: prometheus
    url: http://prometheus.eu:9090
    external_url: https://prometheus.example/eu
    labels: {cluster: eu}
    timeout: 30s
    max_concurrent_queries: 5
    max_answer_bytes: 64MiB
  - name: us
    type: prometheus
    url: http://prometheus.us:9090/prefix
    labels: {cluster: us}
"#;

#[test]
fn a_whole_prometheus_configuration_loads() {
    let (config, findings) = read(WHOLE);
    assert_eq!(
        lines(&findings),
        [
            "info p.yml:8:3: query_log_file is taken, but nothing here uses it",
            "info p.yml:13:1: passed over, since a ruler does not need it: runtime, scrape_config_files, \
             scrape_configs, storage, tracing, otlp, remote_read, global.scrape_interval, global.scrape_timeout",
            "info p.yml:75:5: metadata_config is taken, but nothing here uses it",
        ]
    );
    let config = config.unwrap();
    insta::assert_snapshot!(config.to_yaml(), @r#"
    global:
      evaluation_interval: 15s
      rule_query_offset: 5s
      external_labels:
        cluster: eu
        replica: 0$
      metric_name_validation_scheme: utf8
    alerting:
      alert_relabel_configs:
      - regex: replica
        action: labeldrop
      alertmanagers:
      - basic_auth:
          username: prometheus
          password_file: /etc/prom/secrets/am-password
        tls_config:
          ca_file: /etc/ssl/am-ca.pem
          insecure_skip_verify: false
          min_version: TLS12
        follow_redirects: true
        enable_http2: true
        scheme: https
        path_prefix: /alertmanager
        timeout: 5s
        api_version: v2
        relabel_configs:
        - source_labels:
          - __address__
          regex: (.+):9093
          target_label: __address__
        alert_relabel_configs:
        - source_labels:
          - severity
          regex: info
          action: drop
        static_configs:
        - targets:
          - am-0.example:9093
          - am-1.example:9093
          labels:
            zone: a
    rule_files:
    - /etc/prom/rules/*.yml
    - /srv/shared/**/alerts-?.yaml
    remote_write:
    - url: https://mimir.example/api/v1/push
      remote_timeout: 20s
      write_relabel_configs:
      - source_labels:
        - __name__
        regex: up
        action: keep
      name: mimir
      protobuf_message: prometheus.WriteRequest
      authorization:
        type: Bearer
        credentials_file: /etc/prom/secrets/token
      follow_redirects: true
      enable_http2: false
      http_headers:
        X-Scope-OrgID:
          secrets:
          - <secret>
      queue_config:
        capacity: 500000
        max_shards: 1
        min_shards: 1
        max_samples_per_send: 500
        min_backoff: 1s
        max_backoff: 5s
        retry_on_http_429: true
    - url: http://localhost:9090/api/v1/write
      remote_timeout: 30s
      name: 37fadc
      protobuf_message: prometheus.WriteRequest
      follow_redirects: true
      enable_http2: false
      queue_config:
        capacity: 500000
        max_shards: 1
        min_shards: 1
        max_samples_per_send: 2000
        min_backoff: 30ms
        max_backoff: 5s
        retry_on_http_429: true
    sources:
    - name: eu
      type: prometheus
      url: http://prometheus.eu:9090/
      external_url: https://prometheus.example/eu
      labels:
        cluster: eu
      timeout: 30s
      max_concurrent_queries: 5
      max_answer_bytes: 67108864
      follow_redirects: true
      enable_http2: true
    - name: us
      type: prometheus
      url: http://prometheus.us:9090/prefix
      labels:
        cluster: us
      timeout: 2m
      max_concurrent_queries: 20
      max_answer_bytes: 268435456
      follow_redirects: true
      enable_http2: true
    "#);
    // What is printed means the same when it is read: nothing here is secret in place.
    let printed = config.to_yaml();
    let again = read(&printed).0.unwrap();
    assert_eq!(again.to_yaml(), printed);
}

#[test]
fn an_empty_file_is_a_configuration() {
    for text in [
        "",
        "# nothing\n",
        "global:\nrule_files:\nalerting:\nremote_write:\nsources:\n",
        "global: {evaluation_interval: 0s}",
    ] {
        let (config, findings) = read(text);
        assert_eq!((config, findings), (Some(Config::default()), vec![]), "{text}");
    }
}

#[test]
fn flags_make_discovery_harmless() {
    let text = SourceText::new("p.yml", "alerting: {alertmanagers: [{dns_sd_configs: [{names: [x]}]}]}");
    let options = ParseOptions { environment: &|_| None, directory: Path::new(""), ignore_discovery: true };
    let (config, findings) = parse(&text, &options);
    assert_eq!((config.is_some(), findings), (true, vec![]));
}

/// Every field that can hold a secret, each with `hunter2` in it.
const SECRETS: &str = r#"
alerting:
  alertmanagers:
    - basic_auth: {username: u, password: hunter2}
      http_headers: {X-A: {values: [hunter2], secrets: ["hunter2"]}}
      proxy_url: http://u:hunter2@proxy:3128
      proxy_connect_header: {X-B: [hunter2]}
      tls_config:
        cert: certificate
        key: |
          -----BEGIN PRIVATE KEY-----
          hunter2
          -----END PRIVATE KEY-----
      static_configs: [{targets: [am:9093]}]
    - authorization: {credentials: hunter2}
remote_write:
  - url: http://u:hunter2@a/write
    headers: {X-C: hunter2}
  - url: http://b
    bearer_token: hunter2
    name: b
  - url: http://c
    oauth2:
      client_id: i
      client_secret: hunter2
      token_url: http://u:hunter2@t/token
      endpoint_params: {grant_type: password, username: u, password: hunter2}
      proxy_url: http://u:hunter2@proxy:3128
      tls_config: {cert: c, key: "hunter2"}
sources:
  - {name: a, type: prometheus, url: "http://u:hunter2@a", bearer_token: hunter2}
scrape_configs:
  - basic_auth: {password: hunter2}
"#;

/// Everything of a finding that anybody could show.
fn shown(findings: &[Finding]) -> String {
    findings.iter().map(|finding| format!("{finding}\n{finding:?}\n")).collect()
}

#[test]
fn no_secret_is_ever_shown() {
    let (config, findings) = read(SECRETS);
    let config = config.unwrap_or_else(|| panic!("{:#?}", lines(&findings)));
    for text in [shown(&findings), format!("{config:?}"), format!("{config:#?}"), config.to_yaml()] {
        assert!(!text.contains("hunter2"), "{text}");
    }
    // Neither when something else is wrong on every line, in a key, in a type, or in the YAML itself.
    for (from, to) in [
        ("password:", "pasword:"),
        ("credentials:", "credentials_:"),
        ("bearer_token:", "bearer-token:"),
        ("client_secret:", "client_secre:"),
        ("key:", "keys:"),
        ("X-B: [hunter2]", "X-B: hunter2"),
        ("headers: {X-C: hunter2}", "headers: hunter2"),
        ("{username: u, password: hunter2}", "hunter2"),
        ("{credentials: hunter2}", "[hunter2]"),
        ("http://u:hunter2@proxy", "gopher://u:hunter2@proxy"),
        ("[am:9093]", "[\"http://u:hunter2@am/\"]"),
        ("name: b", "name: [b, {"),
        ("name: b", "name: 'b"),
        ("name: b", "\tname: b"),
        ("name: b", "url: x"),
        ("password: hunter2", "password: \"hunter2"),
        ("secrets: [\"hunter2\"]", "secrets: [\"hunter2\""),
    ] {
        assert!(SECRETS.contains(from), "{from}");
        let (_, findings) = read(&SECRETS.replace(from, to));
        assert!(findings.iter().any(Finding::is_error), "{from} {to}");
        let text = shown(&findings);
        assert!(!text.contains("hunter2"), "{from} {to}: {text}");
    }
}

/// Findings at the place they name, even though secrets before it are masked.
#[test]
fn masks_keep_places() {
    let (_, findings) = read("sources: [{type: prometheus, bearer_token: abc, urll: x}]");
    let place = findings[1].place.as_ref().unwrap();
    assert_eq!(&place.source.text[place.span.range()], "urll");
    assert_eq!(place.source.text, "sources: [{type: prometheus, bearer_token: ***, urll: *}]");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happens to a configuration, reading it gives findings with sound places, never a panic.
    #[test]
    fn mutated_configurations_never_panic(
        base in prop_oneof![Just(WHOLE), Just(SECRETS)],
        edits in proptest::collection::vec((any::<prop::sample::Index>(), 0..40_usize, "[ \\n\\t:{}\\[\\]&*!|>'\"%#~a-c0-9é-]{0,6}"), 1..6),
    ) {
        let mut text = base.to_owned();
        for (index, length, put) in edits {
            let mut ends = [index.index(text.len()), 0];
            ends[1] = (ends[0] + length).min(text.len());
            let [start, end] = ends.map(|at| (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap());
            text.replace_range(start..end, &put);
        }
        let (config, findings) = read(&text);
        prop_assert_eq!(config.is_none(), findings.iter().any(Finding::is_error));
        for finding in &findings {
            if let Some(place) = &finding.place {
                prop_assert!(place.source.text.get(place.span.range()).is_some(), "{}", finding);
            }
        }
        if let Some(config) = config {
            let _ = (config.to_yaml(), format!("{config:?}"));
        }
    }

    #[test]
    fn any_text_is_read(text in "\\PC{0,60}") {
        let _ = read(&text);
    }
}

fn write(directory: &Path, name: &str, text: &str) {
    let path = directory.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn load_from(directory: &Path) -> Result<Loaded, LoadError> {
    let options = LoadOptions { environment: &|_| None, flags: Flags::default() };
    load(Some(&directory.join("p.yml")), &options)
}

/// Names of rule files, below the directory.
fn names(directory: &Path, loaded: &Loaded) -> Vec<String> {
    let name = |name: &str| Path::new(name).strip_prefix(directory).unwrap().display().to_string();
    loaded.rule_sources.iter().map(|source| name(&source.name)).collect()
}

#[test]
fn patterns_find_each_file_once_in_order() {
    let temporary = tempfile::tempdir().unwrap();
    let directory = temporary.path();
    for name in ["rules/b.yml", "rules/a.yml", "rules/x/c.yml", "rules/x/y/d.yml", "rules/x/e.txt", "one.yml"] {
        write(directory, name, name);
    }
    for (patterns, expected, findings) in [
        ("rules/*.yml", "rules/a.yml rules/b.yml", ""),
        ("rules/*.yml, rules/a.yml", "rules/a.yml rules/b.yml", ""),
        ("rules/**/*.yml", "rules/a.yml rules/b.yml rules/x/c.yml rules/x/y/d.yml", ""),
        ("rules/**/y/*", "rules/x/y/d.yml", ""),
        ("rules/x/**", "rules/x/c.yml rules/x/e.txt rules/x/y/d.yml", ""),
        ("*/[a-b].yml, ./one.yml", "one.yml rules/a.yml rules/b.yml", ""),
        ("none/*.yml", "", "warning D/p.yml:1:14: rule files \"D/none/*.yml\" match no file"),
        ("none.yml", "failed", "D/p.yml:1:14: \"D/none.yml\" does not point to an existing file"),
        ("rules", "failed", "D/p.yml:1:14: rule file \"D/rules\" is a directory; write a pattern, like rules/*.yml"),
    ] {
        write(directory, "p.yml", &format!("rule_files: ['{}']", patterns.replace(", ", "', '")));
        let (found, told) = match load_from(directory) {
            Ok(loaded) => (names(directory, &loaded).join(" "), lines(&loaded.findings)),
            Err(LoadError::Faulty { findings, .. }) => ("failed".to_owned(), lines(&findings)),
            Err(error) => panic!("{error}"),
        };
        let told = told.join("\n").replace(&directory.display().to_string(), "D");
        assert_eq!((found.as_str(), told.as_str()), (expected, findings), "{patterns}");
    }
}

#[cfg(unix)]
#[test]
fn a_mounted_config_map_is_read_once_and_its_swap_is_noticed() {
    let temporary = tempfile::tempdir().unwrap();
    let directory = temporary.path();
    let link = |from: &str, to: &str| std::os::unix::fs::symlink(from, directory.join(to)).unwrap();
    write(directory, "rules/..2026_1/a.yml", "one");
    write(directory, "rules/..2026_2/a.yml", "two");
    link("..2026_1", "rules/..data");
    link("..data/a.yml", "rules/a.yml");
    write(directory, "p.yml", "rule_files: ['**/*.yml', 'rules/a.*', 'none/*']");
    let options = LoadOptions { environment: &|_| None, flags: Flags::default() };
    let digest_now = || current_digest(Some(&directory.join("p.yml")), &options);
    let loaded = load_from(directory).unwrap();
    // The configuration lies beside the rules, so `**` finds it too; a pattern is taken at its word.
    assert_eq!(names(directory, &loaded), ["p.yml", "rules/a.yml"]);
    assert!(loaded.watched.contains(&directory.join("rules")), "{:?}", loaded.watched);
    let before = digest_now();
    assert_eq!([before, loaded.digest], [digest_now(); 2]);
    std::fs::remove_file(directory.join("rules/..data")).unwrap();
    link("..2026_2", "rules/..data");
    assert_ne!(before, digest_now());
    let again = load_from(directory).unwrap();
    assert_eq!(again.rule_sources[1].text, "two");
    assert_ne!(again.digest, loaded.digest);
}

#[test]
fn files_that_cannot_be_read_are_told() {
    let temporary = tempfile::tempdir().unwrap();
    let directory = temporary.path();
    let told = |result: Result<Loaded, LoadError>| {
        let text = match result {
            Ok(loaded) => lines(&loaded.findings).join("\n"),
            Err(LoadError::Faulty { findings, .. }) => lines(&findings).join("\n"),
            Err(error) => error.to_string(),
        };
        text.replace(&directory.display().to_string(), "D")
    };
    assert_eq!(told(load_from(directory)), "cannot read D/p.yml: No such file or directory (os error 2)");
    std::fs::write(directory.join("p.yml"), b"global:\n  # \xc3\xa9\xff").unwrap();
    assert_eq!(told(load_from(directory)), "D/p.yml:2:6: the file is not UTF-8");
    write(directory, "p.yml", "\u{feff}rule_files: [a.yml]\nremote_write: [{url: 'http://a', bearer_token_file: t}]");
    std::fs::write(directory.join("a.yml"), b"\xff").unwrap();
    assert_eq!(
        told(load_from(directory)),
        "warning D/p.yml:2:53: cannot read D/t: No such file or directory (os error 2)\n\
         D/a.yml:1:1: the file is not UTF-8"
    );
}

#[test]
fn flags_are_enough_to_load() {
    let temporary = tempfile::tempdir().unwrap();
    write(temporary.path(), "a.yml", "groups: []");
    let pattern = temporary.path().join("*.yml").display().to_string();
    let flags = Flags {
        source_urls: vec![parse_http_url("http://prom:9090").unwrap()],
        rule_files: vec![pattern.clone()],
        ..Flags::default()
    };
    let loaded = load(None, &LoadOptions { environment: &|_| None, flags }).unwrap();
    assert_eq!((loaded.config.sources.len(), loaded.rule_sources.len(), loaded.findings.len()), (1, 1, 0));
    let (sources, findings) = load_rules(&[pattern, "no/such.yml".to_owned()]);
    assert_eq!(sources.len(), 1);
    assert_eq!(lines(&findings), ["\"no/such.yml\" does not point to an existing file"]);
}

#[test]
fn a_secret_that_is_written_twice_is_hidden_twice() {
    let text = "remote_write:\n- url: http://a\n  basic_auth:\n    password: hunter1\n    password: hunter2\n";
    let source = SourceText::new("p.yml", text);
    let environment = |_: &str| None;
    let options =
        ParseOptions { environment: &environment, directory: std::path::Path::new(""), ignore_discovery: false };
    let (config, findings) = super::parse(&source, &options);
    assert!(config.is_none());
    for finding in findings {
        assert!(!format!("{finding:?}").contains("hunter"), "{finding:?}");
    }
}
