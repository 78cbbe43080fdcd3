//! What the tests of this room share.

use std::sync::Arc;
use std::time::Duration;

use crate::config::{AlertmanagerConfig, HttpClientConfig, TargetGroup};
use crate::model::{Alert, AlertKey, AlertState, Labels, Timestamp};

pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

/// The alert of a rule, firing since.
pub(super) fn firing(rule: u64, since: i64) -> Alert {
    let labels = Labels::from_pairs([("alertname", format!("rule {rule}"))]);
    Alert {
        key: AlertKey { rule, fingerprint: labels.fingerprint() },
        labels,
        annotations: Labels::empty(),
        starts_at: at(since),
        state: AlertState::Firing { valid_for: Duration::from_secs(240) },
        generator_url: Arc::from("http://source/graph"),
    }
}

pub(super) fn resolved(rule: u64, since: i64, resolved_at: i64) -> Alert {
    Alert { state: AlertState::Resolved { resolved_at: at(resolved_at) }, ..firing(rule, since) }
}

pub(super) fn block(targets: &[String]) -> AlertmanagerConfig {
    AlertmanagerConfig {
        scheme: "http".to_owned(),
        path_prefix: String::new(),
        timeout: Duration::from_millis(500),
        http: HttpClientConfig::default(),
        static_configs: vec![TargetGroup { targets: targets.to_vec(), labels: Labels::empty() }],
        relabel: Vec::new(),
        alert_relabel: Vec::new(),
    }
}
