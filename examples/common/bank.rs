//! The bank's side of the admin: rows of statements, and the payments they are.

use std::collections::HashMap;

#[cfg(feature = "statements")]
use coursegate::AccountId;
use coursegate::registrar::{Admin, RowApproval, RowSuggestions, TransferMatch};
use coursegate::statement::{RowId, RowKey, StatementEntry};
use coursegate::store::PageRequest;
use coursegate::store::RowFilter;
use coursegate::{AdminId, Error, PaymentReference};

use super::admin::{AdminQuery, Failure, rand};
use super::app::{App, Reply, User};

/// Rows on one page.
const ROWS: usize = 25;
/// Doubtful rows that are shown at once.
const DOUBTFUL: usize = 50;

/// What the page about bank statements shows.
pub struct Bank {
    /// What came of the last click.
    pub results: Vec<RowApproval>,
    /// Accounts that statements were imported for.
    #[cfg(feature = "statements")]
    pub accounts: Vec<AccountId>,
    /// Rows that may be earlier ones, each beside that one.
    pub doubtful: Vec<(StatementEntry, Option<StatementEntry>)>,
    pub rows: Vec<RowSuggestions>,
    pub more: Option<String>,
    #[cfg(feature = "statements")]
    pub look: Option<super::upload::Look>,
}

impl App {
    pub(super) async fn bank(
        &self,
        admin: &Admin<'_>,
        person: &AdminId,
        query: &AdminQuery,
    ) -> Result<Bank, Error> {
        let statements = admin.statements();
        let page = statements.list(RowFilter::Doubtful, PageRequest::first(DOUBTFUL));
        let doubtful = page.await?.items;
        let earlier: Vec<RowId> = doubtful
            .iter()
            .filter_map(|it| it.resembles.clone())
            .collect();
        let earlier = admin.statements().rows(&earlier).await?;
        let earlier: HashMap<RowId, StatementEntry> =
            earlier.into_iter().map(|it| (it.id.clone(), it)).collect();
        let beside = |it: StatementEntry| {
            let known = it
                .resembles
                .as_ref()
                .and_then(|id| earlier.get(id).cloned());
            (it, known)
        };
        let doubtful = doubtful.into_iter().map(beside).collect();
        let matcher = admin.statements().matcher().await?;
        let page: PageRequest<RowKey> = query.page(ROWS);
        let found = admin.statements().suggestions(&matcher, page).await?;
        Ok(Bank {
            results: self.results.get(person, &query.done).unwrap_or_default(),
            #[cfg(feature = "statements")]
            accounts: admin.statements().accounts().await?,
            doubtful,
            rows: found.items,
            more: query.more("/admin/statement", found.next),
            #[cfg(feature = "statements")]
            look: self.look(admin, person, &query.upload).await?,
        })
    }

    /// Approves what is ticked, and shows what came of each.
    pub async fn match_form(&self, user: &User, fields: &HashMap<String, String>) -> Reply {
        let User::Admin(person) = user else {
            return Reply::Page(403, super::pages::problem("Only admins may do this."));
        };
        let matches = match ticked(fields) {
            Ok(matches) => matches,
            Err(what) => return Reply::Page(422, super::pages::problem(&what)),
        };
        let note = fields.get("note").map_or("", |note| note.trim());
        let admin = self.registrar.admin(person.clone());
        let done = admin.statements().approve(&matches, note).await;
        let key = self.results.put(person, done);
        Reply::To(format!("/admin/statement?done={key}"))
    }

    /// Says that rows which are ticked are earlier ones once more.
    pub async fn same_form(&self, user: &User, fields: &HashMap<String, String>) -> Reply {
        self.on_desk(user, "/admin/statement", async |admin| {
            let rows = fields.keys().filter_map(|name| name.strip_prefix("same:"));
            let rows: Vec<RowId> = rows.map(RowId::from).collect();
            if rows.is_empty() {
                return Err(Failure::Invalid("Tick the rows first.".to_owned()));
            }
            Ok(admin.statements().close_repeats(&rows).await?)
        })
        .await
    }
}

/// What is ticked: `pick:ROW:REFERENCE`, and beside it how much of the row (`sum:…`), the other rows
/// (`with:…`), and whether another sum than was asked is taken (`anyway:…`). Or what a person
/// wrote for one row.
fn ticked(fields: &HashMap<String, String>) -> Result<Vec<TransferMatch>, String> {
    let field = |name: &str| fields.get(name).map_or("", |text| text.trim());
    let mut picks: Vec<&str> = fields
        .keys()
        .filter_map(|name| name.strip_prefix("pick:"))
        .collect();
    picks.sort_unstable();
    let mut matches = Vec::new();
    for pick in picks {
        let (row, payment) = pick.split_once(':').unwrap_or((pick, ""));
        let other = |what: &str| field(&format!("{what}:{pick}"));
        let found = matched(row, payment, other("sum"), !other("anyway").is_empty())?;
        let others = other("with").split(',').filter(|row| !row.is_empty());
        matches.push(others.fold(found, |found, row| found.and(row.into())));
    }
    if !field("row").is_empty() {
        let anyway = !field("anyway").is_empty();
        matches.push(matched(
            field("row"),
            field("reference"),
            field("sum"),
            anyway,
        )?);
    }
    match matches.is_empty() {
        true => Err("Tick what each row paid first.".to_owned()),
        false => Ok(matches),
    }
}

fn matched(row: &str, payment: &str, sum: &str, anyway: bool) -> Result<TransferMatch, String> {
    let payment = PaymentReference::new(payment.trim().to_uppercase());
    let payment = payment.map_err(|error| format!("Write the payment's reference: {error}."))?;
    let found = match sum {
        "" => TransferMatch::new(row.into(), payment),
        sum => TransferMatch::part(row.into(), payment, rand(sum)?),
    };
    Ok(match anyway {
        true => found.whatever_the_sum(),
        false => found,
    })
}
