//! Signals, and the graceful stop.

use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};
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

/// The signals that concern us. From when this is made, none of them ends the process by itself.
pub(super) struct Signals {
    hangup: Option<Signal>,
    terminate: Option<Signal>,
    interrupt: Option<Signal>,
}

impl Signals {
    /// Must be called within a tokio runtime.
    pub(super) fn listen() -> Signals {
        let listen = |kind| signal(kind).map_err(|error| error!(%error, "cannot listen for a signal")).ok();
        Signals {
            hangup: listen(SignalKind::hangup()),
            terminate: listen(SignalKind::terminate()),
            interrupt: listen(SignalKind::interrupt()),
        }
    }

    /// Until a signal or a request asks for the stop. SIGHUP loads the configuration again.
    pub(super) async fn wait(&mut self, shared: &Arc<Shared>) {
        let hung_up = Arc::new(Notify::new());
        tokio::spawn(reload_when(hung_up.clone(), shared.clone()));
        loop {
            tokio::select! {
                () = next(&mut self.hangup) => hung_up.notify_one(),
                name = asked_to_stop(&mut self.terminate, &mut self.interrupt) => {
                    return info!(signal = name, "asked to stop; asked again, it ends at once");
                }
                () = shared.stop.cancelled() => return info!("asked to stop by request"),
            }
        }
    }

    /// Until somebody insists.
    pub(super) async fn again(&mut self) {
        let name = asked_to_stop(&mut self.terminate, &mut self.interrupt).await;
        warn!(signal = name, "asked again: stopped at once, what is running or undelivered is left undone");
    }
}

async fn asked_to_stop(terminate: &mut Option<Signal>, interrupt: &mut Option<Signal>) -> &'static str {
    tokio::select! {
        () = next(terminate) => "SIGTERM",
        () = next(interrupt) => "SIGINT",
    }
}

/// However many signals come while one reload runs, one more follows it.
async fn reload_when(hung_up: Arc<Notify>, shared: Arc<Shared>) {
    while shared.stop.run_until_cancelled(hung_up.notified()).await.is_some() {
        // A refusal is logged, counted and shown by `reload` itself.
        let _ = shared.reload("SIGHUP").await;
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
        let deadline = Instant::now() + patience;
        // A reload that has begun ends first: the groups it starts are to be stopped too.
        let no_reload = timeout_at(deadline, self.reloading.lock()).await;
        let groups = self.ruler.stop(deadline.saturating_duration_since(Instant::now())).await;
        drop(no_reload);
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
