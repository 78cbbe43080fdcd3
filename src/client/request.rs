//! The client, and one request from first byte to the head of the answer.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Response, StatusCode};
use tokio::time::Instant;
use url::{Url, form_urlencoded};

use super::credentials::Credentials;
use super::error::{ClientError, Failure, SendError, SetupError, cause};
use super::metrics::Metrics;
use super::redirect::{HOPS_MAX, may_carry_secrets, next_hop};
use super::transport::Transport;
use crate::config::HttpClientConfig;

/// What all clients of a room share.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    pub user_agent: Arc<str>,
    /// Until a connection stands; within the request's own timeout.
    pub connect_timeout: Duration,
    /// Of a request that sets none: token, redirects and body included.
    pub timeout: Duration,
    pub metrics: Metrics,
}

impl Default for ClientOptions {
    fn default() -> ClientOptions {
        ClientOptions {
            user_agent: Arc::from(concat!("Bellwether/", env!("CARGO_PKG_VERSION"))),
            connect_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(30),
            metrics: Metrics::unregistered(),
        }
    }
}

/// An HTTP client with one set of options. Cheap to share by reference; keeps its connections open between requests.
pub struct Client {
    transport: Transport,
    credentials: Credentials,
    follow_redirects: bool,
    timeout: Duration,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("follow_redirects", &self.follow_redirects).finish_non_exhaustive()
    }
}

impl Client {
    /// Fails where no change of a file could help: unusable TLS versions, names, headers, or PEM texts given in place.
    ///
    /// Files are read at the first request and whenever they change. A file that cannot be read leaves the last good
    /// value in use; without one, requests fail with `Failure::Setup` until it can be read.
    pub fn build(config: &HttpClientConfig, options: &ClientOptions) -> Result<Client, ClientError> {
        Ok(Client {
            transport: Transport::new(&config.tls, &config.proxy, config.enable_http2, options)?,
            credentials: Credentials::new(config, options)?,
            follow_redirects: config.follow_redirects,
            timeout: options.timeout,
        })
    }

    pub fn get(&self, url: Url) -> Request<'_> {
        self.request(Method::GET, url)
    }

    pub fn post(&self, url: Url) -> Request<'_> {
        self.request(Method::POST, url)
    }

    pub fn request(&self, method: Method, url: Url) -> Request<'_> {
        Request { client: self, method, url, headers: HeaderMap::new(), body: Bytes::new(), timeout: self.timeout }
    }
}

/// A request in the making.
#[derive(Debug)]
pub struct Request<'a> {
    client: &'a Client,
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Bytes,
    timeout: Duration,
}

impl Request<'_> {
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    #[must_use]
    pub fn body(mut self, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self.header(CONTENT_TYPE, HeaderValue::from_static(content_type))
    }

    /// The pairs as an HTML form's body.
    #[must_use]
    pub fn form<'p>(self, pairs: impl IntoIterator<Item = (&'p str, &'p str)>) -> Self {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        self.body("application/x-www-form-urlencoded", body)
    }

    /// Of the whole: token, connection, redirects, and the answer's body.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sends and waits for the head of the answer, whatever its status. The body is still bound by the timeout.
    pub async fn send(self) -> Result<Response, SendError> {
        let deadline = Instant::now() + self.timeout;
        match tokio::time::timeout_at(deadline, self.follow(deadline)).await {
            Ok(answer) => answer,
            Err(_) => Err(SendError::timeout(&self.method, &self.url, self.timeout)),
        }
    }

    async fn follow(&self, deadline: Instant) -> Result<Response, SendError> {
        let (mut url, mut carries_secrets, mut asked_again) = (self.url.clone(), true, false);
        let mut hops = 0;
        loop {
            let secrets = if carries_secrets { self.secrets().await? } else { HeaderMap::new() };
            let response = self.hop(&url, &secrets, deadline).await?;
            if response.status() == StatusCode::UNAUTHORIZED
                && !asked_again
                && self.client.credentials.refused(&secrets).await
            {
                asked_again = true;
                continue;
            }
            let next = match self.client.follow_redirects {
                true => next_hop(response.status(), &self.method, response.headers(), &url),
                false => None,
            };
            let Some(next) = next else {
                return Ok(response);
            };
            hops += 1;
            if hops > HOPS_MAX {
                let message = format!("redirected more than {HOPS_MAX} times");
                return Err(SendError::new(Failure::Redirect, &self.method, &self.url, message));
            }
            // Once away from home, a way back is no longer trusted either.
            carries_secrets = carries_secrets && may_carry_secrets(&url, &next);
            url = next;
        }
    }

    async fn secrets(&self) -> Result<HeaderMap, SendError> {
        let setup = |error: SetupError| SendError::new(Failure::Setup, &self.method, &self.url, error.to_string());
        self.client.credentials.headers(&self.url).await.map_err(setup)
    }

    async fn hop(&self, url: &Url, secrets: &HeaderMap, deadline: Instant) -> Result<Response, SendError> {
        let setup = |error: SetupError| SendError::new(Failure::Setup, &self.method, url, error.to_string());
        let way = self.client.transport.way(&without_user(url)).await.map_err(setup)?;
        let mut headers = self.headers.clone();
        for name in secrets.keys() {
            headers.remove(name);
        }
        for (name, value) in secrets {
            headers.append(name.clone(), value.clone());
        }
        if let Some(host) = way.host {
            headers.insert(HOST, host);
        }
        way.client
            .request(self.method.clone(), way.url)
            .headers(headers)
            .timeout(deadline.saturating_duration_since(Instant::now()))
            .body(self.body.clone())
            .send()
            .await
            .map_err(|error| match Failure::of(&error) {
                Failure::Timeout => SendError::timeout(&self.method, url, self.timeout),
                failure => SendError::new(failure, &self.method, url, cause(&error)),
            })
    }
}

/// reqwest would make credentials of the URL's user by itself; `Credentials` does that, and knows when not to.
fn without_user(url: &Url) -> Url {
    let mut url = url.clone();
    // These fail only for URLs that cannot hold a user at all.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url
}
