//! The demo school on actix-web, with the simulated provider beside it:
//! `cargo run --example actix_server --features simulator`.
//!
//! It has the limits of `common/serve.rs`, with one gap: actix-web cannot be told how long a client may
//! take nothing of an answer. `time_limit.rs` asks Linux to; elsewhere put a proxy in front.
#![allow(clippy::print_stderr)]

#[path = "../common/mod.rs"]
mod common;
mod time_limit;

use actix_web::body::MessageBody;
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::{ConnectionType, StatusCode, header};
use actix_web::middleware::{DefaultHeaders, Next, from_fn};
use actix_web::web::{self, Bytes, Data, Form, Json, Path, Query};
use actix_web::{App as Actix, FromRequest, HttpRequest, HttpResponse, HttpServer, Responder};
use serde::Deserialize;

use common::browsers::{ELSEWHERE, HEADERS, may_change};
use common::{AnyError, App, Demo, Limits, Options, Reply, User, WEBHOOK_PATH};

const LIMITS: Limits = Limits::USUAL;
const WORKERS: usize = 2;

/// What was filled in, field by field.
type Fields = std::collections::HashMap<String, String>;

#[actix_web::main]
async fn main() -> Result<(), AnyError> {
    let Demo { app, listener } = Demo::start(Options::from_args()?).await?;
    HttpServer::new(move || {
        let limit = web::PayloadConfig::new(LIMITS.body);
        let headers = HEADERS
            .into_iter()
            .fold(DefaultHeaders::new(), DefaultHeaders::add);
        // The provider calls from no page.
        let pages = web::scope("").wrap(from_fn(own_pages)).configure(routes);
        Actix::new()
            .app_data(Data::new(app.clone()))
            .app_data(limit)
            .wrap(from_fn(whole_body))
            .wrap(headers)
            .route(WEBHOOK_PATH, web::post().to(webhook))
            .service(pages)
    })
    .workers(WORKERS)
    .max_connections(LIMITS.connections as usize / WORKERS)
    .client_request_timeout(LIMITS.time_limit)
    .on_connect(time_limit::limit_writes)
    .listen(listener)?
    .run()
    .await?;
    Ok(())
}

fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/", web::get().to(learner_page))
        .route("/sign-in", web::post().to(sign_in))
        .route("/enroll", web::post().to(enroll_form))
        .route("/returned/{reference}", web::get().to(returned))
        .route("/failed/{reference}", web::get().to(failed))
        .route("/lessons/{course}", web::get().to(lesson_page))
        .route("/admin", web::get().to(queue_page))
        .route("/admin/enrollment/{id}", web::get().to(enrollment_page))
        .route("/admin/approve", web::post().to(approve_form))
        .route("/admin/reject", web::post().to(reject_form))
        .route("/admin/choose", web::post().to(choose_form))
        .route("/admin/act", web::post().to(act_form))
        .route("/admin/statement/match", web::post().to(match_form))
        .route("/admin/statement/same", web::post().to(same_form))
        .route("/admin/{page}", web::get().to(desk_page))
        .route("/admin/file/{name}", web::get().to(file))
        .route("/style.css", web::get().to(style))
        .route("/health", web::get().to(health))
        .route("/metrics", web::get().to(metrics))
        .route("/simulator/report", web::get().to(simulator_report))
        .route("/proof", web::post().to(proof_form))
        .route("/api/enroll", web::post().to(enroll_json))
        .route("/api/access", web::get().to(access_json))
        .route("/api/admin/pending", web::get().to(pending_json))
        .route("/api/admin/explain", web::get().to(explain_json))
        .route("/api/admin/approve", web::post().to(approve_json))
        .route("/api/admin/reject", web::post().to(reject_json))
        .route("/api/admin/refund", web::post().to(refund_json));
    #[cfg(feature = "statements")]
    config.route(common::UPLOAD_PATH, web::post().to(upload_form));
    #[cfg(feature = "live")]
    config
        .route("/api/live", web::get().to(learner_stream))
        .route("/api/admin/live", web::get().to(admin_stream))
        .route(
            "/page.js",
            web::get().to(async || script(common::live::PAGE)),
        )
        .route(
            "/coursegate.js",
            web::get().to(async || script(common::live::MODULE)),
        );
}

#[cfg(feature = "live")]
fn script(text: &'static str) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/javascript")
        .body(text)
}

#[cfg(feature = "live")]
async fn learner_stream(
    app: Data<App>,
    user: SignedIn,
    since: Query<common::live::Since>,
    request: HttpRequest,
) -> HttpResponse {
    let User::Learner(learner) = user.0 else {
        return HttpResponse::Forbidden().finish();
    };
    let since = since.or(last_event(&request));
    match common::live::learner(&app.hub, app.registrar(), learner, since).await {
        Some(stream) => event_stream().streaming(stream),
        None => HttpResponse::ServiceUnavailable().finish(),
    }
}

#[cfg(feature = "live")]
async fn admin_stream(
    app: Data<App>,
    user: SignedIn,
    since: Query<common::live::Since>,
    request: HttpRequest,
) -> HttpResponse {
    let User::Admin(person) = user.0 else {
        return HttpResponse::Forbidden().finish();
    };
    let since = since.or(last_event(&request));
    match common::live::admin(&app.hub, app.registrar(), person, since).await {
        Some(stream) => event_stream().streaming(stream),
        None => HttpResponse::Forbidden().finish(),
    }
}

#[cfg(feature = "live")]
fn last_event(request: &HttpRequest) -> Option<&str> {
    request.headers().get("last-event-id")?.to_str().ok()
}

#[cfg(feature = "live")]
fn event_stream() -> actix_web::HttpResponseBuilder {
    let mut response = HttpResponse::Ok();
    response
        .content_type("text/event-stream")
        .insert_header((header::CACHE_CONTROL, "no-store"));
    response
}

/// Takes posts from the pages of this site only.
async fn own_pages(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let headers = request.headers();
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let site = request.app_data::<Data<App>>().map_or("", |app| app.site());
    if may_change(site, request.method().as_str(), header) {
        return Ok(next.call(request).await?.map_into_left_body());
    }
    let refused = HttpResponse::Forbidden().body(ELSEWHERE);
    Ok(request.into_response(refused).map_into_right_body())
}

/// Takes the whole body in before any handler runs: at most so large, and in so much time. Files are
/// left to their handler, which takes them from admins only.
async fn whole_body(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let refuse = |request: ServiceRequest, status| {
        let mut response = HttpResponse::new(status);
        response
            .head_mut()
            .set_connection_type(ConnectionType::Close);
        Ok(request.into_response(response).map_into_right_body())
    };
    if request.headers().len() > LIMITS.headers {
        return refuse(request, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    }
    #[cfg(feature = "statements")]
    if request.path() == common::UPLOAD_PATH {
        return Ok(next.call(request).await?.map_into_left_body());
    }
    match tokio::time::timeout(LIMITS.time_limit, request.extract::<Bytes>()).await {
        Ok(Ok(bytes)) => {
            request.set_payload(Payload::from(bytes));
            Ok(next.call(request).await?.map_into_left_body())
        }
        Ok(Err(_)) => refuse(request, StatusCode::PAYLOAD_TOO_LARGE),
        Err(_) => refuse(request, StatusCode::REQUEST_TIMEOUT),
    }
}

/// The one route the provider calls: path, headers and raw bytes go in, a status comes out.
async fn webhook(app: Data<App>, request: HttpRequest, body: Bytes) -> Answer {
    let path = request
        .uri()
        .path_and_query()
        .map_or_else(|| request.path(), |path| path.as_str());
    Answer(
        app.clone(),
        app.webhook(path, request.headers().iter(), body.into())
            .await,
    )
}

async fn learner_page(app: Data<App>, visitor: Visitor) -> Answer {
    Answer(app.clone(), app.learner_page(visitor.0.as_ref()).await)
}

async fn sign_in(app: Data<App>, form: Form<common::SignIn>) -> Answer {
    Answer(app.clone(), app.sign_in(&form))
}

async fn enroll_form(app: Data<App>, user: SignedIn, wish: Form<common::Wish>) -> Answer {
    Answer(app.clone(), app.enroll_form(&user.0, &wish).await)
}

async fn returned(app: Data<App>, reference: Path<String>) -> Answer {
    Answer(app.clone(), app.returned(&reference, true).await)
}

async fn failed(app: Data<App>, reference: Path<String>) -> Answer {
    Answer(app.clone(), app.returned(&reference, false).await)
}

async fn lesson_page(app: Data<App>, visitor: Visitor, course: Path<String>) -> Answer {
    Answer(
        app.clone(),
        app.lesson_page(visitor.0.as_ref(), &course).await,
    )
}

async fn queue_page(app: Data<App>, visitor: Visitor, query: Query<common::AdminQuery>) -> Answer {
    let page = app.desk_page(visitor.0.as_ref(), "", &query).await;
    Answer(app, page)
}

async fn desk_page(
    app: Data<App>,
    visitor: Visitor,
    name: Path<String>,
    query: Query<common::AdminQuery>,
) -> Answer {
    let page = app.desk_page(visitor.0.as_ref(), &name, &query).await;
    Answer(app, page)
}

async fn file(
    app: Data<App>,
    visitor: Visitor,
    name: Path<String>,
    query: Query<common::AdminQuery>,
) -> Answer {
    let file = app.file(visitor.0.as_ref(), &name, &query.learner).await;
    Answer(app, file)
}

async fn enrollment_page(app: Data<App>, visitor: Visitor, id: Path<String>) -> Answer {
    let name = format!("enrollment/{id}");
    let query = common::AdminQuery::default();
    let page = app.desk_page(visitor.0.as_ref(), &name, &query).await;
    Answer(app, page)
}

async fn health(app: Data<App>) -> Answer {
    Answer(app.clone(), app.health_json().await)
}

async fn metrics(app: Data<App>) -> Answer {
    let text = app.metrics_text();
    Answer(app, text)
}

async fn simulator_report(app: Data<App>) -> Answer {
    let report = app.simulator_report();
    Answer(app, report)
}

async fn style() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/css")
        .body(common::STYLE)
}

async fn approve_form(app: Data<App>, user: SignedIn, form: Form<common::Verdict>) -> Answer {
    Answer(app.clone(), app.approve_form(&user.0, &form).await)
}

async fn reject_form(app: Data<App>, user: SignedIn, form: Form<common::Verdict>) -> Answer {
    Answer(app.clone(), app.reject_form(&user.0, &form).await)
}

async fn choose_form(
    app: Data<App>,
    user: SignedIn,
    fields: Form<std::collections::HashMap<String, String>>,
) -> Answer {
    Answer(app.clone(), app.choose_form(&user.0, &fields).await)
}

async fn act_form(app: Data<App>, user: SignedIn, form: Form<common::Act>) -> Answer {
    Answer(app.clone(), app.act_form(&user.0, &form).await)
}

async fn match_form(app: Data<App>, user: SignedIn, fields: Form<Fields>) -> Answer {
    Answer(app.clone(), app.match_form(&user.0, &fields).await)
}

async fn same_form(app: Data<App>, user: SignedIn, fields: Form<Fields>) -> Answer {
    Answer(app.clone(), app.same_form(&user.0, &fields).await)
}

/// A file of a bank: it may be larger than other requests.
#[cfg(feature = "statements")]
async fn upload_form(
    app: Data<App>,
    user: SignedIn,
    request: HttpRequest,
    body: web::Payload,
) -> Answer {
    let kind = request.headers().get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or("");
    let form = common::gathered(body);
    Answer(app.clone(), app.upload_form(&user.0, kind, form).await)
}

async fn proof_form(app: Data<App>, user: SignedIn, form: Form<common::Proof>) -> Answer {
    Answer(app.clone(), app.proof_form(&user.0, &form).await)
}

async fn enroll_json(app: Data<App>, user: SignedIn, wish: Json<common::Wish>) -> Answer {
    Answer(app.clone(), app.enroll_json(&user.0, &wish).await)
}

#[derive(Deserialize)]
struct CourseQuery {
    course: String,
}

async fn access_json(app: Data<App>, user: SignedIn, asked: Query<CourseQuery>) -> Answer {
    Answer(app.clone(), app.access_json(&user.0, &asked.course).await)
}

async fn pending_json(app: Data<App>, user: SignedIn) -> Answer {
    Answer(app.clone(), app.pending_json(&user.0).await)
}

#[derive(Deserialize)]
struct EnrollmentQuery {
    enrollment: String,
}

async fn explain_json(app: Data<App>, user: SignedIn, asked: Query<EnrollmentQuery>) -> Answer {
    Answer(
        app.clone(),
        app.explain_json(&user.0, &asked.enrollment).await,
    )
}

async fn approve_json(app: Data<App>, user: SignedIn, wanted: Json<common::Approval>) -> Answer {
    Answer(app.clone(), app.approve_json(&user.0, &wanted).await)
}

async fn reject_json(app: Data<App>, user: SignedIn, verdict: Json<common::Verdict>) -> Answer {
    Answer(app.clone(), app.reject_json(&user.0, &verdict).await)
}

async fn refund_json(app: Data<App>, user: SignedIn, refund: Json<common::Refund>) -> Answer {
    Answer(app.clone(), app.refund_json(&user.0, &refund).await)
}

/// Whoever asks, signed in or not.
struct Visitor(Option<User>);

impl FromRequest for Visitor {
    type Error = actix_web::Error;
    type Future = std::future::Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let cookies = request
            .headers()
            .get(header::COOKIE)
            .and_then(|value| value.to_str().ok());
        let user = request
            .app_data::<Data<App>>()
            .and_then(|app| app.user(request.path(), cookies));
        std::future::ready(Ok(Self(user)))
    }
}

/// Whoever is signed in; others get 401.
struct SignedIn(User);

impl FromRequest for SignedIn {
    type Error = actix_web::Error;
    type Future = std::future::Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let visitor = Visitor::from_request(request, payload).into_inner();
        std::future::ready(visitor.and_then(|visitor| {
            visitor
                .0
                .map(Self)
                .ok_or_else(|| actix_web::error::ErrorUnauthorized(r#"{"error":"sign in first"}"#))
        }))
    }
}

struct Answer(Data<App>, Reply);

impl Responder for Answer {
    type Body = actix_web::body::BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        let Self(app, reply) = self;
        let code =
            |status| StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let policy = (header::CONTENT_SECURITY_POLICY, app.content_policy());
        match reply {
            Reply::Page(status, page) => HttpResponse::build(code(status))
                .insert_header(policy)
                .content_type("text/html; charset=utf-8")
                .body(page),
            Reply::Text(text) => HttpResponse::Ok()
                .content_type("text/plain; charset=utf-8")
                .body(text),
            Reply::File { name, kind, body } => {
                let disposition = format!("attachment; filename=\"{name}\"");
                HttpResponse::Ok()
                    .content_type(kind)
                    .insert_header((header::CONTENT_DISPOSITION, disposition))
                    .body(body)
            }
            Reply::Json(status, body) => HttpResponse::build(code(status))
                .insert_header(policy)
                .json(body),
            Reply::To(url) => HttpResponse::SeeOther()
                .insert_header(policy)
                .insert_header((header::LOCATION, url))
                .finish(),
            Reply::SignedIn { cookie, to } => HttpResponse::SeeOther()
                .insert_header(policy)
                .insert_header((header::SET_COOKIE, cookie))
                .insert_header((header::LOCATION, to))
                .finish(),
        }
    }
}
