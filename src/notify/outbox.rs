//! What one Alertmanager has still to be told. Pure: it is told states and times, and says what to send.
//!
//! Per label set there is one entry with the newest state, so the outbox is bounded by the number of alerts, however long
//! the Alertmanager is away. An entry is
//!
//! - owed, until the Alertmanager has accepted this very state; a state told while an older one is on its way stays owed;
//! - accepted, and then re-sent a resend delay after the acceptance: a firing one for as long as it fires, a resolved
//!   one until the resolved retention is over, when it is forgotten;
//! - refused, and then left alone until what is to be said changes, or a long time has passed.
//!
//! Fired and resolved go out at once, before any re-send, the longest waiting first. New annotations alone wait for the
//! next re-send, as they do in the reference: a value in an annotation changes at every evaluation. What was on its way
//! when a request failed goes behind all that is due: an alert that makes every request fail holds up no other.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;

use super::outgoing::Outgoing;
use crate::model::{AlertState, Labels, Timestamp};

/// A firing alert that was refused is tried again after this: the Alertmanager may have been mended.
const REFUSED_AGAIN: Duration = Duration::from_secs(15 * 60);

#[derive(Clone, Copy, Debug)]
pub(super) struct Timing {
    pub(super) resend_delay: Duration,
    pub(super) resolved_retention: Duration,
}

pub(super) struct Outbox {
    timing: Timing,
    by_labels: HashMap<Labels, Id>,
    /// Ids are never used twice: what is on its way for a forgotten entry cannot be taken for another's.
    entries: HashMap<Id, Entry>,
    queue: BTreeSet<Place>,
    next: u64,
    owed: usize,
    refused: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Id(u64);

struct Entry {
    want: Arc<Outgoing>,
    /// Grows whenever `want` fires or resolves.
    turn: u64,
    standing: Standing,
    place: Option<Place>,
    in_flight: bool,
    /// When a request with it last failed, since the last one that did not.
    failed_at: Option<Timestamp>,
    /// The Alertmanager has, or may have, seen some state of this label set.
    may_be_known: bool,
}

#[derive(Clone, Debug)]
enum Standing {
    Owed {
        since: u64,
    },
    Accepted {
        at: Timestamp,
    },
    /// `seen_at`: when it was last looked at whether it is to be sent again.
    Refused {
        what: Arc<Outgoing>,
        at: Timestamp,
        seen_at: Timestamp,
    },
}

/// Where an entry waits. All that is owed comes before all that is only to be repeated, or has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Owed(u64, Id),
    Later(Timestamp, Id),
}

impl Place {
    fn id(self) -> Id {
        match self {
            Place::Owed(_, id) | Place::Later(_, id) => id,
        }
    }
}

/// Alerts on their way. Each must come back by `accepted`, `refused`, `failed` or `unsent`.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) items: Vec<Item>,
}

#[derive(Clone, Debug)]
pub(super) struct Item {
    id: Id,
    turn: u64,
    pub(super) alert: Arc<Outgoing>,
}

impl Batch {
    /// Cuts the batch in two; the first half stays.
    pub(super) fn split(&mut self) -> Batch {
        Batch { items: self.items.split_off(self.items.len() / 2) }
    }
}

/// When there is something to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wake {
    Now,
    At(Timestamp),
    Never,
}

impl Outbox {
    pub(super) fn new(timing: Timing) -> Outbox {
        Outbox {
            timing,
            by_labels: HashMap::new(),
            entries: HashMap::new(),
            queue: BTreeSet::new(),
            next: 0,
            owed: 0,
            refused: 0,
        }
    }

    /// Alerts whose newest state this Alertmanager has not accepted.
    pub(super) fn owed(&self) -> usize {
        self.owed
    }

    /// Alerts whose newest content this Alertmanager has refused.
    pub(super) fn refused_count(&self) -> usize {
        self.refused
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The newest state of a label set.
    pub(super) fn tell(&mut self, want: &Arc<Outgoing>) {
        let Some(&id) = self.by_labels.get(&want.labels) else {
            let id = Id(self.count());
            let since = self.count();
            let standing = Standing::Owed { since };
            self.owed += 1;
            let entry = Entry {
                want: want.clone(),
                turn: 0,
                standing,
                place: None,
                in_flight: false,
                failed_at: None,
                may_be_known: false,
            };
            self.entries.insert(id, entry);
            self.by_labels.insert(want.labels.clone(), id);
            self.settle_place(id);
            return;
        };
        let since = self.count();
        let entry = self.entries.get_mut(&id).expect("`by_labels` names entries only");
        let is_turn = want.is_turn_from(&entry.want);
        entry.want = want.clone();
        if is_turn {
            entry.turn += 1;
            // One that waits already keeps its place: states that change often must not wait for ever.
            if !matches!(entry.standing, Standing::Owed { .. }) {
                self.stand(id, Standing::Owed { since });
            }
            self.settle_place(id);
        } else if matches!(entry.standing, Standing::Refused { .. }) && !entry.in_flight {
            self.settle_place(id);
        }
    }

    /// Of an Alertmanager that is new here: it may have been told of what is resolved by now, before it went, or by others.
    pub(super) fn fill(&mut self, all: impl Iterator<Item = Arc<Outgoing>>) {
        sorted(all).iter().for_each(|outgoing| self.tell(outgoing));
    }

    /// Brings the outbox to another route: everything that fires there is told, and what fired here under a label set
    /// that is produced no more is resolved, unless the Alertmanager cannot know of it.
    pub(super) fn reroute(
        &mut self,
        all: impl Iterator<Item = Arc<Outgoing>>,
        produces: impl Fn(&Labels) -> bool,
        at: Timestamp,
    ) {
        for outgoing in sorted(all) {
            if outgoing.is_firing() || self.by_labels.contains_key(&outgoing.labels) {
                self.tell(&outgoing);
            }
        }
        let mut gone: Vec<Id> =
            self.by_labels.iter().filter(|(labels, _)| !produces(labels)).map(|(_, id)| *id).collect();
        gone.sort_unstable();
        for id in gone {
            let entry = &self.entries[&id];
            match (entry.want.is_firing(), entry.may_be_known || entry.in_flight) {
                (false, _) => {}
                (true, false) => self.forget(id),
                (true, true) => {
                    let state = AlertState::Resolved { resolved_at: at };
                    self.tell(&Arc::new(Outgoing { state, ..Outgoing::clone(&entry.want) }));
                }
            }
        }
    }

    pub(super) fn wake(&self, at: Timestamp) -> Wake {
        match self.queue.first() {
            None => Wake::Never,
            Some(Place::Owed(..)) => Wake::Now,
            Some(Place::Later(due, _)) if *due <= at || self.clock_went_back(at) => Wake::Now,
            Some(Place::Later(due, _)) => Wake::At(*due),
        }
    }

    /// What to send now, at most so many; what is over is forgotten on the way.
    pub(super) fn due(&mut self, at: Timestamp, items_max: usize) -> Batch {
        let mut items = Vec::new();
        while items.len() < items_max {
            let place = match self.queue.first() {
                Some(place @ Place::Owed(..)) => *place,
                Some(place @ Place::Later(due, _)) if *due <= at => *place,
                Some(_) if self.clock_went_back(at) => *self.queue.last().expect("it has a first one"),
                _ => break,
            };
            self.queue.remove(&place);
            let id = place.id();
            let entry = self.entries.get_mut(&id).expect("a place belongs to an entry");
            entry.place = None;
            let standing = entry.standing.clone();
            if !matches!(standing, Standing::Owed { .. }) && at > self.retained_until(id) {
                self.forget(id);
                continue;
            }
            if let Standing::Refused { what, at: refused_at, .. } = standing
                && same_content(&what, &self.entry(id).want)
                && (at.since(refused_at) < REFUSED_AGAIN || !what.is_firing())
            {
                self.stand(id, Standing::Refused { what, at: refused_at, seen_at: at });
                self.settle_place(id);
                continue;
            }
            let entry = self.entry(id);
            entry.in_flight = true;
            items.push(Item { id, turn: entry.turn, alert: entry.want.clone() });
        }
        Batch { items }
    }

    /// Returns how many alerts are owed no longer. Only the state that was sent counts as accepted.
    pub(super) fn accepted(&mut self, batch: &Batch, at: Timestamp) -> usize {
        let mut settled = 0;
        for item in &batch.items {
            let Some(entry) = self.entries.get_mut(&item.id) else {
                continue;
            };
            entry.in_flight = false;
            entry.failed_at = None;
            entry.may_be_known = true;
            if entry.turn == item.turn {
                settled += usize::from(matches!(entry.standing, Standing::Owed { .. }));
                self.stand(item.id, Standing::Accepted { at });
            }
            self.settle_place(item.id);
        }
        settled
    }

    /// The request came to nothing; everything in it is to be sent again, after all that is due now.
    pub(super) fn failed(&mut self, batch: &Batch, may_have_arrived: bool, at: Timestamp) {
        for item in &batch.items {
            if let Some(entry) = self.entries.get_mut(&item.id) {
                entry.in_flight = false;
                entry.failed_at = Some(at);
                entry.may_be_known |= may_have_arrived;
                self.settle_place(item.id);
            }
        }
    }

    /// There was no request; everything goes back to where it was.
    pub(super) fn unsent(&mut self, batch: &Batch) {
        for item in &batch.items {
            if let Some(entry) = self.entries.get_mut(&item.id) {
                entry.in_flight = false;
                self.settle_place(item.id);
            }
        }
    }

    /// The Alertmanager does not take this alert as it is.
    pub(super) fn refused(&mut self, item: &Item, at: Timestamp) {
        let Some(entry) = self.entries.get_mut(&item.id) else {
            return;
        };
        entry.in_flight = false;
        entry.failed_at = None;
        if entry.turn == item.turn {
            self.stand(item.id, Standing::Refused { what: item.alert.clone(), at, seen_at: at });
        }
        self.settle_place(item.id);
    }

    /// Forgets a resolve whose retention is over, owed or not, if the Alertmanager cannot know that the alert ever fired:
    /// to one that stays away for days they would be owed without bound.
    pub(super) fn expire(&mut self, labels: &Labels) {
        let Some(&id) = self.by_labels.get(labels) else {
            return;
        };
        let entry = self.entry(id);
        if !entry.want.is_firing() && !entry.may_be_known && !entry.in_flight {
            self.forget(id);
        }
    }

    fn count(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn entry(&mut self, id: Id) -> &mut Entry {
        self.entries.get_mut(&id).expect("only `forget` removes entries, and it removes their place")
    }

    fn forget(&mut self, id: Id) {
        if let Some(entry) = self.entries.remove(&id) {
            self.by_labels.remove(&entry.want.labels);
            if let Some(place) = entry.place {
                self.queue.remove(&place);
            }
            self.uncount(&entry.standing);
        }
    }

    fn stand(&mut self, id: Id, standing: Standing) {
        match standing {
            Standing::Owed { .. } => self.owed += 1,
            Standing::Refused { .. } => self.refused += 1,
            Standing::Accepted { .. } => {}
        }
        let was = std::mem::replace(&mut self.entry(id).standing, standing);
        self.uncount(&was);
    }

    fn uncount(&mut self, standing: &Standing) {
        match standing {
            Standing::Owed { .. } => self.owed -= 1,
            Standing::Refused { .. } => self.refused -= 1,
            Standing::Accepted { .. } => {}
        }
    }

    /// Puts an entry where its standing says. Nothing waits longer than a resend delay, see `clock_went_back`.
    fn settle_place(&mut self, id: Id) {
        let delay = self.timing.resend_delay;
        let entry = self.entry(id);
        let place = match (&entry.standing, entry.failed_at) {
            (Standing::Owed { since }, None) => Place::Owed(*since, id),
            (Standing::Owed { .. }, Some(failed_at)) => Place::Later(failed_at, id),
            (Standing::Accepted { at } | Standing::Refused { seen_at: at, .. }, failed_at) => {
                Place::Later(failed_at.map_or(*at + delay, |failed_at| failed_at.max(*at + delay)), id)
            }
        };
        let was = entry.place.replace(place);
        if was != Some(place) {
            if let Some(was) = was {
                self.queue.remove(&was);
            }
            self.queue.insert(place);
        }
    }

    /// The end of a resolved alert's retention; never, for a firing one.
    fn retained_until(&self, id: Id) -> Timestamp {
        let resolved_at = self.entries.get(&id).and_then(|entry| entry.want.resolved_at());
        resolved_at.map_or(Timestamp::from_millis(i64::MAX), |at| at + self.timing.resolved_retention)
    }

    /// Nothing is ever put further away than a resend delay, so what lies there was put by a clock that ran ahead.
    /// Waiting for that time would let the Alertmanager resolve by itself.
    fn clock_went_back(&self, at: Timestamp) -> bool {
        matches!(self.queue.last(), Some(Place::Later(due, _)) if *due > at + self.timing.resend_delay)
    }
}

/// In a stated order, so that the same alerts make the same batches.
fn sorted(all: impl Iterator<Item = Arc<Outgoing>>) -> Vec<Arc<Outgoing>> {
    let mut all: Vec<Arc<Outgoing>> = all.collect();
    all.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
    all
}

/// Whether an Alertmanager that refuses the one will refuse the other. (`valid_for` only moves `endsAt`.)
fn same_content(a: &Outgoing, b: &Outgoing) -> bool {
    a.starts_at == b.starts_at
        && a.resolved_at() == b.resolved_at()
        && a.annotations == b.annotations
        && a.generator_url == b.generator_url
}

#[cfg(test)]
mod tests;
