//! Where the rooms are joined: options in, a running ruler out.
//!
//! `App::build` makes and binds everything and can fail; `run` cannot. A reload is a second build of the parts that the
//! configuration describes, put in place of the running ones only when all of it succeeded.

mod check;
mod metrics;
mod options;
mod reload;
mod stop;
mod views;

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::api::{ApiOptions, HttpMetrics, ServeOptions, WebConfig, bind, router, serve};
use crate::client::ClientOptions;
use crate::clock::Clock;
use crate::config::{Config, SourceConfig};
use crate::diagnostic::{Finding, Severity};
use crate::model::Timestamp;
use crate::notify::{Notifier, NotifyOptions};
use crate::ruler::{Ruler, RulerOptions};
use crate::sources::Source;
use crate::store::RemoteWriters;
use crate::telemetry::Telemetry;

use check::digest;
pub use check::{Checked, check};
pub use options::{AppOptions, ExternalUrl};
pub use stop::StopSummary;

use metrics::Metrics;
use stop::Signals;

/// Why nothing runs.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("{} in the configuration or the rules", errors(.0))]
    Faulty(Vec<Finding>),
    #[error("no source to evaluate rules at: give --source.url, or `sources` in the file of --config.file")]
    NoSource,
    #[error("{0}")]
    Other(String),
}

fn errors(findings: &[Finding]) -> String {
    match findings.iter().filter(|finding| finding.is_error()).count() {
        1 => "1 error".to_owned(),
        count => format!("{count} errors"),
    }
}

/// A ruler with everything around it.
pub struct App {
    shared: Arc<Shared>,
    listeners: Vec<TcpListener>,
    web_config: Option<WebConfig>,
    http_metrics: HttpMetrics,
    signals: Signals,
}

/// What reloads, views and the stop share.
struct Shared {
    options: AppOptions,
    clock: Arc<dyn Clock>,
    telemetry: Telemetry,
    metrics: Metrics,
    client: ClientOptions,
    source_metrics: crate::sources::Metrics,
    notifier: Arc<Notifier>,
    writers: Arc<RemoteWriters>,
    ruler: Ruler,
    started_at: Timestamp,
    current: ArcSwap<Current>,
    /// One reload at a time.
    reloading: tokio::sync::Mutex<()>,
    last_reload: Mutex<LastReload>,
    stop: CancellationToken,
}

/// The configuration in force.
#[derive(Default)]
struct Current {
    config: Option<Config>,
    sources: BTreeMap<String, (SourceConfig, Arc<dyn Source>)>,
    warnings: Vec<String>,
    loaded_at: Option<Timestamp>,
}

/// What became of the last attempt to load.
#[derive(Default)]
struct LastReload {
    error: Option<String>,
    /// Of the files as they were then.
    digest: Option<[u8; 32]>,
}

impl App {
    /// Loads configuration and rules, binds the listeners, makes all parts. Nothing is asked, written or sent before
    /// `run`. Must be called within a tokio runtime.
    pub async fn build(options: AppOptions, clock: Arc<dyn Clock>) -> Result<App, BuildError> {
        let other = |error: &dyn std::fmt::Display| BuildError::Other(error.to_string());
        // First of all: who has a configuration changed while we start must not end us by saying so.
        let signals = Signals::listen();
        // Before the files are read: what changes in between counts as changed.
        let digest = digest(&options);
        let checked = check(&options).map_err(BuildError::Faulty)?;
        if checked.config.sources.is_empty() {
            return Err(BuildError::NoSource);
        }
        let web_config = match &options.web_config_file {
            Some(path) => Some(WebConfig::load(path).map_err(|error| BuildError::Faulty(error.findings))?),
            None => None,
        };
        let listeners = options.listen_addresses.iter().map(|address| bind(address)).collect::<Result<Vec<_>, _>>();
        let listeners = listeners.map_err(|error| other(&error))?;

        let telemetry = Telemetry::new();
        let registry = telemetry.registry();
        let client = ClientOptions {
            metrics: crate::client::Metrics::new(registry).map_err(|error| other(&error))?,
            ..ClientOptions::default()
        };
        let notifier = Notifier::new(
            clock.clone(),
            registry,
            NotifyOptions {
                resend_delay: options.resend_delay,
                batch_size: options.notification_batch_size,
                client: client.clone(),
                seed: rand::random(),
                ..NotifyOptions::default()
            },
        );
        let notifier = Arc::new(notifier.map_err(|error| other(&error))?);
        let write_metrics = crate::store::Metrics::new(registry).map_err(|error| other(&error))?;
        let writers = Arc::new(RemoteWriters::new(clock.clone(), client.clone(), write_metrics));
        let source_metrics = crate::sources::Metrics::new(registry).map_err(|error| other(&error))?;
        let ruler = Ruler::new(
            clock.clone(),
            writers.clone(),
            notifier.clone(),
            crate::ruler::Metrics::new(registry),
            RulerOptions { max_concurrent_evals: options.max_concurrent_evals, query_timeout: options.query_timeout },
        );
        let shared = Arc::new(Shared {
            metrics: Metrics::new(registry),
            source_metrics,
            started_at: clock.now(),
            current: ArcSwap::default(),
            reloading: tokio::sync::Mutex::default(),
            last_reload: Mutex::default(),
            stop: CancellationToken::new(),
            options,
            clock,
            client,
            notifier,
            writers,
            ruler,
            telemetry,
        });
        shared.last_reload.lock().digest = Some(digest);
        let http_metrics = HttpMetrics::new(shared.telemetry.registry());
        log_findings(&checked.findings);
        shared.put_in_place(checked).await.map_err(BuildError::Other)?;
        Ok(App { shared, listeners, web_config, http_metrics, signals })
    }

    /// Runs until a signal or a request asks it to stop; gives what was finished and what was left.
    pub async fn run(self) -> StopSummary {
        let (shared, mut signals) = (self.shared, self.signals);
        let api = ApiOptions {
            route_prefix: shared.options.route_prefix.clone(),
            lifecycle_enabled: shared.options.enable_lifecycle,
            cors_origin: shared.options.cors_origin.clone(),
            ..ApiOptions::default()
        };
        let router = router(Arc::new(views::Snapshots(shared.clone())), &api, self.http_metrics.clone());
        let closing = CancellationToken::new();
        let addresses: Vec<String> =
            self.listeners.iter().filter_map(|one| one.local_addr().ok()).map(|one| one.to_string()).collect();
        let server = tokio::spawn(serve(
            self.listeners,
            router,
            self.web_config,
            ServeOptions::default(),
            self.http_metrics,
            closing.clone(),
        ));
        info!(addresses = addresses.join(","), version = env!("CARGO_PKG_VERSION"), "listening");
        shared.metrics.ready.set(1);
        tokio::spawn(reload::watch(shared.clone()));
        signals.wait(&shared).await;
        shared.stop.cancel();
        shared.metrics.ready.set(0);
        let summary = tokio::select! {
            summary = shared.drain() => summary,
            () = signals.again() => return StopSummary::default(),
        };
        closing.cancel();
        match server.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => error!(%error, "the HTTP server ended with an error"),
            Err(error) => error!(%error, "the HTTP server ended with a fault"),
        }
        summary
    }
}

fn log_findings(findings: &[Finding]) {
    for finding in findings {
        match finding.severity {
            Severity::Error => error!(%finding, "refused"),
            Severity::Warning => warn!(%finding, "worth a look"),
            Severity::Info => info!(%finding, "noted"),
        }
    }
}
