use coursegate::registrar::{CardAction, CourseCard};
use coursegate::{BankDetails, CourseId, LearnerId, Money, PaymentReference};

use super::{learners, sign_in_form, text};
use crate::common::app::Course;

pub fn learner(learner: Option<&LearnerId>, cards: &[(&Course, CourseCard)]) -> String {
    let mut body = match learner {
        Some(_) => String::new(),
        None => sign_in_form(""),
    };
    for (course, card) in cards {
        body.push_str(&article(course, card));
    }
    if cards
        .iter()
        .any(|(_, card)| card.card.action == CardAction::Wait)
    {
        body.push_str("<noscript><p><a href=\"/\">Look again</a></p></noscript>");
    }
    learners("Courses", learner, &body)
}

/// A course with its button. What the button may become is there already and hidden, so that
/// the script only has to pick.
fn article(course: &Course, now: &CourseCard) -> String {
    let card = &now.card;
    let hidden = |shown: bool| if shown { "" } else { " hidden" };
    let pays = matches!(card.action, CardAction::Enroll | CardAction::Pay);
    let opens = card.action == CardAction::Open;
    let label = text(card.text.as_str());
    let note = card.note.as_ref().map_or_else(String::new, |note| {
        format!("The school wrote: {}", text(note.as_str()))
    });
    format!(
        "<article data-course=\"{id}\" data-card=\"{whole}\" data-version=\"{version}\">\
         <div class=\"row\"><h2>{title}</h2><strong>R {rand}.{cents:02}</strong></div>\
         <form method=\"post\" action=\"/enroll\" data-part=\"pay\"{pay}><input type=\"hidden\" name=\"course\" value=\"{id}\">\
         <select name=\"method\" aria-label=\"How to pay\"><option value=\"card\">Card</option>\
         <option value=\"instant_eft\">Instant EFT</option><option value=\"bank_transfer\">Bank transfer</option>\
         </select>{OFFERS}<button class=\"main\" data-text>{label}</button></form>\
         <p data-part=\"open\"{open}><a class=\"button main\" href=\"/lessons/{id}\" data-text>{label}</a></p>\
         <div class=\"acts\" data-part=\"renew\"{renews}><span data-part=\"until\">{until}</span>\
         <form method=\"post\" action=\"/enroll\"><input type=\"hidden\" name=\"course\" value=\"{id}\">\
         <input type=\"hidden\" name=\"method\" value=\"card\"><input type=\"hidden\" name=\"offer\" value=\"month\">\
         <button name=\"renew\" value=\"true\">30 more days</button></form>\
         <form method=\"post\" action=\"/enroll\"><input type=\"hidden\" name=\"course\" value=\"{id}\">\
         <input type=\"hidden\" name=\"method\" value=\"card\"><button name=\"offer\" value=\"full\">Take all of it</button></form></div>\
         <p data-part=\"wait\"{wait}><button disabled data-text>{label}</button></p>{steps}\
         <p class=\"quiet\" data-part=\"message\" aria-live=\"polite\">{message}</p><p data-part=\"note\">{note}</p></article>",
        id = course.id,
        whole = text(&serde_json::to_string(now).unwrap_or_default()),
        version = now.version.0,
        title = text(course.title),
        rand = course.cents / 100,
        cents = course.cents % 100,
        pay = hidden(pays),
        open = hidden(opens),
        renews = hidden(card.until.is_some()),
        until = card.until.map_or_else(String::new, |end| format!(
            "Open until {}.",
            end.format("%Y-%m-%d")
        )),
        wait = hidden(!pays && !opens),
        steps = steps(now),
        message = text(card.message),
    )
}

/// What the school offers of a course.
const OFFERS: &str = "<select name=\"offer\" aria-label=\"What to take\"><option value=\"full\">All of it</option>\
     <option value=\"month\">30 days, a fifth of the price</option></select>";

/// How far the payment is. The script has the same table.
fn steps(now: &CourseCard) -> String {
    let at = match now.card.reason {
        "awaiting_payment" | "payment_failed" | "refund_due" | "bank_transfer" => 1,
        "access" => 4,
        _ if now.card.action == CardAction::Wait => 2,
        _ => 0,
    };
    let names = ["Enrolled", "Payment", "Check", "Course open"];
    let items: String = names
        .iter()
        .enumerate()
        .map(|(step, name)| match step.cmp(&at) {
            std::cmp::Ordering::Less => format!("<li class=\"done\">{name}</li>"),
            std::cmp::Ordering::Equal => {
                format!("<li class=\"now\" aria-current=\"step\">{name}</li>")
            }
            std::cmp::Ordering::Greater => format!("<li>{name}</li>"),
        })
        .collect();
    let hidden = if at == 0 { " hidden" } else { "" };
    format!("<ol class=\"steps\" aria-label=\"Progress\"{hidden}>{items}</ol>")
}

pub fn transfer(
    learner: &LearnerId,
    course: &str,
    reference: &PaymentReference,
    amount: Money,
    bank: &BankDetails,
) -> String {
    let body = format!(
        "<p>Transfer the money with this reference; the school opens the course when it has arrived.</p><dl>\
         <dt>Reference</dt><dd><strong>{reference}</strong></dd><dt>Amount</dt><dd>{amount}</dd>\
         <dt>Account</dt><dd>{}, {}, {}, branch {}</dd></dl>\
         <form method=\"post\" action=\"/proof\"><input type=\"hidden\" name=\"course\" value=\"{}\">\
         <input name=\"proof\" required maxlength=\"500\" placeholder=\"Link to your proof of payment\" \
         aria-label=\"Link to your proof of payment\"><button>Show proof of payment</button></form>\
         <p><a href=\"/\">Back to the courses</a></p>",
        text(&bank.account_holder),
        text(&bank.bank),
        text(&bank.account_number),
        text(&bank.branch_code),
        text(course)
    );
    learners("Bank transfer", Some(learner), &body)
}

pub fn lesson(learner: &LearnerId, course: &CourseId) -> String {
    let body = format!(
        "<p>Welcome to <strong>{}</strong>.</p><p><a href=\"/\">Back</a></p>",
        text(course.as_str())
    );
    learners("Lesson 1", Some(learner), &body)
}
