//! Variables that build tools copy into pages.

use base64ct::{Base64, Encoding};

/// How the names of such variables begin.
const PREFIXES: [&str; 16] = [
    "VITE_",
    "NEXT_PUBLIC_",
    "REACT_APP_",
    "PUBLIC_",
    "NUXT_PUBLIC_",
    "EXPO_PUBLIC_",
    "VUE_APP_",
    "GATSBY_",
    "STORYBOOK_",
    "NG_APP_",
    "NX_PUBLIC_",
    "BUN_PUBLIC_",
    "REDWOOD_ENV_",
    "PLASMO_PUBLIC_",
    "SNOWPACK_PUBLIC_",
    "UMI_APP_",
];
/// A secret shorter than this may stand in a longer text by chance.
const FOUND_INSIDE: usize = 12;

/// Whether a secret may stand in a variable that everybody can read.
pub(super) fn is_exposed(name: &str, value: &str, secrets: &[&str]) -> bool {
    let name = name.to_ascii_uppercase();
    let exposed = PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    exposed && !value.is_empty() && (is_named(&name) || secrets.iter().any(|s| holds(value, s)))
}

/// Whether a name says that it holds one of our secrets.
fn is_named(name: &str) -> bool {
    let of_provider = name.contains("IKHOKHA") || name.split('_').any(|word| word == "IK");
    of_provider && name.contains("SECRET") || name.contains("COURSEGATE_BODY_KEY")
}

/// Whether a value is a secret, or has it inside: in quotes, in JSON, in an address, as hex or
/// base64.
fn holds(value: &str, secret: &str) -> bool {
    if secret.len() < FOUND_INSIDE {
        return value == secret;
    }
    let base64 = Base64::encode_string(secret.as_bytes());
    let hex = base16ct::lower::encode_string(secret.as_bytes());
    value.contains(secret)
        || value.contains(base64.trim_end_matches('='))
        || value.to_ascii_lowercase().contains(&hex)
}
