use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;

use secrecy::{ExposeSecret, SecretString};

/// Environment variables, as a process was started with. Values are wiped when it is dropped,
/// and never shown.
#[derive(Clone, Default)]
pub struct Environment {
    /// `None` is a value that is no text.
    variables: BTreeMap<String, Option<SecretString>>,
}

impl Environment {
    /// This process's own.
    pub fn of_process() -> Self {
        Self::new(std::env::vars_os())
    }

    /// These variables. A name that is no text is left out.
    pub fn new<N, V>(variables: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: Into<OsString>,
        V: Into<OsString>,
    {
        let named = variables.into_iter().filter_map(|(name, value)| {
            let name = name.into().into_string().ok()?;
            let value = value.into().into_string().ok();
            Some((name, value.map(SecretString::from)))
        });
        Self {
            variables: named.collect(),
        }
    }

    /// What a variable holds: `None` when it is not set.
    pub(crate) fn get(&self, name: &str) -> Option<Result<&str, NotText>> {
        let value = self.variables.get(name)?;
        Some(match value {
            Some(value) => Ok(value.expose_secret()),
            None => Err(NotText),
        })
    }

    /// Every variable, by name; a value that is no text is `None`.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.variables.iter().map(|(name, value)| {
            let value = value.as_ref().map(ExposeSecret::expose_secret);
            (name.as_str(), value)
        })
    }
}

/// A value that is no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotText;

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment")
            .field("variables", &self.variables.len())
            .finish_non_exhaustive()
    }
}
