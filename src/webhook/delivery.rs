use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::error::VerifyError;
use crate::vocabulary::{has_card_number, mask_card_numbers};

/// A webhook exactly as it arrived: path, headers and raw bytes.
///
/// Give the path as the client sent it (percent-encoded, with its query if it
/// has one) and the body before anything parsed or re-encoded it.
#[derive(Clone)]
pub struct Delivery {
    path: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

impl Delivery {
    /// Takes what the web framework received. Header names match in any case;
    /// values may be any bytes.
    pub fn new<N, V>(
        path: impl Into<String>,
        headers: impl IntoIterator<Item = (N, V)>,
        body: impl Into<Vec<u8>>,
    ) -> Self
    where
        N: AsRef<str>,
        V: AsRef<[u8]>,
    {
        Self {
            path: path.into(),
            headers: headers
                .into_iter()
                .map(|(name, value)| (name.as_ref().to_owned(), value.as_ref().to_vec()))
                .collect(),
            body: body.into(),
        }
    }

    /// The path, with its query if it has one.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The raw bytes of the body.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The values of one header, in the order they came.
    pub fn header<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.headers
            .iter()
            .filter(move |(header, _)| header.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_slice())
    }

    /// The query of the path, without its question mark.
    pub(crate) fn query(&self) -> Option<&str> {
        self.path.split_once('?').map(|(_, query)| query)
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("headers", &self.headers.len())
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// What makes two deliveries the same one.
///
/// iKhokha sends no event id and no time, and the body is constant per link and
/// status, so the key is derived from pay link, status and our reference; digits that could be
/// a card number are masked in it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeliveryKey(Arc<str>);

impl DeliveryKey {
    /// The key of a readable notification.
    pub(crate) fn of(pay_link: Option<&str>, status: &str, reference: Option<&str>) -> Self {
        let (link, reference) = (pay_link.unwrap_or(""), reference.unwrap_or(""));
        let (link, status, reference) = (&safe(link), &safe(status), &safe(reference));
        let mut key = String::with_capacity(link.len() + status.len() + reference.len() + 2);
        // A pay-link id holds no '/', and the reference comes last: only a slash
        // in the status word could make two different deliveries look alike.
        key.push_str(link);
        key.push('/');
        key.extend(status.chars().map(|c| if c == '/' { '%' } else { c }));
        key.push('/');
        key.push_str(reference);
        Self(key.into())
    }

    /// The key of a verified delivery that cannot be read.
    pub(crate) fn of_unreadable(body: &[u8]) -> Self {
        let hash = base16ct::lower::encode_string(&Sha256::digest(body));
        Self(format!("unreadable/{hash}").into())
    }

    /// The key as text, for example `2zh1zj6y8xpb0g3/SUCCESS/CG-7K3M9QXDT4WZ`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// No name of ours has so many digits, nor has any link that was seen so far.
fn safe(text: &str) -> Cow<'_, str> {
    match has_card_number(text) {
        true => Cow::Owned(mask_card_numbers(text)),
        false => Cow::Borrowed(text),
    }
}

impl fmt::Debug for DeliveryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        crate::vocabulary::ids::shown(&self.0, f)
    }
}

impl fmt::Display for DeliveryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for DeliveryKey {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

/// The value of a header that must come exactly once.
pub(super) fn single<'d>(
    delivery: &'d Delivery,
    name: &'d str,
    missing: VerifyError,
    repeated: VerifyError,
) -> Result<&'d [u8], VerifyError> {
    let mut found = None;
    for value in delivery.header(name) {
        if found.replace(value).is_some() {
            return Err(repeated);
        }
    }
    found.ok_or(missing)
}
