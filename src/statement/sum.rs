//! Sums as banks write them, read without a guess and without a float.

/// What stands between thousands, besides the mark that is not the decimal one.
const SPACES: [char; 5] = [' ', '\u{a0}', '\u{202f}', '\u{2009}', '\''];
const MINUS: [char; 2] = ['-', '\u{2212}'];

/// How sums are written in a column.
#[derive(Debug, Clone, Copy)]
pub(super) struct SumFormat<'c> {
    /// What stands between rands and cents: `.` or `,`.
    pub(super) decimal: char,
    /// Whether sums are whole cents.
    pub(super) in_cents: bool,
    /// The currency's code, which may stand in front.
    pub(super) code: &'c str,
}

impl SumFormat<'_> {
    /// A sum as whole cents: negative with a minus on either side, in front of the currency or behind
    /// it, or in brackets. Thousands stand in groups of three, or not in groups.
    ///
    /// The suffix `Cr` says that money arrived, and `Dr` that it left; a sign that says otherwise
    /// makes it no sum.
    pub(super) fn read(self, text: &str) -> Option<i64> {
        let (text, suffix) = without_suffix(trim(text));
        let (sign, bare) = self.unsigned(text)?;
        let negative = match (sign, suffix) {
            (None, suffix) => suffix == Some(Sign::Minus),
            (Some(sign), Some(suffix)) if sign != suffix => return None,
            (Some(sign), _) => sign == Sign::Minus,
        };
        let (whole, cents) = match bare.split_once(self.decimal) {
            Some((whole, cents)) => (whole, Some(cents)),
            None => (bare, None),
        };
        let whole: i64 = self.ungrouped(whole)?.parse().ok()?;
        let minor = match (self.in_cents, cents) {
            (true, None) => whole,
            (true, Some(_)) => return None,
            (false, None) => whole.checked_mul(100)?,
            (false, Some(cents)) => {
                let digits = is_digits(cents).then_some(cents)?;
                let cents: i64 = match digits.len() {
                    1 => digits.parse::<i64>().ok()? * 10,
                    2 => digits.parse().ok()?,
                    _ => return None,
                };
                whole.checked_mul(100)?.checked_add(cents)?
            }
        };
        Some(if negative { -minor } else { minor })
    }

    /// Whether a text is no sum here, and one with cents under the other mark.
    pub(super) fn is_of_other_mark(self, text: &str) -> bool {
        let other = Self {
            decimal: self.other(),
            ..self
        };
        !self.in_cents
            && text.contains(other.decimal)
            && self.read(text).is_none()
            && other.read(text).is_some()
    }

    /// The mark that is not the decimal one.
    pub(super) fn other(self) -> char {
        if self.decimal == ',' { '.' } else { ',' }
    }

    /// Without sign, brackets and currency; and the sign, where there is one.
    fn unsigned(self, text: &str) -> Option<(Option<Sign>, &str)> {
        let (mut signs, mut sign, mut rest, mut named) = (0, None, text, false);
        loop {
            let before = rest;
            let bracketed = rest.strip_prefix('(').and_then(|it| it.strip_suffix(')'));
            let minus = rest
                .strip_prefix(MINUS)
                .or_else(|| rest.strip_suffix(MINUS));
            if let Some(inner) = bracketed.or(minus) {
                (signs, sign, rest) = (signs + 1, Some(Sign::Minus), trim(inner));
            } else if let Some(inner) = rest.strip_prefix('+') {
                (signs, sign, rest) = (signs + 1, Some(Sign::Plus), trim(inner));
            } else if !named {
                let code = rest
                    .strip_prefix(self.code)
                    .or_else(|| rest.strip_prefix('R'));
                if let Some(inner) = code {
                    (named, rest) = (true, trim(inner));
                }
            }
            if rest == before {
                break;
            }
        }
        (signs <= 1).then_some((sign, rest))
    }

    /// The digits of a number whose thousands may stand in groups, all parted by the same mark.
    fn ungrouped(self, text: &str) -> Option<String> {
        let mark = text.chars().find(|c| !c.is_ascii_digit());
        let Some(mark) = mark else {
            return is_digits(text).then(|| text.to_owned());
        };
        if !SPACES.contains(&mark) && mark != self.other() {
            return None;
        }
        let mut groups = text.split(mark);
        let first = groups.next()?;
        let fits = is_digits(first)
            && first.len() <= 3
            && groups.all(|group| group.len() == 3 && is_digits(group));
        fits.then(|| text.split(mark).collect())
    }
}

/// Which way money went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    Plus,
    Minus,
}

/// Without `Cr` or `Dr` behind it, in whatever case; and what that says.
fn without_suffix(text: &str) -> (&str, Option<Sign>) {
    let Some(at) = text
        .len()
        .checked_sub(2)
        .filter(|at| text.is_char_boundary(*at))
    else {
        return (text, None);
    };
    let (bare, suffix) = text.split_at(at);
    match suffix {
        _ if suffix.eq_ignore_ascii_case("cr") => (trim(bare), Some(Sign::Plus)),
        _ if suffix.eq_ignore_ascii_case("dr") => (trim(bare), Some(Sign::Minus)),
        _ => (text, None),
    }
}

/// Without white space around it, of any width.
fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace())
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}
