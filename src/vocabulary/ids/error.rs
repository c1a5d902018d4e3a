/// Why a text was refused as an identifier, e-mail or title.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdError {
    /// The text is empty.
    #[error("{what} is empty")]
    Empty {
        /// What was being named.
        what: &'static str,
    },
    /// The text is longer than the limit.
    #[error("{what} is longer than {limit} bytes")]
    TooLong {
        /// What was being named.
        what: &'static str,
        /// The limit, in bytes.
        limit: usize,
    },
    /// The text starts or ends with white space.
    #[error("{what} starts or ends with white space; trim it first")]
    Padded {
        /// What was being named.
        what: &'static str,
    },
    /// The text holds a character that has no place in a name: a control
    /// character, a direction override or one that nobody sees.
    #[error("{what} holds a character that is not allowed in it, at byte {at}")]
    BadCharacter {
        /// What was being named.
        what: &'static str,
        /// Offset of the character, in bytes.
        at: usize,
    },
    /// The text holds something other than printable ASCII. Letters of other scripts look like
    /// it, and one person could pass for another.
    #[error(
        "{what} may hold only plain letters, digits, signs and spaces (ASCII), not what is at byte \
         {at}; use an account name or number that is written so"
    )]
    NotAscii {
        /// What was being named.
        what: &'static str,
        /// Offset of the first other character, in bytes.
        at: usize,
    },
    /// The text is not an e-mail address.
    #[error("the e-mail address needs one '@' between two parts")]
    NotAnEmail,
}
