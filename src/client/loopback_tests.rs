//! The client against servers on this machine.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::IntoResponse;
use axum::routing::{any, post};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use url::Url;

use super::*;
use crate::config::HttpClientConfig;
use crate::config::{Authorization, BasicAuth, OAuth2, Proxy, Secret, SecretText, TlsConfig, TlsVersion};

async fn serve(router: Router) -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    Url::parse(&url).unwrap()
}

fn inline(text: &str) -> SecretText {
    SecretText::Inline(Secret::new(text))
}

fn client(config: &HttpClientConfig) -> Client {
    Client::build(config, &ClientOptions::default()).unwrap()
}

/// Answers with what it was shown: method, authorization and the header `x-tenant`.
fn mirror() -> Router {
    Router::new().fallback(any(|method: axum::http::Method, headers: HeaderMap, body: String| async move {
        let show = |name| headers.get(name).map_or("-", |value| value.to_str().unwrap()).to_owned();
        format!("{method} {} {} {body}", show("authorization"), show("x-tenant"))
    }))
}

/// Rooms above send from tasks.
#[test]
fn requests_can_be_sent_from_any_task() {
    fn is_send<T: Send>(_: &T) {}
    let client = client(&HttpClientConfig::default());
    let sending = client.get(Url::parse("http://a/").unwrap()).send();
    is_send(&sending);
}

async fn text(response: Response) -> String {
    String::from_utf8(read_bounded(response, 1 << 20).await.unwrap().to_vec()).unwrap()
}

#[tokio::test]
async fn credentials_and_headers_are_shown_to_the_peer() {
    let url = serve(mirror()).await;
    let basic = BasicAuth { username: inline("ann"), password: Some(inline("pw")) };
    let token = Authorization { scheme: "Bearer".to_owned(), credentials: Some(inline("t0ken")) };
    let tenant = BTreeMap::from([("X-Tenant".to_owned(), vec![inline("blue")])]);
    for (config, shown) in [
        (HttpClientConfig::default(), "POST - - hello"),
        (HttpClientConfig { basic_auth: Some(basic), ..Default::default() }, "POST Basic YW5uOnB3 - hello"),
        (HttpClientConfig { authorization: Some(token), ..Default::default() }, "POST Bearer t0ken - hello"),
        (HttpClientConfig { http_headers: tenant, ..Default::default() }, "POST - blue hello"),
    ] {
        let answer = client(&config).post(url.clone()).body("text/plain", "hello").send().await.unwrap();
        assert_eq!(text(answer).await, shown);
    }
    let mut with_user = url;
    with_user.set_username("b%20b").unwrap();
    with_user.set_password(Some("p+w")).unwrap();
    let answer = client(&HttpClientConfig::default()).get(with_user).send().await.unwrap();
    assert_eq!(text(answer).await, "GET Basic YiBiOnArdw== - ", "`b b:p+w`");
}

#[tokio::test]
async fn credentials_and_headers_do_not_follow_a_redirect_to_another_host() {
    let elsewhere = serve(mirror()).await;
    let to = elsewhere.clone();
    let router = Router::new()
        .route("/away", any(move || async move { (StatusCode::TEMPORARY_REDIRECT, [("location", to.to_string())]) }))
        .route("/near", any(|| async { (StatusCode::FOUND, [("location", "/mirror")]) }))
        .route("/loop", any(|| async { (StatusCode::FOUND, [("location", "/loop")]) }))
        .fallback_service(mirror());
    let home = serve(router).await;
    let config = HttpClientConfig {
        authorization: Some(Authorization { scheme: "Bearer".to_owned(), credentials: Some(inline("t0ken")) }),
        http_headers: BTreeMap::from([("X-Tenant".to_owned(), vec![inline("blue")])]),
        ..Default::default()
    };
    let following = client(&config);
    for (path, shown) in [("near", "POST Bearer t0ken blue hello"), ("away", "POST - - hello")] {
        let request = following.post(home.join(path).unwrap()).body("text/plain", "hello");
        assert_eq!(text(request.send().await.unwrap()).await, shown);
    }
    let error = following.get(home.join("loop").unwrap()).send().await.unwrap_err();
    assert_eq!(error.failure, Failure::Redirect);
    let staying = client(&HttpClientConfig { follow_redirects: false, ..config });
    assert_eq!(staying.get(home.join("away").unwrap()).send().await.unwrap().status(), 307);
}

#[tokio::test]
async fn failures_are_told_apart_and_show_no_secret() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = vec![0; 2048];
            let length = stream.read(&mut head).await.unwrap();
            let head = String::from_utf8_lossy(&head[..length]).into_owned();
            if head.contains("/half") {
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf").await.unwrap();
            } else if head.contains("/hold") {
                kept.push(stream);
            } else if head.contains("/ssh") {
                stream.write_all(b"SSH-2.0-OpenSSH_9.6\r\n").await.unwrap();
            } else if head.contains("/large") {
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\ntoo large").await.unwrap();
            }
        }
    });
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let client = client(&HttpClientConfig::default());
    let timeout = Duration::from_millis(200);
    let get = |address, path: &str| {
        let url = Url::parse(&format!("http://user:s3cret@{address}/{path}?token=s3cret")).unwrap();
        client.get(url).timeout(timeout).send()
    };
    for (address, path, failure) in [
        (free, "", Failure::Connect),
        (address, "hold", Failure::Timeout),
        (address, "hangup", Failure::Cut),
        (address, "ssh", Failure::Malformed),
    ] {
        let error = get(address, path).await.unwrap_err();
        assert_eq!(error.failure, failure, "{path}: {error}");
        assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
    }
    let half = read_bounded(get(address, "half").await.unwrap(), 1000).await;
    assert!(matches!(half, Err(ReadError::Cut(_))), "{half:?}");
    let large = read_bounded(get(address, "large").await.unwrap(), 8).await;
    assert_eq!(large, Err(ReadError::TooLarge { max: 8 }));
}

#[derive(Default)]
struct Grants {
    asked: AtomicUsize,
    valid: AtomicUsize,
}

#[tokio::test]
async fn an_oauth2_token_is_kept_and_asked_for_anew_once_when_refused() {
    let grants = Arc::new(Grants::default());
    let token = |State(grants): State<Arc<Grants>>, headers: HeaderMap, body: String| async move {
        let asked = grants.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let basic = headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
        let right = basic.as_deref() == Some("Basic aWQ6czNjcmV0")
            && body == "grant_type=client_credentials&scope=a+b&audience=am";
        match right {
            true => format!(r#"{{"access_token":"token-{asked}","token_type":"bearer","expires_in":"3600"}}"#)
                .into_response(),
            false => (StatusCode::BAD_REQUEST, r#"{"error":"invalid_client"}"#).into_response(),
        }
    };
    let guarded = |State(grants): State<Arc<Grants>>, headers: HeaderMap| async move {
        let valid = format!("Bearer token-{}", grants.valid.load(Ordering::SeqCst));
        let shown = headers.get("authorization").is_some_and(|value| value.to_str().unwrap() == valid);
        if shown { StatusCode::OK } else { StatusCode::UNAUTHORIZED }
    };
    let router = Router::new().route("/token", post(token)).route("/guarded", post(guarded)).with_state(grants.clone());
    let url = serve(router).await;
    let oauth2 = |secret: &str| OAuth2 {
        client_id: "id".to_owned(),
        client_secret: inline(secret),
        scopes: vec!["a".to_owned(), "b".to_owned()],
        token_url: url.join("token").unwrap(),
        endpoint_params: BTreeMap::from([("audience".to_owned(), "am".to_owned())]),
        tls: TlsConfig::default(),
        proxy: Proxy::default(),
    };
    let with = |secret| client(&HttpClientConfig { oauth2: Some(Box::new(oauth2(secret))), ..Default::default() });

    let allowed = with("s3cret");
    let ask = || async { allowed.post(url.join("guarded").unwrap()).send().await.unwrap().status() };
    grants.valid.store(1, Ordering::SeqCst);
    assert_eq!((ask().await, ask().await), (StatusCode::OK, StatusCode::OK));
    assert_eq!(grants.asked.load(Ordering::SeqCst), 1);
    grants.valid.store(2, Ordering::SeqCst);
    assert_eq!(ask().await, StatusCode::OK);
    grants.valid.store(0, Ordering::SeqCst);
    assert_eq!(ask().await, StatusCode::UNAUTHORIZED);
    assert_eq!(grants.asked.load(Ordering::SeqCst), 3);

    let error = with("wrong-s3cret").post(url.join("guarded").unwrap()).send().await.unwrap_err();
    assert_eq!(error.failure, Failure::Setup);
    assert!(error.to_string().contains("invalid_client"), "{error}");
    assert!(!format!("{error:?}").contains("wrong-s3cret"));
}

#[tokio::test]
async fn a_proxy_is_asked_for_all_but_the_hosts_excepted() {
    let proxy = Router::new().fallback(any(|uri: Uri| async move { format!("proxied {uri}") }));
    let proxy = Proxy { url: Some(serve(proxy).await), no_proxy: Some("127.0.0.1".to_owned()), ..Default::default() };
    let near = serve(mirror()).await;
    let client = client(&HttpClientConfig { proxy, ..Default::default() });
    let far = client.get(Url::parse("http://far.example/x").unwrap()).send().await.unwrap();
    assert_eq!(text(far).await, "proxied http://far.example/x");
    assert_eq!(text(client.get(near).send().await.unwrap()).await, "GET - - ");
}

const CA: &str = include_str!("testdata/ca.pem");
const PEER: &str = include_str!("testdata/peer.pem");
const PEER_KEY: &str = include_str!("testdata/peer.key");

/// Has a certificate for `inner.example`, and shows it only to those who ask for that name. Takes clients only with a
/// certificate of the same CA if told to.
async fn serve_tls(needs_client_certificate: bool) -> Url {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use rustls::server::{ResolvesServerCertUsingSni, WebPkiClientVerifier};

    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let chain = vec![CertificateDer::from_pem_slice(PEER.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(PEER_KEY.as_bytes()).unwrap();
    let certified = rustls::sign::CertifiedKey::from_der(chain, key, &provider).unwrap();
    let mut resolver = ResolvesServerCertUsingSni::new();
    resolver.add("inner.example", certified).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(CA.as_bytes()).unwrap()).unwrap();
    let builder = rustls::ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
    let builder = match needs_client_certificate {
        true => builder.unwrap().with_client_cert_verifier(verifier),
        false => builder.unwrap().with_no_client_auth(),
    };
    let config = builder.with_cert_resolver(Arc::new(resolver));
    let config = axum_server::tls_rustls::RustlsConfig::from_config(Arc::new(config));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
    let show = Router::new().fallback(any(|headers: HeaderMap| async move {
        headers["host"].to_str().unwrap().split(':').next().unwrap().to_owned()
    }));
    let server = axum_server::from_tcp_rustls(listener, config).unwrap();
    tokio::spawn(async move { server.serve(show.into_make_service()).await });
    Url::parse(&url).unwrap()
}

#[tokio::test]
async fn peers_are_trusted_by_ca_and_name() {
    let url = serve_tls(false).await;
    let named = |name: Option<&str>, ca: Option<&str>| TlsConfig {
        ca: ca.map(inline),
        server_name: name.map(str::to_owned),
        ..TlsConfig::default()
    };
    let inner = Some("inner.example");
    let versions = |min, max| TlsConfig { min_version: min, max_version: max, ..named(inner, Some(CA)) };
    for (tls, trusted) in [
        (named(inner, Some(CA)), true),
        (named(None, Some(CA)), false),
        (named(Some("other.example"), Some(CA)), false),
        (named(inner, None), false),
        (TlsConfig { insecure_skip_verify: true, ..named(inner, None) }, true),
        (versions(Some(TlsVersion::Tls13), None), true),
        (versions(None, Some(TlsVersion::Tls12)), true),
    ] {
        let client = client(&HttpClientConfig { tls: tls.clone(), ..Default::default() });
        match client.get(url.clone()).send().await {
            Ok(answer) => assert_eq!((text(answer).await.as_str(), trusted), ("localhost", true), "{tls:?}"),
            Err(error) => assert_eq!((error.failure, trusted), (Failure::Connect, false), "{tls:?}: {error}"),
        }
    }
    for tls in [
        versions(None, Some(TlsVersion::Tls11)),
        named(Some("not a name"), None),
        named(None, Some("no PEM")),
        TlsConfig { cert: Some(inline(PEER)), ..TlsConfig::default() },
        TlsConfig { cert: Some(inline(PEER)), key: Some(inline("no PEM")), ..TlsConfig::default() },
    ] {
        let config = HttpClientConfig { tls, ..Default::default() };
        assert!(Client::build(&config, &ClientOptions::default()).is_err());
    }
}

#[tokio::test]
async fn a_client_certificate_may_come_later_and_the_last_good_one_stays() {
    let url = serve_tls(true).await;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let file = |name: &str| Some(SecretText::File(path(name)));
    let tls = TlsConfig {
        ca: file("ca"),
        cert: file("cert"),
        key: file("key"),
        server_name: Some("inner.example".to_owned()),
        ..TlsConfig::default()
    };
    let client = client(&HttpClientConfig { tls, ..Default::default() });
    let send = || client.get(url.clone()).send();
    let error = send().await.unwrap_err();
    assert_eq!(error.failure, Failure::Setup, "{error}");
    for (name, text) in [("ca", CA), ("cert", PEER), ("key", PEER_KEY)] {
        std::fs::write(path(name), text).unwrap();
    }
    let recheck = || tokio::time::sleep(Duration::from_millis(1100));
    recheck().await;
    assert_eq!(text(send().await.unwrap()).await, "localhost");
    std::fs::write(path("cert"), "half a certific").unwrap();
    recheck().await;
    assert_eq!(text(send().await.unwrap()).await, "localhost");
}
