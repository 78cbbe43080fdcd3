//! Log lines in Prometheus' own look.
//!
//! Source: Go's `log/slog` text and JSON handlers as prometheus/common `promslog` sets them up: `time`, `level`,
//! `source`, `msg`, then the event's fields, then those of the spans around it.

use std::fmt::{self, Write};
use std::str::FromStr;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::filter::{FilterExt, LevelFilter, Targets, filter_fn};
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormattedFields};
use tracing_subscriber::layer::{Filter, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::model::{Timestamp, is_printable, write_quoted};

/// Longest value of a field, in bytes. An error may quote an answer; a line must stay readable and bounded.
const VALUE_BYTES_MAX: usize = 8 << 10;
/// Ends a value that was cut.
const CUT: &str = "...";

/// `--log.level`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogLevel {
    Debug,
    #[default]
    Info,
    Warn,
    Error,
}

/// `--log.format`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    #[default]
    Logfmt,
    Json,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogSetUpError {
    #[error("unknown log level {0:?}; use one of debug, info, warn, error")]
    UnknownLevel(String),
    #[error("unknown log format {0:?}; use one of logfmt, json")]
    UnknownFormat(String),
    #[error("logging is set up already")]
    Twice,
}

impl FromStr for LogLevel {
    type Err = LogSetUpError;

    fn from_str(text: &str) -> Result<LogLevel, LogSetUpError> {
        match text {
            "debug" => Ok(LogLevel::Debug),
            "info" => Ok(LogLevel::Info),
            "warn" => Ok(LogLevel::Warn),
            "error" => Ok(LogLevel::Error),
            _ => Err(LogSetUpError::UnknownLevel(text.to_owned())),
        }
    }
}

impl FromStr for LogFormat {
    type Err = LogSetUpError;

    fn from_str(text: &str) -> Result<LogFormat, LogSetUpError> {
        match text {
            "logfmt" => Ok(LogFormat::Logfmt),
            "json" => Ok(LogFormat::Json),
            _ => Err(LogSetUpError::UnknownFormat(text.to_owned())),
        }
    }
}

impl LogLevel {
    fn filter(self) -> LevelFilter {
        match self {
            LogLevel::Debug => LevelFilter::DEBUG,
            LogLevel::Info => LevelFilter::INFO,
            LogLevel::Warn => LevelFilter::WARN,
            LogLevel::Error => LevelFilter::ERROR,
        }
    }
}

/// From now on every event of the process goes to stderr, one line each; `now` says the time of a line.
///
/// Libraries are heard from `warn` on: their chatter at lower levels is about their own insides.
///
/// Errors: `Twice` if the process has a subscriber already.
pub fn log_to_stderr(
    level: LogLevel,
    format: LogFormat,
    now: impl Fn() -> Timestamp + Send + Sync + 'static,
) -> Result<(), LogSetUpError> {
    let lines = tracing_subscriber::fmt::layer()
        .event_format(Lines { format, now })
        .fmt_fields(format)
        .with_writer(std::io::stderr)
        .with_filter(filter(level));
    tracing_subscriber::registry().with(lines).try_init().map_err(|_| LogSetUpError::Twice)
}

/// Which events become lines. Our own spans are kept at every level: a warning wants the fields around it.
fn filter<S>(level: LogLevel) -> impl Filter<S> + Send + Sync
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    const OURS: &str = env!("CARGO_PKG_NAME");
    let libraries = level.filter().min(LevelFilter::WARN);
    let events = Targets::new().with_default(libraries).with_target(OURS, level.filter());
    let spans = filter_fn(|metadata| metadata.is_span() && metadata.target().starts_with(OURS));
    events.or(spans.with_max_level_hint(LevelFilter::INFO))
}

/// Formats an event as one line.
struct Lines<Now> {
    format: LogFormat,
    now: Now,
}

impl<S, N, Now> FormatEvent<S, N> for Lines<Now>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    Now: Fn() -> Timestamp,
{
    fn format_event(&self, ctx: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut fields = Fields::new(self.format);
        event.record(&mut fields);
        let metadata = event.metadata();
        let mut line = Fields::new(self.format);
        line.push("time", &(self.now)().to_rfc3339_millis());
        line.push("level", level_name(*metadata.level()));
        line.push("source", source(metadata.target()));
        line.push("msg", &fields.message);
        writer.write_str(if self.format == LogFormat::Json { "{" } else { "" })?;
        writer.write_str(line.text.get(line.format.separator().len()..).unwrap_or_default())?;
        writer.write_str(&fields.text)?;
        for span in ctx.event_scope().into_iter().flatten() {
            if let Some(formatted) = span.extensions().get::<FormattedFields<N>>() {
                writer.write_str(formatted)?;
            }
        }
        writer.write_str(if self.format == LogFormat::Json { "}\n" } else { "\n" })
    }
}

/// The fields of a span, in the form in which they are appended to a line.
impl<'writer> FormatFields<'writer> for LogFormat {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'writer>, recorded: R) -> fmt::Result {
        let mut fields = Fields::new(*self);
        recorded.record(&mut fields);
        writer.write_str(&fields.text)
    }

    fn add_fields(
        &self,
        current: &'writer mut FormattedFields<Self>,
        recorded: &tracing::span::Record<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::new(*self);
        recorded.record(&mut fields);
        current.fields.push_str(&fields.text);
        Ok(())
    }
}

fn level_name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "ERROR",
        Level::WARN => "WARN",
        Level::INFO => "INFO",
        Level::DEBUG | Level::TRACE => "DEBUG",
    }
}

/// The room an event comes from: `ruler` of `bellwether::ruler::manager`; the crate, where it is not ours.
fn source(target: &str) -> &str {
    let mut path = target.split("::");
    let first = path.next().unwrap_or_default();
    if first == env!("CARGO_PKG_NAME") { path.next().unwrap_or(first) } else { first }
}

/// Collects fields: the message by itself, all others as text, each preceded by the format's separator.
struct Fields {
    format: LogFormat,
    message: String,
    text: String,
}

impl LogFormat {
    fn separator(self) -> &'static str {
        match self {
            LogFormat::Logfmt => " ",
            LogFormat::Json => ",",
        }
    }
}

impl Fields {
    fn new(format: LogFormat) -> Fields {
        Fields { format, message: String::new(), text: String::new() }
    }

    fn push(&mut self, key: &str, value: &str) {
        let value = cut(value);
        self.push_key(key);
        match self.format {
            LogFormat::Logfmt => push_logfmt(&mut self.text, &value),
            LogFormat::Json => push_json(&mut self.text, &value),
        }
    }

    /// A value that needs no quotes in either format: a number or a boolean.
    fn push_bare(&mut self, key: &str, value: impl fmt::Display) {
        self.push_key(key);
        let _ = write!(self.text, "{value}");
    }

    fn push_key(&mut self, key: &str) {
        self.text.push_str(self.format.separator());
        match self.format {
            LogFormat::Logfmt => {
                push_logfmt(&mut self.text, key);
                self.text.push('=');
            }
            LogFormat::Json => {
                push_json(&mut self.text, key);
                self.text.push(':');
            }
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.message.push_str(value),
            name => self.push(name.strip_prefix("r#").unwrap_or(name), value),
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.record_str(field, &value.to_string());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.push_bare(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.push_bare(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.push_bare(field.name(), value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no word for what is not finite.
        if value.is_finite() {
            self.push_bare(field.name(), value)
        } else {
            self.push(field.name(), &value.to_string())
        }
    }
}

fn cut(value: &str) -> std::borrow::Cow<'_, str> {
    if value.len() <= VALUE_BYTES_MAX {
        return value.into();
    }
    let end = (0..=VALUE_BYTES_MAX).rev().find(|at| value.is_char_boundary(*at)).unwrap_or(0);
    format!("{}{CUT}", &value[..end]).into()
}

fn push_json(text: &mut String, value: &str) {
    text.push_str(&serde_json::to_string(value).expect("a string always serialises"));
}

/// A value as it is, or in quotes where a reader could not tell its end.
fn push_logfmt(text: &mut String, value: &str) {
    let bare = |c: char| is_printable(c) && !c.is_whitespace() && !matches!(c, '=' | '"' | '\u{fffd}');
    if !value.is_empty() && value.chars().all(bare) {
        text.push_str(value);
    } else {
        let _ = write_quoted(text, value);
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use parking_lot::Mutex;
    use tracing::{info, info_span, warn};
    use tracing_subscriber::fmt::MakeWriter;

    use super::*;

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Paper {
        type Writer = Paper;

        fn make_writer(&'a self) -> Paper {
            self.clone()
        }
    }

    fn written(format: LogFormat, level: LogLevel, speak: impl FnOnce()) -> String {
        let paper = Paper::default();
        let now = || Timestamp::from_millis(1_795_228_800_123);
        let lines = tracing_subscriber::fmt::layer()
            .event_format(Lines { format, now })
            .fmt_fields(format)
            .with_writer(paper.clone())
            .with_filter(filter(level));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), speak);
        let bytes = paper.0.lock().clone();
        String::from_utf8(bytes).expect("lines are UTF-8")
    }

    fn speak() {
        info!(target: "bellwether::ruler::manager", rules = 3, took = 0.25, "loaded the rules");
        info!(target: "hyper::proto", "library chatter");
        let span = info_span!(target: "bellwether::notify", "send", alertmanager = "http://a:9093/");
        span.in_scope(|| {
            let error = io::Error::other("no \"route\"\nto host");
            warn!(target: "bellwether::notify", %error, empty = "", path = r"C:\x", "sending alerts failed, will retry");
        });
    }

    #[test]
    fn logfmt_lines_look_like_prometheus() {
        assert_eq!(
            written(LogFormat::Logfmt, LogLevel::Debug, speak),
            concat!(
                "time=2026-11-21T02:40:00.123Z level=INFO source=ruler msg=\"loaded the rules\" rules=3 took=0.25\n",
                "time=2026-11-21T02:40:00.123Z level=WARN source=notify msg=\"sending alerts failed, will retry\" ",
                "error=\"no \\\"route\\\"\\nto host\" empty=\"\" path=C:\\x alertmanager=http://a:9093/\n",
            )
        );
    }

    #[test]
    fn json_lines_are_one_object_each() {
        assert_eq!(
            written(LogFormat::Json, LogLevel::Warn, speak),
            concat!(
                "{\"time\":\"2026-11-21T02:40:00.123Z\",\"level\":\"WARN\",\"source\":\"notify\",",
                "\"msg\":\"sending alerts failed, will retry\",\"error\":\"no \\\"route\\\"\\nto host\",\"empty\":\"\",",
                "\"path\":\"C:\\\\x\",\"alertmanager\":\"http://a:9093/\"}\n",
            )
        );
    }

    #[test]
    fn long_values_are_cut_at_a_character() {
        let value = "é".repeat(VALUE_BYTES_MAX);
        assert_eq!(cut(&value).len(), VALUE_BYTES_MAX + CUT.len());
    }

    #[test]
    fn values_are_quoted_where_needed() {
        for (value, quoted) in [
            ("plain", "plain"),
            ("a b", "\"a b\""),
            ("a=b", "\"a=b\""),
            ("\u{1}", "\"\\x01\""),
            ("ü", "ü"),
            ("", "\"\""),
        ] {
            let mut text = String::new();
            push_logfmt(&mut text, value);
            assert_eq!(text, quoted);
        }
    }
}
