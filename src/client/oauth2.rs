//! OAuth2 client credentials: one token at a time, renewed before it ends.
//!
//! Source: RFC 6749, sections 2.3.1 and 4.4; golang.org/x/oauth2 `clientcredentials` for what peers are used to.

use std::sync::Arc;
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::form_urlencoded;

use super::body::read_bounded;
use super::credentials::{basic, sensitive};
use super::error::{ClientError, SetupError, cause, redacted};
use super::metrics::Metrics;
use super::request::ClientOptions;
use super::transport::Transport;
use super::watched::Watched;
use crate::config::OAuth2;

/// A token is renewed when this much of its life is left, or a quarter of it if that is less.
const RENEW_BEFORE_END: Duration = Duration::from_secs(30);
/// Of one token request.
const TOKEN_TIMEOUT: Duration = Duration::from_secs(10);
/// A token server that refuses is left alone this long: requests that wait for a token fail together.
const REFUSAL_LASTS: Duration = Duration::from_secs(1);
/// Token answers are a few kilobytes.
const TOKEN_BYTES_MAX: usize = 1 << 20;

pub(super) struct Tokens {
    config: OAuth2,
    secret: Watched,
    transport: Transport,
    metrics: Metrics,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    token: Option<Token>,
    refusal: Option<(Instant, SetupError)>,
    /// Which way the server wants the client's name and secret; unknown before the first success.
    style: Option<Style>,
}

struct Token {
    header: HeaderValue,
    renew_at: Option<Instant>,
    ends_at: Option<Instant>,
    /// The secret it was granted for: a new secret needs a new token.
    secret: Arc<str>,
}

#[derive(Clone, Copy)]
enum Style {
    Header,
    Form,
}

impl Tokens {
    pub(super) fn new(config: &OAuth2, http2: bool, options: &ClientOptions) -> Result<Tokens, ClientError> {
        Ok(Tokens {
            secret: Watched::new(&config.client_secret, &options.metrics),
            transport: Transport::new(&config.tls, &config.proxy, http2, options)?,
            config: config.clone(),
            metrics: options.metrics.clone(),
            state: Mutex::default(),
        })
    }

    /// The `Authorization` header. The lock is held over the request: those who wait get the same token.
    pub(super) async fn header(&self) -> Result<HeaderValue, SetupError> {
        let secret = self.secret.read().await?;
        let mut state = self.state.lock().await;
        let now = Instant::now();
        if let Some(token) = state.token.as_ref().filter(|token| Arc::ptr_eq(&token.secret, &secret))
            && token.renew_at.is_none_or(|at| now < at)
        {
            return Ok(token.header.clone());
        }
        if let Some((at, refusal)) = &state.refusal
            && at.elapsed() < REFUSAL_LASTS
        {
            return state.still_good(&secret, now).ok_or_else(|| refusal.clone());
        }
        self.metrics.token_requests.inc();
        match self.ask(&secret, &mut state.style).await {
            Ok(token) => {
                state.refusal = None;
                Ok(state.token.insert(token).header.clone())
            }
            Err(message) => {
                self.metrics.token_failures.inc();
                let error = SetupError::Token { target: redacted(&self.config.token_url), message };
                state.refusal = Some((Instant::now(), error.clone()));
                state.still_good(&secret, now).ok_or(error)
            }
        }
    }

    /// Forgets the token if it is still the one the peer refused. True: asking again may help.
    pub(super) async fn refused(&self, sent: &HeaderValue) -> bool {
        let mut state = self.state.lock().await;
        if state.token.as_ref().is_some_and(|token| token.header == *sent) {
            state.token = None;
        }
        true
    }

    async fn ask(&self, secret: &Arc<str>, style: &mut Option<Style>) -> Result<Token, String> {
        let tries: &[Style] = match style {
            Some(Style::Header) => &[Style::Header],
            Some(Style::Form) => &[Style::Form],
            None => &[Style::Header, Style::Form],
        };
        let mut message = String::new();
        for tried in tries {
            let (status, body) = self.post(secret, *tried).await?;
            if status.is_success() {
                let token = read_token(&body, secret)?;
                *style = Some(*tried);
                return Ok(token);
            }
            message = refusal(status, &body);
            if !matches!(status, StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
                break;
            }
        }
        Err(message)
    }

    async fn post(&self, secret: &str, style: Style) -> Result<(StatusCode, bytes::Bytes), String> {
        let way = self.transport.way(&self.config.token_url).await.map_err(|error| error.to_string())?;
        let mut request = way
            .client
            .post(way.url)
            .timeout(TOKEN_TIMEOUT)
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(self.form(secret, style));
        if let Some(host) = way.host {
            request = request.header(HOST, host);
        }
        if let Style::Header = style {
            let escape = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            let header = basic(&escape(&self.config.client_id), &escape(secret)).map_err(|error| error.to_string())?;
            request = request.header(AUTHORIZATION, header);
        }
        let response = request.send().await.map_err(|error| cause(&error))?;
        let status = response.status();
        let body = read_bounded(response, TOKEN_BYTES_MAX).await.map_err(|error| error.to_string())?;
        Ok((status, body))
    }

    fn form(&self, secret: &str, style: Style) -> String {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        if !self.config.scopes.is_empty() {
            form.append_pair("scope", &self.config.scopes.join(" "));
        }
        form.extend_pairs(&self.config.endpoint_params);
        if let Style::Form = style {
            form.append_pair("client_id", &self.config.client_id).append_pair("client_secret", secret);
        }
        form.finish()
    }
}

impl State {
    /// The token that was to be renewed, while it lasts.
    fn still_good(&self, secret: &Arc<str>, now: Instant) -> Option<HeaderValue> {
        let token = self.token.as_ref().filter(|token| Arc::ptr_eq(&token.secret, secret))?;
        token.ends_at.is_none_or(|end| now < end).then(|| token.header.clone())
    }
}

#[derive(serde::Deserialize)]
struct TokenAnswer {
    #[serde(default)]
    access_token: String,
    #[serde(default)]
    token_type: String,
    /// Seconds; some servers write them as text.
    #[serde(default)]
    expires_in: serde_json::Value,
}

fn read_token(body: &[u8], secret: &Arc<str>) -> Result<Token, String> {
    // The parser's own message may quote the body, and the body holds the token.
    let answer: TokenAnswer =
        serde_json::from_slice(body).map_err(|_| "the answer is not the JSON of a token".to_owned())?;
    if answer.access_token.is_empty() {
        return Err("the answer holds no access_token".to_owned());
    }
    let scheme = match answer.token_type.as_str() {
        "" => "Bearer",
        other if other.eq_ignore_ascii_case("bearer") => "Bearer",
        other => other,
    };
    let header = sensitive(&format!("{scheme} {}", answer.access_token), "oauth2", "Authorization")
        .map_err(|error| error.to_string())?;
    let seconds = answer.expires_in.as_f64().or_else(|| answer.expires_in.as_str()?.parse().ok());
    let life = seconds.filter(|seconds| *seconds > 0.0).and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let now = Instant::now();
    let ends_at = life.and_then(|life| now.checked_add(life));
    let renew_at = life.and_then(|life| now.checked_add(life - RENEW_BEFORE_END.min(life / 4)));
    Ok(Token { header, renew_at, ends_at, secret: secret.clone() })
}

/// The status, and the error word of RFC 6749 section 5.2. Nothing else of the body is shown.
fn refusal(status: StatusCode, body: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Refusal {
        error: String,
    }
    match serde_json::from_slice::<Refusal>(body) {
        Ok(Refusal { error }) => format!("status {status}, {}", error.chars().take(80).collect::<String>()),
        Err(_) => format!("status {status}"),
    }
}
