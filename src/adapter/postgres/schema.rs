/// A name that cannot be a schema's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a schema name is 1 to 63 of the characters a-z, 0-9 and _, and does not start with a digit or pg_"
)]
pub struct SchemaError;

/// The schema everything lies in. All SQL is written for `coursegate` and renamed here, so
/// that it reads as what it does and never depends on the search path.
#[derive(Debug, Clone)]
pub(super) struct Schema(String);

impl Schema {
    pub(super) fn new(name: &str) -> Result<Self, SchemaError> {
        let plain = name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        let starts = !name.starts_with(|c: char| c.is_ascii_digit()) && !name.starts_with("pg_");
        if plain && starts && (1..=63).contains(&name.len()) {
            Ok(Self(name.to_owned()))
        } else {
            Err(SchemaError)
        }
    }

    pub(super) fn standard() -> Self {
        Self("coursegate".to_owned())
    }

    pub(super) fn name(&self) -> &str {
        &self.0
    }

    /// SQL that was written for the schema `coursegate`, for this one.
    pub(super) fn sql(&self, text: &str) -> String {
        text.replace("coursegate.", &format!("\"{}\".", self.0))
    }
}
