//! A server for real money, as small as it gets: settings from the environment, everything kept in
//! Postgres, iKhokha itself as the provider. It prints the report of `readiness`, and does not start
//! while something critical stands:
//! `cargo run --example production --features postgres,ikhokha -- --port 8080`.
//!
//! It has the three routes that every school needs, and leaves yours to you: your pages call
//! `registrar.enroll(..)` and `registrar.access(..)`, and your admin `registrar.admin(person)`. When a call
//! fails, learners are shown `error.for_learner()`, and the log the whole, `error.in_full()`. Sign-in
//! cookies of yours are `Secure`, `HttpOnly` and `SameSite=Lax`: `Strict` ones would not come back with a
//! learner from the provider's page.
//!
//! What it takes from the internet is in `common/serve.rs` and `common/browsers.rs`: limits for connections,
//! headers and bodies, headers of every answer, and posts from the pages of its own site only.
//!
//! To walk it on a laptop, set `COURSEGATE_MODE=staging` and `IKHOKHA_API_URL` to a simulator on the same
//! machine; README ("On a laptop first") has the commands. Everything else is as for real money.
//!
//! The database is named by `DATABASE_URL`. Once it serves, and every day, it looks at itself from outside:
//! whether callbacks arrive, and when its certificate ends. `--offline` leaves all outside alone.
//! `--connections N` are served at once, and each has `--time-limit SECONDS` for its headers, and again
//! for its body.
#![allow(clippy::print_stdout, clippy::print_stderr)]

#[path = "common/browsers.rs"]
#[allow(unreachable_pub)]
mod browsers;
#[path = "common/serve.rs"]
#[allow(unreachable_pub)]
mod serve;

use std::process::ExitCode;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Json, Redirect, Response};
use axum::routing::{get, post};
use coursegate::adapter::ikhokha::{HttpProbe, IkhokhaClient};
use coursegate::adapter::postgres::{PgStore, pool_options};
use coursegate::readiness::{self, LiveCheck};
use coursegate::reason::Permission;
use coursegate::webhook::Delivery;
use coursegate::{AdminId, Config, Environment, PaymentReference, Registrar};
use serde_json::json;
use serve::{Limits, own_pages, serve};
use tokio::net::TcpListener;
use tokio::sync::watch;

type AnyError = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> ExitCode {
    // A log that nobody takes any more must not stop a payment.
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .log_internal_errors(false)
        .with_max_level(tracing_subscriber::filter::LevelFilter::INFO)
        .init();
    match run().await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

async fn run() -> Result<ExitCode, AnyError> {
    let Arguments {
        port,
        probes,
        limits,
    } = arguments()?;
    let environment = Environment::of_process();
    let config = match Config::from_environment(&environment) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("{}", readiness::unusable(&error, &environment));
            return Ok(ExitCode::FAILURE);
        }
    };
    let callback_path = config.site.callback_path()?;
    let home = config.site.requester_url.clone();
    let site = url::Url::parse(&home)?.origin().ascii_serialization();

    let database = std::env::var("DATABASE_URL")
        .map_err(|_| "set DATABASE_URL to the address of your Postgres database")?;
    let store = PgStore::new(pool_options().connect_lazy(&database)?);
    store.migrate().await?;
    let client = IkhokhaClient::from_config(&config)?;
    let builder = Registrar::builder(config, store.clone())
        .gateway(client)
        .publisher(store.announcer())
        .permissions(may);
    let report = builder.probe(&environment, probes).await;
    eprintln!("{report}");
    let registrar = match builder.build_production(&report) {
        Ok(registrar) => registrar,
        Err(error) => {
            eprintln!("{error}");
            return Ok(ExitCode::FAILURE);
        }
    };

    let (stop, stopped) = watch::channel(false);
    tokio::spawn(async move {
        until_told_to_stop().await;
        let _ = stop.send(true);
    });
    let worker = registrar.worker();
    let working = tokio::spawn({
        let mut stopped = stopped.clone();
        async move {
            let stop = async move { drop(stopped.wait_for(|stop| *stop).await) };
            worker.run(stop).await;
        }
    });

    // From outside, once it serves, and every day.
    if probes.contains(&LiveCheck::Provider) {
        let (registrar, web) = (registrar.clone(), HttpProbe::new()?);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_secs(1)).await;
                let mut found = registrar.probe_certificate(&web).await;
                found.extend(registrar.probe_callbacks(&web).await);
                found.extend(registrar.running_findings());
                if found.is_empty() {
                    tracing::info!("callbacks arrive from outside");
                }
                for finding in found {
                    tracing::warn!(rule = %finding.rule, "{finding}");
                }
                tokio::time::sleep(Duration::from_secs(24 * 3600)).await;
            }
        });
    }

    let app = App { registrar, home };
    let pages = Router::new()
        .route("/paid/{reference}", get(paid))
        // For your probes and operators: do not let the proxy pass these on.
        .route("/health", get(health))
        .route("/keys", get(keys));
    let router = own_pages(pages, site)
        .route(&callback_path, post(webhook))
        .with_state(app);
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!(
        "{}",
        json!({ "app": format!("http://{}", listener.local_addr()?) })
    );
    serve(listener, router, limits, stopped).await;
    working.await?;
    Ok(ExitCode::SUCCESS)
}

struct Arguments {
    port: u16,
    probes: &'static [LiveCheck],
    limits: Limits,
}

fn arguments() -> Result<Arguments, AnyError> {
    let mut given = Arguments {
        port: 8080,
        probes: &[LiveCheck::Store, LiveCheck::Provider],
        limits: Limits::USUAL,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        if name == "--offline" {
            given.probes = &[LiveCheck::Store];
            continue;
        }
        let number = arguments.next().unwrap_or_default();
        match name.as_str() {
            "--port" => given.port = number.parse()?,
            "--connections" => given.limits.connections = number.parse()?,
            "--time-limit" => given.limits.time_limit = Duration::from_secs(number.parse()?),
            _ => return Err("use --port N, --offline, --connections N and --time-limit N".into()),
        }
    }
    Ok(given)
}

/// Who may do what at the admin: ask your own tables here.
fn may(_: &AdminId, what: Permission) -> bool {
    matches!(what, Permission::View | Permission::Approve)
}

/// Ctrl-C, or what a service manager sends.
async fn until_told_to_stop() {
    #[cfg(unix)]
    let terminated = async {
        use tokio::signal::unix::{SignalKind, signal};
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminated = std::future::pending::<()>();
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminated => {}
    }
}

#[derive(Clone)]
struct App {
    registrar: Registrar,
    home: String,
}

/// The provider's callback: path, headers and raw bytes go in, a status comes out.
async fn webhook(State(app): State<App>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let path = uri.path_and_query().map_or(uri.path(), |it| it.as_str());
    let headers = headers.iter().map(|(name, value)| (name, value.as_bytes()));
    let delivery = Delivery::new(path, headers, body);
    let registrar = app.registrar;
    // A task of its own: a sender that goes away does not stop it halfway.
    let received = tokio::spawn(async move { registrar.receive(delivery).await }).await;
    let status = received.map_or(500, |receipt| receipt.http_status());
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    status.into_response()
}

/// Where learners come back to: set `COURSEGATE_SUCCESS_URL` to `…/paid/{reference}`. The visit
/// proves nothing, so the provider is asked.
async fn paid(State(app): State<App>, Path(reference): Path<String>) -> Redirect {
    if let Ok(reference) = PaymentReference::new(reference) {
        // An error only means that the answer comes later, from the callback.
        let _ = app.registrar.refresh_payment(&reference).await;
    }
    Redirect::to(&app.home)
}

async fn health(State(app): State<App>) -> Response {
    let health = app.registrar.health().await;
    let status = StatusCode::from_u16(health.http_status());
    (
        status.unwrap_or(StatusCode::SERVICE_UNAVAILABLE),
        Json(health),
    )
        .into_response()
}

/// Which secrets callbacks are signed with, and what to do about an old one.
async fn keys(State(app): State<App>) -> Response {
    let (keys, findings) = (app.registrar.key_use(), app.registrar.running_findings());
    Json(json!({ "keys": keys, "findings": findings })).into_response()
}
