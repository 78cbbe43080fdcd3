//! Signals, and the graceful stop.

use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::Shared;

/// What the stop finished, and what it left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StopSummary {
    pub groups_finished: usize,
    pub groups_cut_off: usize,
    pub alerts_delivered: usize,
    pub alerts_left: usize,
    pub samples_left: usize,
}

/// Until a signal or a request asks for the stop. SIGHUP loads the configuration again.
pub(super) async fn wait(shared: &Arc<Shared>) {
    let listen = |kind| signal(kind).map_err(|error| error!(%error, "cannot listen for a signal")).ok();
    let (mut hangup, mut terminate, mut interrupt) =
        (listen(SignalKind::hangup()), listen(SignalKind::terminate()), listen(SignalKind::interrupt()));
    loop {
        tokio::select! {
            () = next(&mut hangup) => {
                let shared = shared.clone();
                // A refusal is logged, counted and shown by `reload` itself.
                tokio::spawn(async move { shared.reload("SIGHUP").await.is_ok() });
            }
            () = next(&mut terminate) => return info!(signal = "SIGTERM", "asked to stop"),
            () = next(&mut interrupt) => return info!(signal = "SIGINT", "asked to stop"),
            () = shared.stop.cancelled() => return info!("asked to stop by request"),
        }
    }
}

async fn next(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => _ = signal.recv().await,
        None => std::future::pending().await,
    }
}

impl Shared {
    /// Running evaluations end, what is undelivered goes out, each within the bound.
    pub(super) async fn drain(&self) -> StopSummary {
        let patience = self.options.shutdown_timeout;
        let groups = self.ruler.stop(patience).await;
        info!(finished = groups.finished, cut_off = groups.cut_off, "evaluation stopped");
        let (alerts, samples) =
            tokio::join!(self.notifier.drain(patience), self.writers.drain(Instant::now() + patience));
        let summary = StopSummary {
            groups_finished: groups.finished,
            groups_cut_off: groups.cut_off,
            alerts_delivered: alerts.delivered(),
            alerts_left: alerts.left(),
            samples_left: samples.targets.iter().map(|target| target.left).sum(),
        };
        let within = humane(patience);
        if summary.alerts_left + summary.samples_left + summary.groups_cut_off == 0 {
            info!(alerts_delivered = summary.alerts_delivered, "stopped, nothing is left undone");
        } else {
            warn!(
                within,
                groups_cut_off = summary.groups_cut_off,
                alerts_delivered = summary.alerts_delivered,
                alerts_left = summary.alerts_left,
                samples_left = summary.samples_left,
                "stopped, this much was left undone"
            );
        }
        summary
    }
}

fn humane(duration: Duration) -> String {
    crate::model::format_duration(duration)
}
