//! What a group's evaluation takes from outside the group.

use std::sync::Arc;
use std::time::Duration;

use xxhash_rust::xxh64::Xxh64;

use crate::model::{Labels, LabelsBuilder, Timestamp, Value};
use crate::rules::{Group, Rule};
use crate::template::{Context, Expansion, Queries, Template};

/// Everything but rules, state and time. One for each group and source; made anew when the configuration changes.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The source's name.
    pub source: Arc<str>,
    /// The group's interval, or the global one.
    pub interval: Duration,
    /// The group's query offset, or the global one.
    pub query_offset: Duration,
    pub external_labels: Labels,
    /// Labels that the source adds to its results.
    pub source_labels: Labels,
    /// `$externalURL`, without trailing slash.
    pub external_url: Arc<str>,
    pub generator_url: GeneratorUrl,
    pub resend_delay: Duration,
    pub resolved_retention: Duration,
    /// How far back `ALERTS_FOR_STATE` is believed after a restart.
    pub outage_tolerance: Duration,
    /// Least time between a restart and the firing of an alert that was pending.
    pub grace_period: Duration,
}

/// Where an alert's `generatorURL` leads.
#[derive(Clone, Debug)]
pub enum GeneratorUrl {
    /// To `/graph` under this URL (no trailing slash), with the expression.
    Graph(Arc<str>),
    /// Wherever this template says. It sees the alert's labels and, as labels, `__expr__`, `__group__`, `__file__` and
    /// `__source__`; `$externalURL` is the URL beside it.
    Template(Template, Arc<str>),
}

impl Settings {
    /// How long an Alertmanager is to believe a firing alert without hearing of it again.
    ///
    /// Source: Prometheus `rules/alerting.go`, `sendAlerts`: four times the longer of interval and resend delay.
    pub fn valid_for(&self) -> Duration {
        4 * self.interval.max(self.resend_delay)
    }

    /// Stable identity of a rule over evaluations and reloads; `twin` counts rules of equal name and labels before it.
    pub(crate) fn rule_id(&self, group: &Group, rule: &Rule, twin: usize) -> u64 {
        let mut hash = Xxh64::new(0);
        for part in [&*self.source, &group.file, &group.name, &rule.name] {
            hash.update(part.as_bytes());
            hash.update(&[0xff]);
        }
        for (name, value) in &rule.labels {
            hash.update(name.as_bytes());
            hash.update(&[0xff]);
            hash.update(value.as_bytes());
            hash.update(&[0xff]);
        }
        hash.update(&twin.to_le_bytes());
        hash.digest()
    }

    /// The URL that is the same for all alerts of a rule; none if it depends on the alert.
    pub(crate) fn shared_generator_url(&self, rule: &Rule) -> Option<Arc<str>> {
        match &self.generator_url {
            GeneratorUrl::Graph(base) => {
                let expr = escape_query(rule.expr.normalised());
                Some(Arc::from(format!("{base}/graph?g0.expr={expr}&g0.tab=1")))
            }
            GeneratorUrl::Template(..) => None,
        }
    }

    /// The URL of one alert, where it depends on the alert. A template that fails gives the URL under `/graph`.
    pub(crate) fn generator_url_of(
        &self,
        group: &Group,
        rule: &Rule,
        labels: &Labels,
        value: &Value,
        at: Timestamp,
    ) -> Arc<str> {
        let GeneratorUrl::Template(template, base) = &self.generator_url else {
            return self.shared_generator_url(rule).unwrap_or_default();
        };
        let mut builder = LabelsBuilder::new(labels);
        builder.set("__expr__", &**rule.expr.normalised());
        builder.set("__group__", &*group.name);
        builder.set("__file__", &*group.file);
        builder.set("__source__", &*self.source);
        let labels = builder.finish();
        let context =
            Context { labels: &labels, external_labels: &self.external_labels, external_url: base, value, at };
        match template.expand(&context, &NoQueries) {
            Expansion::Done(url) => Arc::from(url),
            Expansion::Failed(_) | Expansion::Needs(_) => {
                let expr = escape_query(rule.expr.normalised());
                Arc::from(format!("{base}/graph?g0.expr={expr}&g0.tab=1"))
            }
        }
    }
}

struct NoQueries;

impl Queries for NoQueries {
    fn answer(&self, _expr: &str) -> Option<Result<&[crate::model::Sample], &str>> {
        Some(Err("queries are not available in the alert source URL"))
    }
}

/// Form-style query escape: `A-Za-z0-9-_.~` stay, a space is `+`, every other byte `%XX`.
fn escape_query(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() * 3 / 2);
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => escaped.push(char::from(byte)),
            b' ' => escaped.push('+'),
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::escape_query;

    #[test]
    fn queries_are_escaped_as_form_values() {
        for (text, escaped) in [
            ("sum by (job) (rate(x[5m])) > 1", "sum+by+%28job%29+%28rate%28x%5B5m%5D%29%29+%3E+1"),
            (r#"a{b=~"c|d"}"#, "a%7Bb%3D~%22c%7Cd%22%7D"),
            ("ü/?&=+#%", "%C3%BC%2F%3F%26%3D%2B%23%25"),
        ] {
            assert_eq!(escape_query(text), escaped);
        }
    }
}
