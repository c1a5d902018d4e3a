use crate::registrar::parts::route::Route;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::access::{AccessPolicy, StandardAccess};
use crate::approval::{ApprovalPolicy, StandardPolicy};
use crate::config::{Config, Mode, UrlError};
use crate::detect::{MethodDetector, RuleDetector, RuleSet, RuleSetError};
use crate::enrollment::{SyncSchedule, TransitionGuard, TransitionRequest};
use crate::monitor::{AlertEngine, AlertRoute, AlertRule, AlertRuleProblem};
use crate::port::{
    AlertSink, Clock, EventPublisher, LogSink, NotificationChannel, PaymentGateway, Permissions,
    SystemClock,
};
use crate::readiness::address;
use crate::registrar::core::{CourseCatalog, Inner, Registrar};
use crate::registrar::parts::alert_state::AlertState;
use crate::registrar::parts::deadline::Signal;
use crate::registrar::parts::denial_log::DenialLog;
use crate::registrar::parts::heartbeat::Heartbeat;
use crate::registrar::parts::key_log::KeyLog;
use crate::registrar::parts::provider::Provider;
use crate::registrar::parts::security_log::{EventLog, HintLimit, INSIDE, OUTSIDE};
use crate::registrar::parts::shared::Sharing;
use crate::registrar::parts::subscriber::Subscriber;
use crate::registrar::parts::time::CommonClock;
use crate::store::{Queries, Store};
use crate::vocabulary::{AlertSeverity, ChannelName, CourseId, EvidenceLevel, Note};
use crate::webhook::{Verifier, VerifierError};

/// The name of the sink that is always there.
pub(in crate::registrar) const LOG: &str = "log";
/// Longest wait that may be set.
const LONGEST_WAIT: Duration = Duration::from_secs(30 * 24 * 3600);

/// Why a registrar could not be built.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The webhook secrets or the callback path cannot be used.
    #[error(transparent)]
    Verifier(#[from] VerifierError),
    /// The standard rules do not load.
    #[error(transparent)]
    Rules(#[from] RuleSetError),
    /// An address of the site cannot be right.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// Confirmation is required, and there is nobody to ask.
    #[error("minimum evidence `confirmed` needs a gateway to ask; give the builder one")]
    NobodyToAsk,
    /// Approving on an unsigned word is not possible.
    #[error("minimum evidence `unsigned` would let anybody in; use `signed` or `confirmed`")]
    MinimumTooLow,
    /// A wait of zero, or one that nobody would sit through.
    #[error("{0} must be more than zero and at most 30 days")]
    WaitOutOfRange(&'static str),
    /// A number that cannot work.
    #[error("{0}")]
    Rule(&'static str),
    /// Two channels have one name, or one has the app's.
    #[error("two notification channels are called {0}; give each a name of its own")]
    ChannelTwice(ChannelName),
    /// Two alert sinks have one name, or one has none, or the log's.
    #[error(
        "an alert sink is called {0:?}, which is another one's name or none; give each a name of its own"
    )]
    SinkTwice(String),
    /// A route names a rule that is not watched by.
    #[error(
        "the alert sink {sink:?} is to be told of the rule {rule:?}, and there is no rule of that name"
    )]
    RouteToNowhere {
        /// The sink.
        sink: String,
        /// The rule.
        rule: String,
    },
    /// The mode is staging, and real money could move.
    #[error(
        "the mode is staging and the gateway may lead to a real provider: give it a simulator on this machine, or set the mode to live"
    )]
    StagingProvider,
    /// Every part is real: this is no trial.
    #[error(
        "every part is real: make a report with `check` or `probe`, and build with `build_production`"
    )]
    ForProduction,
    /// An alert rule cannot be one.
    #[error(transparent)]
    Alerts(#[from] AlertRuleProblem),
    /// A callback would time out before it could be stored.
    #[error("provider_wait must be below deadline, so that a delivery can still be stored")]
    WaitTooLong,
}

/// Puts a [`Registrar`] together.
pub struct RegistrarBuilder {
    pub(in crate::registrar) config: Config,
    pub(in crate::registrar) store: Arc<dyn Store>,
    events: Arc<dyn Queries>,
    pub(in crate::registrar) gateway: Option<Arc<dyn PaymentGateway>>,
    pub(in crate::registrar) publishers: Vec<Arc<dyn EventPublisher>>,
    pub(in crate::registrar) channels: Vec<Arc<dyn NotificationChannel>>,
    pub(in crate::registrar) clock: Arc<dyn Clock>,
    pub(in crate::registrar) detector: Option<Arc<dyn MethodDetector>>,
    policy: Arc<dyn ApprovalPolicy>,
    guard: Arc<dyn TransitionGuard>,
    access: Arc<dyn AccessPolicy>,
    courses: Arc<dyn CourseCatalog>,
    pub(in crate::registrar) permissions: Option<Arc<dyn Permissions>>,
    alert_rules: Vec<AlertRule>,
    pub(in crate::registrar) sinks: Vec<Route>,
}

impl RegistrarBuilder {
    /// The rules of critical alerts that no sink but the log is told of.
    pub(in crate::registrar) fn unheard(&self) -> Vec<&str> {
        let critical = AlertSeverity::Critical;
        let grave = self
            .alert_rules
            .iter()
            .filter(|rule| rule.severity == critical);
        let is_heard = |rule: &str| {
            let mut others = self.sinks.iter().filter(|route| route.name != LOG);
            others.any(|route| route.route.lists(critical, rule))
        };
        let ids = grave.map(|rule| rule.id.as_str());
        ids.filter(|id| !is_heard(id)).collect()
    }
}

impl Registrar {
    /// Starts with the settings and the store; everything else has a default.
    pub fn builder<S: Store + Queries>(config: Config, store: S) -> RegistrarBuilder {
        let store = Arc::new(store);
        RegistrarBuilder {
            config,
            events: store.clone(),
            store,
            gateway: None,
            publishers: Vec::new(),
            channels: Vec::new(),
            clock: Arc::new(SystemClock),
            detector: None,
            policy: Arc::new(StandardPolicy::default()),
            guard: Arc::new(permit_all),
            access: Arc::new(StandardAccess),
            courses: Arc::new(offer_all),
            permissions: None,
            alert_rules: AlertRule::standard(),
            sinks: vec![Route {
                name: LOG.to_owned(),
                route: AlertRoute::everything(),
                sink: Arc::new(LogSink),
            }],
        }
    }
}

fn permit_all(_: &TransitionRequest<'_>) -> Result<(), Note> {
    Ok(())
}

fn offer_all(_: &CourseId) -> bool {
    true
}

impl RegistrarBuilder {
    /// Uses a payment provider. Approvals then need its confirmation.
    #[must_use]
    pub fn gateway(mut self, gateway: impl PaymentGateway) -> Self {
        self.gateway = Some(Arc::new(gateway));
        self
    }

    /// Publishes what was committed. Call it once for each publisher: one that fails holds up
    /// no other.
    #[must_use]
    pub fn publisher(mut self, publisher: impl EventPublisher) -> Self {
        self.publishers.push(Arc::new(publisher));
        self
    }

    /// Tells people by this channel too: admins who chose it, and learners if it reaches
    /// them. Call it once for each channel.
    #[must_use]
    pub fn channel(mut self, channel: impl NotificationChannel) -> Self {
        self.channels.push(Arc::new(channel));
        self
    }

    /// Uses another clock.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Tells methods in another way than by the standard rules.
    #[must_use]
    pub fn detector(mut self, detector: impl MethodDetector) -> Self {
        self.detector = Some(Arc::new(detector));
        self
    }

    /// Decides about payments in another way than the standard policy.
    #[must_use]
    pub fn policy(mut self, policy: impl ApprovalPolicy) -> Self {
        self.policy = Arc::new(policy);
        self
    }

    /// Lets the host veto legal transitions.
    #[must_use]
    pub fn guard(mut self, guard: impl TransitionGuard) -> Self {
        self.guard = Arc::new(guard);
        self
    }

    /// Decides about access in another way than the standard policy.
    #[must_use]
    pub fn access_policy(mut self, policy: impl AccessPolicy) -> Self {
        self.access = Arc::new(policy);
        self
    }

    /// Says which courses are offered.
    #[must_use]
    pub fn courses(mut self, courses: impl CourseCatalog) -> Self {
        self.courses = Arc::new(courses);
        self
    }

    /// Watches by these rules instead of [`AlertRule::standard`].
    #[must_use]
    pub fn alert_rules(mut self, rules: Vec<AlertRule>) -> Self {
        self.alert_rules = rules;
        self
    }

    /// Hands the alerts on a route to this sink too, beside the log, which gets all. Call it once
    /// for each sink; each has a name of its own, the same in every process.
    ///
    /// ```
    /// # use coursegate::port::{AlertSink, ChannelError};
    /// # use coursegate::monitor::{Alert, AlertRoute, AlertSeverity};
    /// # use coursegate::registrar::RegistrarBuilder;
    /// # #[derive(Debug)] struct Pager;
    /// # #[async_trait::async_trait]
    /// # impl AlertSink for Pager {
    /// #     async fn alert(&self, _: &Alert) -> Result<(), ChannelError> { Ok(()) }
    /// # }
    /// fn on_duty(builder: RegistrarBuilder) -> RegistrarBuilder {
    ///     builder.alert_sink("pager", AlertRoute::severities([AlertSeverity::Critical]), Pager)
    /// }
    /// ```
    #[must_use]
    pub fn alert_sink(
        mut self,
        name: impl Into<String>,
        route: AlertRoute,
        sink: impl AlertSink,
    ) -> Self {
        self.sinks.push(Route {
            name: name.into(),
            route,
            sink: Arc::new(sink),
        });
        self
    }

    /// Says which people may do what as admins. Without it, whoever the host makes an
    /// [`Admin`](crate::registrar::Admin) may do everything.
    #[must_use]
    pub fn permissions(mut self, permissions: impl Permissions) -> Self {
        self.permissions = Some(Arc::new(permissions));
        self
    }

    /// Checks everything and builds, for trying things out and for tests: a part at least has
    /// to be a test double. For real money there is [`build_production`](Self::build_production).
    ///
    /// # Errors
    /// [`BuildError`] when the settings contradict themselves or the parts, or when no part
    /// is a test double.
    pub fn build_for_tests(self) -> Result<Registrar, BuildError> {
        if self.test_doubles().is_empty() {
            return Err(BuildError::ForProduction);
        }
        self.assemble()
    }

    /// The names of the parts that are meant for tests only.
    pub(in crate::registrar) fn test_doubles(&self) -> Vec<&'static str> {
        let gateway = self.gateway.as_ref();
        let mut publishers = self.publishers.iter();
        let parts = [
            ("store", self.store.is_test_double()),
            (
                "gateway",
                gateway.is_some_and(|gateway| gateway.capabilities().is_test_double),
            ),
            (
                "publisher",
                publishers.any(|publisher| publisher.is_test_double()),
            ),
            ("clock", self.clock.is_test_double()),
        ];
        let doubles = parts.into_iter().filter(|(_, is_double)| *is_double);
        doubles.map(|(name, _)| name).collect()
    }

    pub(in crate::registrar) fn assemble(self) -> Result<Registrar, BuildError> {
        let standing = self.standing();
        let mut config = self.config;
        config.site = config.site.normalized()?;
        check_rules(&config)?;
        let gateway = self.gateway.as_ref().map(|gateway| gateway.capabilities());
        if config.mode == Mode::Staging && gateway.is_some_and(|it| address::may_be_real(&it)) {
            return Err(BuildError::StagingProvider);
        }
        if self.gateway.is_none() {
            // Nobody to ask.
            config.rules.reconciliation = SyncSchedule::never();
        }
        let minimum = config.minimum_evidence.unwrap_or(match self.gateway {
            Some(_) => EvidenceLevel::Confirmed,
            None => EvidenceLevel::Signed,
        });
        match (minimum, &self.gateway) {
            (EvidenceLevel::Unsigned, _) => return Err(BuildError::MinimumTooLow),
            (EvidenceLevel::Confirmed, None) => return Err(BuildError::NobodyToAsk),
            _ => {}
        }
        for (name, wait) in [
            ("deadline", config.deadline),
            ("provider_wait", config.provider_wait),
            ("link_wait", config.link_wait),
            ("retry_delay", config.retry_delay),
            ("retry_delay_max", config.retry_delay_max),
            ("provider.pause", config.provider.pause),
            ("parked_alert", config.parked_alert),
            ("approval_sla", config.approval_sla),
            (
                "reconcile_every",
                config.reconcile_every.unwrap_or(LONGEST_WAIT),
            ),
            (
                "sync_history_every",
                config.sync_history_every.unwrap_or(LONGEST_WAIT),
            ),
            (
                "audit_log_every",
                config.audit_log_every.unwrap_or(LONGEST_WAIT),
            ),
            (
                "rules.reconciliation.every",
                config.rules.reconciliation.every,
            ),
        ] {
            if wait.is_zero() || wait > LONGEST_WAIT {
                return Err(BuildError::WaitOutOfRange(name));
            }
        }
        if config.provider_wait >= config.deadline {
            return Err(BuildError::WaitTooLong);
        }
        let keys = KeyLog::new(config.keys.texts());
        let mut verifier = Verifier::new(
            config.app_id.clone(),
            &config.keys,
            &config.site.callback_path()?,
        )?
        .max_body(config.max_body);
        if let Some(scheme) = self
            .gateway
            .as_ref()
            .and_then(|gateway| gateway.capabilities().signed_time)
        {
            verifier = verifier.signed_time(scheme);
        }
        let detector = match self.detector {
            Some(detector) => detector,
            None => Arc::new(RuleDetector::new(RuleSet::standard())?),
        };
        let mut names = BTreeSet::from([ChannelName::in_app()]);
        for channel in &self.channels {
            if !names.insert(channel.name()) {
                return Err(BuildError::ChannelTwice(channel.name()));
            }
        }
        let watch = AlertEngine::new(self.alert_rules)?;
        check_routes(&self.sinks, &watch)?;
        let tower = Arc::new(AlertState::new(watch));
        let clock = Arc::new(CommonClock::new(self.clock));
        let provider = self.gateway.map(|gateway| {
            let (clock, tower) = (clock.clone(), tower.clone());
            Arc::new(Provider::new(gateway, config.provider, clock, tower))
        });
        Ok(Registrar {
            inner: Arc::new(Inner {
                config,
                verifier,
                minimum,
                store: self.store,
                events: self.events,
                provider,
                subscribers: self.publishers.into_iter().map(Subscriber::new).collect(),
                channels: self.channels,
                clock,
                sharing: Sharing::new(),
                detector,
                policy: self.policy,
                guard: self.guard,
                access: self.access,
                courses: self.courses,
                permissions: self.permissions,
                forbidden: EventLog::hourly(INSIDE),
                refused: EventLog::hourly(OUTSIDE),
                repeated: EventLog::hourly(OUTSIDE),
                probed: EventLog::hourly(OUTSIDE),
                denials: DenialLog::default(),
                // Only that there are very many.
                doubled: EventLog::hourly(0),
                hints: HintLimit::default(),
                keys,
                pulse: Heartbeat::default(),
                standing,
                tower,
                sinks: self.sinks,
                wake: Signal::default(),
            }),
        })
    }
}

fn check_routes(sinks: &[Route], watch: &AlertEngine) -> Result<(), BuildError> {
    for (at, route) in sinks.iter().enumerate() {
        let has_name = |other: &Route| other.name == route.name;
        if route.name.is_empty() || sinks[..at].iter().any(has_name) {
            return Err(BuildError::SinkTwice(route.name.clone()));
        }
        if let Some(unknown) = route.route.names().find(|rule| !watch.knows(rule)) {
            let (sink, rule) = (route.name.clone(), unknown.to_owned());
            return Err(BuildError::RouteToNowhere { sink, rule });
        }
    }
    Ok(())
}

/// What every enrollment will be held to has to make sense.
fn check_rules(config: &Config) -> Result<(), BuildError> {
    let rules = &config.rules;
    let first = &rules.reconciliation.first;
    let limits = &config.provider;
    let checks = [
        (
            first.is_sorted_by(|a, b| a < b) && first.first().is_none_or(|first| !first.is_zero()),
            "the times in rules.reconciliation.first must be more than zero and grow",
        ),
        (
            rules.unpaid_expiry.is_none_or(|term| !term.is_zero()),
            "rules.unpaid_expiry must be more than zero; `None` is never",
        ),
        (
            rules.transfer_expiry.is_none_or(|term| !term.is_zero()),
            "rules.transfer_expiry must be more than zero; `None` is never",
        ),
        (
            rules.refund_keeping_access < 100,
            "rules.refund_keeping_access must be below 100: a payment that went back whole gives no access",
        ),
        (
            rules.dual_approval_above.is_none_or(|limit| limit >= 0),
            "rules.dual_approval_above must not be negative; `None` is never",
        ),
        (
            limits.failures > 0
                && limits.visits_per_second > 0
                && limits.links_per_second > 0
                && limits.callbacks_per_second > 0
                && limits.background_per_second > 0,
            "provider.failures and the calls a second must be at least 1",
        ),
    ];
    match checks.iter().find(|(holds, _)| !holds) {
        Some((_, rule)) => Err(BuildError::Rule(rule)),
        None => Ok(()),
    }
}

impl fmt::Debug for RegistrarBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistrarBuilder")
            .field("config", &self.config)
            .field("store", &self.store)
            .field("gateway", &self.gateway)
            .finish_non_exhaustive()
    }
}
