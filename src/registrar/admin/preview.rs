//! What a file of a bank would do, before anything of it is imported.

use crate::registrar::admin::handles::Statements;
use crate::registrar::admin::statement::Imported;
use crate::registrar::error::Error;
use crate::statement::{Guess, Mapping, MappingError, ParsedStatement, Preset, detect, parse_csv};
use crate::vocabulary::AccountId;
use crate::vocabulary::reason::Permission;

/// What a file of a bank holds, and what an import of it would do. Nothing is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StatementPreview {
    /// The account it would be imported for.
    pub account: AccountId,
    /// Whether nothing was imported for this account before: a name written in another way is another
    /// account, and pays again what was imported for the first.
    pub is_new_account: bool,
    /// Layouts that the file may have, best first.
    pub guesses: Vec<Guess>,
    /// How it was read.
    pub mapping: Mapping,
    /// What was read: the rows to show and to import, and the counts of all lines.
    pub statement: ParsedStatement,
    /// What an import of the rows would come to.
    pub import: Imported,
}

impl StatementPreview {
    /// The layout it was read by, where that is one that it may have.
    pub fn preset(&self) -> Option<Preset> {
        let mut guesses = self.guesses.iter();
        let found = guesses.find(|guess| guess.mapping == self.mapping);
        found.map(|guess| guess.preset)
    }
}

impl Statements<'_> {
    /// Reads a file of a bank for one of the school's accounts, and says what its import would do, to be
    /// shown to a person first. Without a mapping it is read by the layout that it most likely has.
    ///
    /// What is to be imported are its rows:
    ///
    /// ```no_run
    /// # use coursegate::registrar::Admin;
    /// # use coursegate::{AccountId, Error};
    /// # async fn example(admin: &Admin<'_>, account: &AccountId, file: &[u8]) -> Result<(), Error> {
    /// let preview = admin.statements().preview(account, file, None).await?;
    /// println!("{:?}: {} rows", preview.preset(), preview.statement.rows.len());
    /// admin.statements().import(account, &preview.statement.rows).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Statement`] when nothing of the file can be read, or the store's errors.
    pub async fn preview(
        &self,
        account: &AccountId,
        file: &[u8],
        mapping: Option<&Mapping>,
    ) -> Result<StatementPreview, Error> {
        self.admin.allow(Permission::View, None).await?;
        let today = self.admin.registrar.now().date_naive();
        let guesses = detect(file, today)?;
        let guessed = guesses.first().map(|guess| &guess.mapping);
        let mapping = mapping.or(guessed).ok_or(MappingError::NoPreset)?.clone();
        let statement = parse_csv(file, &mapping, today)?;
        let import = self.rehearse(account, &statement.rows).await?;
        let is_new_account = !self.accounts().await?.contains(account);
        Ok(StatementPreview {
            account: account.clone(),
            is_new_account,
            guesses,
            mapping,
            statement,
            import,
        })
    }
}
