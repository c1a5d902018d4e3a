//! What both example servers share: the demo school, its pages, the mounted simulator.
//! A real host has its own catalogue, its own sign-in and its own pages.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    unreachable_pub,
    missing_docs
)]

mod admin;
mod app;
mod audit_log;
mod bank;
pub mod browsers;
mod callbacks;
mod channel;
#[cfg(feature = "live")]
pub mod live;
mod pages;
#[allow(dead_code, reason = "actix brings its own server")]
mod serve;
mod shelf;
#[cfg(feature = "statements")]
mod upload;

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use coursegate::adapter::memory::MemoryStore;
use coursegate::adapter::simulator::{Fault, Settings, Simulator, UnknownAnswer};
use coursegate::{AppId, BankDetails, Config, Registrar, Secret, Site};
use tokio::sync::watch;

pub use admin::{Act, AdminQuery};
#[allow(
    unused_imports,
    reason = "actix answers the unauthorized by an error of its own"
)]
pub use app::problem;
pub use app::{App, Approval, Proof, Refund, Reply, SignIn, User, Verdict, Wish};
pub use pages::STYLE;
pub use serve::Limits;
#[cfg(feature = "statements")]
pub use serve::UPLOAD_PATH;
#[allow(unused_imports, reason = "actix brings its own server")]
pub use serve::{own_pages, serve};
#[cfg(feature = "statements")]
pub use upload::gathered;

/// Where the provider's callbacks arrive.
pub const WEBHOOK_PATH: &str = "/payments/ikhokha";

pub type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// The command line: ports, of which 0 picks a free one, and what the simulator shall do.
#[derive(Debug, Clone)]
pub struct Options {
    port: u16,
    simulator_port: u16,
    faults: Vec<Fault>,
    /// What it answers about a payment nobody knows.
    unknown: UnknownAnswer,
    /// How often it sends a callback again that was not taken.
    callback_retries: u32,
    /// How long the provider takes to answer.
    slow: Duration,
    /// The address that browsers know, where it is that of a proxy in front of this server.
    site: Option<String>,
}

const USAGE: &str = "use --port N, --simulator-port N, --site https://address.of.your.proxy, \
    --slow MILLISECONDS (the provider), --faults lost,duplicate,reorder,lag (or others), \
    --unknown null (or another answer) and --callback-retries N";

impl Options {
    pub fn from_args() -> Result<Self, String> {
        let mut options = Self {
            port: 8080,
            simulator_port: 8081,
            faults: Vec::new(),
            unknown: UnknownAnswer::NotFound,
            callback_retries: 0,
            slow: Duration::ZERO,
            site: None,
        };
        let mut args = std::env::args().skip(1);
        while let Some(name) = args.next() {
            let value = args
                .next()
                .ok_or_else(|| format!("{name} needs a value; {USAGE}"))?;
            let number = || {
                value
                    .parse()
                    .map_err(|_| format!("{name} needs a number from 0 to 65535, not {value}"))
            };
            match name.as_str() {
                "--port" => options.port = number()?,
                "--simulator-port" => options.simulator_port = number()?,
                "--slow" => options.slow = Duration::from_millis(number()?.into()),
                "--site" => {
                    let address = url::Url::parse(&value)
                        .map_err(|_| format!("{name} needs an address, not {value}"))?;
                    options.site = Some(address.origin().ascii_serialization());
                }
                "--faults" => {
                    let faults = value.split(',').map(|word| {
                        word.parse()
                            .map_err(|_| format!("{word} is no fault that the simulator knows"))
                    });
                    options.faults = faults.collect::<Result<_, _>>()?;
                }
                "--unknown" => {
                    options.unknown = value
                        .parse()
                        .map_err(|_| format!("{value} is no answer that the simulator knows"))?;
                }
                "--callback-retries" => {
                    options.callback_retries = value
                        .parse()
                        .map_err(|_| format!("{name} needs a number, not {value}"))?;
                }
                other => return Err(format!("unknown argument {other}; {USAGE}")),
            }
        }
        Ok(options)
    }
}

/// What scripts read from the first line.
#[derive(serde::Serialize)]
struct Started<'a> {
    app: &'a str,
    simulator: &'a str,
    app_id: &'a str,
    app_secret: &'a str,
    webhook_path: &'a str,
}

/// A demo school, ready to be served on `listener`.
pub struct Demo {
    pub app: App,
    pub listener: TcpListener,
}

impl Demo {
    /// Opens both ports, starts the simulator and the background work, and prints the
    /// one line of JSON that scripts read.
    pub async fn start(options: Options) -> Result<Self, AnyError> {
        // What happens goes to the error output; the first line of the other is for scripts.
        tracing_subscriber::fmt()
            .with_writer(std::io::stderr)
            .log_internal_errors(false)
            .with_max_level(tracing_subscriber::filter::LevelFilter::INFO)
            .try_init()?;
        let listener = listen(options.port)?;
        // Before anything is counted.
        #[cfg(feature = "metrics")]
        let metrics = metrics_exporter_prometheus::PrometheusBuilder::new().install_recorder()?;
        let simulator_listener = listen(options.simulator_port)?;
        let here = origin(listener.local_addr()?);
        let there = origin(simulator_listener.local_addr()?);
        let known = options.site.unwrap_or_else(|| here.clone());

        let app_id = format!(
            "IKTEST{}",
            &uuid::Uuid::new_v4().simple().to_string().to_uppercase()[..26]
        );
        let secret = format!(
            "test-secret-{}",
            &uuid::Uuid::new_v4().simple().to_string()[..20]
        );
        // Each fault that was asked for strikes every other time.
        let mut settings = options
            .faults
            .iter()
            .fold(Settings::new(1), |settings, fault| {
                settings.fault(*fault, 0.5)
            });
        settings.delay = Duration::from_secs(5);
        settings.unknown = options.unknown;
        settings.callback_retries = options.callback_retries;
        settings.callback_retry_pause = Duration::from_secs(5);
        let simulator =
            Simulator::new(AppId::new(&app_id)?, Secret::new(secret.clone())?, settings);
        simulator.set_pay_base(&there);

        let site = Site {
            callback_url: format!("{here}{WEBHOOK_PATH}"),
            success_url: format!("{known}/returned/{{reference}}"),
            failure_url: format!("{known}/failed/{{reference}}"),
            cancel_url: None,
            requester_url: known.clone(),
        };
        let mut config = Config::new(AppId::new(&app_id)?, Secret::new(secret.clone())?, site)?
            .bank(BankDetails {
                account_holder: "Demo School (made up)".into(),
                bank: "Demo Bank".into(),
                account_number: "000000001".into(),
                branch_code: "000001".into(),
            });
        // Sooner than in a real school, so that one can watch it: lost callbacks are made up for.
        let looks = [5, 10, 20, 60, 300, 3600];
        config.rules.reconciliation.first = looks.map(Duration::from_secs).to_vec();
        #[cfg(feature = "live")]
        let hub = coursegate::live::Hub::new();
        let registrar = match std::env::var("DATABASE_URL") {
            Ok(url) => {
                let store = postgres(&url).await?;
                let registrar = Registrar::builder(config, store.clone());
                // Several of these servers may share the database: each hears of all of them.
                #[cfg(all(feature = "live", feature = "postgres"))]
                let registrar = {
                    let announcer = store.announcer();
                    let (heard, missed) = (hub.clone(), hub.clone());
                    tokio::spawn(
                        async move { store.subscribe(heard, move || missed.resync()).await },
                    );
                    registrar.publisher(announcer)
                };
                registrar
            }
            Err(_) => {
                let registrar = Registrar::builder(config, MemoryStore::new());
                #[cfg(feature = "live")]
                let registrar = registrar.publisher(hub.clone());
                registrar
            }
        };
        let registrar = registrar
            .gateway(gateway(&simulator, &app_id, &secret, &there)?)
            .courses(app::offers)
            .channel(channel::Console);
        let registrar = registrar.build_for_tests()?;

        let worker = registrar.worker();
        tokio::spawn(async move { worker.run(std::future::pending()).await });
        tokio::spawn(callbacks::send_all(simulator.clone()));
        let slow = move |request: Request, next: Next| async move {
            tokio::time::sleep(options.slow).await;
            next.run(request).await
        };
        let provider = callbacks::mount(simulator.clone()).layer(from_fn(slow));
        let never = watch::channel(false).1;
        let simulator_listener = tokio::net::TcpListener::from_std(simulator_listener)?;
        tokio::spawn(serve(simulator_listener, provider, Limits::USUAL, never));

        let started = Started {
            app: &here,
            simulator: &there,
            app_id: &app_id,
            app_secret: &secret,
            webhook_path: WEBHOOK_PATH,
        };
        // The same key after a restart leaves everybody signed in.
        let cookie_key = std::env::var("COURSEGATE_DEMO_KEY")
            .unwrap_or_else(|_| format!("test-secret-{}", uuid::Uuid::new_v4().simple()));
        let cookie_key = Secret::new(cookie_key)?;
        println!("{}", serde_json::to_string(&started)?);
        eprintln!("Open {here} as a learner and {here}/admin as an admin. Stop with Ctrl-C.");
        Ok(Self {
            app: App::new(
                registrar,
                known,
                there,
                simulator,
                &cookie_key,
                #[cfg(feature = "live")]
                hub,
                #[cfg(feature = "metrics")]
                metrics,
            ),
            listener,
        })
    }
}

/// A store that outlives the process, in a schema of its own.
#[cfg(feature = "postgres")]
async fn postgres(url: &str) -> Result<coursegate::adapter::postgres::PgStore, AnyError> {
    use coursegate::adapter::postgres::{PgStore, pool_options};

    let store = PgStore::new(pool_options().connect(url).await?).schema("coursegate_demo")?;
    store.migrate().await?;
    Ok(store)
}

#[cfg(not(feature = "postgres"))]
async fn postgres(_: &str) -> Result<MemoryStore, AnyError> {
    Err("DATABASE_URL is set: add --features postgres to use it, or unset it".into())
}

/// The real client, over HTTP to the simulator beside this server.
#[cfg(feature = "ikhokha")]
fn gateway(
    _: &Simulator,
    app_id: &str,
    secret: &str,
    origin: &str,
) -> Result<coursegate::adapter::ikhokha::IkhokhaClient, AnyError> {
    use coursegate::adapter::ikhokha::IkhokhaClient;

    let client = IkhokhaClient::new(AppId::new(app_id)?, &Secret::new(secret)?)?;
    Ok(client.base_url(&format!("{origin}/public-api/v1/api"))?)
}

/// The simulator itself, without HTTP between.
#[cfg(not(feature = "ikhokha"))]
fn gateway(
    simulator: &Simulator,
    _: &str,
    _: &str,
    _: &str,
) -> Result<coursegate::adapter::simulator::SimulatorGateway, AnyError> {
    Ok(simulator.gateway())
}

/// Demos listen on this machine only.
fn listen(port: u16) -> Result<TcpListener, AnyError> {
    let listener = TcpListener::bind(("127.0.0.1", port)).map_err(|error| {
        format!(
            "port {port} cannot be opened ({error}); choose another with --port or --simulator-port"
        )
    })?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn origin(address: SocketAddr) -> String {
    format!("http://{address}")
}
