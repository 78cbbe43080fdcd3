//! The samples that one target has not settled yet, oldest first.

use std::collections::VecDeque;

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use super::Wait;
use crate::model::{Labels, Timestamp};

/// One sample on its way, as it was recorded: external labels and relabeling come when it is sent.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Item {
    pub(super) labels: Labels,
    pub(super) at: Timestamp,
    /// Carried by its bits: a staleness marker is a NaN.
    pub(super) value: f64,
}

/// How far a queue has come, by counts of samples since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// So many are settled, one way or the other: all of the first ones, without a gap.
    pub(super) settled: u64,
    /// So many of them were lost.
    pub(super) lost: u64,
}

/// A bounded queue with one reader. Samples leave it when they are settled, not when they are read.
#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    arrived: Notify,
    progress: watch::Sender<Progress>,
}

#[derive(Debug, Default)]
struct State {
    items: VecDeque<Item>,
    /// So many at the front are being sent, and not dropped for room.
    in_flight: usize,
    /// All samples that ever came.
    taken: u64,
    lost: u64,
}

impl Queue {
    pub(super) fn new() -> Queue {
        let (progress, _) = watch::channel(Progress::default());
        Queue { state: Mutex::default(), arrived: Notify::new(), progress }
    }

    /// Takes samples, dropping the oldest ones that are not being sent where there are more than `capacity`.
    ///
    /// Gives what to wait for, and how many were dropped.
    pub(super) fn append(&self, items: impl IntoIterator<Item = Item>, capacity: usize) -> (Wait, usize) {
        let mut state = self.state.lock();
        let had = state.items.len();
        state.items.extend(items);
        state.taken += (state.items.len() - had) as u64;
        let excess = state.items.len().saturating_sub(capacity).min(state.items.len() - state.in_flight);
        let first = state.in_flight;
        state.items.drain(first..first + excess);
        state.lost += excess as u64;
        // Older samples that make room are no loss of this ticket; its own are.
        let lost_before = state.lost - excess.saturating_sub(had - first) as u64;
        let wait = Wait { progress: self.progress.subscribe(), upto: state.taken, lost_before };
        self.publish(&state);
        drop(state);
        self.arrived.notify_one();
        (wait, excess)
    }

    /// The oldest samples, at most `most`; waits until there is one.
    pub(super) async fn next_batch(&self, most: usize) -> Vec<Item> {
        loop {
            if let Some(batch) = self.batch(most) {
                return batch;
            }
            self.arrived.notified().await;
        }
    }

    fn batch(&self, most: usize) -> Option<Vec<Item>> {
        let mut state = self.state.lock();
        state.in_flight = state.items.len().min(most.max(1));
        (state.in_flight > 0).then(|| state.items.range(..state.in_flight).cloned().collect())
    }

    /// The batch that was read last is done with; so many samples of it were lost.
    pub(super) fn settle(&self, lost: usize) {
        let mut state = self.state.lock();
        let settled = std::mem::take(&mut state.in_flight);
        state.items.drain(..settled);
        state.lost += lost as u64;
        self.publish(&state);
    }

    /// Samples not settled.
    pub(super) fn pending(&self) -> usize {
        self.state.lock().items.len()
    }

    pub(super) fn progress(&self) -> Progress {
        *self.progress.borrow()
    }

    /// Returns when nothing is pending.
    pub(super) async fn emptied(&self) {
        let mut progress = self.progress.subscribe();
        while self.pending() > 0 {
            // The sender lives in this queue, so the channel cannot be closed.
            if progress.changed().await.is_err() {
                return;
            }
        }
    }

    fn publish(&self, state: &State) {
        // While samples are in flight, those dropped behind them are not yet settled in the sense of "no gap".
        let settled = state.taken - state.items.len() as u64;
        let settled = if state.in_flight > 0 { self.progress.borrow().settled } else { settled };
        self.progress.send_replace(Progress { settled, lost: state.lost });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(values: std::ops::Range<i64>) -> impl Iterator<Item = Item> {
        values.map(|value| Item { labels: Labels::empty(), at: Timestamp::from_millis(value), value: value as f64 })
    }

    fn times(batch: &[Item]) -> Vec<i64> {
        batch.iter().map(|item| item.at.as_millis()).collect()
    }

    #[tokio::test]
    async fn samples_stay_until_they_are_settled() {
        let queue = Queue::new();
        let (wait, dropped) = queue.append(items(0..5), 10);
        assert_eq!((wait.upto, dropped), (5, 0));
        assert_eq!(times(&queue.next_batch(3).await), [0, 1, 2]);
        assert_eq!(times(&queue.next_batch(2).await), [0, 1]);
        queue.settle(0);
        assert_eq!(queue.progress(), Progress { settled: 2, lost: 0 });
        assert_eq!(times(&queue.next_batch(10).await), [2, 3, 4]);
        queue.settle(1);
        assert_eq!(queue.progress(), Progress { settled: 5, lost: 1 });
        queue.emptied().await;
    }

    #[tokio::test]
    async fn for_room_the_oldest_go_but_not_those_being_sent() {
        let queue = Queue::new();
        queue.append(items(0..4), 4);
        assert_eq!(times(&queue.next_batch(2).await), [0, 1]);
        let (wait, dropped) = queue.append(items(4..7), 4);
        assert_eq!((wait.upto, dropped), (7, 3));
        // 2, 3 and 4 are gone, but 0 and 1 are not settled: nobody is told that anything is.
        assert_eq!(queue.progress(), Progress { settled: 0, lost: 3 });
        queue.settle(0);
        assert_eq!(queue.progress(), Progress { settled: 5, lost: 3 });
        assert_eq!(times(&queue.next_batch(10).await), [5, 6]);
    }

    #[tokio::test]
    async fn more_than_fits_at_once_keeps_the_newest() {
        let queue = Queue::new();
        let (_, dropped) = queue.append(items(0..10), 3);
        assert_eq!(dropped, 7);
        assert_eq!(times(&queue.next_batch(10).await), [7, 8, 9]);
    }
}
