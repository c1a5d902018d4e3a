//! What each kind of name may hold.

use super::error::IdError;
use super::hidden::{hostile_in_title, is_hostile_in_id};

pub(super) fn check(text: &str, what: &'static str, limit: usize) -> Result<(), IdError> {
    check_with(text, what, limit, |text| text.find(is_hostile_in_id))
}

pub(super) fn check_title(text: &str, what: &'static str, limit: usize) -> Result<(), IdError> {
    check_with(text, what, limit, hostile_in_title)
}

pub(super) fn check_person(text: &str, what: &'static str, limit: usize) -> Result<(), IdError> {
    check(text, what, limit)?;
    match text.find(|c: char| !c.is_ascii()) {
        Some(at) => Err(IdError::NotAscii { what, at }),
        None => Ok(()),
    }
}

fn check_with(
    text: &str,
    what: &'static str,
    limit: usize,
    hostile: fn(&str) -> Option<usize>,
) -> Result<(), IdError> {
    if text.is_empty() {
        return Err(IdError::Empty { what });
    }
    if text.len() > limit {
        return Err(IdError::TooLong { what, limit });
    }
    let plain = text.bytes().all(|b| b.is_ascii_graphic());
    if plain {
        return Ok(());
    }
    if let Some(at) = hostile(text) {
        return Err(IdError::BadCharacter { what, at });
    }
    if text.trim() != text {
        return Err(IdError::Padded { what });
    }
    Ok(())
}

pub(super) fn check_link(text: &str, what: &'static str, limit: usize) -> Result<(), IdError> {
    check(text, what, limit)?;
    match text
        .bytes()
        .position(|b| !(b.is_ascii_alphanumeric() || b == b'_' || b == b'-'))
    {
        Some(at) => Err(IdError::BadCharacter { what, at }),
        None => Ok(()),
    }
}

pub(super) fn check_channel(text: &str, what: &'static str, limit: usize) -> Result<(), IdError> {
    check_link(text, what, limit)?;
    match text.bytes().position(|b| b.is_ascii_uppercase()) {
        Some(at) => Err(IdError::BadCharacter { what, at }),
        None => Ok(()),
    }
}

pub(super) fn check_email(text: &str, what: &'static str, limit: usize) -> Result<(), IdError> {
    check(text, what, limit)?;
    match text.split_once('@') {
        Some((local, domain))
            if !local.is_empty()
                && !domain.is_empty()
                && !domain.contains('@')
                && !text.contains(char::is_whitespace) =>
        {
            Ok(())
        }
        _ => Err(IdError::NotAnEmail),
    }
}
