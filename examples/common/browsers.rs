//! What browsers are told with every answer, and which of their posts are taken. For any framework.

/// For every answer that does not say it otherwise.
pub const HEADERS: [(&str, &str); 5] = [
    ("cache-control", "no-store"),
    (
        "content-security-policy",
        "default-src 'none'; frame-ancestors 'none'; base-uri 'none'",
    ),
    // With `no-referrer`, browsers send no Origin with the forms of our own pages either.
    ("referrer-policy", "same-origin"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
];

/// Said to whoever posts from elsewhere.
pub const ELSEWHERE: &str = "This came from another site. Open the page here, and try again.\n";

/// Whether a request may change something: reading is open to all, and everything else to the pages
/// of `site`, such as `https://school.example`. The provider's callback is not a browser's, and needs
/// a route that does not ask this.
pub fn may_change<'h>(
    site: &str,
    method: &str,
    header: impl Fn(&'static str) -> Option<&'h str>,
) -> bool {
    if matches!(method, "GET" | "HEAD" | "OPTIONS") {
        return true;
    }
    match (header("sec-fetch-site"), header("origin")) {
        // No script can set it: it is the browser's own word.
        (Some(from), _) => from == "same-origin",
        (None, Some(origin)) => origin == site,
        (None, None) => false,
    }
}
