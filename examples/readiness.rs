//! Is this installation ready for real money? Reads the environment, prints the report, and ends with
//! status 1 while something critical stands:
//! `cargo run --example readiness --features postgres,ikhokha`.
//!
//! `--json` prints it for programs, `--migrate` brings the database's schema up to date first, and
//! `--offline` leaves the provider alone. The database is named by `DATABASE_URL`.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::process::ExitCode;

#[cfg(feature = "ikhokha")]
use coursegate::port::PaymentGateway;
use coursegate::readiness::{self, LiveCheck, Report};
use coursegate::registrar::RegistrarBuilder;
use coursegate::{Config, Environment, Registrar};

type AnyError = Box<dyn std::error::Error>;

#[derive(Default)]
struct Options {
    json: bool,
    migrate: bool,
    offline: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let mut options = Options::default();
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--json" => options.json = true,
            "--migrate" => options.migrate = true,
            "--offline" => options.offline = true,
            _ => {
                eprintln!("use --json, --migrate and --offline");
                return ExitCode::from(2);
            }
        }
    }
    match report(&options).await {
        Ok(report) => {
            match (options.json, serde_json::to_string_pretty(&report)) {
                (true, Ok(json)) => println!("{json}"),
                _ => println!("{report}"),
            }
            if report.ready {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

async fn report(options: &Options) -> Result<Report, AnyError> {
    let environment = Environment::of_process();
    let config = match Config::from_environment(&environment) {
        Ok(config) => config,
        Err(error) => return Ok(readiness::unusable(&error, &environment)),
    };
    #[cfg(feature = "ikhokha")]
    let client = client(&config)?;
    let builder = with_store(config, options).await?;
    #[cfg(feature = "ikhokha")]
    let builder = builder.gateway(client);
    let probes: &[LiveCheck] = match options.offline {
        true => &[LiveCheck::Store],
        false => &[LiveCheck::Store, LiveCheck::Provider],
    };
    Ok(builder.probe(&environment, probes).await)
}

#[cfg(feature = "postgres")]
async fn with_store(config: Config, options: &Options) -> Result<RegistrarBuilder, AnyError> {
    use coursegate::adapter::postgres::{PgStore, pool_options};

    let url = std::env::var("DATABASE_URL")
        .map_err(|_| "set DATABASE_URL to the address of your Postgres database")?;
    // It connects when it is asked, so that a database that is down is a finding.
    let store = PgStore::new(pool_options().connect_lazy(&url)?);
    if options.migrate {
        store.migrate().await?;
    }
    let announcer = store.announcer();
    Ok(Registrar::builder(config, store).publisher(announcer))
}

#[cfg(not(feature = "postgres"))]
async fn with_store(config: Config, _: &Options) -> Result<RegistrarBuilder, AnyError> {
    use coursegate::adapter::memory::MemoryStore;

    Ok(Registrar::builder(config, MemoryStore::new()))
}

/// The client that the application itself uses: give it the settings that are its own.
#[cfg(feature = "ikhokha")]
fn client(config: &Config) -> Result<impl PaymentGateway + use<>, AnyError> {
    use coursegate::adapter::ikhokha::IkhokhaClient;

    Ok(IkhokhaClient::from_config(config)?)
}
