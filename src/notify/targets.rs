//! Which Alertmanagers a block of the configuration names.
//!
//! Source: Prometheus `notifier/alertmanagerset.go` and `notifier/util.go`.

use std::collections::BTreeSet;

use url::Url;

use crate::client::redacted;
use crate::config::{AlertmanagerConfig, TargetGroup};
use crate::model::{Labels, LabelsBuilder};
use crate::relabel::relabel;

const ADDRESS: &str = "__address__";
const SCHEME: &str = "__scheme__";
const ALERTS_PATH: &str = "__alerts_path__";
const PUSH_ENDPOINT: &str = "api/v2/alerts";

#[derive(Debug, Default, PartialEq)]
pub(super) struct Targets {
    /// Where to post, each once, in the order of the configuration.
    pub(super) active: Vec<Url>,
    /// What relabeling dropped, as it would have been posted to.
    pub(super) dropped: Vec<String>,
    pub(super) faults: Vec<String>,
}

/// Works out the targets of a block. A group with an impossible address is left out as a whole, with a fault.
pub(super) fn targets(block: &AlertmanagerConfig) -> Targets {
    let (mut targets, mut seen) = (Targets::default(), BTreeSet::new());
    for group in &block.static_configs {
        match targets_of(block, group) {
            Err(fault) => targets.faults.push(fault),
            Ok((active, dropped)) => {
                targets.active.extend(active.into_iter().filter(|url| seen.insert(url.clone())));
                targets.dropped.extend(dropped);
            }
        }
    }
    targets
}

fn targets_of(block: &AlertmanagerConfig, group: &TargetGroup) -> Result<(Vec<Url>, Vec<String>), String> {
    let (mut active, mut dropped) = (Vec::new(), Vec::new());
    for address in &group.targets {
        let before = labels_of(block, group, address);
        match relabel(&block.relabel, &before) {
            Some(labels) => active.push(push_url(&labels)?),
            None => dropped.extend(push_url(&before).map(|url| redacted(&url))),
        }
    }
    Ok((active, dropped))
}

/// Labels of the group win over those made from the block, as they do in the reference.
fn labels_of(block: &AlertmanagerConfig, group: &TargetGroup, address: &str) -> Labels {
    let mut labels = LabelsBuilder::default();
    labels.set(SCHEME, block.scheme.as_str());
    labels.set(ALERTS_PATH, alerts_path(&block.path_prefix));
    for (name, value) in &group.labels {
        labels.set(name, value);
    }
    labels.set(ADDRESS, address);
    labels.finish()
}

fn push_url(labels: &Labels) -> Result<Url, String> {
    let address = labels.value(ADDRESS);
    if address.is_empty() || address.contains('/') {
        return Err(format!("{address:?} is not a valid hostname"));
    }
    let scheme = labels.value(SCHEME);
    let mut url = Url::parse(&format!("{scheme}://{address}/"))
        .map_err(|error| format!("{address:?} is not a valid hostname: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("{scheme:?} is neither http nor https"));
    }
    url.set_path(labels.value(ALERTS_PATH));
    Ok(url)
}

/// `/`, prefix and endpoint joined, with `.`, `..` and doubled slashes worked out.
fn alerts_path(prefix: &str) -> String {
    let mut parts = Vec::new();
    for part in prefix.split('/').chain(PUSH_ENDPOINT.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::testing::block;

    #[test]
    fn paths_are_joined_clean() {
        for (prefix, path) in [
            ("", "/api/v2/alerts"),
            ("/", "/api/v2/alerts"),
            ("prefix", "/prefix/api/v2/alerts"),
            ("prefix//", "/prefix/api/v2/alerts"),
            ("/a//b/../c/./", "/a/c/api/v2/alerts"),
            ("../..", "/api/v2/alerts"),
        ] {
            assert_eq!(alerts_path(prefix), path, "{prefix:?}");
        }
    }

    #[test]
    fn groups_name_alertmanagers_once_and_their_labels_win() {
        let group = |targets: &[&str], labels: &[(&str, &str)]| TargetGroup {
            targets: targets.iter().map(|target| (*target).to_owned()).collect(),
            labels: Labels::from_pairs(labels.iter().copied()),
        };
        let mut block = block(&[]);
        block.path_prefix = "pre".to_owned();
        block.static_configs = vec![
            group(&["a:9093", "b", "a:9093"], &[]),
            group(&["c:1"], &[(SCHEME, "https"), (ALERTS_PATH, "/other path"), (ADDRESS, "ignored")]),
            group(&["d:1", "e/x"], &[]),
            group(&["f:1"], &[(SCHEME, "unix")]),
        ];
        let found = targets(&block);
        let active: Vec<&str> = found.active.iter().map(Url::as_str).collect();
        let pre = "/pre/api/v2/alerts";
        assert_eq!(
            active,
            [format!("http://a:9093{pre}").as_str(), &format!("http://b{pre}"), "https://c:1/other%20path"]
        );
        assert_eq!(found.faults, [r#""e/x" is not a valid hostname"#, r#""unix" is neither http nor https"#]);
    }
}
