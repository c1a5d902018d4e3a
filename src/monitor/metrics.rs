use serde::Serialize;

/// A number that operators can watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// `counter`, `gauge` or `histogram` (of seconds).
    pub kind: &'static str,
    /// Its labels; none has many values, and none names anybody.
    pub labels: &'static [&'static str],
    /// What it is.
    pub about: &'static str,
}

macro_rules! metrics {
    ($($name:literal $kind:literal [$($label:literal),*] $about:literal;)*) => {
        impl Metric {
            /// Every metric there is.
            pub const ALL: &'static [Self] = &[$(Self {
                name: $name,
                kind: $kind,
                labels: &[$($label),*],
                about: $about,
            }),*];
        }
    };
}

metrics! {
    "coursegate_info" "gauge" ["version"]
        "1, from the report before the start on";
    "coursegate_webhooks_total" "counter" ["outcome"]
        "callbacks answered, by what became of them: applied, held, duplicate, refused, …";
    "coursegate_webhook_seconds" "histogram" ["stage"]
        "time of a callback by stage: security, detection, lookup, confirmation, approval, persistence, live, and total";
    "coursegate_fast_track_seconds" "histogram" []
        "time of a callback that opened a course, from its arrival to the answer";
    "coursegate_security_events_total" "counter" ["event"]
        "callbacks with a wrong signature or application id, replays, refused actions at the admin page, learners refused from many addresses, …";
    "coursegate_access_denied_total" "counter" ["reason"]
        "learners who were not let in, by why: no_grant, expired, restricted, …";
    "coursegate_events_total" "counter" ["event"]
        "what was committed: enrolled, approved (the conversion is their ratio), payment_completed, payment_failed, …";
    "coursegate_approvals_total" "counter" ["cause"]
        "approvals, by what approved them";
    "coursegate_provider_seconds" "histogram" ["outcome"]
        "calls to the provider, answered or failed";
    "coursegate_published_total" "counter" []
        "events that every publisher took";
    "coursegate_outbox_left" "gauge" []
        "events of the last batch that a publisher did not take";
    "coursegate_publish_lag_seconds" "histogram" []
        "from commit to publication, of the newest event of a batch";
    "coursegate_pending" "gauge" []
        "enrollments that wait for a person; 500 is 500 or more";
    "coursegate_pending_oldest_seconds" "gauge" []
        "for how long the oldest of them has waited";
    "coursegate_inbox" "gauge" ["state"]
        "callbacks that are waiting, parked or dead; 500 is 500 or more";
    "coursegate_inbox_oldest_seconds" "gauge" ["state"]
        "for how long the oldest of them has been there";
    "coursegate_alerts" "gauge" ["severity"]
        "alerts that stand now";
    "coursegate_alerts_total" "counter" ["stage", "severity"]
        "alerts that were raised, escalated or recovered";
}
