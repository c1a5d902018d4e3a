use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};

use crate::secret::Secret;

pub(super) type HmacSha256 = Hmac<Sha256>;

/// Signs requests and callbacks the way iKhokha does:
/// `hex(HMAC-SHA256(secret, escape(path + body)))`, where `escape` puts one
/// backslash before each `\`, `"` and `'` and turns a NUL byte into `\0`
/// (official example repository `ikhokha/ik-pay-api-examples`).
///
/// The key is prepared once; each signature then costs one pass over the message.
#[derive(Clone)]
pub struct Signer {
    keyed: HmacSha256,
}

impl Signer {
    /// Prepares a key.
    pub fn new(secret: &Secret) -> Self {
        Self::from_bytes(secret.bytes())
    }

    fn from_bytes(key: &[u8]) -> Self {
        // HMAC takes a key of any length; the other branch is never taken.
        let keyed = HmacSha256::new_from_slice(key)
            .unwrap_or_else(|_| <HmacSha256 as KeyInit>::new(&Default::default()));
        Self { keyed }
    }

    /// The signature over a path (no query) and the very bytes of a body.
    pub fn sign(&self, path: &str, body: &[u8]) -> Signature {
        self.prefixed(path).sign(&[body])
    }

    /// The key with a path already taken in.
    pub(super) fn prefixed(&self, path: &str) -> Prefixed {
        let mut mac = self.keyed.clone();
        absorb(&mut mac, path.as_bytes());
        Prefixed { mac }
    }

    /// A plain HMAC over the bytes as they are, to check the primitive against
    /// published vectors.
    #[doc(hidden)]
    pub fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
        let mut mac = Self::from_bytes(key).keyed;
        mac.update(message);
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer(hidden)")
    }
}

/// A prepared key and the escaped path behind it.
#[derive(Clone)]
pub(super) struct Prefixed {
    mac: HmacSha256,
}

impl Prefixed {
    /// The signature over the path and the parts, one after the other.
    pub(super) fn sign(&self, parts: &[&[u8]]) -> Signature {
        let mut mac = self.mac.clone();
        for part in parts {
            absorb(&mut mac, part);
        }
        Signature(mac.finalize().into_bytes().into())
    }
}

/// Input bytes escaped per step; twice as many may come out.
const STEP: usize = 112;
/// Power of two above `2 * STEP`, so that a mask stands in for bounds checks.
const BUFFER: usize = 256;

/// For each byte, 1 when a backslash goes before it.
const NEEDS_ESCAPE: [u8; 256] = {
    let mut table = [0; 256];
    table[0] = 1;
    table[b'\\' as usize] = 1;
    table[b'"' as usize] = 1;
    table[b'\'' as usize] = 1;
    table
};

/// Escapes through a stack buffer straight into the MAC: no allocation, and no
/// branch that depends on the content.
fn absorb(mac: &mut HmacSha256, bytes: &[u8]) {
    let mut buffer = [0u8; BUFFER];
    for step in bytes.chunks(STEP) {
        let mut length = 0;
        for &byte in step {
            buffer[length & (BUFFER - 1)] = b'\\';
            length += usize::from(NEEDS_ESCAPE[usize::from(byte)]);
            buffer[length & (BUFFER - 1)] = if byte == 0 { b'0' } else { byte };
            length += 1;
        }
        mac.update(&buffer[..length & (BUFFER - 1)]);
    }
}

/// A signature. Compared in constant time only, and never printed by `Debug`.
#[derive(Clone, Copy)]
pub struct Signature([u8; 32]);

impl Signature {
    /// Reads 64 hexadecimal digits, in either case.
    pub fn from_hex(text: &[u8]) -> Option<Self> {
        let mut bytes = [0; 32];
        if text.len() != 64 {
            return None;
        }
        base16ct::mixed::decode(text, &mut bytes).ok()?;
        Some(Self(bytes))
    }

    #[cfg(feature = "simulator")]
    pub(crate) fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 64 lower-case digits to send as `IK-SIGN`.
    pub fn to_hex(self) -> String {
        base16ct::lower::encode_string(&self.0)
    }
}

impl ConstantTimeEq for Signature {
    fn ct_eq(&self, other: &Self) -> Choice {
        let mut difference = 0;
        for (ours, theirs) in self.0.as_chunks::<8>().0.iter().zip(other.0.as_chunks::<8>().0) {
            difference |= u64::from_ne_bytes(*ours) ^ u64::from_ne_bytes(*theirs);
        }
        difference.ct_eq(&0)
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signature(hidden)")
    }
}
