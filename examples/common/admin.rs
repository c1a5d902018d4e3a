//! The admin pages: what they show, and what a click on them does.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Days, FixedOffset, NaiveDate, Offset, TimeZone, Utc};
use coursegate::monitor::Alert;
use coursegate::notice::NoticeKind;
use coursegate::payment::Reversal;
use coursegate::reconciliation::Discrepancy;
use coursegate::registrar::{Admin, Health};
use coursegate::store::{
    Figures, InboxEntry, InboxFilter, PageRequest, PaymentFilter, PaymentKey, Period, Prefix,
    RowFilter,
};
use coursegate::{
    AdminId, ChannelName, CourseId, EnrollmentId, Error, EventId, LearnerId, Money,
    PaymentReference,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::app::{App, Reply, User, Verdict, failed_page};
use super::audit_log;
use super::pages::{self, Counts};

/// Enrollments on one page of the queue.
const QUEUE: usize = 25;
/// Rows on one page of any other list.
const ROWS: usize = 50;
/// Days in the plots.
const DAYS: u64 = 14;

/// South Africa is two hours ahead of UTC, all year.
fn zone() -> FixedOffset {
    FixedOffset::east_opt(2 * 3600).unwrap_or_else(|| Utc.fix())
}

/// A time as it is written on the pages.
pub fn when(at: DateTime<Utc>) -> String {
    at.with_timezone(&zone())
        .format("%Y-%m-%d %H:%M")
        .to_string()
}

/// What an address of the admin asks for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct AdminQuery {
    pub q: String,
    pub course: String,
    pub status: String,
    pub method: String,
    pub from: String,
    pub until: String,
    /// A link of the audit log that was noted before.
    pub noted: String,
    pub learner: String,
    /// Where the page before ended.
    pub after: String,
    /// What came of a click.
    pub done: String,
    /// A file that is looked at.
    pub upload: String,
}

impl AdminQuery {
    /// The page of a list that it asks for.
    pub fn page<K: DeserializeOwned>(&self, size: usize) -> PageRequest<K> {
        match serde_json::from_str(&self.after) {
            Ok(key) => PageRequest::after(key, size),
            Err(_) => PageRequest::first(size),
        }
    }

    /// The address of the page after it.
    pub fn more<K: Serialize>(&self, path: &str, next: Option<K>) -> Option<String> {
        let after = serde_json::to_string(&next?).ok()?;
        let fields = [
            ("q", self.q.as_str()),
            ("course", &self.course),
            ("status", &self.status),
            ("method", &self.method),
            ("from", &self.from),
            ("until", &self.until),
            ("after", &after),
        ];
        let given = fields.into_iter().filter(|(_, value)| !value.is_empty());
        let url = reqwest::Url::parse_with_params("http://admin", given).ok()?;
        Some(format!("{path}?{}", url.query()?))
    }

    fn filter(&self) -> PaymentFilter {
        let begin = |text: &str| {
            let day: NaiveDate = text.parse().ok()?;
            zone()
                .from_local_datetime(&day.and_hms_opt(0, 0, 0)?)
                .earliest()
        };
        let after = |text: &str| begin(text)?.checked_add_days(Days::new(1));
        let wanted = self.q.trim();
        PaymentFilter {
            learner: None,
            course: CourseId::new(&self.course).ok(),
            status: self.status.parse().ok(),
            method: self.method.parse().ok(),
            from: begin(&self.from).map(|at| at.to_utc()),
            until: after(&self.until).map(|at| at.to_utc()),
            prefix: match wanted.to_uppercase() {
                empty if empty.is_empty() => None,
                reference if reference.starts_with("CG-") => Some(Prefix::Reference(reference)),
                _ => Some(Prefix::Email(wanted.to_owned())),
            },
        }
    }
}

/// Money and access that do not agree, and callbacks that came to nothing.
pub struct Problems {
    pub alerts: Vec<Alert>,
    pub health: Health,
    pub discrepancies: Vec<Discrepancy>,
    pub dead: Vec<InboxEntry>,
    pub parked: Vec<InboxEntry>,
}

/// One click on the admin: what to do, with what, and what the person wrote.
#[derive(Debug, Deserialize)]
pub struct Act {
    pub action: String,
    #[serde(default)]
    pub subject: String,
    #[serde(default)]
    pub other: String,
    #[serde(default)]
    pub text: String,
    #[serde(default)]
    pub back: String,
}

impl App {
    /// One of the admin pages. An empty name is the approval queue.
    pub async fn desk_page(&self, user: Option<&User>, name: &str, query: &AdminQuery) -> Reply {
        let Some(User::Admin(person)) = user else {
            return Reply::Page(200, pages::sign_in("admin", None));
        };
        let admin = self.registrar.admin(person.clone());
        match self.show(&admin, person, name, query).await {
            Ok(Some(page)) => Reply::Page(200, page),
            Ok(None) => Reply::Page(404, pages::problem("There is no such page.")),
            Err(error) => failed_page(&error),
        }
    }

    async fn show(
        &self,
        admin: &Admin<'_>,
        person: &AdminId,
        name: &str,
        query: &AdminQuery,
    ) -> Result<Option<String>, Error> {
        let counts = counts(admin).await?;
        Ok(Some(match name {
            "" => {
                let queue = admin.approvals().pending(query.page(QUEUE)).await?;
                let mut rows = Vec::new();
                for item in &queue.items {
                    rows.push(admin.approvals().explain(item.enrollment.id).await?);
                }
                let more = query.more("/admin", queue.next);
                pages::queue(person, &counts, &rows, more.as_deref())
            }
            "payments" => {
                let request: PageRequest<PaymentKey> = query.page(ROWS);
                let found = admin.payments().list(&query.filter(), request).await?;
                let more = query.more("/admin/payments", found.next);
                pages::payments(person, &counts, query, &found.items, more.as_deref())
            }
            "money" => {
                let items = admin
                    .payments()
                    .exceptions(PageRequest::first(100))
                    .await?
                    .items;
                pages::money(person, &counts, &items)
            }
            "problems" => {
                let problems = Problems {
                    alerts: self.registrar.alerts(),
                    health: self.registrar.health().await,
                    discrepancies: admin
                        .operations()
                        .discrepancies(PageRequest::first(100))
                        .await?
                        .items,
                    dead: admin
                        .operations()
                        .inbox(InboxFilter::Dead, PageRequest::first(100))
                        .await?
                        .items,
                    parked: admin
                        .operations()
                        .inbox(InboxFilter::Parked, PageRequest::first(100))
                        .await?
                        .items,
                };
                pages::problems(person, &counts, &problems)
            }
            "statement" => {
                let bank = self.bank(admin, person, query).await?;
                pages::statement(person, &counts, &bank)
            }
            "settled" => {
                let found = admin
                    .statements()
                    .list(RowFilter::Settled, query.page(ROWS))
                    .await?;
                let more = query.more("/admin/settled", found.next);
                pages::settled(person, &counts, &found.items, more.as_deref())
            }
            "day" => {
                let period = last_days();
                let days = every_day(&period, admin.payments().days(period, None).await?);
                let courses = admin
                    .payments()
                    .courses(period, PageRequest::first(100))
                    .await?;
                pages::day(person, &counts, &days, &courses.items)
            }
            "audit-log" => {
                let shown = audit_log::audit_log(admin, &query.noted, &query.learner).await?;
                pages::audit_log(person, &counts, &shown)
            }
            "notices" => {
                let found = admin.notices().list(false, query.page(ROWS)).await?;
                let more = query.more("/admin/notices", found.next);
                let chosen = admin.notices().preferences().await?;
                let channels = self.registrar.channels();
                let choice = (&chosen, channels.as_slice());
                pages::notices(person, &counts, &found.items, more.as_deref(), choice)
            }
            _ => match name
                .strip_prefix("enrollment/")
                .map(str::parse::<EnrollmentId>)
            {
                Some(Ok(id)) => match admin.approvals().explain(id).await {
                    Ok(row) => pages::timeline(person, &counts, &row),
                    Err(Error::NotFound(_)) => return Ok(None),
                    Err(error) => return Err(error),
                },
                _ => return Ok(None),
            },
        }))
    }

    pub async fn approve_form(&self, user: &User, verdict: &Verdict) -> Reply {
        self.on_desk(user, "", async |admin| {
            let (id, note) = (verdict.enrollment, verdict.reason.as_str());
            // Nothing is approved that came after the page was made.
            let done = match verdict.version {
                Some(shown) => admin.approvals().approve_shown(id, shown, note).await,
                None => admin.approvals().approve(id, note).await,
            };
            Ok(done.map(drop)?)
        })
        .await
    }

    pub async fn reject_form(&self, user: &User, verdict: &Verdict) -> Reply {
        self.on_desk(user, "", async |admin| {
            let done = admin
                .approvals()
                .reject(verdict.enrollment, verdict.reason.as_str())
                .await;
            Ok(done.map(drop)?)
        })
        .await
    }

    /// Chooses what the person is told of: one field for each kind and channel that is ticked.
    pub async fn choose_form(&self, user: &User, fields: &HashMap<String, String>) -> Reply {
        self.on_desk(user, "/admin/notices", async |admin| {
            let mut channels: BTreeMap<NoticeKind, BTreeSet<ChannelName>> = BTreeMap::new();
            for name in fields.keys() {
                let pair = name.split_once(':').and_then(|(kind, channel)| {
                    Some((kind.parse().ok()?, ChannelName::new(channel).ok()?))
                });
                let (kind, channel) =
                    pair.ok_or(Failure::Invalid("Tick what you want to be told of.".into()))?;
                channels.entry(kind).or_default().insert(channel);
            }
            Ok(admin.notices().choose_channels(channels).await.map(drop)?)
        })
        .await
    }

    /// Everything else that can be clicked on the admin.
    pub async fn act_form(&self, user: &User, act: &Act) -> Reply {
        self.on_desk(user, &act.back, async |admin| {
            #[cfg(feature = "statements")]
            if let ("import" | "read_as", User::Admin(person)) = (act.action.as_str(), user) {
                return self.act_on_upload(admin, person, act).await;
            }
            perform(self, admin, act).await
        })
        .await
    }

    /// Does something as an admin, and goes back to one of the admin pages.
    pub(super) async fn on_desk(
        &self,
        user: &User,
        back: &str,
        work: impl AsyncFnOnce(&Admin<'_>) -> Result<(), Failure>,
    ) -> Reply {
        let User::Admin(person) = user else {
            return Reply::Page(403, pages::problem("Only admins may do this."));
        };
        match work(&self.registrar.admin(person.clone())).await {
            // Nobody is sent anywhere else.
            Ok(()) if back.starts_with("/admin/") => Reply::To(back.to_owned()),
            Ok(()) => Reply::To("/admin".to_owned()),
            Err(Failure::Invalid(what)) => Reply::Page(422, pages::problem(&what)),
            Err(Failure::Conflict(what)) => Reply::Page(409, pages::problem(&what)),
            Err(Failure::Of(error)) => failed_page(&error),
        }
    }
}

/// Why a click came to nothing.
pub enum Failure {
    Invalid(String),
    #[cfg_attr(not(any(feature = "live", feature = "statements")), allow(dead_code))]
    Conflict(String),
    Of(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Of(error)
    }
}

async fn perform(app: &App, admin: &Admin<'_>, act: &Act) -> Result<(), Failure> {
    let note = act.text.as_str();
    let reference = |text: &str| {
        PaymentReference::new(text).map_err(|error| Failure::Invalid(error.to_string()))
    };
    match act.action.as_str() {
        "refund" => {
            let payment = reference(&act.subject)?;
            match act.other.trim() {
                "" => admin.refunds().record(&payment, note).await?,
                sum => {
                    let sum = rand(sum).map_err(Failure::Invalid)?;
                    admin.refunds().record_partial(&payment, sum, note).await?
                }
            };
        }
        "charged_back" => {
            let payment = reference(&act.subject)?;
            admin
                .refunds()
                .record_reversal(&payment, Reversal::ChargedBack, note)
                .await?;
        }
        "reinstate" => {
            admin
                .refunds()
                .record_reinstatement(&reference(&act.subject)?, note)
                .await?;
        }
        "revoke" => {
            let grant = act.subject.parse();
            let grant =
                grant.map_err(|_| Failure::Invalid("There is no such access.".to_owned()))?;
            admin.learners().revoke(grant, note).await?;
        }
        "override" => {
            let id = act.subject.parse();
            let id = id.map_err(|_| Failure::Invalid("There is no such enrollment.".to_owned()))?;
            admin.approvals().approve_override(id, note).await?;
        }
        "ask" => {
            app.registrar
                .refresh_payment(&reference(&act.subject)?)
                .await?;
        }
        "replay" => {
            admin
                .operations()
                .replay(&act.subject.as_str().into())
                .await?;
        }
        "close_discrepancy" => {
            admin
                .operations()
                .close_discrepancy(&act.subject.as_str().into(), note)
                .await?;
        }
        "close_row" => {
            admin
                .statements()
                .close(&act.subject.as_str().into(), note)
                .await?;
        }
        "tell_apart" => {
            admin
                .statements()
                .tell_apart(&act.subject.as_str().into(), note)
                .await?;
        }
        "reconcile" => reconcile(admin).await?,
        #[cfg(feature = "live")]
        "probe" => {
            let found = app.hub.probe(&app.registrar).await;
            if let Some(finding) = found.first() {
                return Err(Failure::Conflict(finding.to_string()));
            }
        }
        // Nothing brings them back: the name is asked for twice.
        "erase" if act.subject != note => {
            return Err(Failure::Invalid(
                "Write the learner's name again.".to_owned(),
            ));
        }
        "erase" => {
            let learner =
                LearnerId::new(note).map_err(|error| Failure::Invalid(error.to_string()))?;
            admin.learners().erase(&learner).await?;
        }
        "read" => {
            let notices = act.subject.split(',').filter_map(|id| id.parse().ok());
            let notices: Vec<EventId> = notices.take(ROWS).collect();
            admin.notices().mark_read(&notices).await?;
        }
        _ => return Err(Failure::Invalid("There is no such action.".to_owned())),
    }
    Ok(())
}

/// A sum such as `120` or `120.50`, without a way through floating point.
pub fn rand(text: &str) -> Result<Money, String> {
    let (rand, cents) = text.split_once('.').unwrap_or((text, "00"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let cents: Option<i64> = (digits(rand) && digits(cents) && cents.len() == 2)
        .then(|| format!("{rand}{cents}").parse().ok())
        .flatten();
    cents
        .and_then(|cents| Money::zar(cents).ok())
        .ok_or_else(|| "Write the sum in rand and cents, such as 120.50.".to_owned())
}

/// How much waits: what is more than a page holds is "99+".
async fn counts(admin: &Admin<'_>) -> Result<Counts, Error> {
    let shown = |items: usize| match items {
        0..100 => items.to_string(),
        _ => "99+".to_owned(),
    };
    Ok(Counts {
        approvals: shown(
            admin
                .approvals()
                .pending(PageRequest::first(100))
                .await?
                .items
                .len(),
        ),
        notices: shown(
            admin
                .notices()
                .list(true, PageRequest::first(100))
                .await?
                .items
                .len(),
        ),
    })
}

/// The last days, today's among them, as the school counts them.
fn last_days() -> Period {
    let today = Utc::now().with_timezone(&zone()).date_naive();
    let start = |day: NaiveDate| {
        let midnight = day.and_hms_opt(0, 0, 0).unwrap_or_default();
        midnight.and_utc() - chrono::Duration::hours(2)
    };
    Period {
        from: start(today - Days::new(DAYS - 1)),
        until: start(today + Days::new(1)),
        offset: zone(),
    }
}

/// Days on which nothing happened are missing from the figures, and shown as empty.
fn every_day(
    period: &Period,
    figures: Vec<coursegate::store::DayFigures>,
) -> Vec<coursegate::store::DayFigures> {
    let mut known: HashMap<NaiveDate, Figures> = figures
        .into_iter()
        .map(|day| (day.day, day.figures))
        .collect();
    let first = period.from.with_timezone(&period.offset).date_naive();
    first
        .iter_days()
        .take(usize::try_from(DAYS).unwrap_or(1))
        .map(|day| coursegate::store::DayFigures {
            day,
            figures: known.remove(&day).unwrap_or_default(),
        })
        .collect()
}

/// Compares money and access in everything there is.
async fn reconcile(admin: &Admin<'_>) -> Result<(), Error> {
    let mut from = None;
    loop {
        from = admin.operations().reconcile(from, 100).await?.next;
        if from.is_none() {
            return Ok(());
        }
    }
}
