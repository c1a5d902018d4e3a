//! The simulated provider on a port of its own, and the callbacks it sends.

use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Response, Uri};
use coursegate::adapter::simulator::{HttpRequest, Simulator};

/// Every path of the provider, pay pages included.
pub fn mount(simulator: Simulator) -> Router {
    Router::new().fallback(answer).with_state(simulator)
}

async fn answer(
    State(simulator): State<Simulator>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let headers = headers
        .iter()
        .filter_map(|(name, value)| {
            Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
        })
        .collect();
    let path = uri
        .path_and_query()
        .map_or_else(|| uri.path().to_owned(), ToString::to_string);
    let answer = simulator.handle(&HttpRequest {
        method: method.to_string(),
        path,
        headers,
        body: body.to_vec(),
    });
    let mut response = Response::builder().status(answer.status);
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    response.body(Body::from(answer.body)).unwrap_or_default()
}

/// Sends what is due, a few times a second. How often the provider tries again is not
/// published, so this one does not.
pub async fn send_all(simulator: Simulator) {
    let Ok(client) = reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(10))
        .build()
    else {
        return;
    };
    loop {
        for callback in simulator.take_callbacks() {
            let mut request = client.post(&callback.url).body(callback.body);
            for (name, value) in callback.headers {
                request = request.header(name, value);
            }
            match request.send().await {
                Ok(answer) => eprintln!("callback answered with {}", answer.status()),
                Err(_) => eprintln!("callback could not be delivered"),
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
