//! Everything the command line decides.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use crate::api::{CorsOrigin, RoutePrefix};
use crate::config::Flags;
use crate::rules::Compat;
use crate::template::Template;

#[derive(Clone, Debug)]
pub struct AppOptions {
    pub config_file: Option<PathBuf>,
    /// Flags that replace parts of the configuration.
    pub flags: Flags,
    pub compat: Compat,
    /// How often to look for changed files; none: only when asked.
    pub auto_reload: Option<Duration>,
    pub alert_source_url: Option<Template>,
    pub for_outage_tolerance: Duration,
    pub for_grace_period: Duration,
    pub resend_delay: Duration,
    pub max_concurrent_evals: usize,
    pub query_timeout: Duration,
    pub notification_batch_size: usize,
    /// Of running evaluations at the stop, and again of what is undelivered.
    pub shutdown_timeout: Duration,
    pub listen_addresses: Vec<String>,
    pub web_config_file: Option<PathBuf>,
    pub external_url: ExternalUrl,
    pub route_prefix: RoutePrefix,
    pub enable_lifecycle: bool,
    pub cors_origin: CorsOrigin,
    /// Every flag with its value, for people to look at.
    pub shown_flags: Arc<BTreeMap<String, String>>,
}

/// The URL under which people reach this ruler: without trailing slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalUrl {
    text: Arc<str>,
    path: String,
}

impl ExternalUrl {
    /// # Errors
    /// If the text is no http or https URL with a host.
    pub fn parse(text: &str) -> Result<ExternalUrl, String> {
        if text.starts_with(['"', '\'']) || text.ends_with(['"', '\'']) {
            return Err("must not begin or end with a quote".to_owned());
        }
        let url = Url::parse(text).map_err(|error| error.to_string())?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err("must be http://host:port/path or https://host:port/path".to_owned());
        }
        let path = url.path().trim_end_matches('/').to_owned();
        let text = url.as_str().split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
        Ok(ExternalUrl { text: Arc::from(text), path })
    }

    /// This machine's name with the port of the first listen address.
    pub fn of_machine(listen_address: &str) -> ExternalUrl {
        let port = listen_address.rsplit(':').next().unwrap_or_default();
        ExternalUrl { text: Arc::from(format!("http://{}:{port}", host_name())), path: String::new() }
    }

    pub fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// Without trailing slash; empty for none.
    pub fn path(&self) -> &str {
        &self.path
    }
}

/// What the machine calls itself; `localhost` where it does not say.
pub(crate) fn host_name() -> String {
    let from_system = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = from_system.or_else(|| std::env::var("HOSTNAME").ok()).unwrap_or_default();
    match name.trim() {
        "" => "localhost".to_owned(),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn external_urls_lose_their_trailing_slashes() {
        for (text, expected, path) in [
            ("http://host:9595", "http://host:9595", ""),
            ("https://host/a/b//", "https://host/a/b", "/a/b"),
            ("http://host:9595/?x=1#y", "http://host:9595", ""),
        ] {
            let url = ExternalUrl::parse(text).unwrap();
            assert_eq!((&**url.text(), url.path()), (expected, path));
        }
        for text in ["'http://host'", "host:9595", "ftp://host", "/path"] {
            assert!(ExternalUrl::parse(text).is_err(), "{text}");
        }
        assert!(ExternalUrl::of_machine(":9595").text().ends_with(":9595"));
    }
}
