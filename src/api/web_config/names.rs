//! `client_allowed_sans`: clients are let in by the names in their certificates.
//!
//! Source: RFC 5280, 4.2.1.6 (subjectAltName); exporter-toolkit compares names as texts, exactly.

use std::net::IpAddr;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

/// Checks a certificate as another verifier does, and then whether it has one of some names.
#[derive(Debug)]
pub(super) struct NamedClients {
    inner: Arc<dyn ClientCertVerifier>,
    allowed: Vec<String>,
}

impl NamedClients {
    pub(super) fn new(inner: Arc<dyn ClientCertVerifier>, allowed: Vec<String>) -> NamedClients {
        NamedClients { inner, allowed }
    }
}

impl ClientCertVerifier for NamedClients {
    fn offer_client_auth(&self) -> bool {
        self.inner.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.inner.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.inner.verify_client_cert(end_entity, intermediates, now)?;
        let names = subject_alternative_names(end_entity).unwrap_or_default();
        if names.iter().any(|name| self.allowed.contains(name)) {
            Ok(verified)
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

// DER tags.
const SEQUENCE: u8 = 0x30;
const OBJECT_IDENTIFIER: u8 = 0x06;
const OCTET_STRING: u8 = 0x04;
const EXTENSIONS: u8 = 0xa3;
const EMAIL: u8 = 0x81;
const DNS: u8 = 0x82;
const URI: u8 = 0x86;
const IP: u8 = 0x87;
/// 2.5.29.17
const SUBJECT_ALT_NAME: [u8; 3] = [0x55, 0x1d, 0x11];

/// DNS names, e-mail addresses, URIs and IP addresses of a certificate; none if it has no such extension, or is not DER.
fn subject_alternative_names(certificate: &[u8]) -> Option<Vec<String>> {
    let (_, certificate, _) = element(certificate).filter(|(tag, ..)| *tag == SEQUENCE)?;
    let (_, to_be_signed, _) = element(certificate).filter(|(tag, ..)| *tag == SEQUENCE)?;
    let (_, wrapped) = Elements(to_be_signed).find(|(tag, _)| *tag == EXTENSIONS)?;
    let (_, extensions, _) = element(wrapped)?;
    let names = Elements(extensions).find_map(|(_, extension)| {
        let mut parts = Elements(extension);
        let is_names = parts.next()? == (OBJECT_IDENTIFIER, SUBJECT_ALT_NAME.as_slice());
        let value = parts.find(|(tag, _)| *tag == OCTET_STRING).filter(|_| is_names)?;
        Some(element(value.1)?.1)
    })?;
    Some(Elements(names).filter_map(|(tag, value)| name(tag, value)).collect())
}

fn name(tag: u8, value: &[u8]) -> Option<String> {
    match tag {
        EMAIL | DNS | URI => std::str::from_utf8(value).ok().map(str::to_owned),
        IP => {
            let v4 = <[u8; 4]>::try_from(value).map(IpAddr::from);
            v4.or_else(|_| <[u8; 16]>::try_from(value).map(IpAddr::from)).ok().map(|ip| ip.to_string())
        }
        _ => None,
    }
}

/// The DER elements that follow each other; ends at the first that is cut short.
struct Elements<'a>(&'a [u8]);

impl<'a> Iterator for Elements<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (tag, value, rest) = element(self.0)?;
        self.0 = rest;
        Some((tag, value))
    }
}

/// Tag, content and what follows.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, first], rest) = der.split_first_chunk::<2>()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let (digits, rest) =
            rest.split_at_checked(usize::from(first & 0x7f)).filter(|(digits, _)| digits.len() <= 4)?;
        (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rustls::pki_types::pem::PemObject;

    use super::*;

    #[test]
    fn names_are_read_from_a_certificate() {
        let pem = include_bytes!("../../../tests/data/tls/client.pem");
        let certificate = CertificateDer::from_pem_slice(pem).expect("a certificate");
        let names = subject_alternative_names(&certificate).expect("it has names");
        assert_eq!(
            names,
            ["client.example", "ann@client.example", "spiffe://example/client", "192.0.2.7", "2001:db8::7"]
        );
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = subject_alternative_names(&bytes);
        }
    }
}
