use crate::reason::words;

/// What can go wrong.
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
    /// The API answers 500.
    ServerError,
}

words!(Fault {
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
});

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
