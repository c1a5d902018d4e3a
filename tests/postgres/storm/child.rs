//! One of the two processes: a school's server with a worker, on a clock that runs fast.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use chrono::{DateTime, Utc};
use coursegate::access::AccessTerms;
use coursegate::adapter::ikhokha::IkhokhaClient;
use coursegate::adapter::postgres::{PgStore, pool_options};
use coursegate::event::Event;
use coursegate::port::{
    ChannelError, Clock, EventPublisher, Message, NotificationChannel, PublishError, Sleep,
    SystemClock,
};
use coursegate::reason::ExceptionAction;
use coursegate::webhook::Delivery;
use coursegate::{ChannelName, Config, Registrar};
use sqlx::{AssertSqlSafe, PgPool};

use super::act::Act;
use crate::support::{PATH, config};

/// How much faster the clocks run: a lease of 30 s is over in 1.5 s, one of 300 s in 15 s.
pub const SPEED: i32 = 20;

/// A clock that runs fast, and is ahead of others.
#[derive(Debug, Clone, Copy)]
pub struct FastClock {
    pub origin: DateTime<Utc>,
    pub ahead: chrono::Duration,
}

impl Clock for FastClock {
    fn now(&self) -> DateTime<Utc> {
        self.origin + (Utc::now() - self.origin) * SPEED + self.ahead
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        SystemClock.sleep(duration / SPEED.unsigned_abs())
    }

    fn is_test_double(&self) -> bool {
        true
    }
}

/// Everything a process is started with; it goes through the environment, as JSON.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Orders {
    pub name: String,
    pub seed: u64,
    pub schema: String,
    pub database: String,
    pub provider: String,
    pub origin: DateTime<Utc>,
    /// In milliseconds.
    pub ahead: i64,
}

impl Orders {
    pub const VARIABLE: &str = "COURSEGATE_STORM_ORDERS";

    pub fn clock(&self) -> FastClock {
        FastClock {
            origin: self.origin,
            ahead: chrono::Duration::milliseconds(self.ahead),
        }
    }

    /// Seeds differ in the house rules too, but not from process to process.
    fn config(&self) -> Config {
        let seconds = Duration::from_secs;
        let mut config = config();
        config.api_url.clone_from(&self.provider);
        (config.deadline, config.provider_wait) = (seconds(80), seconds(40));
        config.link_wait = seconds(60);
        (config.retry_delay_max, config.retry_limit) = (seconds(16), 8);
        (config.reconcile_every, config.sync_history_every) =
            (Some(seconds(60)), Some(seconds(120)));
        config.provider.visits_per_second = 1_000_000;
        config.provider.background_per_second = 1_000_000;
        config.rules.unpaid_expiry = Some(seconds(200));
        config.rules.transfer_expiry = Some(seconds(300));
        let choice = usize::try_from(self.seed % 3).unwrap();
        config.rules.money.duplicate = ExceptionAction::ALL[choice];
        config.rules.provisional = (self.seed / 3)
            .is_multiple_of(2)
            .then(|| AccessTerms::lasting(seconds(3 * 24 * 3600)));
        config.rules.dual_approval_above = (self.seed / 6).is_multiple_of(2).then_some(80_000);
        config
    }
}

/// Writes down what it hears, in the order in which it does.
#[derive(Debug)]
struct Listener {
    pool: PgPool,
    insert: Arc<str>,
    name: String,
}

#[async_trait::async_trait]
impl EventPublisher for Listener {
    async fn publish(&self, event: &Event) -> Result<(), PublishError> {
        sqlx::query(AssertSqlSafe(self.insert.clone()))
            .bind(event.id.as_uuid())
            .bind(event.enrollment.map(|id| id.as_uuid()))
            .bind(i64::try_from(event.version.0).unwrap())
            .bind(&self.name)
            .execute(&self.pool)
            .await
            .map_err(|error| PublishError(error.to_string()))?;
        Ok(())
    }

    fn is_test_double(&self) -> bool {
        true
    }
}

/// A mail server that is away every tenth time.
#[derive(Debug)]
struct Mail;

#[async_trait::async_trait]
impl NotificationChannel for Mail {
    fn name(&self) -> ChannelName {
        ChannelName::new("mail").unwrap()
    }

    fn reaches_learners(&self) -> bool {
        true
    }

    async fn send(&self, notification: &Message) -> Result<(), ChannelError> {
        let id = notification.notice.id.as_uuid();
        match id.as_bytes()[15].is_multiple_of(10) {
            true => Err(ChannelError::Unavailable("it is full".to_owned())),
            false => Ok(()),
        }
    }
}

struct Server {
    registrar: Registrar,
    store: PgStore,
}

/// Not a test: a process that the storm starts, freezes and kills. It ends by itself when
/// nobody holds the other end of its input.
#[test]
#[ignore = "a part of other tests"]
fn process() {
    let Ok(orders) = std::env::var(Orders::VARIABLE) else {
        return;
    };
    let orders: Orders = serde_json::from_str(&orders).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(serve(orders));
}

async fn serve(orders: Orders) {
    let pool = pool_options().connect(&orders.database).await.unwrap();
    let listener = Listener {
        pool: pool_options()
            .max_connections(2)
            .connect_lazy(&orders.database)
            .unwrap(),
        insert: format!(
            "INSERT INTO {}_outside.heard (event, enrollment, version, by) VALUES ($1, $2, $3, $4)",
            orders.schema
        )
        .into(),
        name: orders.name.clone(),
    };
    let store = PgStore::new(pool).schema(&orders.schema).unwrap();
    let config = orders.config();
    let gateway = IkhokhaClient::from_config(&config).unwrap();
    let registrar = Registrar::builder(config, store.clone())
        .gateway(gateway)
        .publisher(listener)
        .channel(Mail)
        .clock(orders.clock())
        .build_for_tests()
        .unwrap();
    let worker = registrar.worker();
    let server = Arc::new(Server { registrar, store });
    let routes = Router::new()
        .route(PATH, post(callback))
        .route("/act", post(act))
        .with_state(server);
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    // On a line of its own, whatever else was written.
    println!("\nport {}", socket.local_addr().unwrap().port());
    tokio::spawn(async move { axum::serve(socket, routes).await });
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    std::thread::spawn(move || {
        for _ in std::io::stdin().lines() {}
        drop(stop);
    });
    worker.run(async move { drop(stopped.await) }).await;
}

/// As the README shows it: in a task of its own, which outlives a caller who goes away.
async fn callback(
    State(server): State<Arc<Server>>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, String) {
    let headers: Vec<_> = headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()))
        .collect();
    let delivery = Delivery::new(PATH, headers, body.to_vec());
    let received = tokio::spawn(async move { server.registrar.receive(delivery).await });
    let receipt = received.await.unwrap();
    let status = StatusCode::from_u16(receipt.http_status()).unwrap();
    (status, receipt.outcome.as_str().to_owned())
}

/// Dropped in the middle when the caller goes away.
async fn act(State(server): State<Arc<Server>>, body: Bytes) -> String {
    let act: Act = serde_json::from_slice(&body).unwrap();
    let answer = act.perform(&server.registrar, &server.store).await;
    serde_json::to_string(&answer).unwrap()
}
