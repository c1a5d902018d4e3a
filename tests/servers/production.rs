//! The server for real money: it does not start before it is ready, and a secret is exchanged
//! without losing a callback.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use coursegate::adapter::postgres::{PgStore, pool_options};
use coursegate::port::{InboxFilter, PageRequest, Records};
use coursegate::webhook::Signer;
use coursegate::{AppId, Secret};
use reqwest::Client;
use serde_json::Value;

use crate::binary;
use crate::cluster::Cluster;

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
    let mut command = Command::new(binary("production"));
    command
        .args(["--port", "0", "--offline"])
        .env_clear()
        .envs(settings.iter().cloned())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

struct School {
    child: Child,
    app: String,
}

impl School {
    fn open(settings: &[(&'static str, String)]) -> Self {
        let mut child = command(settings).spawn().unwrap();
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

    async fn callback(&self, secret: &str, number: usize) -> u16 {
        let body = format!(
            r#"{{"paylinkID":"link{number}","status":"SUCCESS","externalTransactionID":"CG-{number}","responseCode":"00"}}"#
        );
        let signer = Signer::new(&Secret::new(secret).unwrap());
        let signature = signer.sign(PATH, body.as_bytes()).to_hex();
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
        said.contains("not ready for real money: secret_placeholder")
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
    let store = PgStore::new(pool_options().connect(&database).await.unwrap());
    let kept = store
        .inbox(InboxFilter::Parked, PageRequest::first(10))
        .await;
    let mut kept: Vec<String> = kept
        .unwrap()
        .items
        .iter()
        .map(|entry| entry.reference.as_ref().unwrap().as_str().to_owned())
        .collect();
    kept.sort_unstable();
    assert_eq!(kept, ["CG-1", "CG-3", "CG-4", "CG-5"]);
}
