use coursegate::AdminId;
use coursegate::event::audit_log::{AnchorError, Checkpoint};

use super::{Act, Counts, admins, text};
use crate::common::admin::when;
use crate::common::audit_log::AuditLogPage;

/// Whether the events hold, files for accountants, and one learner's data.
pub fn audit_log(person: &AdminId, counts: &Counts, shown: &AuditLogPage) -> String {
    const HERE: &str = "/admin/audit-log";
    let report = &shown.report;
    let newest = report
        .newest
        .as_ref()
        .map_or_else(String::new, ToString::to_string);
    let verdict = match &report.broken {
        Some(broken) => format!("Somebody tampered with the events: {broken}."),
        None if report.left_out > 0 => {
            format!(
                "{} events are not in the audit log, and should be.",
                report.left_out
            )
        }
        None if newest.is_empty() => {
            "No event is in the audit log yet: they are added every few seconds.".to_owned()
        }
        None if !shown.noted.is_empty() && shown.noted.parse::<Checkpoint>().is_err() => {
            AnchorError.to_string()
        }
        None if shown.noted.is_empty() => "Every event is as it was written.".to_owned(),
        None => "Every event is as it was written, and the link you noted is there.".to_owned(),
    };
    let class = if report.holds() { "" } else { "error" };
    let erased = match report.erased {
        0 => String::new(),
        erased => format!("<p>{erased} of them hold no personal data any more.</p>"),
    };
    let newest = match newest.is_empty() {
        true => newest,
        false => format!(
            "<p>The newest link: <code id=\"newest\">{}</code></p><p><small>Note it somewhere else from time to time.</small></p>",
            text(&newest)
        ),
    };
    let mut body = format!(
        "<article class=\"{class}\"><h2>Do they hold?</h2><p>{verdict}</p>{erased}{newest}\
         <form method=\"get\" action=\"{HERE}\"><input name=\"noted\" value=\"{}\" placeholder=\"A link that you noted\" \
         aria-label=\"A link that you noted\"><button>Compare</button></form></article>\
         <article><h2>Files</h2><p><a href=\"/admin/file/audit_log.jsonl\">Every event, as lines of JSON</a></p>\
         <p><a href=\"/admin/file/payments.csv\">Every payment, as CSV</a></p></article>",
        text(&shown.noted),
    );
    body.push_str(&format!(
        "<article><h2>One learner</h2><form method=\"get\" action=\"{HERE}\"><input name=\"learner\" value=\"{}\" \
         required placeholder=\"Learner\" aria-label=\"Learner\"><button>Show</button></form>{}</article>",
        text(&shown.learner),
        learner(shown),
    ));
    admins("Audit log", person, counts, HERE, &body)
}

fn learner(shown: &AuditLogPage) -> String {
    if shown.learner.is_empty() {
        return String::new();
    }
    if shown.history.is_empty() {
        return "<p>Nothing is kept of a learner with this name.</p>".to_owned();
    }
    let history: String = shown
        .history
        .iter()
        .map(|event| {
            format!(
                "<li>{}<br><small>{}</small></li>",
                text(&event.sentence()),
                when(event.at)
            )
        })
        .collect();
    let query: String = shown.learner.bytes().map(|b| format!("%{b:02X}")).collect();
    format!(
        "<ol class=\"history\">{history}</ol><p><a href=\"/admin/file/learner.json?learner={query}\">Everything that is kept of them</a></p>{}",
        Act::new(
            "erase",
            &shown.learner,
            "Erase this learner",
            "/admin/audit-log"
        )
        .ask("Write the name again")
        .html()
    )
}
