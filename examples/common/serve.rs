//! An axum router behind the limits that a server on the open internet needs.

use std::net::TcpListener;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::sync::Semaphore;

use super::{AnyError, MAX_BODY, MAX_HEADERS, PATIENCE};

/// Connections served at once.
const MAX_CONNECTIONS: usize = 1024;

/// Serves until the process ends.
pub async fn serve(listener: TcpListener, router: Router) -> Result<(), AnyError> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let router = router.layer(from_fn(whole_body));
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let place = places.clone().acquire_owned().await?;
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file handles, for example: give others time to close theirs.
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            continue;
        };
        let service = TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            let mut http = hyper::server::conn::http1::Builder::new();
            http.timer(TokioTimer::new())
                .header_read_timeout(PATIENCE)
                .max_headers(MAX_HEADERS);
            // An error here is a client that went away or did not speak HTTP.
            let _ = http.serve_connection(TokioIo::new(stream), service).await;
            drop(place);
        });
    }
}

/// Takes the whole body in before any handler runs: at most so large, and in so much time.
async fn whole_body(request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let refuse = |status: StatusCode| (status, [(header::CONNECTION, "close")]).into_response();
    match tokio::time::timeout(PATIENCE, to_bytes(body, MAX_BODY)).await {
        Ok(Ok(bytes)) => {
            next.run(Request::from_parts(parts, Body::from(bytes)))
                .await
        }
        Ok(Err(_)) => refuse(StatusCode::PAYLOAD_TOO_LARGE),
        Err(_) => refuse(StatusCode::REQUEST_TIMEOUT),
    }
}
