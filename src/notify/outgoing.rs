//! From alerts to what an Alertmanager sees of them: external labels, relabeling, and alerts that become one.

use std::cmp::Reverse;
use std::sync::Arc;

use hashbrown::HashMap;
use smallvec::SmallVec;

use crate::model::{Alert, AlertKey, AlertState, Labels, LabelsBuilder, Timestamp};
use crate::relabel::{RelabelRule, relabel};

/// What happens to labels on the way out. Alertmanagers with equal routes share the work and the result.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Route {
    pub(super) external_labels: Labels,
    /// `alerting.alert_relabel_configs`
    pub(super) relabel: Vec<RelabelRule>,
    /// `alert_relabel_configs` of the Alertmanager's block
    pub(super) block_relabel: Vec<RelabelRule>,
}

impl Route {
    /// The labels an Alertmanager sees; `None` if it is not to see the alert.
    ///
    /// External labels fill in where the alert has none or an empty one. Labels without value go, as Alertmanager would
    /// have it.
    pub(super) fn outgoing(&self, labels: &Labels) -> Option<Labels> {
        let filled = if self.external_labels.iter().all(|(name, _)| !labels.value(name).is_empty()) {
            labels.clone()
        } else {
            let mut builder = LabelsBuilder::new(labels);
            for (name, value) in &self.external_labels {
                if builder.get(name).is_none_or(str::is_empty) {
                    builder.set(name, value);
                }
            }
            builder.finish()
        };
        let relabeled = if self.relabel.is_empty() { Some(filled) } else { relabel(&self.relabel, &filled) }?;
        let relabeled = match self.block_relabel.is_empty() {
            true => relabeled,
            false => relabel(&self.block_relabel, &relabeled)?,
        };
        if relabeled.iter().all(|(_, value)| !value.is_empty()) {
            return Some(relabeled);
        }
        let kept: SmallVec<[_; 16]> = relabeled.iter().filter(|(_, value)| !value.is_empty()).collect();
        Some(Labels::from_sorted(kept.iter().copied()))
    }
}

/// One alert as an Alertmanager sees it; its identity there is its label set.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Outgoing {
    pub(super) labels: Labels,
    pub(super) annotations: Labels,
    pub(super) starts_at: Timestamp,
    pub(super) state: AlertState,
    pub(super) generator_url: Arc<str>,
}

impl Outgoing {
    pub(super) fn is_firing(&self) -> bool {
        matches!(self.state, AlertState::Firing { .. })
    }

    pub(super) fn resolved_at(&self) -> Option<Timestamp> {
        match self.state {
            AlertState::Firing { .. } => None,
            AlertState::Resolved { resolved_at } => Some(resolved_at),
        }
    }

    /// Whether this is news that cannot wait for the next re-send: fired, resolved, or fired anew.
    pub(super) fn is_turn_from(&self, was: &Outgoing) -> bool {
        self.starts_at != was.starts_at || self.resolved_at() != was.resolved_at()
    }
}

/// The alerts of one route by the label set they go out under.
///
/// Two rules may make equal labels, and relabeling may make labels equal. The Alertmanager must then see one alert that
/// fires as long as any of its origins does.
#[derive(Default)]
pub(super) struct Merge {
    /// Where each alert goes; `None` where the route drops it. Labels of a key never change, so this is worked out once.
    routed: HashMap<AlertKey, Option<Labels>>,
    origins: HashMap<Labels, SmallVec<[Arc<Alert>; 1]>>,
}

impl Merge {
    pub(super) fn of<'a>(alerts: impl Iterator<Item = &'a Arc<Alert>>, route: &Route) -> Merge {
        let mut merge = Merge::default();
        for alert in alerts {
            merge.put(alert, |labels| route.outgoing(labels));
        }
        merge
    }

    /// Takes the newest state of an alert and gives what its Alertmanagers are to see now; `None` if nothing of it.
    pub(super) fn tell(&mut self, alert: &Arc<Alert>, route: impl Fn(&Labels) -> Option<Labels>) -> Option<Outgoing> {
        let labels = self.put(alert, route)?;
        self.origins.get(&labels).map(|origins| combined(&labels, origins))
    }

    /// Forgets an alert that has long been resolved. Gives its label set if no other alert has it.
    pub(super) fn forget(&mut self, key: AlertKey) -> Option<Labels> {
        let labels = self.routed.remove(&key)??;
        let origins = self.origins.get_mut(&labels)?;
        origins.retain(|origin| origin.key != key);
        if !origins.is_empty() {
            return None;
        }
        self.origins.remove(&labels);
        Some(labels)
    }

    pub(super) fn produces(&self, labels: &Labels) -> bool {
        self.origins.contains_key(labels)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = Outgoing> {
        self.origins.iter().map(|(labels, origins)| combined(labels, origins))
    }

    fn put(&mut self, alert: &Arc<Alert>, route: impl Fn(&Labels) -> Option<Labels>) -> Option<Labels> {
        let labels = self.routed.entry(alert.key).or_insert_with(|| route(&alert.labels)).clone()?;
        let origins = self.origins.entry(labels.clone()).or_default();
        match origins.iter_mut().find(|origin| origin.key == alert.key) {
            Some(origin) => *origin = alert.clone(),
            None => origins.push(alert.clone()),
        }
        Some(labels)
    }
}

/// One alert for several: firing if any fires, then as the one that has fired longest; else as the last to resolve.
fn combined(labels: &Labels, origins: &[Arc<Alert>]) -> Outgoing {
    let firing = origins.iter().filter_map(|origin| match origin.state {
        AlertState::Firing { valid_for } => Some((origin, valid_for)),
        AlertState::Resolved { .. } => None,
    });
    // By key where times are equal, so that replicas with the same rules say the same.
    let (shown, state) = match firing.clone().min_by_key(|(origin, _)| (origin.starts_at, origin.key)) {
        Some((shown, valid_for)) => {
            let valid_for = firing.map(|(_, valid_for)| valid_for).max().unwrap_or(valid_for);
            (shown, AlertState::Firing { valid_for })
        }
        None => {
            let last = origins
                .iter()
                .max_by_key(|origin| match origin.state {
                    AlertState::Resolved { resolved_at } => (Some(resolved_at), Reverse(origin.key)),
                    AlertState::Firing { .. } => (None, Reverse(origin.key)),
                })
                .expect("a label set is forgotten with its last origin");
            (last, last.state)
        }
    };
    Outgoing {
        labels: labels.clone(),
        annotations: shown.annotations.clone(),
        starts_at: shown.starts_at,
        state,
        generator_url: shown.generator_url.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::notify::testing::{at, firing, resolved};

    #[test]
    fn external_labels_fill_in_and_empty_labels_go() {
        let route = Route { external_labels: Labels::from_pairs([("a", "ext"), ("b", "ext")]), ..Route::default() };
        for (labels, outgoing) in [
            (&[("a", "own"), ("b", "own")][..], r#"{a="own", b="own"}"#),
            (&[("a", "own")], r#"{a="own", b="ext"}"#),
            (&[("a", ""), ("c", "")], r#"{a="ext", b="ext"}"#),
        ] {
            let labels = Labels::from_pairs(labels.iter().copied());
            assert_eq!(route.outgoing(&labels).unwrap().to_string(), outgoing);
        }
    }

    #[test]
    fn alerts_with_one_label_set_fire_while_any_of_them_does() {
        let mut merge = Merge::default();
        let one = |_: &Labels| Some(Labels::from_pairs([("alertname", "one")]));
        let mut tell = |alert: Alert| merge.tell(&Arc::new(alert), one).unwrap();
        assert_eq!(tell(firing(1, 10)).starts_at, at(10));
        assert_eq!(tell(firing(2, 5)).starts_at, at(5));
        let still = tell(resolved(2, 5, 20));
        assert!(still.is_firing());
        assert_eq!(still.starts_at, at(10));
        assert_eq!(tell(resolved(1, 10, 30)).resolved_at(), Some(at(30)));
        assert_eq!(tell(resolved(3, 1, 25)).resolved_at(), Some(at(30)));
        assert!(tell(firing(3, 40)).is_firing());
        assert_eq!(merge.all().count(), 1);
        for rule in [1, 2, 3] {
            merge.forget(firing(rule, 0).key);
        }
        assert_eq!(merge.all().count(), 0);
    }

    proptest! {
        #[test]
        fn a_label_set_fires_exactly_while_one_of_its_alerts_does(
            told in prop::collection::vec((0..6_u64, any::<bool>()), 1..40),
        ) {
            let mut merge = Merge::default();
            let mut fires = BTreeMap::new();
            for (time, (rule, firing_now)) in (10..).zip(told) {
                let alert = if firing_now { firing(rule, time) } else { resolved(rule, 1, time) };
                // Rules 0 to 2 share a label set, as do 3 to 5.
                let shared = Labels::from_pairs([("alertname", if rule < 3 { "a" } else { "b" })]);
                let seen = merge.tell(&Arc::new(alert), |_| Some(shared.clone())).unwrap();
                fires.insert(rule, firing_now);
                let any_fires = fires.iter().any(|(other, fires)| (*other < 3) == (rule < 3) && *fires);
                prop_assert_eq!(seen.is_firing(), any_fires);
                prop_assert_eq!(seen.labels, shared);
            }
            for rule in fires.into_keys() {
                merge.forget(firing(rule, 0).key);
            }
            prop_assert!(merge.origins.is_empty() && merge.routed.is_empty());
        }
    }
}
