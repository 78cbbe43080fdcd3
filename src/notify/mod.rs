//! Delivery: brings every Alertmanager to the truth that evaluation tells, whatever happens on the way.
//!
//! Delivery converges, it does not queue. What an Alertmanager has to know is a state per alert, not a list of messages.
//! `board` holds what evaluation told; `outgoing` makes of it what the Alertmanagers of one route see; each Alertmanager
//! has an `outbox` with the newest state per label set that it has not accepted, and a loop of its own (`alertmanager`)
//! that sends it. A slow or dead Alertmanager costs memory bounded by the number of alerts, harms no other one, and
//! gets the final truth when it comes back. An alert counts as sent when it was accepted, not before.
//!
//! Evaluation tells changes only (see `Sink`); re-sending is done here, from the last acceptance by each Alertmanager,
//! for as long as nothing else is told: while a rule cannot be evaluated, its alerts go on being sent as they last stood.
//!
//! Never decides whether an alert fires. Called by `ruler` (through `Sink`), `app` and `api`. Specified by Prometheus'
//! `notifier` for labels, targets, body and metrics, and by Alertmanager's API for the meaning of answers.

mod alertmanager;
mod board;
mod json;
mod metrics;
mod notifier;
mod outbox;
mod outgoing;
mod send;
mod targets;

#[cfg(test)]
mod delivery_tests;
#[cfg(test)]
mod testing;

pub use alertmanager::{AlertmanagerStatus, Drained};
pub use notifier::{ApplyError, DrainReport, Notifier, NotifyOptions, NotifySettings, NotifyStatus, Sink};
pub use send::Backoff;
