//! All instances of one alerting rule, found by label set.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use super::AlertInstance;
use crate::model::{Labels, LabelsRef};

/// Capacity below which nothing is given back.
const CAPACITY_KEPT: usize = 64;

/// The alert instances of a rule, each label set once, in the order they came up while none is removed.
///
/// A source gives the same series in the same order, evaluation after evaluation. So whoever looks up one after the other
/// says where he expects the next, and mostly no hash is computed.
#[derive(Clone, Debug, Default)]
pub struct AlertInstances {
    all: Vec<AlertInstance>,
    /// Positions in `all`, by label set.
    positions: HashTable<u32>,
}

/// The hash of a label set among instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LabelsHash(u64);

pub(crate) fn hash(labels: LabelsRef<'_>) -> LabelsHash {
    LabelsHash(FixedState::default().hash_one(labels))
}

impl AlertInstances {
    pub fn len(&self) -> usize {
        self.all.len()
    }

    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub fn iter(&self) -> std::slice::Iter<'_, AlertInstance> {
        self.all.iter()
    }

    /// Bytes these hold on the heap. What several of them share, or others with them, counts for each.
    pub fn heap_bytes(&self) -> usize {
        let texts = |alert: &AlertInstance| alert.labels.heap_bytes() + alert.annotations.heap_bytes();
        let table = self.positions.capacity() * (size_of::<u32>() + 1) * 8 / 7;
        self.all.iter().map(texts).sum::<usize>() + self.all.capacity() * size_of::<AlertInstance>() + table
    }

    pub fn get(&self, labels: &Labels) -> Option<&AlertInstance> {
        self.position(labels.view(), usize::MAX).map(|position| &self.all[position])
    }

    /// Where a label set stands. `expected` is looked at first.
    pub(crate) fn position(&self, labels: LabelsRef<'_>, expected: usize) -> Option<usize> {
        if self.all.get(expected).is_some_and(|instance| labels == instance.labels) {
            return Some(expected);
        }
        if self.all.is_empty() {
            return None;
        }
        let is_it = |position: &u32| labels == self.all[*position as usize].labels;
        self.positions.find(hash(labels).0, is_it).map(|position| *position as usize)
    }

    pub(crate) fn at(&self, position: usize) -> &AlertInstance {
        &self.all[position]
    }

    pub(crate) fn at_mut(&mut self, position: usize) -> &mut AlertInstance {
        &mut self.all[position]
    }

    /// Adds an instance whose label set is not there yet; gives its position.
    pub(crate) fn push(&mut self, hash: LabelsHash, instance: AlertInstance) -> usize {
        debug_assert!(self.position(instance.labels.view(), usize::MAX).is_none(), "each label set once");
        let position = u32::try_from(self.all.len()).expect("an answer in memory has fewer than 2^32 elements");
        self.all.push(instance);
        let all = &self.all;
        self.positions.insert_unique(hash.0, position, |position| hash_at(all, *position));
        position as usize
    }

    /// Removes the instances at these positions, which are ascending. The last ones take their places.
    pub(crate) fn remove(&mut self, positions: &[usize]) {
        for position in positions.iter().rev() {
            let last = self.all.len() - 1;
            self.forget(*position);
            if *position != last {
                let moved = self.forget(last);
                let all = &self.all;
                self.positions.insert_unique(moved, *position as u32, |position| hash_at(all, *position));
            }
            self.all.swap_remove(*position);
        }
        // A storm that is over gives back its memory.
        if self.all.capacity() > CAPACITY_KEPT.max(4 * self.all.len()) {
            let all = &mut self.all;
            all.shrink_to_fit();
            self.positions.shrink_to_fit(|position| hash_at(all, *position));
        }
    }

    /// Takes a position out of the table; gives the hash it was found under.
    fn forget(&mut self, position: usize) -> u64 {
        let hash = hash_at(&self.all, position as u32);
        if let Ok(entry) = self.positions.find_entry(hash, |found| *found as usize == position) {
            entry.remove();
        }
        hash
    }
}

/// Of two with one label set the first stays.
impl FromIterator<AlertInstance> for AlertInstances {
    fn from_iter<I: IntoIterator<Item = AlertInstance>>(instances: I) -> AlertInstances {
        let mut all = AlertInstances::default();
        for instance in instances {
            if all.get(&instance.labels).is_none() {
                all.push(hash(instance.labels.view()), instance);
            }
        }
        all
    }
}

fn hash_at(all: &[AlertInstance], position: u32) -> u64 {
    hash(all[position as usize].labels.view()).0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerting::Instance;
    use crate::model::Timestamp;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn labels(number: u8) -> Labels {
        Labels::from_pairs([("alertname", "A".to_owned()), ("n", number.to_string())])
    }

    fn instance(number: u8) -> AlertInstance {
        AlertInstance {
            state: Instance::Pending { active_at: Timestamp::from_seconds(0) },
            labels: labels(number),
            fingerprint: labels(number).fingerprint(),
            annotations: Labels::empty(),
            value: f64::from(number),
            generator_url: "".into(),
            written: None,
            unrestored: false,
        }
    }

    proptest! {
        #[test]
        fn what_is_there_is_found_wherever_it_is_expected(
            rounds in proptest::collection::vec(proptest::collection::btree_set(0..40_u8, 0..30), 1..12),
            expected in 0..50_usize,
        ) {
            let mut instances = AlertInstances::default();
            let mut there = BTreeSet::new();
            for round in rounds {
                let gone: Vec<usize> = (0..instances.len())
                    .filter(|position| !round.contains(&(instances.at(*position).value as u8)))
                    .collect();
                instances.remove(&gone);
                for number in round.difference(&there.intersection(&round).copied().collect()) {
                    instances.push(hash(labels(*number).view()), instance(*number));
                }
                there = round;
                prop_assert_eq!(instances.len(), there.len());
                for number in 0..40 {
                    let position = instances.position(labels(number).view(), expected);
                    prop_assert_eq!(position.is_some(), there.contains(&number));
                    prop_assert!(position.is_none_or(|position| instances.at(position).labels == labels(number)));
                }
            }
        }
    }
}
