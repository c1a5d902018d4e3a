//! The admin's queues beside approvals, and what one can do about them.

use coursegate::audit::Concern;
use coursegate::enrollment::InboxEntry;
use coursegate::payment::Reversal;
use coursegate::port::{InboxFilter, PageRequest, RowFilter};
use coursegate::registrar::{Admin, AwkwardItem};
use coursegate::statement::{StatementEntry, StatementRow, Suggestion};
use coursegate::{Error, Reference};
use serde::Deserialize;

use super::app::{App, Reply, User, failed_page};
use super::pages;

/// One click on the admin page: what to do, with what, and what the person wrote.
#[derive(Debug, Deserialize)]
pub struct Act {
    pub action: String,
    #[serde(default)]
    pub subject: String,
    #[serde(default)]
    pub other: String,
    #[serde(default)]
    pub text: String,
}

impl App {
    /// Everything an admin can click besides approving and rejecting.
    pub async fn act_form(&self, user: &User, act: &Act) -> Reply {
        let User::Admin(person) = user else {
            return Reply::Page(403, pages::problem("Only admins may do this."));
        };
        let desk = self.registrar.admin(person.clone());
        let note = act.text.as_str();
        let done = match act.action.as_str() {
            "refund" | "charged_back" | "reinstate" => match Reference::new(&act.subject) {
                Err(error) => return Reply::Page(422, pages::problem(&error.to_string())),
                Ok(payment) => match act.action.as_str() {
                    "refund" => desk.record_refund(&payment, note).await.map(drop),
                    "reinstate" => desk.record_reinstatement(&payment, note).await.map(drop),
                    _ => desk
                        .record_reversal(&payment, Reversal::ChargedBack, note)
                        .await
                        .map(drop),
                },
            },
            "replay" => desk.replay(&act.subject.as_str().into()).await,
            "close_concern" => desk.close_concern(&act.subject.as_str().into(), note).await,
            "close_row" => desk.close_row(&act.subject.as_str().into(), note).await,
            "approve_row" => {
                let Ok(payment) = Reference::new(&act.other) else {
                    return Reply::Page(422, pages::problem("Name a payment."));
                };
                let pair = [(act.subject.as_str().into(), payment)];
                let done = desk.approve_rows(&pair, "seen on the bank statement").await;
                match done.into_iter().find_map(|item| item.problem) {
                    Some(problem) => return Reply::Page(409, pages::problem(&problem)),
                    None => Ok(()),
                }
            }
            "audit" => audit(&desk).await,
            "statement" => match rows_of(note) {
                Ok(rows) => desk.import_statement(rows).await.map(drop),
                Err(problem) => return Reply::Page(422, pages::problem(&problem)),
            },
            _ => return Reply::Page(422, pages::problem("There is no such action.")),
        };
        match done {
            Ok(()) => Reply::To("/admin".to_owned()),
            Err(error) => failed_page(&error),
        }
    }
}

/// What an admin looks at besides the approval queue.
pub struct Desk {
    pub awkward: Vec<AwkwardItem>,
    pub concerns: Vec<Concern>,
    pub dead: Vec<InboxEntry>,
    pub rows: Vec<StatementEntry>,
    pub suggestions: Vec<Suggestion>,
}

impl Desk {
    pub(super) async fn look(desk: &Admin<'_>) -> Result<Self, Error> {
        let rows = desk
            .statement(RowFilter::Open, PageRequest::first(100))
            .await?;
        Ok(Self {
            awkward: desk.awkward_money(PageRequest::first(100)).await?.items,
            concerns: desk.concerns(PageRequest::first(100)).await?.items,
            dead: desk
                .inbox(InboxFilter::Dead, PageRequest::first(100))
                .await?
                .items,
            suggestions: desk.suggestions().await?,
            rows: rows.items,
        })
    }
}

/// Compares money and access in everything there is.
async fn audit(desk: &Admin<'_>) -> Result<(), Error> {
    let mut from = None;
    loop {
        from = desk.audit(from, 100).await?.next;
        if from.is_none() {
            return Ok(());
        }
    }
}

/// The rows of a pasted statement; one bad row and nothing is taken.
#[cfg(feature = "statements")]
fn rows_of(text: &str) -> Result<Vec<StatementRow>, String> {
    use coursegate::statement::{Mapping, parse_csv};

    let mapping = Mapping::new("date", "amount").reference("reference");
    let statement = parse_csv(text.as_bytes(), &mapping).map_err(|error| error.to_string())?;
    match statement.bad.first() {
        Some(bad) => Err(format!("Line {}: {}", bad.line, bad.reason)),
        None => Ok(statement.rows),
    }
}

#[cfg(not(feature = "statements"))]
fn rows_of(_: &str) -> Result<Vec<StatementRow>, String> {
    Err("Run the example with --features statements to import bank statements.".to_owned())
}
