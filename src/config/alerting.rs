//! `alerting`: the Alertmanagers, and what alerts look like on the way to them.

use std::rc::Rc;

use super::address::quoted;
use super::client::{CLIENT, client};
use super::model::ALERTMANAGER_TIMEOUT;
use super::read::{Fields, Reader, Shape};
use super::{Alerting, AlertmanagerConfig, HttpClientConfig, TargetGroup, relabeling};
use crate::yaml::tree::Node;

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
        let labels = reader.label_set(&group);
        groups.push(TargetGroup { targets: targets.into_iter().map(|(target, _)| target).collect(), labels });
    }
    groups
}
