//! Bodies of deliveries, as they are kept: as they came, or encrypted, or not any more.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::DeliveryKey;

/// The body of a delivery where it is stored. It is never shown: neither `Debug` nor JSON has
/// more of it than how it is kept.
#[derive(Clone, PartialEq, Eq)]
pub enum StoredBody {
    /// As it came.
    Plain(Vec<u8>),
    /// Encrypted.
    Sealed {
        /// Label of the key.
        key: Arc<str>,
        /// Nonce (12 bytes), what was encrypted, and tag (16 bytes).
        bytes: Vec<u8>,
    },
    /// Its time was over, or the learner's personal data was erased.
    Gone,
}

impl StoredBody {
    /// Whether there is still something.
    pub fn is_kept(&self) -> bool {
        !matches!(self, Self::Gone)
    }
}

impl Serialize for StoredBody {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(match self {
            Self::Plain(_) => "plain",
            Self::Sealed { .. } => "sealed",
            Self::Gone => "gone",
        })
    }
}

impl fmt::Debug for StoredBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(bytes) => write!(f, "Plain({} bytes)", bytes.len()),
            Self::Sealed { key, bytes } => write!(f, "Sealed({key}, {} bytes)", bytes.len()),
            Self::Gone => f.write_str("Gone"),
        }
    }
}

/// Why a body cannot be encrypted, or not be read again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// A key is 64 hexadecimal digits.
    #[error("a body key is 64 hexadecimal digits (32 random bytes)")]
    NotAKey,
    /// A label is 1 to 32 letters, digits, `-` and `_`, and no other key has it.
    #[error("a label is 1 to 32 letters, digits, - and _, and no two keys have the same")]
    BadLabel,
    /// The system gave no random numbers.
    #[error("the system gives no random numbers")]
    NoRandom,
    /// The key that it was encrypted with is not among those configured.
    #[error("the body key `{0}` is not configured (or the feature `encryption` is off): add it")]
    UnknownKey(Arc<str>),
    /// It is not what was encrypted with this key for this delivery.
    #[error("the stored body was changed, or its key `{0}` is another one now")]
    Changed(Arc<str>),
    /// It is not kept any more.
    #[error("the body is not kept any more")]
    Gone,
}

/// What shows that nobody generated a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(feature = "encryption"), allow(dead_code))]
pub(crate) enum BodyKeyFlaw {
    /// It has so few different bytes: 32 random ones have 30 on average, and fewer than 16 never.
    Uniform,
    /// Its bytes count up or down.
    Counter,
}

/// The keys that stored bodies are encrypted with (AES-256-GCM): the first one encrypts, all
/// of them decrypt. Without a key, bodies are kept as they came.
///
/// To rotate, put the new key first and keep the old one until every body that it encrypted
/// is gone: that is, for as long as [`Config::keep_bodies`](crate::Config::keep_bodies).
///
/// Each body has a random nonce; one key is good for 2^32 bodies (NIST SP 800-38D, 8.3). The
/// key's label and the delivery's key are authenticated with it, so that no body can be put in
/// another one's place.
#[derive(Clone, Default)]
pub struct BodyKeys {
    #[cfg(feature = "encryption")]
    keys: Vec<(Arc<str>, cipher::Cipher)>,
}

impl BodyKeys {
    /// Adds a key: 64 hexadecimal digits, under a label.
    ///
    /// # Errors
    /// [`BodyError::NotAKey`] and [`BodyError::BadLabel`].
    #[cfg(feature = "encryption")]
    pub fn and(
        mut self,
        label: impl AsRef<str>,
        key: &crate::vocabulary::Secret,
    ) -> Result<Self, BodyError> {
        let label = label.as_ref();
        let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        let known = self.keys.iter().any(|(known, _)| known.as_ref() == label);
        if label.is_empty() || label.len() > 32 || known || !label.bytes().all(fits) {
            return Err(BodyError::BadLabel);
        }
        let cipher = cipher::Cipher::new(key).ok_or(BodyError::NotAKey)?;
        self.keys.push((label.into(), cipher));
        Ok(self)
    }

    /// Whether bodies are kept as they came.
    pub fn is_empty(&self) -> bool {
        #[cfg(feature = "encryption")]
        return self.keys.is_empty();
        #[cfg(not(feature = "encryption"))]
        true
    }

    /// What shows that nobody generated a key, by label.
    pub(crate) fn flaws(&self) -> impl Iterator<Item = (&str, BodyKeyFlaw)> {
        #[cfg(feature = "encryption")]
        return self
            .keys
            .iter()
            .filter_map(|(label, cipher)| Some((label.as_ref(), cipher.flaw?)));
        #[cfg(not(feature = "encryption"))]
        std::iter::empty()
    }

    /// Whether the key of this label is one of these.
    pub(crate) fn is_among(&self, label: &str, keys: &[[u8; 32]]) -> bool {
        #[cfg(feature = "encryption")]
        return self
            .keys
            .iter()
            .any(|(known, cipher)| known.as_ref() == label && cipher.is_among(keys));
        #[cfg(not(feature = "encryption"))]
        {
            let _ = (label, keys);
            false
        }
    }

    /// The labels, in order.
    pub fn labels(&self) -> impl Iterator<Item = &str> {
        #[cfg(feature = "encryption")]
        return self.keys.iter().map(|(label, _)| label.as_ref());
        #[cfg(not(feature = "encryption"))]
        std::iter::empty()
    }

    /// Makes a body ready to be stored.
    pub(crate) fn seal(
        &self,
        delivery: &DeliveryKey,
        body: &[u8],
    ) -> Result<StoredBody, BodyError> {
        #[cfg(feature = "encryption")]
        if let Some((label, cipher)) = self.keys.first() {
            let bytes = cipher.seal(&bound(label, delivery), body)?;
            return Ok(StoredBody::Sealed {
                key: label.clone(),
                bytes,
            });
        }
        let _ = delivery;
        Ok(StoredBody::Plain(body.to_vec()))
    }

    /// Reads a stored body.
    pub(crate) fn open<'b>(
        &self,
        delivery: &DeliveryKey,
        body: &'b StoredBody,
    ) -> Result<Cow<'b, [u8]>, BodyError> {
        match body {
            StoredBody::Plain(bytes) => Ok(Cow::Borrowed(bytes)),
            StoredBody::Gone => Err(BodyError::Gone),
            StoredBody::Sealed { key, bytes } => {
                #[cfg(feature = "encryption")]
                if let Some((_, cipher)) = self.keys.iter().find(|(label, _)| label == key) {
                    let opened = cipher.open(&bound(key, delivery), bytes);
                    return match opened {
                        Some(opened) => Ok(Cow::Owned(opened)),
                        None => Err(BodyError::Changed(key.clone())),
                    };
                }
                let _ = (delivery, bytes);
                Err(BodyError::UnknownKey(key.clone()))
            }
        }
    }
}

impl fmt::Debug for BodyKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.labels()).finish()
    }
}

/// What is authenticated beside the body. A label holds no slash.
#[cfg(feature = "encryption")]
fn bound(label: &str, delivery: &DeliveryKey) -> Vec<u8> {
    format!("coursegate body/{label}/{}", delivery.as_str()).into_bytes()
}

#[cfg(feature = "encryption")]
mod cipher {
    use std::collections::BTreeSet;

    use aes_gcm::aead::{Aead, Generate, KeyInit, Nonce, Payload};
    use aes_gcm::{Aes256Gcm, Key};
    use secrecy::zeroize::Zeroize;

    use super::{BodyError, BodyKeyFlaw};
    use crate::vocabulary::Secret;

    const NONCE: usize = 12;

    #[derive(Clone)]
    pub(super) struct Cipher {
        cipher: Aes256Gcm,
        pub(super) flaw: Option<BodyKeyFlaw>,
    }

    impl Cipher {
        pub(super) fn new(secret: &Secret) -> Option<Self> {
            let mut key = Key::<Aes256Gcm>::default();
            let decoded = base16ct::mixed::decode(secret.bytes(), &mut key).map(<[u8]>::len);
            let made = (decoded == Ok(key.len())).then(|| Self {
                cipher: Aes256Gcm::new(&key),
                flaw: flaw(&key),
            });
            key.as_mut_slice().zeroize();
            made
        }

        /// Found out by opening with each of them what this one sealed: the key itself is not kept.
        pub(super) fn is_among(&self, keys: &[[u8; 32]]) -> bool {
            let Ok(sealed) = self.seal(&[], &[]) else {
                return false;
            };
            keys.iter().any(|key| {
                let cipher = Aes256Gcm::new(&Key::<Aes256Gcm>::from(*key));
                let other = Self { cipher, flaw: None };
                other.open(&[], &sealed).is_some()
            })
        }

        pub(super) fn seal(&self, bound: &[u8], body: &[u8]) -> Result<Vec<u8>, BodyError> {
            let nonce = Nonce::<Aes256Gcm>::try_generate().map_err(|_| BodyError::NoRandom)?;
            let payload = Payload {
                msg: body,
                aad: bound,
            };
            // It fails for more than 64 GiB alone; bodies are capped at one MiB.
            let sealed = self.cipher.encrypt(&nonce, payload);
            let sealed = sealed.map_err(|_| BodyError::NoRandom)?;
            Ok([nonce.as_slice(), &sealed].concat())
        }

        pub(super) fn open(&self, bound: &[u8], bytes: &[u8]) -> Option<Vec<u8>> {
            let (nonce, sealed) = bytes.split_at_checked(NONCE)?;
            let nonce = Nonce::<Aes256Gcm>::try_from(nonce).ok()?;
            let payload = Payload {
                msg: sealed,
                aad: bound,
            };
            self.cipher.decrypt(&nonce, payload).ok()
        }
    }
    fn flaw(key: &[u8]) -> Option<BodyKeyFlaw> {
        if key.iter().collect::<BTreeSet<_>>().len() < 16 {
            return Some(BodyKeyFlaw::Uniform);
        }
        counts(key).then_some(BodyKeyFlaw::Counter)
    }

    /// Whether three quarters of the steps from byte to byte are the same, or all from each group
    /// of two, four or eight bytes to the next.
    fn counts(key: &[u8]) -> bool {
        let steps: Vec<u8> = key
            .windows(2)
            .map(|two| two[1].wrapping_sub(two[0]))
            .collect();
        let same = |step: &u8| steps.iter().filter(|other| *other == step).count();
        if steps.iter().any(|step| same(step) * 4 >= steps.len() * 3) {
            return true;
        }
        [2, 4, 8].into_iter().any(|width| {
            let up = key.chunks(width).map(|word| number(word.iter().copied()));
            let down = key
                .chunks(width)
                .map(|word| number(word.iter().rev().copied()));
            steady(&up.collect::<Vec<_>>()) || steady(&down.collect::<Vec<_>>())
        })
    }

    fn number(bytes: impl Iterator<Item = u8>) -> u64 {
        bytes.fold(0, |number, byte| number << 8 | u64::from(byte))
    }

    fn steady(numbers: &[u64]) -> bool {
        let mut steps = numbers.windows(2).map(|two| two[1].wrapping_sub(two[0]));
        let first = steps.next();
        steps.all(|step| Some(step) == first)
    }
}
