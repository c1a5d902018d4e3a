//! Every rule with a case that breaks it and one that does not, and the only way to a
//! registrar for real money.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use coursegate::adapter::memory::{MemoryStore, TestClock};
use coursegate::adapter::simulator::{Settings, Simulator};
use coursegate::detect::{
    Condition, Fallback, Operand, Rule as DetectionRule, RuleDetector, RuleSet,
};
use coursegate::evidence::Confirmation;
use coursegate::monitor::{Alert, AlertRoute, AlertSeverity};
use coursegate::payment::{PayLink, PaymentMethod};
use coursegate::port::{
    AlertSink, Capabilities, ChannelError, GatewayError, LinkRequest, Message, NotificationChannel,
    PaymentGateway, StatusQuery, WebError, WebProbe,
};
use coursegate::readiness::{self, Category, FindingLevel, LiveCheck, ReadinessRule, Report};
use coursegate::registrar::{BuildError, NotReady, Outcome, RegistrarBuilder};
use coursegate::store::{
    Claim, CommitOutcome, Loaded, Lookup, Queries, Settlement, Store, StoreError, StoreReport, Work,
};
use coursegate::webhook::Delivery;
use coursegate::{
    AppId, ChannelName, Config, CourseId, Environment, LearnerId, OnUnverified, Registrar, Secret,
};

use crate::configuration::{environment, good};
use crate::support::{self, events_by, start};

fn config() -> Config {
    Config::from_environment(&environment(&good())).unwrap()
}

fn rules(report: &Report) -> BTreeSet<ReadinessRule> {
    report.findings.iter().map(|finding| finding.rule).collect()
}

/// A store that is real as far as it says, and says what it is told to.
#[derive(Debug, Clone)]
pub struct Shelf {
    inner: MemoryStore,
    says: Result<StoreReport, StoreError>,
}

impl Shelf {
    pub fn new() -> Self {
        Self {
            inner: MemoryStore::new(),
            says: Ok(StoreReport::default()),
        }
    }

    pub fn saying(says: Result<StoreReport, StoreError>) -> Self {
        Self {
            says,
            ..Self::new()
        }
    }
}

#[async_trait::async_trait]
impl Store for Shelf {
    async fn append_audit_log(
        &self,
        since: Option<chrono::DateTime<chrono::Utc>>,
        most: usize,
    ) -> Result<usize, StoreError> {
        self.inner.append_audit_log(since, most).await
    }

    async fn load(&self, lookup: Lookup<'_>) -> Result<Loaded, StoreError> {
        self.inner.load(lookup).await
    }

    async fn commit(&self, change: coursegate::store::Change) -> Result<CommitOutcome, StoreError> {
        self.inner.commit(change).await
    }

    async fn grants(
        &self,
        learner: &LearnerId,
        course: &CourseId,
    ) -> Result<Vec<coursegate::access::Grant>, StoreError> {
        self.inner.grants(learner, course).await
    }

    async fn claim(&self, claim: Claim) -> Result<Vec<Work>, StoreError> {
        self.inner.claim(claim).await
    }

    async fn settle(&self, settlements: &[Settlement]) -> Result<(), StoreError> {
        self.inner.settle(settlements).await
    }

    async fn share(
        &self,
        share: coursegate::store::Share<'_>,
    ) -> Result<coursegate::store::Shared, StoreError> {
        self.inner.share(share).await
    }
    async fn purge(
        &self,
        purge: coursegate::store::Purge<'_>,
    ) -> Result<coursegate::store::Purged, StoreError> {
        self.inner.purge(purge).await
    }
    async fn inspect(&self) -> Result<StoreReport, StoreError> {
        self.says.clone()
    }

    fn is_test_double(&self) -> bool {
        false
    }
}

events_by!(Shelf, this => Err(StoreError::Unavailable(format!("{:?} has no lists", this.inner))));

/// A provider that is real as far as it says.
#[derive(Debug)]
pub struct Bank(Mutex<Result<(), GatewayError>>);

impl Bank {
    fn new() -> Self {
        Self(Mutex::new(Ok(())))
    }

    pub fn failing(error: GatewayError) -> Self {
        Self(Mutex::new(Err(error)))
    }
}

#[async_trait::async_trait]
impl PaymentGateway for Bank {
    fn capabilities(&self) -> Capabilities {
        Capabilities::ikhokha()
    }

    async fn create_link(&self, _: &LinkRequest) -> Result<PayLink, GatewayError> {
        Err(GatewayError::Unreachable)
    }

    async fn status(&self, query: StatusQuery<'_>) -> Result<Option<Confirmation>, GatewayError> {
        assert!(
            matches!(query, StatusQuery::Reference(_)),
            "no payment of anybody is asked about"
        );
        self.0.lock().unwrap().clone().map(|()| None)
    }

    async fn history(
        &self,
        _: chrono::NaiveDate,
        _: chrono::NaiveDate,
    ) -> Result<coursegate::port::History, GatewayError> {
        Err(GatewayError::NotSupported)
    }

    async fn refund(&self, _: &coursegate::port::RefundRequest) -> Result<(), GatewayError> {
        Err(GatewayError::NotSupported)
    }
}

#[async_trait::async_trait]
impl AlertSink for Silence {
    async fn alert(&self, _: &Alert) -> Result<(), ChannelError> {
        Ok(())
    }
}

#[async_trait::async_trait]
impl NotificationChannel for Silence {
    fn reaches_learners(&self) -> bool {
        false
    }

    fn name(&self) -> ChannelName {
        ChannelName::new("mail").unwrap()
    }

    async fn send(&self, _: &Message) -> Result<(), ChannelError> {
        Ok(())
    }
}

/// A builder whose numbers, alerts and notices somebody hears.
fn heard(config: Config, store: impl Store + Queries) -> RegistrarBuilder {
    crate::metrics::handle();
    Registrar::builder(config, store)
        .alert_sink("pager", AlertRoute::everything(), Silence)
        .channel(Silence)
}

pub fn builder(config: Config) -> RegistrarBuilder {
    heard(config, Shelf::new())
        .gateway(Bank::new())
        .publisher(Silence)
        .permissions(everything)
}

fn everything(_: &coursegate::AdminId, _: coursegate::reason::Permission) -> bool {
    true
}

#[derive(Debug)]
struct Silence;

#[async_trait::async_trait]
impl coursegate::port::EventPublisher for Silence {
    async fn publish(
        &self,
        _: &coursegate::event::Event,
    ) -> Result<(), coursegate::port::PublishError> {
        Ok(())
    }

    fn is_test_double(&self) -> bool {
        false
    }
}

const BOTH: [LiveCheck; 2] = [LiveCheck::Store, LiveCheck::Provider];

/// What is true of a good installation: nothing stands in the way.
const ALWAYS: [ReadinessRule; 9] = [
    ReadinessRule::SecretAgeUnknown,
    ReadinessRule::BodiesPlain,
    ReadinessRule::BodiesForever,
    ReadinessRule::SecretShared,
    ReadinessRule::BankMissing,
    ReadinessRule::BeforeDeployment,
    ReadinessRule::DuringDeployment,
    ReadinessRule::AfterDeployment,
    ReadinessRule::Rollback,
];

/// The rules that these variables break, beyond what is always said.
pub fn broken(changes: &[(&'static str, &str)]) -> BTreeSet<ReadinessRule> {
    let mut variables = good();
    for (name, value) in changes {
        variables.insert(name, (*value).to_owned());
    }
    let environment = environment(&variables);
    let report = match Config::from_environment(&environment) {
        Ok(config) => readiness::check(&config, &environment),
        Err(error) => readiness::unusable(&error, &environment),
    };
    let always = BTreeSet::from(ALWAYS);
    rules(&report).difference(&always).copied().collect()
}

#[test]
fn rules_about_settings_and_variables() {
    assert_eq!(broken(&[]), BTreeSet::new());
    let secret = "IKHOKHA_APP_SECRET";
    // Made up.
    let key = "march=f842934d5db39e743027c948ceb9011303e146bd8b30acad5dad7968e148b4f1";
    let uniform = "march=0101010101010101010101010101010101010101010101010101010101010101";
    let cases: &[(&[(&'static str, &str)], ReadinessRule)] = &[
        (
            &[(secret, "ThisIsNoRealKeyButOn12")],
            ReadinessRule::SecretShort,
        ),
        (
            &[(secret, "aB1aB1aB1aB1aB1aB1aB1aB1aB1aB1aB")],
            ReadinessRule::SecretUniform,
        ),
        (
            &[(secret, "test-secret-9s0m2kf7x1q4zt8vbdpw")],
            ReadinessRule::SecretPlaceholder,
        ),
        (
            &[(secret, "your-NoRealKeyButOnlyForReadiness")],
            ReadinessRule::SecretPlaceholder,
        ),
        (
            &[(secret, "CHANGEMENoRealKeyButOnlyForAll12")],
            ReadinessRule::SecretPlaceholder,
        ),
        (
            &[(secret, "ThisIsNoRealKeyButOnlyForTesting!")],
            ReadinessRule::SecretShape,
        ),
        (
            &[("IKHOKHA_APP_ID", "IKTESTAPPLICATION")],
            ReadinessRule::SecretPlaceholder,
        ),
        (&[("IKHOKHA_APP_ID", "IK7QX4")], ReadinessRule::AppIdShape),
        (
            &[(
                "IKHOKHA_WEBHOOK_SECRETS",
                "old=AnotherMadeUpKeyNobodyEverUsed12",
            )],
            ReadinessRule::SecretsOverlap,
        ),
        (
            &[("COURSEGATE_RETRIES", "many")],
            ReadinessRule::SettingWrong,
        ),
        (
            &[("VITE_PAYMENT_KEY", "ThisIsNoRealKeyButOnlyForTesting")],
            ReadinessRule::SecretExposed,
        ),
        (
            &[("NEXT_PUBLIC_IKHOKHA_SECRET", "whatever")],
            ReadinessRule::SecretExposed,
        ),
        (
            &[("REACT_APP_X", " ThisIsNoRealKeyButOnlyForTesting ")],
            ReadinessRule::SecretExposed,
        ),
        (
            &[("PUBLIC_X", "ThisIsNoRealKeyButOnlyForTesting")],
            ReadinessRule::SecretExposed,
        ),
        (&[("COURSEGATE_MODE", "test")], ReadinessRule::TestMode),
        (&[("COURSEGATE_RETRIES", " 3")], ReadinessRule::ValuePadded),
        (
            &[("COURSEGATE_RETRYS", "3")],
            ReadinessRule::VariableUnknown,
        ),
        (
            &[("COURSEGATE_CALLBACK_URL", "http://pay.school.co.za/hook")],
            ReadinessRule::PlainHttp,
        ),
        (
            &[("COURSEGATE_CANCEL_URL", "http://school.co.za/cancelled")],
            ReadinessRule::PlainHttp,
        ),
        (
            &[("IKHOKHA_API_URL", "https://api.ikhokha.com.evil.example/v1")],
            ReadinessRule::ApiHostOther,
        ),
        (
            &[("IKHOKHA_API_URL", "https://evil.example/api.ikhokha.com")],
            ReadinessRule::ApiHostOther,
        ),
        (
            &[("IKHOKHA_API_URL", "https://xapi.ikhokha.com/v1")],
            ReadinessRule::ApiHostOther,
        ),
        (
            &[("IKHOKHA_API_URL", "https://api.ikhokha.com")],
            ReadinessRule::ApiPathOther,
        ),
        (
            &[(
                "IKHOKHA_API_URL",
                "https://api.ikhokha.com/public-api/v1/api/payment",
            )],
            ReadinessRule::ApiPathOther,
        ),
        (
            &[("COURSEGATE_CALLBACK_URL", "https://localhost/hook")],
            ReadinessRule::CallbackNotPublic,
        ),
        (
            &[("COURSEGATE_CALLBACK_URL", "https://10.0.0.7:8443/hook")],
            ReadinessRule::CallbackNotPublic,
        ),
        (
            &[("COURSEGATE_CALLBACK_URL", "https://[fd00::1]/hook")],
            ReadinessRule::CallbackNotPublic,
        ),
        (
            &[("COURSEGATE_CALLBACK_URL", "https://school.internal./hook")],
            ReadinessRule::CallbackNotPublic,
        ),
        (
            &[("COURSEGATE_CALLBACK_URL", "https://school/hook")],
            ReadinessRule::CallbackNotPublic,
        ),
        (
            &[(
                "COURSEGATE_SUCCESS_URL",
                "https://evilschool.co.za/{reference}",
            )],
            ReadinessRule::PageElsewhere,
        ),
        (
            &[("COURSEGATE_FAILURE_URL", "https://school.co.za.evil.org/x")],
            ReadinessRule::PageElsewhere,
        ),
        (
            &[("COURSEGATE_ON_UNVERIFIED", "ask_provider")],
            ReadinessRule::UnverifiedAsks,
        ),
        (
            &[("COURSEGATE_MINIMUM_EVIDENCE", "signed")],
            ReadinessRule::SignatureAlone,
        ),
        (
            &[("COURSEGATE_TIMEOUT_MS", "5000")],
            ReadinessRule::TimeoutOdd,
        ),
        (
            &[("COURSEGATE_TIMEOUT_MS", "90000")],
            ReadinessRule::TimeoutOdd,
        ),
        (
            &[("COURSEGATE_DEADLINE_MS", "20000")],
            ReadinessRule::DeadlineLong,
        ),
        (&[("COURSEGATE_RETRIES", "0")], ReadinessRule::RetriesOff),
        (
            &[("COURSEGATE_MAX_BODY_BYTES", "1048576")],
            ReadinessRule::BodyLarge,
        ),
        (
            &[("COURSEGATE_RECONCILE_EVERY_HOURS", "0")],
            ReadinessRule::ReconciliationOff,
        ),
        (
            &[("COURSEGATE_SYNC_HISTORY_EVERY_HOURS", "0")],
            ReadinessRule::HistorySyncOff,
        ),
        (
            &[("COURSEGATE_BODY_KEYS", uniform)],
            ReadinessRule::BodyKeyUniform,
        ),
        (
            &[("VITE_COURSEGATE_BODY_KEYS", "whatever")],
            ReadinessRule::SecretExposed,
        ),
    ];
    for (changes, rule) in cases {
        assert_eq!(broken(changes), BTreeSet::from([*rule]), "{changes:?}");
    }
    // The same, as it should be.
    for changes in [
        [(
            "COURSEGATE_CALLBACK_URL",
            "https://pay.school.co.za:8443/hook",
        )],
        [("COURSEGATE_CALLBACK_URL", "https://41.0.0.1/hook")],
        [(
            "COURSEGATE_SUCCESS_URL",
            "https://www.school.co.za/{reference}",
        )],
        [(
            "IKHOKHA_API_URL",
            "https://API.ikhokha.com:443/public-api/v1/api/",
        )],
        [("VITE_APP_ID", "IKMADEUPAPPLICATIONFORREADINESS1")],
        [("PATH", "/usr/bin ")],
        [("COURSEGATE_BODY_KEYS", key)],
        [("COURSEGATE_KEEP_BODIES_DAYS", "400")],
        [("IKHOKHA_APP_SECRET_SINCE", "2999-01-31")],
    ] {
        assert_eq!(broken(&changes), BTreeSet::new(), "{changes:?}");
    }
    // A callback address that the program itself set.
    let mut odd = config();
    odd.site.callback_url.push_str("?course=7");
    assert!(readiness::check(&odd, &Environment::default()).has(ReadinessRule::CallbackWithQuery));
    // Hints that go away.
    let mut variables = good();
    variables.insert("COURSEGATE_BODY_KEYS", key.to_owned());
    variables.insert("COURSEGATE_KEEP_BODIES_DAYS", "400".to_owned());
    let environment = environment(&variables);
    let private = Config::from_environment(&environment).unwrap();
    let report = readiness::check(&private, &environment);
    assert!(!report.has(ReadinessRule::BodiesPlain) && !report.has(ReadinessRule::BodiesForever));
    // Bank details make the hint go away.
    let banked = config().bank(coursegate::BankDetails {
        account_holder: "School".into(),
        bank: "Bank".into(),
        account_number: "1".into(),
        branch_code: "1".into(),
    });
    assert!(!readiness::check(&banked, &Environment::default()).has(ReadinessRule::BankMissing));
}

#[tokio::test]
async fn a_report_says_how_long_each_answer_took() {
    let report = builder(config()).probe(&environment(&good()), &BOTH).await;
    let asked: Vec<LiveCheck> = report.probes.iter().map(|it| it.probe).collect();
    assert_eq!(asked, BOTH);
    assert!(
        report
            .probes
            .iter()
            .all(|it| (0..10_000).contains(&it.millis))
    );
    assert_eq!(report.version, env!("CARGO_PKG_VERSION"));
    assert!((chrono::Utc::now() - report.made_at).num_seconds() < 60);
    assert!(report.to_string().contains("the store took "));
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(
        (&json["mode"], &json["probes"][0]["probe"]),
        (&"live".into(), &"store".into())
    );
    let unasked = builder(config()).check(&environment(&good()));
    assert!(unasked.probes.is_empty());
}

#[test]
fn a_variable_that_was_mistyped_is_named_as_it_should_be() {
    for (name, meant) in [
        ("COURSEGATE_RETRYS", "COURSEGATE_RETRIES"),
        ("IKHOKHA_APP_SECRETT", "IKHOKHA_APP_SECRET"),
        // The names that people use.
        ("IKHOKHA_API_KEY", "IKHOKHA_APP_ID"),
        ("IKHOKHA_APP_KEY", "IKHOKHA_APP_ID"),
        ("IKHOKHA_KEY", "IKHOKHA_APP_ID"),
        ("IKHOKHA_LIVE_APPLICATION_KEY_ID", "IKHOKHA_APP_ID"),
        ("IKHOKHA_API_SECRET", "IKHOKHA_APP_SECRET"),
        ("IKHOKHA_SECRET", "IKHOKHA_APP_SECRET"),
        ("IKHOKHA_WEBHOOK_SECRET", "IKHOKHA_WEBHOOK_SECRETS"),
        ("IKHOKHA_SIGNING_SECRET", "IKHOKHA_APP_SECRET"),
        ("COURSEGATE_APP_SECRET", "IKHOKHA_APP_SECRET"),
        ("IKHOKHA_BASE_URL", "IKHOKHA_API_URL"),
        ("IKHOKHA_ENDPOINT", "IKHOKHA_API_URL"),
        ("IKHOKHA_CALLBACK_URL", "COURSEGATE_CALLBACK_URL"),
        ("COURSEGATE_WEBHOOK_URL", "COURSEGATE_CALLBACK_URL"),
        ("COURSEGATE_RETURN_URL", "COURSEGATE_SUCCESS_URL"),
        ("IKHOKHA_FAIL_URL", "COURSEGATE_FAILURE_URL"),
        ("COURSEGATE_REQUESTER_URL", "COURSEGATE_SITE_URL"),
        ("IKHOKHA_ENVIRONMENT", "COURSEGATE_MODE"),
    ] {
        let mut variables = good();
        variables.insert(name, "3".to_owned());
        let environment = environment(&variables);
        let config = Config::from_environment(&environment).unwrap();
        let report = readiness::check(&config, &environment);
        let mut findings = report.findings.iter();
        let finding = findings.find(|finding| finding.rule == ReadinessRule::VariableUnknown);
        assert_eq!(finding.unwrap().remedy, format!("Did you mean {meant}?"));
    }
    // Nobody can tell.
    let unknown = broken(&[("IKHOKHA_COLOUR_OF_BUTTONS", "blue")]);
    assert_eq!(unknown, BTreeSet::from([ReadinessRule::VariableUnknown]));
    // Those of other programs are none of ours.
    for name in ["APP_KEY", "APP_ID", "BASE_URL", "IK_APP_ID", "ENV"] {
        assert_eq!(broken(&[(name, "3")]), BTreeSet::new(), "{name}");
    }
}

/// What is not set may stand under another name.
#[test]
fn a_setting_under_another_name_is_found() {
    for (setting, name) in [
        ("IKHOKHA_APP_ID", "IKHOKHA_API_KEY"),
        ("IKHOKHA_APP_ID", "IK_APP_ID"),
        ("IKHOKHA_APP_ID", "APP_KEY"),
        ("IKHOKHA_APP_ID", "ik_appid"),
        ("IKHOKHA_APP_SECRET", "IK_APP_SECRET"),
        ("IKHOKHA_APP_SECRET", "APP_SECRET"),
        ("COURSEGATE_CALLBACK_URL", "WEBHOOK_URL"),
        ("COURSEGATE_SUCCESS_URL", "IK_PAYMENT_SUCCESS_URL"),
        ("COURSEGATE_SITE_URL", "APP_URL"),
    ] {
        let mut variables = good();
        let value = variables.remove(setting).unwrap();
        variables.insert(name, value.clone());
        let environment = environment(&variables);
        let error = Config::from_environment(&environment).unwrap_err();
        let report = readiness::unusable(&error, &environment);
        let mut findings = report.findings.iter();
        let wrong = findings.find(|finding| finding.rule == ReadinessRule::SettingWrong);
        let said = format!("{name} is set: if that is what you mean, call it {setting}.");
        let remedy = &wrong.unwrap().remedy;
        assert!(remedy.ends_with(&said), "{remedy}");
        assert!(error.to_string().contains(&said) && !report.to_string().contains(&value));
    }
    // Of another program, or of no use.
    for (name, value) in [("KEY", "x"), ("PATH", "/bin"), ("APP_KEY", " ")] {
        let mut variables = good();
        variables.remove("IKHOKHA_APP_ID");
        variables.insert(name, value.to_owned());
        let error = Config::from_environment(&environment(&variables)).unwrap_err();
        assert!(!error.to_string().contains("is set: if"), "{error}");
    }
    let file = serde_json::from_str::<Config>(r#"{"api_key":"x"}"#).unwrap_err();
    assert!(file.to_string().contains("did you mean app_id?"), "{file}");
}

#[test]
fn addresses_are_read_as_the_provider_reads_them() {
    let callback = |url: String| broken(&[("COURSEGATE_CALLBACK_URL", url.as_str())]);
    let of_host = |host: &str| callback(format!("https://{host}/hook"));
    let one = |rule| BTreeSet::from([rule]);
    // However it is written, it is an address that nobody outside can reach.
    for host in [
        "127.1",
        "127.0.0.1.",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "10.0.0.1.",
        "10.1",
        "0",
        "0.0.0.0",
        "100.64.0.1",
        "169.254.169.254",
        "172.16.5.5",
        "192.0.0.8",
        "192.0.2.7",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.51.100.9",
        "203.0.113.9",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "[::]",
        "[::1]",
        "[::ffff:10.0.0.1]",
        "[::127.0.0.1]",
        "[64:ff9b::a00:1]",
        "[64:ff9b:1::1]",
        "[100::1]",
        "[2001::1]",
        "[2001:db8::1]",
        "[2002:a00:1::1]",
        "[3fff::1]",
        "[fc00::1]",
        "[fd12:3456::1]",
        "[fe80::1]",
        "[fec0::1]",
        "[ff02::1]",
        "school",
        "localhost",
        "LOCALHOST.",
        "api.localhost",
        "printer.local",
        "shop.internal",
        "school.test",
        "school.example",
        "router.home.arpa",
        "localtest.me",
        "school.localtest.me",
        "10.0.0.1.nip.io",
        "lvh.me",
    ] {
        assert_eq!(
            of_host(host),
            one(ReadinessRule::CallbackNotPublic),
            "{host}"
        );
    }
    for host in ["example.com", "pay.example.org", "EXAMPLE.NET."] {
        assert_eq!(of_host(host), one(ReadinessRule::AddressExample), "{host}");
    }
    for host in [
        "abc.ngrok-free.app",
        "x.trycloudflare.com",
        "y.loca.lt",
        "abc.lhr.life",
        "abc.euw.devtunnels.ms",
    ] {
        assert_eq!(of_host(host), one(ReadinessRule::AddressTunnel), "{host}");
    }
    for host in [
        "school.co.za",
        "SCHOOL.co.za.",
        "pay.school.co.za:8443",
        "41.0.0.1",
        "[2001:4860:4860::8888]",
        "[64:ff9b::2900:1]",
        "xn--schl-5qa.example.co.za",
        "notexample.com",
        "myngrok.io.co.za",
    ] {
        assert_eq!(of_host(host), BTreeSet::new(), "{host}");
    }
    for path in [
        "//hook", "/a//b", "/a/..//b", "/h|k/{x}", "/O'Brien", "/h^k", "/[a]", "/100%", "/%zz",
    ] {
        let found = callback(format!("https://school.co.za{path}"));
        assert_eq!(found, one(ReadinessRule::CallbackPathOdd), "{path}");
    }
    for path in [
        "/a/../b",
        "/./hook",
        "/hook/%2e%2e/x",
        "/h\"ook",
        "/h{k}",
        "/a b",
        "/caf\u{e9}/hook",
    ] {
        let found = callback(format!("https://school.co.za{path}"));
        assert_eq!(found, one(ReadinessRule::CallbackPathRewritten), "{path}");
    }
    for path in [
        "/hook",
        "/hook/",
        "/pay/ikhokha-1",
        "/a%20b",
        "/caf%C3%A9/hook",
        "/a:b/c+d@e",
        "/~a/b_c.d",
        "/",
    ] {
        let found = callback(format!("https://school.co.za{path}"));
        assert_eq!(found, BTreeSet::new(), "{path}");
    }
    // Nobody can go there.
    let nowhere = callback("https://school.co.za:0/hook".to_owned());
    assert_eq!(nowhere, one(ReadinessRule::AddressUnreadable));
    for url in ["https://school.co.za:99999/hook", "https://1.2.3.999/x"] {
        assert_eq!(
            callback(url.to_owned()),
            one(ReadinessRule::SettingWrong),
            "{url}"
        );
        let mut set_by_the_program = config();
        set_by_the_program.site.callback_url = url.to_owned();
        let report = readiness::check(&set_by_the_program, &Environment::default());
        assert!(report.has(ReadinessRule::AddressUnreadable), "{url}");
    }
    let success = |url| broken(&[("COURSEGATE_SUCCESS_URL", url)]);
    assert_eq!(
        success("https://school.co.za/paid"),
        one(ReadinessRule::PageWithoutReference)
    );
    assert_eq!(
        success("https://other.co.za/{reference}"),
        one(ReadinessRule::PageElsewhere)
    );
    assert_eq!(
        success("https://SCHOOL.co.za:443/{reference}"),
        BTreeSet::new()
    );
}

#[tokio::test]
async fn rules_about_parts() {
    let environment = environment(&good());
    let found = |builder: &RegistrarBuilder| {
        let report = builder.check(&environment);
        let always = BTreeSet::from(ALWAYS);
        let mut rules = rules(&report);
        // This provider tells no method, and without one there is nobody to tell.
        rules.remove(&ReadinessRule::MethodDeclared);
        rules.difference(&always).copied().collect::<BTreeSet<_>>()
    };
    assert_eq!(
        found(&builder(config())),
        BTreeSet::from([ReadinessRule::NotProbed])
    );
    assert!(
        builder(config())
            .check(&environment)
            .has(ReadinessRule::MethodDeclared)
    );
    let report = builder(config()).probe(&environment, &BOTH).await;
    assert!(
        report.ready && !report.has(ReadinessRule::NotProbed),
        "{report}"
    );

    let with = |rule| BTreeSet::from([rule, ReadinessRule::NotProbed]);
    let bare = heard(config(), Shelf::new())
        .publisher(Silence)
        .permissions(everything);
    assert_eq!(found(&bare), with(ReadinessRule::GatewayMissing));
    let silent = heard(config(), Shelf::new())
        .gateway(Bank::new())
        .permissions(everything);
    assert_eq!(found(&silent), with(ReadinessRule::PublisherMissing));
    let rootless = heard(config(), Shelf::new())
        .gateway(Bank::new())
        .publisher(Silence);
    assert_eq!(found(&rootless), with(ReadinessRule::RolesMissing));
    let unheard = Registrar::builder(config(), Shelf::new())
        .gateway(Bank::new())
        .publisher(Silence)
        .permissions(everything);
    assert_eq!(
        found(&unheard),
        BTreeSet::from([
            ReadinessRule::AlertsUnheard,
            ReadinessRule::ChannelMissing,
            ReadinessRule::NotProbed
        ])
    );
    // Whoever is told of floods alone is not told that payments fail.
    for (route, unheard) in [
        (AlertRoute::severities([AlertSeverity::Critical]), None),
        (
            AlertRoute::severities([AlertSeverity::Critical]).only_escalated(),
            None,
        ),
        (
            AlertRoute::severities([AlertSeverity::Warning]).and_rule("payment_failures"),
            Some("webhook_failures"),
        ),
        (
            AlertRoute::severities([AlertSeverity::Business]),
            Some("payment_failures"),
        ),
    ] {
        let report = Registrar::builder(config(), Shelf::new())
            .alert_sink("pager", route, Silence)
            .check(&environment);
        let mut findings = report.findings.iter();
        let finding = findings.find(|finding| finding.rule == ReadinessRule::AlertsUnheard);
        assert_eq!(finding.is_some(), unheard.is_some(), "{unheard:?}");
        let (said, rule) = (finding.map(ToString::to_string), unheard);
        let names_it = said
            .zip(rule)
            .is_none_or(|(said, rule)| said.contains(rule));
        assert!(names_it, "{unheard:?}");
    }
    #[cfg(feature = "metrics")]
    ::metrics::with_local_recorder(&::metrics::NoopRecorder, || {
        assert_eq!(found(&builder(config())), with(ReadinessRule::MetricsOff));
    });
    for double in [
        heard(config(), MemoryStore::new())
            .gateway(Bank::new())
            .permissions(everything)
            .publisher(Silence),
        builder(config()).clock(TestClock::at(start())),
        builder(config()).publisher(coursegate::adapter::memory::RecordingPublisher::new()),
        builder(config()).gateway(simulator().gateway()),
    ] {
        assert_eq!(found(&double), with(ReadinessRule::TestDouble));
    }

    let mut rules = RuleSet::standard();
    rules.rules.retain(|rule| rule.field.starts_with('@'));
    rules.fallback = Fallback::AssumeCard;
    let assumes = builder(config()).detector(RuleDetector::new(rules.clone()).unwrap());
    assert_eq!(found(&assumes), with(ReadinessRule::UnknownApproved));
    rules.fallback = Fallback::ManualApproval;
    let holds = builder(config()).detector(RuleDetector::new(rules.clone()).unwrap());
    assert_eq!(found(&holds), BTreeSet::from([ReadinessRule::NotProbed]));
    let reads = |field: &str| {
        let mut rules = rules.clone();
        rules.rules.push(DetectionRule {
            id: "brand".to_owned(),
            method: PaymentMethod::Card,
            field: field.to_owned(),
            condition: Condition::Equals,
            value: Some(Operand::Text("00".to_owned())),
            weight: 0.5,
            ..rules.rules[0].clone()
        });
        builder(config()).detector(RuleDetector::new(rules).unwrap())
    };
    assert_eq!(found(&reads("cardBrand")), with(ReadinessRule::RuleDead));
    assert_eq!(
        found(&reads("responseCode")),
        BTreeSet::from([ReadinessRule::NotProbed])
    );
}

fn simulator() -> Simulator {
    let secret = Secret::new(support::SECRET).unwrap();
    Simulator::new(
        AppId::new(support::APP_ID).unwrap(),
        secret,
        Settings::new(1),
    )
}

#[tokio::test]
async fn probes_of_the_store_and_the_provider() {
    let environment = environment(&good());
    let now = chrono::Utc::now();
    let clock = |apart: i64| {
        Ok(StoreReport {
            now: Some(now + chrono::Duration::seconds(apart)),
            ..StoreReport::default()
        })
    };
    let defects = vec!["constraint one_grant_per_payment is missing".to_owned()];
    let lacking = Ok(StoreReport {
        defects,
        ..StoreReport::default()
    });
    // The key that callbacks wait for was dropped too early.
    let locked = Ok(StoreReport {
        body_keys: vec!["march".to_owned()],
        ..StoreReport::default()
    });
    let stores = [
        (clock(0), None),
        (clock(30), Some(ReadinessRule::ClockSkewed)),
        (clock(-30), Some(ReadinessRule::ClockSkewed)),
        (clock(-90), Some(ReadinessRule::ClockWrong)),
        (lacking, Some(ReadinessRule::StoreDefective)),
        (locked.clone(), Some(ReadinessRule::BodyKeyMissing)),
        (
            Err(StoreError::Unavailable("down".into())),
            Some(ReadinessRule::StoreUnreachable),
        ),
        (
            Err(StoreError::Unusable("no schema".into())),
            Some(ReadinessRule::StoreDefective),
        ),
    ];
    let always: BTreeSet<ReadinessRule> = ALWAYS.into();
    let answers = BTreeSet::from([
        ReadinessRule::ProviderAnswers,
        ReadinessRule::MethodDeclared,
    ]);
    for (says, rule) in stores {
        let builder = heard(config(), Shelf::saying(says.clone()))
            .gateway(Bank::new())
            .permissions(everything)
            .publisher(Silence);
        let report = builder.probe(&environment, &BOTH).await;
        let found: BTreeSet<ReadinessRule> = rules(&report).difference(&always).copied().collect();
        let found: BTreeSet<ReadinessRule> = found.difference(&answers).copied().collect();
        assert_eq!(found, rule.into_iter().collect(), "{says:?}");
    }
    let mut with_key = config();
    let key = Secret::new(format!("{:064x}", 7)).unwrap();
    let keys = coursegate::webhook::BodyKeys::default().and("march", &key);
    with_key.body_keys = keys.unwrap();
    let report = Registrar::builder(with_key, Shelf::saying(locked))
        .probe(&environment, &[LiveCheck::Store])
        .await;
    assert!(!report.has(ReadinessRule::BodyKeyMissing));
    let refused = GatewayError::Refused {
        reason: "HTTP 401".to_owned(),
    };
    for (error, rule) in [
        (GatewayError::BadCredentials, ReadinessRule::ProviderRefuses),
        (refused, ReadinessRule::ProviderAnswersOddly),
        (
            GatewayError::Unreachable,
            ReadinessRule::ProviderUnreachable,
        ),
        (GatewayError::TimedOut, ReadinessRule::ProviderUnreachable),
        (
            GatewayError::Unreadable,
            ReadinessRule::ProviderAnswersOddly,
        ),
        (
            GatewayError::Failed { status: 500 },
            ReadinessRule::ProviderAnswersOddly,
        ),
        (
            GatewayError::RateLimited { wait: None },
            ReadinessRule::ProviderUnreachable,
        ),
    ] {
        let builder = heard(config(), Shelf::new())
            .gateway(Bank::failing(error))
            .permissions(everything)
            .publisher(Silence);
        let report = builder.probe(&environment, &BOTH).await;
        let found: BTreeSet<ReadinessRule> = rules(&report).difference(&always).copied().collect();
        assert_eq!(found, BTreeSet::from([rule, ReadinessRule::MethodDeclared]));
    }
}

#[tokio::test]
async fn only_a_good_report_leads_to_real_money() {
    let environment = environment(&good());
    // Every part is real: it is not to be had otherwise.
    assert_eq!(
        builder(config()).build_for_tests().unwrap_err(),
        BuildError::ForProduction
    );
    let report = builder(config()).probe(&environment, &BOTH).await;
    let registrar = builder(config()).build_production(&report).unwrap();
    assert!(registrar.test_doubles().is_empty());

    // A report of other settings, or with something critical, is no good.
    let mut other = config();
    other.on_unverified = OnUnverified::AskProvider;
    assert_eq!(
        builder(other).build_production(&report).unwrap_err(),
        NotReady::OtherSettings
    );
    let unprobed = readiness::check(&config(), &environment);
    assert!(
        builder(config()).build_production(&unprobed).is_ok(),
        "probes are opt-in"
    );
    let mut exposed = good();
    exposed.insert("VITE_KEY", good()["IKHOKHA_APP_SECRET"].clone());
    let report = builder(config()).check(&crate::configuration::environment(&exposed));
    let error = builder(config()).build_production(&report).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("secret_exposed (VITE_KEY)"), "{text}");
    assert!(!text.contains(good()["IKHOKHA_APP_SECRET"].as_str()));
    // Parts that were exchanged after the report are seen.
    let report = builder(config()).check(&environment);
    let swapped = builder(config()).gateway(simulator().gateway());
    let error = swapped.build_production(&report).unwrap_err();
    assert!(
        error.to_string().contains("test_double (gateway)"),
        "{error}"
    );
    // A report cannot be written by hand: nothing makes one but the checks.
    let unusable = Config::from_environment(&Environment::default()).unwrap_err();
    let report = readiness::unusable(&unusable, &Environment::default());
    assert!(!report.ready);
    assert_eq!(
        builder(config()).build_production(&report).unwrap_err(),
        NotReady::OtherSettings
    );
}

/// The internet, as far as one registrar is in it.
#[derive(Debug)]
pub struct Internet {
    pub registrar: Option<Registrar>,
    pub answers: Option<u16>,
}

#[async_trait::async_trait]
impl WebProbe for Internet {
    async fn post(
        &self,
        url: &str,
        headers: &[(&'static str, String)],
        body: Vec<u8>,
    ) -> Result<u16, WebError> {
        assert_eq!(url, "https://school.example/payments/ikhokha");
        match (&self.registrar, self.answers) {
            (_, Some(answer)) => Ok(answer),
            (None, None) => Err(WebError("no connection".to_owned())),
            (Some(registrar), None) => {
                let headers = headers.iter().map(|(name, value)| (*name, value.as_str()));
                let delivery = Delivery::new(support::PATH, headers, body);
                let receipt = registrar.receive(delivery).await;
                Ok(receipt.http_status())
            }
        }
    }
}

#[tokio::test]
async fn a_probe_of_the_callback_address_changes_nothing() {
    let world = support::World::new();
    let internet = |registrar: Option<&Registrar>, answers| Internet {
        registrar: registrar.cloned(),
        answers,
    };
    let registrar = &world.registrar;
    assert_eq!(
        registrar
            .probe_callbacks(&internet(Some(registrar), None))
            .await,
        []
    );
    use coursegate::store::Queries;
    use coursegate::store::{InboxFilter, PageRequest};
    for filter in [InboxFilter::Dead, InboxFilter::Parked, InboxFilter::Waiting] {
        let inbox = world
            .store
            .inbox(filter, PageRequest::first(10))
            .await
            .unwrap();
        assert!(inbox.items.is_empty());
    }
    let found = async |web: Internet| {
        let found = registrar.probe_callbacks(&web).await;
        found.iter().map(|finding| finding.rule).collect::<Vec<_>>()
    };
    assert_eq!(
        found(internet(None, None)).await,
        [ReadinessRule::CallbackUnreachable]
    );
    assert_eq!(
        found(internet(None, Some(404))).await,
        [ReadinessRule::CallbackUnreachable]
    );
    assert_eq!(
        found(internet(None, Some(200))).await,
        [ReadinessRule::CallbackUnchecked]
    );
    // Only who has the secret can make a probe.
    let body = br#"{"coursegate_probe":"1"}"#;
    let forged = world
        .registrar
        .receive(support::with_signature(body, &"0".repeat(64)))
        .await;
    assert!(matches!(forged.outcome, Outcome::Refused(_)));
    let signed = world.registrar.receive(support::signed_bytes(body)).await;
    assert_eq!(
        (signed.outcome.clone(), signed.http_status()),
        (Outcome::Probe, 200)
    );
}

/// A secret is exchanged while links made with the old one are still open: no callback is
/// lost, and it shows which secret is in use.
#[tokio::test]
async fn a_rotation_loses_no_callback() {
    crate::metrics::handle();
    let old = Secret::new(support::SECRET).unwrap();
    let new = Secret::new("test-secret-fedcba9876543210").unwrap();
    let site = support::config().site;
    let rotated = Config::new(AppId::new(support::APP_ID).unwrap(), new, site).unwrap();
    let world = support::World::with(
        Settings::new(1),
        rotated.also_accept("old", old),
        |builder| builder,
    );
    let used = |world: &support::World| -> Vec<(String, bool, u64)> {
        let keys = world.registrar.key_use().into_iter();
        keys.map(|key| (key.label.to_string(), key.current, key.callbacks))
            .collect()
    };
    assert_eq!(
        used(&world),
        [("primary".into(), true, 0), ("old".into(), false, 0)]
    );
    // The simulated provider still signs with the old secret.
    let (_, _, link) = world.attempt("thandi", PaymentMethod::Card).await;
    let receipts = world
        .pay(&link, coursegate::adapter::simulator::Choice::Card)
        .await;
    assert!(receipts.iter().all(|receipt| receipt.http_status() == 200));
    assert!(world.may_enter("thandi").await);
    assert_eq!(used(&world)[1], ("old".into(), false, 1));
    let findings = world.registrar.running_findings();
    assert_eq!(findings.len(), 2);
    assert_eq!(findings[1].rule, ReadinessRule::WorkerMissing);
    world.pass().await;
    assert_eq!(
        (findings[0].rule, findings[0].subject.as_deref()),
        (ReadinessRule::OldSecretUsed, Some("old"))
    );
    let part = async || {
        let health = world.registrar.health().await;
        let part = health.parts.iter().find(|it| it.part == "configuration");
        part.unwrap().clone()
    };
    let told = part().await;
    assert!(told.reason.contains("not the current one"), "{told:?}");
    // A day later nobody uses it, and it can go.
    world.advance(25 * 3600);
    assert_eq!(
        part().await.reason,
        "The mode is live; 2 secrets are accepted. Readiness names secret_placeholder, \
         callback_not_public, test_double, roles_missing, alerts_unheard, channel_missing."
    );
    world.pass().await;
    assert_eq!(world.registrar.running_findings(), []);
}

#[test]
fn the_report_is_a_table_and_json() {
    let report = builder(config()).check(&environment(&good()));
    let text = report.to_string();
    let head = format!("coursegate {}, mode live, 20", env!("CARGO_PKG_VERSION"));
    assert!(text.starts_with(&head), "{text}");
    assert!(
        text.contains("WARNING   configuration  not_probed             store\n"),
        "{text}"
    );
    assert!(
        text.contains(
            "-> Make the report with `RegistrarBuilder::probe`, and let it try everything."
        )
    );
    assert!(text.ends_with("READY, with 2 warnings"), "{text}");
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["ready"], true);
    assert_eq!(json["findings"][0]["rule"], "not_probed");
    let findings = json["findings"].as_array().unwrap();
    let keys = [
        "rule",
        "level",
        "category",
        "subject",
        "explanation",
        "remedy",
    ];
    assert!(
        findings
            .iter()
            .all(|finding| keys.iter().all(|key| finding.get(key).is_some()))
    );
    let levels: Vec<FindingLevel> = report
        .findings
        .iter()
        .map(|finding| finding.level)
        .collect();
    assert!(levels.is_sorted_by(|a, b| a >= b), "the most urgent first");
}

/// The table of rules in the documentation is written from the code.
#[test]
fn rules_words_and_documentation_agree() {
    let mut table = String::from(
        "# Rules\n| rule | level | category | what it says | what to do |\n|---|---|---|---|---|\n",
    );
    let mut words = BTreeMap::new();
    for rule in ReadinessRule::ALL {
        let about = rule.about();
        table.push_str(&format!(
            "| `{rule}` | {} | {} | {} | {} |\n",
            about.level, about.category, about.explanation, about.remedy
        ));
        assert_eq!(words.insert(rule.as_str(), rule), None);
        assert_eq!(rule.as_str().parse(), Ok(*rule));
        assert!(
            about.explanation.ends_with('.') && about.remedy.ends_with('.'),
            "{rule}"
        );
        let checklist = about.category == Category::Deployment;
        assert!(!checklist || about.level == FindingLevel::Info);
    }
    table.push_str("\n# Settings\n| variable | key in a file | expected | default | what for |\n|---|---|---|---|---|\n");
    for setting in coursegate::Setting::ALL {
        table.push_str(&format!(
            "| `{}` | `{}` | {} | {} | {} |\n",
            setting.variable,
            setting.key,
            setting.expected,
            setting
                .default
                .map_or_else(|| "**required**".to_owned(), |text| format!("`{text}`")),
            setting.about
        ));
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/readiness/rules.md");
    if std::env::var_os("COURSEGATE_WRITE_TABLE").is_some() {
        std::fs::write(path, &table).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap();
    assert_eq!(written, table, "COURSEGATE_WRITE_TABLE=1 writes it anew");
}
