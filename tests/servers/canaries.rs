//! Ten thousand card numbers go in by HTTP, and none comes out of any page, answer, live
//! message, metric or log line; nor do the secrets of the server.

use std::fmt::Write as _;

use reqwest::StatusCode;
use serde_json::json;

use crate::Server;
use crate::net::{Net, cards, written};

/// What people and programs can look at.
const SHOWN: [&str; 20] = [
    "/",
    "/admin",
    "/admin/payments",
    "/admin/money",
    "/admin/problems",
    "/admin/statement",
    "/admin/settled",
    "/admin/day",
    "/admin/audit-log",
    "/admin/audit-log?learner=thandi",
    "/admin/notices",
    "/admin/file/audit_log.jsonl",
    "/admin/file/payments.csv",
    "/api/admin/pending",
    "/api/access?course=rust-101",
    "/health",
    "/metrics",
    "/simulator/report",
    "/lessons/rust-101",
    "/style.css",
];

async fn nothing_comes_out(name: &str, cards: &[String]) {
    let server = Server::start(name);
    let mut net = Net::new(cards);
    net.forbidden = vec![server.secret_text.clone(), server.app_id.clone()];
    net.forbidden
        .push("test-secret-for-the-demos-cookies".to_owned());
    let mut out = String::new();

    let thandi = server.sign_in("thandi", "").await;
    let nomsa = server.sign_in("nomsa", "admin").await;
    #[cfg(feature = "live")]
    let (mut learner, mut admin) = (
        crate::Events::open(&thandi, "/api/live", None).await,
        crate::Events::open(&nomsa, "/api/admin/live", None).await,
    );
    let paid = thandi.enroll("rust-101", "card").await;
    let reference = paid["next"]["reference"].as_str().unwrap();
    let transfer = thandi.enroll("baking", "bank_transfer").await;
    let act = format!("{}/admin/act", server.app);
    for (at, card) in cards.iter().enumerate() {
        let card = written(card, at);
        let own = |status: &str, code: &str, more: &str| {
            format!(
                r#"{{"paylinkID":"nobodyslink00","status":"{status}","externalTransactionID":"{reference}","responseCode":"{code}"{more}}}"#
            )
        };
        let body = match at % 5 {
            0 => own("FAILURE", &card, ""),
            1 => own(
                "FAILURE",
                "05",
                &format!(r#","cardNumber":"{card}","payer":"{card}""#),
            ),
            2 => own(&card, "00", ""),
            3 => own("SUCCESS", "00", "").replace(reference, &card),
            _ => format!("{{\"{card}\":"),
        };
        let signature = match at % 2 {
            0 => server.sign(&server.webhook_path, body.as_bytes()),
            _ => "00".repeat(32),
        };
        let (_, answer) = server.callback_by(&thandi.client, &body, &signature).await;
        writeln!(out, "{answer}").unwrap();
    }
    // What people type, and are refused or not.
    for (at, card) in cards.iter().enumerate().take(20) {
        let card = written(card, at);
        let forms = [
            ("refund", reference, card.as_str()),
            ("refund", card.as_str(), "once more"),
            ("replay", card.as_str(), ""),
            ("close_discrepancy", card.as_str(), card.as_str()),
            ("erase", card.as_str(), card.as_str()),
        ];
        for (action, subject, text) in forms {
            let form = [("action", action), ("subject", subject), ("text", text)];
            let answer = nomsa.submit(act.clone(), &form).await;
            writeln!(out, "{}", answer.text().await.unwrap()).unwrap();
        }
        #[cfg(feature = "statements")]
        {
            let file =
                format!("Date,Amount,Balance,Description\n2026/02/01,125.50,{at}.00,{card}\n");
            let (page, key) = crate::statements::look(&nomsa, "fnb", file.as_bytes()).await;
            let imported = crate::statements::import(&nomsa, &key).await;
            assert!(imported.contains("Imported: 1 new"), "{imported}");
            writeln!(out, "{page}{imported}").unwrap();
        }
    }
    let verdict = json!({ "enrollment": transfer["enrollment"], "reason": written(&cards[21], 1) });
    let rejected = nomsa.post("/api/admin/reject", verdict).await;
    assert_eq!(rejected.status(), StatusCode::OK);

    // Everything that is shown, once the worker has been through.
    tokio::time::sleep(std::time::Duration::from_secs(7)).await;
    for path in SHOWN {
        let desk = path.starts_with("/admin") || path.starts_with("/api/admin");
        let answer = if desk {
            nomsa.get(path).await
        } else {
            thandi.get(path).await
        };
        let text = answer.text().await.unwrap();
        net.clean(&text, path);
        writeln!(out, "{text}").unwrap();
    }
    for enrolled in [&paid, &transfer] {
        let id = enrolled["enrollment"].as_str().unwrap();
        for path in ["/admin/enrollment/", "/api/admin/explain?enrollment="] {
            let answer = nomsa.get(&format!("{path}{id}")).await;
            writeln!(out, "{}", answer.text().await.unwrap()).unwrap();
        }
    }
    net.clean(&out, "an answer");
    assert!(out.contains("****") && out.contains("unreadable"), "{out}");
    #[cfg(feature = "live")]
    {
        learner.until("rejected").await.clear();
        net.clean(&learner.heard, "what a learner hears");
        net.clean(
            &admin.until("enrollment_updated").await,
            "what an admin hears",
        );
        net.clean(&admin.heard, "what an admin hears");
    }
    let log = server.log();
    assert!(
        log.contains("webhook refused") && log.contains("coursegate.webhook"),
        "{log}"
    );
    net.clean(&log, "the log");
}

#[tokio::test]
async fn no_card_number_comes_out_by_http() {
    let cards = cards();
    let (first, second) = cards.split_at(5000);
    nothing_comes_out("axum_server", first).await;
    nothing_comes_out("actix_server", second).await;
}
