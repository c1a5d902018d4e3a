use serde::{Deserialize, Serialize};

use crate::vocabulary::string_enum;

/// How much of a course a grant opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AccessLevel {
    /// Nothing.
    None,
    /// Lessons and resources that the host marks as preview.
    Preview,
    /// Lessons, resources and quizzes, without certificates.
    Limited,
    /// Everything.
    Full,
}

string_enum!(AccessLevel {
    None => "none",
    Preview => "preview",
    Limited => "limited",
    Full => "full",
});

impl AccessLevel {
    /// Whether it is high enough for a kind of content, which the host may mark as preview.
    pub fn opens(self, kind: ResourceKind, preview: bool) -> bool {
        match (self, kind) {
            (Self::None, _) => false,
            (Self::Preview, ResourceKind::Lesson | ResourceKind::Resource) => preview,
            (
                Self::Preview,
                ResourceKind::Quiz | ResourceKind::Certificate | ResourceKind::Full,
            ) => false,
            (Self::Limited, ResourceKind::Lesson | ResourceKind::Resource | ResourceKind::Quiz) => {
                true
            }
            (Self::Limited, ResourceKind::Certificate | ResourceKind::Full) => false,
            (Self::Full, _) => true,
        }
    }
}

/// What a learner wants to open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ResourceKind {
    /// A lesson.
    Lesson,
    /// A file or other material.
    Resource,
    /// A quiz or test.
    Quiz,
    /// The certificate.
    Certificate,
    /// The course as a whole.
    Full,
}

string_enum!(ResourceKind {
    Lesson => "lesson",
    Resource => "resource",
    Quiz => "quiz",
    Certificate => "certificate",
    Full => "full",
});

/// The kinds a grant covers. A set with [`ResourceKind::Full`] covers every kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<ResourceKind>", into = "Vec<ResourceKind>")]
pub struct ResourceKinds(u8);

impl ResourceKinds {
    /// Every kind.
    pub fn all() -> Self {
        Self::only([ResourceKind::Full])
    }

    /// Only these.
    pub fn only(kinds: impl IntoIterator<Item = ResourceKind>) -> Self {
        Self(kinds.into_iter().fold(0, |set, kind| set | Self::bit(kind)))
    }

    /// Whether the set covers a kind.
    pub fn cover(&self, kind: ResourceKind) -> bool {
        self.0 & (Self::bit(ResourceKind::Full) | Self::bit(kind)) != 0
    }

    /// Whether the set covers every kind that another covers.
    pub fn include(&self, others: &Self) -> bool {
        ResourceKind::ALL
            .iter()
            .all(|kind| self.cover(*kind) || !others.cover(*kind))
    }

    fn bit(kind: ResourceKind) -> u8 {
        1 << kind as u8
    }
}

impl From<Vec<ResourceKind>> for ResourceKinds {
    fn from(kinds: Vec<ResourceKind>) -> Self {
        Self::only(kinds)
    }
}

impl From<ResourceKinds> for Vec<ResourceKind> {
    fn from(kinds: ResourceKinds) -> Self {
        let named = |kind: &&ResourceKind| kinds.0 & ResourceKinds::bit(**kind) != 0;
        ResourceKind::ALL.iter().filter(named).copied().collect()
    }
}

impl Default for ResourceKinds {
    fn default() -> Self {
        Self::all()
    }
}
