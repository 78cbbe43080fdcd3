//! The listeners: connections in bounded number, with bounded patience, until the stop.

use std::io::{self, IoSlice};
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum_server::accept::Accept;
use axum_server::tls_rustls::RustlsAcceptor;
use axum_server::{Handle, Server};
use hyper_util::rt::TokioTimer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep, sleep};
use tokio_util::sync::CancellationToken;

use super::auth::{Door, ask};
use super::metrics::HttpMetrics;
use super::web_config::{WEB_CONFIG_CHECK_INTERVAL, WebConfig};

/// Where the API listens if no flag says otherwise: every address of the machine. Not 9090, so that a sidecar does not
/// collide with its Prometheus.
pub const DEFAULT_LISTEN_ADDRESS: &str = ":9595";
/// Connections open at once. Prometheus' own `--web.max-connections`.
pub const CONNECTIONS_MAX: usize = 512;
/// Longest time for the head of a request, waiting for it on an open connection included: longer than proxies and Go
/// clients keep idle connections (60s and 90s), so that it is they who close them.
pub const HEADER_TIME_MAX: Duration = Duration::from_secs(120);
/// Longest TLS handshake.
const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);
/// Longest time without a byte in one direction while bytes are wanted. Prometheus' own `--web.read-timeout`.
pub const IDLE_TIME_MAX: Duration = Duration::from_secs(300);
/// Longest wait, once the stop was asked for, for requests that are being answered.
pub const DRAIN_TIME_MAX: Duration = Duration::from_secs(10);
/// Largest head of a request, in bytes: twice the longest target, and room for headers.
const HEAD_BYTES_MAX: u32 = 128 << 10;
/// Requests at once on one HTTP/2 connection.
const STREAMS_MAX: u32 = 64;
/// How often an HTTP/2 peer is asked whether it is still there, and how long it may take to say so.
const PING_INTERVAL: Duration = Duration::from_secs(60);
const PING_TIME_MAX: Duration = Duration::from_secs(20);

/// Bounds of the server that flags may set.
#[derive(Clone, Copy, Debug)]
pub struct ServeOptions {
    pub connections_max: usize,
    pub header_time_max: Duration,
    pub idle_time_max: Duration,
    pub drain_time_max: Duration,
}

impl Default for ServeOptions {
    fn default() -> ServeOptions {
        ServeOptions {
            connections_max: CONNECTIONS_MAX,
            header_time_max: HEADER_TIME_MAX,
            idle_time_max: IDLE_TIME_MAX,
            drain_time_max: DRAIN_TIME_MAX,
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address:?}: {source}")]
pub struct ListenError {
    address: String,
    source: io::Error,
}

/// Listens on `host:port`, `[::1]:port`, or `:port` for every address of the machine.
pub fn bind(address: &str) -> Result<TcpListener, ListenError> {
    let listener = match address.strip_prefix(':') {
        // One listener for both families where the machine has IPv6; else for IPv4.
        Some(port) => TcpListener::bind(format!("[::]:{port}")).or_else(|error| match error.kind() {
            io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied | io::ErrorKind::InvalidInput => Err(error),
            _ => TcpListener::bind(format!("0.0.0.0:{port}")),
        }),
        None => TcpListener::bind(address),
    };
    let listener = listener.and_then(|listener| listener.set_nonblocking(true).map(|()| listener));
    listener.map_err(|source| ListenError { address: address.to_owned(), source })
}

/// Answers on every listener until `shutdown`, then lets running requests finish within `drain_time_max`.
///
/// With a web configuration that has TLS, all listeners speak TLS; its files are looked at again every
/// `WEB_CONFIG_CHECK_INTERVAL`.
///
/// Errors: a listener that cannot be used by the runtime. Nothing else ends the server.
pub async fn serve(
    listeners: Vec<TcpListener>,
    router: Router,
    web_config: Option<WebConfig>,
    options: ServeOptions,
    metrics: HttpMetrics,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let router = match &web_config {
        Some(config) => router.layer(from_fn_with_state(Door::new(config.clone()), ask)),
        None => router,
    };
    let guard = Guard {
        connections: Arc::new(Semaphore::new(options.connections_max.clamp(1, Semaphore::MAX_PERMITS))),
        options,
        metrics: metrics.clone(),
    };
    let tls = web_config.as_ref().and_then(WebConfig::tls);
    let mut servers = JoinSet::new();
    let mut handles = Vec::new();
    for listener in listeners {
        let handle = Handle::new();
        let mut server = axum_server::from_tcp(listener)?.handle(handle.clone());
        set_bounds(&mut server, options);
        let server = server.acceptor(guard.clone());
        let service = router.clone().into_make_service();
        match tls.clone() {
            None => servers.spawn(server.serve(service)),
            Some(tls) => {
                let over_tls =
                    |inner: Guard| RustlsAcceptor::new(tls).handshake_timeout(HANDSHAKE_TIME_MAX).acceptor(inner);
                servers.spawn(server.map(over_tls).serve(service))
            }
        };
        handles.push(handle);
    }
    let watch = watch(web_config, metrics);
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = watch => {}
    }
    for handle in handles {
        handle.graceful_shutdown(Some(options.drain_time_max));
    }
    while let Some(ended) = servers.join_next().await {
        ended.map_err(io::Error::other)??;
    }
    Ok(())
}

fn set_bounds(server: &mut Server<SocketAddr>, options: ServeOptions) {
    let mut builder = server.http_builder().http1();
    builder.timer(TokioTimer::new()).header_read_timeout(options.header_time_max).max_buf_size(HEAD_BYTES_MAX as usize);
    server
        .http_builder()
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIME_MAX)
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEAD_BYTES_MAX);
}

/// Takes changes of the web configuration, for ever.
async fn watch(config: Option<WebConfig>, metrics: HttpMetrics) {
    let Some(config) = config else { return std::future::pending().await };
    loop {
        sleep(WEB_CONFIG_CHECK_INTERVAL).await;
        let looking = config.clone();
        match tokio::task::spawn_blocking(move || looking.reload_if_changed()).await {
            Ok(Ok(false)) => {}
            Ok(Ok(true)) => tracing::info!(file = %config.path().display(), "web configuration loaded again"),
            Ok(Err(error)) => {
                metrics.web_config_reload_failures.inc();
                tracing::error!(%error, "web configuration changed and cannot be used, the old stays in force");
            }
            Err(error) => tracing::error!(%error, "looking at the web configuration panicked"),
        }
    }
}

/// Lets connections in, and watches over their patience.
#[derive(Clone)]
struct Guard {
    connections: Arc<Semaphore>,
    options: ServeOptions,
    metrics: HttpMetrics,
}

impl<S> Accept<TcpStream, S> for Guard {
    type Stream = Guarded;
    type Service = S;
    type Future = std::future::Ready<io::Result<(Guarded, S)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        std::future::ready(match self.connections.clone().try_acquire_owned() {
            // Small answers go out at once; a peer that is gone already is found out by the first read.
            Ok(permit) => {
                let _ = stream.set_nodelay(true);
                Ok((Guarded::new(stream, permit, self.options), service))
            }
            Err(_) => {
                self.metrics.refused_connections.inc();
                tracing::debug!(connections_max = self.options.connections_max, "too many connections, closing one");
                Err(io::Error::other("too many connections"))
            }
        })
    }
}

/// A connection that ends when its peer neither sends what is awaited nor takes what is sent.
///
/// The server's own timeout of request heads begins only when it knows which HTTP it speaks; the first bytes are watched
/// here.
struct Guarded {
    stream: TcpStream,
    reading: Patience,
    writing: Patience,
    idle_time_max: Duration,
    _permit: OwnedSemaphorePermit,
}

/// A timer that runs while something is awaited.
struct Patience {
    timer: Pin<Box<Sleep>>,
    running: bool,
}

impl Patience {
    fn new() -> Patience {
        Patience { timer: Box::pin(sleep(Duration::ZERO)), running: false }
    }

    /// Called when nothing came: starts or goes on waiting; ready when it took too long.
    fn wait(&mut self, longest: Duration, cx: &mut Context<'_>) -> Poll<()> {
        if !self.running {
            self.running = true;
            self.timer.as_mut().reset(Instant::now() + longest);
        }
        self.timer.as_mut().poll(cx)
    }
}

impl Guarded {
    fn new(stream: TcpStream, permit: OwnedSemaphorePermit, options: ServeOptions) -> Guarded {
        let mut guarded = Guarded {
            stream,
            reading: Patience::new(),
            writing: Patience::new(),
            idle_time_max: options.idle_time_max,
            _permit: permit,
        };
        // From the first moment on, whether or not somebody reads.
        guarded.reading.timer.as_mut().reset(Instant::now() + options.header_time_max);
        guarded.reading.running = true;
        guarded
    }

    fn written<T>(&mut self, written: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_pending() {
            ready!(self.writing.wait(self.idle_time_max, cx));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        self.writing.running = false;
        written
    }
}

impl AsyncRead for Guarded {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let read = Pin::new(&mut this.stream).poll_read(cx, buffer);
        if read.is_pending() {
            ready!(this.reading.wait(this.idle_time_max, cx));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        this.reading.running = false;
        read
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.written(written, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.written(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
