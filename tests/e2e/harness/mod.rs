//! Real processes and stand-ins for them, all on loopback with ports and directories of their own, so that tests run
//! beside each other. Everything ends with the value that started it, also when a test panics; logs are printed then.

pub(crate) mod alertmanager;
pub(crate) mod alertmanager_stub;
pub(crate) mod bellwether;
pub(crate) mod exporter;
pub(crate) mod feeder;
pub(crate) mod http;
pub(crate) mod peers;
pub(crate) mod poll;
pub(crate) mod process;
pub(crate) mod prometheus;
pub(crate) mod prometheus_stub;
pub(crate) mod webhook;

pub(crate) use alertmanager::Alertmanager;
pub(crate) use alertmanager_stub::{AlertmanagerStub, Behaviour};
pub(crate) use bellwether::{Bellwether, Config};
pub(crate) use exporter::Exporter;
pub(crate) use feeder::{Feeder, Timeline};
pub(crate) use peers::Peers;
pub(crate) use poll::{eventually, hold};
pub(crate) use prometheus::Prometheus;
pub(crate) use prometheus_stub::{Fault, PrometheusStub};
pub(crate) use webhook::Webhook;

use std::collections::BTreeMap;
use std::time::Duration;

/// Name to value, in order.
pub(crate) type Labels = BTreeMap<String, String>;

pub(crate) fn labels<const N: usize>(pairs: [(&str, &str); N]) -> Labels {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

pub(crate) const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Milliseconds since the epoch.
pub(crate) fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// Milliseconds since the epoch of an RFC 3339 time.
pub(crate) fn parse_ms(time: &serde_json::Value) -> i64 {
    let text = time.as_str().unwrap_or_else(|| panic!("{time} should be a time"));
    text.parse::<jiff::Timestamp>().unwrap_or_else(|error| panic!("{text}: {error}")).as_millisecond()
}

/// The string map in a JSON object.
pub(crate) fn string_map(object: &serde_json::Value) -> Labels {
    let Some(object) = object.as_object() else { return Labels::new() };
    object.iter().map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned())).collect()
}

/// Sleeps until a time in milliseconds since the epoch.
pub(crate) async fn until(at_ms: i64) {
    let pause = u64::try_from(at_ms - now_ms()).unwrap_or(0);
    tokio::time::sleep(millis(pause)).await;
}
