//! All alerts that live, as evaluation last told them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;

use crate::model::{Alert, AlertKey, AlertState, Timestamp};

/// The truth that every Alertmanager has to be brought to. Holds firing alerts, and resolved ones for the retention.
pub(super) struct Board {
    alerts: HashMap<AlertKey, Arc<Alert>>,
    /// The resolved ones, by the time of their resolve.
    resolved: BTreeSet<(Timestamp, AlertKey)>,
    retention: Duration,
}

impl Board {
    pub(super) fn new(resolved_retention: Duration) -> Board {
        Board { alerts: HashMap::new(), resolved: BTreeSet::new(), retention: resolved_retention }
    }

    /// Takes the newest state of an alert.
    pub(super) fn tell(&mut self, alert: Alert) -> Arc<Alert> {
        let alert = Arc::new(alert);
        let was = self.alerts.insert(alert.key, alert.clone());
        if let Some(AlertState::Resolved { resolved_at }) = was.map(|was| was.state) {
            self.resolved.remove(&(resolved_at, alert.key));
        }
        if let AlertState::Resolved { resolved_at } = alert.state {
            self.resolved.insert((resolved_at, alert.key));
        }
        alert
    }

    /// Forgets what was resolved longer ago than the retention. Outboxes that have not delivered it keep it themselves.
    pub(super) fn expire(&mut self, at: Timestamp) -> Vec<AlertKey> {
        let mut expired = Vec::new();
        while let Some((resolved_at, key)) = self.resolved.first().copied()
            && at > resolved_at + self.retention
        {
            self.resolved.pop_first();
            self.alerts.remove(&key);
            expired.push(key);
        }
        expired
    }

    pub(super) fn alerts(&self) -> impl Iterator<Item = &Arc<Alert>> {
        self.alerts.values()
    }
}
