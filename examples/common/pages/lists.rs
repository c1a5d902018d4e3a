use coursegate::notice::NoticeKind;
use coursegate::payment::{AttemptStatus, PaymentMethod};
use coursegate::reason::{ExceptionAction, Severity};
use coursegate::reconciliation::DiscrepancyKind;
use coursegate::registrar::{HealthStatus, PaymentException};
use coursegate::store::{AdminNotice, InboxState, PaymentItem};
use coursegate::{AdminId, ChannelName};

use super::{Act, Counts, admins, plain, text};
use crate::common::admin::{AdminQuery, Problems, when};
use crate::common::app::COURSES;

/// A choice; each option has the value that is sent and the text that is shown.
fn select(name: &str, label: &str, chosen: &str, options: &[(String, String)]) -> String {
    let options: String = options
        .iter()
        .map(|(value, shown)| {
            let selected = if value == chosen { " selected" } else { "" };
            format!(
                "<option value=\"{}\"{selected}>{shown}</option>",
                text(value)
            )
        })
        .collect();
    format!(
        "<select name=\"{name}\" aria-label=\"{label}\"><option value=\"\">{label}</option>{options}</select>"
    )
}

/// Payments, made and tried: search, filters, one page.
pub fn payments(
    person: &AdminId,
    counts: &Counts,
    query: &AdminQuery,
    items: &[PaymentItem],
    more: Option<&str>,
) -> String {
    let courses = COURSES.map(|course| (course.id.to_owned(), text(course.title)));
    let words = |words: Vec<&str>| -> Vec<(String, String)> {
        let options = words.into_iter();
        options
            .map(|word| (word.to_owned(), plain(&word)))
            .collect()
    };
    let statuses = words(
        AttemptStatus::ALL
            .iter()
            .map(AttemptStatus::as_str)
            .collect(),
    );
    let methods = words(
        PaymentMethod::ALL
            .iter()
            .map(PaymentMethod::as_str)
            .collect(),
    );
    let filters = format!(
        "<form method=\"get\" action=\"/admin/payments\" role=\"search\"><input type=\"search\" id=\"q\" name=\"q\" value=\"{}\" \
         placeholder=\"Reference or e-mail begins with\" aria-label=\"Reference or e-mail begins with\">{}{}{}\
         <label>From <input type=\"date\" name=\"from\" value=\"{}\"></label>\
         <label>to <input type=\"date\" name=\"until\" value=\"{}\"></label><button>Search</button></form>",
        text(&query.q),
        select("course", "Every course", &query.course, &courses),
        select("status", "Every status", &query.status, &statuses),
        select("method", "Every method", &query.method, &methods),
        text(&query.from),
        text(&query.until)
    );
    let rows: String = items
        .iter()
        .map(|item| {
            let attempt = &item.attempt;
            format!(
                "<tr><td data-label=\"Started\">{}</td><td data-label=\"Reference\"><a href=\"/admin/enrollment/{}\">{}</a></td>\
                 <td data-label=\"Course\">{}</td><td data-label=\"Learner\"><span>{}<br><small>{}</small></span></td>\
                 <td class=\"sum\" data-label=\"Sum\">{}</td><td data-label=\"Method\">{}</td><td data-label=\"Payment\">{}</td>\
                 <td data-label=\"Enrollment\">{}</td></tr>",
                when(attempt.created_at),
                attempt.enrollment,
                text(attempt.reference.as_str()),
                text(item.title.as_str()),
                text(attempt.learner.as_str()),
                text(item.email.as_str()),
                attempt.paid().unwrap_or(attempt.amount),
                plain(&attempt.payment.map_or(attempt.declared, |payment| payment.method)),
                plain(&attempt.status),
                plain(&item.enrollment.wire()),
            )
        })
        .collect();
    let table = match items.is_empty() {
        true => "<p>No payment is like that. Take a filter away, or write less of the name.</p>"
            .to_owned(),
        false => format!(
            "<table><thead><tr><th>Started</th><th>Reference</th><th>Course</th><th>Learner</th><th class=\"sum\">Sum</th>\
             <th>Method</th><th>Payment</th><th>Enrollment</th></tr></thead><tbody>{rows}</tbody></table>"
        ),
    };
    let more = more.map_or_else(String::new, |more| {
        format!("<p><a href=\"{}\">More</a></p>", text(more))
    });
    let body = filters + &table + &more;
    admins("Payments", person, counts, "/admin/payments", &body)
}

/// Payment exceptions: what it is, and a way to record that it went back.
pub fn money(person: &AdminId, counts: &Counts, items: &[PaymentException]) -> String {
    let mut body: String = items.iter().map(exception).collect();
    if items.is_empty() {
        body.push_str("<p>There are no payment exceptions.</p>");
    }
    admins("Payment exceptions", person, counts, "/admin/money", &body)
}

fn exception(item: &PaymentException) -> String {
    let head = match item.outcome() {
        ExceptionAction::RefundDue => "Refund due",
        _ => "Money to decide about",
    };
    match item {
        PaymentException::Payment(money) => {
            let attempt = &money.attempt;
            let why = attempt.held_back().map_or("", |reason| reason.advice());
            let sum = attempt.paid().unwrap_or(attempt.amount);
            let reference = attempt.reference.as_str();
            format!(
                "<article class=\"warning\" tabindex=\"0\"><h2>{head}: {sum}</h2>\
                 <p><a href=\"/admin/enrollment/{}\">{}</a></p><p>{why}</p>{}</article>",
                attempt.enrollment,
                text(reference),
                Act::new("refund", reference, "Record the refund", "/admin/money")
                    .ask("Dashboard reference")
                    .html()
            )
        }
        PaymentException::Unmatched(discrepancy) => {
            let sum = discrepancy
                .amount
                .map_or_else(String::new, |sum| sum.to_string());
            let link = discrepancy
                .pay_link
                .as_ref()
                .map_or("", |link| link.as_str());
            format!(
                "<article class=\"error\" tabindex=\"0\"><h2>{head}: {sum}</h2><p>Pay link {}</p><p>{}</p>{}</article>",
                text(link),
                discrepancy.kind.advice(),
                Act::new(
                    "close_discrepancy",
                    discrepancy.key.as_str(),
                    "Close",
                    "/admin/money"
                )
                .ask("What it was")
                .html()
            )
        }
        _ => String::new(),
    }
}

/// Money and access that do not agree, and callbacks that were given up on or match nothing.
pub fn problems(person: &AdminId, counts: &Counts, problems: &Problems) -> String {
    const HERE: &str = "/admin/problems";
    let mut body = String::new();
    for alert in &problems.alerts {
        body.push_str(&format!(
            "<article class=\"error\"><div class=\"row\"><h2>{}</h2><span class=\"pill\">{}</span></div>\
             <p>{}</p><p><small>Since {}</small></p></article>",
            plain(&alert.rule),
            plain(&alert.severity),
            text(&alert.message),
            when(alert.since)
        ));
    }
    let parts: String = problems
        .health
        .parts
        .iter()
        .map(|part| {
            let class = match part.condition {
                HealthStatus::Ok => "good",
                HealthStatus::Degraded => "warn",
                HealthStatus::Down => "bad",
            };
            format!(
                "<dt>{} <span class=\"pill {class}\">{}</span></dt><dd>{}</dd>",
                part.part,
                part.condition,
                text(&part.reason)
            )
        })
        .collect();
    body.push_str(&format!("<details id=\"health\" open><summary>How this server does</summary><dl>{parts}</dl></details>"));
    body.push_str(&Act::new("reconcile", "", "Compare money and access now", HERE).html());
    #[cfg(feature = "live")]
    body.push_str(&Act::new("probe", "", "Try whether live updates arrive", HERE).html());
    for discrepancy in &problems.discrepancies {
        if discrepancy.kind == DiscrepancyKind::UnmatchedPayment {
            continue;
        }
        let about = discrepancy.enrollment.map_or_else(String::new, |id| {
            format!("<p><a href=\"/admin/enrollment/{id}\">The enrollment</a></p>")
        });
        body.push_str(&format!(
            "<article class=\"error\" tabindex=\"0\"><h2>{}</h2><p>{}</p>{about}{}</article>",
            plain(&discrepancy.kind),
            discrepancy.kind.advice(),
            Act::new("close_discrepancy", discrepancy.key.as_str(), "Close", HERE)
                .ask("What it was")
                .html()
        ));
    }
    for entry in problems.dead.iter().chain(&problems.parked) {
        let (head, why) = match &entry.state {
            InboxState::Dead { cause } => ("A callback was given up on", cause.as_str()),
            _ => (
                "A callback names no payment that we know",
                "It is looked at again by itself.",
            ),
        };
        let again = Act::new("replay", entry.key.as_str(), "Try again", HERE).html();
        body.push_str(&format!(
            "<article class=\"error\" tabindex=\"0\"><h2>{head}</h2><p>{}</p><p><small>Came {}, tried {} times</small></p>{again}</article>",
            text(why),
            when(entry.received_at),
            entry.tries
        ));
    }
    if problems.discrepancies.is_empty() && problems.dead.is_empty() && problems.parked.is_empty() {
        body.push_str("<p>Nothing is wrong.</p>");
    }
    admins("Problems", person, counts, HERE, &body)
}

/// What the person has to know, and by which channels they want to know it.
pub fn notices(
    person: &AdminId,
    counts: &Counts,
    items: &[AdminNotice],
    more: Option<&str>,
    (chosen, channels): (&coursegate::notice::Preferences, &[ChannelName]),
) -> String {
    const HERE: &str = "/admin/notices";
    let unread: Vec<String> = items
        .iter()
        .filter(|item| !item.read)
        .map(|item| item.notice.id.to_string())
        .collect();
    let mut body = String::new();
    if unread.is_empty() {
        body.push_str("<p>Nothing is unread on this page.</p>");
    } else {
        body.push_str(&Act::new("read", &unread.join(","), "Mark these as read", HERE).html());
    }
    for item in items {
        let notice = &item.notice;
        let class = match (item.read, notice.severity) {
            (true, _) => "",
            (false, Severity::Error) => "error",
            (false, Severity::Warning) => "warning",
            (false, Severity::Info) => "todo",
        };
        let about = notice.enrollment.map_or_else(String::new, |id| {
            format!(" <a href=\"/admin/enrollment/{id}\">The enrollment</a>")
        });
        let note = notice.note.as_ref().map_or_else(String::new, |note| {
            format!("<br>\u{201c}{}\u{201d}", text(note.as_str()))
        });
        let reason = notice.reason.map_or_else(String::new, |reason| {
            format!(" <span class=\"pill\">{}</span>", plain(&reason))
        });
        body.push_str(&format!(
            "<article class=\"{class}\" tabindex=\"0\"><p>{}{reason}{note}<br><small>{}</small>{about}</p></article>",
            notice.headline(),
            when(notice.at)
        ));
    }
    if let Some(more) = more {
        body.push_str(&format!("<p><a href=\"{}\">Older</a></p>", text(more)));
    }
    let boxes: String = NoticeKind::ALL
        .iter()
        .map(|kind| {
            let boxes: String = channels
                .iter()
                .map(|channel| {
                    let checked = if chosen.wants(*kind, channel) { " checked" } else { "" };
                    format!(
                        "<td data-label=\"{channel}\"><input type=\"checkbox\" name=\"{kind}:{channel}\" value=\"on\" \
                         aria-label=\"{} by {channel}\"{checked}></td>",
                        plain(&kind)
                    )
                })
                .collect();
            format!("<tr><td data-label=\"About\">{}</td>{boxes}</tr>", plain(&kind))
        })
        .collect();
    let heads: String = channels
        .iter()
        .map(|channel| format!("<th>{}</th>", plain(&channel)))
        .collect();
    body.push_str(&format!(
        "<h2>What you are told</h2><form method=\"post\" action=\"/admin/choose\"><table><thead><tr><th>About</th>{heads}</tr>\
         </thead><tbody>{boxes}</tbody></table><button class=\"main\">Keep this choice</button></form>"
    ));
    admins("Notices", person, counts, HERE, &body)
}
