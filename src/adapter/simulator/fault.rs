use crate::vocabulary::string_enum;

/// What can go wrong: with a callback, with what a status look-up says, or with the answer to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Fault {
    /// The callback never comes.
    Lost,
    /// The callback comes twice.
    Duplicate,
    /// The callback comes late.
    Delayed,
    /// The callback overtakes, or is overtaken by, others.
    Reordered,
    /// A forged `SUCCESS` comes before the genuine callback.
    Forged,
    /// The callback has a `text` field that is not signed, as the guide's sample expects.
    ExtraText,
    /// The callback has a field nobody knows.
    ExtraField,
    /// The callback's status is a word nobody knows.
    UnknownStatus,
    /// The callback names another reference.
    WrongReference,
    /// The callback is signed, and no JSON.
    NotJson,
    /// The status look-up states another amount.
    WrongAmount,
    /// The status look-up states one cent less.
    ShortAmount,
    /// The status look-up says unpaid for a while.
    LaggingStatus,
    /// The API answers 500, and does nothing.
    ServerError,
    /// The API does what it was asked and answers 500: a link exists that nobody has the address of.
    AnswerLost,
    /// The API does what it was asked and never answers.
    AnswerTimeout,
    /// The API does what it was asked, and the connection is cut before its answer.
    AnswerCut,
    /// The API answers 400, and does nothing.
    BadRequest,
    /// The API answers 401 to credentials that are right, and does nothing.
    Unauthorized,
    /// The API answers 422, and does nothing.
    Unprocessable,
    /// The API answers 429 with a `Retry-After`, and does nothing.
    RateLimited,
    /// The API answers 200 with an HTML page instead of JSON, and does nothing.
    HtmlAnswer,
    /// The API does what it was asked, and answers late.
    SlowAnswer,
}

string_enum!(Fault {
    Lost => "lost",
    Duplicate => "duplicate",
    Delayed => "delayed",
    Reordered => "reorder",
    Forged => "forged",
    ExtraText => "text",
    ExtraField => "field",
    UnknownStatus => "status_word",
    WrongReference => "wrong_reference",
    NotJson => "not_json",
    WrongAmount => "wrong_amount",
    ShortAmount => "short_amount",
    LaggingStatus => "lag",
    ServerError => "server_error",
    AnswerLost => "answer_lost",
    AnswerTimeout => "answer_timeout",
    AnswerCut => "answer_cut",
    BadRequest => "bad_request",
    Unauthorized => "unauthorized",
    Unprocessable => "unprocessable",
    RateLimited => "rate_limited",
    HtmlAnswer => "html",
    SlowAnswer => "slow",
});

impl Fault {
    /// Whether it is one of the answer to a call, whatever the call.
    pub fn is_of_answers(&self) -> bool {
        match self {
            Self::ServerError
            | Self::AnswerLost
            | Self::AnswerTimeout
            | Self::AnswerCut
            | Self::BadRequest
            | Self::Unauthorized
            | Self::Unprocessable
            | Self::RateLimited
            | Self::HtmlAnswer
            | Self::SlowAnswer => true,
            Self::Lost
            | Self::Duplicate
            | Self::Delayed
            | Self::Reordered
            | Self::Forged
            | Self::ExtraText
            | Self::ExtraField
            | Self::UnknownStatus
            | Self::WrongReference
            | Self::NotJson
            | Self::WrongAmount
            | Self::ShortAmount
            | Self::LaggingStatus => false,
        }
    }
}

/// SplitMix64: small, seeded, and the same on every machine. Not for secrets.
#[derive(Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn chance(&mut self, rate: f64) -> bool {
        let drawn = u32::try_from(self.next() >> 32).unwrap_or(u32::MAX);
        f64::from(drawn) / f64::from(u32::MAX) < rate
    }

    /// Text of lower-case letters and digits, as the provider's pay-link ids are.
    pub(super) fn text(&mut self, length: usize) -> String {
        const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
        let mut letter = || usize::try_from(self.next() % 36).unwrap_or(0);
        (0..length)
            .map(|_| char::from(ALPHABET[letter()]))
            .collect()
    }
}
