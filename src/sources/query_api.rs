//! A Prometheus, asked by its query API: it evaluates, we read.
//!
//! Source: Prometheus `web/api/v1/api.go`; client conventions of client_golang `api/prometheus/v1`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::answer::{AnswerError, AnswerParser};
use super::metrics::{Metrics, SourceMetrics};
use super::{Source, beginning};
use crate::client::header::{CONTENT_TYPE, LOCATION};
use crate::client::{Client, ClientError, ClientOptions, Failure, ReadError, Response, SendError, StatusCode};
use crate::client::{read_bounded, redacted};
use crate::config::SourceConfig;
use crate::model::{Annotations, Answer, Evaluated, Labels, Need, SourceError, SourceErrorKind, Timestamp};

/// Largest body of an error that is read; Prometheus' own have a few hundred bytes.
const ERROR_BODY_BYTES_MAX: usize = 64 << 10;

/// Longest part of an error's body that is shown where it is no error envelope.
const ERROR_EXCERPT_BYTES_MAX: usize = 200;

/// How a query ends without an answer, before the source's name is put to it.
type Unanswered = (SourceErrorKind, String);

/// A source of type `prometheus`.
#[derive(Debug)]
pub struct QueryApi {
    name: String,
    labels: Labels,
    external_url: String,
    endpoint: Url,
    client: Client,
    timeout: Duration,
    answer_bytes_max: u64,
    /// One permit per query in flight.
    places: Semaphore,
    places_max: usize,
    /// The peer takes no POST: it answered 405 or 501 to one, and well to a GET.
    by_get: AtomicBool,
    metrics: SourceMetrics,
}

impl QueryApi {
    /// Fails where no HTTP client can be built from the options. Asks nothing yet.
    pub fn new(config: &SourceConfig, options: &ClientOptions, metrics: &Metrics) -> Result<QueryApi, ClientError> {
        let places_max = config.max_concurrent_queries.clamp(1, Semaphore::MAX_PERMITS);
        Ok(QueryApi {
            name: config.name.clone(),
            labels: config.labels.clone(),
            external_url: shown(config.external_url.as_ref().unwrap_or(&config.url)),
            endpoint: endpoint(&config.url),
            client: Client::build(&config.http, options)?,
            timeout: config.timeout,
            answer_bytes_max: config.max_answer_bytes,
            places: Semaphore::new(places_max),
            places_max,
            by_get: AtomicBool::new(false),
            metrics: metrics.of(&config.name),
        })
    }

    #[cfg(test)]
    pub(super) fn metrics(&self) -> &SourceMetrics {
        &self.metrics
    }

    async fn query_all(&self, expr: &str, times: &[Timestamp], deadline: Instant) -> Answer {
        let deadline = deadline.min(Instant::now() + self.timeout);
        let queries = times.iter().copied().map(|at| self.query(expr, at, deadline));
        match stream::iter(queries).buffered(self.places_max).try_collect().await {
            Ok(answers) => Answer::Known(answers),
            Err(error) => Answer::Unknown(error),
        }
    }

    async fn query(
        &self,
        expr: &str,
        at: Timestamp,
        deadline: Instant,
    ) -> Result<(Evaluated, Annotations), SourceError> {
        self.metrics.queries.inc();
        let answer = async {
            let _place = self.place(deadline).await?;
            let _flight = Flight::start(&self.metrics);
            let response = self.send(expr, at, deadline).await?;
            self.read(response).await
        };
        answer.await.map_err(|(kind, message)| {
            self.metrics.failed(kind);
            SourceError { kind, message: format!("source {:?}: {message}", self.name) }
        })
    }

    async fn place(&self, deadline: Instant) -> Result<SemaphorePermit<'_>, Unanswered> {
        match timeout_at(deadline, self.places.acquire()).await {
            Ok(Ok(place)) => Ok(place),
            // It is never closed, so this is the deadline.
            Ok(Err(_)) | Err(_) => Err((
                SourceErrorKind::Timeout,
                format!("no place among {} queries in flight was free in time", self.places_max),
            )),
        }
    }

    /// By POST, so that long expressions fit; by GET where the peer takes no POST.
    async fn send(&self, expr: &str, at: Timestamp, deadline: Instant) -> Result<Response, Unanswered> {
        let by_get = self.by_get.load(Ordering::Relaxed);
        let response = self.send_by(by_get, expr, at, deadline).await?;
        let refuses_method = matches!(response.status(), StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED);
        if !refuses_method {
            return Ok(response);
        }
        if by_get {
            self.by_get.store(false, Ordering::Relaxed);
            return Ok(response);
        }
        let response = self.send_by(true, expr, at, deadline).await?;
        self.by_get.store(response.status().is_success(), Ordering::Relaxed);
        Ok(response)
    }

    async fn send_by(&self, get: bool, expr: &str, at: Timestamp, deadline: Instant) -> Result<Response, Unanswered> {
        let left = deadline.saturating_duration_since(Instant::now());
        let time = decimal_seconds(at);
        // The server gives up when we do. Whole milliseconds, and never zero, which means no limit to some.
        let timeout = format!("{}ms", left.as_millis().max(1));
        let fields = [("query", expr), ("time", &*time), ("timeout", &*timeout)];
        let request = if get {
            let mut url = self.endpoint.clone();
            url.query_pairs_mut().extend_pairs(fields);
            self.client.get(url)
        } else {
            self.client.post(self.endpoint.clone()).form(fields)
        };
        request.timeout(left).send().await.map_err(not_sent)
    }

    async fn read(&self, response: Response) -> Result<(Evaluated, Annotations), Unanswered> {
        // 203 is a proxy's word for a whole answer; 206 and others of the kind are no whole answer.
        if !matches!(response.status(), StatusCode::OK | StatusCode::NON_AUTHORITATIVE_INFORMATION) {
            return Err(refused(response).await);
        }
        let content_type = not_json_type(&response);
        self.read_answer(response).await.map_err(|(kind, message)| match content_type {
            Some(found) if kind == SourceErrorKind::Malformed => (kind, format!("{message} (content type {found:?})")),
            _ => (kind, message),
        })
    }

    async fn read_answer(&self, mut response: Response) -> Result<(Evaluated, Annotations), Unanswered> {
        let bytes_max = self.answer_bytes_max;
        if response.content_length().is_some_and(|length| length > bytes_max) {
            return Err(no_value(AnswerError::TooLarge { bytes_max }));
        }
        let mut parser = AnswerParser::new(bytes_max, self.labels.clone());
        while let Some(chunk) = response.chunk().await.map_err(|error| not_read(ReadError::from(error)))? {
            self.metrics.answer_bytes.inc_by(chunk.len() as u64);
            parser.push(&chunk).map_err(no_value)?;
        }
        parser.finish().map_err(no_value)
    }
}

impl Source for QueryApi {
    fn name(&self) -> &str {
        &self.name
    }

    fn labels(&self) -> &Labels {
        &self.labels
    }

    fn external_url(&self) -> &str {
        &self.external_url
    }

    fn answer<'a>(&'a self, need: &'a Need, deadline: Instant) -> BoxFuture<'a, Answer> {
        match need {
            Need::Query { expr, times } => Box::pin(self.query_all(expr, times, deadline)),
        }
    }
}

/// A query in flight: counted while it lives, timed when it ends, cancelled ones included.
struct Flight<'a> {
    metrics: &'a SourceMetrics,
    started: Instant,
}

impl<'a> Flight<'a> {
    fn start(metrics: &'a SourceMetrics) -> Flight<'a> {
        metrics.in_flight.inc();
        Flight { metrics, started: Instant::now() }
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.metrics.in_flight.dec();
        self.metrics.duration.observe(self.started.elapsed().as_secs_f64());
    }
}

fn endpoint(url: &Url) -> Url {
    let mut endpoint = url.clone();
    endpoint.set_path(&format!("{}/api/v1/query", url.path().trim_end_matches('/')));
    endpoint
}

fn shown(url: &Url) -> String {
    redacted(url).trim_end_matches('/').to_owned()
}

/// Seconds with exactly three fractional digits, so that the server's rounding gives back our milliseconds.
fn decimal_seconds(at: Timestamp) -> String {
    let millis = at.as_millis();
    let sign = if millis < 0 { "-" } else { "" };
    format!("{sign}{}.{:03}", millis.unsigned_abs() / 1000, millis.unsigned_abs() % 1000)
}

fn not_sent(error: SendError) -> Unanswered {
    let kind = match error.failure {
        // Credentials or certificates are not to be had: nobody can let us in.
        Failure::Setup => SourceErrorKind::Unauthorized,
        Failure::Connect => SourceErrorKind::Connect,
        Failure::Timeout => SourceErrorKind::Timeout,
        Failure::Cut => SourceErrorKind::Cut,
        Failure::Redirect => SourceErrorKind::Failed,
        Failure::Malformed => SourceErrorKind::Malformed,
    };
    (kind, error.to_string())
}

fn not_read(error: ReadError) -> Unanswered {
    let kind = match error {
        ReadError::TooLarge { .. } => SourceErrorKind::TooLarge,
        ReadError::Cut(_) => SourceErrorKind::Cut,
        ReadError::Timeout => SourceErrorKind::Timeout,
        ReadError::Other(_) => SourceErrorKind::Malformed,
    };
    (kind, error.to_string())
}

fn no_value(error: AnswerError) -> Unanswered {
    let kind = match &error {
        AnswerError::Envelope { error_type, .. } => match &**error_type {
            "timeout" => SourceErrorKind::Timeout,
            "internal" | "unavailable" | "canceled" => SourceErrorKind::Failed,
            _ => SourceErrorKind::Rejected,
        },
        AnswerError::NotJson { .. } => SourceErrorKind::Malformed,
        AnswerError::Shape { .. } => SourceErrorKind::Shape,
        AnswerError::Cut { .. } => SourceErrorKind::Cut,
        AnswerError::TooLarge { .. } => SourceErrorKind::TooLarge,
    };
    (kind, error.to_string())
}

/// What an answer says that is no success.
async fn refused(response: Response) -> Unanswered {
    let status = response.status();
    let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
    // The status is the answer; a body that cannot be read takes nothing from it.
    let body = read_bounded(response, ERROR_BODY_BYTES_MAX).await.unwrap_or_default();
    let mut parser = AnswerParser::new(ERROR_BODY_BYTES_MAX as u64, Labels::empty());
    let (error_type, said) = match parser.push(&body).and_then(|()| parser.finish()) {
        Err(AnswerError::Envelope { error_type, message }) => {
            let said = format!("{error_type}: {message}");
            (error_type, said)
        }
        _ => (String::new(), excerpt(&body)),
    };
    let mut message = format!("answered {status}");
    if !said.is_empty() {
        message = format!("{message}: {said}");
    }
    if let Some(target) = location.and_then(|location| Url::parse(&location).ok()).filter(|_| status.is_redirection()) {
        message = format!("{message}, which leads to {} (follow_redirects is off)", redacted(&target));
    }
    (refused_kind(status, &error_type, &said), message)
}

fn refused_kind(status: StatusCode, error_type: &str, said: &str) -> SourceErrorKind {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => SourceErrorKind::Unauthorized,
        StatusCode::REQUEST_TIMEOUT | StatusCode::GATEWAY_TIMEOUT => SourceErrorKind::Timeout,
        _ if error_type == "timeout" => SourceErrorKind::Timeout,
        // A timeout that ends while the query waits for its turn is told as a fault of the query.
        StatusCode::BAD_REQUEST if said.contains("context deadline exceeded") => SourceErrorKind::Timeout,
        // 499: the server's own doing, when it stops.
        _ if error_type == "canceled" || status.is_server_error() => SourceErrorKind::Failed,
        _ => SourceErrorKind::Rejected,
    }
}

/// The beginning of a body that is no envelope, on one line.
fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(4 * ERROR_EXCERPT_BYTES_MAX)]);
    let line = text.replace(char::is_control, " ").split_whitespace().collect::<Vec<_>>().join(" ");
    beginning(&line, ERROR_EXCERPT_BYTES_MAX).to_owned()
}

/// The content type, where it says that a proxy or a wrong address answered.
fn not_json_type(response: &Response) -> Option<String> {
    let found = response.headers().get(CONTENT_TYPE)?.to_str().ok()?;
    (!found.starts_with("application/json")).then(|| found.chars().take(100).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_decimal_seconds() {
        for (millis, text) in [(1_435_781_451_781, "1435781451.781"), (60_000, "60.000"), (-1, "-0.001"), (0, "0.000")]
        {
            assert_eq!(decimal_seconds(Timestamp::from_millis(millis)), text);
        }
    }

    #[test]
    fn the_endpoint_keeps_prefix_and_query() {
        for (url, found) in [
            ("http://p:9090", "http://p:9090/api/v1/query"),
            ("http://p/prefix/", "http://p/prefix/api/v1/query"),
            ("http://u:s@p/select/0/prometheus?tenant=1", "http://u:s@p/select/0/prometheus/api/v1/query?tenant=1"),
        ] {
            assert_eq!(endpoint(&Url::parse(url).unwrap()).as_str(), found);
        }
        assert_eq!(shown(&Url::parse("http://u:s@p/prefix/?token=1").unwrap()), "http://p/prefix");
    }

    #[test]
    fn refusals_are_told_apart() {
        use SourceErrorKind::{Failed, Rejected, Timeout, Unauthorized};
        for (status, error_type, said, kind) in [
            (400, "bad_data", "bad_data: parse error", Rejected),
            (400, "bad_data", "bad_data: invalid parameter \"query\": context deadline exceeded", Timeout),
            (401, "", "", Unauthorized),
            (403, "", "", Unauthorized),
            (404, "", "404 page not found", Rejected),
            (422, "execution", "execution: many-to-many", Rejected),
            (429, "", "", Rejected),
            (499, "canceled", "canceled: query was canceled", Failed),
            (500, "internal", "", Failed),
            (502, "", "Bad Gateway", Failed),
            (503, "timeout", "timeout: query timed out", Timeout),
            (503, "", "Service Unavailable", Failed),
            (504, "", "", Timeout),
        ] {
            assert_eq!(refused_kind(StatusCode::from_u16(status).unwrap(), error_type, said), kind, "{status} {said}");
        }
    }
}
