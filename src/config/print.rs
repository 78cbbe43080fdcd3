//! The configuration as YAML, for `/api/v1/status/config`: what counts, defaults filled in, no secrets.

use std::path::Path;
use std::time::Duration;

use serde_yaml::{Mapping, Value};

use super::address::redacted;
use super::{
    AlertmanagerConfig, Config, HttpClientConfig, OAuth2, Proxy, RemoteWriteConfig, SecretText, SourceConfig,
    SourceKind, TargetGroup, TlsConfig,
};
use crate::model::ValidationScheme;
use crate::model::{Labels, format_duration};
use crate::relabel::RelabelRule;

const SECRET: &str = "<secret>";

impl Config {
    /// The sections that are read, from the checked values; secrets are `<secret>`, and what is passed over is left out.
    pub fn to_yaml(&self) -> String {
        let mut top = Section::default();
        top.section("global", global(self));
        if !self.alerting.relabel.is_empty() || !self.alerting.alertmanagers.is_empty() {
            let mut alerting = Section::default();
            alerting.relabel("alert_relabel_configs", &self.alerting.relabel);
            alerting.sections("alertmanagers", self.alerting.alertmanagers.iter().map(alertmanager));
            top.section("alerting", alerting);
        }
        top.texts("rule_files", &self.rule_files);
        top.sections("remote_write", self.remote_write.iter().map(remote_write));
        top.sections("sources", self.sources.iter().map(source));
        top.text()
    }
}

/// One block as YAML; the same block gives the same text.
pub(super) fn remote_write_text(block: &RemoteWriteConfig) -> String {
    remote_write(block).text()
}

/// A mapping in the order in which it is printed.
#[derive(Default)]
struct Section(Mapping);

impl Section {
    fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.into(), value.into());
    }

    fn section(&mut self, name: &str, section: Section) {
        self.set(name, Value::Mapping(section.0));
    }

    fn sections(&mut self, name: &str, sections: impl Iterator<Item = Section>) {
        let items: Vec<Value> = sections.map(|section| Value::Mapping(section.0)).collect();
        if !items.is_empty() {
            self.set(name, items);
        }
    }

    fn duration(&mut self, name: &str, duration: Duration) {
        self.set(name, format_duration(duration));
    }

    fn some(&mut self, name: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.set(name, value);
        }
    }

    fn texts(&mut self, name: &str, texts: &[String]) {
        if !texts.is_empty() {
            self.set(name, texts.iter().map(|text| Value::from(text.as_str())).collect::<Vec<_>>());
        }
    }

    fn labels(&mut self, name: &str, labels: &Labels) {
        if !labels.is_empty() {
            let mut section = Section::default();
            labels.iter().for_each(|(name, value)| section.set(name, value));
            self.section(name, section);
        }
    }

    fn path(&mut self, name: &str, path: &Path) {
        self.set(name, path.to_string_lossy().into_owned());
    }

    /// A secret under its name, or its file under the name's `_file` twin.
    fn secret(&mut self, name: &str, secret: &SecretText) {
        match secret {
            SecretText::Inline(_) => self.set(name, SECRET),
            SecretText::File(path) => self.path(&format!("{name}_file"), path),
        }
    }

    /// What may be given like a secret, but is none.
    fn open(&mut self, name: &str, text: &SecretText) {
        match text {
            SecretText::Inline(text) => self.set(name, text.expose()),
            SecretText::File(path) => self.path(&format!("{name}_file"), path),
        }
    }

    fn relabel(&mut self, name: &str, rules: &[RelabelRule]) {
        let rules: Vec<Value> = rules
            .iter()
            .map(|rule| serde_yaml::to_value(rule.spec()).expect("texts and numbers are always YAML"))
            .collect();
        if !rules.is_empty() {
            self.set(name, rules);
        }
    }

    fn text(self) -> String {
        serde_yaml::to_string(&Value::Mapping(self.0)).expect("mappings with text keys always print")
    }
}

fn global(config: &Config) -> Section {
    let global = &config.global;
    let mut section = Section::default();
    section.duration("evaluation_interval", global.evaluation_interval);
    if !global.rule_query_offset.is_zero() {
        section.duration("rule_query_offset", global.rule_query_offset);
    }
    section.labels("external_labels", &global.external_labels);
    section.set(
        "metric_name_validation_scheme",
        match global.validation_scheme {
            ValidationScheme::Utf8 => "utf8",
            ValidationScheme::Legacy => "legacy",
        },
    );
    section
}

fn alertmanager(block: &AlertmanagerConfig) -> Section {
    let mut section = Section::default();
    client(&mut section, &block.http);
    section.set("scheme", block.scheme.as_str());
    section.some("path_prefix", Some(block.path_prefix.as_str()).filter(|prefix| !prefix.is_empty()));
    section.duration("timeout", block.timeout);
    section.set("api_version", "v2");
    section.relabel("relabel_configs", &block.relabel);
    section.relabel("alert_relabel_configs", &block.alert_relabel);
    section.sections("static_configs", block.static_configs.iter().map(target_group));
    section
}

fn target_group(group: &TargetGroup) -> Section {
    let mut section = Section::default();
    section.texts("targets", &group.targets);
    section.labels("labels", &group.labels);
    section
}

fn remote_write(block: &RemoteWriteConfig) -> Section {
    let mut section = Section::default();
    section.set("url", redacted(&block.url));
    section.duration("remote_timeout", block.timeout);
    section.relabel("write_relabel_configs", &block.write_relabel);
    section.some("name", Some(block.name.as_str()).filter(|name| !name.is_empty()));
    section.set("protobuf_message", "prometheus.WriteRequest");
    client(&mut section, &block.http);
    let mut queue = Section::default();
    // One queue here: as many samples in one shard.
    queue.set("capacity", block.queue.capacity);
    queue.set("max_shards", 1);
    queue.set("min_shards", 1);
    queue.set("max_samples_per_send", block.queue.max_samples_per_send);
    queue.duration("min_backoff", block.queue.min_backoff);
    queue.duration("max_backoff", block.queue.max_backoff);
    queue.set("retry_on_http_429", block.queue.retry_on_http_429);
    section.section("queue_config", queue);
    section
}

fn source(source: &SourceConfig) -> Section {
    let mut section = Section::default();
    section.set("name", source.name.as_str());
    section.set(
        "type",
        match source.kind {
            SourceKind::Prometheus => "prometheus",
        },
    );
    section.set("url", redacted(&source.url));
    section.some("external_url", source.external_url.as_ref().map(redacted));
    section.labels("labels", &source.labels);
    section.duration("timeout", source.timeout);
    section.set("max_concurrent_queries", source.max_concurrent_queries);
    section.set("max_answer_bytes", source.max_answer_bytes);
    client(&mut section, &source.http);
    section
}

fn client(section: &mut Section, http: &HttpClientConfig) {
    if let Some(auth) = &http.basic_auth {
        let mut basic_auth = Section::default();
        basic_auth.open("username", &auth.username);
        if let Some(password) = &auth.password {
            basic_auth.secret("password", password);
        }
        section.section("basic_auth", basic_auth);
    }
    if let Some(auth) = &http.authorization {
        let mut authorization = Section::default();
        authorization.set("type", auth.scheme.as_str());
        if let Some(credentials) = &auth.credentials {
            authorization.secret("credentials", credentials);
        }
        section.section("authorization", authorization);
    }
    if let Some(auth) = &http.oauth2 {
        section.section("oauth2", oauth2(auth));
    }
    tls(section, &http.tls);
    section.set("follow_redirects", http.follow_redirects);
    section.set("enable_http2", http.enable_http2);
    proxy(section, &http.proxy);
    if !http.http_headers.is_empty() {
        let mut headers = Section::default();
        for (name, values) in &http.http_headers {
            headers.section(name, header(values));
        }
        section.section("http_headers", headers);
    }
}

/// Values in place are not told apart from secrets once they are read, so all of them are hidden.
fn header(values: &[SecretText]) -> Section {
    let (mut secrets, mut files) = (Vec::new(), Vec::new());
    for value in values {
        match value {
            SecretText::Inline(_) => secrets.push(SECRET.to_owned()),
            SecretText::File(path) => files.push(path.to_string_lossy().into_owned()),
        }
    }
    let mut section = Section::default();
    section.texts("secrets", &secrets);
    section.texts("files", &files);
    section
}

fn oauth2(auth: &OAuth2) -> Section {
    let mut section = Section::default();
    section.set("client_id", auth.client_id.as_str());
    section.secret("client_secret", &auth.client_secret);
    section.texts("scopes", &auth.scopes);
    section.set("token_url", redacted(&auth.token_url));
    let mut params = Section::default();
    auth.shown_params().into_iter().for_each(|(name, value)| params.set(name, value));
    if !params.0.is_empty() {
        section.section("endpoint_params", params);
    }
    tls(&mut section, &auth.tls);
    proxy(&mut section, &auth.proxy);
    section
}

fn tls(section: &mut Section, tls: &TlsConfig) {
    if *tls == TlsConfig::default() {
        return;
    }
    let mut config = Section::default();
    for (name, text) in [("ca", &tls.ca), ("cert", &tls.cert)] {
        if let Some(text) = text {
            config.open(name, text);
        }
    }
    if let Some(key) = &tls.key {
        config.secret("key", key);
    }
    config.some("server_name", tls.server_name.as_deref());
    config.set("insecure_skip_verify", tls.insecure_skip_verify);
    config.some("min_version", tls.min_version.map(super::TlsVersion::as_str));
    config.some("max_version", tls.max_version.map(super::TlsVersion::as_str));
    section.section("tls_config", config);
}

fn proxy(section: &mut Section, proxy: &Proxy) {
    section.some("proxy_url", proxy.url.as_ref().map(redacted));
    section.some("no_proxy", proxy.no_proxy.as_deref());
    if proxy.from_environment {
        section.set("proxy_from_environment", true);
    }
    if !proxy.connect_header.is_empty() {
        let mut headers = Section::default();
        for (name, values) in &proxy.connect_header {
            headers.texts(name, &vec![SECRET.to_owned(); values.len()]);
        }
        section.section("proxy_connect_header", headers);
    }
}
