use std::time::Duration;

use chrono::{DateTime, TimeZone, Utc};
use coursegate::access::{AccessDecision, AccessRequest, AccessTerms, ResourceKind, Visitor};
use coursegate::adapter::memory::{MemoryStore, RecordingPublisher, TestClock};
use coursegate::adapter::simulator::{Callback, Choice, Settings, Simulator, SimulatorGateway};
use coursegate::enrollment::{Case, Status};
use coursegate::payment::{Offer, PaymentMethod};
use coursegate::port::PaymentGateway;
use coursegate::reason::WithdrawReason;
use coursegate::registrar::{EnrollRequest, Enrolled, NextStep, Receipt, RegistrarBuilder};
use coursegate::statement::{RowId, StatementEntry, StatementRow};
use coursegate::store::{Lookup, PageRequest, RowFilter, Store};
use coursegate::webhook::{Delivery, Signer};
use coursegate::{
    AccountId, AdminId, AppId, BankDetails, Config, CourseId, Email, EnrollmentId, LearnerId,
    Money, PayLinkId, PaymentReference, Registrar, Secret, Site, Title,
};

pub const APP_ID: &str = "IKTESTAPPLICATION";
pub const SECRET: &str = "test-secret-0123456789abcdef";
pub const PATH: &str = "/payments/ikhokha";

pub fn start() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 1, 31, 9, 0, 0).unwrap()
}

pub fn config() -> Config {
    let site = Site {
        callback_url: format!("https://school.example{PATH}"),
        success_url: "https://school.example/paid/{reference}".into(),
        failure_url: "https://school.example/failed/{reference}".into(),
        cancel_url: Some("https://school.example/cancelled/{reference}".into()),
        requester_url: "https://school.example".into(),
    };
    let mut config = Config::new(
        AppId::new(APP_ID).unwrap(),
        Secret::new(SECRET).unwrap(),
        site,
    )
    .unwrap();
    // The clock stands still while hundreds of learners come: what is limited is tested apart.
    config.provider.links_per_second = 1_000_000;
    config.provider.callbacks_per_second = 1_000_000;
    config.bank(BankDetails {
        account_holder: "Test School".into(),
        bank: "Test Bank".into(),
        account_number: "000000001".into(),
        branch_code: "000001".into(),
    })
}

/// What came of a request that led to an enrollment.
#[derive(Debug, Clone, PartialEq)]
pub struct Enrollee {
    pub enrollment: EnrollmentId,
    pub status: Status,
    pub next: NextStep,
}

impl From<Enrolled> for Enrollee {
    fn from(enrolled: Enrolled) -> Self {
        Self {
            enrollment: enrolled.enrollment.expect("an enrollment"),
            status: enrolled.status.expect("a status"),
            next: enrolled.next,
        }
    }
}

/// A registrar on a memory store, with a simulated provider and a clock that stands still.
pub struct World {
    pub registrar: Registrar,
    pub simulator: Simulator,
    pub store: MemoryStore,
    pub clock: TestClock,
    pub publisher: RecordingPublisher,
}

impl World {
    pub fn new() -> Self {
        Self::with(Settings::new(1), config(), |builder| builder)
    }

    pub fn with(
        settings: Settings,
        config: Config,
        extend: impl FnOnce(RegistrarBuilder) -> RegistrarBuilder,
    ) -> Self {
        Self::made(settings, config, |simulator, builder| {
            extend(builder.gateway(simulator.gateway()))
        })
    }

    /// With a gateway around that of the simulator.
    pub fn with_gateway<G: PaymentGateway>(
        settings: Settings,
        config: Config,
        wrap: impl FnOnce(SimulatorGateway) -> G,
    ) -> Self {
        Self::made(settings, config, |simulator, builder| {
            builder.gateway(wrap(simulator.gateway()))
        })
    }

    fn made(
        settings: Settings,
        config: Config,
        extend: impl FnOnce(&Simulator, RegistrarBuilder) -> RegistrarBuilder,
    ) -> Self {
        let clock = TestClock::at(start());
        let (app_id, secret) = (AppId::new(APP_ID).unwrap(), Secret::new(SECRET).unwrap());
        let simulator = Simulator::with_clock(app_id, secret, settings, clock.clone());
        let store = MemoryStore::new();
        let publisher = RecordingPublisher::new();
        let builder = Registrar::builder(config, store.clone())
            .publisher(publisher.clone())
            .clock(clock.clone());
        let registrar = extend(&simulator, builder).build_for_tests().unwrap();
        Self {
            registrar,
            simulator,
            store,
            clock,
            publisher,
        }
    }

    pub async fn enroll(&self, name: &str, method: PaymentMethod) -> Enrollee {
        self.ask(request(name, method)).await
    }

    /// Enrolls, for who has nothing yet.
    pub async fn ask(&self, request: EnrollRequest) -> Enrollee {
        self.registrar.enroll(request).await.unwrap().into()
    }

    /// Enrolls and gives the attempt's reference and pay link.
    pub async fn attempt(
        &self,
        name: &str,
        method: PaymentMethod,
    ) -> (EnrollmentId, PaymentReference, PayLinkId) {
        let enrolled = self.enroll(name, method).await;
        let NextStep::Pay { reference, .. } = enrolled.next else {
            panic!("no pay link: {:?}", enrolled.next)
        };
        let case = self.case(enrolled.enrollment).await;
        let link = case
            .attempt(Some(reference.as_str()), None)
            .unwrap()
            .link
            .clone()
            .unwrap()
            .id;
        (enrolled.enrollment, reference, link)
    }

    pub async fn case(&self, id: EnrollmentId) -> Case {
        self.store
            .load(Lookup::Enrollment(id))
            .await
            .unwrap()
            .case
            .unwrap()
    }

    /// Pays on the provider's page and hands every due callback over.
    pub async fn pay(&self, link: &PayLinkId, choice: Choice) -> Vec<Receipt> {
        self.simulator.pay(link, choice).unwrap();
        self.deliver().await
    }

    pub async fn deliver(&self) -> Vec<Receipt> {
        let mut receipts = Vec::new();
        for callback in self.simulator.take_callbacks() {
            receipts.push(self.registrar.receive(delivery(&callback)).await);
        }
        receipts
    }

    pub async fn pass(&self) -> coursegate::registrar::Pass {
        self.registrar.worker().pass().await.unwrap()
    }

    /// May this learner open a lesson?
    pub async fn may_enter(&self, name: &str) -> bool {
        self.access(name).await.is_allowed()
    }

    pub async fn access(&self, name: &str) -> AccessDecision {
        let question = AccessRequest::new(learner(name), course(), ResourceKind::Lesson);
        self.registrar.access(&question).await.unwrap()
    }

    pub async fn receive(&self, body: &str) -> Receipt {
        self.registrar.receive(signed(body)).await
    }

    pub fn clock_now(&self) -> DateTime<Utc> {
        coursegate::port::Clock::now(&self.clock)
    }

    pub fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

pub fn request(name: &str, method: PaymentMethod) -> EnrollRequest {
    let email = if name.contains('@') {
        Email::new(name)
    } else {
        Email::new(format!("{name}@school.example"))
    };
    let email = email.unwrap();
    let title = Title::new("Thabo's first course").unwrap();
    EnrollRequest::new(learner(name), email, course(), title, price(), method)
}

pub fn learner(name: &str) -> LearnerId {
    LearnerId::new(name).unwrap()
}

/// Who looks at a page, and nothing is known about their request.
pub fn visitor(name: &str) -> Visitor {
    Visitor::new(learner(name))
}

pub fn withdrawn(why: WithdrawReason) -> Status {
    Status::Withdrawn { why }
}

/// The references of the payments that access rests on.
pub fn carrying(case: &Case) -> Vec<PaymentReference> {
    case.carrying().map(|it| it.reference.clone()).collect()
}

pub fn course() -> CourseId {
    CourseId::new("rust-101").unwrap()
}

pub fn price() -> Money {
    Money::zar(49_900).unwrap()
}

pub fn offer() -> Offer {
    Offer {
        price: price(),
        title: Title::new("Thabo's first course").unwrap(),
        terms: AccessTerms::default(),
    }
}

pub fn admin() -> AdminId {
    AdminId::new("nomsa").unwrap()
}

pub fn delivery(callback: &Callback) -> Delivery {
    Delivery::new(
        callback.path.clone(),
        callback.headers.clone(),
        callback.body.clone(),
    )
}

/// The provider's four fields, as it writes them.
pub fn body(link: &str, status: &str, reference: &str) -> String {
    format!(
        r#"{{"paylinkID":"{link}","status":"{status}","externalTransactionID":"{reference}","responseCode":"00"}}"#
    )
}

/// A callback with a right signature over these bytes.
pub fn signed(body: &str) -> Delivery {
    signed_bytes(body.as_bytes())
}

pub fn signed_bytes(body: &[u8]) -> Delivery {
    let signature = Signer::new(&Secret::new(SECRET).unwrap())
        .sign(PATH, body)
        .to_hex();
    with_signature(body, &signature)
}

pub fn with_signature(body: &[u8], signature: &str) -> Delivery {
    Delivery::new(
        PATH,
        [("IK-APPID", APP_ID), ("IK-SIGN", signature)],
        body.to_vec(),
    )
}

/// Reads for people of a store that is not asked for any: each gives what `$answer` gives.
macro_rules! events_by {
    ($store:ty, $this:ident => $answer:expr) => {
        events_by!($store, $this => $answer;
            pending(PageRequest<EnrollmentId>) -> Page<coursegate::store::PendingItem, EnrollmentId>;
            payment_exceptions(PageRequest<PaymentReference>) -> Page<coursegate::store::HeldPayment, PaymentReference>;
            discrepancies(PageRequest<DiscrepancyKey>) -> Page<Discrepancy, DiscrepancyKey>;
            discrepancy(&DiscrepancyKey) -> Option<Discrepancy>;
            cases(PageRequest<EnrollmentId>) -> Page<enrollment::Case, EnrollmentId>;
            loose_grants(PageRequest<GrantId>) -> Page<Grant, GrantId>;
            statement(coursegate::store::RowFilter, PageRequest<RowKey>) -> Page<StatementEntry, RowKey>;
            statement_rows(&[RowId]) -> Vec<StatementEntry>;
            rows_like(&[coursegate::store::RowProbe]) -> Vec<StatementEntry>;
            rows_paying(&[PaymentReference]) -> Vec<StatementEntry>;
            cases_of(&[PaymentReference]) -> Vec<enrollment::Case>;
            accounts() -> Vec<coursegate::AccountId>;
            timeline(EnrollmentId) -> Vec<event::Event>;
            unassigned(PageRequest<EventId>) -> Page<event::Event, EventId>;
            inbox(coursegate::store::InboxFilter, PageRequest<DeliveryKey>)
                -> Page<coursegate::store::InboxEntry, DeliveryKey>;
            payments(&coursegate::store::PaymentFilter, PageRequest<coursegate::store::PaymentKey>)
                -> Page<coursegate::store::PaymentItem, coursegate::store::PaymentKey>;
            days(coursegate::store::Period, Option<&CourseId>) -> Vec<coursegate::store::DayFigures>;
            courses(coursegate::store::Period, PageRequest<CourseId>) -> Page<coursegate::store::CourseFigures, CourseId>;
            audit_log(PageRequest<u64>) -> Page<event::audit_log::AuditLogEntry, u64>;
            missing_from_audit_log(chrono::DateTime<chrono::Utc>) -> u64;
            event(EventId) -> Option<event::Event>;
            notices(&coursegate::store::NoticeFilter, PageRequest<coursegate::store::NoticeKey>)
                -> Page<coursegate::store::AdminNotice, coursegate::store::NoticeKey>;
            preferences() -> Vec<coursegate::notice::Preferences>;
            learner(&LearnerId) -> coursegate::store::LearnerFile;
            received(EnrollmentId) -> coursegate::store::Received;
            delivery(&DeliveryKey) -> Option<coursegate::store::InboxEntry>;
        );
    };
    ($store:ty, $this:ident => $answer:expr;
        $($name:ident($($argument:ty),*) -> $given:ty;)*) => {
        const _: () = {
            #[allow(unused_imports)]
            use coursegate::port::{self};
            use coursegate::store::{Page, PageRequest};
            use coursegate::store::{StoreError};
            #[allow(unused_imports)]
            use coursegate::reconciliation::{Discrepancy, DiscrepancyKey};
            #[allow(unused_imports)]
            use coursegate::statement::{RowId, RowKey, StatementEntry};
            #[allow(unused_imports)]
            use coursegate::{CourseId, EnrollmentId, GrantId, LearnerId, EventId, PaymentReference};
            #[allow(unused_imports)]
            use coursegate::{access::Grant, enrollment, event, webhook::DeliveryKey};

            #[async_trait::async_trait]
            impl coursegate::store::Queries for $store {
                $(async fn $name(&self $(, _: $argument)*) -> Result<$given, StoreError> {
                    let $this = self;
                    let _ = $this;
                    $answer
                })*
            }
        };
    };
}
pub(crate) use events_by;

pub fn account() -> AccountId {
    AccountId::new("fnb-main").unwrap()
}

/// Imports a row, and gives its name.
pub async fn imported(registrar: &Registrar, row: StatementRow) -> RowId {
    let desk = registrar.admin(admin());
    let before: Vec<_> = open_rows(registrar).await;
    let rows = std::slice::from_ref(&row);
    let found = desk.statements().import(&account(), rows).await.unwrap();
    assert_eq!(found.added, 1, "{found:?}");
    let mut after = open_rows(registrar).await;
    after.retain(|entry| !before.contains(entry));
    after.remove(0).id
}

pub async fn open_rows(registrar: &Registrar) -> Vec<StatementEntry> {
    let desk = registrar.admin(admin());
    let statements = desk.statements();
    let page = statements.list(RowFilter::Open, PageRequest::first(500));
    page.await.unwrap().items
}
