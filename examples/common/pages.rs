//! Plain pages. Everything that is text stays text.

use coursegate::access::{CardAction, LearnerCard};
use coursegate::audit::ConcernKind;
use coursegate::enrollment::InboxState;
use coursegate::reason::MoneyOutcome;
use coursegate::registrar::{AwkwardItem, Explanation};
use coursegate::{BankDetails, CourseId, LearnerId, Money, PersonId, Reference};

use super::app::Course;
use super::desk::Desk;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;\
color:#16202a;background:#fff}article{border:1px solid #c5d0d9;border-radius:.5rem;padding:1rem;margin:1rem 0}\
h2{margin:.1rem 0}button,a.button{font:inherit;padding:.5rem .9rem;border:1px solid #4a5a68;border-radius:.4rem;\
background:#f3f6f8;color:inherit;cursor:pointer;text-decoration:none}button[disabled]{opacity:.55;cursor:default}\
form{display:inline-block;margin:.2rem .3rem .2rem 0}input,select{font:inherit;padding:.4rem}small,dt{color:#4a5a68}\
dd{margin:0 0 .4rem}.bad{color:#a3242b}@media(prefers-color-scheme:dark){body{background:#10161c;color:#e6edf3}\
article{border-color:#33414e}button,a.button{background:#1d2731;border-color:#8494a3}small,dt{color:#9fb0bf}\
.bad{color:#ff9a9f}}";

fn text(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    for c in raw.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

/// A page that shows itself anew when its stream of events says so.
fn live_frame(title: &str, refresh: bool, (stream, who): (&str, &str), body: &str) -> String {
    if cfg!(feature = "live") && !stream.is_empty() {
        let page = frame(title, false, body);
        let script = "<script type=\"module\" src=\"/live.js\"></script>";
        page.replacen(
            "<main>",
            &format!(
                "<body data-live=\"{stream}\" data-who=\"{}\">{script}<main>",
                text(who)
            ),
            1,
        )
    } else {
        frame(title, refresh, body)
    }
}

fn frame(title: &str, refresh: bool, body: &str) -> String {
    let refresh = if refresh {
        "<meta http-equiv=\"refresh\" content=\"2\">"
    } else {
        ""
    };
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">{refresh}\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>{title}</title>\
         <style>{STYLE}</style><main><h1>{title}</h1>{body}</main></html>"
    )
}

pub fn problem(what: &str) -> String {
    frame(
        "That did not work",
        false,
        &format!(
            "<p class=\"bad\">{}</p><p><a href=\"/\">Back</a></p>",
            text(what)
        ),
    )
}

/// Gives the callback a moment, then shows the courses.
pub fn returned() -> String {
    let page = frame(
        "Thank you",
        false,
        "<p>Looking at your payment\u{2026} <a href=\"/\">To the courses</a></p>",
    );
    page.replacen(
        "<title>",
        "<meta http-equiv=\"refresh\" content=\"1;url=/\"><title>",
        1,
    )
}

pub fn sign_in(role: &str, error: Option<&str>) -> String {
    let error = error.map_or_else(String::new, |error| {
        format!("<p class=\"bad\">{}</p>", text(error))
    });
    frame(
        "Demo sign-in",
        false,
        &format!(
            "<p>A demo: any name will do. Your platform has its own sign-in.</p>{error}\
             <form method=\"post\" action=\"/sign-in\"><input name=\"name\" required maxlength=\"60\" \
             placeholder=\"Your name\" aria-label=\"Your name\"> <input type=\"hidden\" name=\"role\" value=\"{}\">\
             <button>Sign in</button></form>",
            text(role)
        ),
    )
}

pub fn learner(learner: Option<&LearnerId>, cards: &[(&Course, LearnerCard)]) -> String {
    let mut body = match learner {
        Some(learner) => format!(
            "<p>Signed in as <strong>{}</strong>.</p>",
            text(learner.as_str())
        ),
        None => String::from(
            "<form method=\"post\" action=\"/sign-in\"><input name=\"name\" required maxlength=\"60\" \
             placeholder=\"Your name\" aria-label=\"Your name\"> <button>Sign in (demo)</button></form>",
        ),
    };
    let waits = cards
        .iter()
        .any(|(_, card)| card.action == CardAction::Wait);
    for (course, card) in cards {
        let price = format!("R {}.{:02}", course.cents / 100, course.cents % 100);
        body.push_str(&format!(
            "<article><h2>{}</h2><p>{price}</p><p>{}</p><p><small>{}</small></p></article>",
            text(course.title),
            button(course, card),
            text(card.message)
        ));
    }
    let stream = learner.map_or(("", ""), |learner| ("/api/live", learner.as_str()));
    live_frame("Courses", waits, stream, &body)
}

fn button(course: &Course, card: &LearnerCard) -> String {
    let label = card.text.as_str();
    match card.action {
        CardAction::Wait => format!("<button disabled>{label}</button>"),
        CardAction::Open => format!(
            "<a class=\"button\" href=\"/lessons/{}\">{label}</a>",
            course.id
        ),
        CardAction::Register => format!("<button disabled>{label}</button>"),
        CardAction::Enroll | CardAction::Pay => format!(
            "<form method=\"post\" action=\"/enrol\"><input type=\"hidden\" name=\"course\" value=\"{}\">\
             <select name=\"method\" aria-label=\"How to pay\"><option value=\"card\">Card</option>\
             <option value=\"instant_eft\">Instant EFT</option><option value=\"bank_transfer\">Bank transfer</option>\
             </select> <button>{label}</button></form>",
            course.id
        ),
    }
}

pub fn transfer(course: &str, reference: &Reference, amount: Money, bank: &BankDetails) -> String {
    frame(
        "Bank transfer",
        false,
        &format!(
            "<p>Transfer the money with this reference; the school opens the course when it has arrived.</p><dl>\
             <dt>Reference</dt><dd><strong>{reference}</strong></dd><dt>Amount</dt><dd>{amount}</dd>\
             <dt>Account</dt><dd>{}, {}, {}, branch {}</dd></dl>\
             <form method=\"post\" action=\"/proof\"><input type=\"hidden\" name=\"course\" value=\"{}\">\
             <input name=\"proof\" required maxlength=\"500\" placeholder=\"Link to your proof of payment\" \
             aria-label=\"Link to your proof of payment\"> <button>Show proof of payment</button></form>\
             <p><a href=\"/\">Back to the courses</a></p>",
            text(&bank.account_holder),
            text(&bank.bank),
            text(&bank.account_number),
            text(&bank.branch_code),
            text(course)
        ),
    )
}

pub fn lesson(course: &CourseId) -> String {
    frame(
        "Lesson 1",
        false,
        &format!(
            "<p>Welcome to <strong>{}</strong>.</p><p><a href=\"/\">Back</a></p>",
            text(course.as_str())
        ),
    )
}

pub fn admin(person: &PersonId, rows: &[Explanation], desk: &Desk) -> String {
    let mut body = format!(
        "<p>Signed in as <strong>{}</strong>.</p>",
        text(person.as_str())
    );
    if rows.is_empty() {
        body.push_str("<p>Nothing waits for approval.</p>");
    }
    for row in rows {
        let enrollment = &row.case.enrollment;
        let reference = row
            .case
            .latest_attempt()
            .map_or("", |attempt| attempt.reference.as_str());
        let proof = row
            .case
            .attempts
            .iter()
            .rev()
            .find_map(|attempt| attempt.proof.as_ref());
        let proof = proof.map_or_else(String::new, |proof| {
            format!("<dt>Proof of payment</dt><dd>{}</dd>", text(proof.as_str()))
        });
        let evidence = row.basis.as_ref().map_or_else(
            || "no payment seen".to_owned(),
            |basis| {
                format!(
                    "evidence {}, method {} at {:.0} %",
                    basis.evidence.grade,
                    basis.detection.method,
                    basis.detection.confidence.value() * 100.0
                )
            },
        );
        let act = |action: &str, label: &str, note: &str| {
            format!(
                "<form method=\"post\" action=\"/admin/{action}\"><input type=\"hidden\" name=\"enrollment\" value=\"{}\">\
                 {note}<button>{label}</button></form>",
                enrollment.id
            )
        };
        body.push_str(&format!(
            "<article><h2>{}</h2><dl><dt>Learner</dt><dd>{}</dd><dt>Sum and reference</dt><dd>{}, {}</dd>\
             <dt>Why it waits</dt><dd>{} ({evidence})</dd>{proof}<dt>What to do</dt><dd>{}</dd></dl>{}{}</article>",
            text(enrollment.title.as_str()),
            text(enrollment.learner.as_str()),
            enrollment.price,
            text(reference),
            text(&enrollment.status.to_string()),
            row.advice.unwrap_or(""),
            act("approve", "Approve", ""),
            act("reject", "Reject", "<input name=\"reason\" required maxlength=\"200\" placeholder=\"Reason\" aria-label=\"Reason\"> "),
        ));
    }
    for item in &desk.awkward {
        body.push_str(&awkward_article(item));
    }
    for concern in desk
        .concerns
        .iter()
        .filter(|concern| concern.kind != ConcernKind::OrphanMoney)
    {
        let close = act(
            "close_concern",
            concern.key.as_str(),
            "",
            "Close",
            Some("What it was"),
        );
        body.push_str(&format!(
            "<article><h2>{}</h2><p>{}</p><p>{}</p>{close}</article>",
            concern.kind,
            text(concern.key.as_str()),
            concern.kind.advice()
        ));
    }
    for entry in &desk.dead {
        let cause = match &entry.state {
            InboxState::Dead { cause } => cause.as_str(),
            _ => "",
        };
        let again = act("replay", entry.key.as_str(), "", "Try again", None);
        body.push_str(&format!(
            "<article><h2>A callback was given up on</h2><p>{}</p>{again}</article>",
            text(cause)
        ));
    }
    body.push_str(&statement(desk));
    body.push_str("<p><a href=\"/admin\">Look again</a></p>");
    // A page that comes anew by itself would take away what is being written.
    live_frame(
        "Approvals",
        false,
        ("/api/admin/live", person.as_str()),
        &body,
    )
}

/// A button of the admin page, with a field when something has to be written.
fn act(action: &str, subject: &str, other: &str, label: &str, ask: Option<&str>) -> String {
    let field = ask.map_or_else(String::new, |ask| {
        format!("<input name=\"text\" required maxlength=\"200\" placeholder=\"{ask}\" aria-label=\"{ask}\"> ")
    });
    format!(
        "<form method=\"post\" action=\"/admin/act\"><input type=\"hidden\" name=\"action\" value=\"{action}\">\
         <input type=\"hidden\" name=\"subject\" value=\"{}\"><input type=\"hidden\" name=\"other\" value=\"{}\">\
         {field}<button>{label}</button></form>",
        text(subject),
        text(other)
    )
}

/// Rows of bank statements that nobody has decided about, and a way to import more.
fn statement(desk: &Desk) -> String {
    let mut body = String::from(
        "<article><h2>Bank statement</h2><form method=\"post\" action=\"/admin/act\">\
         <input type=\"hidden\" name=\"action\" value=\"statement\"><textarea name=\"text\" rows=\"3\" cols=\"60\" required \
         aria-label=\"Statement as CSV\">date,amount,reference\n</textarea><br><button>Import</button></form>",
    );
    for entry in &desk.rows {
        let row = &entry.row;
        let checksum = row.checksum.as_str();
        let fits = desk
            .suggestions
            .iter()
            .filter(|fit| fit.row == row.checksum);
        let approve: String = fits
            .map(|fit| {
                let label = format!("Approve {} ({:.0} %)", fit.payment, fit.score * 100.0);
                act("approve_row", checksum, fit.payment.as_str(), &label, None)
            })
            .collect();
        body.push_str(&format!(
            "<p>{} {} {}</p>{approve}{}",
            row.date,
            row.amount,
            text(row.reference.as_str()),
            act(
                "close_row",
                checksum,
                "",
                "Not for a course",
                Some("What it is")
            )
        ));
    }
    body + "</article>"
}

/// Money that does not fit: what it is, and a way to record that it went back.
fn awkward_article(item: &AwkwardItem) -> String {
    let head = match item.outcome() {
        MoneyOutcome::RefundDue => "Refund due",
        _ => "Money to decide about",
    };
    match item {
        AwkwardItem::Payment(money) => {
            let attempt = &money.attempt;
            let why = attempt.held_back().map_or("", |reason| reason.advice());
            let sum = attempt.paid().unwrap_or(attempt.amount);
            let reference = text(attempt.reference.as_str());
            format!(
                "<article><h2>{head}: {sum}</h2><p>{reference}</p><p>{why}</p>\
                 {}</article>",
                act(
                    "refund",
                    attempt.reference.as_str(),
                    "",
                    "Record the refund",
                    Some("Dashboard reference")
                )
            )
        }
        AwkwardItem::Orphan(concern) => format!(
            "<article><h2>{head}: {}</h2><p>Pay link {}</p><p>{}</p>{}</article>",
            concern
                .amount
                .map_or_else(String::new, |sum| sum.to_string()),
            text(concern.pay_link.as_ref().map_or("", |link| link.as_str())),
            concern.kind.advice(),
            act(
                "close_concern",
                concern.key.as_str(),
                "",
                "Close",
                Some("What it was")
            ),
        ),
        _ => String::new(),
    }
}
