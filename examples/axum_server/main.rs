//! The demo school on axum, with the simulated provider beside it:
//! `cargo run --example axum_server --features simulator`.
#![allow(clippy::print_stderr)]

#[path = "../common/mod.rs"]
mod common;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Form, FromRequestParts, Json, Path, Query, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::sync::watch;

use common::{AnyError, App, Demo, Limits, Options, Reply, User, WEBHOOK_PATH, own_pages};

#[tokio::main]
async fn main() -> Result<(), AnyError> {
    let Demo { app, listener } = Demo::start(Options::from_args()?).await?;
    let never = watch::channel(false).1;
    let listener = TcpListener::from_std(listener)?;
    common::serve(listener, router(app), Limits::USUAL, never).await;
    Ok(())
}

fn router(app: App) -> Router {
    let pages = Router::new()
        .route("/", get(learner_page))
        .route("/sign-in", post(sign_in))
        .route("/enroll", post(enroll_form))
        .route("/returned/{reference}", get(returned))
        .route("/failed/{reference}", get(failed))
        .route("/lessons/{course}", get(lesson_page))
        .route("/admin", get(queue_page))
        .route("/admin/{page}", get(desk_page))
        .route("/admin/file/{name}", get(file))
        .route("/admin/enrollment/{id}", get(enrollment_page))
        .route("/admin/approve", post(approve_form))
        .route("/admin/reject", post(reject_form))
        .route("/admin/choose", post(choose_form))
        .route("/admin/act", post(act_form))
        .route("/admin/statement/match", post(match_form))
        .route("/admin/statement/same", post(same_form))
        .route("/style.css", get(style))
        .route("/health", get(health))
        .route("/metrics", get(metrics))
        .route("/simulator/report", get(simulator_report))
        .route("/proof", post(proof_form))
        .route("/api/enroll", post(enroll_json))
        .route("/api/access", get(access_json))
        .route("/api/admin/pending", get(pending_json))
        .route("/api/admin/explain", get(explain_json))
        .route("/api/admin/approve", post(approve_json))
        .route("/api/admin/reject", post(reject_json))
        .route("/api/admin/refund", post(refund_json))
        .merge(live_routes())
        .merge(upload_route());
    own_pages(pages, app.site().to_owned())
        .route(WEBHOOK_PATH, post(webhook))
        .with_state(app)
}

/// Streams of what changed, and the script that reads them.
#[cfg(feature = "live")]
fn live_routes() -> Router<App> {
    Router::new()
        .route("/api/live", get(learner_stream))
        .route("/api/admin/live", get(admin_stream))
        .route("/page.js", get(async || script(common::live::PAGE)))
        .route("/coursegate.js", get(async || script(common::live::MODULE)))
}

#[cfg(feature = "live")]
fn script(text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, "text/javascript")], text).into_response()
}

#[cfg(not(feature = "live"))]
fn live_routes() -> Router<App> {
    Router::new()
}

#[cfg(feature = "live")]
async fn learner_stream(
    State(app): State<App>,
    SignedIn(user): SignedIn,
    Query(since): Query<common::live::Since>,
    headers: HeaderMap,
) -> Response {
    let User::Learner(learner) = user else {
        return StatusCode::FORBIDDEN.into_response();
    };
    let since = since.or(last_event(&headers));
    match common::live::learner(&app.hub, app.registrar(), learner, since).await {
        Some(stream) => event_stream(axum::body::Body::from_stream(stream)),
        None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

#[cfg(feature = "live")]
async fn admin_stream(
    State(app): State<App>,
    SignedIn(user): SignedIn,
    Query(since): Query<common::live::Since>,
    headers: HeaderMap,
) -> Response {
    let User::Admin(person) = user else {
        return StatusCode::FORBIDDEN.into_response();
    };
    let since = since.or(last_event(&headers));
    match common::live::admin(&app.hub, app.registrar(), person, since).await {
        Some(stream) => event_stream(axum::body::Body::from_stream(stream)),
        None => StatusCode::FORBIDDEN.into_response(),
    }
}

#[cfg(feature = "live")]
fn last_event(headers: &HeaderMap) -> Option<&str> {
    headers.get("last-event-id")?.to_str().ok()
}

#[cfg(feature = "live")]
fn event_stream(body: axum::body::Body) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, body).into_response()
}

/// The one route the provider calls: path, headers and raw bytes go in, a status comes out.
async fn webhook(State(app): State<App>, uri: Uri, headers: HeaderMap, body: Bytes) -> Answer {
    let path = uri
        .path_and_query()
        .map_or_else(|| uri.path(), |path| path.as_str());
    Answer(
        app.clone(),
        app.webhook(path, headers.iter(), body.into()).await,
    )
}

async fn learner_page(State(app): State<App>, Visitor(user): Visitor) -> Answer {
    Answer(app.clone(), app.learner_page(user.as_ref()).await)
}

async fn sign_in(State(app): State<App>, Form(form): Form<common::SignIn>) -> Answer {
    Answer(app.clone(), app.sign_in(&form))
}

async fn enroll_form(
    State(app): State<App>,
    SignedIn(user): SignedIn,
    Form(wish): Form<common::Wish>,
) -> Answer {
    Answer(app.clone(), app.enroll_form(&user, &wish).await)
}

async fn returned(State(app): State<App>, Path(reference): Path<String>) -> Answer {
    Answer(app.clone(), app.returned(&reference, true).await)
}

async fn failed(State(app): State<App>, Path(reference): Path<String>) -> Answer {
    Answer(app.clone(), app.returned(&reference, false).await)
}

async fn lesson_page(
    State(app): State<App>,
    Visitor(user): Visitor,
    Path(course): Path<String>,
) -> Answer {
    Answer(app.clone(), app.lesson_page(user.as_ref(), &course).await)
}

async fn queue_page(
    State(app): State<App>,
    Visitor(user): Visitor,
    Query(query): Query<common::AdminQuery>,
) -> Answer {
    let page = app.desk_page(user.as_ref(), "", &query).await;
    Answer(app, page)
}

async fn desk_page(
    State(app): State<App>,
    Visitor(user): Visitor,
    Path(name): Path<String>,
    Query(query): Query<common::AdminQuery>,
) -> Answer {
    let page = app.desk_page(user.as_ref(), &name, &query).await;
    Answer(app, page)
}

async fn file(
    State(app): State<App>,
    Visitor(user): Visitor,
    Path(name): Path<String>,
    Query(query): Query<common::AdminQuery>,
) -> Answer {
    let file = app.file(user.as_ref(), &name, &query.learner).await;
    Answer(app, file)
}

async fn enrollment_page(
    State(app): State<App>,
    Visitor(user): Visitor,
    Path(id): Path<String>,
) -> Answer {
    let name = format!("enrollment/{id}");
    let query = common::AdminQuery::default();
    let page = app.desk_page(user.as_ref(), &name, &query).await;
    Answer(app, page)
}

async fn health(State(app): State<App>) -> Answer {
    Answer(app.clone(), app.health_json().await)
}

async fn metrics(State(app): State<App>) -> Answer {
    let text = app.metrics_text();
    Answer(app, text)
}

async fn simulator_report(State(app): State<App>) -> Answer {
    let report = app.simulator_report();
    Answer(app, report)
}

async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css")], common::STYLE).into_response()
}

async fn approve_form(
    State(app): State<App>,
    SignedIn(user): SignedIn,
    Form(form): Form<common::Verdict>,
) -> Answer {
    Answer(app.clone(), app.approve_form(&user, &form).await)
}

async fn reject_form(
    State(app): State<App>,
    SignedIn(user): SignedIn,
    Form(form): Form<common::Verdict>,
) -> Answer {
    Answer(app.clone(), app.reject_form(&user, &form).await)
}

async fn choose_form(
    State(app): State<App>,
    SignedIn(user): SignedIn,
    Form(fields): Form<std::collections::HashMap<String, String>>,
) -> Answer {
    Answer(app.clone(), app.choose_form(&user, &fields).await)
}

async fn act_form(
    State(app): State<App>,
    SignedIn(user): SignedIn,
    Form(form): Form<common::Act>,
) -> Answer {
    Answer(app.clone(), app.act_form(&user, &form).await)
}

async fn match_form(
    State(app): State<App>,
    SignedIn(user): SignedIn,
    Form(fields): Form<std::collections::HashMap<String, String>>,
) -> Answer {
    Answer(app.clone(), app.match_form(&user, &fields).await)
}

async fn same_form(
    State(app): State<App>,
    SignedIn(user): SignedIn,
    Form(fields): Form<std::collections::HashMap<String, String>>,
) -> Answer {
    Answer(app.clone(), app.same_form(&user, &fields).await)
}

#[cfg(not(feature = "statements"))]
fn upload_route() -> Router<App> {
    Router::new()
}

#[cfg(feature = "statements")]
fn upload_route() -> Router<App> {
    Router::new().route(common::UPLOAD_PATH, post(upload_form))
}

/// A file of a bank: it may be larger than other requests.
#[cfg(feature = "statements")]
async fn upload_form(
    State(app): State<App>,
    SignedIn(user): SignedIn,
    headers: HeaderMap,
    body: axum::body::Body,
) -> Answer {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or("");
    let form = common::gathered(body.into_data_stream());
    let reply = app.upload_form(&user, kind, form).await;
    Answer(app, reply)
}

async fn proof_form(
    State(app): State<App>,
    SignedIn(user): SignedIn,
    Form(form): Form<common::Proof>,
) -> Answer {
    Answer(app.clone(), app.proof_form(&user, &form).await)
}

async fn enroll_json(
    State(app): State<App>,
    SignedIn(user): SignedIn,
    Json(wish): Json<common::Wish>,
) -> Answer {
    Answer(app.clone(), app.enroll_json(&user, &wish).await)
}

#[derive(Deserialize)]
struct CourseQuery {
    course: String,
}

async fn access_json(
    State(app): State<App>,
    SignedIn(user): SignedIn,
    Query(asked): Query<CourseQuery>,
) -> Answer {
    Answer(app.clone(), app.access_json(&user, &asked.course).await)
}

async fn pending_json(State(app): State<App>, SignedIn(user): SignedIn) -> Answer {
    Answer(app.clone(), app.pending_json(&user).await)
}

#[derive(Deserialize)]
struct EnrollmentQuery {
    enrollment: String,
}

async fn explain_json(
    State(app): State<App>,
    SignedIn(user): SignedIn,
    Query(asked): Query<EnrollmentQuery>,
) -> Answer {
    Answer(
        app.clone(),
        app.explain_json(&user, &asked.enrollment).await,
    )
}

async fn approve_json(
    State(app): State<App>,
    SignedIn(user): SignedIn,
    Json(wanted): Json<common::Approval>,
) -> Answer {
    Answer(app.clone(), app.approve_json(&user, &wanted).await)
}

async fn reject_json(
    State(app): State<App>,
    SignedIn(user): SignedIn,
    Json(verdict): Json<common::Verdict>,
) -> Answer {
    Answer(app.clone(), app.reject_json(&user, &verdict).await)
}

async fn refund_json(
    State(app): State<App>,
    SignedIn(user): SignedIn,
    Json(refund): Json<common::Refund>,
) -> Answer {
    Answer(app.clone(), app.refund_json(&user, &refund).await)
}

/// Whoever asks, signed in or not.
struct Visitor(Option<User>);

impl FromRequestParts<App> for Visitor {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Self::Rejection> {
        let cookies = parts
            .headers
            .get(header::COOKIE)
            .and_then(|value| value.to_str().ok());
        Ok(Self(app.user(parts.uri.path(), cookies)))
    }
}

/// Whoever is signed in; others get 401.
struct SignedIn(User);

impl FromRequestParts<App> for SignedIn {
    type Rejection = Answer;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Answer> {
        let Ok(Visitor(user)) = Visitor::from_request_parts(parts, app).await;
        user.map(Self)
            .ok_or_else(|| Answer(app.clone(), common::problem(401, "sign in first")))
    }
}

struct Answer(App, Reply);

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let Self(app, reply) = self;
        let code =
            |status| StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = match reply {
            Reply::Page(status, page) => (code(status), axum::response::Html(page)).into_response(),
            Reply::Json(status, body) => (code(status), Json(body)).into_response(),
            Reply::Text(text) => text.into_response(),
            Reply::File { name, kind, body } => (
                [
                    (header::CONTENT_TYPE, kind.to_owned()),
                    (
                        header::CONTENT_DISPOSITION,
                        format!("attachment; filename=\"{name}\""),
                    ),
                ],
                body,
            )
                .into_response(),
            Reply::To(url) => (StatusCode::SEE_OTHER, [(header::LOCATION, url)]).into_response(),
            Reply::SignedIn { cookie, to } => (
                StatusCode::SEE_OTHER,
                [
                    (header::SET_COOKIE, cookie),
                    (header::LOCATION, to.to_owned()),
                ],
            )
                .into_response(),
        };
        if let Ok(policy) = app.content_policy().parse() {
            response
                .headers_mut()
                .insert(header::CONTENT_SECURITY_POLICY, policy);
        }
        response
    }
}
