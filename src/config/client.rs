//! The HTTP-client options, which every section that talks HTTP holds among its own fields.
//!
//! Source: prometheus/common `config/http_config.go`; the texts of what excludes what are its own.

use std::collections::BTreeMap;

use url::Url;

use super::address::{parse_http_url, parse_proxy_url, take_user_info};
use super::read::{Fields, Reader, Shape};
use super::{Authorization, BasicAuth, HttpClientConfig, OAuth2, Proxy, Secret, SecretText, TlsConfig, TlsVersion};
use crate::diagnostic::Span;

pub(super) const CLIENT: Shape = Shape {
    read: &[
        "basic_auth",
        "authorization",
        "oauth2",
        "bearer_token",
        "bearer_token_file",
        "tls_config",
        "follow_redirects",
        "enable_http2",
        "proxy_url",
        "no_proxy",
        "proxy_from_environment",
        "proxy_connect_header",
        "http_headers",
    ],
    ..Shape::NONE
};

const BASIC_AUTH: Shape = Shape {
    read: &["username", "username_file", "password", "password_file"],
    refused: &["username_ref", "password_ref"],
    ..Shape::NONE
};

const AUTHORIZATION: Shape =
    Shape { read: &["type", "credentials", "credentials_file"], refused: &["credentials_ref"], ..Shape::NONE };

const OAUTH2: Shape = Shape {
    read: &[
        "client_id",
        "client_secret",
        "client_secret_file",
        "grant_type",
        "scopes",
        "token_url",
        "endpoint_params",
        "tls_config",
        "proxy_url",
        "no_proxy",
        "proxy_from_environment",
        "proxy_connect_header",
    ],
    refused: &[
        "client_secret_ref",
        "client_certificate_key_id",
        "client_certificate_key",
        "client_certificate_key_file",
        "client_certificate_key_ref",
        "signature_algorithm",
        "iss",
        "audience",
        "claims",
    ],
    ..Shape::NONE
};

const TLS: Shape = Shape {
    read: &[
        "ca",
        "ca_file",
        "cert",
        "cert_file",
        "key",
        "key_file",
        "server_name",
        "insecure_skip_verify",
        "min_version",
        "max_version",
    ],
    refused: &["ca_ref", "cert_ref", "key_ref"],
    ..Shape::NONE
};

const HEADER: Shape = Shape { read: &["values", "secrets", "files"], ..Shape::NONE };

/// The one grant type offered, and the default.
const CLIENT_CREDENTIALS: &str = "client_credentials";

/// Headers that the connection, or another option, decides. Source: prometheus/common `config/headers.go`.
const RESERVED_HEADERS: [&str; 17] = [
    "authorization",
    "host",
    "content-encoding",
    "content-length",
    "content-type",
    "user-agent",
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "www-authenticate",
    "accept-encoding",
    "x-prometheus-remote-write-version",
    "x-prometheus-remote-read-version",
    "x-amz-date",
    "x-amz-security-token",
    "x-amz-content-sha256",
];

/// Reserved as well, but not by `remote_write.headers`.
const SCRAPE_TIMEOUT_HEADER: &str = "x-prometheus-scrape-timeout-seconds";

pub(super) fn is_reserved_header(name: &str) -> bool {
    RESERVED_HEADERS.contains(&name.to_ascii_lowercase().as_str())
}

/// The client options among the fields of a section.
pub(super) fn client(reader: &mut Reader<'_>, fields: &Fields<'_>, default: HttpClientConfig) -> HttpClientConfig {
    let basic_auth = basic_auth(reader, fields);
    let authorization = authorization(reader, fields);
    let oauth2 = oauth2(reader, fields);
    let authorization = bearer(reader, fields, authorization);
    only_one_authentication(reader, fields);
    HttpClientConfig {
        basic_auth,
        authorization,
        oauth2,
        tls: tls(reader, fields),
        proxy: proxy(reader, fields),
        follow_redirects: reader.flag(fields, "follow_redirects", default.follow_redirects),
        enable_http2: reader.flag(fields, "enable_http2", default.enable_http2),
        http_headers: http_headers(reader, fields),
    }
}

fn only_one_authentication(reader: &mut Reader<'_>, fields: &Fields<'_>) {
    let has = |name: &str| fields.has(name);
    if has("authorization") && (has("basic_auth") || has("oauth2")) || has("basic_auth") && has("oauth2") {
        let at = fields.key(if has("oauth2") { "oauth2" } else { "authorization" });
        reader.error("at most one of basic_auth, oauth2 & authorization must be configured", at);
    }
    let bearer = ["bearer_token", "bearer_token_file"].into_iter().find(|name| has(name));
    let Some(bearer) = bearer.map(|name| fields.key(name)) else { return };
    if has("bearer_token") && has("bearer_token_file") {
        reader.error(
            "at most one of bearer_token & bearer_token_file must be configured",
            fields.key("bearer_token_file"),
        );
    }
    if has("basic_auth") || has("oauth2") {
        let message = "at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be configured";
        reader.error(message, bearer);
    }
    if has("authorization") {
        reader.error("authorization is not compatible with bearer_token & bearer_token_file", bearer);
    }
}

/// A secret given in place or as a file; `exclusive` is the text for both at once.
fn twin(reader: &mut Reader<'_>, fields: &Fields<'_>, name: &str, exclusive: &str) -> Option<SecretText> {
    let in_place = reader.secret(fields, name).map(SecretText::Inline);
    twin_file(reader, fields, in_place, name, exclusive)
}

/// The same for what is no secret, but may be given as a file all the same.
fn open_twin(reader: &mut Reader<'_>, fields: &Fields<'_>, name: &str, exclusive: &str) -> Option<SecretText> {
    let in_place = reader.filled_text(fields, name).map(|text| SecretText::Inline(Secret::new(text)));
    twin_file(reader, fields, in_place, name, exclusive)
}

fn twin_file(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    in_place: Option<SecretText>,
    name: &str,
    exclusive: &str,
) -> Option<SecretText> {
    let file_name = format!("{name}_file");
    let file = reader.file(fields, &file_name).map(SecretText::File);
    if in_place.is_some() && file.is_some() {
        reader.error(exclusive, fields.key(&file_name));
    }
    in_place.or(file)
}

fn basic_auth(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<BasicAuth> {
    let auth = reader.subsection(fields, "basic_auth", &BASIC_AUTH)?;
    let exclusive = "at most one of basic_auth username, username_file & username_ref must be configured";
    let username = open_twin(reader, &auth, "username", exclusive);
    let exclusive = "at most one of basic_auth password, password_file & password_ref must be configured";
    let password = twin(reader, &auth, "password", exclusive);
    let username = username.unwrap_or_else(|| SecretText::Inline(Secret::new("")));
    Some(BasicAuth { username, password })
}

fn authorization(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<Authorization> {
    let auth = reader.subsection(fields, "authorization", &AUTHORIZATION)?;
    let exclusive = "at most one of authorization credentials & credentials_file must be configured";
    let credentials = twin(reader, &auth, "credentials", exclusive);
    let scheme = reader.text(&auth, "type").unwrap_or_default().trim().to_owned();
    if scheme.eq_ignore_ascii_case("basic") {
        reader.error(r#"authorization type cannot be set to "basic", use "basic_auth" instead"#, auth.value("type"));
    }
    Some(Authorization { scheme: if scheme.is_empty() { "Bearer".to_owned() } else { scheme }, credentials })
}

/// `bearer_token` and `bearer_token_file` are the old spelling of `authorization`.
fn bearer(reader: &mut Reader<'_>, fields: &Fields<'_>, given: Option<Authorization>) -> Option<Authorization> {
    let token = reader.secret(fields, "bearer_token").map(SecretText::Inline);
    let token = token.or(reader.file(fields, "bearer_token_file").map(SecretText::File));
    given.or(token.map(|token| Authorization { scheme: "Bearer".to_owned(), credentials: Some(token) }))
}

fn oauth2(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<Box<OAuth2>> {
    let oauth2 = reader.subsection(fields, "oauth2", &OAUTH2)?;
    let client_id = reader.filled_text(&oauth2, "client_id");
    if oauth2.is_blank("client_id") {
        reader.error("oauth2 client_id must be configured", oauth2.key("client_id"));
    }
    let token_url = reader.url(&oauth2, "token_url", parse_http_url);
    if oauth2.is_blank("token_url") {
        reader.error("oauth2 token_url must be configured", oauth2.key("token_url"));
    }
    if let Some(grant) = reader.filled_text(&oauth2, "grant_type").filter(|grant| grant != CLIENT_CREDENTIALS) {
        reader.error(format!("oauth2 grant_type {grant:?} is not offered yet"), oauth2.value("grant_type"));
    }
    let exclusive = "at most one of oauth2 client_secret, client_secret_file & client_secret_ref must be configured \
                     using grant-type=client_credentials";
    let client_secret = twin(reader, &oauth2, "client_secret", exclusive);
    if client_secret.is_none() {
        reader.error("oauth2 client_secret or client_secret_file must be configured", oauth2.at);
    }
    let scopes = reader.texts(&oauth2, "scopes").into_iter().map(|(scope, _)| scope).collect();
    let endpoint_params = reader.text_map(&oauth2, "endpoint_params");
    let (tls, proxy) = (tls(reader, &oauth2), proxy(reader, &oauth2));
    Some(Box::new(OAuth2 {
        client_id: client_id?,
        client_secret: client_secret?,
        scopes,
        token_url: token_url?,
        endpoint_params: endpoint_params.into_iter().map(|(name, value, _)| (name, value)).collect(),
        tls,
        proxy,
    }))
}

fn tls(reader: &mut Reader<'_>, fields: &Fields<'_>) -> TlsConfig {
    let Some(tls) = reader.subsection(fields, "tls_config", &TLS) else { return TlsConfig::default() };
    let ca = open_twin(reader, &tls, "ca", "at most one of ca, ca_file & ca_ref must be configured");
    let cert = open_twin(reader, &tls, "cert", "at most one of cert, cert_file & cert_ref must be configured");
    let key = twin(reader, &tls, "key", "at most one of key and key_file must be configured");
    if cert.is_some() && key.is_none() {
        let message = "exactly one of key or key_file must be configured when a client certificate is configured";
        reader.error(message, tls.at);
    } else if key.is_some() && cert.is_none() {
        let message = "exactly one of cert or cert_file must be configured when a client key is configured";
        reader.error(message, tls.at);
    }
    let min_version = tls_version(reader, &tls, "min_version");
    let max_version = tls_version(reader, &tls, "max_version");
    if let (Some(min), Some(max)) = (min_version, max_version)
        && max < min
    {
        let message =
            "tls_config.max_version must be greater than or equal to tls_config.min_version if both are specified";
        reader.error(message, tls.value("max_version"));
    }
    TlsConfig {
        ca,
        cert,
        key,
        server_name: reader.filled_text(&tls, "server_name"),
        insecure_skip_verify: reader.flag(&tls, "insecure_skip_verify", false),
        min_version,
        max_version,
    }
}

fn tls_version(reader: &mut Reader<'_>, tls: &Fields<'_>, name: &str) -> Option<TlsVersion> {
    let text = reader.text(tls, name)?;
    let version = TlsVersion::ALL.into_iter().find(|version| version.as_str() == text);
    if version.is_none() {
        reader.error(format!("unknown TLS version: {text}"), tls.value(name));
    }
    version
}

fn proxy(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Proxy {
    let url_given = !fields.is_blank("proxy_url");
    let proxy = Proxy {
        url: reader.url(fields, "proxy_url", parse_proxy_url),
        no_proxy: reader.filled_text(fields, "no_proxy"),
        from_environment: reader.flag(fields, "proxy_from_environment", false),
        connect_header: connect_header(reader, fields),
    };
    if !proxy.connect_header.is_empty() && !proxy.from_environment && !url_given {
        let message =
            "if proxy_connect_header is configured, proxy_url or proxy_from_environment must also be configured";
        reader.error(message, fields.key("proxy_connect_header"));
    }
    if proxy.from_environment && url_given {
        let message = "if proxy_from_environment is configured, proxy_url must not be configured";
        reader.error(message, fields.key("proxy_url"));
    }
    if proxy.from_environment && proxy.no_proxy.is_some() {
        let message = "if proxy_from_environment is configured, no_proxy must not be configured";
        reader.error(message, fields.key("no_proxy"));
    }
    if !proxy.from_environment && !url_given && proxy.no_proxy.is_some() {
        reader.error("if no_proxy is configured, proxy_url must also be configured", fields.key("no_proxy"));
    }
    proxy
}

fn connect_header(reader: &mut Reader<'_>, fields: &Fields<'_>) -> BTreeMap<String, Vec<Secret>> {
    let entries = reader.entries(fields, "proxy_connect_header");
    entries.iter().map(|entry| (entry.key.clone(), reader.secrets(&entry.key, entry))).collect()
}

fn http_headers(reader: &mut Reader<'_>, fields: &Fields<'_>) -> BTreeMap<String, Vec<SecretText>> {
    let mut headers = BTreeMap::new();
    for entry in reader.entries(fields, "http_headers") {
        let name = &entry.key;
        if is_reserved_header(name) || name.eq_ignore_ascii_case(SCRAPE_TIMEOUT_HEADER) {
            reader.error(format!("setting header {:?} is not allowed", canonical_header(name)), entry.key_span);
        }
        check_header_name(reader, name, entry.key_span);
        let header = reader.section("http_headers", &entry.value, entry.key_span, &[&HEADER]);
        let mut values = Vec::new();
        for list in ["values", "secrets"] {
            let Some(list_entry) = header.get(list) else { continue };
            values.extend(reader.secrets(list, list_entry).into_iter().map(SecretText::Inline));
        }
        for (file, at) in reader.texts(&header, "files") {
            values.push(SecretText::File(reader.named_file(&file, at)));
        }
        headers.insert(name.clone(), values);
    }
    headers
}

/// A header that HTTP cannot carry would fail every request.
pub(super) fn check_header_name(reader: &mut Reader<'_>, name: &str, at: Span) {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_token) {
        reader.error(format!("{name:?} is not a valid header name"), at);
    }
}

/// User information in a URL is basic authentication, and wins over other kinds as it does in the reference.
pub(super) fn user_info(reader: &mut Reader<'_>, fields: &Fields<'_>, url: &mut Url, http: &mut HttpClientConfig) {
    let Some(auth) = take_user_info(url) else { return };
    if http.oauth2.is_some() || http.authorization.is_some() || http.basic_auth.is_some() {
        let message = "the user information in the url wins over every other authentication of the section";
        reader.warning(message, fields.key("url"));
    }
    (http.basic_auth, http.authorization, http.oauth2) = (Some(auth), None, None);
}

/// `user-agent` as `User-Agent`.
fn canonical_header(name: &str) -> String {
    let mut start = true;
    name.chars()
        .map(|c| {
            let shown = if start { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
            start = c == '-';
            shown
        })
        .collect()
}
