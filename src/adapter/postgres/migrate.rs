use sha2::{Digest, Sha256};
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool};

use super::error::{Backoff, CallError};
use super::schema::Schema;
use crate::store::StoreError;

/// The steps, oldest first. One that was released is never edited.
pub(super) const STEPS: &[(&str, &str)] = &[(
    "0001_coursegate",
    include_str!("schema/0001_coursegate.sql"),
)];

/// Why the schema could not be brought up to date. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MigrateError {
    /// A newer version of this crate made the schema: run that version, or a newer one.
    #[error("the schema is at step {found}, and this version knows {known} steps only")]
    Newer {
        /// Steps that ran.
        found: i32,
        /// Steps that this version knows.
        known: i32,
    },
    /// A step that ran differs from the one this version has: somebody edited it.
    #[error("step {step} ran with another text than this version has")]
    Edited {
        /// The step.
        step: String,
    },
    /// The database did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The steps that are yet to run, in one transaction: any number of processes may call this
/// at once, and one that dies leaves nothing behind.
pub(super) async fn migrate(pool: &PgPool, schema: &Schema) -> Result<(), MigrateError> {
    let mut races = Races::new();
    while let Err(error) = prepare(pool, schema).await {
        races.again(error).await?;
    }
    loop {
        match run(pool, schema).await {
            Ok(done) => return done,
            Err(error) => races.again(error).await?,
        }
    }
}

/// Makes the schema and the list of steps, which the transaction after it queues at.
async fn prepare(pool: &PgPool, schema: &Schema) -> Result<(), CallError> {
    let mut connection = pool.acquire().await?;
    let mut transaction = connection.begin().await?;
    // Whoever may not create anything can still use what was made for them.
    let (has_schema, has_table): (bool, bool) = sqlx::query_as(
        "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1),
             EXISTS (SELECT FROM pg_tables WHERE schemaname = $1 AND tablename = 'migrations')",
    )
    .persistent(false)
    .bind(schema.name())
    .fetch_one(&mut *transaction)
    .await?;
    if has_table {
        return Ok(transaction.commit().await?);
    }
    let create = if has_schema {
        String::new()
    } else {
        format!("CREATE SCHEMA IF NOT EXISTS \"{}\";", schema.name())
    };
    // Its row 0 is what the processes queue at: a row lock is all that this needs.
    let table = schema.sql(
        "CREATE TABLE IF NOT EXISTS coursegate.migrations (
             step integer PRIMARY KEY, name text NOT NULL, sha256 text NOT NULL,
             ran_at timestamptz NOT NULL DEFAULT now());
         INSERT INTO coursegate.migrations (step, name, sha256) VALUES (0, '', '')
             ON CONFLICT DO NOTHING",
    );
    sqlx::raw_sql(AssertSqlSafe(create + &table))
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(())
}

async fn run(pool: &PgPool, schema: &Schema) -> Result<Result<(), MigrateError>, CallError> {
    let mut connection = pool.acquire().await?;
    let mut transaction = connection.begin().await?;
    let done = run_missing(&mut transaction, schema).await?;
    match done {
        Ok(()) => transaction.commit().await?,
        Err(_) => transaction.rollback().await?,
    }
    Ok(done)
}

async fn run_missing(
    connection: &mut PgConnection,
    schema: &Schema,
) -> Result<Result<(), MigrateError>, CallError> {
    let list =
        schema.sql("SELECT step, sha256 FROM coursegate.migrations WHERE step > 0 ORDER BY step");
    let ran = async |connection: &mut PgConnection| -> Result<Vec<(i32, String)>, CallError> {
        let list = sqlx::query_as(AssertSqlSafe(list.clone())).persistent(false);
        Ok(list.fetch_all(connection).await?)
    };
    // Whoever may not change anything can still find that nothing is to be done.
    let found = ran(connection).await?;
    let mut steps = (1..).zip(STEPS);
    if found.len() == STEPS.len() && steps.all(|(at, (_, text))| is_known(&found, at, text)) {
        return Ok(Ok(()));
    }
    let lock = schema.sql("SELECT step FROM coursegate.migrations WHERE step = 0 FOR UPDATE");
    sqlx::raw_sql(AssertSqlSafe(lock))
        .execute(&mut *connection)
        .await?;
    let ran = ran(connection).await?;
    let known = i32::try_from(STEPS.len()).unwrap_or(i32::MAX);
    if let Some((found, _)) = ran.last().filter(|(step, _)| *step > known) {
        return Ok(Err(MigrateError::Newer {
            found: *found,
            known,
        }));
    }
    for (number, (name, text)) in (1..).zip(STEPS) {
        let sha256 = base16ct::lower::encode_string(&Sha256::digest(text));
        match ran.iter().find(|(step, _)| *step == number) {
            Some((_, found)) if *found == sha256 => {}
            Some(_) => {
                return Ok(Err(MigrateError::Edited {
                    step: (*name).to_owned(),
                }));
            }
            None => {
                tracing::info!(step = name, "migrating the schema");
                sqlx::raw_sql(AssertSqlSafe(schema.sql(text)))
                    .execute(&mut *connection)
                    .await?;
                let note = schema.sql(
                    "INSERT INTO coursegate.migrations (step, name, sha256) VALUES ($1, $2, $3)",
                );
                sqlx::query(AssertSqlSafe(note))
                    .persistent(false)
                    .bind(number)
                    .bind(*name)
                    .bind(sha256)
                    .execute(&mut *connection)
                    .await?;
            }
        }
    }
    Ok(Ok(()))
}

/// Whether a step ran with this text.
pub(super) fn is_known(ran: &[(i32, String)], number: i32, text: &str) -> bool {
    let sha256 = base16ct::lower::encode_string(&Sha256::digest(text));
    ran.iter()
        .any(|(step, found)| *step == number && *found == sha256)
}

/// `IF NOT EXISTS` can still collide with another process that creates the same thing.
struct Races {
    left: u32,
    backoff: Backoff,
}

impl Races {
    fn new() -> Self {
        Self {
            left: 20,
            backoff: Backoff::new(),
        }
    }

    /// Gives the error back unless another try may go better.
    async fn again(&mut self, error: CallError) -> Result<(), StoreError> {
        let code = error.code();
        let collided = matches!(
            code.as_deref(),
            Some("23505" | "42P06" | "42P07" | "42710" | "XX000")
        );
        if collided && self.left > 0 {
            self.left -= 1;
            return Ok(());
        }
        if self.backoff.again(&error).await {
            return Ok(());
        }
        Err(error.into())
    }
}
