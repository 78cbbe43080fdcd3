//! Real listeners: TLS, users, swapped certificates, slow and silent clients, the stop.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bellwether::api::{ApiOptions, HttpMetrics, ServeOptions, WebConfig, bind, router, serve};
use tokio_util::sync::CancellationToken;

use crate::fake::FakeViews;

/// Long enough for a slow machine; tests end long before.
const PATIENCE: Duration = Duration::from_secs(60);

fn certificate(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tls").join(name)
}

struct Running {
    views: Arc<FakeViews>,
    address: SocketAddr,
    stop: CancellationToken,
    server: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Running {
    fn start(web_config: Option<WebConfig>, options: ServeOptions) -> Running {
        Running::with(FakeViews::showing(Vec::new()), web_config, options)
    }

    fn with(views: FakeViews, web_config: Option<WebConfig>, options: ServeOptions) -> Running {
        let views = Arc::new(views);
        let metrics = HttpMetrics::new(&views.registry);
        let routes = router(views.clone(), &ApiOptions::default(), metrics.clone());
        let listener = bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let stop = CancellationToken::new();
        let server = tokio::spawn(serve(vec![listener], routes, web_config, options, metrics, stop.clone()));
        Running { views, address, stop, server }
    }

    fn url(&self, scheme: &str, path: &str) -> String {
        format!("{scheme}://localhost:{}{path}", self.address.port())
    }

    async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.server).await.expect("it stops").expect("no panic").expect("no error");
    }
}

fn client(identity: Option<&str>) -> reqwest::Client {
    let read = |name: &str| std::fs::read(certificate(name)).expect("test data");
    let authority = reqwest::Certificate::from_pem(&read("ca.pem")).expect("a certificate");
    let mut builder = reqwest::Client::builder().tls_certs_only([authority]).no_proxy().timeout(PATIENCE);
    if let Some(name) = identity {
        let mut pem = read(&format!("{name}.pem"));
        pem.extend(read(&format!("{name}-key.pem")));
        builder = builder.identity(reqwest::Identity::from_pem(&pem).expect("certificate and key"));
    }
    builder.build().expect("a client")
}

fn web_config(directory: &Path, text: &str) -> WebConfig {
    let path = directory.join("web.yml");
    std::fs::write(&path, text).expect("a temporary file");
    WebConfig::load(path).unwrap_or_else(|error| panic!("{error}"))
}

fn copy(from: &str, directory: &Path, to: &str) {
    std::fs::copy(certificate(from), directory.join(to)).expect("test data is copied");
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_and_users_and_headers_and_their_change() {
    let directory = tempfile::tempdir().expect("a directory");
    copy("server.pem", directory.path(), "cert.pem");
    copy("server-key.pem", directory.path(), "key.pem");
    let with_users = |users: &[(&str, &str)]| {
        let lines = users
            .iter()
            .map(|(user, password)| format!("  {user}: {}\n", bcrypt::hash(password, 4).expect("the lowest cost")));
        format!(
            "tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\n\
             http_server_config:\n  headers:\n    X-Frame-Options: deny\nbasic_auth_users:\n{}",
            lines.collect::<String>()
        )
    };
    let config = web_config(directory.path(), &with_users(&[("ann", "right"), ("bob", "colon:ed")]));
    let running = Running::start(Some(config.clone()), ServeOptions::default());
    let url = running.url("https", "/api/v1/alerts");
    let status = async |user: &str, password: &str| {
        let request = client(None).get(&url).basic_auth(user, Some(password));
        request.send().await.expect("an answer").status().as_u16()
    };

    let anonymous = client(None).get(&url).send().await.expect("an answer");
    assert_eq!(anonymous.status(), 401);
    assert_eq!(anonymous.headers()["www-authenticate"], "Basic");
    assert_eq!(anonymous.headers()["x-frame-options"], "deny");
    assert_eq!(anonymous.text().await.expect("a text"), "Unauthorized\n");
    let elsewhere = client(None).get(running.url("https", "/nowhere")).send().await.expect("an answer");
    assert_eq!(elsewhere.status(), 401);
    for (user, password, expected) in [
        ("ann", "right", 200),
        ("ann", "right", 200),
        ("ann", "wrong", 401),
        ("ann", "", 401),
        ("bob", "colon:ed", 200),
        ("eve", "right", 401),
    ] {
        assert_eq!(status(user, password).await, expected, "{user} {password}");
    }
    let first = client(None).get(&url).basic_auth("ann", Some("right")).send().await.expect("an answer");
    assert_eq!(first.version(), reqwest::Version::HTTP_2);

    // Users change; so does the certificate.
    assert_eq!(config.reload_if_changed(), Ok(false));
    std::fs::write(config.path(), with_users(&[("eve", "right")])).expect("written");
    assert_eq!(config.reload_if_changed(), Ok(true));
    assert_eq!((status("ann", "right").await, status("eve", "right").await), (401, 200));
    copy("other.pem", directory.path(), "cert.pem");
    let mismatch = config.reload_if_changed().expect_err("the key is not that of the certificate");
    assert!(mismatch.to_string().contains("certificate and key cannot be used"), "{mismatch}");
    assert_eq!(status("eve", "right").await, 200);
    copy("other-key.pem", directory.path(), "key.pem");
    assert_eq!(config.reload_if_changed(), Ok(true));
    assert_eq!(status("eve", "right").await, 200);

    // What is broken leaves the old in force, and is told once.
    std::fs::write(config.path(), "basic_auth_user:\n").expect("written");
    let error = config.reload_if_changed().expect_err("an unknown field").to_string();
    assert!(error.ends_with(":1:1: unknown field \"basic_auth_user\"; did you mean \"basic_auth_users\"?"), "{error}");
    assert_eq!(config.reload_if_changed(), Ok(false));
    std::fs::write(config.path(), "# no TLS any more\n").expect("written");
    let error = config.reload_if_changed().expect_err("TLS cannot be turned off").to_string();
    assert!(error.ends_with("turns TLS on or off; restart for that"), "{error}");
    assert_eq!(status("eve", "right").await, 200);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_show_certificates_with_the_right_names() {
    let directory = tempfile::tempdir().expect("a directory");
    let text = format!(
        "tls_server_config:\n  cert_file: {}\n  key_file: {}\n  client_ca_file: {}\n  \
         client_auth_type: RequireAndVerifyClientCert\n  client_allowed_sans: [client.example]\n",
        certificate("server.pem").display(),
        certificate("server-key.pem").display(),
        certificate("ca.pem").display(),
    );
    let running = Running::start(Some(web_config(directory.path(), &text)), ServeOptions::default());
    let url = running.url("https", "/-/healthy");
    for (identity, let_in) in [(None, false), (Some("stranger"), false), (Some("client"), true)] {
        let answer = client(identity).get(&url).send().await;
        assert_eq!(answer.is_ok_and(|answer| answer.status() == 200), let_in, "{identity:?}");
    }
    running.stop().await;
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let directory = tempfile::tempdir().expect("a directory");
    let error = |text: &str| {
        let path = directory.path().join("web.yml");
        std::fs::write(&path, text).expect("written");
        WebConfig::load(path).err().expect("it is refused").to_string()
    };
    let missing = error("tls_server_config: {cert_file: no.pem, key_file: no.key}\n");
    assert!(missing.contains("cannot read certificate") && missing.contains("no.pem"), "{missing}");
    let empty = error("tls_server_config: {cert_file: web.yml, key_file: web.yml}\n");
    assert!(empty.contains("certificate") && empty.contains("no certificate in it"), "{empty}");
    let absent = WebConfig::load(directory.path().join("none.yml")).err().expect("it is refused").to_string();
    assert!(absent.starts_with("cannot read web configuration"), "{absent}");
}

/// What the server says to these bytes until it closes the connection.
async fn converse(address: SocketAddr, bytes: &'static [u8]) -> String {
    let conversation = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.write_all(bytes).expect("written");
        let mut said = Vec::new();
        // A reset is a way to close, too.
        let _ = stream.read_to_end(&mut said);
        String::from_utf8_lossy(&said).into_owned()
    });
    tokio::time::timeout(PATIENCE, conversation).await.expect("the server closes it").expect("no panic")
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_and_silent_clients_are_let_go() {
    let short = Duration::from_millis(200);
    let options = ServeOptions { header_time_max: short, idle_time_max: short, ..ServeOptions::default() };
    let running = Running::start(None, options);
    for (bytes, said) in [
        (&b""[..], ""),
        (b"P", ""),
        (b"PRI * HT", ""),
        (b"GET /-/healthy HTTP/1.1\r\nHost: x\r\nSlow: ", ""),
        (b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 OK\r\n"),
    ] {
        let answer = converse(running.address, bytes).await;
        assert!(answer.starts_with(said) && answer.is_empty() == said.is_empty(), "{answer}");
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_over_the_bound_are_closed() {
    let running = Running::start(None, ServeOptions { connections_max: 1, ..ServeOptions::default() });
    let mut first = TcpStream::connect(running.address).expect("it listens");
    first.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    first.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n").expect("written");
    let mut byte = [0];
    first.read_exact(&mut byte).expect("an answer begins");
    assert_eq!(converse(running.address, b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n").await, "");
    drop(first);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_runs_is_answered_before_the_stop() {
    let (release, hold) = std::sync::mpsc::channel();
    let views = FakeViews::showing(Vec::new());
    *views.metrics_wait_for.lock().unwrap() = Some(hold);
    let running = Running::with(views, None, ServeOptions::default());
    let mut stream = TcpStream::connect(running.address).expect("it listens");
    stream.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n").expect("written");
    let mut first = [0; 512];
    assert!(stream.read(&mut first).expect("an answer") > 0);
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").expect("written");
    // The request is surely being answered once the waiter is taken: it then waits for the word.
    let answer = tokio::task::spawn_blocking(move || {
        let mut said = String::new();
        stream.read_to_string(&mut said).expect("a whole answer, then the end");
        said
    });
    while !running.views.is_gathering() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    running.stop.cancel();
    release.send(()).expect("somebody waits");
    let answer = tokio::time::timeout(PATIENCE, answer).await.expect("in time").expect("no panic");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    running.stop().await;
}

/// promtool from `BELLWETHER_PEERS` or the path; none, with a clear line, if it is not there.
fn promtool() -> Option<std::process::Command> {
    let peers = std::env::var_os("BELLWETHER_PEERS").unwrap_or_default();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&peers)
        .chain(std::env::split_paths(&path))
        .map(|d| d.join("promtool"))
        .find(|p| p.is_file());
    if found.is_none() {
        println!("skipped: no promtool in BELLWETHER_PEERS or PATH");
    }
    found.map(std::process::Command::new)
}

#[tokio::test(flavor = "multi_thread")]
async fn promtool_finds_us_healthy_and_ready() {
    let Some(mut promtool) = promtool() else { return };
    let running = Running::start(None, ServeOptions::default());
    let url = running.url("http", "/");
    let said = tokio::task::spawn_blocking(move || {
        let url = format!("--url={}", url.trim_end_matches('/'));
        let healthy = promtool.args(["check", "healthy", &url]).output().expect("promtool runs");
        format!("{} {healthy:?}", healthy.status.success())
    });
    let said = said.await.expect("no panic");
    assert!(said.starts_with("true"), "{said}");
    running.stop().await;
}

#[test]
fn addresses_that_cannot_be_listened_on_are_named() {
    assert!(bind(":0").is_ok());
    assert!(bind("[::1]:0").is_ok() || bind("127.0.0.1:0").is_ok());
    for address in ["127.0.0.1:99999", ":port", "nowhere"] {
        let error = bind(address).expect_err("no such address").to_string();
        assert!(error.starts_with(&format!("cannot listen on {address:?}: ")), "{error}");
    }
}
