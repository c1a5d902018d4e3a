//! Characters that nobody sees, by which two names that look alike are not the same.

/// Whether a character has no place in a name: a control character, one that Unicode lets a
/// screen leave out (Default_Ignorable_Code_Point), one that only looks blank, a separator of
/// lines, a mark of annotations, or one that means nothing to anybody else. They forge log
/// lines and look-alike names.
pub(crate) fn is_hostile(c: char) -> bool {
    c.is_control() || is_ignorable(c) || is_blank(c) || is_private(c)
}

/// The same for a name that people never read as prose: white space other than the plain space
/// looks like it.
pub(super) fn is_hostile_in_id(c: char) -> bool {
    is_hostile(c) || (c.is_whitespace() && c != ' ')
}

/// Default_Ignorable_Code_Point of Unicode 16: soft hyphen, joiners, fillers, direction marks,
/// variation selectors, invisible operators and tags, and what is reserved for more of them.
fn is_ignorable(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// Separators of lines, the empty Braille pattern, and marks of annotations.
fn is_blank(c: char) -> bool {
    matches!(c, '\u{2028}'..='\u{2029}' | '\u{2800}' | '\u{fff9}'..='\u{fffb}')
}

/// Private use, and code points that are no characters.
fn is_private(c: char) -> bool {
    let low = u32::from(c) & 0xffff;
    matches!(c, '\u{e000}'..='\u{f8ff}' | '\u{f0000}'.. | '\u{fdd0}'..='\u{fdef}') || low >= 0xfffe
}

/// Where a title holds a character that has no place in it. Prose needs some of those that a
/// name must not hold: joiners between the letters of some scripts and between emoji, and the
/// selectors of an emoji's form. They are taken where they do something, which is never beside
/// ASCII but in a keycap.
pub(super) fn hostile_in_title(text: &str) -> Option<usize> {
    let mut before = None;
    let mut rest = text.char_indices();
    while let Some((at, c)) = rest.next() {
        let mut coming = rest.clone().map(|(_, c)| c);
        let after = coming.next();
        let shows = |c: Option<char>| c.is_some_and(|c| !c.is_ascii() && !is_hostile(c));
        let fits = match c {
            '\u{200c}' | '\u{200d}' => {
                (shows(before) || before == Some('\u{fe0f}')) && shows(after)
            }
            '\u{fe0e}' | '\u{fe0f}' => {
                let is_key = before.is_some_and(|c| c.is_ascii_digit() || c == '#' || c == '*');
                shows(before) || (is_key && after == Some('\u{20e3}'))
            }
            c => !is_hostile(c),
        };
        if !fits {
            return Some(at);
        }
        before = Some(c);
    }
    None
}
