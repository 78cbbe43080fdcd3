//! Where series go.
//!
//! Decides how recorded series, `ALERTS` and staleness markers reach those who keep them, and says when they have
//! arrived. Never holds up an evaluation: what comes is queued within bounds. Called by whoever drives evaluations.
//! Specified in the issue "Recorded series"; source: Prometheus `storage/remote/queue_manager.go`, `client.go`.

mod metrics;
mod queue;
mod remote_write;
mod send;

#[cfg(test)]
mod loopback_tests;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

pub use metrics::Metrics;
pub use remote_write::{DrainReport, RemoteWriters, TargetDrained, TargetStatus};

use self::queue::Progress;
use crate::model::TimedSample;

/// Something that keeps series.
pub trait Store: Send + Sync {
    /// Takes samples to be kept, in the order in which they come; returns at once. The ticket says when they are.
    fn append(&self, samples: Vec<TimedSample>) -> Ticket;
}

/// Stands for the samples of one `append`, at every target they go to.
#[derive(Clone, Debug, Default)]
pub struct Ticket {
    waits: Vec<Wait>,
}

#[derive(Clone, Debug)]
struct Wait {
    progress: watch::Receiver<Progress>,
    /// Settled up to here means: all samples of the ticket are.
    upto: u64,
    /// Samples the target had lost when the ticket was made.
    lost_before: u64,
}

impl Ticket {
    /// A ticket with nothing to wait for.
    pub fn done() -> Ticket {
        Ticket::default()
    }

    /// A ticket of a target that never answers.
    #[cfg(test)]
    pub(crate) fn never() -> Ticket {
        let (sender, progress) = watch::channel(Progress::default());
        // A sender that is gone would be a target that was removed.
        std::mem::forget(sender);
        Ticket { waits: vec![Wait { progress, upto: 1, lost_before: 0 }] }
    }

    /// True as soon as every target has acknowledged the samples; false as soon as one has lost samples meanwhile (given
    /// up, dropped for room, or was removed), or at the deadline. True at once if there is no target.
    pub async fn acknowledged(mut self, deadline: Instant) -> bool {
        for wait in &mut self.waits {
            let settled = wait.progress.wait_for(|progress| progress.settled >= wait.upto);
            match timeout_at(deadline, settled).await {
                Ok(Ok(progress)) if progress.lost == wait.lost_before => {}
                _ => return false,
            }
        }
        true
    }
}
