//! The series an alerting rule writes about itself.

use crate::model::{ALERT_NAME, Labels, LabelsBuilder, METRIC_NAME};

/// `ALERTS{<labels>, alertname, alertstate}`: 1 while the alert is in that state.
///
/// Made from the alert's own labels alone: what its templates expanded to, never their source text.
pub fn alert_series(labels: &Labels, alertstate: &str) -> Labels {
    let mut series = LabelsBuilder::new(labels);
    series.set(METRIC_NAME, "ALERTS");
    series.set("alertstate", alertstate);
    series.finish()
}

/// `ALERTS_FOR_STATE{<labels>, alertname}`: when the alert became active, in whole Unix seconds.
pub fn for_state_series(labels: &Labels) -> Labels {
    debug_assert!(labels.get(ALERT_NAME).is_some(), "an alert has a name");
    let mut series = LabelsBuilder::new(labels);
    series.set(METRIC_NAME, "ALERTS_FOR_STATE");
    series.finish()
}
