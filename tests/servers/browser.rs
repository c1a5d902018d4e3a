//! A real browser, driven through WebDriver.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::json;

/// A browser driver of its own; it ends with the test.
pub struct Driver {
    child: Child,
    address: String,
}

impl Drop for Driver {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Driver {
    pub async fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let child = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("install chromium and its driver: bash .ci/test does");
        let driver = Self {
            child,
            address: format!("http://127.0.0.1:{port}"),
        };
        let begun = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(
                begun.elapsed() < Duration::from_secs(20),
                "no browser driver"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        driver
    }

    /// A window of its own, without a screen.
    pub async fn window(&self) -> Client {
        let options = json!({
            "args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
        });
        let mut wanted = serde_json::Map::new();
        wanted.insert("goog:chromeOptions".to_owned(), options);
        ClientBuilder::new(HttpConnector::new())
            .capabilities(wanted)
            .connect(&self.address)
            .await
            .unwrap()
    }
}

/// Signs in on the page that asks for a name.
pub async fn sign_in(window: &Client, page: &str, name: &str) {
    window.goto(page).await.unwrap();
    let field = window.find(Locator::Css("input[name=name]")).await.unwrap();
    field.send_keys(name).await.unwrap();
    let button = Locator::Css("form[action='/sign-in'] button");
    let button = window.find(button).await.unwrap();
    button.click().await.unwrap();
}

/// Fills what a learner or an admin sees into a file, where a folder for it is named.
pub async fn picture(window: &Client, name: &str) {
    if let Ok(folder) = std::env::var("COURSEGATE_SCREENSHOTS") {
        let png = window.screenshot().await.unwrap();
        std::fs::write(format!("{folder}/{name}.png"), png).unwrap();
    }
}

/// Waits until the page shows this text, and says how long that took.
pub async fn until(window: &Client, text: &str) -> Duration {
    let begun = Instant::now();
    loop {
        let main = window.find(Locator::Css("main")).await;
        if let Ok(main) = main
            && main.text().await.is_ok_and(|shown| shown.contains(text))
        {
            return begun.elapsed();
        }
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "the page never shows {text}"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
