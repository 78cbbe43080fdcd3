//! The web configuration file: text to checked settings. Opens no file.
//!
//! Source: prometheus/exporter-toolkit `docs/web-configuration.md`, `web/tls_config.go`, `web/handler.go`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use axum::http::{HeaderName, HeaderValue};
use bcrypt::HashParts;
use rustls::SupportedCipherSuite;
use rustls::SupportedProtocolVersion;
use rustls::crypto::SupportedKxGroup;
use rustls::crypto::aws_lc_rs::{ALL_CIPHER_SUITES, kx_group};
use serde::Deserialize;
use serde_saphyr::{Error, Spanned};

use crate::config::{Secret, SecretText};
use crate::diagnostic::{Finding, SourceText, Span, nearest};

/// Cheapest hash that exists.
const BCRYPT_COST_MIN: u32 = 4;
/// Dearest password hash taken: each step doubles the work, and 2^16 rounds take some seconds, during which every other
/// login waits.
const BCRYPT_COST_MAX: u32 = 16;

#[derive(Debug, Default)]
pub(super) struct Settings {
    /// None: plain HTTP.
    pub(super) tls: Option<TlsSettings>,
    pub(super) http2: bool,
    /// Sent with every answer.
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    /// Name to bcrypt hash; empty: everybody may come in.
    pub(super) users: BTreeMap<String, Secret>,
}

#[derive(Debug)]
pub(super) struct TlsSettings {
    pub(super) certificate: SecretText,
    pub(super) key: SecretText,
    pub(super) client_auth: ClientAuth,
    pub(super) cipher_suites: Vec<SupportedCipherSuite>,
    /// In order of preference; empty: the library's.
    pub(super) groups: Vec<&'static dyn SupportedKxGroup>,
    pub(super) versions: Vec<&'static SupportedProtocolVersion>,
    pub(super) prefer_server_order: bool,
}

#[derive(Debug)]
pub(super) enum ClientAuth {
    None,
    Verified {
        authority: SecretText,
        /// Whether a client without a certificate is let in.
        optional: bool,
        /// Names of which a certificate must have one; empty: any name will do.
        allowed_names: Vec<String>,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    #[serde(default)]
    tls_server_config: Option<Spanned<RawTls>>,
    #[serde(default)]
    http_server_config: Option<RawHttp>,
    #[serde(default)]
    basic_auth_users: Option<BTreeMap<String, Spanned<String>>>,
    #[serde(default)]
    rate_limit: Option<Spanned<serde::de::IgnoredAny>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTls {
    cert: Option<Spanned<String>>,
    key: Option<Spanned<String>>,
    client_ca: Option<Spanned<String>>,
    cert_file: Option<Spanned<String>>,
    key_file: Option<Spanned<String>>,
    client_auth_type: Option<Spanned<String>>,
    client_ca_file: Option<Spanned<String>>,
    cipher_suites: Option<Vec<Spanned<String>>>,
    curve_preferences: Option<Vec<Spanned<String>>>,
    min_version: Option<Spanned<String>>,
    max_version: Option<Spanned<String>>,
    prefer_server_cipher_suites: Option<bool>,
    client_allowed_sans: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawHttp {
    http2: Option<bool>,
    headers: Option<BTreeMap<String, Spanned<String>>>,
}

/// Reads the text of a web configuration file. Files it names are taken from its own directory.
///
/// Errors: every fault of the values; of faults of the form (unknown names, broken YAML) the first.
pub(super) fn read(source: &Arc<SourceText>) -> Result<Settings, Vec<Finding>> {
    if source.text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(Settings { http2: true, ..Settings::default() });
    }
    let raw: RawFile = serde_saphyr::from_str(&source.text).map_err(|error| vec![form_fault(source, &error)])?;
    let directory = Path::new(&source.name).parent().unwrap_or(Path::new("")).to_owned();
    let mut reader = Reader { source, directory, findings: Vec::new() };
    let settings = reader.settings(raw);
    if reader.findings.is_empty() { Ok(settings) } else { Err(reader.findings) }
}

fn form_fault(source: &Arc<SourceText>, error: &Error) -> Finding {
    let error = error.without_snippet();
    let finding = match error {
        Error::SerdeUnknownField { field, expected, .. } => {
            let finding = Finding::error(format!("unknown field {field:?}"));
            match nearest(field, expected) {
                Some(meant) => finding.help(format!("did you mean {meant:?}?")),
                None => finding.help(format!("known here: {}", expected.join(", "))),
            }
        }
        other => {
            let text = other.to_string();
            let message = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message);
            Finding::error(message.strip_prefix("error: ").unwrap_or(message))
        }
    };
    match error.location() {
        Some(location) => finding.at(source, byte_span(location)),
        None => finding,
    }
}

fn byte_span(location: serde_saphyr::Location) -> Span {
    let at = |offset: Option<u64>| offset.and_then(|offset| usize::try_from(offset).ok()).unwrap_or_default();
    let start = at(location.span().byte_offset());
    Span::new(start, start + at(location.span().byte_len()))
}

struct Reader<'a> {
    source: &'a Arc<SourceText>,
    directory: PathBuf,
    findings: Vec<Finding>,
}

impl Reader<'_> {
    fn fault<T>(&mut self, guilty: &Spanned<T>, message: impl Into<String>, help: &str) {
        let finding = Finding::error(message).at(self.source, byte_span(guilty.referenced));
        self.findings.push(if help.is_empty() { finding } else { finding.help(help) });
    }

    fn settings(&mut self, raw: RawFile) -> Settings {
        if let Some(limit) = &raw.rate_limit {
            self.fault(limit, "rate_limit is not supported", "take it out; requests at once are bounded anyway");
        }
        let http = raw.http_server_config.unwrap_or(RawHttp { http2: None, headers: None });
        let users = raw.basic_auth_users.unwrap_or_default();
        Settings {
            tls: raw.tls_server_config.and_then(|tls| self.tls(tls)),
            http2: http.http2.unwrap_or(true),
            headers: http.headers.unwrap_or_default().iter().filter_map(|(n, v)| self.header(n, v)).collect(),
            users: users.into_iter().filter_map(|(name, hash)| self.user(name, hash)).collect(),
        }
    }

    fn user(&mut self, name: String, hash: Spanned<String>) -> Option<(String, Secret)> {
        // The hash itself is never repeated in a message.
        match HashParts::from_str(&hash.value) {
            Err(_) => {
                self.fault(&hash, format!("the password of {name:?} is no bcrypt hash"), "make one: htpasswd -nB")
            }
            Ok(parts) if !(BCRYPT_COST_MIN..=BCRYPT_COST_MAX).contains(&parts.get_cost()) => {
                let message = format!("the bcrypt cost of {name:?} is {}", parts.get_cost());
                let help = format!("hash the password again with a cost from {BCRYPT_COST_MIN} to {BCRYPT_COST_MAX}");
                self.fault(&hash, message, &help);
            }
            Ok(_) => return Some((name, Secret::new(hash.value))),
        }
        None
    }

    fn header(&mut self, name: &str, value: &Spanned<String>) -> Option<(HeaderName, HeaderValue)> {
        let allowed: Option<&[&str]> = match name.to_ascii_lowercase().as_str() {
            "content-security-policy" | "strict-transport-security" | "x-xss-protection" => Some(&[]),
            "x-content-type-options" => Some(&["nosniff"]),
            "x-frame-options" => Some(&["deny", "sameorigin"]),
            _ => None,
        };
        let Some(allowed) = allowed else {
            let known = "known: Content-Security-Policy, Strict-Transport-Security, X-Content-Type-Options, \
                         X-Frame-Options, X-XSS-Protection";
            self.fault(value, format!("header {name:?} cannot be configured"), known);
            return None;
        };
        // An empty value takes the header back.
        if value.value.is_empty() {
            return None;
        }
        if !allowed.is_empty() && !allowed.contains(&value.value.as_str()) {
            let message = format!("invalid value {:?} for header {name:?}", value.value);
            self.fault(value, message, &format!("one of: {}", allowed.join(", ")));
            return None;
        }
        match (HeaderName::from_str(name), HeaderValue::from_str(&value.value)) {
            (Ok(name), Ok(value)) => Some((name, value)),
            _ => {
                self.fault(value, format!("header {name:?} holds characters that headers cannot carry"), "");
                None
            }
        }
    }

    fn tls(&mut self, spanned: Spanned<RawTls>) -> Option<TlsSettings> {
        let here = Spanned::new((), spanned.referenced, spanned.defined);
        let raw = spanned.value;
        let names = |auth: &Option<Spanned<String>>| auth.as_ref().is_none_or(|auth| auth.value.is_empty());
        let nothing_set = raw.cert.is_none() && raw.cert_file.is_none() && raw.key.is_none() && raw.key_file.is_none();
        if nothing_set && raw.client_ca.is_none() && raw.client_ca_file.is_none() && names(&raw.client_auth_type) {
            return None;
        }
        let certificate = self.one_of(("cert", raw.cert), ("cert_file", raw.cert_file), &here);
        let key = self.one_of(("key", raw.key), ("key_file", raw.key_file), &here);
        let authority = match (&raw.client_ca, &raw.client_ca_file) {
            (None, None) => None,
            _ => self.one_of(("client_ca", raw.client_ca), ("client_ca_file", raw.client_ca_file), &here),
        };
        let client_auth =
            self.client_auth(raw.client_auth_type, authority, raw.client_allowed_sans.unwrap_or_default(), &here);
        let suites = raw.cipher_suites.unwrap_or_default();
        let groups = raw.curve_preferences.unwrap_or_default();
        let settings = TlsSettings {
            cipher_suites: self.cipher_suites(&suites),
            groups: groups.iter().filter_map(|name| self.group(name)).collect(),
            versions: self.versions(raw.min_version, raw.max_version),
            prefer_server_order: raw.prefer_server_cipher_suites.unwrap_or(true),
            certificate: certificate?,
            key: key?,
            client_auth,
        };
        Some(settings)
    }

    /// A text in place, or a file relative to the configuration's own directory.
    fn one_of(
        &mut self,
        (inline_name, inline): (&str, Option<Spanned<String>>),
        (file_name, file): (&str, Option<Spanned<String>>),
        here: &Spanned<()>,
    ) -> Option<SecretText> {
        let given = |text: &Option<Spanned<String>>| text.as_ref().is_some_and(|text| !text.value.is_empty());
        match (given(&inline), given(&file), inline, file) {
            (true, true, _, Some(file)) => {
                self.fault(&file, format!("both {inline_name} and {file_name} are given"), "keep one of them");
                None
            }
            (true, _, Some(inline), _) => Some(SecretText::Inline(Secret::new(inline.value))),
            (_, true, _, Some(file)) => Some(SecretText::File(self.directory.join(file.value))),
            _ => {
                self.fault(here, format!("neither {inline_name} nor {file_name} is given"), "TLS needs one of them");
                None
            }
        }
    }

    fn client_auth(
        &mut self,
        kind: Option<Spanned<String>>,
        authority: Option<SecretText>,
        allowed_names: Vec<String>,
        here: &Spanned<()>,
    ) -> ClientAuth {
        let name = kind.as_ref().map_or("", |kind| kind.value.as_str());
        let optional = match (name, &kind) {
            ("RequireAndVerifyClientCert", _) => false,
            ("VerifyClientCertIfGiven", _) => true,
            ("RequestClientCert" | "RequireAnyClientCert", Some(kind)) => {
                let message = format!("client_auth_type {name:?} is not supported: it takes any certificate unchecked");
                self.fault(kind, message, "use RequireAndVerifyClientCert or VerifyClientCertIfGiven");
                return ClientAuth::None;
            }
            ("" | "NoClientCert", _) => {
                if authority.is_some() || !allowed_names.is_empty() {
                    let message =
                        "client_ca or client_allowed_sans is given, but clients are not asked for certificates";
                    self.fault(here, message, "add client_auth_type: RequireAndVerifyClientCert");
                }
                return ClientAuth::None;
            }
            (_, Some(kind)) => {
                let help = "one of: NoClientCert, VerifyClientCertIfGiven, RequireAndVerifyClientCert";
                self.fault(kind, format!("unknown client_auth_type {name:?}"), help);
                return ClientAuth::None;
            }
            (_, None) => return ClientAuth::None,
        };
        match authority {
            Some(authority) => ClientAuth::Verified { authority, optional, allowed_names },
            None => {
                let message = format!("client_auth_type {name} needs client_ca_file or client_ca");
                self.fault(here, message, "name the authority that signed the clients' certificates");
                ClientAuth::None
            }
        }
    }

    /// Names are Go's. Those of TLS 1.3 are not configurable in Go either, and are always on.
    fn cipher_suites(&mut self, names: &[Spanned<String>]) -> Vec<SupportedCipherSuite> {
        let go_name = |suite: &SupportedCipherSuite| format!("{:?}", suite.suite()).replacen("TLS13_", "TLS_", 1);
        let wanted: Vec<&str> = names.iter().map(|name| name.value.as_str()).collect();
        for name in names {
            if !ALL_CIPHER_SUITES.iter().any(|suite| go_name(suite) == name.value) {
                let known: Vec<String> = ALL_CIPHER_SUITES.iter().map(go_name).collect();
                let message = format!("cipher suite {:?} is not supported", name.value);
                self.fault(name, message, &format!("supported: {}", known.join(", ")));
            }
        }
        let taken = |suite: &&SupportedCipherSuite| {
            wanted.is_empty() || suite.tls13().is_some() || wanted.contains(&go_name(suite).as_str())
        };
        ALL_CIPHER_SUITES.iter().filter(taken).copied().collect()
    }

    fn group(&mut self, name: &Spanned<String>) -> Option<&'static dyn SupportedKxGroup> {
        match name.value.as_str() {
            "CurveP256" => Some(kx_group::SECP256R1),
            "CurveP384" => Some(kx_group::SECP384R1),
            "X25519" => Some(kx_group::X25519),
            "X25519MLKEM768" => Some(kx_group::X25519MLKEM768),
            other => {
                let help = "supported: CurveP256, CurveP384, X25519, X25519MLKEM768";
                self.fault(name, format!("curve {other:?} is not supported"), help);
                None
            }
        }
    }

    fn versions(
        &mut self,
        min: Option<Spanned<String>>,
        max: Option<Spanned<String>>,
    ) -> Vec<&'static SupportedProtocolVersion> {
        let (tls12, tls13) = (&rustls::version::TLS12, &rustls::version::TLS13);
        let first = min.as_ref().is_none_or(|min| self.is_tls12("min_version", min));
        let last = max.as_ref().is_some_and(|max| self.is_tls12("max_version", max));
        match (first, last, max) {
            (true, true, _) => vec![tls12],
            (true, false, _) => vec![tls12, tls13],
            (false, false, _) => vec![tls13],
            (false, true, max) => {
                if let Some(max) = max {
                    self.fault(&max, "max_version is below min_version", "");
                }
                vec![tls13]
            }
        }
    }

    fn is_tls12(&mut self, field: &str, version: &Spanned<String>) -> bool {
        match version.value.as_str() {
            "TLS12" => true,
            "TLS13" => false,
            other => {
                self.fault(version, format!("{field} {other:?} is not supported"), "supported: TLS12, TLS13");
                field == "min_version"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The faults of a file called `/etc/web.yml`, one a line; the settings where there are none.
    fn faults(text: &str) -> String {
        match read(&SourceText::new("/etc/web.yml", text)) {
            Ok(_) => String::new(),
            Err(findings) => findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
        }
    }

    #[test]
    fn faults_name_line_column_and_way_out() {
        for (text, expected) in [
            ("", ""),
            ("# nothing\n", ""),
            ("tls_server_config: {}\n", ""),
            ("tls_server_config: {cert_file: a.pem, key_file: b.pem}\n", ""),
            (
                "tls_server_confg:\n",
                "/etc/web.yml:1:1: unknown field \"tls_server_confg\"; did you mean \"tls_server_config\"?",
            ),
            (
                "tls_server_config:\n  cert_file: a\n  keyfile: b\n",
                "/etc/web.yml:3:3: unknown field \"keyfile\"; did you mean \"key_file\"?",
            ),
            (
                "tls_server_config:\n  cert_file: a\n",
                "/etc/web.yml:2:3: neither key nor key_file is given; TLS needs one of them",
            ),
            (
                "tls_server_config:\n  cert_file: a\n  cert: b\n  key: c\n",
                "/etc/web.yml:2:14: both cert and cert_file are given; keep one of them",
            ),
            (
                "basic_auth_users:\n  ann: secret\n",
                "/etc/web.yml:2:8: the password of \"ann\" is no bcrypt hash; make one: htpasswd -nB",
            ),
            ("basic_auth_users: {ann: $2y$10$DOTS}\n", ""),
            (
                "basic_auth_users:\n  ann: $2y$17$DOTS\n",
                "/etc/web.yml:2:8: the bcrypt cost of \"ann\" is 17; hash the password again with a cost from 4 to 16",
            ),
            (
                "http_server_config:\n  headers:\n    X-Frame-Options: no\n",
                "/etc/web.yml:3:22: invalid value \"no\" for header \"X-Frame-Options\"; one of: deny, sameorigin",
            ),
            (
                "rate_limit: {interval: 1s}\n",
                "/etc/web.yml:1:13: rate_limit is not supported; take it out; requests at once are bounded anyway",
            ),
            (
                "tls_server_config:\n  cert: a\n  key: b\n  min_version: TLS10\n  curve_preferences: [CurveP521]\n",
                "/etc/web.yml:5:23: curve \"CurveP521\" is not supported; supported: CurveP256, CurveP384, X25519, X25519MLKEM768\n\
                 /etc/web.yml:4:16: min_version \"TLS10\" is not supported; supported: TLS12, TLS13",
            ),
            (
                "tls_server_config: {cert: a, key: b, client_auth_type: RequireAnyClientCert}\n",
                "/etc/web.yml:1:56: client_auth_type \"RequireAnyClientCert\" is not supported: it takes any certificate \
                 unchecked; use RequireAndVerifyClientCert or VerifyClientCertIfGiven",
            ),
            (
                "tls_server_config: {cert: a, key: b, client_auth_type: VerifyClientCertIfGiven}\n",
                "/etc/web.yml:1:20: client_auth_type VerifyClientCertIfGiven needs client_ca_file or client_ca; \
                 name the authority that signed the clients' certificates",
            ),
        ] {
            // As long as salt and hash of a password.
            let text = text.replace("DOTS", &".".repeat(53));
            assert_eq!(faults(&text), expected, "{text}");
        }
        assert!(faults("a: [").starts_with("/etc/web.yml:1:"), "{}", faults("a: ["));
    }

    #[test]
    fn suites_and_versions_are_narrowed() {
        let text = "tls_server_config:\n  cert: a\n  key: b\n  max_version: TLS12\n  \
                    cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]\n";
        let settings = read(&SourceText::new("web.yml", text)).expect("a valid file");
        let tls = settings.tls.expect("TLS is on");
        assert_eq!(tls.versions, [&rustls::version::TLS12]);
        let older: Vec<_> = tls.cipher_suites.iter().filter(|suite| suite.tls13().is_none()).collect();
        assert_eq!(format!("{older:?}"), "[TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]");
    }
}
