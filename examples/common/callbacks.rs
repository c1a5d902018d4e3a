//! The simulated provider on a port of its own, and the callbacks it sends.

use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Response, Uri};
use coursegate::adapter::simulator::{Callback, HttpRequest, Simulator, Transport};
use tokio::task::JoinSet;

/// Callbacks that are under way at once.
const AT_ONCE: usize = 32;
/// Time that a handler has to answer. The provider's own is not published.
const TIME_LIMIT: Duration = Duration::from_secs(10);
/// How long a call that is never answered is kept open: longer than any client waits.
const NEVER: Duration = Duration::from_secs(120);

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
    match answer.transport {
        Transport::Delay(delay) => tokio::time::sleep(delay).await,
        Transport::Hang => {
            tokio::time::sleep(NEVER).await;
            return cut();
        }
        Transport::Disconnect => return cut(),
        _ => {}
    }
    let mut response = Response::builder().status(answer.status);
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    response.body(Body::from(answer.body)).unwrap_or_default()
}

/// An answer that fails before its first byte of body, so that the server closes the connection.
fn cut() -> Response<Body> {
    let broken = std::io::Error::from(std::io::ErrorKind::ConnectionAborted);
    let body = futures_util::stream::once(std::future::ready(Err::<Bytes, _>(broken)));
    Response::new(Body::from_stream(body))
}

/// Sends what is due, a few times a second: 32 callbacks side by side, each for 10 s at most, so
/// that a handler that never answers delays nobody else.
pub async fn send_all(simulator: Simulator) {
    send_within(simulator, AT_ONCE, TIME_LIMIT).await;
}

/// The same with other limits.
pub async fn send_within(simulator: Simulator, at_once: usize, time_limit: Duration) {
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(time_limit);
    let Ok(client) = client.build() else {
        eprintln!("callbacks cannot be sent: the HTTP client could not be set up");
        return;
    };
    let mut sending = JoinSet::new();
    loop {
        for callback in simulator.take_callbacks() {
            while sending.len() >= at_once {
                sending.join_next().await;
            }
            sending.spawn(send(client.clone(), simulator.clone(), callback));
        }
        while sending.try_join_next().is_some() {}
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Sends one callback, and says what it was answered: the simulator may have to send it again.
async fn send(client: reqwest::Client, simulator: Simulator, callback: Callback) {
    let mut request = client.post(&callback.url).body(callback.body.clone());
    for (name, value) in &callback.headers {
        request = request.header(*name, value);
    }
    let status = match request.send().await {
        Ok(answer) => Some(answer.status().as_u16()),
        Err(_) => None,
    };
    let again = match simulator.callback_answered(&callback, status) {
        true => "; it is sent again",
        false => "",
    };
    match status {
        Some(status) => eprintln!("callback answered with {status}{again}"),
        None => eprintln!("callback could not be delivered{again}"),
    }
}
