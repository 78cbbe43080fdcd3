//! The series an alerting rule writes about itself.

use crate::model::{ALERT_NAME, Labels, LabelsScratch, METRIC_NAME};

/// `ALERTS{<labels>, alertname, alertstate}`: 1 while the alert is in that state.
///
/// Made from the alert's own labels alone: what its templates expanded to, never their source text.
pub fn alert_series(labels: &Labels, alertstate: &str, scratch: &mut LabelsScratch) -> Labels {
    scratch.changed(labels, [(METRIC_NAME, "ALERTS"), ("alertstate", alertstate)]).to_labels()
}

/// `ALERTS_FOR_STATE{<labels>, alertname}`: when the alert became active, in whole Unix seconds.
pub fn for_state_series(labels: &Labels, scratch: &mut LabelsScratch) -> Labels {
    debug_assert!(labels.get(ALERT_NAME).is_some(), "an alert has a name");
    scratch.changed(labels, [(METRIC_NAME, "ALERTS_FOR_STATE")]).to_labels()
}
