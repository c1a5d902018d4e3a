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

    /// Tells the browser itself something, by its own protocol.
    pub async fn tell(&self, window: &Client, command: &str, parameters: serde_json::Value) {
        let session = window.session_id().await.unwrap().unwrap();
        let url = format!("{}/session/{session}/goog/cdp/execute", self.address);
        let answer = reqwest::Client::builder()
            .no_proxy()
            .build()
            .unwrap()
            .post(url)
            .json(&json!({ "cmd": command, "params": parameters }))
            .send()
            .await
            .unwrap();
        assert!(answer.status().is_success(), "{command}");
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
    // The next page may not be asked for before this one is left.
    until_true(window, "!document.querySelector('input[name=name]')").await;
}

/// Fills what a learner or an admin sees into a file, where a folder for it is named.
pub async fn picture(window: &Client, name: &str) {
    if let Ok(folder) = std::env::var("COURSEGATE_SCREENSHOTS") {
        let png = window.screenshot().await.unwrap();
        std::fs::write(format!("{folder}/{name}.png"), png).unwrap();
    }
}

/// Clicks on what a selector finds.
pub async fn click(window: &Client, selector: &str) {
    let begun = Instant::now();
    loop {
        let found = window.wait().for_element(Locator::Css(selector)).await;
        // Out from under what stays at the edge of the window.
        let script = "document.querySelector(arguments[0])?.scrollIntoView({ block: 'center' })";
        let arguments = vec![json!(selector)];
        window.execute(script, arguments).await.unwrap();
        match found.unwrap().click().await {
            Ok(()) => return,
            // It was made anew between the look and the click.
            Err(error) => assert!(begun.elapsed() < Duration::from_secs(5), "{error}"),
        }
    }
}

/// Writes into the field that a selector finds, as it is now: a page that follows what happens
/// may have been made anew since it was looked at.
pub async fn write(window: &Client, selector: &str, text: &str) {
    let script = "const field = document.querySelector(arguments[0]); field.focus(); field.value = arguments[1]";
    until_true(
        window,
        &format!("document.querySelector({selector:?}) !== null"),
    )
    .await;
    let arguments = vec![json!(selector), json!(text)];
    window.execute(script, arguments).await.unwrap();
}

/// Waits until a script gives `true`.
pub async fn until_true(window: &Client, what: &str) -> Duration {
    let begun = Instant::now();
    let script = format!("return ({what}) === true");
    while window.execute(&script, vec![]).await.unwrap() != true {
        assert!(begun.elapsed() < Duration::from_secs(20), "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    begun.elapsed()
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
