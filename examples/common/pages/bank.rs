//! Rows of bank statements, each beside what it may have paid for.

use coursegate::AdminId;
use coursegate::enrollment::Expected;
use coursegate::reason::HoldReason;
use coursegate::registrar::{RowApproval, RowOutcome, RowSuggestions, TransferMatch};
use coursegate::statement::{RowId, RowState, StatementEntry, Suggestion};

use super::{Act, Counts, admins, plain, text};
use crate::common::bank::Bank;

const HERE: &str = "/admin/statement";

/// What came of a click, a file to import, and every row that nobody has decided about.
pub fn statement(person: &AdminId, counts: &Counts, bank: &Bank) -> String {
    let mut body = results(&bank.results);
    #[cfg(feature = "statements")]
    body.push_str(&super::upload::import(&bank.accounts, bank.look.as_ref()));
    #[cfg(not(feature = "statements"))]
    body.push_str(
        "<p>Run the example with <code>--features statements</code> to import bank statements.</p>",
    );
    if !bank.doubtful.is_empty() {
        body.push_str(&doubtful(&bank.doubtful));
    }
    body.push_str("<h2 id=\"rows\">Rows to settle</h2>");
    if bank.rows.is_empty() {
        body.push_str("<p>Every row is settled.</p>");
    } else {
        body.push_str(APPROVE);
    }
    for row in &bank.rows {
        body.push_str(&open(row));
    }
    if let Some(more) = &bank.more {
        body.push_str(&format!("<p><a href=\"{}\">More rows</a></p>", text(more)));
    }
    body.push_str("<p><a href=\"/admin/settled\">Rows that are settled</a></p>");
    admins("Bank statement", person, counts, HERE, &body)
}

/// What the ticks on the page belong to.
const APPROVE: &str = "<form id=\"match\" class=\"bulk\" method=\"post\" action=\"/admin/statement/match\">\
    <input id=\"match-note\" name=\"note\" maxlength=\"200\" placeholder=\"Note for the event\" aria-label=\"Note for the event\">\
    <button type=\"button\" data-tick=\"certain\" hidden>Tick the certain ones</button>\
    <button class=\"main\">Approve ticked</button></form>";

/// What came of rows that were approved.
fn results(results: &[RowApproval]) -> String {
    if results.is_empty() {
        return String::new();
    }
    let lines: String = results.iter().map(result).collect();
    format!(
        "<article class=\"todo\" id=\"done\"><h2>What came of it</h2><ul>{lines}</ul></article>"
    )
}

fn result(item: &RowApproval) -> String {
    let payment = text(item.asked.payment.as_str());
    match &item.done {
        Some(RowOutcome::Approved) => {
            format!("<li class=\"good\">{payment}: approved, the learner has access.</li>")
        }
        Some(RowOutcome::Found) => format!(
            "<li class=\"good\">{payment}: this is the transfer that was approved by hand before.</li>"
        ),
        Some(RowOutcome::Kept {
            reason: HoldReason::BankTransfer,
            payment,
        }) => format!(
            "<li class=\"warn\">{}: the money is put down, and waits for <a href=\"/admin\">your approval</a>: it was to be \
             paid in another way.</li>",
            text(payment.as_str())
        ),
        Some(RowOutcome::Kept { reason, payment }) => format!(
            "<li class=\"warn\">{}: the money is put down ({}), and nobody gets access for it. \
             <a href=\"/admin/money\">Decide about it</a>.</li>",
            text(payment.as_str()),
            plain(reason)
        ),
        _ => {
            let problem = text(item.problem.as_deref().unwrap_or("nothing was done"));
            let take = item
                .difference
                .map_or_else(String::new, |sums| take(&item.asked, &sums.is.to_string()));
            format!("<li class=\"bad\">{payment}: nothing was done: {problem}.{take}</li>")
        }
    }
}

/// Another sum than was asked, taken all the same.
fn take(asked: &TransferMatch, sum: &str) -> String {
    let Some(((first, part), others)) = asked.rows.split_first() else {
        return String::new();
    };
    let pick = format!("{}:{}", text(first.as_str()), text(asked.payment.as_str()));
    let others: Vec<&str> = others.iter().map(|(row, _)| row.as_str()).collect();
    let part = part.map_or_else(String::new, |part| {
        format!(
            "<input type=\"hidden\" name=\"sum:{pick}\" value=\"{}\">",
            bare(part)
        )
    });
    format!(
        "<form method=\"post\" action=\"/admin/statement/match\"><input type=\"hidden\" name=\"pick:{pick}\" value=\"on\">\
         <input type=\"hidden\" name=\"with:{pick}\" value=\"{}\"><input type=\"hidden\" name=\"anyway:{pick}\" value=\"on\">{part}\
         <button>Take {sum} for it</button></form>",
        text(&others.join(","))
    )
}

/// A row as the bank wrote it.
pub(super) fn row(entry: &StatementEntry) -> String {
    let row = &entry.row;
    let left = match entry.left() {
        Some(left) if left != row.amount => format!("<br>{left} of it is left"),
        _ => String::new(),
    };
    let balance = row.balance.map_or_else(String::new, |minor| {
        format!("<dt>Balance</dt><dd>{}</dd>", cents(minor))
    });
    format!(
        "<dl><dt>Day</dt><dd>{}</dd><dt>Sum</dt><dd><strong>{}</strong>{left}</dd><dt>Text</dt><dd>{} {}</dd>\
         {balance}<dt>Account</dt><dd>{}</dd></dl>",
        row.date,
        row.amount,
        text(row.reference.as_str()),
        text(row.description.as_str()),
        text(entry.account.as_str())
    )
}

/// Rands and cents.
pub(super) fn cents(minor: i64) -> String {
    let sign = if minor < 0 { "-" } else { "" };
    let minor = minor.unsigned_abs();
    format!("{sign}{}.{:02}", minor / 100, minor % 100)
}

/// A sum as it is written in a field.
fn bare(sum: coursegate::Money) -> String {
    cents(sum.minor())
}

fn open(found: &RowSuggestions) -> String {
    let entry = &found.entry;
    let id = text(entry.id.as_str());
    let fits: String = match found.suggestions.is_empty() {
        true => "<p class=\"quiet\">It looks like nothing that waits.</p>".to_owned(),
        false => found
            .suggestions
            .iter()
            .map(|fit| suggestion(entry, fit))
            .collect(),
    };
    format!(
        "<article tabindex=\"0\" class=\"pair\" data-row=\"{id}\"><div>{}</div><div>{fits}\
         <details id=\"other-{id}\"><summary>Another payment, a part of it, or none</summary>\
         <form method=\"post\" action=\"/admin/statement/match\"><input type=\"hidden\" name=\"row\" value=\"{id}\">\
         <input id=\"reference-{id}\" name=\"reference\" required maxlength=\"40\" placeholder=\"Reference of the payment\" \
         aria-label=\"Reference of the payment\">\
         <input id=\"sum-{id}\" name=\"sum\" inputmode=\"decimal\" placeholder=\"How much of it (all)\" aria-label=\"How much of it\">\
         <label><input type=\"checkbox\" id=\"anyway-{id}\" name=\"anyway\"> whatever was asked</label>\
         <button>Approve this</button></form>{}</details></div></article>",
        row(entry),
        Act::new("close_row", entry.id.as_str(), "Not for a course", HERE)
            .ask("What it is")
            .html()
    )
}

fn suggestion(entry: &StatementEntry, fit: &Suggestion) -> String {
    let pick = format!("{}:{}", text(entry.id.as_str()), text(fit.payment.as_str()));
    let likeness = match &fit.likeness {
        Some(likeness) => format!("The row has {likeness}."),
        None => "Only the sum fits.".to_owned(),
    };
    let expected = match fit.expected {
        Expected::Awaited => "",
        Expected::Vouched => " It was approved by hand; this settles it.",
        Expected::Late => " It comes too late: the money is put down, and gives no access.",
        Expected::Duplicate => {
            " The learner has this already: the money is put down, to be sent back."
        }
        _ => " It was to be paid in another way: the money is put down, and waits for approval.",
    };
    let is_part = entry.left() != Some(fit.part);
    let sum = match is_part {
        true => format!(" <strong>{} of the row</strong>.", fit.part),
        false => String::new(),
    };
    let others: Vec<&str> = fit.together.iter().map(RowId::as_str).collect();
    let together = match others.len() {
        0 => String::new(),
        1 => " Together with another row it is the price.".to_owned(),
        more => format!(" Together with {more} other rows it is the price."),
    };
    let anyway = match fit.amount_fits || fit.expected != Expected::Awaited {
        true => String::new(),
        false => format!(
            "<label class=\"warn\"><input type=\"checkbox\" form=\"match\" id=\"anyway:{pick}\" name=\"anyway:{pick}\"> \
             {} was asked: take {} all the same</label>",
            fit.asked, fit.part
        ),
    };
    let offer = fit.other_offer.as_ref().map_or_else(String::new, |offer| {
        format!(
            "<p class=\"quiet\">Today {} for {} access is offered; the row pays for what was offered then.</p>",
            offer.price, offer.terms.level
        )
    });
    let part = match is_part {
        true => bare(fit.part),
        false => String::new(),
    };
    let certain = fit.score >= 0.9 && fit.expected == Expected::Awaited;
    format!(
        "<div class=\"fit\"><label><input type=\"checkbox\" form=\"match\" id=\"pick:{pick}\" name=\"pick:{pick}\"{}> \
         <strong>{payment}</strong> {course}, {learner}, {asked}</label> <span class=\"pill\">{score:.0} %</span>\
         <p class=\"quiet\">{likeness}{together}{sum}{expected} <a href=\"/admin/enrollment/{enrollment}\">The enrollment</a></p>\
         {anyway}{offer}<input type=\"hidden\" form=\"match\" name=\"sum:{pick}\" value=\"{part}\">\
         <input type=\"hidden\" form=\"match\" name=\"with:{pick}\" value=\"{others}\"></div>",
        if certain { " data-certain" } else { "" },
        payment = text(fit.payment.as_str()),
        course = text(fit.course.as_str()),
        learner = text(fit.learner.as_str()),
        asked = fit.asked,
        score = fit.score * 100.0,
        enrollment = fit.enrollment,
        others = text(&others.join(","))
    )
}

/// Rows that may be earlier ones once more.
fn doubtful(rows: &[(StatementEntry, Option<StatementEntry>)]) -> String {
    let cards: String = rows
        .iter()
        .map(|(entry, earlier)| {
            let id = text(entry.id.as_str());
            let beside = match earlier {
                Some(earlier) => format!(
                    "<h3>Imported {}: {}</h3>{}",
                    crate::common::admin::when(earlier.imported_at),
                    state(earlier),
                    row(earlier)
                ),
                None => "<p>The earlier row is not here any more.</p>".to_owned(),
            };
            format!(
                "<article tabindex=\"0\" class=\"warning\"><div class=\"pair\"><div><h3><label><input type=\"checkbox\" form=\"same\" \
                 id=\"same-{id}\" name=\"same:{id}\"> This row</label></h3>{}</div><div>{beside}</div></div>{}</article>",
                row(entry),
                Act::new("tell_apart", entry.id.as_str(), "It is another transfer", HERE)
                    .ask("How you know")
                    .html()
            )
        })
        .collect();
    format!(
        "<h2>May be earlier rows once more</h2><p>They pay nothing until you say what they are.</p>\
         <form id=\"same\" class=\"bulk\" method=\"post\" action=\"/admin/statement/same\">\
         <label hidden><input type=\"checkbox\" id=\"all-same\" data-all=\"same\"> All</label>\
         <button>Ticked rows are the earlier ones</button></form>{cards}"
    )
}

/// What became of a row, in a few words.
fn state(entry: &StatementEntry) -> String {
    let paid: Vec<String> = entry
        .parts
        .iter()
        .map(|part| format!("{} ({})", text(part.payment.as_str()), part.amount))
        .collect();
    let paid = match paid.is_empty() {
        true => String::new(),
        false => format!("paid {}", paid.join(", ")),
    };
    match &entry.state {
        RowState::Open if paid.is_empty() => "open".to_owned(),
        RowState::Open | RowState::Matched => paid,
        RowState::Doubtful => "doubtful".to_owned(),
        RowState::Closed { by, note, .. } => format!(
            "{paid} closed by {}: {}",
            text(by.as_str()),
            text(note.as_str())
        ),
        RowState::Repeated { by, .. } => {
            format!("an earlier one once more, says {}", text(by.as_str()))
        }
    }
}

/// Rows that are settled, and how.
pub fn settled(
    person: &AdminId,
    counts: &Counts,
    entries: &[StatementEntry],
    more: Option<&str>,
) -> String {
    let rows: String = entries
        .iter()
        .map(|entry| {
            let row = &entry.row;
            format!(
                "<tr><td data-label=\"Day\">{}</td><td class=\"sum\" data-label=\"Sum\">{}</td><td data-label=\"Text\">{} {}</td>\
                 <td data-label=\"Account\">{}</td><td data-label=\"What it was\">{}</td></tr>",
                row.date,
                row.amount,
                text(row.reference.as_str()),
                text(row.description.as_str()),
                text(entry.account.as_str()),
                state(entry)
            )
        })
        .collect();
    let mut body = match entries.is_empty() {
        true => "<p>No row is settled yet.</p>".to_owned(),
        false => format!(
            "<table><thead><tr><th>Day</th><th class=\"sum\">Sum</th><th>Text</th><th>Account</th><th>What it was</th></tr></thead>\
             <tbody>{rows}</tbody></table>"
        ),
    };
    if let Some(more) = more {
        body.push_str(&format!("<p><a href=\"{}\">Older</a></p>", text(more)));
    }
    body.push_str("<p><a href=\"/admin/statement\">Rows to settle</a></p>");
    admins("Settled rows", person, counts, HERE, &body)
}
