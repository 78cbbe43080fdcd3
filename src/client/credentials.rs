//! What a peer is shown: credentials and custom headers.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use url::Url;

use super::error::{ClientError, SetupError};
use super::metrics::Metrics;
use super::oauth2::Tokens;
use super::request::ClientOptions;
use super::watched::Watched;
use crate::config::HttpClientConfig;

pub(super) struct Credentials {
    kind: Kind,
    custom: Vec<(HeaderName, Vec<Watched>)>,
}

enum Kind {
    None,
    Basic { username: Watched, password: Option<Watched> },
    Authorization { scheme: String, credentials: Option<Watched> },
    OAuth2(Box<Tokens>),
}

impl Credentials {
    pub(super) fn new(config: &HttpClientConfig, options: &ClientOptions) -> Result<Credentials, ClientError> {
        let metrics = &options.metrics;
        Ok(Credentials { kind: Kind::new(config, options)?, custom: custom_headers(config, metrics)? })
    }

    /// The headers for one request. User and password of the URL stand in where no credentials are configured.
    pub(super) async fn headers(&self, url: &Url) -> Result<HeaderMap, SetupError> {
        let mut headers = HeaderMap::new();
        for (name, values) in &self.custom {
            for value in values {
                let text = value.read().await?;
                headers.append(name.clone(), sensitive(&text, "http_headers", name.as_str())?);
            }
        }
        if let Some(value) = self.authorization(url).await? {
            headers.insert(AUTHORIZATION, value);
        }
        Ok(headers)
    }

    /// Forgets a token that the peer did not take. False where a second try would be the same as the first.
    pub(super) async fn refused(&self, sent: &HeaderMap) -> bool {
        match (&self.kind, sent.get(AUTHORIZATION)) {
            (Kind::OAuth2(tokens), Some(value)) => tokens.refused(value).await,
            _ => false,
        }
    }

    async fn authorization(&self, url: &Url) -> Result<Option<HeaderValue>, SetupError> {
        match &self.kind {
            Kind::None if url.username().is_empty() && url.password().is_none() => Ok(None),
            Kind::None => {
                let decode = |text: &str| percent_decoded(text);
                basic(&decode(url.username()), &decode(url.password().unwrap_or_default())).map(Some)
            }
            Kind::Basic { username, password } => {
                let password = match password {
                    Some(password) => password.read().await?,
                    None => "".into(),
                };
                basic(&username.read().await?, &password).map(Some)
            }
            Kind::Authorization { scheme, credentials } => {
                let text = match credentials {
                    Some(credentials) => format!("{scheme} {}", credentials.read().await?),
                    None => scheme.clone(),
                };
                sensitive(&text, "authorization", "Authorization").map(Some)
            }
            Kind::OAuth2(tokens) => tokens.header().await.map(Some),
        }
    }
}

impl Kind {
    fn new(config: &HttpClientConfig, options: &ClientOptions) -> Result<Kind, ClientError> {
        let watch = |text| Watched::new(text, &options.metrics);
        if let Some(basic) = &config.basic_auth {
            return Ok(Kind::Basic { username: watch(&basic.username), password: basic.password.as_ref().map(watch) });
        }
        if let Some(authorization) = &config.authorization {
            let credentials = authorization.credentials.as_ref().map(watch);
            return Ok(Kind::Authorization { scheme: authorization.scheme.clone(), credentials });
        }
        match &config.oauth2 {
            Some(oauth2) => {
                Tokens::new(oauth2, config.enable_http2, options).map(|tokens| Kind::OAuth2(Box::new(tokens)))
            }
            None => Ok(Kind::None),
        }
    }
}

fn custom_headers(
    config: &HttpClientConfig,
    metrics: &Metrics,
) -> Result<Vec<(HeaderName, Vec<Watched>)>, ClientError> {
    let mut custom = Vec::new();
    for (name, values) in &config.http_headers {
        let parsed = HeaderName::try_from(name.as_str()).map_err(|_| ClientError::HeaderName(name.clone()))?;
        let values: Vec<Watched> = values.iter().map(|value| Watched::new(value, metrics)).collect();
        for value in values.iter().filter_map(Watched::inline) {
            HeaderValue::try_from(&**value)
                .map_err(|_| ClientError::HeaderValue { option: "http_headers", name: name.clone() })?;
        }
        custom.push((parsed, values));
    }
    Ok(custom)
}

pub(super) fn basic(username: &str, password: &str) -> Result<HeaderValue, SetupError> {
    let text = format!("Basic {}", BASE64.encode(format!("{username}:{password}")));
    sensitive(&text, "basic_auth", "Authorization")
}

/// A header value that `Debug` does not show.
pub(super) fn sensitive(text: &str, option: &'static str, name: &str) -> Result<HeaderValue, SetupError> {
    let mut value =
        HeaderValue::try_from(text).map_err(|_| SetupError::HeaderValue { option, name: name.to_owned() })?;
    value.set_sensitive(true);
    Ok(value)
}

fn percent_decoded(text: &str) -> String {
    // `parse` reads form pairs, in which `+` is a space; in a URL's user it is itself.
    let form = format!("x={}", text.replace('+', "%2B").replace('&', "%26"));
    url::form_urlencoded::parse(form.as_bytes()).map(|(_, value)| value.into_owned()).next().unwrap_or_default()
}
