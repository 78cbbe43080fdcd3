//! The body of `POST /api/v2/alerts`.
//!
//! Source: Alertmanager's OpenAPI document (`postableAlerts`); key order as the reference writes it.

use serde::Serialize;
use url::Url;

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
    // An end before the start is refused, and one in the future means that it fires; it takes a clock that was set back
    // to get there.
    let (starts_at, ends_at) = match alert.state {
        AlertState::Firing { valid_for } => (alert.starts_at, (at + valid_for).max(alert.starts_at)),
        AlertState::Resolved { resolved_at } => (alert.starts_at.min(resolved_at), resolved_at),
    };
    Body {
        annotations: &alert.annotations,
        ends_at: ends_at.to_rfc3339_millis(),
        starts_at: starts_at.to_rfc3339_millis(),
        generator_url: if is_request_uri(&alert.generator_url) { &alert.generator_url } else { "" },
        labels: &alert.labels,
    }
}

/// Whether Alertmanager takes the text as a URI. It refuses the whole request for one that it does not take, and no alert
/// is worth less than its link. Source: go-openapi `strfmt`, which asks Go's `url.ParseRequestURI`.
fn is_request_uri(text: &str) -> bool {
    if text.bytes().any(|byte| byte.is_ascii_control()) {
        return false;
    }
    let before_query = text.split('?').next().unwrap_or_default();
    let mut escapes = before_query.split('%').skip(1);
    let is_hex = |escape: &str| escape.as_bytes().get(..2).is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit));
    let authority = before_query.split_once("//").map_or("", |(_, after)| after.split('/').next().unwrap_or_default());
    escapes.all(is_hex) && !authority.contains(['\\', '#', ' ']) && (text.starts_with('/') || Url::parse(text).is_ok())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::notify::outbox::{Outbox, Timing};

    #[test]
    fn an_alert_that_resolves_before_it_fired_is_over_at_once() {
        // It fired while the clock ran ahead. An end in the future would keep it firing until then.
        let at = Timestamp::from_seconds;
        let alert = crate::notify::testing::resolved(1, 5000, 2000);
        let alert = Outgoing {
            labels: alert.labels,
            annotations: alert.annotations,
            starts_at: alert.starts_at,
            state: alert.state,
            generator_url: alert.generator_url,
        };
        let text = serde_json::to_string(&body(&alert, at(2001))).unwrap();
        let over = r#""endsAt":"1970-01-01T00:33:20.000Z","startsAt":"1970-01-01T00:33:20.000Z""#;
        assert!(text.contains(over), "{text}");
    }

    #[test]
    fn a_generator_url_that_alertmanager_would_refuse_is_left_out() {
        let alert = crate::notify::testing::firing(1, 1);
        for (url, sent) in [
            ("http://h:9090/graph?g0.expr=up+%3D%3D+0&g0.tab=1", true),
            ("https://h/explore?left={\"a b\": 100%}#f", true),
            ("/graph?x", true),
            ("not a url", false),
            ("http://h/a?x=\n", false),
            ("http://h/%zz", false),
            ("http://h h/", false),
            ("graph", false),
            ("", false),
        ] {
            let alert = Outgoing {
                labels: alert.labels.clone(),
                annotations: Labels::empty(),
                starts_at: alert.starts_at,
                state: alert.state,
                generator_url: Arc::from(url),
            };
            let text = serde_json::to_string(&body(&alert, Timestamp::from_seconds(5))).unwrap();
            assert_eq!(text.contains("generatorURL"), sent, "{url}");
        }
    }

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
            r#"{"endsAt":"2024-01-01T00:00:00.000Z","startsAt":"2024-01-01T00:00:00.000Z","labels":{"alertname":"B"}}]"#,
        ];
        let body = render(&outbox.due(at(0), 10), at(1000));
        assert_eq!(String::from_utf8(body).unwrap(), expected.concat());
        assert_eq!(render(&Batch::default(), at(0)), b"[]");
    }
}
