//! The registry, and how rooms make the metrics they put in it.

use prometheus::core::Collector;
use prometheus::{
    Counter, CounterVec, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder,
};

use super::summary::{Summary, SummaryVec};

/// Bounds of Prometheus' duration histograms of rules and notifications, in seconds.
pub const DURATION_BUCKETS: [f64; 4] = [0.01, 0.1, 1.0, 10.0];

/// What this build is, as `buildinfo` and the metrics show it. The parts a builder does not hand in are empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BuildInfo {
    pub version: &'static str,
    pub revision: &'static str,
    pub branch: &'static str,
    pub build_user: &'static str,
    pub build_date: &'static str,
    pub rust_version: &'static str,
}

impl BuildInfo {
    /// Of this build: the environment variables `BELLWETHER_REVISION`, `_BRANCH`, `_BUILD_USER`, `_BUILD_DATE` and
    /// `_RUST_VERSION` at compile time.
    pub const fn this() -> BuildInfo {
        BuildInfo {
            version: env!("CARGO_PKG_VERSION"),
            revision: or_empty(option_env!("BELLWETHER_REVISION")),
            branch: or_empty(option_env!("BELLWETHER_BRANCH")),
            build_user: or_empty(option_env!("BELLWETHER_BUILD_USER")),
            build_date: or_empty(option_env!("BELLWETHER_BUILD_DATE")),
            rust_version: or_empty(option_env!("BELLWETHER_RUST_VERSION")),
        }
    }
}

const fn or_empty(text: Option<&'static str>) -> &'static str {
    match text {
        Some(text) => text,
        None => "",
    }
}

/// The metrics of the process. A clone shows the same ones.
#[derive(Clone, Debug)]
pub struct Telemetry {
    registry: Registry,
}

impl Telemetry {
    /// A registry that holds the build (`bellwether_build_info`) and, where the system tells it, the process
    /// (`process_*`).
    ///
    /// There is no `prometheus_build_info`: dashboards and alerts take it for a Prometheus server's.
    pub fn new() -> Telemetry {
        let registry = Registry::new();
        let build = BuildInfo::this();
        let help = "A metric with a constant '1' value labeled by what this binary was built from.";
        let labels = ["version", "revision", "branch", "rust_version", "os", "arch"];
        int_gauge_vec(&registry, "bellwether_build_info", help, &labels)
            .with_label_values(&[
                build.version,
                build.revision,
                build.branch,
                build.rust_version,
                std::env::consts::OS,
                std::env::consts::ARCH,
            ])
            .set(1);
        #[cfg(target_os = "linux")]
        registry
            .register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))
            .expect("the registry is new, and nothing else is called process_*");
        Telemetry { registry }
    }

    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// All metrics in the text exposition format 0.0.4, sorted by name.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        // A family without series is an error to the encoder, and no reason to show nothing.
        let families: Vec<_> = self.registry.gather().into_iter().filter(|f| !f.get_metric().is_empty()).collect();
        if let Err(error) = TextEncoder::new().encode_utf8(&families, &mut text) {
            tracing::error!(%error, "some metrics cannot be shown");
        }
        text
    }
}

impl Default for Telemetry {
    fn default() -> Telemetry {
        Telemetry::new()
    }
}

/// Puts a collector in the registry. Panics where two rooms use one name, or a name is malformed: names are constants,
/// so the first start of any test shows it.
fn registered<C: Collector + Clone + 'static>(registry: &Registry, collector: prometheus::Result<C>) -> C {
    let collector = collector.expect("names and labels of metrics are constants that follow the rules");
    registry.register(Box::new(collector.clone())).expect("every name of a metric is used once per registry");
    collector
}

macro_rules! constructors {
    ($($plain:ident $plain_type:ident, $vec:ident $vec_type:ident;)*) => {$(
        #[doc = concat!("A `", stringify!($plain_type), "`, registered. Panics on a name that is taken or malformed.")]
        pub fn $plain(registry: &Registry, name: &str, help: &str) -> $plain_type {
            registered(registry, $plain_type::new(name, help))
        }

        #[doc = concat!("A `", stringify!($vec_type), "`, registered. Panics on a name that is taken or malformed.")]
        pub fn $vec(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> $vec_type {
            registered(registry, $vec_type::new(Opts::new(name, help), labels))
        }
    )*};
}

constructors! {
    counter Counter, counter_vec CounterVec;
    gauge Gauge, gauge_vec GaugeVec;
    int_counter IntCounter, int_counter_vec IntCounterVec;
    int_gauge IntGauge, int_gauge_vec IntGaugeVec;
}

/// A `Histogram` with these upper bounds, registered. Panics on a name that is taken or malformed.
pub fn histogram(registry: &Registry, name: &str, help: &str, buckets: &[f64]) -> Histogram {
    registered(registry, Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec())))
}

/// A `HistogramVec` with these upper bounds, registered. Panics on a name that is taken or malformed.
pub fn histogram_vec(registry: &Registry, name: &str, help: &str, buckets: &[f64], labels: &[&str]) -> HistogramVec {
    registered(registry, HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets.to_vec()), labels))
}

/// A summary that shows these quantiles of the last ten minutes, registered. Panics on a name that is taken or malformed.
pub fn summary(registry: &Registry, name: &str, help: &str, quantiles: &[f64]) -> Summary {
    summary_vec(registry, name, help, quantiles, &[]).with_label_values(&[])
}

/// Like `summary`, with labels.
pub fn summary_vec(registry: &Registry, name: &str, help: &str, quantiles: &[f64], labels: &[&str]) -> SummaryVec {
    registered(registry, SummaryVec::new(name, help, quantiles, labels))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registry_shows_the_build_and_what_rooms_put_in_it() {
        let telemetry = Telemetry::new();
        int_counter(telemetry.registry(), "bellwether_example_total", "An example.").inc();
        counter_vec(telemetry.registry(), "bellwether_without_series_total", "Nothing yet.", &["a"]);
        let text = telemetry.encode();
        assert!(text.contains("\nbellwether_example_total 1\n"), "{text}");
        assert!(text.contains(concat!("version=\"", env!("CARGO_PKG_VERSION"), "\"} 1\n")), "{text}");
        assert!(!text.contains("without_series"));
        #[cfg(target_os = "linux")]
        assert!(text.contains("process_resident_memory_bytes"), "{text}");
    }
}
