//! What an accountant, and a learner, may ask for: the events, whether they hold, and files.

use coursegate::event::Event;
use coursegate::registrar::{Admin, AuditLogReport};
use coursegate::store::{PageRequest, PaymentFilter};
use coursegate::{Error, LearnerId};

use super::app::{App, Reply, User, failed_page};
use super::pages;

/// Lines read at once.
const PAGE: usize = 500;

/// What the page about events shows.
pub struct AuditLogPage {
    pub report: AuditLogReport,
    /// The link that was noted before, as it was typed.
    pub noted: String,
    /// Whose history is asked for, and what it is, if there is any.
    pub learner: String,
    pub history: Vec<Event>,
}

pub async fn audit_log(admin: &Admin<'_>, noted: &str, name: &str) -> Result<AuditLogPage, Error> {
    let history = match LearnerId::new(name.trim()) {
        Ok(learner) => match admin.learners().timeline(&learner).await {
            Ok(history) => history,
            Err(Error::NotFound(_)) => Vec::new(),
            Err(error) => return Err(error),
        },
        Err(_) => Vec::new(),
    };
    Ok(AuditLogPage {
        report: admin.audit_log().verify(noted.parse().ok()).await?,
        noted: noted.to_owned(),
        learner: name.trim().to_owned(),
        history,
    })
}

impl App {
    /// A file to download. A school with millions of events streams it instead.
    pub async fn file(&self, user: Option<&User>, name: &str, learner: &str) -> Reply {
        let Some(User::Admin(person)) = user else {
            return Reply::Page(401, pages::sign_in("admin", None));
        };
        let admin = self.registrar.admin(person.clone());
        let made = match name {
            "audit_log.jsonl" => all_events(&admin)
                .await
                .map(|body| ("application/x-ndjson", body)),
            "payments.csv" => all_payments(&admin)
                .await
                .map(|body| ("text/csv; charset=utf-8", body)),
            "learner.json" => match LearnerId::new(learner.trim()) {
                Ok(learner) => admin.learners().export(&learner).await.map(|export| {
                    let body = serde_json::to_string_pretty(&export).unwrap_or_default();
                    ("application/json", body)
                }),
                Err(error) => return Reply::Page(422, pages::problem(&error.to_string())),
            },
            _ => return Reply::Page(404, pages::problem("There is no such file.")),
        };
        match made {
            Ok((kind, body)) => Reply::File {
                name: name.to_owned(),
                kind,
                body,
            },
            Err(error) => failed_page(&error),
        }
    }
}

async fn all_events(admin: &Admin<'_>) -> Result<String, Error> {
    let (mut body, mut request) = (String::new(), PageRequest::first(PAGE));
    loop {
        let page = admin.audit_log().export(request).await?;
        add_lines(&mut body, &page.items);
        match page.next {
            Some(after) => request = PageRequest::after(after, PAGE),
            None => return Ok(body),
        }
    }
}

async fn all_payments(admin: &Admin<'_>) -> Result<String, Error> {
    let filter = PaymentFilter::default();
    let (mut body, mut request) = (String::new(), PageRequest::first(PAGE));
    loop {
        let page = admin.payments().export(&filter, request).await?;
        add_lines(&mut body, &page.items);
        match page.next {
            Some(after) => request = PageRequest::after(after, PAGE),
            None => return Ok(body),
        }
    }
}

fn add_lines(body: &mut String, lines: &[String]) {
    for line in lines {
        body.push_str(line);
        body.push('\n');
    }
}
