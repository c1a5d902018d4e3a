use coursegate::AdminId;
use coursegate::access::{Grant, GrantState};
use coursegate::event::Actor;
use coursegate::payment::{AttemptStatus, PaymentAttempt};
use coursegate::registrar::Explanation;

use super::admin::{bought, explanation};
use super::{Act, Counts, admins, plain, text};
use crate::common::admin::when;

/// Everything about one enrollment: what happened, by whom and why, and what to do with its money.
pub fn timeline(person: &AdminId, counts: &Counts, row: &Explanation) -> String {
    let enrollment = &row.case.enrollment;
    let here = format!("/admin/enrollment/{}", enrollment.id);
    let attempts: String = row
        .case
        .attempts
        .iter()
        .map(|attempt| payment_article(attempt, &here))
        .collect();
    let grants: String = row
        .case
        .grants
        .iter()
        .map(|grant| grant_article(grant, &here))
        .collect();
    let id = enrollment.id.to_string();
    let past = Act::new("override", &id, "Approve past every rule", &here)
        .ask("Why")
        .html();
    let history: String = row
        .history
        .iter()
        .map(|event| {
            let who = match &event.who {
                Actor::Learner => match &event.learner {
                    Some(id) => format!("the learner {}", text(id.as_str())),
                    None => "the learner".to_owned(),
                },
                Actor::Admin(id) => text(id.as_str()),
                _ => "the system".to_owned(),
            };
            let note = event.note.as_ref().map_or_else(String::new, |note| {
                format!("<br>\u{201c}{}\u{201d}", text(note.as_str()))
            });
            format!(
                "<li>{}{note}<br><small>{}, by {who} ({})</small></li>",
                text(&event.sentence()),
                when(event.at),
                plain(&event.source)
            )
        })
        .collect();
    let advice = row
        .advice
        .map_or_else(String::new, |advice| format!("<p>{advice}</p>"));
    let body = format!(
        "<dl><dt>Course</dt><dd>{}</dd><dt>Learner</dt><dd>{}</dd><dt>Price</dt><dd>{}</dd><dt>Status</dt><dd>{}</dd></dl>\
         {advice}{}<h2>Payments</h2>{attempts}<h2>Access</h2>{grants}{past}<h2>What happened</h2><ol class=\"history\">{history}</ol>",
        text(enrollment.title.as_str()),
        text(enrollment.learner.as_str()),
        enrollment.price,
        plain(&enrollment.status),
        explanation(row),
    );
    admins("One enrollment", person, counts, "", &body)
}

fn payment_article(attempt: &PaymentAttempt, here: &str) -> String {
    let reference = attempt.reference.as_str();
    let left = attempt.left();
    let mut acts = String::new();
    let arrived = matches!(
        attempt.status,
        AttemptStatus::Paid | AttemptStatus::Refunded
    );
    if arrived && left > 0 {
        let sum = format!(
            "<input id=\"sum-{reference}\" name=\"other\" inputmode=\"decimal\" pattern=\"[0-9]+([.][0-9]{{2}})?\" required \
             value=\"{}.{:02}\" aria-label=\"Sum in rand\">",
            left / 100,
            left % 100
        );
        let refund =
            Act::new("refund", reference, "Record a refund", here).ask("Dashboard reference");
        acts.push_str(&refund.with(&sum).replacen(
            "<input type=\"hidden\" name=\"other\" value=\"\">",
            "",
            1,
        ));
    }
    if attempt.holds_money() {
        acts.push_str(
            &Act::new("charged_back", reference, "Record a chargeback", here)
                .ask("Bank's reference")
                .html(),
        );
    }
    if attempt.status == AttemptStatus::Reversed {
        acts.push_str(
            &Act::new("reinstate", reference, "The money came again", here)
                .ask("Bank's reference")
                .html(),
        );
    }
    if attempt.is_open() && attempt.link.is_some() {
        acts.push_str(&Act::new("ask", reference, "Ask the provider now", here).html());
    }
    let returned = match attempt.returned() {
        0 => String::new(),
        cents => format!(", of which R {}.{:02} went back", cents / 100, cents % 100),
    };
    format!(
        "<article><div class=\"row\"><h3>{}</h3><span class=\"pill\">{}</span></div><p>{}{returned}, {}, {}; for {}</p>{acts}</article>",
        text(reference),
        plain(&attempt.status),
        attempt.paid().unwrap_or(attempt.amount),
        plain(
            &attempt
                .payment
                .map_or(attempt.declared, |payment| payment.method)
        ),
        when(attempt.created_at),
        bought(attempt),
    )
}

/// One source of access, and a way to take it.
fn grant_article(grant: &Grant, here: &str) -> String {
    let id = grant.id.to_string();
    let (state, act) = match grant.state {
        GrantState::Live => ("live".to_owned(), true),
        GrantState::Suspended { why, .. } => (format!("suspended: {}", plain(&why)), true),
        GrantState::Ended { why, .. } => (format!("ended: {}", plain(&why)), false),
    };
    let act = match act {
        true => Act::new("revoke", &id, "End this access", here)
            .ask("Why")
            .html(),
        false => String::new(),
    };
    let payment = match grant.source.payment() {
        Some(payment) => format!(", rests on {}", text(payment.as_str())),
        None => String::new(),
    };
    let until = match grant.expires_at {
        Some(end) => format!("until {}", when(end)),
        None => "for ever".to_owned(),
    };
    format!(
        "<article><div class=\"row\"><h3>{} access</h3><span class=\"pill\">{state}</span></div>\
         <p>From {}, {until}{payment}</p>{act}</article>",
        grant.level,
        when(grant.starts_at),
    )
}
