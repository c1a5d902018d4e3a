use super::string_enum;

/// How grave an alert is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AlertSeverity {
    /// For whoever looks after sales.
    Business,
    /// Somebody should look today.
    Warning,
    /// Somebody has to look now.
    Critical,
}

string_enum!(AlertSeverity {
    Business => "business",
    Warning => "warning",
    Critical => "critical",
});

/// What became of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AlertStage {
    /// Its rule began to hold.
    Raised,
    /// It holds for so long that somebody else has to be told.
    Escalated,
    /// It does not hold any more.
    Recovered,
}

string_enum!(AlertStage {
    Raised => "raised",
    Escalated => "escalated",
    Recovered => "recovered",
});

/// What a notice is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum NoticeKind {
    /// An enrollment waits for a person: a bank transfer, an EFT, or a payment that is not
    /// certain.
    ApprovalNeeded,
    /// An enrollment was approved.
    Approved,
    /// An enrollment was rejected.
    Rejected,
    /// Money has to go back.
    RefundDue,
    /// Something is wrong, and only a person can mend it.
    Alert,
}

string_enum!(NoticeKind {
    ApprovalNeeded => "approval_needed",
    Approved => "approved",
    Rejected => "rejected",
    RefundDue => "refund_due",
    Alert => "alert",
});

impl NoticeKind {
    /// Whether the learner is told of it too.
    pub fn is_for_learner(&self) -> bool {
        matches!(self, Self::Approved | Self::Rejected)
    }
}
