//! How long it takes from a payment on the provider's page until the button in a real browser has
//! changed: the callback, its verification, the question to the provider, the decision, the commit, the
//! outbox, the hub, the stream, the page.
//!
//! `cargo build --release --examples --features live,simulator && cargo bench --bench browser --features
//! live,simulator`, with Chromium and its driver installed (`bash .ci/test` does that).
#![allow(
    missing_docs,
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]

#[path = "../tests/servers/browser.rs"]
mod browser;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use reqwest::Client;
use serde_json::{Value, json};

const RUNS: usize = 50;

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn start() -> (Server, String) {
    let bench = std::env::current_exe().unwrap();
    let profile = bench.parent().unwrap().parent().unwrap();
    let mut child = Command::new(profile.join("examples/axum_server"))
        .args(["--port", "0", "--simulator-port", "0"])
        .env_remove("DATABASE_URL")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect(
            "build the examples first: cargo build --release --examples --features live,simulator",
        );
    let mut line = String::new();
    let output = child.stdout.take().unwrap();
    BufReader::new(output).read_line(&mut line).unwrap();
    let said: Value = serde_json::from_str(&line).unwrap();
    (Server(child), said["app"].as_str().unwrap().to_owned())
}

fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    since.as_secs_f64() * 1000.0
}

/// One payment: the time from the click on the provider's page, and from its end, to the button.
async fn run(window: &fantoccini::Client, app: &str, number: usize) -> (f64, f64) {
    let name = format!("learner{number}");
    window.delete_all_cookies().await.unwrap();
    browser::sign_in(window, app, &name).await;
    let client = Client::builder()
        .no_proxy()
        .cookie_store(true)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    let form = [("name", name.as_str()), ("role", "")];
    client
        .post(format!("{app}/sign-in"))
        .header("origin", app)
        .form(&form)
        .send()
        .await
        .unwrap();
    let wish = json!({ "course": "rust-101", "method": "card" });
    let enrolled = client
        .post(format!("{app}/api/enroll"))
        .header("origin", app)
        .json(&wish)
        .send()
        .await
        .unwrap();
    let enrolled: Value = enrolled.json().await.unwrap();
    let pay = enrolled["next"]["url"].as_str().unwrap().to_owned();
    // The enrollment has arrived, so the stream is open.
    browser::until(window, "Complete your payment").await;
    let watch = "window.changed = null;
        const part = document.querySelector('article[data-course=rust-101] [data-part=open]');
        new MutationObserver(() => { if (!part.hidden) window.changed ??= performance.timeOrigin + performance.now(); })
            .observe(part, { attributes: true });";
    window.execute(watch, vec![]).await.unwrap();
    let before = now();
    client
        .post(pay)
        .form(&[("choice", "card")])
        .send()
        .await
        .unwrap();
    let after = now();
    browser::until_true(window, "window.changed !== null").await;
    let changed = window
        .execute("return window.changed", vec![])
        .await
        .unwrap();
    let changed = changed.as_f64().unwrap();
    (changed - before, changed - after)
}

#[tokio::main]
async fn main() {
    let (_server, app) = start();
    let driver = browser::Driver::start().await;
    let window = driver.window().await;
    let (mut whole, mut rest) = (Vec::new(), Vec::new());
    for number in 0..RUNS {
        let (from_click, from_answer) = run(&window, &app, number).await;
        whole.push(from_click);
        rest.push(from_answer);
    }
    window.close().await.unwrap();
    for (name, times) in [
        ("from the click to pay", &mut whole),
        ("from the pay page's answer", &mut rest),
    ] {
        times.sort_by(f64::total_cmp);
        let at = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)];
        println!(
            "{name} to the button, {RUNS} runs: median {:.0} ms, 95 % {:.0} ms, slowest {:.0} ms",
            at(50),
            at(95),
            at(100)
        );
    }
}
