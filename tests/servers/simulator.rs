//! The simulator beside the example servers: its debug report, and its faults.

use std::time::Duration;

use reqwest::{Client, StatusCode};
use serde_json::Value;

use crate::{Server, location};

async fn report(server: &Server) -> Vec<String> {
    let client = Client::builder().no_proxy().build().unwrap();
    let answer = client
        .get(format!("{}/simulator/report", server.app))
        .send();
    let answer = answer.await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let report: Value = answer.json().await.unwrap();
    let notes = report["report"].as_array().unwrap().iter();
    notes
        .map(|note| note.as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn the_debug_report_is_read_over_http() {
    for name in ["axum_server", "actix_server"] {
        let server = Server::start(name);
        assert_eq!(report(&server).await, Vec::<String>::new(), "{name}");
        let client = Client::builder().no_proxy().build().unwrap();
        let path = "/public-api/v1/api/getStatus/external";
        let asked = format!("{path}?externalReference=CG-1");
        let send = async |signed: &str| {
            let request = client.get(format!("{}{asked}", server.simulator));
            let request = request.header("IK-APPID", &server.app_id);
            let signature = server.sign(signed, b"");
            let answer = request.header("IK-SIGN", signature).send().await.unwrap();
            answer.status().as_u16()
        };
        assert_eq!(send(path).await, 404, "signed as it should be");
        assert_eq!(report(&server).await, Vec::<String>::new(), "{name}");
        assert_eq!(send(&asked).await, 401);
        let notes = report(&server).await;
        assert_eq!(notes.len(), 1, "{name}");
        assert!(
            notes[0].contains("the signature covers the query"),
            "{notes:?}"
        );
        assert!(!notes[0].contains(&server.secret_text));
    }
}

/// Whoever pays gets in, whatever the provider answers to calls and does to callbacks.
#[tokio::test]
async fn a_provider_whose_answers_go_wrong_keeps_nobody_out() {
    let args = [
        "--faults",
        "answer_cut,lost",
        "--unknown",
        "null",
        "--callback-retries",
        "3",
    ];
    let server = Server::start_with("axum_server", &args, None);
    // Every other call comes to something: whose link is lost asks again another day.
    let mut paid = 0;
    for number in 0..20 {
        let learner = server.sign_in(&format!("learner-{number}"), "").await;
        let body = serde_json::json!({ "course": "rust-101", "method": "card" });
        let answer = learner.post("/api/enroll", body).await;
        let status = answer.status();
        let enrolled: Value = answer.json().await.unwrap();
        let Some(pay) = enrolled["next"]["url"].as_str() else {
            assert_eq!(status, StatusCode::BAD_GATEWAY, "{enrolled}");
            continue;
        };
        paid += 1;
        let back = location(&learner.submit(pay.to_owned(), &[("choice", "card")]).await);
        learner.client.get(back).send().await.unwrap();
        let entered = async {
            loop {
                if learner.access("rust-101").await["allowed"] == true {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        };
        let time_limit = Duration::from_secs(90);
        tokio::time::timeout(time_limit, entered).await.unwrap();
        if paid == 2 {
            return;
        }
    }
    panic!("only {paid} of 20 were given a link");
}
