//! placeholder
use crate::model::Alert;
/// Tells alerts.
pub trait Sink: Send + Sync {
    fn tell(&self, alerts: Vec<Alert>);
}
