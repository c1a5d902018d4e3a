//! The demo school, without any web framework: each route is one method.

use std::sync::Arc;
use std::time::Duration;

use coursegate::access::{AccessLevel, AccessRequest, AccessTerms, ResourceKind, Visitor};
use coursegate::adapter::simulator::Simulator;
use coursegate::enrollment::Version;
use coursegate::payment::{PaymentMethod, ProofOfPayment};
use coursegate::registrar::{EnrollRequest, Enrolled, NextStep, RowApproval};
use coursegate::store::PageRequest;
use coursegate::webhook::{Delivery, Signature, Signer};
use coursegate::{
    AdminId, CourseId, Email, EnrollmentId, Error, LearnerId, Money, PaymentReference, Registrar,
    Secret, Title,
};
use serde::Deserialize;
use serde_json::{Value, json};
use subtle::ConstantTimeEq;

use super::pages;
use super::shelf::Shelf;

/// A course of the demo school. Prices come from here, never from a request.
pub struct Course {
    pub id: &'static str,
    pub title: &'static str,
    pub cents: i64,
}

pub const COURSES: [Course; 4] = [
    Course {
        id: "rust-101",
        title: "Rust from the start",
        cents: 49_900,
    },
    Course {
        id: "maths-12",
        title: "Mathematics, grade 12",
        cents: 35_000,
    },
    Course {
        id: "baking",
        title: "Thabo's bread & cakes",
        cents: 12_550,
    },
    Course {
        id: "safe-html",
        title: "Safe HTML: what <script>document.title = 'taken over'</script> must not do",
        cents: 20_000,
    },
];

/// Clicks whose outcome is kept.
const RESULTS: usize = 64;
/// Files that are kept to be looked at.
#[cfg(feature = "statements")]
const UPLOADS: usize = 8;
/// How long the shorter offer lasts.
const MONTH: Duration = Duration::from_secs(30 * 24 * 3600);

pub fn offers(course: &CourseId) -> bool {
    COURSES.iter().any(|known| known.id == course.as_str())
}

/// Who is signed in. A demo: no password is asked.
#[derive(Debug, Clone)]
pub enum User {
    Learner(LearnerId),
    Admin(AdminId),
}

/// What a route answers.
#[derive(Debug)]
pub enum Reply {
    Page(u16, String),
    Json(u16, Value),
    /// What Prometheus reads.
    Text(String),
    /// To be saved under a name.
    File {
        name: String,
        kind: &'static str,
        body: String,
    },
    To(String),
    SignedIn {
        cookie: String,
        to: &'static str,
    },
}

#[derive(Debug, Deserialize)]
pub struct SignIn {
    pub name: String,
    #[serde(default)]
    pub role: String,
}

#[derive(Debug, Deserialize)]
pub struct Wish {
    pub course: String,
    pub method: PaymentMethod,
    #[serde(default)]
    pub offer: Offered,
    /// Whether more time is asked for, before the access they have ends.
    #[serde(default)]
    pub renew: bool,
}

/// What the school offers of each course.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Offered {
    /// All of it, for ever, at its full price.
    #[default]
    Full,
    /// Without the certificate, for thirty days, at a fifth of its price.
    Month,
}

#[derive(Debug, Deserialize)]
pub struct Approval {
    pub enrollments: Vec<EnrollmentId>,
    #[serde(default)]
    pub note: String,
    #[serde(default)]
    pub dry_run: bool,
    /// Answers item by item even when there is only one.
    #[serde(default)]
    pub bulk: bool,
}

#[derive(Debug, Deserialize)]
pub struct Verdict {
    pub enrollment: EnrollmentId,
    /// The version that the page showed.
    #[serde(default)]
    pub version: Option<Version>,
    #[serde(default)]
    pub reason: String,
}

#[derive(Debug, Deserialize)]
pub struct Refund {
    pub reference: PaymentReference,
    #[serde(default)]
    pub proof: String,
}

/// What a learner shows for a bank transfer.
#[derive(Debug, Deserialize)]
pub struct Proof {
    pub course: String,
    pub proof: String,
}

#[derive(Clone)]
pub struct App {
    pub(super) registrar: Registrar,
    /// The origin that browsers know this server by.
    site: String,
    pay_origin: String,
    /// The simulated provider beside this server.
    simulator: Simulator,
    /// Signs the demo's cookies.
    signer: Signer,
    /// What came of rows that were approved.
    pub(super) results: Arc<Shelf<Vec<RowApproval>>>,
    /// Files of banks that are looked at.
    #[cfg(feature = "statements")]
    pub(super) uploads: Arc<Shelf<super::upload::Upload>>,
    #[cfg(feature = "live")]
    pub hub: coursegate::live::Hub,
    #[cfg(feature = "metrics")]
    metrics: metrics_exporter_prometheus::PrometheusHandle,
}

impl App {
    pub fn new(
        registrar: Registrar,
        site: String,
        pay_origin: String,
        simulator: Simulator,
        cookie_key: &Secret,
        #[cfg(feature = "live")] hub: coursegate::live::Hub,
        #[cfg(feature = "metrics")] metrics: metrics_exporter_prometheus::PrometheusHandle,
    ) -> Self {
        Self {
            registrar,
            site,
            pay_origin,
            simulator,
            signer: Signer::new(cookie_key),
            results: Arc::new(Shelf::new(RESULTS)),
            #[cfg(feature = "statements")]
            uploads: Arc::new(Shelf::new(UPLOADS)),
            #[cfg(feature = "live")]
            hub,
            #[cfg(feature = "metrics")]
            metrics,
        }
    }

    #[cfg(feature = "live")]
    pub fn registrar(&self) -> &Registrar {
        &self.registrar
    }

    /// The origin that browsers know this server by, such as `https://school.example`.
    pub fn site(&self) -> &str {
        &self.site
    }

    /// Where pages may send forms: here, and to the pay page.
    pub fn content_policy(&self) -> String {
        format!(
            "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src data:; \
             form-action 'self' {}; frame-ancestors 'none'; base-uri 'none'",
            self.pay_origin
        )
    }

    /// Who asks for this path, by the `Cookie` header. Learners and admins have a cookie
    /// each, so that one browser can be both.
    pub fn user(&self, path: &str, cookies: Option<&str>) -> Option<User> {
        let admin = path.starts_with("/admin") || path.starts_with("/api/admin");
        let name = if admin { "admin=" } else { "learner=" };
        let session = cookies?
            .split(';')
            .find_map(|pair| pair.trim().strip_prefix(name))?;
        let (name, signature) = session.split_once('.')?;
        let name = base16ct::lower::decode_vec(name).ok()?;
        let given = Signature::from_hex(signature.as_bytes())?;
        if !bool::from(self.signature(admin, &name).ct_eq(&given)) {
            return None;
        }
        let name = String::from_utf8(name).ok()?;
        if admin {
            AdminId::new(name).ok().map(User::Admin)
        } else {
            LearnerId::new(name).ok().map(User::Learner)
        }
    }

    /// A cookie is good for one role, and for as long as the key is the same: the demo's never
    /// expires, yours should.
    fn signature(&self, admin: bool, name: &[u8]) -> Signature {
        self.signer
            .sign(if admin { "admin" } else { "learner" }, name)
    }

    /// The demo's sign-in: a name is enough. Use your platform's own instead.
    pub fn sign_in(&self, form: &SignIn) -> Reply {
        let name = form.name.trim();
        // A learner comes back from the provider's page, another site: `Strict` would leave the cookie
        // behind. What `Lax` lets through are visits, and those change nothing.
        let (user, cookie, same_site, to) = match form.role.as_str() {
            "admin" => (
                AdminId::new(name).map(User::Admin),
                "admin",
                "Strict",
                "/admin",
            ),
            _ => (
                LearnerId::new(name).map(User::Learner),
                "learner",
                "Lax",
                "/",
            ),
        };
        match user {
            Err(error) => Reply::Page(422, pages::sign_in(&form.role, Some(&error.to_string()))),
            Ok(user) => {
                let admin = matches!(user, User::Admin(_));
                let signature = self.signature(admin, name.as_bytes()).to_hex();
                let name = base16ct::lower::encode_string(name.as_bytes());
                let session = format!("{name}.{signature}");
                let secure = match self.site.starts_with("https://") {
                    true => "; Secure",
                    false => "",
                };
                let cookie =
                    format!("{cookie}={session}; HttpOnly; SameSite={same_site}; Path=/{secure}");
                Reply::SignedIn { cookie, to }
            }
        }
    }

    /// The provider's callback. The framework must hand over the raw body.
    pub async fn webhook<N: AsRef<str>, V: AsRef<[u8]>>(
        &self,
        path: &str,
        headers: impl IntoIterator<Item = (N, V)>,
        body: Vec<u8>,
    ) -> Reply {
        let delivery = Delivery::new(path, headers, body);
        let registrar = self.registrar.clone();
        // A task of its own: a caller that goes away does not stop it halfway.
        match tokio::spawn(async move { registrar.receive(delivery).await }).await {
            Ok(receipt) => Reply::Json(
                receipt.http_status(),
                json!({ "outcome": receipt.outcome.as_str() }),
            ),
            Err(_) => problem(500, "the callback could not be taken"),
        }
    }

    /// What the simulator found odd about the requests that it was sent. A server that talks to the
    /// real provider has no such route.
    pub fn simulator_report(&self) -> Reply {
        Reply::Json(200, json!({ "report": self.simulator.report() }))
    }

    async fn wish(&self, user: &User, wish: &Wish) -> Result<Enrolled, Reply> {
        let User::Learner(learner) = user else {
            return Err(problem(403, "sign in as a learner"));
        };
        let course = COURSES.iter().find(|course| course.id == wish.course);
        let course = course.ok_or_else(|| problem(422, "there is no such course"))?;
        let made_up = || -> Result<EnrollRequest, coursegate::IdError> {
            let local: String = learner
                .as_str()
                .chars()
                .filter(char::is_ascii_alphanumeric)
                .collect();
            let (cents, terms) = match wish.offer {
                Offered::Full => (course.cents, AccessTerms::default()),
                Offered::Month => (
                    course.cents / 5,
                    AccessTerms {
                        level: AccessLevel::Limited,
                        ..AccessTerms::lasting(MONTH)
                    },
                ),
            };
            let request = EnrollRequest::new(
                learner.clone(),
                Email::new(format!("learner-{local}@school.example"))?,
                CourseId::new(course.id)?,
                Title::new(course.title)?,
                Money::zar(cents).map_err(|_| coursegate::IdError::NotAnEmail)?,
                wish.method,
            );
            let request = request.terms(terms);
            Ok(if wish.renew { request.renew() } else { request })
        };
        let request = made_up().map_err(|error| problem(422, &error.to_string()))?;
        self.registrar
            .enroll(request)
            .await
            .map_err(|error| sorry(&error))
    }

    pub async fn enroll_json(&self, user: &User, wish: &Wish) -> Reply {
        let enrolled = match self.wish(user, wish).await {
            Ok(enrolled) => enrolled,
            Err(reply) => return reply,
        };
        let next = match enrolled.next {
            NextStep::Pay { reference, url } => {
                json!({ "step": "pay", "reference": reference, "url": url })
            }
            NextStep::Transfer {
                reference,
                amount,
                bank,
            } => {
                json!({ "step": "transfer", "reference": reference, "amount": amount, "bank": bank })
            }
            NextStep::Confirming => json!({ "step": "confirming" }),
            NextStep::Wait(reason) => json!({ "step": "wait", "reason": reason }),
            NextStep::Open { until } => json!({ "step": "open", "until": until }),
            _ => json!({ "step": "ended" }),
        };
        Reply::Json(
            200,
            json!({
                "enrollment": enrolled.enrollment,
                "status": enrolled.status.map(|status| status.wire()),
                "next": next,
            }),
        )
    }

    pub async fn enroll_form(&self, user: &User, wish: &Wish) -> Reply {
        let User::Learner(learner) = user else {
            return Reply::Page(403, pages::problem("Sign in as a learner first."));
        };
        match self.wish(user, wish).await {
            Ok(Enrolled {
                next: NextStep::Pay { url, .. },
                ..
            }) => Reply::To(url),
            Ok(Enrolled {
                next:
                    NextStep::Transfer {
                        reference,
                        amount,
                        bank,
                    },
                ..
            }) => Reply::Page(
                200,
                pages::transfer(learner, &wish.course, &reference, amount, &bank),
            ),
            Ok(_) => Reply::To("/".to_owned()),
            Err(Reply::Json(status, body)) => Reply::Page(
                status,
                pages::problem(body["error"].as_str().unwrap_or("failed")),
            ),
            Err(reply) => reply,
        }
    }

    /// Where the provider sends the payer back to. The visit proves nothing: ask.
    pub async fn returned(&self, reference: &str, paid: bool) -> Reply {
        if let Ok(reference) = PaymentReference::new(reference) {
            // An error only means that the answer comes later, from the callback.
            let _ = self.registrar.refresh_payment(&reference).await;
        }
        // The page's script shows that the payment is being confirmed, until it is.
        Reply::To(if paid { "/?paid" } else { "/" }.to_owned())
    }

    /// May the learner open a lesson of this course?
    pub async fn access_json(&self, user: &User, course: &str) -> Reply {
        let (User::Learner(learner), Ok(course)) = (user, CourseId::new(course)) else {
            return problem(422, "sign in as a learner and name a course");
        };
        let question = AccessRequest::new(learner.clone(), course.clone(), ResourceKind::Lesson);
        let visitor = Visitor::new(learner.clone());
        let card = self.registrar.learner_card(Some(&visitor), &course).await;
        match (self.registrar.access(&question).await, card) {
            (Ok(access), Ok(card)) => Reply::Json(
                200,
                json!({ "access": access, "allowed": access.is_allowed(), "card": card }),
            ),
            (Err(error), _) | (_, Err(error)) => sorry(&error),
        }
    }

    pub async fn learner_page(&self, user: Option<&User>) -> Reply {
        let learner = match user {
            Some(User::Learner(learner)) => Some(learner),
            _ => None,
        };
        let visitor = learner.cloned().map(Visitor::new);
        let mut cards = Vec::new();
        for course in &COURSES {
            let Ok(id) = CourseId::new(course.id) else {
                continue;
            };
            match self.registrar.course_card(visitor.as_ref(), &id).await {
                Ok(card) => cards.push((course, card)),
                Err(error) => {
                    return sorry_page(&error);
                }
            }
        }
        Reply::Page(200, pages::learner(learner, &cards))
    }

    pub async fn lesson_page(&self, user: Option<&User>, course: &str) -> Reply {
        let (Some(User::Learner(learner)), Ok(course)) = (user, CourseId::new(course)) else {
            return Reply::Page(403, pages::problem("Sign in as a learner first."));
        };
        let question = AccessRequest::new(learner.clone(), course.clone(), ResourceKind::Lesson);
        match self.registrar.access(&question).await {
            Ok(coursegate::access::AccessDecision::Deny { reason }) => {
                Reply::Page(403, pages::problem(&reason.to_string()))
            }
            Ok(_) => Reply::Page(200, pages::lesson(learner, &course)),
            Err(error) => sorry_page(&error),
        }
    }

    /// A learner shows that they transferred the money.
    pub async fn proof_form(&self, user: &User, form: &Proof) -> Reply {
        let (User::Learner(learner), Ok(course)) = (user, CourseId::new(&form.course)) else {
            return Reply::Page(422, pages::problem("Sign in as a learner first."));
        };
        let proof = match ProofOfPayment::new(form.proof.trim()) {
            Ok(proof) => proof,
            Err(error) => return Reply::Page(422, pages::problem(&error.to_string())),
        };
        match self.registrar.attach_proof(learner, &course, proof).await {
            Ok(()) => Reply::To("/".to_owned()),
            Err(error) => sorry_page(&error),
        }
    }

    /// For a probe: how this installation does.
    pub async fn health_json(&self) -> Reply {
        let health = self.registrar.health().await;
        Reply::Json(health.http_status(), json!(health))
    }

    /// Numbers for Prometheus.
    pub fn metrics_text(&self) -> Reply {
        #[cfg(feature = "metrics")]
        let text = self.metrics.render();
        #[cfg(not(feature = "metrics"))]
        let text = "# Run the example with --features metrics.\n".to_owned();
        Reply::Text(text)
    }

    pub async fn pending_json(&self, user: &User) -> Reply {
        let User::Admin(person) = user else {
            return problem(403, "only admins may do this");
        };
        match self
            .registrar
            .admin(person.clone())
            .approvals()
            .pending(PageRequest::first(100))
            .await
        {
            Ok(page) => {
                let items: Vec<Value> = page
                    .items
                    .iter()
                    .map(|item| {
                        let attempt = item.attempts.last();
                        json!({
                            "enrollment": item.enrollment.id,
                            "course": item.enrollment.course,
                            "price": item.enrollment.price,
                            "status": item.enrollment.status,
                            "reference": attempt.map(|attempt| &attempt.reference),
                        })
                    })
                    .collect();
                Reply::Json(200, json!({ "items": items, "next": page.next }))
            }
            Err(error) => failed(&error),
        }
    }

    pub async fn explain_json(&self, user: &User, enrollment: &str) -> Reply {
        let User::Admin(person) = user else {
            return problem(403, "only admins may do this");
        };
        let Ok(enrollment) = enrollment.parse() else {
            return problem(422, "name an enrollment");
        };
        match self
            .registrar
            .admin(person.clone())
            .approvals()
            .explain(enrollment)
            .await
        {
            Ok(why) => Reply::Json(
                200,
                json!({
                    "status": why.case.enrollment.status, "attempts": why.case.attempts, "grants": why.case.grants,
                    "basis": why.basis, "contributions": why.contributions, "nearest_flip": why.nearest_flip,
                    "advice": why.advice, "history": why.history,
                }),
            ),
            Err(error) => failed(&error),
        }
    }

    pub async fn approve_json(&self, user: &User, wanted: &Approval) -> Reply {
        let User::Admin(person) = user else {
            return problem(403, "only admins may do this");
        };
        let admin = self.registrar.admin(person.clone());
        let items = match wanted.enrollments.as_slice() {
            [one] if !wanted.dry_run && !wanted.bulk => {
                match admin.approvals().approve(*one, wanted.note.as_str()).await {
                    Ok(status) => return Reply::Json(200, json!({ "status": status })),
                    Err(error) => return failed(&error),
                }
            }
            many => {
                admin
                    .approvals()
                    .approve_all(many, wanted.note.as_str(), wanted.dry_run)
                    .await
            }
        };
        Reply::Json(200, json!({ "items": items, "dry_run": wanted.dry_run }))
    }

    pub async fn reject_json(&self, user: &User, verdict: &Verdict) -> Reply {
        let User::Admin(person) = user else {
            return problem(403, "only admins may do this");
        };
        match self
            .registrar
            .admin(person.clone())
            .approvals()
            .reject(verdict.enrollment, verdict.reason.as_str())
            .await
        {
            Ok(status) => Reply::Json(200, json!({ "status": status })),
            Err(error) => failed(&error),
        }
    }

    pub async fn refund_json(&self, user: &User, refund: &Refund) -> Reply {
        let User::Admin(person) = user else {
            return problem(403, "only admins may do this");
        };
        match self
            .registrar
            .admin(person.clone())
            .refunds()
            .record(&refund.reference, refund.proof.as_str())
            .await
        {
            Ok(status) => Reply::Json(200, json!({ "status": status })),
            Err(error) => failed(&error),
        }
    }
}

/// What a learner is shown: what they can do now. The whole is for the log.
fn sorry_page(error: &Error) -> Reply {
    let (status, what) = for_learner(error);
    Reply::Page(status, pages::problem(what))
}

fn sorry(error: &Error) -> Reply {
    let (status, what) = for_learner(error);
    problem(status, what)
}

fn for_learner(error: &Error) -> (u16, &'static str) {
    tracing::warn!(
        error = error.in_full(),
        "a learner was told to wait or to ask"
    );
    (error.kind().http_status(), error.for_learner())
}

/// What an admin is shown: the whole of it.
pub(super) fn failed_page(error: &Error) -> Reply {
    Reply::Page(error.kind().http_status(), pages::problem(&error.in_full()))
}

fn failed(error: &Error) -> Reply {
    problem(error.kind().http_status(), &error.in_full())
}

pub fn problem(status: u16, what: &str) -> Reply {
    Reply::Json(status, json!({ "error": what }))
}
