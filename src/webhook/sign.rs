use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};

use crate::vocabulary::Secret;

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
        self.after("").sign(&[path.as_bytes(), body])
    }

    /// The key with the start of every message already taken in.
    pub(super) fn after(&self, start: &str) -> Prepared {
        let mut mac = self.keyed.clone();
        let mut buffer = [0; BUFFER + 2];
        let length = absorb(&mut mac, &mut buffer, 0, start.as_bytes());
        let mut waiting = [0; BLOCK];
        waiting.copy_from_slice(&buffer[..BLOCK]);
        Prepared {
            mac,
            waiting,
            length,
        }
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

/// SHA-256's block, in bytes.
const BLOCK: usize = 64;
/// Power of two, so that a mask stands in for bounds checks.
const BUFFER: usize = 256;
/// Input bytes escaped per step: even if each becomes two, they fit behind what is left
/// of the step before.
const STEP: usize = (BUFFER - BLOCK) / 2;

/// A prepared key and the escaped start of a message behind it.
#[derive(Clone)]
pub(super) struct Prepared {
    mac: HmacSha256,
    /// Escaped bytes that do not fill a block yet.
    waiting: [u8; BLOCK],
    length: usize,
}

impl Prepared {
    /// The signature over the start and the parts, one after the other.
    pub(super) fn sign(&self, parts: &[&[u8]]) -> Signature {
        let mut mac = self.mac.clone();
        let mut buffer = [0; BUFFER + 2];
        buffer[..BLOCK].copy_from_slice(&self.waiting);
        let length = parts.iter().fold(self.length, |length, part| {
            absorb(&mut mac, &mut buffer, length, part)
        });
        mac.update(&buffer[..length & (BLOCK - 1)]);
        Signature(mac.finalize().into_bytes().into())
    }
}

/// Escapes through a buffer on the stack straight into the MAC: no allocation, and no
/// branch that depends on the content. Only whole blocks are handed over, so that the
/// hash need not copy them; gives how many bytes wait in the buffer.
#[inline]
fn absorb(
    mac: &mut HmacSha256,
    buffer: &mut [u8; BUFFER + 2],
    waiting: usize,
    bytes: &[u8],
) -> usize {
    let mut length = waiting;
    for step in bytes.chunks(STEP) {
        for &byte in step {
            let [first, second, count, _] = ESCAPED[usize::from(byte)].to_le_bytes();
            let at = length & (BUFFER - 1);
            buffer[at..at + 2].copy_from_slice(&[first, second]);
            length += usize::from(count);
        }
        let whole = length & (BUFFER - BLOCK);
        mac.update(&buffer[..whole]);
        buffer.copy_within(whole..whole + BLOCK, 0);
        length -= whole;
    }
    length
}

/// For each byte, what comes out of it (two bytes, the first one lowest) and, above
/// these, how many of the two count.
const ESCAPED: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0u8;
    loop {
        table[byte as usize] = 1 << 16 | byte as u32;
        if byte == u8::MAX {
            break;
        }
        byte += 1;
    }
    table[0] = after_backslash(b'0');
    table[b'\\' as usize] = after_backslash(b'\\');
    table[b'"' as usize] = after_backslash(b'"');
    table[b'\'' as usize] = after_backslash(b'\'');
    table
};

const fn after_backslash(byte: u8) -> u32 {
    2 << 16 | (byte as u32) << 8 | b'\\' as u32
}

/// The value of one hexadecimal digit, above 0xf for everything else.
fn nibble(digit: u8) -> u8 {
    let number = digit.wrapping_sub(b'0');
    let letter = (digit | 0x20).wrapping_sub(b'a');
    match (number < 10, letter < 6) {
        (true, _) => number,
        (false, true) => letter + 10,
        (false, false) => 0xff,
    }
}

/// A signature. Compared in constant time only, and never printed by `Debug`.
#[derive(Clone, Copy)]
#[repr(align(8))]
pub struct Signature([u8; 32]);

impl Signature {
    /// Reads 64 hexadecimal digits, in either case.
    pub fn from_hex(text: &[u8]) -> Option<Self> {
        // Whoever sends a signature knows it: this need not take constant time.
        let digits: &[u8; 64] = text.try_into().ok()?;
        // No look-ups and no branches: the compiler works on 16 digits at a time.
        let nibbles = digits.map(nibble);
        if nibbles.iter().fold(0, |seen, nibble| seen | nibble) > 0xf {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, [high, low]) in bytes.iter_mut().zip(nibbles.as_chunks::<2>().0) {
            *byte = high << 4 | low;
        }
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
        for (ours, theirs) in self
            .0
            .as_chunks::<8>()
            .0
            .iter()
            .zip(other.0.as_chunks::<8>().0)
        {
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
