//! One peer's way through TLS and proxies, built anew when a certificate file changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{NoProxy, redirect};
use tracing::{info, warn};

use super::error::{ClientError, SetupError};
use super::metrics::Metrics;
use super::request::ClientOptions;
use super::tls::{self, PemTexts};
use super::watched::Watched;
use crate::config::{Proxy, Secret, TlsConfig};

pub(super) struct Transport {
    tls: TlsConfig,
    proxy: Proxy,
    http2: bool,
    options: ClientOptions,
    metrics: Metrics,
    ca: Option<Watched>,
    cert: Option<Watched>,
    key: Option<Watched>,
    built: Mutex<Option<Built>>,
}

struct Built {
    /// The texts that were last tried, with success or not.
    from: PemTexts,
    /// The newest that could be built.
    client: Option<reqwest::Client>,
    error: Option<SetupError>,
}

impl Transport {
    pub(super) fn new(
        tls: &TlsConfig,
        proxy: &Proxy,
        http2: bool,
        options: &ClientOptions,
    ) -> Result<Transport, ClientError> {
        let metrics = options.metrics.clone();
        let watch = |text: &Option<_>| text.as_ref().map(|text| Watched::new(text, &metrics));
        let transport = Transport {
            ca: watch(&tls.ca),
            cert: watch(&tls.cert),
            key: watch(&tls.key),
            tls: tls.clone(),
            proxy: proxy.clone(),
            http2,
            options: options.clone(),
            metrics,
            built: Mutex::new(None),
        };
        transport.check()?;
        Ok(transport)
    }

    /// The client for the certificates as they are now; the last good one where they are not usable.
    pub(super) async fn client(&self) -> Result<reqwest::Client, SetupError> {
        let pem = PemTexts {
            ca: read(self.ca.as_ref()).await?,
            cert: read(self.cert.as_ref()).await?,
            key: read(self.key.as_ref()).await?,
        };
        let mut built = self.built.lock();
        if let Some(built) = &*built
            && built.from.same(&pem)
        {
            return built.answer();
        }
        let again = built.is_some();
        let last_good = built.take().and_then(|built| built.client);
        let made = match self.make(&pem) {
            Ok(client) => {
                if again {
                    info!("certificate files changed, connections are made anew");
                }
                Built { from: pem, client: Some(client), error: None }
            }
            Err(error) => {
                self.metrics.tls_failures.inc();
                warn!(%error, last_value_kept = last_good.is_some(), "certificate files are not usable");
                Built { from: pem, client: last_good, error: Some(SetupError::Tls(error.to_string())) }
            }
        };
        built.insert(made).answer()
    }

    /// Finds all that no change of a file could mend.
    fn check(&self) -> Result<(), ClientError> {
        tls::versions(&self.tls)?;
        tls::server_name(&self.tls)?;
        if self.tls.cert.is_some() != self.tls.key.is_some() {
            return Err(ClientError::HalfIdentity);
        }
        let inline = |watched: &Option<Watched>| watched.as_ref().map(|watched| watched.inline().cloned());
        // Without any file the whole is built now, and a fault of it is a fault of the configuration.
        let (ca, cert, key) = match (inline(&self.ca), inline(&self.cert), inline(&self.key)) {
            (Some(None), _, _) | (_, Some(None), _) | (_, _, Some(None)) => {
                return self.builder().map(drop);
            }
            (ca, cert, key) => (ca.flatten(), cert.flatten(), key.flatten()),
        };
        let pem = PemTexts { ca, cert, key };
        let client = self.make(&pem)?;
        *self.built.lock() = Some(Built { from: pem, client: Some(client), error: None });
        Ok(())
    }

    fn make(&self, pem: &PemTexts) -> Result<reqwest::Client, ClientError> {
        let tls = tls::build(&self.tls, pem, self.http2)?;
        if tls.rootless {
            info!("this machine has no CA certificates: https peers need tls_config.ca_file");
        }
        self.builder()?
            .tls_backend_preconfigured(tls.config)
            .build()
            .map_err(|error| ClientError::Build(super::error::cause(&error)))
    }

    fn builder(&self) -> Result<reqwest::ClientBuilder, ClientError> {
        let mut builder = reqwest::Client::builder()
            .user_agent(&*self.options.user_agent)
            .connect_timeout(self.options.connect_timeout)
            // Redirects are followed by `request`, which knows what must not go to another host.
            .redirect(redirect::Policy::none())
            .referer(false)
            .no_proxy();
        if !self.http2 {
            builder = builder.http1_only();
        }
        for proxy in proxies(&self.proxy)? {
            builder = builder.proxy(proxy);
        }
        Ok(builder)
    }
}

impl Built {
    fn answer(&self) -> Result<reqwest::Client, SetupError> {
        match (&self.client, &self.error) {
            (Some(client), _) => Ok(client.clone()),
            (None, Some(error)) => Err(error.clone()),
            (None, None) => Err(SetupError::Tls("no client could be built".to_owned())),
        }
    }
}

async fn read(watched: Option<&Watched>) -> Result<Option<Arc<str>>, SetupError> {
    match watched {
        None => Ok(None),
        Some(watched) => watched.read().await.map(Some),
    }
}

/// At most one proxy for `http` and one for `https` targets. `proxy_connect_header` goes with CONNECT only.
fn proxies(options: &Proxy) -> Result<Vec<reqwest::Proxy>, ClientError> {
    let (plain, secure, no_proxy) = match (&options.url, options.from_environment) {
        (Some(url), _) => (Some(url.to_string()), Some(url.to_string()), options.no_proxy.clone()),
        (None, true) => {
            let variable = |upper: &str, lower: &str| {
                std::env::var(upper).or_else(|_| std::env::var(lower)).ok().filter(|value| !value.is_empty())
            };
            (
                variable("HTTP_PROXY", "http_proxy"),
                variable("HTTPS_PROXY", "https_proxy"),
                // As the reference does, this machine itself is never asked through a proxy of the environment.
                Some(match variable("NO_PROXY", "no_proxy") {
                    Some(hosts) => format!("{hosts},localhost,127.0.0.0/8,::1"),
                    None => "localhost,127.0.0.0/8,::1".to_owned(),
                }),
            )
        }
        (None, false) => return Ok(Vec::new()),
    };
    let no_proxy = no_proxy.as_deref().and_then(NoProxy::from_string);
    // The proxy's URL may hold a password: the cause is told without it.
    let fault = |error: reqwest::Error| ClientError::Proxy(super::error::cause(&error));
    let mut proxies = Vec::new();
    if let Some(url) = plain {
        proxies.push(reqwest::Proxy::http(url).map_err(fault)?.no_proxy(no_proxy.clone()));
    }
    if let Some(url) = secure {
        let connect = connect_headers(&options.connect_header)?;
        let proxy = reqwest::Proxy::https(url).map_err(fault)?.no_proxy(no_proxy);
        proxies.push(if connect.is_empty() { proxy } else { proxy.headers(connect) });
    }
    Ok(proxies)
}

fn connect_headers(headers: &BTreeMap<String, Vec<Secret>>) -> Result<HeaderMap, ClientError> {
    let mut map = HeaderMap::new();
    for (name, values) in headers {
        let parsed = HeaderName::try_from(name.as_str()).map_err(|_| ClientError::HeaderName(name.clone()))?;
        for value in values {
            let mut value = HeaderValue::try_from(value.expose())
                .map_err(|_| ClientError::HeaderValue { option: "proxy_connect_header", name: name.clone() })?;
            value.set_sensitive(true);
            map.append(parsed.clone(), value);
        }
    }
    Ok(map)
}
