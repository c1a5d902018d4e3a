//! Credentials that cannot be printed.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

/// Why a credential was refused. The text never repeats it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// Nothing is left after trimming.
    #[error("the {what} is empty")]
    Empty {
        /// Which credential.
        what: &'static str,
    },
    /// A control character or a character outside ASCII: a broken copy.
    #[error("the {what} holds a character that no such credential has; copy it again")]
    BadCharacter {
        /// Which credential.
        what: &'static str,
    },
}

/// Pasted credentials carry spaces, line ends and U+FEFF.
fn trimmed(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}')
}

fn check<'a>(text: &'a str, what: &'static str) -> Result<&'a str, SecretError> {
    let text = trimmed(text);
    if text.is_empty() {
        return Err(SecretError::Empty { what });
    }
    if !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(SecretError::BadCharacter { what });
    }
    Ok(text)
}

/// An application secret. Trimmed on entry, wiped on drop, absent from `Debug`,
/// and without `PartialEq` on purpose: an ordinary comparison leaks timing.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Takes a secret, without the white space and byte-order mark around it.
    ///
    /// # Errors
    /// [`SecretError`] when nothing is left or it holds anything but visible ASCII.
    pub fn new(text: impl Into<String>) -> Result<Self, SecretError> {
        let text = SecretString::from(text.into());
        let kept = check(text.expose_secret(), "secret")?;
        Ok(Self(SecretString::from(kept.to_owned())))
    }

    pub(crate) fn text(&self) -> &str {
        self.0.expose_secret()
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.expose_secret().as_bytes()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

/// The application id (`IK-APPID`). `IK` and 30 upper-case letters or digits in
/// production; anything in visible ASCII is accepted, so that test ids can look
/// made up.
#[derive(Clone)]
pub struct AppId(String);

impl AppId {
    /// Takes an application id, without the white space around it.
    ///
    /// # Errors
    /// [`SecretError`] when nothing is left or it holds anything but visible ASCII.
    pub fn new(text: impl AsRef<str>) -> Result<Self, SecretError> {
        check(text.as_ref(), "application id").map(|text| Self(text.to_owned()))
    }

    /// The id as sent in the header.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for AppId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AppId(hidden)")
    }
}
