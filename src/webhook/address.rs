//! Web addresses in the one form that everybody reads alike: as a URL parser writes them.

use url::Url;

use crate::vocabulary::ids::is_hostile;

/// An absolute http or https address, percent-encoded and without dot segments; `None` when it is
/// none, or holds what the parser would take away without a word.
pub(crate) fn web_address(text: &str) -> Option<Url> {
    let (scheme, rest) = text.split_once("://")?;
    let is_web = ["http", "https"]
        .iter()
        .any(|known| scheme.eq_ignore_ascii_case(known));
    let is_odd = |c: char| c == '\\' || is_hostile(c);
    if !is_web || rest.starts_with('/') || text.trim() != text || text.contains(is_odd) {
        return None;
    }
    let url = Url::parse(text).ok()?;
    let is_plain = url.username().is_empty() && url.password().is_none();
    (is_plain && url.has_host()).then_some(url)
}

/// The path that callbacks to `path` are signed over: as it stands in the address that the provider
/// is given.
pub(super) fn signed_path(path: &str) -> Option<String> {
    if !path.starts_with('/') || path.contains(['?', '#']) {
        return None;
    }
    let url = web_address(&format!("https://callback.invalid{path}"))?;
    Some(url.path().to_owned())
}
