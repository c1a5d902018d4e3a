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
        key: &crate::secret::Secret,
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

    /// Whether one of them repeats so few bytes that nobody generated it. 32 random bytes have
    /// 30 different ones on average, and fewer than 16 never.
    pub(crate) fn is_uniform(&self) -> bool {
        #[cfg(feature = "encryption")]
        return self.keys.iter().any(|(_, cipher)| cipher.is_uniform);
        #[cfg(not(feature = "encryption"))]
        false
    }

    /// Whether one of them counts, or is made of one of these secrets.
    pub(crate) fn is_guessable(&self, secrets: &super::KeyRing) -> bool {
        #[cfg(feature = "encryption")]
        return self.keys.iter().any(|(_, cipher)| {
            cipher.counts || secrets.texts().any(|(_, secret)| cipher.is_made_of(secret))
        });
        #[cfg(not(feature = "encryption"))]
        {
            let _ = secrets;
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

    use sha2::{Digest, Sha256};

    use super::BodyError;
    use crate::secret::Secret;

    const NONCE: usize = 12;

    #[derive(Clone)]
    pub(super) struct Cipher {
        cipher: Aes256Gcm,
        pub(super) is_uniform: bool,
        /// Whether each byte is the one before it and as much more.
        pub(super) counts: bool,
        /// SHA-256 of the key, to compare it with what it should not be.
        digest: [u8; 32],
    }

    impl Cipher {
        pub(super) fn new(secret: &Secret) -> Option<Self> {
            let mut key = Key::<Aes256Gcm>::default();
            let decoded = base16ct::mixed::decode(secret.bytes(), &mut key).map(<[u8]>::len);
            let made = (decoded == Ok(key.len())).then(|| Self {
                cipher: Aes256Gcm::new(&key),
                is_uniform: key.iter().collect::<BTreeSet<_>>().len() < 16,
                counts: key[0] != key[1]
                    && key
                        .windows(3)
                        .all(|it| it[1].wrapping_sub(it[0]) == it[2].wrapping_sub(it[1])),
                digest: Sha256::digest(key).into(),
            });
            key.as_mut_slice().zeroize();
            made
        }

        /// Whether it is a secret's own bytes, what they are the hexadecimal digits of, or their
        /// digest.
        pub(super) fn is_made_of(&self, secret: &str) -> bool {
            let is = |bytes: &[u8]| self.digest == <[u8; 32]>::from(Sha256::digest(bytes));
            let mut decoded = [0; 64];
            let decoded = base16ct::mixed::decode(secret, &mut decoded);
            is(secret.as_bytes()) || is(&Sha256::digest(secret)) || decoded.is_ok_and(is)
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
}
