//! Numbers for operators: every metric that is documented is there, and no other.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use coursegate::adapter::simulator::Choice;
use coursegate::monitor::Metric;
use coursegate::payment::PaymentMethod;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use crate::support::{World, admin, with_signature};

#[test]
fn names_and_documentation_agree() {
    let mut table = String::from(
        "# Metrics\nWith the feature `metrics`.\n\n| name | kind | labels | what |\n|---|---|---|---|\n",
    );
    for metric in Metric::ALL {
        let labels = metric.labels.join(", ");
        table.push_str(&format!(
            "| `{}` | {} | {labels} | {} |\n",
            metric.name, metric.kind, metric.about
        ));
        let ending = match metric.kind {
            "counter" => metric.name.ends_with("_total"),
            "histogram" => metric.name.ends_with("_seconds"),
            _ => true,
        };
        assert!(
            ending && metric.name.starts_with("coursegate_"),
            "{}",
            metric.name
        );
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/monitor/metrics.md");
    if std::env::var_os("COURSEGATE_WRITE_TABLE").is_some() {
        std::fs::write(path, &table).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap();
    assert_eq!(written, table, "COURSEGATE_WRITE_TABLE=1 writes it anew");
}

/// For the whole process: tests only add to it.
pub fn handle() -> &'static PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE.get_or_init(|| PrometheusBuilder::new().install_recorder().unwrap())
}

#[tokio::test]
async fn what_is_documented_is_measured() {
    let handle = handle();
    let world = World::new();
    world.pass().await;
    let (_, _, link) = world
        .attempt("thandi@canary.example", PaymentMethod::Card)
        .await;
    world.pay(&link, Choice::Card).await;
    let id = world
        .enroll("sipho", PaymentMethod::BankTransfer)
        .await
        .enrollment;
    world.advance(61);
    world.pass().await;
    world
        .registrar
        .admin(admin())
        .approvals()
        .approve(id, "canary-note")
        .await
        .unwrap();
    assert!(!world.may_enter("nobody@canary.example").await);
    for _ in 0..3 {
        world.registrar.receive(with_signature(b"{}", "00")).await;
    }
    world.pass().await;
    let text = handle.render();
    let mut found = BTreeSet::new();
    for line in text.lines().filter(|line| line.starts_with("# TYPE")) {
        let mut words = line.split(' ').skip(2);
        found.insert((
            words.next().unwrap().to_owned(),
            words.next().unwrap().to_owned(),
        ));
    }
    for metric in Metric::ALL {
        // Without buckets the exporter makes summaries of histograms.
        let kind = match metric.kind {
            "histogram" => "summary",
            kind => kind,
        };
        assert!(
            found.remove(&(metric.name.to_owned(), kind.to_owned())),
            "{} is missing",
            metric.name
        );
    }
    assert_eq!(found, BTreeSet::new(), "not documented");
    for line in [
        "coursegate_webhooks_total{outcome=\"refused\"}",
        "coursegate_approvals_total{cause=\"manual_admin_approval\"}",
        "coursegate_access_denied_total{reason=\"no_grant\"}",
        "coursegate_webhook_seconds{stage=\"persistence\",quantile",
        "coursegate_inbox{state=\"dead\"}",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    for label in text
        .lines()
        .filter_map(|line| line.split_once('{')?.1.split_once('}'))
        .flat_map(|(labels, _)| labels.split(','))
    {
        let name = label.split('=').next().unwrap();
        let known = Metric::ALL
            .iter()
            .any(|metric| metric.labels.contains(&name));
        assert!(known || name == "quantile", "{label}");
    }
    assert!(!text.contains("canary") && !text.contains("sipho") && !text.contains("CG-"));
}
