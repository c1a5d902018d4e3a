//! An axum router behind the limits that a server on the open internet needs.

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Sleep, sleep};

use super::browsers::{ELSEWHERE, HEADERS, may_change};

/// Where files of banks are sent to.
pub const UPLOAD_PATH: &str = "/admin/statement/file";

/// How much is taken from everybody together, and from one of them.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections served at once.
    pub connections: u32,
    /// Time a client has to send its headers, again to send its body, and to take what is sent to it.
    pub time_limit: Duration,
    /// Most headers of one request.
    pub headers: usize,
    /// Largest request body, in bytes.
    pub body: usize,
}

impl Limits {
    pub const USUAL: Self = Self {
        connections: 1024,
        time_limit: Duration::from_secs(10),
        headers: 100,
        body: 64 * 1024,
    };
}

/// Serves until `stopped` says so, and then answers what has arrived.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    mut stopped: watch::Receiver<bool>,
) {
    let router = router
        .layer(from_fn_with_state(limits, whole_body))
        .layer(map_response(with_headers));
    let places = Arc::new(Semaphore::new(limits.connections as usize));
    loop {
        let next = async {
            let place = places.clone().acquire_owned().await;
            (place, listener.accept().await)
        };
        let accepted = tokio::select! {
            accepted = next => accepted,
            () = until(&mut stopped) => break,
        };
        let (Ok(place), Ok((stream, _))) = accepted else {
            // Out of file handles, for example: give others time to close theirs.
            sleep(Duration::from_millis(50)).await;
            continue;
        };
        let stream = TokioIo::new(Patient {
            stream,
            time_limit: limits.time_limit,
            stalled: None,
        });
        let service = TowerToHyperService::new(router.clone());
        let mut stopped = stopped.clone();
        tokio::spawn(async move {
            let mut http = hyper::server::conn::http1::Builder::new();
            http.timer(TokioTimer::new())
                .header_read_timeout(limits.time_limit)
                .max_headers(limits.headers);
            let mut connection = pin!(http.serve_connection(stream, service));
            // An error here is a client that went away or did not speak HTTP.
            tokio::select! {
                _ = connection.as_mut() => {}
                () = until(&mut stopped) => {
                    connection.as_mut().graceful_shutdown();
                    let _ = connection.await;
                }
            }
            drop(place);
        });
    }
    drop(listener);
    // Streams may have no end of their own.
    let _ = tokio::time::timeout(limits.time_limit, places.acquire_many(limits.connections)).await;
}

/// Ready once the server shall stop; never if nobody is left who could say so.
async fn until(stopped: &mut watch::Receiver<bool>) {
    if stopped.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Pages of `site`: nothing is posted to them from anywhere else. Routes that are added afterwards
/// are open, as the provider's callback has to be.
pub fn own_pages<S: Clone + Send + Sync + 'static>(router: Router<S>, site: String) -> Router<S> {
    let site: Arc<str> = site.into();
    router.layer(from_fn_with_state(site, from_own_pages))
}

async fn from_own_pages(State(site): State<Arc<str>>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if may_change(&site, request.method().as_str(), header) {
        next.run(request).await
    } else {
        (StatusCode::FORBIDDEN, ELSEWHERE).into_response()
    }
}

/// Takes the whole body in before any handler runs: at most so large, and in so much time. Files are
/// left to their handler, which takes them from admins only.
async fn whole_body(State(limits): State<Limits>, request: Request, next: Next) -> Response {
    if request.uri().path() == UPLOAD_PATH {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let refuse = |status: StatusCode| (status, [(header::CONNECTION, "close")]).into_response();
    match tokio::time::timeout(limits.time_limit, to_bytes(body, limits.body)).await {
        Ok(Ok(bytes)) => {
            next.run(Request::from_parts(parts, Body::from(bytes)))
                .await
        }
        Ok(Err(_)) => refuse(StatusCode::PAYLOAD_TOO_LARGE),
        Err(_) => refuse(StatusCode::REQUEST_TIMEOUT),
    }
}

async fn with_headers(mut response: Response) -> Response {
    for (name, value) in HEADERS {
        let headers = response.headers_mut();
        headers
            .entry(HeaderName::from_static(name))
            .or_insert(HeaderValue::from_static(value));
    }
    response
}

/// A connection that fails when the other end takes nothing for too long.
struct Patient {
    stream: TcpStream,
    time_limit: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl AsyncWrite for Patient {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let time_limit = self.time_limit;
        let stalled = self
            .stalled
            .get_or_insert_with(|| Box::pin(sleep(time_limit)));
        stalled
            .as_mut()
            .poll(cx)
            .map(|()| Err(io::ErrorKind::TimedOut.into()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl AsyncRead for Patient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}
