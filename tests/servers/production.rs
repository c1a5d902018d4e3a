//! The server for real money: it does not start before it is ready, and a secret is exchanged
//! without losing a callback.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use coursegate::adapter::postgres::{PgStore, pool_options};
use coursegate::store::{InboxFilter, PageRequest, Queries};
use coursegate::webhook::Signer;
use coursegate::{AppId, Secret};
use reqwest::Client;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::cluster::Cluster;
use crate::visitors::is_guarded;
use crate::{Server, binary};

const PATH: &str = "/payments/ikhokha";
/// Made up, and long and mixed enough to look like the provider's.
const APP: &str = "IKMADEUPAPPLICATIONFORREADINESS1";
const OLD: &str = "ThisIsNoRealKeyButOnlyForTesting";
const NEW: &str = "AnotherMadeUpKeyNobodyEverUsed12";

fn settings(database: &str) -> Vec<(&'static str, String)> {
    let page = "https://school.co.za".to_owned();
    vec![
        ("DATABASE_URL", database.to_owned()),
        ("IKHOKHA_APP_ID", APP.to_owned()),
        ("IKHOKHA_APP_SECRET", OLD.to_owned()),
        ("COURSEGATE_CALLBACK_URL", format!("{page}{PATH}")),
        (
            "COURSEGATE_SUCCESS_URL",
            format!("{page}/paid/{{reference}}"),
        ),
        ("COURSEGATE_FAILURE_URL", format!("{page}/failed")),
        ("COURSEGATE_SITE_URL", page),
    ]
}

fn command(settings: &[(&'static str, String)]) -> Command {
    let mut command = online(settings);
    command.arg("--offline");
    command
}

/// It asks the provider before it starts.
fn online(settings: &[(&'static str, String)]) -> Command {
    let mut command = Command::new(binary("production"));
    command
        .args(["--port", "0"])
        .env_clear()
        .envs(settings.iter().cloned())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// A callback about a payment that nobody here knows, and its signature.
fn signed(secret: &str, number: usize) -> (String, String) {
    let body = format!(
        r#"{{"paylinkID":"link{number}","status":"SUCCESS","externalTransactionID":"CG-{number}","responseCode":"00"}}"#
    );
    let signer = Signer::new(&Secret::new(secret).unwrap());
    let signature = signer.sign(PATH, body.as_bytes()).to_hex();
    (body, signature)
}

/// What a signed callback looks like on the wire.
fn request(number: usize) -> String {
    let (body, signature) = signed(OLD, number);
    format!(
        "POST {PATH} HTTP/1.1\r\nhost: school.co.za\r\nik-appid: {APP}\r\nik-sign: {signature}\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

struct School {
    child: Child,
    app: String,
}

impl School {
    fn open(settings: &[(&'static str, String)]) -> Self {
        Self::open_with(settings, &[])
    }

    fn open_with(settings: &[(&'static str, String)], arguments: &[&str]) -> Self {
        Self::run(command(settings).args(arguments))
    }

    fn run(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut line).unwrap();
        if line.is_empty() {
            let mut why = String::new();
            child
                .stderr
                .take()
                .unwrap()
                .read_to_string(&mut why)
                .unwrap();
            panic!("it does not start: {why}");
        }
        // Nobody takes its log: that must not matter.
        drop(child.stderr.take());
        let said: Value = serde_json::from_str(&line).unwrap();
        let app = said["app"].as_str().unwrap().to_owned();
        Self { child, app }
    }

    fn address(&self) -> &str {
        self.app.strip_prefix("http://").unwrap()
    }

    async fn callback(&self, secret: &str, number: usize) -> u16 {
        let (body, signature) = signed(secret, number);
        let client = Client::builder().no_proxy().build().unwrap();
        let answer = client
            .post(format!("{}{PATH}", self.app))
            .header("IK-APPID", AppId::new(APP).unwrap().as_str())
            .header("IK-SIGN", signature)
            .body(body)
            .send();
        answer.await.unwrap().status().as_u16()
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let client = Client::builder().no_proxy().build().unwrap();
        let answer = client.get(format!("{}{path}", self.app)).send();
        let answer = answer.await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// As a service manager does; it ends what it is in the middle of.
    fn close(mut self) {
        let told = Command::new("kill")
            .arg(self.child.id().to_string())
            .status();
        assert!(told.unwrap().success());
        let begun = Instant::now();
        while self.child.try_wait().unwrap().is_none() {
            assert!(begun.elapsed() < Duration::from_secs(20), "it does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
    }
}

impl Drop for School {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn it_starts_when_it_is_ready_and_a_rotation_loses_no_callback() {
    let cluster = Cluster::start();
    let database = cluster.url();
    // Not while anything critical stands.
    let mut hurried = settings(&database);
    hurried[2].1 = "test-secret-0123456789abcdef".to_owned();
    hurried.push(("COURSEGATE_MODE", "test".to_owned()));
    let output = command(&hurried).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.stdout.is_empty(), "it listens");
    assert!(
        said.contains("not ready for real money: ")
            && said.contains("secret_placeholder")
            && said.contains("test_mode")
            && !said.contains("test-secret-0123456789abcdef"),
        "{said}"
    );
    hurried.push(("COURSEGATE_RETRIES", "many".to_owned()));
    let output = command(&hurried).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.code() == Some(1) && said.contains("COURSEGATE_RETRIES"),
        "{said}"
    );

    // Before the rotation.
    let before = settings(&database);
    let school = School::open(&before);
    assert_eq!(school.callback(OLD, 1).await, 200);
    assert_eq!(school.callback(NEW, 2).await, 401);
    let (status, health) = school.get("/health").await;
    assert_eq!(
        (status, health["condition"].as_str()),
        (200, Some("ok")),
        "{health}"
    );
    school.close();

    // The new secret is the current one, and the old one is accepted beside it.
    let mut during = settings(&database);
    during[2].1 = NEW.to_owned();
    let mut after = during.clone();
    during.push(("IKHOKHA_WEBHOOK_SECRETS", format!("old={OLD}")));
    let school = School::open(&during);
    assert_eq!(school.callback(OLD, 3).await, 200, "a link made before");
    assert_eq!(school.callback(NEW, 4).await, 200, "a link made since");
    let (_, keys) = school.get("/keys").await;
    let used = |at: usize| {
        (
            keys["keys"][at]["label"].clone(),
            keys["keys"][at]["callbacks"].clone(),
        )
    };
    assert_eq!(used(0), ("primary".into(), 1.into()), "{keys}");
    assert_eq!(used(1), ("old".into(), 1.into()), "{keys}");
    assert_eq!(keys["findings"][0]["rule"], "old_secret_used", "{keys}");
    assert!(!keys.to_string().contains(OLD) && !keys.to_string().contains(NEW));
    school.close();

    // Once nothing comes with the old one any more, it is dropped.
    after.push(("COURSEGATE_KEEP_BODIES_DAYS", "400".to_owned()));
    let school = School::open(&after);
    assert_eq!(school.callback(NEW, 5).await, 200);
    assert_eq!(school.callback(OLD, 6).await, 401);
    school.close();

    // Everything that was answered with 200 is there.
    assert_eq!(kept(&database).await, ["CG-1", "CG-3", "CG-4", "CG-5"]);
}

/// The callbacks in the inbox, by their references.
async fn kept(database: &str) -> Vec<String> {
    let store = PgStore::new(pool_options().connect(database).await.unwrap());
    let page = PageRequest::first(10);
    let page = store.inbox(InboxFilter::Parked, page).await.unwrap();
    let references = page.items.iter().map(|entry| &entry.reference);
    let mut kept: Vec<String> = references
        .map(|reference| reference.as_ref().unwrap().as_str().to_owned())
        .collect();
    kept.sort_unstable();
    kept
}

/// How somebody holds a connection open without ever asking for anything.
#[derive(Debug, Clone, Copy)]
enum HalfOpen {
    Silent,
    HalfHeader,
    /// A byte every now and then, so that something always seems to come.
    SlowHeader,
    HalfBody,
    SlowBody,
    /// One whole request, and then nothing.
    KeptAlive,
}

impl HalfOpen {
    const ALL: [Self; 6] = [
        Self::Silent,
        Self::HalfHeader,
        Self::SlowHeader,
        Self::HalfBody,
        Self::SlowBody,
        Self::KeptAlive,
    ];

    fn bytes(self) -> &'static str {
        match self {
            Self::Silent => "",
            Self::HalfHeader | Self::SlowHeader => {
                "POST /payments/ikhokha HTTP/1.1\r\nhost: a\r\nik-app"
            }
            Self::HalfBody | Self::SlowBody => {
                "POST /payments/ikhokha HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\n{"
            }
            Self::KeptAlive => "GET /nothing HTTP/1.1\r\nhost: a\r\n\r\n",
        }
    }

    /// How long the server holds it.
    async fn held(self, address: String) -> Duration {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let begun = Instant::now();
        stream.write_all(self.bytes().as_bytes()).await.unwrap();
        let (mut from, mut to) = stream.split();
        let drip = async {
            let drips = matches!(self, Self::SlowHeader | Self::SlowBody);
            // It is closed when this fails, which the other half sees too.
            while drips && to.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            std::future::pending::<()>().await;
        };
        let mut answer = Vec::new();
        tokio::select! {
            () = drip => {}
            // Closed, or reset because the rest of a body is not wanted.
            _ = from.read_to_end(&mut answer) => {}
        }
        let answer = String::from_utf8_lossy(&answer);
        let refused = answer.is_empty() || answer.starts_with("HTTP/1.1 4");
        assert!(refused, "{self:?}: {answer}");
        begun.elapsed()
    }
}

#[tokio::test]
async fn half_open_connections_are_closed_and_others_are_answered() {
    let cluster = Cluster::start();
    let arguments = ["--time-limit", "1", "--connections", "120"];
    let school = School::open_with(&settings(&cluster.url()), &arguments);
    let time_limit = Duration::from_secs(1);
    // Fewer than it serves at once; then more, so that some wait for a place (128 do in the system's
    // queue, and what comes beyond that is never accepted).
    for (connections, longest) in [(90, time_limit * 2), (210, time_limit * 4)] {
        let held: Vec<_> = HalfOpen::ALL
            .into_iter()
            .cycle()
            .take(connections)
            .map(|half| (half, tokio::spawn(half.held(school.address().to_owned()))))
            .collect();
        tokio::time::sleep(Duration::from_millis(100)).await;
        let begun = Instant::now();
        assert_eq!(school.callback(OLD, connections).await, 200);
        assert!(begun.elapsed() < longest, "{:?}", begun.elapsed());
        for (half, held) in held {
            let held = tokio::time::timeout(Duration::from_secs(30), held).await;
            let held = held.unwrap_or_else(|_| panic!("{half:?} of {connections} is never closed"));
            let held = held.unwrap();
            assert!(held < longest, "{half:?} was held for {held:?}");
        }
    }
    // Whoever asks and asks, and takes no answer.
    let deaf = TcpSocket::new_v4().unwrap();
    deaf.set_recv_buffer_size(4096).unwrap();
    let mut deaf = deaf
        .connect(school.address().parse().unwrap())
        .await
        .unwrap();
    let questions = "GET /nothing HTTP/1.1\r\nhost: a\r\n\r\n".repeat(1000);
    let asking = async { while deaf.write_all(questions.as_bytes()).await.is_ok() {} };
    let closed = tokio::time::timeout(Duration::from_secs(20), asking).await;
    assert!(closed.is_ok(), "it is held for ever");
    // One that is still open does not keep the server from ending.
    let silent = TcpStream::connect(school.address()).await.unwrap();
    let begun = Instant::now();
    school.close();
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "{:?}",
        begun.elapsed()
    );
    drop(silent);
}

/// The connection is cut while the database does not answer: the callback is kept all the same.
#[tokio::test]
async fn a_callback_whose_caller_goes_away_is_kept() {
    let cluster = Cluster::start();
    let school = School::open(&settings(&cluster.url()));
    assert_eq!(school.callback(OLD, 1).await, 200);
    let frozen = cluster.freeze();
    let mut caller = TcpStream::connect(school.address()).await.unwrap();
    caller.write_all(request(2).as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    caller.set_zero_linger().unwrap();
    drop(caller);
    tokio::time::sleep(Duration::from_millis(500)).await;
    drop(frozen);
    let begun = Instant::now();
    while kept(&cluster.url()).await != ["CG-1", "CG-2"] {
        assert!(begun.elapsed() < Duration::from_secs(8), "it is lost");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    school.close();
}

#[tokio::test]
async fn posts_come_from_its_own_pages_or_from_the_provider() {
    let cluster = Cluster::start();
    let school = School::open(&settings(&cluster.url()));
    let client = Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none());
    let client = client.build().unwrap();
    for (headers, expected) in [
        // Its own page, for which there is no post here yet.
        (&[("origin", "https://school.co.za")][..], 405),
        (&[("sec-fetch-site", "same-origin")], 405),
        (&[("origin", "https://evil.example")], 403),
        (&[("sec-fetch-site", "same-site")], 403),
        (&[], 403),
    ] {
        let post = client.post(format!("{}/paid/CG-1", school.app));
        let with = |post: reqwest::RequestBuilder, (name, value): &(&str, &str)| {
            post.header(*name, *value)
        };
        let answer = headers.iter().fold(post, with).send().await.unwrap();
        assert_eq!(answer.status(), expected, "{headers:?}");
    }
    // The provider is no browser, and sends neither header.
    assert_eq!(school.callback(OLD, 1).await, 200);
    for path in ["/paid/CG-1", "/health", "/keys", "/nothing", PATH] {
        let answer = client.get(format!("{}{path}", school.app)).send().await;
        is_guarded(answer.unwrap().headers(), path);
    }
}

/// On a laptop: the same server, with the simulator for a provider.
#[tokio::test]
async fn a_staging_server_is_walked_with_the_simulator_and_no_other_provider() {
    let cluster = Cluster::start();
    let provider = Server::start("axum_server");
    let here = "http://127.0.0.1:8080";
    let api = format!("{}/public-api/v1/api", provider.simulator);
    let of_mode = |mode: &str, api: &str| {
        let text = str::to_owned;
        vec![
            ("DATABASE_URL", cluster.url()),
            ("COURSEGATE_MODE", text(mode)),
            ("IKHOKHA_API_URL", text(api)),
            ("IKHOKHA_APP_ID", provider.app_id.clone()),
            ("IKHOKHA_APP_SECRET", provider.secret_text.clone()),
            ("COURSEGATE_CALLBACK_URL", format!("{here}{PATH}")),
            (
                "COURSEGATE_SUCCESS_URL",
                format!("{here}/paid/{{reference}}"),
            ),
            ("COURSEGATE_FAILURE_URL", format!("{here}/failed")),
            ("COURSEGATE_SITE_URL", here.to_owned()),
        ]
    };
    for (mode, api, rule) in [
        (
            "staging",
            "https://api.ikhokha.com/public-api/v1/api",
            "staging_provider",
        ),
        ("live", api.as_str(), "api_host_other"),
    ] {
        let output = command(&of_mode(mode, api)).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{mode}");
        assert!(
            output.stdout.is_empty() && said.contains("NOT READY") && said.contains(rule),
            "{said}"
        );
    }
    // It asks the simulator, which answers, and starts.
    let school = School::run(&mut online(&of_mode("staging", &api)));
    let (status, health) = school.get("/health").await;
    assert_eq!((status, health["condition"].as_str()), (200, Some("ok")));
    // Somebody pays, and the simulator's callback arrives.
    let order = serde_json::json!({
        "entityID": provider.app_id,
        "amount": 500,
        "currency": "ZAR",
        "requesterUrl": here,
        "mode": "live",
        "externalTransactionID": "CG-STAGING",
        "urls": {
            "callbackUrl": format!("{}{PATH}", school.app),
            "successPageUrl": format!("{}/paid/CG-STAGING", school.app),
            "failurePageUrl": format!("{}/failed", school.app),
        },
    })
    .to_string();
    let client = Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none());
    let client = client.build().unwrap();
    let path = "/public-api/v1/api/payment";
    let created = client
        .post(format!("{}{path}", provider.simulator))
        .header("IK-APPID", &provider.app_id)
        .header("IK-SIGN", provider.sign(path, order.as_bytes()))
        .body(order)
        .send();
    let created: Value = created.await.unwrap().json().await.unwrap();
    let page = created["paylinkUrl"].as_str().unwrap();
    let paid = client.post(page).form(&[("choice", "card")]).send().await;
    assert_eq!(paid.unwrap().status(), 303);
    let begun = Instant::now();
    while kept(&cluster.url()).await != ["CG-STAGING"] {
        assert!(begun.elapsed() < Duration::from_secs(10), "it never came");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    school.close();
}
