//! Checked settings to a TLS server: certificates, keys and authorities are read here.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};

use super::file::{ClientAuth, TlsSettings};
use super::names::NamedClients;
use crate::config::SecretText;

/// Largest PEM file taken, in bytes. A bundle of all public authorities is about 200 KiB.
const PEM_BYTES_MAX: u64 = 4 << 20;

#[derive(Debug, thiserror::Error)]
pub(super) enum TlsError {
    #[error("cannot read {what} {path:?}: {source}")]
    Read { what: &'static str, path: PathBuf, source: io::Error },
    #[error("{what} holds no PEM that can be used: {cause}")]
    Pem { what: String, cause: String },
    #[error("certificate and key cannot be used: {0}")]
    Pair(rustls::Error),
    #[error("the clients' authority cannot be used: {0}")]
    Authority(String),
}

/// The files settings name; when one changes, the server is made anew.
pub(super) fn files(settings: &TlsSettings) -> Vec<PathBuf> {
    let mut texts = vec![&settings.certificate, &settings.key];
    if let ClientAuth::Verified { authority, .. } = &settings.client_auth {
        texts.push(authority);
    }
    let file = |text: &&SecretText| match text {
        SecretText::File(path) => Some(path.clone()),
        SecretText::Inline(_) => None,
    };
    texts.iter().filter_map(file).collect()
}

pub(super) fn server(settings: &TlsSettings, http2: bool) -> Result<ServerConfig, TlsError> {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites.clone_from(&settings.cipher_suites);
    if !settings.groups.is_empty() {
        provider.kx_groups.clone_from(&settings.groups);
    }
    let provider = Arc::new(provider);
    let chain = certificates("certificate", &settings.certificate)?;
    let key = PrivateKeyDer::from_pem_slice(&pem("key", &settings.key)?)
        .map_err(|error| TlsError::Pem { what: describe("key", &settings.key), cause: error.to_string() })?;
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&settings.versions)
        .map_err(TlsError::Pair)?;
    let builder = match client_verifier(&settings.client_auth, provider)? {
        None => builder.with_no_client_auth(),
        Some(verifier) => builder.with_client_cert_verifier(verifier),
    };
    let mut server = builder.with_single_cert(chain, key).map_err(TlsError::Pair)?;
    server.ignore_client_order = settings.prefer_server_order;
    server.alpn_protocols = if http2 { vec![b"h2".to_vec()] } else { Vec::new() };
    server.alpn_protocols.push(b"http/1.1".to_vec());
    Ok(server)
}

fn client_verifier(
    client_auth: &ClientAuth,
    provider: Arc<CryptoProvider>,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, TlsError> {
    let ClientAuth::Verified { authority, optional, allowed_names } = client_auth else {
        return Ok(None);
    };
    let unusable = |error: &dyn std::fmt::Display| TlsError::Authority(error.to_string());
    let mut roots = RootCertStore::empty();
    for certificate in certificates("authority", authority)? {
        roots.add(certificate).map_err(|error| unusable(&error))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = if *optional { builder.allow_unauthenticated() } else { builder };
    let verifier = builder.build().map_err(|error| unusable(&error))?;
    Ok(Some(match allowed_names.is_empty() {
        true => verifier,
        false => Arc::new(NamedClients::new(verifier, allowed_names.clone())),
    }))
}

fn certificates(what: &'static str, text: &SecretText) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bytes = pem(what, text)?;
    let unusable = |cause: String| TlsError::Pem { what: describe(what, text), cause };
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&bytes)
        .collect::<Result<_, _>>()
        .map_err(|error| unusable(error.to_string()))?;
    if chain.is_empty() { Err(unusable("no certificate in it".to_owned())) } else { Ok(chain) }
}

fn pem(what: &'static str, text: &SecretText) -> Result<Vec<u8>, TlsError> {
    match text {
        SecretText::Inline(text) => Ok(text.expose().as_bytes().to_vec()),
        SecretText::File(path) => super::read_bounded(path, PEM_BYTES_MAX).map_err(|source| TlsError::Read {
            what,
            path: path.clone(),
            source,
        }),
    }
}

fn describe(what: &str, text: &SecretText) -> String {
    match text {
        SecretText::Inline(_) => what.to_owned(),
        SecretText::File(path) => format!("{what} {path:?}"),
    }
}
