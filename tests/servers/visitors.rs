//! What the example servers take from browsers of other sites, from callers that go away, and
//! what they show when something fails.

use reqwest::header::HeaderMap;
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::json;

use crate::Server;

const SERVERS: [&str; 2] = ["axum_server", "actix_server"];

/// A client that adds nothing of its own, as an attacker's would.
fn bare() -> Client {
    let client = Client::builder().no_proxy().redirect(Policy::none());
    client.build().unwrap()
}

async fn status(request: RequestBuilder) -> StatusCode {
    request.send().await.unwrap().status()
}

#[tokio::test]
async fn posts_of_other_sites_are_refused() {
    for name in SERVERS {
        let server = Server::start(name);
        let app = server.app.as_str();
        let simulator = server.simulator.as_str();
        let post = |path: &str, headers: &[(&str, &str)]| {
            let form = [("name", "thandi"), ("role", "")];
            let request = bare().post(format!("{app}{path}")).form(&form);
            let with = |request: RequestBuilder, (name, value): &(&str, &str)| {
                request.header(*name, *value)
            };
            headers.iter().fold(request, with)
        };
        for (headers, expected) in [
            (&[("origin", app)][..], 303),
            (&[("sec-fetch-site", "same-origin")], 303),
            (&[("sec-fetch-site", "same-origin"), ("origin", app)], 303),
            (&[], 403),
            (&[("origin", "https://evil.example")], 403),
            (&[("origin", "null")], 403),
            (&[("origin", "")], 403),
            // Another port is another site to an Origin, and the same one to a cookie.
            (&[("origin", simulator)], 403),
            (&[("sec-fetch-site", "same-site"), ("origin", app)], 403),
            (&[("sec-fetch-site", "cross-site"), ("origin", app)], 403),
            (&[("sec-fetch-site", "none")], 403),
        ] {
            let answer = status(post("/sign-in", headers)).await;
            assert_eq!(answer, expected, "{name}: {headers:?}");
        }
        // Every post, whoever sends it and whether or not there is such a page.
        for path in [
            "/enroll",
            "/proof",
            "/admin/approve",
            "/admin/reject",
            "/admin/choose",
            "/admin/act",
            "/api/enroll",
            "/api/admin/approve",
            "/api/admin/reject",
            "/api/admin/refund",
            "/nothing",
        ] {
            let foreign = post(path, &[("origin", "https://evil.example")]);
            assert_eq!(status(foreign).await, StatusCode::FORBIDDEN, "{path}");
        }
        // Pages can be linked to from anywhere, and the provider is no browser.
        let visit = bare().get(app).header("sec-fetch-site", "cross-site");
        assert_eq!(status(visit).await, StatusCode::OK);
        let (answer, _) = server.callback("{}", &"0".repeat(64)).await;
        assert_eq!(answer, 401);
    }
}

/// Sign-in behind a proxy that ends TLS, for the browser that knows the proxy's address.
#[tokio::test]
async fn behind_a_proxy_the_site_is_the_one_that_browsers_know() {
    for name in SERVERS {
        let server = Server::start_with(name, &["--site", "https://school.example/"], None);
        let sign_in = |origin: &str, role: &str| {
            let form = [("name", "thandi"), ("role", role)];
            let url = format!("{}/sign-in", server.app);
            bare().post(url).form(&form).header("origin", origin)
        };
        let own = status(sign_in(&server.app, "")).await;
        assert_eq!(own, StatusCode::FORBIDDEN);
        // A learner comes back from the provider's page, which is another site.
        for (role, same_site) in [("", "SameSite=Lax"), ("admin", "SameSite=Strict")] {
            let answer = sign_in("https://school.example", role).send().await;
            let answer = answer.unwrap();
            let cookie = answer.headers()["set-cookie"].to_str().unwrap().to_owned();
            for attribute in ["Secure", "HttpOnly", same_site, "Path=/"] {
                let given = cookie.split("; ").any(|it| it == attribute);
                assert!(given, "{name}: {attribute} in {cookie}");
            }
        }
    }
}

pub fn is_guarded(headers: &HeaderMap, what: &str) {
    let header = |name: &str| {
        let value = headers
            .get(name)
            .unwrap_or_else(|| panic!("{what}: {name}"));
        value.to_str().unwrap().to_owned()
    };
    assert_eq!(header("cache-control"), "no-store", "{what}");
    assert_eq!(header("x-content-type-options"), "nosniff", "{what}");
    assert_eq!(header("x-frame-options"), "DENY", "{what}");
    assert_eq!(header("referrer-policy"), "same-origin", "{what}");
    let policy = header("content-security-policy");
    assert!(
        policy.starts_with("default-src 'none'")
            && policy.contains("frame-ancestors 'none'")
            && !policy.contains("unsafe"),
        "{what}: {policy}"
    );
    for name in headers.keys() {
        let times = headers.get_all(name).iter().count();
        assert_eq!(times, 1, "{what}: {name} comes more than once");
    }
}

#[tokio::test]
async fn every_answer_tells_the_browser_what_not_to_do() {
    for name in SERVERS {
        let server = Server::start(name);
        let thandi = server.sign_in("thandi", "").await;
        let nomsa = server.sign_in("nomsa", "admin").await;
        for path in [
            "/",
            "/lessons/rust-101",
            "/api/access?course=rust-101",
            "/admin",
            "/admin/payments",
            "/admin/nothing",
            "/admin/file/payments.csv",
            "/api/admin/pending",
            "/api/admin/explain",
            "/returned/CG-1",
            "/style.css",
            "/health",
            "/metrics",
            "/nothing",
        ] {
            let browser = if path.contains("admin") {
                &nomsa
            } else {
                &thandi
            };
            let answer = browser.get(path).await;
            is_guarded(answer.headers(), &format!("{name}{path}"));
        }
        #[cfg(feature = "live")]
        for path in ["/page.js", "/coursegate.js", "/api/live"] {
            is_guarded(thandi.get(path).await.headers(), path);
        }
        let nobody = bare().get(format!("{}/api/access?course=x", server.app));
        let nobody = nobody.send().await.unwrap();
        assert_eq!(nobody.status(), StatusCode::UNAUTHORIZED);
        is_guarded(nobody.headers(), "401");
        let foreign = bare().post(format!("{}/enroll", server.app));
        is_guarded(foreign.send().await.unwrap().headers(), "403");
        let large = bare().post(format!("{}{}", server.app, server.webhook_path));
        let large = large.body("x".repeat(70_000)).send().await.unwrap();
        assert_eq!(large.status(), StatusCode::PAYLOAD_TOO_LARGE);
        is_guarded(large.headers(), "413");
    }
}

/// What is behind an error is for the log and the desk, not for learners.
#[tokio::test]
async fn learners_are_told_what_they_can_do() {
    for name in SERVERS {
        let server = Server::start(name);
        let thandi = server.sign_in("thandi", "").await;
        let proof = [("course", "baking"), ("proof", "https://files.example/1")];
        let shown = thandi.submit(format!("{}/proof", server.app), &proof).await;
        assert_eq!(shown.status(), StatusCode::NOT_FOUND);
        let page = shown.text().await.unwrap();
        assert!(
            page.contains("There is nothing here. Please go back to the course."),
            "{page}"
        );
        let raw = "there is no such";
        assert!(!page.contains(raw), "{page}");
        // The operator finds the whole of it, and an admin sees it.
        assert!(server.log().contains(raw), "{}", server.log());
        let nomsa = server.sign_in("nomsa", "admin").await;
        let unknown = json!({ "enrollments": ["019c0000-0000-7000-8000-000000000001"] });
        let answer = nomsa.post("/api/admin/approve", unknown).await;
        assert!(answer.text().await.unwrap().contains(raw));
    }
}

/// The provider fails: the page says that nothing was paid, and not what the provider said.
#[tokio::test]
async fn learners_hear_of_a_failing_provider_in_their_own_words() {
    let server = Server::start_with("axum_server", &["--faults", "server_error"], None);
    let told = "The payment page could not be opened. Nothing was paid, and your place is kept. \
                Please try again in a minute.";
    let (mut pages, mut answers) = (0, 0);
    // It fails every other time.
    for number in 0..20 {
        let learner = server.sign_in(&format!("learner-{number}"), "").await;
        let form = [("course", "rust-101"), ("method", "card")];
        let page = learner
            .submit(format!("{}/enroll", server.app), &form)
            .await;
        if page.status() != StatusCode::SEE_OTHER {
            let status = page.status();
            let text = page.text().await.unwrap();
            assert!(status.is_server_error() && text.contains(told), "{text}");
            assert!(
                !text.contains("500") && !text.contains("provider"),
                "{text}"
            );
            pages += 1;
        }
        let wish = json!({ "course": "maths-12", "method": "card" });
        let answer = learner.post("/api/enroll", wish).await;
        if !answer.status().is_success() {
            let body: serde_json::Value = answer.json().await.unwrap();
            assert_eq!(body["error"], told);
            answers += 1;
        }
    }
    assert!(pages > 0 && answers > 0, "the provider never failed");
}

/// Somebody cuts the connection while the provider is being asked: the callback is worked on to
/// its end, since nobody may ever send it again.
#[cfg(feature = "ikhokha")]
#[tokio::test]
async fn a_callback_whose_caller_goes_away_is_finished() {
    use std::time::{Duration, Instant};

    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpStream;

    for name in SERVERS {
        let server = Server::start_with(name, &["--slow", "700"], None);
        let thandi = server.sign_in("thandi", "").await;
        let enrolled = thandi.enroll("rust-101", "card").await;
        let url = enrolled["next"]["url"].as_str().unwrap();
        let link = url.rsplit('/').next().unwrap();
        let reference = enrolled["next"]["reference"].as_str().unwrap();
        let body = format!(
            r#"{{"paylinkID":"{link}","status":"SUCCESS","externalTransactionID":"{reference}","responseCode":"00"}}"#
        );
        let path = &server.webhook_path;
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: a\r\nik-appid: {}\r\nik-sign: {}\r\ncontent-length: {}\r\n\r\n{body}",
            server.app_id,
            server.sign(path, body.as_bytes()),
            body.len()
        );
        let mut caller = TcpStream::connect(server.address()).await.unwrap();
        caller.write_all(request.as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(
            !server.log().contains("coursegate.webhook"),
            "{name} was too quick"
        );
        // A reset, which servers notice while they still work on an answer.
        caller.set_zero_linger().unwrap();
        drop(caller);
        let begun = Instant::now();
        // The provider does not know of the payment yet: the callback is kept, and asked about again.
        while !server.log().contains("outcome=\"waiting\"") {
            let log = server.log();
            assert!(
                begun.elapsed() < Duration::from_secs(5),
                "{name} gave it up: {log}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Somebody asks and asks, and takes no answer: their place is free again before long.
#[tokio::test]
async fn who_takes_no_answer_is_cut_off() {
    use std::time::Duration;

    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpSocket;

    let cut_off = async |name: &str| {
        let server = Server::start(name);
        let deaf = TcpSocket::new_v4().unwrap();
        deaf.set_recv_buffer_size(4096).unwrap();
        let address = server.address().parse().unwrap();
        let mut deaf = deaf.connect(address).await.unwrap();
        let questions = "GET /style.css HTTP/1.1\r\nhost: a\r\n\r\n".repeat(1000);
        let asking = async { while deaf.write_all(questions.as_bytes()).await.is_ok() {} };
        let closed = tokio::time::timeout(Duration::from_secs(45), asking).await;
        assert!(closed.is_ok(), "{name} holds it for ever");
        // It was the only one.
        assert_eq!(
            status(bare().get(server.app.as_str())).await,
            StatusCode::OK
        );
    };
    tokio::join!(cut_off(SERVERS[0]), cut_off(SERVERS[1]));
}
