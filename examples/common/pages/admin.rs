use coursegate::AdminId;
use coursegate::payment::{PaymentAttempt, Purpose};
use coursegate::reason::Severity;
use coursegate::registrar::Explanation;

use super::{admins, plain, text};
use crate::common::admin::when;

/// What waits on each of the admin's pages.
pub struct Counts {
    pub approvals: String,
    pub notices: String,
}

impl Counts {
    pub(super) fn nav(&self, here: &str) -> String {
        let pages = [
            ("/admin", "Approvals", self.approvals.as_str()),
            ("/admin/payments", "Payments", ""),
            ("/admin/money", "Money", ""),
            ("/admin/problems", "Problems", ""),
            ("/admin/statement", "Bank statement", ""),
            ("/admin/day", "Figures", ""),
            ("/admin/audit-log", "Audit log", ""),
            ("/admin/notices", "Notices", self.notices.as_str()),
        ];
        let links: String = pages
            .iter()
            .map(|(path, name, count)| {
                let current = match *path == here {
                    true => " aria-current=\"page\"",
                    false => "",
                };
                let count = match *count {
                    "" | "0" => String::new(),
                    count => format!(" <b>{count}</b>"),
                };
                format!("<a href=\"{path}\"{current}>{name}{count}</a>")
            })
            .collect();
        format!("<nav aria-label=\"Admin\">{links}</nav>")
    }
}

/// The approval queue.
pub fn queue(
    person: &AdminId,
    counts: &Counts,
    rows: &[Explanation],
    more: Option<&str>,
) -> String {
    let mut body = String::new();
    if rows.is_empty() {
        body.push_str("<p>Nothing waits for approval.</p>");
    } else {
        body.push_str(BULK);
    }
    for row in rows {
        body.push_str(&article(row));
    }
    if let Some(more) = more {
        body.push_str(&format!("<p><a href=\"{}\">More</a></p>", text(more)));
    }
    body.push_str(KEYS);
    admins("Approvals", person, counts, "/admin", &body)
}

/// Many at once needs the script: it shows how far it is, and what came of each.
const BULK: &str = "<form id=\"bulk\" class=\"bulk\"><label><input type=\"checkbox\" id=\"everything\"> All</label>\
    <input id=\"bulk-note\" name=\"note\" maxlength=\"200\" placeholder=\"Note for the event\" aria-label=\"Note for the event\">\
    <button name=\"do\" value=\"try\">Dry run</button><button name=\"do\" value=\"approve\" class=\"main\">Approve ticked</button></form>";

const KEYS: &str = "<p class=\"quiet\"><kbd>?</kbd> shows the keys.</p><p id=\"keys\" hidden><kbd>j</kbd> <kbd>k</kbd> next and \
    previous, <kbd>x</kbd> tick, <kbd>a</kbd> approve, <kbd>r</kbd> write a reason to reject, <kbd>/</kbd> search, \
    <kbd>Esc</kbd> back to the enrollment.</p>";

fn article(row: &Explanation) -> String {
    let enrollment = &row.case.enrollment;
    let attempts = &row.case.attempts;
    let attempt = enrollment.waiting(attempts).or(attempts.last());
    let reference = attempt.map_or("", |attempt| attempt.reference.as_str());
    let sum = attempt.map_or(enrollment.price, |attempt| attempt.amount);
    let today = match attempt.and_then(|attempt| enrollment.other_offer(attempt)) {
        Some(offer) => format!(
            "<dt>Offered today</dt><dd>{}, {} access</dd>",
            offer.price, offer.terms.level
        ),
        None => String::new(),
    };
    let buys = attempt.map_or_else(String::new, bought);
    let mut attempts = row.case.attempts.iter().rev();
    let proof = attempts.find_map(|attempt| attempt.proof.as_ref());
    let proof = proof.map_or_else(String::new, |proof| {
        format!("<dt>Proof of payment</dt><dd>{}</dd>", text(proof.as_str()))
    });
    let severity = row
        .history
        .iter()
        .rev()
        .find(|event| event.kind.notice().is_some())
        .map_or(Severity::Info, |event| event.kind.severity());
    let level = match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "todo",
    };
    let id = enrollment.id;
    format!(
        "<article class=\"{level}\" tabindex=\"0\" id=\"e-{id}\"><div class=\"row\"><h2><label><input type=\"checkbox\" \
         id=\"tick-{id}\" data-enrollment=\"{id}\" data-title=\"{title}, {learner}\"> {title}</label></h2>\
         <span class=\"pill\">{why}</span></div>\
         <dl><dt>Learner</dt><dd>{learner}</dd><dt>Sum and reference</dt><dd>{sum}, {reference}</dd>\
         <dt>Buys</dt><dd>{buys}</dd>{today}\
         <dt>Waits since</dt><dd>{since}</dd>{proof}<dt>Evidence</dt><dd>{evidence}</dd>\
         <dt>What to do</dt><dd>{advice}</dd></dl>{explanation}\
         <div class=\"acts\"><form method=\"post\" action=\"/admin/approve\"><input type=\"hidden\" name=\"enrollment\" value=\"{id}\">\
         <input type=\"hidden\" name=\"version\" value=\"{version}\">\
         <button class=\"main\">Approve</button></form>\
         <form method=\"post\" action=\"/admin/reject\"><input type=\"hidden\" name=\"enrollment\" value=\"{id}\">\
         <input id=\"reason-{id}\" name=\"reason\" required maxlength=\"200\" placeholder=\"Reason for the learner\" \
         aria-label=\"Reason for the learner\"><button>Reject</button></form></div>\
         <p><a href=\"/admin/enrollment/{id}\">Everything that happened</a></p></article>",
        version = enrollment.version.0,
        title = text(enrollment.title.as_str()),
        learner = text(enrollment.learner.as_str()),
        why = enrollment
            .waits_for
            .map_or_else(String::new, |reason| plain(&reason)),
        reference = text(reference),
        since = when(enrollment.updated_at),
        evidence = evidence(row),
        advice = row.advice.unwrap_or(""),
        explanation = explanation(row),
    )
}

/// What an attempt buys, in a few words.
pub(super) fn bought(attempt: &PaymentAttempt) -> String {
    let lasting = match attempt.terms.seconds {
        Some(seconds) => format!("{} days", seconds.div_ceil(86_400)),
        None => "for ever".to_owned(),
    };
    let level = attempt.terms.level;
    match attempt.purpose {
        Purpose::First => format!("{level} access, {lasting}"),
        other => format!("{level} access, {lasting} ({})", other.as_str()),
    }
}

fn evidence(row: &Explanation) -> String {
    row.basis.as_ref().map_or_else(
        || "no payment seen".to_owned(),
        |basis| {
            format!(
                "{}; method {} at {:.0} %",
                plain(&basis.evidence.evidence_level),
                plain(&basis.detection.method),
                basis.detection.confidence.value() * 100.0
            )
        },
    )
}

/// Why the crate thinks what it thinks: indicators, what would change it, and every check.
pub(super) fn explanation(row: &Explanation) -> String {
    let Some(basis) = &row.basis else {
        return String::new();
    };
    let indicators: String = row
        .contributions
        .iter()
        .map(|(rule, share)| format!("<li>{}: {:+.0} %</li>", text(rule), share * 100.0))
        .collect();
    let flip = row.nearest_flip.as_ref().map_or_else(String::new, |flip| {
        let change = if flip.to_match {
            "matched"
        } else {
            "did not match"
        };
        format!(
            "<p>It would be {:.0} % if <em>{}</em> {change}.</p>",
            flip.confidence.value() * 100.0,
            text(&flip.rule)
        )
    });
    let failures: Vec<String> = basis
        .checks
        .failures()
        .map(|reason| plain(&reason))
        .collect();
    let checks = match failures.is_empty() {
        true => "All checks passed.".to_owned(),
        false => format!(
            "<strong class=\"bad\">Checks that failed: {}.</strong>",
            failures.join(", ")
        ),
    };
    format!(
        "<details id=\"why-{}\"><summary>Why</summary><p>{checks}</p><h3>What pointed to the method</h3>\
         <ul>{indicators}</ul>{flip}</details>",
        row.case.enrollment.id
    )
}
