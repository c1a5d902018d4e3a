//! What an accountant and a learner may ask for.

use std::process::Command;

use reqwest::StatusCode;
use serde_json::Value;

use crate::{Browser, Server, binary};

/// Checks a file as somebody does who has nothing but the file.
fn check(lines: &str, noted: Option<&str>) -> (Option<i32>, String) {
    let name = format!(
        "coursegate-events-{}-{}.jsonl",
        std::process::id(),
        lines.len()
    );
    let path = std::env::temp_dir().join(name);
    std::fs::write(&path, lines).unwrap();
    let output = Command::new(binary("verify_audit_log"))
        .arg(&path)
        .args(noted)
        .output()
        .unwrap();
    std::fs::remove_file(&path).unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    (output.status.code(), said)
}

async fn file(admin: &Browser<'_>, name: &str, kind: &str) -> String {
    let answer = admin.get(&format!("/admin/file/{name}")).await;
    assert_eq!(answer.status(), StatusCode::OK, "{name}");
    let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
    assert!(header("content-type").starts_with(kind));
    let disposition = header("content-disposition");
    assert!(
        disposition.starts_with("attachment; filename="),
        "{disposition}"
    );
    answer.text().await.unwrap()
}

/// The link that the page tells people to note.
pub fn newest(page: &str) -> String {
    let (_, rest) = page.split_once("id=\"newest\">").unwrap_or_default();
    rest.split('<').next().unwrap().to_owned()
}

async fn an_accountant_believes_it(server: &Server) {
    let thandi = server.sign_in("thandi", "").await;
    let enrolled = thandi.enroll("rust-101", "bank_transfer").await;
    let id = enrolled["enrollment"].as_str().unwrap();
    assert_eq!(
        thandi.get("/admin/file/audit_log.jsonl").await.status(),
        StatusCode::UNAUTHORIZED
    );
    let nomsa = server.sign_in("nomsa", "admin").await;
    let form = [("enrollment", id), ("reason", "seen on the statement")];
    let approve = format!("{}/admin/approve", server.app);
    nomsa.submit(approve, &form).await;

    // The worker adds events to the audit log every few seconds.
    let (page, noted) = loop {
        let page = nomsa.get("/admin/audit-log").await.text().await.unwrap();
        let events = file(&nomsa, "audit_log.jsonl", "application/x-ndjson").await;
        if events.contains("seen on the statement") {
            let noted = newest(&page);
            if !noted.is_empty() {
                break (page, noted);
            }
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    };
    assert!(page.contains("Every event is as it was written."), "{page}");
    let compared = nomsa.get(&format!("/admin/audit-log?noted={noted}")).await;
    let compared = compared.text().await.unwrap();
    assert!(
        compared.contains("the link you noted is there"),
        "{compared}"
    );
    let wrong = format!("1:{}", "ab".repeat(32));
    let compared = nomsa.get(&format!("/admin/audit-log?noted={wrong}")).await;
    assert!(compared.text().await.unwrap().contains("Somebody tampered"));

    let typo = nomsa
        .get("/admin/audit-log?noted=x")
        .await
        .text()
        .await
        .unwrap();
    assert!(typo.contains("a link is noted as"), "{typo}");

    // Who approved what, for whoever has the file alone.
    let lines = file(&nomsa, "audit_log.jsonl", "application/x-ndjson").await;
    let approved = lines
        .lines()
        .find(|line| line.contains("seen on the statement"));
    assert!(approved.unwrap().contains("nomsa"));
    let (code, said) = check(&lines, Some(&noted));
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("events hold"), "{said}");
    let forged = lines.replacen("nomsa", "sipho", 1);
    let (code, said) = check(&forged, Some(&noted));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("the event was changed"), "{said}");
    let cut = lines.lines().next().unwrap().to_owned();
    assert_eq!(check(&cut, Some(&noted)).0, Some(1));

    let payments = file(&nomsa, "payments.csv", "text/csv").await;
    let row = payments
        .lines()
        .find(|line| line.contains(",thandi,"))
        .unwrap();
    assert!(
        row.contains(",49900,") && row.ends_with(",applied,approved"),
        "{row}"
    );

    // What is kept of one learner, and that it goes.
    let page = nomsa
        .get("/admin/audit-log?learner=thandi")
        .await
        .text()
        .await
        .unwrap();
    assert!(
        page.contains("Enrolled in rust-101") && page.contains("Access was given"),
        "{page}"
    );
    let kept = file(&nomsa, "learner.json?learner=thandi", "application/json").await;
    let kept: Value = serde_json::from_str(&kept).unwrap();
    assert_eq!(kept["enrollments"][0]["enrollment"]["learner"], "thandi");
    let act = format!("{}/admin/act", server.app);
    let erase = async |again: &str| {
        let form = [
            ("action", "erase"),
            ("subject", "thandi"),
            ("text", again),
            ("back", "/admin/audit-log"),
        ];
        nomsa.submit(act.clone(), &form).await
    };
    let typo = erase("thandy").await;
    assert_eq!(typo.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let open = erase("thandi").await;
    assert_eq!(open.status(), StatusCode::CONFLICT);
    let why = open.text().await.unwrap();
    assert!(why.contains("not over yet"), "{why}");
}

#[tokio::test]
async fn an_accountant_believes_who_approved_what() {
    for name in ["axum_server", "actix_server"] {
        an_accountant_believes_it(&Server::start(name)).await;
    }
}

/// The desk can try whether live updates arrive.
#[cfg(feature = "live")]
#[tokio::test]
async fn the_desk_tries_live_updates() {
    let server = Server::start("axum_server");
    let nomsa = server.sign_in("nomsa", "admin").await;
    let form = [("action", "probe"), ("back", "/admin/problems")];
    let answer = nomsa
        .submit(format!("{}/admin/act", server.app), &form)
        .await;
    assert_eq!(crate::location(&answer), "/admin/problems");
}
