//! The body of `POST /api/v2/alerts`.
//!
//! Source: Alertmanager's OpenAPI document (`postableAlerts`); key order as the reference writes it.

use serde::Serialize;

use super::outbox::Batch;
use super::outgoing::Outgoing;
use crate::model::{AlertState, Labels, Timestamp};

/// An alert without long texts takes about this much.
const ALERT_BYTES_GUESS: usize = 512;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    #[serde(skip_serializing_if = "Labels::is_empty")]
    annotations: &'a Labels,
    ends_at: String,
    starts_at: String,
    #[serde(rename = "generatorURL", skip_serializing_if = "str::is_empty")]
    generator_url: &'a str,
    labels: &'a Labels,
}

/// The batch as it is to be sent at this moment: a firing alert is valid from now on.
pub(super) fn render(batch: &Batch, at: Timestamp) -> Vec<u8> {
    let mut text = Vec::with_capacity(2 + batch.items.len() * ALERT_BYTES_GUESS);
    text.push(b'[');
    for (index, item) in batch.items.iter().enumerate() {
        if index > 0 {
            text.push(b',');
        }
        serde_json::to_writer(&mut text, &body(&item.alert, at)).expect("texts and maps of texts always serialise");
    }
    text.push(b']');
    text
}

fn body(alert: &Outgoing, at: Timestamp) -> Body<'_> {
    let ends_at = match alert.state {
        AlertState::Firing { valid_for } => at + valid_for,
        AlertState::Resolved { resolved_at } => resolved_at,
    };
    Body {
        annotations: &alert.annotations,
        // An end before the start is refused; it takes a clock that was set back to get there.
        ends_at: ends_at.max(alert.starts_at).to_rfc3339_millis(),
        starts_at: alert.starts_at.to_rfc3339_millis(),
        generator_url: &alert.generator_url,
        labels: &alert.labels,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::notify::outbox::{Outbox, Timing};

    #[test]
    fn bodies_are_written_as_alertmanager_reads_them() {
        let at = |millis: i64| Timestamp::from_millis(1_704_067_200_000 + millis);
        let firing = Outgoing {
            labels: Labels::from_pairs([("alertname", "A"), ("q", "\"<é>\"\n")]),
            annotations: Labels::from_pairs([("summary", "x"), ("empty", "")]),
            starts_at: at(682),
            state: AlertState::Firing { valid_for: Duration::from_secs(240) },
            generator_url: Arc::from("http://h:9090/graph?g0.expr=up+%3D%3D+0&g0.tab=1"),
        };
        let resolved = Outgoing {
            labels: Labels::from_pairs([("alertname", "B")]),
            annotations: Labels::empty(),
            starts_at: at(5000),
            state: AlertState::Resolved { resolved_at: at(0) },
            generator_url: Arc::from(""),
        };
        let timing = Timing { resend_delay: Duration::from_secs(60), resolved_retention: Duration::from_secs(900) };
        let mut outbox = Outbox::new(timing);
        outbox.tell(&Arc::new(firing));
        outbox.tell(&Arc::new(resolved));
        let expected = [
            r#"[{"annotations":{"empty":"","summary":"x"},"endsAt":"2024-01-01T00:04:01.000Z","#,
            r#""startsAt":"2024-01-01T00:00:00.682Z","#,
            r#""generatorURL":"http://h:9090/graph?g0.expr=up+%3D%3D+0&g0.tab=1","#,
            r#""labels":{"alertname":"A","q":"\"<é>\"\n"}},"#,
            r#"{"endsAt":"2024-01-01T00:00:05.000Z","startsAt":"2024-01-01T00:00:05.000Z","labels":{"alertname":"B"}}]"#,
        ];
        let body = render(&outbox.due(at(0), 10), at(1000));
        assert_eq!(String::from_utf8(body).unwrap(), expected.concat());
        assert_eq!(render(&Batch::default(), at(0)), b"[]");
    }
}
