//! Both example servers, as real processes, driven over real HTTP.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[cfg(feature = "postgres")]
#[path = "../postgres/cluster.rs"]
#[allow(dead_code, unreachable_pub)]
mod cluster;

#[cfg(feature = "live")]
#[allow(unreachable_pub)]
mod browser;

#[allow(unreachable_pub)]
mod audit_log;
mod canaries;
#[cfg(all(feature = "postgres", feature = "ikhokha"))]
mod certificate;
#[path = "../core/net.rs"]
#[allow(dead_code, unreachable_pub)]
mod net;
#[cfg(all(feature = "postgres", feature = "ikhokha"))]
mod production;
mod simulator;
#[cfg(feature = "statements")]
mod statements;
#[allow(unreachable_pub)]
mod visitors;

#[cfg(all(feature = "live", feature = "nats"))]
mod nats;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use coursegate::Secret;
use coursegate::webhook::Signer;
use reqwest::header::{HeaderMap, ORIGIN};
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};

/// A running example server; it ends with the test.
struct Server {
    child: Child,
    app: String,
    simulator: String,
    app_id: String,
    secret: Secret,
    secret_text: String,
    webhook_path: String,
    log: PathBuf,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.log);
    }
}

/// A port that nobody listens on; the server that takes it may be started again.
#[cfg(feature = "live")]
fn free_port() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port().to_string()
}

/// Cargo builds examples with the tests, two folders above the test binary.
fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().unwrap().parent().unwrap();
    let path = profile.join("examples").join(name);
    assert!(
        path.exists(),
        "build the examples first: cargo build --examples --all-features"
    );
    path
}

impl Server {
    fn start(name: &str) -> Self {
        Self::start_with(name, &[], None)
    }

    fn start_with(name: &str, args: &[&str], database: Option<&str>) -> Self {
        Self::start_as(name, args, database, "test-secret-for-the-demos-cookies")
    }

    fn start_as(name: &str, args: &[&str], database: Option<&str>, key: &str) -> Self {
        let log = {
            static NUMBER: AtomicU32 = AtomicU32::new(0);
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let file = format!("coursegate-{name}-{}-{number}.log", std::process::id());
            std::env::temp_dir().join(file)
        };
        let mut child = Command::new(binary(name))
            .args(if args.contains(&"--port") {
                &[]
            } else {
                &["--port", "0"][..]
            })
            .args(["--simulator-port", "0"])
            .args(args)
            .env_remove("DATABASE_URL")
            .env("COURSEGATE_DEMO_KEY", key)
            .envs(database.map(|url| ("DATABASE_URL", url)))
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let said: Value = serde_json::from_str(&line).unwrap();
        let text = |key: &str| said[key].as_str().unwrap().to_owned();
        assert_eq!(said.as_object().unwrap().len(), 5);
        Self {
            child,
            app: text("app"),
            simulator: text("simulator"),
            app_id: text("app_id"),
            secret: Secret::new(text("app_secret")).unwrap(),
            secret_text: text("app_secret"),
            log,
            webhook_path: text("webhook_path"),
        }
    }

    /// What it wrote about what happens.
    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    fn address(&self) -> &str {
        self.app.strip_prefix("http://").unwrap()
    }

    /// What a browser says of where a request comes from, on a page of this server.
    fn own_page(&self) -> HeaderMap {
        HeaderMap::from_iter([(ORIGIN, self.app.parse().unwrap())])
    }

    async fn sign_in(&self, name: &str, role: &str) -> Browser<'_> {
        let client = Client::builder()
            .no_proxy()
            .default_headers(self.own_page())
            .cookie_store(true)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        let form = [("name", name), ("role", role)];
        let answer = client
            .post(format!("{}/sign-in", self.app))
            .form(&form)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        Browser {
            server: self,
            client,
        }
    }

    fn sign(&self, path: &str, body: &[u8]) -> String {
        Signer::new(&self.secret).sign(path, body).to_hex()
    }

    async fn callback(&self, body: &str, signature: &str) -> (u16, Value) {
        let client = Client::builder().no_proxy().build().unwrap();
        self.callback_by(&client, body, signature).await
    }

    async fn callback_by(&self, client: &Client, body: &str, signature: &str) -> (u16, Value) {
        let answer = client
            .post(format!("{}{}", self.app, self.webhook_path))
            .header("IK-APPID", &self.app_id)
            .header("IK-SIGN", signature)
            .body(body.to_owned())
            .send()
            .await
            .unwrap();
        (
            answer.status().as_u16(),
            answer.json().await.unwrap_or(Value::Null),
        )
    }
}

struct Browser<'s> {
    server: &'s Server,
    client: Client,
}

impl Browser<'_> {
    async fn get(&self, path: &str) -> Response {
        self.client
            .get(format!("{}{path}", self.server.app))
            .send()
            .await
            .unwrap()
    }

    async fn post(&self, path: &str, body: Value) -> Response {
        self.client
            .post(format!("{}{path}", self.server.app))
            .json(&body)
            .send()
            .await
            .unwrap()
    }

    async fn submit(&self, url: String, form: &[(&str, &str)]) -> Response {
        self.client.post(url).form(form).send().await.unwrap()
    }

    async fn access(&self, course: &str) -> Value {
        let answer = self.get(&format!("/api/access?course={course}")).await;
        assert_eq!(answer.status(), StatusCode::OK);
        answer.json().await.unwrap()
    }

    /// Waits until the card of a course says so.
    async fn until(&self, course: &str, text: &str) -> Value {
        let started = Instant::now();
        loop {
            let access = self.access(course).await;
            if access["card"]["text"] == text {
                return access;
            }
            assert!(
                started.elapsed() < Duration::from_secs(20),
                "still {access}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn enroll(&self, course: &str, method: &str) -> Value {
        let answer = self
            .post("/api/enroll", json!({ "course": course, "method": method }))
            .await;
        assert_eq!(answer.status(), StatusCode::OK);
        answer.json().await.unwrap()
    }
}

fn location(answer: &Response) -> String {
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    answer.headers()["location"].to_str().unwrap().to_owned()
}

/// Pay by card through the pages, as a person in a browser does.
async fn card_in_the_browser(server: &Server) {
    let thandi = server.sign_in("Thandi <b>", "").await;
    let page = thandi.get("/").await;
    assert!(
        page.headers()["content-security-policy"]
            .to_str()
            .unwrap()
            .contains("default-src 'none'")
    );
    let page = page.text().await.unwrap();
    assert!(
        page.contains("Enroll Now")
            && page.contains("Thandi &lt;b&gt;")
            && !page.contains("Thandi <b>")
    );
    assert_eq!(
        thandi.get("/lessons/rust-101").await.status(),
        StatusCode::FORBIDDEN
    );

    let form = [("course", "rust-101"), ("method", "card")];
    let pay = location(&thandi.submit(format!("{}/enroll", server.app), &form).await);
    assert!(pay.starts_with(&server.simulator));
    let shown = thandi
        .client
        .get(&pay)
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(shown.contains("R 499.00") && shown.contains("Pay by card"));

    // First declined, then paid on the same link.
    let back = location(&thandi.submit(pay.clone(), &[("choice", "decline")]).await);
    assert!(back.starts_with(&server.app));
    thandi.until("rust-101", "Retry payment").await;
    let back = location(&thandi.submit(pay, &[("choice", "card")]).await);
    let thanks = thandi.client.get(back).send().await.unwrap();
    assert_eq!(location(&thanks), "/?paid");
    let access = thandi.until("rust-101", "Continue Course").await;
    assert_eq!(access["allowed"], true);
    assert_eq!(
        thandi.get("/lessons/rust-101").await.status(),
        StatusCode::OK
    );
    assert!(
        !thandi.access("maths-12").await["allowed"]
            .as_bool()
            .unwrap()
    );
}

/// Pay by EFT, approve as an admin, and a bank transfer beside it.
async fn eft_and_approval(server: &Server) {
    let sipho = server.sign_in("sipho", "").await;
    let enrolled = sipho.enroll("maths-12", "instant_eft").await;
    let again = sipho.enroll("maths-12", "instant_eft").await;
    assert_eq!(enrolled, again, "a double click gives the same");
    sipho
        .submit(
            enrolled["next"]["url"].as_str().unwrap().to_owned(),
            &[("choice", "eft")],
        )
        .await;
    sipho.until("maths-12", "Pending Approval").await;
    let transfer = sipho.enroll("baking", "bank_transfer").await;
    assert_eq!(transfer["next"]["step"], "transfer");
    assert_eq!(transfer["next"]["bank"]["bank"], "Demo Bank");

    assert_eq!(
        sipho.get("/api/admin/pending").await.status(),
        StatusCode::UNAUTHORIZED
    );
    let nomsa = server.sign_in("nomsa", "admin").await;
    let health = nomsa.get("/health").await;
    assert_eq!(health.status(), StatusCode::OK);
    let health: Value = health.json().await.unwrap();
    assert_eq!(health["condition"], "ok", "{health}");
    #[cfg(feature = "metrics")]
    {
        let metrics = nomsa.get("/metrics").await.text().await.unwrap();
        assert!(metrics.contains("coursegate_webhooks_total"), "{metrics}");
    }
    let problems = nomsa.get("/admin/problems").await.text().await.unwrap();
    assert!(problems.contains("It looks at its work."));
    let page = nomsa.get("/admin").await.text().await.unwrap();
    assert!(
        page.contains("Mathematics, grade 12")
            && page.contains("instant eft")
            && page.contains("confirmed; method instant eft")
    );
    assert!(page.contains("Thabo&#39;s bread &amp; cakes"));
    let queue: Value = nomsa.get("/api/admin/pending").await.json().await.unwrap();
    assert_eq!(queue["items"].as_array().unwrap().len(), 2);
    let (eft, bank) = (
        enrolled["enrollment"].clone(),
        transfer["enrollment"].clone(),
    );
    let why: Value = nomsa
        .get(&format!(
            "/api/admin/explain?enrollment={}",
            eft.as_str().unwrap()
        ))
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(why["basis"]["detection"]["method"], "instant_eft");

    let dry: Value = nomsa
        .post(
            "/api/admin/approve",
            json!({ "enrollments": [eft, bank], "dry_run": true }),
        )
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(dry["items"][0]["result"], "approved");
    assert!(!sipho.access("maths-12").await["allowed"].as_bool().unwrap());

    let approve = [("enrollment", eft.as_str().unwrap())];
    nomsa
        .submit(format!("{}/admin/approve", server.app), &approve)
        .await;
    sipho.until("maths-12", "Continue Course").await;
    let refused = nomsa
        .post(
            "/api/admin/reject",
            json!({ "enrollment": eft, "reason": "late" }),
        )
        .await;
    assert_eq!(refused.status(), StatusCode::CONFLICT);
    let rejected = nomsa
        .post(
            "/api/admin/reject",
            json!({ "enrollment": bank, "reason": "no money came" }),
        )
        .await;
    assert_eq!(rejected.status(), StatusCode::OK);
    sipho.until("baking", "Retry payment").await;

    // Held money on a rejected enrollment is shown, and its refund recorded, on the page.
    let second = sipho.enroll("rust-101", "instant_eft").await;
    let page = second["next"]["url"].as_str().unwrap().to_owned();
    sipho.submit(page, &[("choice", "eft")]).await;
    sipho.until("rust-101", "Pending Approval").await;
    let reject = json!({ "enrollment": second["enrollment"], "reason": "class is full" });
    nomsa.post("/api/admin/reject", reject).await;
    let page = nomsa.get("/admin/money").await.text().await.unwrap();
    assert!(page.contains("Refund due: ZAR 499.00"));
    let held = second["next"]["reference"].as_str().unwrap();
    let form = [
        ("action", "refund"),
        ("subject", held),
        ("text", "dashboard R-2"),
        ("back", "/admin/money"),
    ];
    let act = format!("{}/admin/act", server.app);
    assert_eq!(location(&nomsa.submit(act, &form).await), "/admin/money");
    let page = nomsa.get("/admin/money").await.text().await.unwrap();
    assert!(!page.contains("Refund due"));

    let reference = enrolled["next"]["reference"].as_str().unwrap();
    let refund = nomsa
        .post(
            "/api/admin/refund",
            json!({ "reference": reference, "proof": "dashboard R-1" }),
        )
        .await;
    assert_eq!(refund.status(), StatusCode::OK);
    assert!(!sipho.access("maths-12").await["allowed"].as_bool().unwrap());
}

/// A script that plays the provider, and an attacker.
async fn scripted_callbacks(server: &Server) {
    let lerato = server.sign_in("lerato", "").await;
    let enrolled = lerato.enroll("rust-101", "card").await;
    let reference = enrolled["next"]["reference"].as_str().unwrap();
    let link = enrolled["next"]["url"]
        .as_str()
        .unwrap()
        .rsplit('/')
        .next()
        .unwrap();
    let body = format!(
        r#"{{"paylinkID":"{link}","status":"SUCCESS","externalTransactionID":"{reference}","responseCode":"00"}}"#
    );
    let signature = server.sign(&server.webhook_path, body.as_bytes());

    let (status, _) = server.callback(&body, &"0".repeat(64)).await;
    assert_eq!(status, 401);
    let (status, outcome) = server.callback(&body, &signature).await;
    assert_eq!(
        (status, outcome["outcome"].as_str()),
        (200, Some("waiting")),
        "signed, and nothing was paid"
    );
    assert!(
        !lerato.access("rust-101").await["allowed"]
            .as_bool()
            .unwrap()
    );
    let stranger = body
        .replace(reference, "CG-STRANGER")
        .replace(link, "strangerslink00");
    let (status, outcome) = server
        .callback(
            &stranger,
            &server.sign(&server.webhook_path, stranger.as_bytes()),
        )
        .await;
    assert_eq!((status, outcome["outcome"].as_str()), (200, Some("parked")));
    let (status, _) = server.callback(&"x".repeat(70_000), &signature).await;
    assert_eq!(status, 413);

    // The money comes after all: the worker finds it, or the callback.
    lerato
        .submit(
            format!("{}/{link}", server.simulator),
            &[("choice", "card")],
        )
        .await;
    lerato.until("rust-101", "Continue Course").await;

    // Any client written for iKhokha can talk to the simulator.
    let path = format!("/public-api/v1/api/getStatus/{link}");
    let asked = lerato.client.get(format!("{}{path}", server.simulator));
    let asked = asked
        .header("IK-APPID", &server.app_id)
        .header("IK-SIGN", server.sign(&path, b""));
    let status: Value = asked.send().await.unwrap().json().await.unwrap();
    assert_eq!(
        (status["status"].as_str(), status["amount"].as_i64()),
        (Some("PAID"), Some(49_900))
    );
}

/// Requests that are not what they should be.
async fn bad_requests(server: &Server) {
    let lerato = server.sign_in("someone", "").await;
    for (body, expected) in [
        (
            json!({ "course": "rust-101", "method": "gold" }),
            [400, 422],
        ),
        (json!({ "course": "no-such", "method": "card" }), [422, 422]),
        (json!({ "method": "card" }), [400, 422]),
    ] {
        let status = lerato
            .post("/api/enroll", body.clone())
            .await
            .status()
            .as_u16();
        assert!(expected.contains(&status), "{body}: {status}");
    }
    let nobody = Client::builder().no_proxy().build().unwrap();
    let answer = nobody
        .post(format!("{}/api/enroll", server.app))
        .headers(server.own_page())
        .json(&json!({}))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    let unknown = "019c0000-0000-7000-8000-000000000001";
    let nomsa = server.sign_in("nomsa", "admin").await;
    let answer = nomsa
        .post("/api/admin/approve", json!({ "enrollments": [unknown] }))
        .await;
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
}

/// Sends raw bytes and gives what comes back until the server closes or the time is over.
fn raw(address: &str, bytes: &[u8], time_limit: Duration) -> (String, Duration) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(time_limit)).unwrap();
    stream.write_all(bytes).unwrap();
    let started = Instant::now();
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(count) => answer.extend_from_slice(&buffer[..count]),
        }
    }
    (
        String::from_utf8_lossy(&answer).into_owned(),
        started.elapsed(),
    )
}

/// Slow and bloated clients are sent away.
async fn hostile_clients(server: &Server) {
    let many: String = (0..110)
        .map(|number| format!("x-{number}: 1\r\n"))
        .collect();
    let request = format!("GET / HTTP/1.1\r\nhost: localhost\r\n{many}connection: close\r\n\r\n");
    let (answer, _) = raw(server.address(), request.as_bytes(), Duration::from_secs(5));
    let refused = answer.is_empty() || answer.starts_with("HTTP/1.1 4");
    assert!(refused, "{answer}");

    let (head, app) = (server.address().to_owned(), server.address().to_owned());
    let time_limit = Duration::from_secs(14);
    let slow_head = std::thread::spawn(move || {
        raw(
            &head,
            b"POST /payments/ikhokha HTTP/1.1\r\nhost: a\r\n",
            time_limit,
        )
    });
    let stalled = b"POST /payments/ikhokha HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n{";
    let slow_body = std::thread::spawn(move || raw(&app, stalled, time_limit));
    for slow in [slow_head, slow_body] {
        let (answer, waited) = slow.join().unwrap();
        assert!(
            waited < Duration::from_secs(13),
            "the connection stayed open: {answer}"
        );
        assert!(!answer.starts_with("HTTP/1.1 2"), "{answer}");
    }
}

async fn whole_story(name: &str) {
    let server = Server::start(name);
    card_in_the_browser(&server).await;
    eft_and_approval(&server).await;
    scripted_callbacks(&server).await;
    bad_requests(&server).await;
    hostile_clients(&server).await;
}

#[tokio::test]
async fn the_axum_server() {
    whole_story("axum_server").await;
}

#[tokio::test]
async fn the_actix_server() {
    whole_story("actix_server").await;
}

/// The same on Postgres, where what was bought is still there after a restart.
#[cfg(feature = "postgres")]
#[tokio::test]
async fn both_servers_keep_everything_in_postgres() {
    let cluster = cluster::Cluster::start();
    let url = cluster.url();
    let server = Server::start_with("axum_server", &[], Some(&url));
    card_in_the_browser(&server).await;
    eft_and_approval(&server).await;
    drop(server);

    let server = Server::start_with("actix_server", &[], Some(&url));
    let thandi = server.sign_in("Thandi <b>", "").await;
    assert_eq!(thandi.access("rust-101").await["allowed"], true);
    let page = thandi.get("/lessons/rust-101").await;
    assert_eq!(page.status(), StatusCode::OK);
    scripted_callbacks(&server).await;
}

/// Nobody comes back from the pay page, callbacks are lost, and the provider is slow to know:
/// money and access agree in the end.
#[tokio::test]
async fn whoever_paid_gets_in_and_nobody_else() {
    let faults = ["--faults", "lost,duplicate,reorder,lag"];
    let server = Server::start_with("axum_server", &faults, None);
    let mut learners = Vec::new();
    for number in 0..8 {
        let learner = server.sign_in(&format!("learner-{number}"), "").await;
        let enrolled = learner.enroll("rust-101", "card").await;
        let pay = enrolled["next"]["url"].as_str().unwrap().to_owned();
        let choice = ["card", "decline"][number % 2];
        learner.submit(pay, &[("choice", choice)]).await;
        learners.push(learner);
    }
    for (number, learner) in learners.iter().enumerate() {
        if number % 2 == 0 {
            learner.until("rust-101", "Continue Course").await;
        } else {
            assert_eq!(learner.access("rust-101").await["allowed"], false);
        }
    }
}

/// What is done in one browser is told to the other at once.
#[cfg(feature = "live")]
#[tokio::test]
async fn an_admin_sees_the_transfer_and_the_learner_the_approval() {
    for name in ["axum_server", "actix_server"] {
        let server = Server::start(name);
        let (thandi, nomsa) = (
            server.sign_in("thandi", "").await,
            server.sign_in("nomsa", "admin").await,
        );
        let mut learner = Events::open(&thandi, "/api/live", None).await;
        let mut admin = Events::open(&nomsa, "/api/admin/live", None).await;
        assert!(learner.until("Enroll Now").await.contains("snapshot"));
        assert!(admin.until("snapshot").await.contains("\"pending\":[]"));
        let begun = Instant::now();
        let enrolled = thandi.enroll("baking", "bank_transfer").await;
        admin.until("\"pending\":\"bank_transfer\"").await;
        assert!(
            begun.elapsed() < Duration::from_secs(1),
            "{:?}",
            begun.elapsed()
        );
        learner.until("Pending Approval").await;
        let last = learner.last.clone().unwrap();
        drop(learner);

        let begun = Instant::now();
        let approval = json!({ "enrollments": [enrolled["enrollment"]] });
        assert_eq!(
            nomsa.post("/api/admin/approve", approval).await.status(),
            StatusCode::OK
        );
        admin.until("\"decided\":true").await;
        // The learner was away, and comes back to where they were.
        let mut learner = Events::open(&thandi, "/api/live", Some(&last)).await;
        let told = learner.until("Continue Course").await;
        let data = told.split_once("data: ").unwrap().1;
        assert!(
            data.contains("changed") && !data.contains("rust-101"),
            "{told}"
        );
        assert!(
            begun.elapsed() < Duration::from_secs(2),
            "{:?}",
            begun.elapsed()
        );
        // Nobody reads another's stream.
        let wrong = nomsa.get("/api/live").await.status();
        assert!(wrong == StatusCode::UNAUTHORIZED || wrong == StatusCode::FORBIDDEN);
        let page = thandi.get("/").await.text().await.unwrap();
        assert!(page.contains("data-live=\"/api/live\"") && !page.contains("http-equiv"));
    }
}

/// Two windows of a real browser: what is clicked in the one shows in the other, without
/// anybody loading anything anew.
#[cfg(feature = "live")]
#[tokio::test]
async fn the_button_changes_in_the_browser() {
    let driver = browser::Driver::start().await;
    for name in ["axum_server", "actix_server"] {
        let server = Server::start(name);
        let (learner, admin) = (driver.window().await, driver.window().await);
        browser::sign_in(&learner, &server.app, "Thandi <b>").await;
        browser::sign_in(&admin, &format!("{}/admin", server.app), "nomsa").await;
        browser::until(&admin, "Nothing waits for approval").await;
        let mark = "window.here = 1";
        for window in [&learner, &admin] {
            window.execute(mark, vec![]).await.unwrap();
        }
        // The learner transfers the money, in another tab.
        let thandi = server.sign_in("Thandi <b>", "").await;
        thandi.enroll("baking", "bank_transfer").await;
        let seen = browser::until(&admin, "bank transfer").await;
        assert!(seen < Duration::from_secs(1), "{seen:?}");
        let script = "const button = [...document.querySelectorAll('button')];
            button.find((button) => button.textContent === 'Approve').click();";
        browser::until(&learner, "Pending Approval").await;
        admin.execute(script, vec![]).await.unwrap();
        let told = browser::until(&learner, "Continue Course").await;
        assert!(told < Duration::from_secs(2), "{told:?}");
        let page = learner
            .find(fantoccini::Locator::Css("header"))
            .await
            .unwrap();
        assert!(
            page.text().await.unwrap().contains("Thandi <b>"),
            "text stays text"
        );
        let here = learner.execute("return window.here", vec![]).await.unwrap();
        assert_eq!(here, 1, "the page was loaded anew");

        // A card payment whose callback comes while the page is open.
        let enrolled = thandi.enroll("maths-12", "card").await;
        let pay = enrolled["next"]["url"].as_str().unwrap().to_owned();
        thandi.submit(pay, &[("choice", "card")]).await;
        let count =
            "return [...document.querySelectorAll('[data-part=open]:not([hidden])')].length";
        let begun = Instant::now();
        while learner.execute(count, vec![]).await.unwrap() != 2 {
            assert!(
                begun.elapsed() < Duration::from_secs(5),
                "the button did not change"
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        for window in [learner, admin] {
            window.close().await.unwrap();
        }
    }
}

/// Two tabs of one browser: one connection, the same card in both, and the other one takes
/// over when the first is closed.
#[cfg(feature = "live")]
#[tokio::test]
async fn tabs_share_one_connection_and_never_go_back() {
    let driver = browser::Driver::start().await;
    let server = Server::start("axum_server");
    let tabs = driver.window().await;
    browser::sign_in(&tabs, &server.app, "thandi").await;
    browser::until(&tabs, "Enroll Now").await;
    let first = tabs.window().await.unwrap();
    let second = tabs.new_window(true).await.unwrap().handle;
    tabs.switch_to_window(second.clone()).await.unwrap();
    tabs.goto(&server.app).await.unwrap();
    browser::until(&tabs, "Enroll Now").await;
    let streams = "return performance.getEntriesByType('resource')
        .filter((entry) => entry.name.includes('/api/live')).length
        + (window.leads ? 1 : 0)";
    let watch =
        "addEventListener('coursegate:status', ({ detail }) => { window.leads = detail.leader })";
    tabs.execute(watch, vec![]).await.unwrap();
    // What happens elsewhere shows in the tab that has no connection.
    let thandi = server.sign_in("thandi", "").await;
    let enrolled = thandi.enroll("baking", "bank_transfer").await;
    browser::until(&tabs, "Pending Approval").await;
    assert_eq!(
        tabs.execute(streams, vec![]).await.unwrap(),
        0,
        "a second connection"
    );

    // An old card, from wherever it comes, is not shown; nor is a hope kept for ever.
    let hear = "window.heard = [];
        addEventListener('coursegate:card', ({ detail }) => window.heard.push(detail));
        const [card] = window.coursegate.cards().filter((card) => card.course === 'baking');
        const channel = new BroadcastChannel('coursegate:/api/live:thandi');
        channel.postMessage({ cards: [{ ...card, version: card.version - 1, card: { text: 'Old' } }] });
        window.coursegate.confirming('baking', 200);";
    tabs.execute(hear, vec![]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let heard = tabs.execute("return window.heard", vec![]).await.unwrap();
    let texts: Vec<_> = heard
        .as_array()
        .unwrap()
        .iter()
        .map(|heard| {
            (
                heard["card"]["text"].as_str().unwrap().to_owned(),
                heard["optimistic"] == true,
            )
        })
        .collect();
    let expected = [("Confirming\u{2026}", true), ("Pending Approval", false)];
    assert_eq!(texts, expected.map(|(text, hope)| (text.to_owned(), hope)));

    // The leader goes, and the next change still arrives.
    tabs.switch_to_window(first).await.unwrap();
    tabs.close_window().await.unwrap();
    tabs.switch_to_window(second).await.unwrap();
    let begun = Instant::now();
    while tabs.execute(streams, vec![]).await.unwrap() == 0 {
        assert!(
            begun.elapsed() < Duration::from_secs(10),
            "nobody took over"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let nomsa = server.sign_in("nomsa", "admin").await;
    let approval = json!({ "enrollments": [enrolled["enrollment"]] });
    nomsa.post("/api/admin/approve", approval).await;
    browser::until(&tabs, "Continue Course").await;
    tabs.close().await.unwrap();
}

/// Both pages on a desk and on a phone: nothing is cut off. With `COURSEGATE_SCREENSHOTS` set
/// to a folder, pictures of them are left there.
#[cfg(feature = "live")]
#[tokio::test]
async fn the_pages_fit_a_desk_and_a_phone() {
    let driver = browser::Driver::start().await;
    let server = Server::start("axum_server");
    let window = driver.window().await;
    browser::sign_in(&window, &server.app, "thandi").await;
    browser::sign_in(&window, &format!("{}/admin", server.app), "nomsa").await;
    let thandi = server.sign_in("thandi", "").await;
    let nomsa = server.sign_in("nomsa", "admin").await;
    thandi.enroll("baking", "bank_transfer").await;
    let eft = thandi.enroll("maths-12", "instant_eft").await;
    let pay = eft["next"]["url"].as_str().unwrap().to_owned();
    thandi.submit(pay, &[("choice", "eft")]).await;
    thandi.until("maths-12", "Pending Approval").await;
    let card = thandi.enroll("rust-101", "card").await;
    let pay = card["next"]["url"].as_str().unwrap().to_owned();
    thandi.submit(pay, &[("choice", "card")]).await;
    thandi.until("rust-101", "Continue Course").await;
    let sipho = server.sign_in("sipho", "").await;
    for (course, reason) in [
        ("rust-101", "no money came"),
        ("safe-html", "class is full"),
    ] {
        let eft = sipho.enroll(course, "instant_eft").await;
        let pay = eft["next"]["url"].as_str().unwrap().to_owned();
        sipho.submit(pay, &[("choice", "eft")]).await;
        sipho.until(course, "Pending Approval").await;
        let reject = json!({ "enrollment": eft["enrollment"], "reason": reason });
        assert_eq!(
            nomsa.post("/api/admin/reject", reject).await.status(),
            StatusCode::OK
        );
    }
    // The worker adds events to the audit log every few seconds.
    while audit_log::newest(&nomsa.get("/admin/audit-log").await.text().await.unwrap()).is_empty() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let enrollment = eft["enrollment"].as_str().unwrap();
    let one = format!("/admin/enrollment/{enrollment}");
    let pages = [
        ("courses", "/"),
        ("approvals", "/admin"),
        ("payments", "/admin/payments"),
        ("enrollment", one.as_str()),
        ("money", "/admin/money"),
        ("problems", "/admin/problems"),
        ("statement", "/admin/statement"),
        ("figures", "/admin/day"),
        ("audit_log", "/admin/audit-log?learner=thandi"),
        ("notices", "/admin/notices"),
    ];
    for (width, height, device) in [(1280, 1000, "desk"), (500, 1000, "phone")] {
        window.set_window_size(width, height).await.unwrap();
        for (name, path) in pages {
            window.goto(&format!("{}{path}", server.app)).await.unwrap();
            // The driver does not always wait for it.
            let styled = "document.readyState === 'complete' && document.styleSheets.length > 0";
            browser::until_true(&window, styled).await;
            let script = "return [document.documentElement.scrollWidth, innerWidth, [...document.querySelectorAll('*')]\
                .filter(it => it.getBoundingClientRect().right > innerWidth).map(it => it.outerHTML.slice(0, 200)).pop()]";
            let widths = window.execute(script, vec![]).await.unwrap();
            assert!(
                widths[0].as_i64() <= widths[1].as_i64(),
                "{name} is too wide for a {device}: {widths}"
            );
            browser::picture(&window, &format!("{name}-{device}")).await;
        }
    }
    let dark = json!({ "features": [{ "name": "prefers-color-scheme", "value": "dark" }] });
    driver
        .tell(&window, "Emulation.setEmulatedMedia", dark)
        .await;
    window.goto(&format!("{}/admin", server.app)).await.unwrap();
    let paper = "getComputedStyle(document.body).backgroundColor === 'rgb(16, 22, 28)'";
    browser::until_true(&window, paper).await;
    browser::picture(&window, "approvals-dark").await;
    window.close().await.unwrap();
}

/// What a newcomer does, with the mouse alone: two tabs and the desk, a card payment, a
/// transfer, an approval, and a server that is killed and comes back with nothing.
#[cfg(feature = "live")]
#[tokio::test]
async fn a_newcomer_never_sees_a_wrong_button() {
    let driver = browser::Driver::start().await;
    let port = free_port();
    let arguments = ["--port", port.as_str()];
    let server = Server::start_with("axum_server", &arguments, None);
    let window = driver.window().await;
    browser::sign_in(&window, &server.app, "thandi").await;
    let first = window.window().await.unwrap();
    let second = window.new_window(true).await.unwrap().handle;
    let desk = window.new_window(true).await.unwrap().handle;
    window.switch_to_window(desk.clone()).await.unwrap();
    browser::sign_in(&window, &format!("{}/admin", server.app), "nomsa").await;
    browser::until(&window, "Nothing waits for approval").await;
    window.switch_to_window(second.clone()).await.unwrap();
    window.goto(&server.app).await.unwrap();

    // By card, in the second tab; the first one shows it too.
    let card = "article[data-course=rust-101]";
    browser::click(&window, &format!("{card} form button")).await;
    browser::click(&window, "button[value=card]").await;
    let opens = |course: &str| {
        format!("!document.querySelector('article[data-course={course}] [data-part=open]').hidden")
    };
    browser::until_true(&window, "location.pathname === '/'").await;
    browser::until_true(&window, &opens("rust-101")).await;
    window.switch_to_window(first.clone()).await.unwrap();
    browser::until_true(&window, &opens("rust-101")).await;

    // By transfer, in the first tab.
    let choose =
        "document.querySelector('article[data-course=baking] select').value = 'bank_transfer'";
    window.execute(choose, vec![]).await.unwrap();
    browser::click(&window, "article[data-course=baking] form button").await;
    browser::until(&window, "Transfer the money with this reference").await;
    browser::click(&window, "main a[href='/']").await;
    browser::until(&window, "Pending Approval").await;
    window.switch_to_window(second.clone()).await.unwrap();
    browser::until(&window, "Pending Approval").await;
    window.switch_to_window(desk.clone()).await.unwrap();
    browser::until(&window, "Thabo's bread & cakes").await;
    browser::click(&window, "form[action='/admin/approve'] button").await;
    browser::until(&window, "Nothing waits for approval").await;
    for tab in [&first, &second] {
        window.switch_to_window(tab.clone()).await.unwrap();
        browser::until_true(&window, &opens("baking")).await;
    }

    // Killed. What was kept in memory is gone, and so is every open course.
    drop(server);
    let begun = Instant::now();
    let server = Server::start_with("axum_server", &arguments, None);
    for tab in [&first, &second] {
        window.switch_to_window(tab.clone()).await.unwrap();
        browser::until_true(&window, &format!("!({})", opens("baking"))).await;
        browser::until_true(&window, &format!("!({})", opens("rust-101"))).await;
    }
    assert!(
        begun.elapsed() < Duration::from_secs(6),
        "{:?}",
        begun.elapsed()
    );
    window.close().await.unwrap();
    drop(server);
}

/// The server comes back with another key: nobody is signed in, and no button says otherwise.
#[cfg(feature = "live")]
#[tokio::test]
async fn whoever_is_signed_out_by_the_server_sees_it() {
    let driver = browser::Driver::start().await;
    let port = free_port();
    let start = |key| Server::start_as("axum_server", &["--port", &port], None, key);
    let server = start("test-secret-the-first-key");
    let window = driver.window().await;
    browser::sign_in(&window, &server.app, "thandi").await;
    let thandi = server.sign_in("thandi", "").await;
    thandi.enroll("baking", "bank_transfer").await;
    browser::until(&window, "Pending Approval").await;
    drop(server);
    let begun = Instant::now();
    let server = start("test-secret-the-second-key");
    browser::until(&window, "Register To Enroll").await;
    assert!(
        begun.elapsed() < Duration::from_secs(6),
        "{:?}",
        begun.elapsed()
    );
    window.close().await.unwrap();
    drop(server);
}

/// The network goes and comes back; what happened meanwhile shows.
#[cfg(feature = "live")]
#[tokio::test]
async fn offline_and_back() {
    let driver = browser::Driver::start().await;
    let server = Server::start("actix_server");
    let window = driver.window().await;
    browser::sign_in(&window, &server.app, "thandi").await;
    let thandi = server.sign_in("thandi", "").await;
    let enrolled = thandi.enroll("baking", "bank_transfer").await;
    browser::until(&window, "Pending Approval").await;
    driver.tell(&window, "Network.enable", json!({})).await;
    let network = |offline: bool| json!({ "offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1 });
    let conditions = "Network.emulateNetworkConditions";
    driver.tell(&window, conditions, network(true)).await;
    browser::until_true(&window, "!document.getElementById('offline').hidden").await;
    let nomsa = server.sign_in("nomsa", "admin").await;
    let approval = json!({ "enrollments": [enrolled["enrollment"]] });
    nomsa.post("/api/admin/approve", approval).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let shown = window.find(fantoccini::Locator::Css("main")).await.unwrap();
    assert!(shown.text().await.unwrap().contains("Pending Approval"));
    driver.tell(&window, conditions, network(false)).await;
    let back = browser::until(&window, "Continue Course").await;
    assert!(back < Duration::from_secs(5), "{back:?}");
    browser::until_true(&window, "document.getElementById('offline').hidden").await;
    window.close().await.unwrap();
}

/// A title and a reason that are scripts are shown, and never run.
#[cfg(feature = "live")]
#[tokio::test]
async fn scripts_stay_text() {
    let driver = browser::Driver::start().await;
    let server = Server::start("axum_server");
    let window = driver.window().await;
    browser::sign_in(&window, &server.app, "thandi").await;
    browser::sign_in(&window, &format!("{}/admin", server.app), "nomsa").await;
    let thandi = server.sign_in("thandi", "").await;
    let enrolled = thandi.enroll("safe-html", "bank_transfer").await;
    let script = "<script>document.title = 'taken over'</script>";
    browser::until(&window, script).await;
    let reason = "<img src=x onerror=\"document.title = 'taken over'\">no money came";
    browser::write(&window, "input[name=reason]", reason).await;
    browser::click(&window, "form[action='/admin/reject'] button").await;
    browser::until(&window, "Nothing waits for approval").await;
    let enrollment = enrolled["enrollment"].as_str().unwrap();
    for path in [
        "/",
        "/admin/payments",
        &format!("/admin/enrollment/{enrollment}"),
        "/admin/notices",
    ] {
        window.goto(&format!("{}{path}", server.app)).await.unwrap();
        if path != "/admin/notices" {
            browser::until(&window, script).await;
        }
        if !path.ends_with("payments") && path != "/admin/notices" {
            browser::until(&window, reason).await;
        }
        let safe = "document.title !== 'taken over' && document.querySelectorAll('main script, main img').length === 0";
        browser::until_true(&window, safe).await;
    }
    // Live, too.
    window.goto(&server.app).await.unwrap();
    thandi.enroll("safe-html", "bank_transfer").await;
    browser::until(&window, "Pending Approval").await;
    let nomsa = server.sign_in("nomsa", "admin").await;
    let reject = json!({ "enrollment": enrolled["enrollment"], "reason": reason });
    nomsa.post("/api/admin/reject", reject).await;
    browser::until(&window, reason).await;
    browser::until_true(&window, "document.title !== 'taken over'").await;
    window.close().await.unwrap();
}

/// Many at once with progress and an answer for each; by keyboard; and what is being written
/// survives what happens meanwhile.
#[cfg(feature = "live")]
#[tokio::test]
async fn the_desk_works_through_a_queue() {
    let driver = browser::Driver::start().await;
    for name in ["axum_server", "actix_server"] {
        let server = Server::start(name);
        let window = driver.window().await;
        browser::sign_in(&window, &format!("{}/admin", server.app), "nomsa").await;
        browser::until(&window, "Nothing waits for approval").await;
        for number in 0..6 {
            let learner = server.sign_in(&format!("learner-{number}"), "").await;
            learner.enroll("baking", "bank_transfer").await;
        }
        browser::until_true(
            &window,
            "document.querySelectorAll('main article').length === 6",
        )
        .await;
        browser::write(&window, "#bulk-note", "seen on the statement").await;
        browser::click(&window, "#everything").await;
        // Somebody else comes while this is being written.
        let learner = server.sign_in("learner-6", "").await;
        learner.enroll("baking", "bank_transfer").await;
        browser::until_true(
            &window,
            "document.querySelectorAll('main article').length === 7",
        )
        .await;
        let kept = "document.getElementById('bulk-note').value === 'seen on the statement'
            && document.querySelectorAll('main input[data-enrollment]:checked').length === 6";
        browser::until_true(&window, kept).await;

        // One of them is not there any more.
        let spoil = "document.querySelector('main input[data-enrollment]').dataset.enrollment
            = '00000000-0000-7000-8000-000000000000'";
        window.execute(spoil, vec![]).await.unwrap();
        browser::click(&window, "#bulk button[value=try]").await;
        let results = |word: &str, count: usize| {
            format!(
                "[...document.querySelectorAll('#results li')].filter((line) => line.textContent.includes('{word}')).length === {count}
                 && document.querySelector('#results progress').value === 6"
            )
        };
        browser::until_true(&window, &results(": would be approved", 5)).await;
        browser::until_true(&window, &results("there is no such enrollment", 1)).await;
        browser::click(&window, "#bulk button[value=approve]").await;
        browser::until_true(&window, &results(": approved", 5)).await;
        let said =
            "document.getElementById('said').textContent === 'Approval of 6: 5 fine, 1 not.'";
        browser::until_true(&window, said).await;
        browser::until_true(
            &window,
            "document.querySelectorAll('main article').length === 2",
        )
        .await;

        // By keyboard: to the first one, approve; to the next, a reason, reject.
        let body = window.find(fantoccini::Locator::Css("body")).await.unwrap();
        window
            .execute("document.activeElement.blur()", vec![])
            .await
            .unwrap();
        body.send_keys("j").await.unwrap();
        browser::until_true(&window, "document.activeElement.matches('main article')").await;
        let article = window.active_element().await.unwrap();
        article.send_keys("a").await.unwrap();
        browser::until_true(
            &window,
            "document.querySelectorAll('main article').length === 1",
        )
        .await;
        window
            .execute("document.activeElement.blur()", vec![])
            .await
            .unwrap();
        let body = window.find(fantoccini::Locator::Css("body")).await.unwrap();
        body.send_keys("j").await.unwrap();
        window
            .active_element()
            .await
            .unwrap()
            .send_keys("r")
            .await
            .unwrap();
        browser::until_true(&window, "document.activeElement.name === 'reason'").await;
        let field = window.active_element().await.unwrap();
        field.send_keys("no money came").await.unwrap();
        browser::click(&window, "form[action='/admin/reject'] button").await;
        browser::until(&window, "Nothing waits for approval").await;

        // Search, a timeline, a refund of a part, the figures, the notices.
        browser::click(&window, "nav a[href='/admin/payments']").await;
        browser::until(&window, "Every course").await;
        browser::write(&window, "#q", "learner-learner3").await;
        browser::click(&window, "form[role=search] button").await;
        browser::until_true(
            &window,
            "document.querySelectorAll('main tbody tr').length === 1",
        )
        .await;
        browser::click(&window, "main tbody a").await;
        browser::until(&window, "seen on the statement").await;
        let sum = "input[name=other]:not([type=hidden])";
        browser::write(&window, sum, "25.50").await;
        browser::write(&window, "input[id^=refund]", "dashboard R-9").await;
        let refund = "[...document.querySelectorAll('main button')].find((button) => button.textContent === 'Record a refund').click()";
        window.execute(refund, vec![]).await.unwrap();
        browser::until(&window, "of which R 25.50 went back").await;
        // What cannot be says why, and keeps what was written.
        browser::until_true(
            &window,
            "document.getElementById('said').textContent === 'Done.'",
        )
        .await;
        let too_much = "const sum = document.querySelector('input[name=other]:not([type=hidden])');
            sum.value = '900.00'; document.querySelector('input[id^=refund]').value = 'R-10';
            [...document.querySelectorAll('main button')].find((button) => button.textContent === 'Record a refund').click()";
        window.execute(too_much, vec![]).await.unwrap();
        browser::until_true(
            &window,
            "document.getElementById('said').className === 'bad'
            && document.querySelector('input[id^=refund]').value === 'R-10'",
        )
        .await;
        browser::click(&window, "nav a[href='/admin/day']").await;
        browser::until(&window, "Money in, less what went back").await;
        browser::until_true(
            &window,
            "document.querySelectorAll('main svg rect').length === 70",
        )
        .await;
        browser::click(&window, "nav a[href='/admin/notices']").await;
        browser::until(&window, "A bank transfer waits for approval.").await;
        browser::click(&window, "form[action='/admin/act'] button").await;
        browser::until(&window, "Nothing is unread on this page").await;
        browser::click(&window, "input[name='alert:console']").await;
        browser::click(&window, "form[action='/admin/choose'] button").await;
        browser::until_true(
            &window,
            "document.getElementById('said').textContent === 'Done.'",
        )
        .await;
        window.refresh().await.unwrap();
        browser::until_true(
            &window,
            "document.querySelector(\"input[name='alert:console']\").checked",
        )
        .await;
        window.back().await.unwrap();
        browser::until_true(&window, "location.pathname.startsWith('/admin')").await;
        window.close().await.unwrap();
    }
}

/// The server dies and comes back: the page goes on by itself, and misses nothing.
#[cfg(all(feature = "live", feature = "postgres"))]
#[tokio::test]
async fn a_page_outlives_its_server() {
    let cluster = cluster::Cluster::start();
    let url = cluster.url();
    let driver = browser::Driver::start().await;
    let port = cluster::free_port().to_string();
    let server = Server::start_with("axum_server", &["--port", &port], Some(&url));
    let window = driver.window().await;
    browser::sign_in(&window, &server.app, "thandi").await;
    let thandi = server.sign_in("thandi", "").await;
    let enrolled = thandi.enroll("baking", "bank_transfer").await;
    browser::until(&window, "Pending Approval").await;
    window.execute("window.here = 1", vec![]).await.unwrap();
    drop(server);

    // Approved by another instance while this one is down.
    let other = Server::start_with("actix_server", &[], Some(&url));
    let nomsa = other.sign_in("nomsa", "admin").await;
    let approval = json!({ "enrollments": [enrolled["enrollment"]] });
    assert_eq!(
        nomsa.post("/api/admin/approve", approval).await.status(),
        StatusCode::OK
    );
    tokio::time::sleep(Duration::from_secs(1)).await;
    drop(other);
    let server = Server::start_with("axum_server", &["--port", &port], Some(&url));
    let right = browser::until(&window, "Continue Course").await;
    assert!(right < Duration::from_secs(5), "{right:?}");
    let here = window.execute("return window.here", vec![]).await.unwrap();
    assert_eq!(here, 1, "the page was loaded anew");
    window.close().await.unwrap();
    drop(server);
}

/// A cookie that was made up, or made for another role, signs nobody in.
#[tokio::test]
async fn made_up_cookies_sign_nobody_in() {
    let server = Server::start("axum_server");
    let client = Client::builder().no_proxy().build().unwrap();
    let name = |name: &str| -> String { name.bytes().map(|b| format!("{b:02x}")).collect() };
    let zeros = "0".repeat(64);
    for cookie in [
        format!("admin={}.{zeros}", name("nomsa")),
        format!("admin={}", name("nomsa")),
        "admin=.".to_owned(),
        "admin=zz.zz".to_owned(),
    ] {
        let asked = client
            .get(format!("{}/api/admin/pending", server.app))
            .header("cookie", &cookie)
            .send();
        assert_eq!(
            asked.await.unwrap().status(),
            StatusCode::UNAUTHORIZED,
            "{cookie}"
        );
    }
    // A learner's own signature is none of an admin.
    let signed_in = client
        .post(format!("{}/sign-in", server.app))
        .headers(server.own_page())
        .form(&[("name", "nomsa"), ("role", "")]);
    let policy = reqwest::redirect::Policy::none();
    let bare = Client::builder()
        .no_proxy()
        .redirect(policy)
        .build()
        .unwrap();
    let answer = bare.execute(signed_in.build().unwrap()).await.unwrap();
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().to_owned();
    let value = cookie.split_once('=').unwrap().1.split(';').next().unwrap();
    let asked = client
        .get(format!("{}/api/admin/pending", server.app))
        .header("cookie", format!("admin={value}"))
        .send();
    assert_eq!(asked.await.unwrap().status(), StatusCode::UNAUTHORIZED);
}

/// An open stream of server-sent events.
#[cfg(feature = "live")]
struct Events {
    answer: Response,
    text: String,
    /// Everything so far.
    heard: String,
    last: Option<String>,
}

#[cfg(feature = "live")]
impl Events {
    async fn open(browser: &Browser<'_>, path: &str, last: Option<&str>) -> Self {
        let mut request = browser.client.get(format!("{}{path}", browser.server.app));
        if let Some(last) = last {
            request = request.header("Last-Event-ID", last);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        Self {
            answer,
            text: String::new(),
            heard: String::new(),
            last: None,
        }
    }

    /// Reads on until an event holds this, and gives that event.
    async fn until(&mut self, wanted: &str) -> String {
        let reading = async {
            loop {
                while let Some((event, rest)) = self.text.split_once("\n\n") {
                    let (event, rest) = (event.to_owned(), rest.to_owned());
                    self.text = rest;
                    if let Some(id) = event.lines().find_map(|line| line.strip_prefix("id: ")) {
                        self.last = Some(id.to_owned());
                    }
                    if event.contains(wanted) {
                        return event;
                    }
                }
                let chunk = self
                    .answer
                    .chunk()
                    .await
                    .unwrap()
                    .expect("the stream ended");
                let chunk = std::str::from_utf8(&chunk).unwrap();
                self.text.push_str(chunk);
                self.heard.push_str(chunk);
            }
        };
        tokio::time::timeout(Duration::from_secs(5), reading)
            .await
            .unwrap_or_else(|_| panic!("nothing says {wanted}"))
    }
}

/// A bank transfer with its proof, found on a statement, approved, charged back and reinstated.
#[cfg(feature = "statements")]
#[tokio::test]
async fn a_bank_statement_on_the_admin_page() {
    for name in ["axum_server", "actix_server"] {
        let server = Server::start(name);
        let thandi = server.sign_in("thandi", "").await;
        let enrolled = thandi.enroll("baking", "bank_transfer").await;
        let reference = enrolled["next"]["reference"].as_str().unwrap();
        let proof = [("course", "baking"), ("proof", "https://files.example/1")];
        let shown = thandi.submit(format!("{}/proof", server.app), &proof).await;
        assert_eq!(shown.status(), StatusCode::SEE_OTHER);
        let nomsa = server.sign_in("nomsa", "admin").await;
        let act = format!("{}/admin/act", server.app);
        let queue = nomsa.get("/admin").await.text().await.unwrap();
        assert!(queue.contains("https://files.example/1"), "{queue}");
        let file =
            format!("Date,Amount,Balance,Description\n2026/02/01,125.50,900.00,pay {reference}\n");
        let (_, key) = statements::look(&nomsa, "fnb", file.as_bytes()).await;
        let page = statements::import(&nomsa, &key).await;
        let [found] = &statements::boxes(&page, reference)[..] else {
            panic!("{page}")
        };
        let form = [(found.as_str(), "on")];
        let url = format!("{}/admin/statement/match", server.app);
        assert_eq!(
            nomsa.submit(url, &form).await.status(),
            StatusCode::SEE_OTHER
        );
        thandi.until("baking", "Continue Course").await;
        // A chargeback takes the access away, and its end brings it back.
        for (action, allowed) in [("charged_back", false), ("reinstate", true)] {
            let form = [
                ("action", action),
                ("subject", reference),
                ("text", "letter"),
            ];
            assert_eq!(
                nomsa.submit(act.clone(), &form).await.status(),
                StatusCode::SEE_OTHER
            );
            assert_eq!(thandi.access("baking").await["allowed"], allowed);
        }
        assert_eq!(
            nomsa
                .submit(act.clone(), &[("action", "reconcile")])
                .await
                .status(),
            StatusCode::SEE_OTHER
        );
        let odd = nomsa.submit(act, &[("action", "explode")]).await;
        assert_eq!(odd.status(), StatusCode::UNPROCESSABLE_ENTITY);
    }
}

/// An operator who follows nothing but the remedies of the report gets to a ready one.
#[cfg(all(feature = "postgres", feature = "ikhokha"))]
#[test]
fn from_a_failing_report_to_a_ready_one() {
    let cluster = cluster::Cluster::start();
    let database = cluster.url();
    let mut variables: Vec<(String, String)> = vec![
        ("DATABASE_URL".into(), database),
        // What a hurried deployment starts with.
        ("IKHOKHA_APP_ID".into(), "IKTESTAPPLICATION".into()),
        (
            "IKHOKHA_APP_SECRET".into(),
            "test-secret-0123456789abcdef".into(),
        ),
        (
            "VITE_IKHOKHA_SECRET".into(),
            "test-secret-0123456789abcdef".into(),
        ),
        ("COURSEGATE_MODE".into(), "test".into()),
        ("COURSEGATE_TIMEOUT_MS".into(), "45 s".into()),
        (
            "COURSEGATE_CALLBACK_URL".into(),
            "http://localhost:8080/payments/ikhokha".into(),
        ),
        (
            "IKHOKHA_API_URL".into(),
            "https://api.ikhokha.com.evil.example/v1".into(),
        ),
    ];
    let mut migrate = false;
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..12 {
        let mut command = Command::new(binary("readiness"));
        command
            .args(["--json", "--offline"])
            .env_clear()
            .envs(variables.iter().cloned());
        if migrate {
            command.arg("--migrate");
        }
        let output = command.output().unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let all = format!("{}{}", report, String::from_utf8_lossy(&output.stderr));
        assert!(
            !all.contains("test-secret-0123456789abcdef")
                && !all.contains("ThisIsNoRealKeyButOnlyForTesting")
        );
        assert_eq!(
            output.status.code(),
            Some(i32::from(report["ready"] != true))
        );
        if report["ready"] == true {
            for rule in [
                "setting_wrong",
                "secret_placeholder",
                "secret_exposed",
                "test_mode",
                "plain_http",
                "callback_not_public",
                "api_host_other",
                "store_defective",
            ] {
                assert!(seen.contains(rule), "{rule} was never reported: {seen:?}");
            }
            return;
        }
        let critical = report["findings"].as_array().unwrap().iter();
        for finding in critical.filter(|finding| finding["level"] == "critical") {
            let text = |key: &str| finding[key].as_str().unwrap_or_default().to_owned();
            let (rule, subject) = (text("rule"), text("subject"));
            seen.insert(rule.clone());
            if rule == "store_defective" {
                assert!(text("remedy").contains("PgStore::migrate"));
                migrate = true;
                continue;
            }
            // The remedy is about this variable: it is unset where the default will do.
            variables.retain(|(name, _)| *name != subject);
            let right = match subject.as_str() {
                "IKHOKHA_APP_ID" => "IKMADEUPAPPLICATIONFORREADINESS1",
                "IKHOKHA_APP_SECRET" => "ThisIsNoRealKeyButOnlyForTesting",
                "COURSEGATE_CALLBACK_URL" => "https://school.co.za/payments/ikhokha",
                "COURSEGATE_SUCCESS_URL" | "COURSEGATE_FAILURE_URL" | "COURSEGATE_SITE_URL" => {
                    "https://school.co.za"
                }
                _ => continue,
            };
            variables.push((subject, right.to_owned()));
        }
    }
    panic!("never ready; seen: {seen:?}");
}

/// Whoever comes back from the pay page gets in, whatever becomes of the callback.
#[tokio::test]
async fn callbacks_that_are_lost_or_doubled_keep_nobody_out() {
    let server = Server::start_with("axum_server", &["--faults", "lost,duplicate,reorder"], None);
    for number in 0..6 {
        let learner = server.sign_in(&format!("learner-{number}"), "").await;
        let enrolled = learner.enroll("rust-101", "card").await;
        let pay = enrolled["next"]["url"].as_str().unwrap().to_owned();
        let back = location(&learner.submit(pay, &[("choice", "card")]).await);
        learner.client.get(back).send().await.unwrap();
        let access = learner.until("rust-101", "Continue Course").await;
        assert_eq!(access["allowed"], true);
    }
}
