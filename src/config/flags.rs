//! What the command line says about the configuration: flags win over the file.

use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use url::Url;

use super::address::{redacted, take_user_info};
use super::{AlertmanagerConfig, Config, RemoteWriteConfig, SourceConfig, TargetGroup};
use crate::model::{Labels, LabelsBuilder};

/// The label that tells the sources of several `--source.url` apart.
pub const SOURCE_LABEL: &str = "source";

/// The flags of `run` that replace parts of the file. URLs are http or https and have a host (`parse_http_url`).
#[derive(Clone, Default, PartialEq)]
pub struct Flags {
    /// `--source.url`
    pub source_urls: Vec<Url>,
    /// `--alertmanager.url`: `scheme://[user:password@]host[:port][/path_prefix]`
    pub alertmanager_urls: Vec<Url>,
    /// `--rule-file`: patterns, relative to the working directory.
    pub rule_files: Vec<String>,
    /// `--external-label`: valid names; an empty value takes the label away.
    pub external_labels: Vec<(String, String)>,
    /// `--remote-write.url`
    pub remote_write_urls: Vec<Url>,
    /// `--evaluation-interval`: not zero.
    pub evaluation_interval: Option<Duration>,
}

/// A label as a flag gives it: `name=value`.
pub fn parse_label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("{text:?} is not a label: write name=value")),
    }
}

/// URLs may hold passwords.
impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |urls: &[Url]| -> Vec<String> { urls.iter().map(redacted).collect() };
        f.debug_struct("Flags")
            .field("source_urls", &shown(&self.source_urls))
            .field("alertmanager_urls", &shown(&self.alertmanager_urls))
            .field("rule_files", &self.rule_files)
            .field("external_labels", &self.external_labels)
            .field("remote_write_urls", &shown(&self.remote_write_urls))
            .field("evaluation_interval", &self.evaluation_interval)
            .finish()
    }
}

impl Config {
    /// The configuration with each kind of flag that was given in place of that part of it.
    ///
    /// - External labels are set over those of the file; the rest replaces what the file has.
    /// - One source is called `default`. Several are called `host:port`, and carry that as the label `source`, so that
    ///   the alerts of one rule can be told apart.
    /// - User information in a URL becomes basic authentication.
    #[must_use]
    pub fn with_flags(mut self, flags: Flags) -> Config {
        if !flags.source_urls.is_empty() {
            self.sources = sources(flags.source_urls);
        }
        if !flags.alertmanager_urls.is_empty() {
            self.alerting.alertmanagers = flags.alertmanager_urls.into_iter().map(AlertmanagerConfig::at).collect();
        }
        if !flags.rule_files.is_empty() {
            self.rule_files = flags.rule_files;
        }
        if !flags.remote_write_urls.is_empty() {
            self.remote_write = remote_writes(flags.remote_write_urls);
        }
        if let Some(interval) = flags.evaluation_interval.filter(|interval| !interval.is_zero()) {
            self.global.evaluation_interval = interval;
        }
        self.global.external_labels = merged(&self.global.external_labels, &flags.external_labels);
        self
    }
}

fn merged(base: &Labels, over: &[(String, String)]) -> Labels {
    let mut labels = LabelsBuilder::new(base);
    for (name, value) in over {
        labels.set(name.as_str(), value.as_str());
    }
    labels.finish()
}

fn sources(mut urls: Vec<Url>) -> Vec<SourceConfig> {
    let mut seen = HashSet::new();
    urls.retain(|url| seen.insert(url.clone()));
    if let [url] = urls.as_slice() {
        return vec![SourceConfig::at(SourceConfig::DEFAULT_NAME.to_owned(), url.clone())];
    }
    let mut names = HashSet::new();
    let mut sources = Vec::new();
    for url in urls {
        let address = address(&url);
        let path = url.path().trim_end_matches('/');
        // Two sources behind one address differ in their paths, or else in what is before the host.
        let name = [address.clone(), format!("{address}{path}")]
            .into_iter()
            .chain((2..).map(|number| format!("{address}{path}#{number}")))
            .find(|name| names.insert(name.clone()))
            .expect("the numbers do not end");
        let mut source = SourceConfig::at(name.clone(), url);
        source.labels = Labels::from_pairs([(SOURCE_LABEL, name)]);
        sources.push(source);
    }
    sources
}

fn remote_writes(mut urls: Vec<Url>) -> Vec<RemoteWriteConfig> {
    let mut seen = HashSet::new();
    urls.retain(|url| seen.insert(url.clone()));
    let mut blocks: Vec<RemoteWriteConfig> = Vec::new();
    for url in urls {
        let mut block = RemoteWriteConfig::at(url);
        block.name = block.default_name(|name| blocks.iter().any(|other| other.name == name));
        blocks.push(block);
    }
    blocks
}

/// `host:port`, without a port if the URL has none.
fn address(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

impl SourceConfig {
    fn at(name: String, mut url: Url) -> SourceConfig {
        let basic_auth = take_user_info(&mut url);
        let mut source = SourceConfig::prometheus(name, url);
        source.http.basic_auth = basic_auth;
        source
    }
}

impl RemoteWriteConfig {
    fn at(mut url: Url) -> RemoteWriteConfig {
        let basic_auth = take_user_info(&mut url);
        let mut block = RemoteWriteConfig::to(url);
        block.http.basic_auth = basic_auth;
        block
    }
}

impl AlertmanagerConfig {
    fn at(mut url: Url) -> AlertmanagerConfig {
        let mut block = AlertmanagerConfig::default();
        block.http.basic_auth = take_user_info(&mut url);
        block.scheme = url.scheme().to_owned();
        block.path_prefix = url.path().trim_end_matches('/').to_owned();
        block.static_configs = vec![TargetGroup { targets: vec![address(&url)], labels: Labels::empty() }];
        block
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SecretText;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn flags_alone_make_a_configuration() {
        let flags = Flags {
            source_urls: vec![url("http://prom:9090")],
            alertmanager_urls: vec![url("https://me:pw@am:9093/alerts/"), url("http://[::1]:9093")],
            rule_files: vec!["rules/*.yml".to_owned()],
            external_labels: vec![("cluster".to_owned(), "eu".to_owned())],
            remote_write_urls: vec![url("http://prom:9090/api/v1/write")],
            evaluation_interval: Some(Duration::from_secs(15)),
        };
        assert!(!format!("{flags:?}").contains("pw"));
        let config = Config::default().with_flags(flags);
        let sources: Vec<_> = config.sources.iter().map(|s| (s.name.as_str(), s.labels.to_string())).collect();
        assert_eq!(sources, [("default", "{}".to_owned())]);
        let [first, second] = config.alerting.alertmanagers.as_slice() else { panic!("two Alertmanagers") };
        assert_eq!((first.scheme.as_str(), first.path_prefix.as_str()), ("https", "/alerts"));
        assert_eq!(first.static_configs[0].targets, ["am:9093"]);
        let auth = first.http.basic_auth.as_ref().unwrap();
        assert!(matches!(&auth.password, Some(SecretText::Inline(password)) if password.expose() == "pw"));
        assert_eq!(second.static_configs[0].targets, ["[::1]:9093"]);
        assert_eq!(config.global.external_labels.to_string(), r#"{cluster="eu"}"#);
        assert_eq!(config.global.evaluation_interval, Duration::from_secs(15));
        assert_eq!(config.remote_write.len(), 1);
        assert!(!config.remote_write[0].http.enable_http2);
    }

    #[test]
    fn labels_of_flags_are_name_and_value() {
        assert_eq!(parse_label("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert_eq!(parse_label("a="), Ok(("a".to_owned(), String::new())));
        for text in ["a", "=b", ""] {
            assert_eq!(parse_label(text), Err(format!("{text:?} is not a label: write name=value")));
        }
    }

    #[test]
    fn several_sources_are_told_apart() {
        let urls = ["http://a:9090", "http://b:9090", "http://b:9090/x", "https://b:9090/x", "http://a:9090"];
        let flags = Flags { source_urls: urls.map(url).to_vec(), ..Flags::default() };
        let sources = Config::default().with_flags(flags).sources;
        let shown: Vec<_> = sources.iter().map(|s| (s.name.as_str(), s.labels.to_string())).collect();
        assert_eq!(
            shown,
            [
                ("a:9090", r#"{source="a:9090"}"#.to_owned()),
                ("b:9090", r#"{source="b:9090"}"#.to_owned()),
                ("b:9090/x", r#"{source="b:9090/x"}"#.to_owned()),
                ("b:9090/x#2", r#"{source="b:9090/x#2"}"#.to_owned()),
            ]
        );
    }

    #[test]
    fn external_labels_are_set_over_those_of_the_file() {
        let mut config = Config::default();
        config.global.external_labels = Labels::from_pairs([("a", "1"), ("b", "2"), ("c", "3")]);
        let labels = [("b", "x"), ("c", ""), ("d", "4")].map(|(n, v)| (n.to_owned(), v.to_owned()));
        let config = config.with_flags(Flags { external_labels: labels.to_vec(), ..Flags::default() });
        assert_eq!(config.global.external_labels.to_string(), r#"{a="1", b="x", d="4"}"#);
    }
}
