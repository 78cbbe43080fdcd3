//! A new configuration in place of the running one: all of it, or nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::time::MissedTickBehavior;
use tracing::{error, info, warn};

use super::{Checked, Current, Shared, check, digest, log_findings};
use crate::config::{Config, SourceConfig, SourceKind};
use crate::diagnostic::Finding;
use crate::evaluation::{GeneratorUrl, Settings};
use crate::notify::NotifySettings;
use crate::ruler::GroupPlan;
use crate::rules::Group;
use crate::sources::{QueryApi, Shared as SharedAnswers, Source};

type Sources = BTreeMap<String, (SourceConfig, Arc<dyn Source>)>;

impl Shared {
    /// Loads everything again. On an error the running configuration stays, untouched.
    pub(super) async fn reload(self: &Arc<Shared>, why: &'static str) -> Result<(), String> {
        let _one_at_a_time = self.reloading.lock().await;
        if self.stop.is_cancelled() {
            return Err("the ruler is stopping".to_owned());
        }
        info!(why, "loading the configuration");
        let shared = self.clone();
        let checked = tokio::task::spawn_blocking(move || {
            shared.last_reload.lock().digest = Some(digest(&shared.options));
            check(&shared.options)
        });
        let checked = match checked.await {
            Ok(checked) => checked,
            Err(fault) => return Err(self.refused(format!("loading ended with a fault: {fault}"))),
        };
        let result = match checked {
            Ok(checked) if checked.config.sources.is_empty() => Err("no source to evaluate rules at".to_owned()),
            Ok(checked) => {
                log_findings(&checked.findings);
                self.put_in_place(checked).await
            }
            Err(findings) => {
                log_findings(&findings);
                let errors: Vec<String> =
                    findings.iter().filter(|finding| finding.is_error()).map(Finding::to_string).collect();
                Err(errors.join("\n"))
            }
        };
        result.map_err(|error| self.refused(error))
    }

    /// Notes why a configuration was refused.
    fn refused(&self, error: String) -> String {
        error!(%error, "the new configuration is refused, the old one stays in force");
        self.metrics.reload_successful.set(0);
        self.last_reload.lock().error = Some(error.clone());
        error
    }

    /// Everything that can fail first, then the change itself.
    pub(super) async fn put_in_place(&self, checked: Checked) -> Result<(), String> {
        let Checked { config, groups, findings, rule_files } = checked;
        let before = self.current.load_full();
        let sources = self.sources(&config, &before.sources)?;
        let plans = self.plans(&config, &sources, &groups);
        let notify = notify_settings(&config);
        self.notifier.apply(notify).map_err(|error| error.to_string())?;
        if let Err(error) = self.writers.apply(&config.remote_write, &config.global.external_labels) {
            if let Some(old) = &before.config {
                self.notifier.apply(notify_settings(old)).map_err(|error| error.to_string())?;
            }
            return Err(error.to_string());
        }
        let rules: usize = groups.iter().map(|group| group.rules.len()).sum();
        self.ruler.apply(plans).await;
        let now = self.clock.now();
        info!(groups = groups.len(), rules, rule_files, sources = sources.len(), "configuration in force");
        if config.alerting.alertmanagers.is_empty() {
            warn!("no Alertmanager is configured: alerts are shown in the API and go nowhere else");
        }
        self.metrics.rule_files.set(i64::try_from(rule_files).unwrap_or(i64::MAX));
        self.metrics.reload_successful.set(1);
        self.metrics.reload_success_timestamp.set(now.as_seconds());
        self.last_reload.lock().error = None;
        let warnings = findings.iter().map(Finding::to_string).collect();
        self.current.store(Arc::new(Current { config: Some(config), sources, warnings, loaded_at: Some(now) }));
        Ok(())
    }

    /// Sources whose configuration did not change go on as they are.
    fn sources(&self, config: &Config, before: &Sources) -> Result<Sources, String> {
        let mut sources = Sources::new();
        for source in &config.sources {
            let old = before.get(&source.name).filter(|(old, _)| old == source);
            let made: Arc<dyn Source> = match (old, source.kind) {
                (Some((_, old)), _) => old.clone(),
                (None, SourceKind::Prometheus) => {
                    let api = QueryApi::new(source, &self.client, &self.source_metrics);
                    let api = api.map_err(|error| format!("source {:?}: {error}", source.name))?;
                    Arc::new(SharedAnswers::new(Arc::new(api), &self.source_metrics))
                }
            };
            sources.insert(source.name.clone(), (source.clone(), made));
        }
        Ok(sources)
    }

    /// Every group on every source.
    fn plans(&self, config: &Config, sources: &Sources, groups: &[Arc<Group>]) -> Vec<GroupPlan> {
        let each = sources
            .values()
            .flat_map(|(source_config, source)| groups.iter().map(move |group| (source_config, source, group)));
        each.map(|(source_config, source, group)| GroupPlan {
            group: group.clone(),
            source: source.clone(),
            settings: Arc::new(self.settings(config, source_config, source.as_ref(), group)),
        })
        .collect()
    }

    fn settings(&self, config: &Config, source_config: &SourceConfig, source: &dyn Source, group: &Group) -> Settings {
        let options = &self.options;
        let at_source: Arc<str> = Arc::from(source.external_url());
        Settings {
            source: Arc::from(source.name()),
            interval: group.interval.unwrap_or(config.global.evaluation_interval),
            query_offset: group.query_offset.unwrap_or(config.global.rule_query_offset),
            external_labels: config.global.external_labels.clone(),
            source_labels: source_config.labels.clone(),
            external_url: options.external_url.text().clone(),
            generator_url: match &options.alert_source_url {
                Some(template) => GeneratorUrl::Template(template.clone(), at_source),
                None => GeneratorUrl::Graph(at_source),
            },
            resend_delay: options.resend_delay,
            resolved_retention: crate::alerting::RESOLVED_RETENTION,
            outage_tolerance: options.for_outage_tolerance,
            grace_period: options.for_grace_period,
        }
    }
}

fn notify_settings(config: &Config) -> NotifySettings {
    NotifySettings {
        external_labels: config.global.external_labels.clone(),
        relabel: config.alerting.relabel.clone(),
        alertmanagers: config.alerting.alertmanagers.clone(),
    }
}

/// Loads again when the content of the files has changed since the last attempt, whatever that attempt came to.
pub(super) async fn watch(shared: Arc<Shared>) {
    let Some(every) = shared.options.auto_reload else { return };
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // A reload that has begun is never broken off: a stop waits for it.
    while shared.stop.run_until_cancelled(ticks.tick()).await.is_some() {
        let looking = shared.clone();
        let Ok(now) = tokio::task::spawn_blocking(move || digest(&looking.options)).await else { continue };
        let before = shared.last_reload.lock().digest.replace(now);
        if before.is_some_and(|before| before != now) {
            // A refusal is logged, counted and shown by `reload` itself.
            let _ = shared.reload("files changed").await;
        }
    }
}
