//! The way to real money: a report, and a registrar that is only made when it is good.

use crate::registrar::parts::system::PROBE;
use std::cmp::Reverse;
use std::time::Duration;

use uuid::Uuid;

use crate::config::{Environment, Mode};
#[cfg(feature = "live")]
use crate::event::EventKind;
use crate::port::{CertificateProbe, GatewayError, StatusQuery, WebProbe};
use crate::readiness::{
    FindingLevel, LiveCheck, Probed, ReadinessFinding, ReadinessRule, Report, address, findings,
    fingerprint,
};
use crate::registrar::builder::{BuildError, RegistrarBuilder};
use crate::registrar::core::Registrar;
#[cfg(feature = "live")]
use crate::registrar::parts::system::{publishing, system_event};
use crate::registrar::parts::{deadline, meter};
#[cfg(feature = "live")]
use crate::store::Change;
use crate::store::StoreError;
#[cfg(feature = "live")]
use crate::vocabulary::EventId;
use crate::vocabulary::PaymentReference;
use crate::webhook::Signer;

/// How long each probe may take.
const WAIT: Duration = Duration::from_secs(10);
/// Clocks this far apart are worth a warning; and this far are wrong.
const SKEWED: i64 = 5;
const WRONG: i64 = 60;
/// A certificate that ends within so many days is worth a warning: those that are renewed by
/// themselves are renewed earlier.
const CERTIFICATE: i64 = 21;

/// Why a production registrar was not made.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NotReady {
    /// Something critical stands.
    #[error("not ready for real money: {}", named(.0))]
    Critical(Vec<ReadinessFinding>),
    /// The report was made for other settings.
    #[error(
        "the report was made for other settings; make one with this builder's `check` or `probe`"
    )]
    OtherSettings,
    /// The settings contradict themselves or the parts.
    #[error(transparent)]
    Build(#[from] BuildError),
}

fn named(findings: &[ReadinessFinding]) -> String {
    let each = findings.iter().map(|finding| match &finding.subject {
        Some(subject) => format!("{} ({subject}): {}", finding.rule, finding.remedy),
        None => format!("{}: {}", finding.rule, finding.remedy),
    });
    each.collect::<Vec<_>>().join("; ")
}

impl RegistrarBuilder {
    /// Looks at settings, environment and parts, and asks nobody.
    pub fn check(&self, environment: &Environment) -> Report {
        self.report(environment, Vec::new(), Vec::new())
    }

    /// The same, and asks those outside. Nothing is written or paid. What can only be asked
    /// while the server runs is [`Registrar::probe_callbacks`].
    pub async fn probe(&self, environment: &Environment, probes: &[LiveCheck]) -> Report {
        let (mut found, mut probed) = (Vec::new(), Vec::new());
        for probe in LiveCheck::ALL.iter().filter(|probe| probes.contains(probe)) {
            let begun = self.clock.now();
            found.extend(match probe {
                LiveCheck::Store => self.probe_store().await,
                LiveCheck::Provider => self.probe_provider().await,
            });
            let millis = (self.clock.now() - begun).num_milliseconds();
            probed.push(Probed {
                probe: *probe,
                millis,
            });
        }
        self.report(environment, probed, found)
    }

    fn report(
        &self,
        environment: &Environment,
        probed: Vec<Probed>,
        mut found: Vec<ReadinessFinding>,
    ) -> Report {
        found.extend(findings(&self.config, environment, self.clock.now()));
        found.extend(self.parts());
        for probe in LiveCheck::ALL {
            if !probed.iter().any(|probed| probed.probe == *probe) {
                found.push(ReadinessFinding::new(ReadinessRule::NotProbed).about(probe.as_str()));
            }
        }
        let made_for = fingerprint(&self.config);
        Report::new(found, Some(self.config.mode), Some(made_for)).probed(probed)
    }

    /// Builds a registrar for real money. A registrar without test doubles is made in no
    /// other way.
    ///
    /// # Errors
    /// [`NotReady`] names what is critical in the report, or what does not fit together.
    pub fn build_production(self, report: &Report) -> Result<Registrar, NotReady> {
        if !report.is_for(&fingerprint(&self.config)) {
            return Err(NotReady::OtherSettings);
        }
        // The parts may have changed since the report was made.
        let mut critical: Vec<ReadinessFinding> = report.criticals().cloned().collect();
        let parts = self.parts().into_iter();
        for finding in parts.filter(|finding| finding.level == FindingLevel::Critical) {
            if !critical.contains(&finding) {
                critical.push(finding);
            }
        }
        if !critical.is_empty() {
            return Err(NotReady::Critical(critical));
        }
        Ok(self.assemble()?)
    }

    /// The rules that settings and parts break, the gravest first.
    pub(in crate::registrar) fn standing(&self) -> Vec<ReadinessRule> {
        let nothing = Environment::default();
        let mut found = findings(&self.config, &nothing, self.clock.now());
        found.extend(self.parts());
        found.retain(|finding| finding.level >= FindingLevel::Warning);
        found.sort_by_key(|finding| (Reverse(finding.level), finding.rule));
        let mut rules: Vec<ReadinessRule> = found.into_iter().map(|finding| finding.rule).collect();
        rules.dedup();
        rules
    }

    /// What the parts themselves say.
    fn parts(&self) -> Vec<ReadinessFinding> {
        let is_staging = self.config.mode == Mode::Staging;
        // A provider without real money is what staging is for.
        let is_wrong = |part: &&str| !(is_staging && *part == "gateway");
        let doubles = self.test_doubles().into_iter().filter(is_wrong);
        let mut found: Vec<ReadinessFinding> = doubles
            .map(|part| ReadinessFinding::new(ReadinessRule::TestDouble).about(part))
            .collect();
        if self.gateway.is_none() {
            found.push(ReadinessFinding::new(ReadinessRule::GatewayMissing));
        }
        if self.permissions.is_none() {
            found.push(ReadinessFinding::new(ReadinessRule::RolesMissing));
        }
        if self.publishers.is_empty() {
            found.push(ReadinessFinding::new(ReadinessRule::PublisherMissing));
        }
        let unheard = self.unheard();
        if !unheard.is_empty() {
            let says = format!("Nobody hears of: {}.", unheard.join(", "));
            found.push(ReadinessFinding::new(ReadinessRule::AlertsUnheard).saying(says));
        }
        if self.channels.is_empty() {
            found.push(ReadinessFinding::new(ReadinessRule::ChannelMissing));
        }
        if !meter::info() {
            found.push(ReadinessFinding::new(ReadinessRule::MetricsOff));
        }
        let capabilities = self.gateway.as_ref().map(|gateway| gateway.capabilities());
        if let Some(capabilities) = &capabilities {
            if !capabilities.reveals_method {
                found.push(ReadinessFinding::new(ReadinessRule::MethodDeclared));
            }
            let says_nothing = capabilities.address.is_none();
            if is_staging && says_nothing && address::may_be_real(capabilities) {
                found.push(
                    ReadinessFinding::new(ReadinessRule::StagingProvider).about("the gateway"),
                );
            }
            if let Some(address) = &capabilities.address {
                let mode = self.config.mode;
                found.extend(address::of_api(address, "the gateway", mode));
                if !address::is_same(address, &self.config.api_url) {
                    found.push(
                        ReadinessFinding::new(ReadinessRule::ApiAddressUnused)
                            .about("IKHOKHA_API_URL"),
                    );
                }
            }
        }
        let Some(detector) = &self.detector else {
            return found;
        };
        if detector.takes_unknown_for_card() {
            found.push(ReadinessFinding::new(ReadinessRule::UnknownApproved));
        }
        if let Some(fields) = capabilities.and_then(|capabilities| capabilities.callback_fields) {
            for (rule, field) in detector.reads() {
                if !fields.contains(&field.as_str()) {
                    let finding = ReadinessFinding::new(ReadinessRule::RuleDead).about(rule);
                    found.push(finding.saying(format_args!("The field is {field}.")));
                }
            }
        }
        found
    }

    async fn probe_store(&self) -> Vec<ReadinessFinding> {
        let before = self.clock.now();
        let inspected = deadline::within(self.clock.as_ref(), WAIT, self.store.inspect()).await;
        let report = match inspected {
            Some(Ok(report)) => report,
            None => {
                let finding = ReadinessFinding::new(ReadinessRule::StoreUnreachable);
                return vec![finding.saying("It did not answer in time.")];
            }
            Some(Err(StoreError::Unavailable(_))) => {
                return vec![ReadinessFinding::new(ReadinessRule::StoreUnreachable)];
            }
            // The texts of the others are made for operators, and name no value.
            Some(Err(error)) => {
                let finding = ReadinessFinding::new(ReadinessRule::StoreDefective);
                return vec![finding.saying(format_args!("In detail: {error}."))];
            }
        };
        let mut found: Vec<ReadinessFinding> = report
            .defects
            .iter()
            .map(|defect| ReadinessFinding::new(ReadinessRule::StoreDefective).about(defect))
            .collect();
        let known: Vec<&str> = self.config.body_keys.labels().collect();
        let missing = report.body_keys.iter();
        let missing = missing.filter(|label| !known.contains(&label.as_str()));
        found.extend(
            missing.map(|label| ReadinessFinding::new(ReadinessRule::BodyKeyMissing).about(label)),
        );
        if let Some(now) = report.now {
            let asked = (self.clock.now() - before) / 2;
            let apart = (now - (before + asked)).num_seconds().abs();
            let rule = match apart {
                0..=SKEWED => None,
                _ if apart <= WRONG => Some(ReadinessRule::ClockSkewed),
                _ => Some(ReadinessRule::ClockWrong),
            };
            let says = format!("They are {apart} seconds apart.");
            found.extend(rule.map(|rule| ReadinessFinding::new(rule).saying(says)));
        }
        found
    }

    async fn probe_provider(&self) -> Vec<ReadinessFinding> {
        let Some(gateway) = &self.gateway else {
            return Vec::new();
        };
        let reference = PaymentReference::random();
        let asked = gateway.status(StatusQuery::Reference(&reference));
        let (rule, says) = match deadline::within(self.clock.as_ref(), WAIT, asked).await {
            None => (
                ReadinessRule::ProviderUnreachable,
                "It did not answer in time".to_owned(),
            ),
            Some(Ok(None)) => (
                ReadinessRule::ProviderAnswers,
                "It knows no such payment (404)".to_owned(),
            ),
            // A payment that nobody made.
            Some(Ok(Some(answer))) => (
                ReadinessRule::ProviderAnswers,
                format!("It answers: {}", answer.status.as_str()),
            ),
            Some(Err(error)) => {
                let rule = match error {
                    GatewayError::BadCredentials => ReadinessRule::ProviderRefuses,
                    // Of a payment that nobody made, an answer of any kind may be the usual one.
                    GatewayError::Refused { .. }
                    | GatewayError::Unreadable
                    | GatewayError::Failed { .. } => ReadinessRule::ProviderAnswersOddly,
                    _ => ReadinessRule::ProviderUnreachable,
                };
                (rule, format!("In detail: {error}"))
            }
        };
        vec![ReadinessFinding::new(rule).saying(format_args!("{says}."))]
    }
}

impl Registrar {
    /// Sends signed probes to this installation's own callback address, from outside: one
    /// that has to arrive and be recognised, and one with a wrong signature that has to be
    /// refused. Neither changes anything. Empty when all is well.
    pub async fn probe_callbacks(&self, web: &dyn WebProbe) -> Vec<ReadinessFinding> {
        let config = &self.inner.config;
        let (Some(secret), Ok(path)) = (config.keys.current(), config.site.callback_path()) else {
            return vec![ReadinessFinding::new(ReadinessRule::CallbackUnreachable)];
        };
        let mut body = PROBE.to_vec();
        body.extend(format!("\"{}\"}}", Uuid::new_v4().simple()).into_bytes());
        let signature = Signer::new(secret).sign(&path, &body);
        let right = signature.to_hex();
        let wrong: String = right
            .chars()
            .map(|c| if c == '0' { '1' } else { '0' })
            .collect();
        let knock = async |signature: String| {
            let headers = [
                ("content-type", "application/json".to_owned()),
                ("ik-appid", config.app_id.as_str().to_owned()),
                ("ik-sign", signature),
            ];
            let url = &config.site.callback_url;
            let posted = web.post(url, &headers, body.clone());
            deadline::within(self.inner.clock.as_ref(), WAIT, posted).await
        };
        let unreachable = ReadinessFinding::new(ReadinessRule::CallbackUnreachable);
        match knock(right).await {
            Some(Ok(200)) => {}
            Some(Ok(status)) => {
                return vec![unreachable.saying(format_args!("It answers {status}."))];
            }
            Some(Err(error)) => {
                return vec![unreachable.saying(format_args!("In detail: {error}."))];
            }
            None => return vec![unreachable.saying("It did not answer in time.")],
        }
        match knock(wrong).await {
            Some(Ok(401)) => Vec::new(),
            Some(Ok(status)) => {
                let finding = ReadinessFinding::new(ReadinessRule::CallbackUnchecked);
                vec![finding.saying(format_args!("It answers {status} instead of 401."))]
            }
            Some(Err(_)) | None => vec![unreachable],
        }
    }

    /// Looks at the certificate of this installation's own callback address, from outside: one that
    /// ends soon, is over, or is not trusted, is found. Empty when all is well, and for plain http.
    pub async fn probe_certificate(&self, web: &dyn CertificateProbe) -> Vec<ReadinessFinding> {
        let asked = web.certificate(&self.inner.config.site.callback_url);
        let unreachable = ReadinessFinding::new(ReadinessRule::CallbackUnreachable);
        let certificate = match deadline::within(self.inner.clock.as_ref(), WAIT, asked).await {
            Some(Ok(Some(certificate))) => certificate,
            Some(Ok(None)) => return Vec::new(),
            Some(Err(error)) => {
                return vec![unreachable.saying(format_args!("In detail: {error}."))];
            }
            None => return vec![unreachable.saying("It did not answer in time.")],
        };
        let left = certificate.ends - self.now();
        let rule = match certificate.is_trusted {
            _ if left <= chrono::Duration::zero() => ReadinessRule::CertificateOver,
            false => {
                let says = "Its certificate is not trusted: compare its name, and who made it.";
                return vec![unreachable.saying(says)];
            }
            true if left <= chrono::Duration::days(CERTIFICATE) => ReadinessRule::CertificateEnding,
            true => return Vec::new(),
        };
        let ends = certificate.ends.format("%Y-%m-%d %H:%M UTC");
        vec![ReadinessFinding::new(rule).saying(format_args!("It ends at {ends}."))]
    }

    /// Commits an event that means nothing, and waits until `hear` has heard of it.
    #[cfg(feature = "live")]
    pub(crate) async fn probe_live(
        &self,
        hear: impl AsyncFnOnce(EventId),
    ) -> Vec<ReadinessFinding> {
        let silent = ReadinessFinding::new(ReadinessRule::LiveSilent);
        let event = system_event(EventKind::LiveProbed, self.now());
        let id = event.id;
        let change = publishing(Change::events_only(vec![event]));
        if let Err(error) = self.within(self.commit(change)).await {
            return vec![silent.saying(format_args!("In detail: {error}."))];
        }
        match deadline::within(self.inner.clock.as_ref(), WAIT, hear(id)).await {
            Some(()) => Vec::new(),
            None => vec![silent.saying("Nothing arrived within ten seconds.")],
        }
    }
}
