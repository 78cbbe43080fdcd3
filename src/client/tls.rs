//! TLS options to one rustls configuration.
//!
//! The configuration is made here and handed to reqwest whole, because reqwest's own builder cannot check a peer against
//! another name than the URL's, and refuses to build at all on a machine without CA certificates.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme, SupportedProtocolVersion};

use super::error::ClientError;
use crate::config::{TlsConfig, TlsVersion};

/// PEM texts as they are now.
#[derive(Clone, Default)]
pub(super) struct PemTexts {
    pub(super) ca: Option<Arc<str>>,
    pub(super) cert: Option<Arc<str>>,
    pub(super) key: Option<Arc<str>>,
}

impl PemTexts {
    pub(super) fn same(&self, other: &PemTexts) -> bool {
        let same = |a: &Option<Arc<str>>, b: &Option<Arc<str>>| match (a, b) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (None, None) => true,
            _ => false,
        };
        same(&self.ca, &other.ca) && same(&self.cert, &other.cert) && same(&self.key, &other.key)
    }
}

pub(super) struct Tls {
    pub(super) config: ClientConfig,
    /// No CA certificates at all: no `https` peer can be trusted.
    pub(super) rootless: bool,
}

pub(super) fn build(options: &TlsConfig, pem: &PemTexts, http2: bool) -> Result<Tls, ClientError> {
    // Named, not the process default: two providers in one binary leave that default undecided.
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let (roots, rootless) = roots(options, pem, &provider)?;
    let verifier = Verifier { roots, presented_as: server_name(options)?, provider: provider.clone() };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&versions(options)?)
        .map_err(|_| ClientError::TlsVersions)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match identity(pem)? {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => builder.with_client_auth_cert(chain, key).map_err(|error| ClientError::Pem {
            option: "cert",
            message: format!("certificate and key do not make a client certificate: {error}"),
        })?,
    };
    let http1 = b"http/1.1".to_vec();
    config.alpn_protocols = if http2 { vec![b"h2".to_vec(), http1] } else { vec![http1] };
    Ok(Tls { config, rootless })
}

/// Refuses versions that no client can be built from. The reference's 1.0 and 1.1 as lower bounds mean 1.2 here.
pub(super) fn versions(options: &TlsConfig) -> Result<Vec<&'static SupportedProtocolVersion>, ClientError> {
    let known = [(TlsVersion::Tls12, &rustls::version::TLS12), (TlsVersion::Tls13, &rustls::version::TLS13)];
    let chosen: Vec<_> = known
        .into_iter()
        .filter(|(version, _)| options.min_version.is_none_or(|min| *version >= min))
        .filter(|(version, _)| options.max_version.is_none_or(|max| *version <= max))
        .map(|(_, version)| version)
        .collect();
    if chosen.is_empty() { Err(ClientError::TlsVersions) } else { Ok(chosen) }
}

pub(super) fn server_name(options: &TlsConfig) -> Result<Option<ServerName<'static>>, ClientError> {
    let Some(name) = options.server_name.as_deref().filter(|name| !name.is_empty()) else {
        return Ok(None);
    };
    ServerName::try_from(name.to_owned()).map(Some).map_err(|_| ClientError::ServerName(name.to_owned()))
}

type Roots = Option<Arc<dyn ServerCertVerifier>>;

/// Who is trusted: nobody is asked (`insecure_skip_verify`), the given CA alone, or the machine's.
fn roots(options: &TlsConfig, pem: &PemTexts, provider: &Arc<CryptoProvider>) -> Result<(Roots, bool), ClientError> {
    if options.insecure_skip_verify {
        return Ok((None, false));
    }
    let mut store = RootCertStore::empty();
    if let Some(text) = &pem.ca {
        for certificate in certificates("ca", text)? {
            store.add(certificate).map_err(|error| ClientError::Pem { option: "ca", message: error.to_string() })?;
        }
    } else if let Ok(machine) = rustls_platform_verifier::Verifier::new(provider.clone()) {
        return Ok((Some(Arc::new(machine)), false));
    }
    if store.is_empty() {
        return Ok((Some(Arc::new(NobodyTrusted)), true));
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider.clone())
        .build()
        .map_err(|error| ClientError::Pem { option: "ca", message: error.to_string() })?;
    Ok((Some(verifier), false))
}

fn identity(pem: &PemTexts) -> Result<Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>, ClientError> {
    match (&pem.cert, &pem.key) {
        (None, None) => Ok(None),
        (Some(cert), Some(key)) => {
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
                .map_err(|_| ClientError::Pem { option: "key", message: "no private key in PEM form".to_owned() })?;
            Ok(Some((certificates("cert", cert)?, key)))
        }
        _ => Err(ClientError::HalfIdentity),
    }
}

fn certificates(option: &'static str, text: &str) -> Result<Vec<CertificateDer<'static>>, ClientError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(ClientError::Pem { option, message: "no certificate in PEM form".to_owned() }),
        Err(error) => Err(ClientError::Pem { option, message: error.to_string() }),
    }
}

/// Checks a peer against the name it is configured to present, or the URL's host; or lets every peer in.
#[derive(Debug)]
struct Verifier {
    /// None: every certificate is taken, as `insecure_skip_verify` demands.
    roots: Roots,
    presented_as: Option<ServerName<'static>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(roots) = &self.roots else {
            return Ok(ServerCertVerified::assertion());
        };
        let name = self.presented_as.as_ref().unwrap_or(server_name);
        roots.verify_server_cert(end_entity, intermediates, name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Stands where a machine has no CA certificates and none were given: plain HTTP works, `https` says why it does not.
#[derive(Debug)]
struct NobodyTrusted;

impl ServerCertVerifier for NobodyTrusted {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Err(rustls::Error::General(
            "this machine has no CA certificates; install a CA bundle or set tls_config.ca_file".to_owned(),
        ))
    }

    // Never reached: the certificate is refused before its signatures are looked at.
    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("no CA certificates".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("no CA certificates".to_owned()))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        Vec::new()
    }
}
