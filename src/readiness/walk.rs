//! Text that fingers type along a keyboard.

/// Ways along the keyboard, and the alphabet. Each is walked backwards too.
const WALKS: [&str; 19] = [
    "01234567890",
    "abcdefghijklmnopqrstuvwxyz",
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    // The German and the French keyboard.
    "qwertzuiop",
    "yxcvbnm",
    "azertyuiop",
    "qsdfghjklm",
    "wxcvbn",
    // Down the columns, and in zigzag along two rows.
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p",
    "zaq1xsw2cde3vfr4bgt5nhy6mju7",
    "qazwsxedcrfvtgbyhnujmikolp",
    "1q2w3e4r5t6y7u8i9o0p",
    "q1w2e3r4t5y6u7i8o9p0",
    "qawsedrftgyhujikolp",
    "aqswdefrgthyjukilop",
    "azsxdcfvgbhnjmkl",
    "zaxscdvfbgnhmjlk",
];
/// The digits' keys with shift.
const SHIFTED: &[u8; 10] = b")!@#$%^&*(";
/// A piece that random letters and digits hold less than once in a hundred thousand secrets.
const LONG: usize = 6;
/// The shortest piece that counts.
const SHORT: usize = 3;

/// Whether a text is a walk: one long piece, or short pieces (repeated, reversed, one after the
/// other) that are two thirds of it.
pub(super) fn is_walk(text: &str) -> bool {
    let text: Vec<u8> = text.bytes().map(key).collect();
    let mut walked = 0;
    let mut at = 0;
    while at < text.len() {
        let piece = piece(&text[at..]);
        if piece >= LONG {
            return true;
        }
        if piece >= SHORT {
            walked += piece;
        }
        at += if piece >= SHORT { piece } else { 1 };
    }
    !text.is_empty() && walked * 3 >= text.len() * 2
}

/// The key that types a character.
fn key(byte: u8) -> u8 {
    match (b'0'..).zip(SHIFTED).find(|(_, shifted)| **shifted == byte) {
        Some((digit, _)) => digit,
        None => byte.to_ascii_lowercase(),
    }
}

/// How many characters at the start of a text walk on in one way.
fn piece(text: &[u8]) -> usize {
    let along = |walk: &[u8]| {
        let from = walk.iter().enumerate().map(|(at, _)| &walk[at..]);
        let same = from.map(|way| way.iter().zip(text).take_while(|(a, b)| a == b).count());
        same.max().unwrap_or(0)
    };
    let both = WALKS.iter().map(|walk| {
        let back: Vec<u8> = walk.bytes().rev().collect();
        along(walk.as_bytes()).max(along(&back))
    });
    both.max().unwrap_or(0)
}
