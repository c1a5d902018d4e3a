use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;

use super::rule::{Category, FindingLevel, ReadinessRule};
use crate::config::Mode;
use crate::vocabulary::string_enum;

/// What may be asked for a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum LiveCheck {
    /// The store: whether it answers, has everything that it needs, and the right time.
    Store,
    /// The provider: whether it answers and takes the credentials, by a look-up of a payment
    /// that does not exist.
    Provider,
}

string_enum!(LiveCheck {
    Store => "store",
    Provider => "provider",
});

/// One thing that a report says. It holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ReadinessFinding {
    /// Which rule.
    pub rule: ReadinessRule,
    /// How much it stands in the way.
    pub level: FindingLevel,
    /// What it is about.
    pub category: Category,
    /// The setting or the part that it is about.
    pub subject: Option<String>,
    /// Why it matters, and what was found.
    pub explanation: String,
    /// What to do.
    pub remedy: String,
}

impl ReadinessFinding {
    pub(crate) fn new(rule: ReadinessRule) -> Self {
        let about = rule.about();
        Self {
            rule,
            level: about.level,
            category: about.category,
            subject: None,
            explanation: about.explanation.to_owned(),
            remedy: about.remedy.to_owned(),
        }
    }

    pub(crate) fn about(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    pub(crate) fn saying(mut self, more: impl fmt::Display) -> Self {
        self.explanation = format!("{} {more}", self.explanation);
        self
    }

    pub(crate) fn doing(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = remedy.into();
        self
    }
}

/// What is wrong, and what to do.
impl fmt::Display for ReadinessFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.explanation, self.remedy)
    }
}

/// What the settings a report was made for come to; it tells one report from another.
pub(crate) type Fingerprint = [u8; 32];

/// How long something took to answer that was asked for a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Probed {
    /// What was asked.
    pub probe: LiveCheck,
    /// Milliseconds until it answered, or was given up on.
    pub millis: i64,
}

/// Whether an installation may handle real money, and what stands in the way.
///
/// `Display` is a table for people, `Serialize` is for programs.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// Whether nothing critical stands.
    pub ready: bool,
    /// When it was made, by this machine's clock.
    pub made_at: DateTime<Utc>,
    /// The version of this crate.
    pub version: &'static str,
    /// The mode of the settings; `None` when they could not be read.
    pub mode: Option<Mode>,
    /// What was asked for it, and how long that took.
    pub probes: Vec<Probed>,
    /// What was found, the most urgent first.
    pub findings: Vec<ReadinessFinding>,
    #[serde(skip)]
    made_for: Option<Fingerprint>,
}

impl Report {
    pub(crate) fn new(
        mut findings: Vec<ReadinessFinding>,
        mode: Option<Mode>,
        made_for: Option<Fingerprint>,
    ) -> Self {
        findings.sort_by(|a, b| {
            let order =
                |finding: &ReadinessFinding| (std::cmp::Reverse(finding.level), finding.category);
            order(a).cmp(&order(b)).then_with(|| a.rule.cmp(&b.rule))
        });
        Self {
            ready: findings
                .iter()
                .all(|finding| finding.level < FindingLevel::Critical),
            made_at: Utc::now(),
            version: env!("CARGO_PKG_VERSION"),
            mode,
            probes: Vec::new(),
            findings,
            made_for,
        }
    }

    pub(crate) fn probed(mut self, probes: Vec<Probed>) -> Self {
        self.probes = probes;
        self
    }

    /// What stands in the way of real money.
    pub fn criticals(&self) -> impl Iterator<Item = &ReadinessFinding> {
        let critical = |finding: &&ReadinessFinding| finding.level == FindingLevel::Critical;
        self.findings.iter().filter(critical)
    }

    /// Whether a rule is broken.
    pub fn has(&self, rule: ReadinessRule) -> bool {
        self.findings.iter().any(|finding| finding.rule == rule)
    }

    pub(crate) fn is_for(&self, made_for: &Fingerprint) -> bool {
        self.made_for.as_ref() == Some(made_for)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = self.mode.map_or("unknown", |mode| mode.as_str());
        let at = self.made_at.to_rfc3339_opts(SecondsFormat::Secs, true);
        writeln!(f, "coursegate {}, mode {mode}, {at}", self.version)?;
        for probed in &self.probes {
            writeln!(f, "the {} took {} ms", probed.probe, probed.millis)?;
        }
        for finding in &self.findings {
            let subject = finding.subject.as_deref().unwrap_or("");
            writeln!(
                f,
                "{:<9} {:<14} {:<22} {subject}",
                finding.level.as_str().to_uppercase(),
                finding.category.as_str(),
                finding.rule.as_str()
            )?;
            writeln!(f, "          {}", finding.explanation)?;
            writeln!(f, "          -> {}", finding.remedy)?;
        }
        let count = |level| {
            let found = self.findings.iter();
            found.filter(|finding| finding.level == level).count()
        };
        let (critical, warnings) = (count(FindingLevel::Critical), count(FindingLevel::Warning));
        match self.ready {
            true if self.has(ReadinessRule::StagingMode) => write!(
                f,
                "READY FOR STAGING, where no real money moves, with {warnings} warnings"
            ),
            true => write!(f, "READY, with {warnings} warnings"),
            false => write!(f, "NOT READY: {critical} critical, {warnings} warnings"),
        }
    }
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Report")
            .field("ready", &self.ready)
            .field("findings", &self.findings)
            .finish_non_exhaustive()
    }
}
