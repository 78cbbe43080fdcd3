//! One peer's way through TLS and proxies, built anew when a certificate file changes.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use hashbrown::HashMap;
use parking_lot::Mutex;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{NoProxy, redirect};
use rustls::pki_types::ServerName;
use tracing::{info, warn};
use url::{Host, Url};

use super::error::{ClientError, SetupError};
use super::metrics::Metrics;
use super::request::ClientOptions;
use super::tls::{self, PemTexts};
use super::watched::Watched;
use crate::config::{Proxy, Secret, TlsConfig};

/// Hosts of one client that are reached under another name. There are more of them only if redirects go astray.
const RENAMED_HOSTS_MAX: usize = 64;

pub(super) struct Transport {
    tls: TlsConfig,
    /// `server_name`, where connections can be made under it: not through proxies, and not if it is an address.
    presented_as: Option<String>,
    proxy: Proxy,
    http2: bool,
    options: ClientOptions,
    metrics: Metrics,
    ca: Option<Watched>,
    cert: Option<Watched>,
    key: Option<Watched>,
    built: Mutex<Option<Built>>,
}

/// How one request goes out.
pub(super) struct Way {
    pub(super) client: reqwest::Client,
    pub(super) url: Url,
    /// The `Host` to name, where it is not the URL's.
    pub(super) host: Option<HeaderValue>,
}

struct Built {
    /// The texts that were last tried, with success or not.
    from: PemTexts,
    /// The newest that could be built.
    client: Option<reqwest::Client>,
    /// Made of the same texts, for hosts that are reached under `presented_as`.
    renamed: HashMap<String, reqwest::Client>,
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
            presented_as: match tls::server_name(tls)? {
                Some(ServerName::DnsName(name)) if proxy.url.is_none() && !proxy.from_environment => {
                    Some(name.as_ref().to_owned())
                }
                _ => None,
            },
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

    /// The way to this URL, with the certificates as they are now; the last good ones where they are not usable.
    ///
    /// With a `server_name` the connection is made as if the URL named it, so that it is what the handshake asks for
    /// (SNI); the addresses and the `Host` remain those of the URL. HTTP/2 has no `Host` beside the URL's, so such
    /// connections speak 1.1. Through a proxy the handshake asks for the URL's host; in any case the certificate is
    /// checked against `server_name` (see `tls`).
    pub(super) async fn way(&self, url: &Url) -> Result<Way, SetupError> {
        let pem = PemTexts {
            ca: read(self.ca.as_ref()).await?,
            cert: read(self.cert.as_ref()).await?,
            key: read(self.key.as_ref()).await?,
        };
        let mut built = self.built.lock();
        let built = match &mut *built {
            Some(built) if built.from.same(&pem) => built,
            stale => {
                let made = self.rebuild(stale.take(), pem);
                stale.insert(made)
            }
        };
        if let (Some(name), "https", Some(host)) = (&self.presented_as, url.scheme(), url.host_str()) {
            return self.renamed(built, url, name, host);
        }
        Ok(Way { client: built.answer()?, url: url.clone(), host: None })
    }

    fn rebuild(&self, before: Option<Built>, pem: PemTexts) -> Built {
        let again = before.is_some();
        match self.make(&pem, None) {
            Ok(client) => {
                if again {
                    info!("certificate files changed, connections are made anew");
                }
                Built { from: pem, client: Some(client), renamed: HashMap::new(), error: None }
            }
            Err(error) => {
                self.metrics.tls_failures.inc();
                let (client, renamed) = before.map(|built| (built.client, built.renamed)).unwrap_or_default();
                warn!(%error, last_value_kept = client.is_some(), "certificate files are not usable");
                Built { from: pem, client, renamed, error: Some(SetupError::Tls(error.to_string())) }
            }
        }
    }

    fn renamed(&self, built: &mut Built, url: &Url, name: &str, host: &str) -> Result<Way, SetupError> {
        built.answer()?;
        let authority = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let setup = |_| SetupError::Tls(format!("{name:?} cannot stand for {host:?}"));
        let host_header = HeaderValue::try_from(authority).map_err(|error| setup(error.to_string()))?;
        let mut renamed = url.clone();
        renamed.set_host(Some(name)).map_err(|error| setup(error.to_string()))?;
        let client = match built.renamed.get(host) {
            Some(client) => client.clone(),
            None => {
                let client = self.make(&built.from, url.host()).map_err(|error| SetupError::Tls(error.to_string()))?;
                if built.renamed.len() >= RENAMED_HOSTS_MAX {
                    built.renamed.clear();
                }
                built.renamed.insert(host.to_owned(), client.clone());
                client
            }
        };
        Ok(Way { client, url: renamed, host: Some(host_header) })
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
        let client = self.make(&pem, None)?;
        let renamed = HashMap::new();
        *self.built.lock() = Some(Built { from: pem, client: Some(client), renamed, error: None });
        Ok(())
    }

    /// A client whose connections all go to this host, whatever its URLs name; or to the host that they name.
    fn make(&self, pem: &PemTexts, only_to: Option<Host<&str>>) -> Result<reqwest::Client, ClientError> {
        let tls = tls::build(&self.tls, pem, self.http2 && only_to.is_none())?;
        if tls.rootless {
            info!("this machine has no CA certificates: https peers need tls_config.ca_file");
        }
        let mut builder = self.builder()?.tls_backend_preconfigured(tls.config);
        if let Some(host) = only_to {
            builder = builder.http1_only().dns_resolver(OnlyTo(host.to_owned()));
        }
        builder.build().map_err(|error| ClientError::Build(super::error::cause(&error)))
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

/// Resolves every name to the addresses of one host.
struct OnlyTo(Host<String>);

impl Resolve for OnlyTo {
    fn resolve(&self, _: Name) -> Resolving {
        let host = self.0.clone();
        Box::pin(async move {
            // The port is the URL's; the resolver's is not looked at.
            let found: Vec<SocketAddr> = match host {
                Host::Ipv4(address) => vec![(address, 0).into()],
                Host::Ipv6(address) => vec![(address, 0).into()],
                Host::Domain(name) => tokio::net::lookup_host((name, 0)).await?.collect(),
            };
            Ok(Box::new(found.into_iter()) as Addrs)
        })
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
