//! Deliveries that a database could choke on.

use coursegate::registrar::Outcome;
use coursegate::store::{InboxFilter, InboxState, PageRequest, Queries, Store};
use coursegate::webhook::StoredBody;

use crate::cluster::fresh_store;
use crate::school::{enroll, registrar};
use crate::support::{signed, signed_bytes};

#[tokio::test]
async fn what_text_columns_cannot_hold_is_still_kept() {
    let store = fresh_store().await;
    let registrar = registrar(store.clone());
    let bodies: [&[u8]; 4] = [
        b"\xff\xfe not text",
        b"{\"status\":\"SUCCESS\",\"externalTransactionID\":\"a\\u0000b\"}",
        b"{\"status\":\"SUC\\u0000CESS\",\"externalTransactionID\":\"CG-1\"}",
        b"\0",
    ];
    for body in bodies {
        let receipt = registrar.receive(signed_bytes(body)).await;
        assert_eq!(receipt.outcome, Outcome::Unreadable, "{body:?}");
        assert_eq!(receipt.http_status(), 200);
        let kept = store.delivery(&receipt.delivery.unwrap()).await.unwrap();
        assert_eq!(kept.unwrap().body, StoredBody::Plain(body.to_vec()));
    }
    let dead = store
        .inbox(InboxFilter::Dead, PageRequest::first(10))
        .await
        .unwrap();
    assert_eq!(dead.items.len(), bodies.len());
    assert!(
        dead.items
            .iter()
            .all(|entry| matches!(entry.state, InboxState::Dead { .. }))
    );
}

#[tokio::test]
async fn odd_values_beside_the_known_ones_change_nothing() {
    let store = fresh_store().await;
    let registrar = registrar(store.clone());
    let odd = [
        r#""cardType":"vi\u0000sa""#,
        r#""cardType":"\ud83d\ude00 'quoted' \\ \" ; DROP TABLE enrollments""#,
        r#""maskedCard":"4111 1111 1111 1111","authCode":"\u0000\u0001""#,
        r#""memo":"\u202e","settled":1e308"#,
        r#""text":"\u0000""#,
    ];
    for (number, extra) in odd.iter().enumerate() {
        let due = enroll(&registrar, &store, &format!("learner-{number}")).await;
        let body = format!(
            r#"{{"paylinkID":"{}","status":"SUCCESS","externalTransactionID":"{}","responseCode":"0\u00000",{extra}}}"#,
            due.link.as_str(),
            due.reference
        );
        let receipt = registrar.receive(signed(&body)).await;
        assert_eq!(receipt.http_status(), 200, "{extra}: {receipt:?}");
        assert!(receipt.access_granted, "{extra}: {receipt:?}");
        let found = store
            .load(coursegate::store::Lookup::Enrollment(due.enrollment))
            .await
            .unwrap();
        assert_eq!(found.case.unwrap().grants.len(), 1);
        assert!(!store.timeline(due.enrollment).await.unwrap().is_empty());
    }
}
