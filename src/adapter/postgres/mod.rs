//! Postgres: durable, exact, one statement to read and one to write.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use coursegate::adapter::postgres::{PgStore, pool_options};
//!
//! let pool = pool_options().connect("postgres://school@localhost/school").await?;
//! let store = PgStore::new(pool);
//! store.migrate().await?;
//! # Ok(()) }
//! ```
//!
//! Everything lies in one schema, `coursegate` unless [`PgStore::schema`] names another, and
//! the file `schema/0001_coursegate.sql` beside this module says what each table is for.
//!
//! # What a webhook costs
//! One read and one durable write, each a single statement that is prepared once for each
//! connection. A duplicate is the read alone.
//!
//! # Isolation
//! A commit is one statement and needs no more than READ COMMITTED: it names the version its
//! decision was made on, and the losers of a race write nothing. It is as correct at
//! SERIALIZABLE, where the database answers some races with SQLSTATE 40001: the whole call is
//! then made again, twelve times at most, with pauses of random length. There are no advisory
//! locks, nothing depends on LISTEN (it only makes live updates come at once, see
//! [`PgStore::subscribe`]), and no order is read off serial numbers.
//!
//! # What was tested, and what was not
//! Tested: PostgreSQL 15 with default durability, alone and behind PgBouncer 1.18 in
//! transaction mode (see [`PgStore::transaction_pooler`]), at both isolation levels, killed,
//! cut off and frozen at random moments. Not tested: other major versions, replicas that are
//! promoted, and databases that speak the same protocol. These need PL/pgSQL,
//! functions with a `RETURN` (since 14), `INSERT ... ON CONFLICT`, JSON functions, partial indexes and `FOR UPDATE SKIP LOCKED`.
//!
//! # Rights
//! [`PgStore::migrate`] wants the owner of the schema, or a role that may create it. The role
//! that serves requests needs the rights that the head of the schema file grants, and no others:
//!
//! | on | rights |
//! |---|---|
//! | the schema | `USAGE` |
//! | every table | `SELECT` |
//! | `enrollments`, `attempts`, `grants`, `inbox`, `preferences`, `discrepancies`, `statement_rows` | `INSERT`, `UPDATE` |
//! | `outbox`, `timers` | `INSERT`, `UPDATE`, `DELETE` |
//! | `pending` | `INSERT`, `DELETE` |
//! | `events`, `read_notices`, `statement_parts` | `INSERT` |
//! | every function | `EXECUTE` |
//!
//! So it can neither change an event nor write the audit log: `append_audit_log` and `empty_events` do, as the
//! owner, with a search path of their own. Rights that are missing are among the defects that
//! [`Store::inspect`](crate::store::Store::inspect) finds, and so in the readiness report.
//!
//! # Connections
//! [`pool_options`] is a good start: about four connections for each core of the database,
//! since callers that wait for one cost next to nothing, and no test before each use, which
//! would be one more round trip. A connection that broke while idle costs the call that
//! finds out one more try.
//!
//! A call that is given up on (a deadline passed, a task was aborted) closes its connection
//! rather than hand it to the next caller.

mod announce;
mod error;
mod inspect;
mod migrate;
mod objects;
mod personal;
mod queries;
mod rights;
mod rows;
mod schema;
mod sharing;
mod statements;
mod store;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgPoolOptions, PgRow, Postgres};
use sqlx::types::Json;
use sqlx::{AssertSqlSafe, Connection, PgPool, Row};

pub use announce::PgAnnouncer;
pub use migrate::MigrateError;
pub use schema::SchemaError;

use error::{Backoff, CallError};
use rows::BadRow;
use schema::Schema;
use statements::Statements;

/// A [`Store`](crate::store::Store) in Postgres, with its [`Queries`](crate::store::Queries).
/// Clones share the pool.
#[derive(Clone)]
pub struct PgStore {
    pool: PgPool,
    schema: Schema,
    statements: Arc<Statements>,
    pooled: bool,
}

impl PgStore {
    /// A store in the schema `coursegate` of the database the pool connects to.
    pub fn new(pool: PgPool) -> Self {
        let schema = Schema::standard();
        let statements = Arc::new(Statements::new(&schema));
        Self {
            pool,
            schema,
            statements,
            pooled: false,
        }
    }

    /// Puts everything into another schema: several schools in one database are several
    /// schemas.
    ///
    /// # Errors
    /// [`SchemaError`] when the name cannot be a schema's.
    pub fn schema(mut self, name: &str) -> Result<Self, SchemaError> {
        self.schema = Schema::new(name)?;
        self.statements = Arc::new(Statements::new(&self.schema));
        Ok(self)
    }

    /// For a connection pooler in transaction mode that cannot keep prepared statements
    /// (PgBouncer before 1.21): each call becomes a transaction of its own with a statement
    /// that has no name. It costs more round trips; a pooler that keeps prepared
    /// statements does not need it.
    #[must_use]
    pub fn transaction_pooler(mut self) -> Self {
        self.pooled = true;
        self
    }

    /// Makes the schema, or brings it up to date. Any number of processes may call it at
    /// once, and again; one that dies in the middle leaves nothing behind. What ran is noted
    /// in a table of this schema, never in the host's own list of migrations.
    ///
    /// # Errors
    /// [`MigrateError`]; nothing was changed.
    pub async fn migrate(&self) -> Result<(), MigrateError> {
        migrate::migrate(&self.pool, &self.schema).await
    }

    /// Runs one statement, again if the database asks for it.
    async fn ask(
        &self,
        text: &Arc<str>,
        arguments: Result<PgArguments, sqlx::Error>,
    ) -> Result<Vec<PgRow>, CallError> {
        let arguments = arguments?;
        let mut backoff = Backoff::new();
        loop {
            match self.ask_once(text.clone(), arguments.clone()).await {
                Err(error) if backoff.again(&error).await => {}
                done => return done,
            }
        }
    }

    async fn ask_once(
        &self,
        text: Arc<str>,
        arguments: PgArguments,
    ) -> Result<Vec<PgRow>, CallError> {
        let mut borrowed = Borrowed {
            connection: self.pool.acquire().await?,
            answered: false,
        };
        let query = sqlx::query_with(AssertSqlSafe(text), arguments).persistent(!self.pooled);
        let done = if self.pooled {
            let mut transaction = borrowed.connection.begin().await?;
            match query.fetch_all(&mut *transaction).await {
                Ok(rows) => transaction.commit().await.map(|()| rows),
                Err(error) => Err(error),
            }
        } else {
            query.fetch_all(&mut *borrowed.connection).await
        };
        borrowed.answered = true;
        Ok(done?)
    }
}

/// The arguments of a statement, in order.
macro_rules! arguments {
    ($($value:expr),* $(,)?) => {{
        let mut arguments = ::sqlx::postgres::PgArguments::default();
        let mut add = || -> Result<(), ::sqlx::error::BoxDynError> {
            $(::sqlx::Arguments::add(&mut arguments, $value)?;)*
            Ok(())
        };
        add().map(|()| arguments).map_err(::sqlx::Error::Encode)
    }};
}
use arguments;

/// The rows of a statement that gives one column of JSON.
fn all<R, T>(rows: &[PgRow]) -> Result<Vec<T>, CallError>
where
    R: DeserializeOwned + 'static,
    T: TryFrom<R, Error = BadRow>,
{
    rows.iter()
        .map(|row| {
            let Json(row) = row.try_get::<Json<R>, _>(0)?;
            Ok(row.try_into()?)
        })
        .collect()
}

impl fmt::Debug for PgStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PgStore")
            .field("schema", &self.schema.name())
            .finish_non_exhaustive()
    }
}

/// Options for a pool that suits this store: eight connections, no test before each use, and
/// no waiting for a connection beyond five seconds.
pub fn pool_options() -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(8)
        .test_before_acquire(false)
        .acquire_timeout(Duration::from_secs(5))
}

/// A connection that is closed, and not handed to the next caller, when the call on it is
/// given up on: an answer may still be on its way.
struct Borrowed {
    connection: PoolConnection<Postgres>,
    answered: bool,
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        if !self.answered {
            self.connection.close_on_drop();
        }
    }
}
