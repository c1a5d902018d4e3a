//! What is known outside: written by the test itself, over connections of its own, into a schema
//! that the crate does not know.

use std::sync::Arc;

use coursegate::GrantId;
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, PgPool};

/// Money that the provider took, callbacks that were acknowledged, what people were told is
/// done, access that an admin was asked to give, and what publishers heard, in that order.
const TABLES: &str = "
    CREATE SCHEMA outside;
    CREATE TABLE outside.paid (reference text PRIMARY KEY, link text NOT NULL, cents bigint NOT NULL);
    CREATE TABLE outside.acknowledged (body text NOT NULL);
    CREATE TABLE outside.done (act text NOT NULL, about text NOT NULL);
    CREATE TABLE outside.given (learner text NOT NULL, course text NOT NULL);
    CREATE TABLE outside.heard (place bigserial, event uuid NOT NULL, enrollment uuid,
        version bigint NOT NULL, by text NOT NULL);
    CREATE INDEX ON outside.heard (event)";

pub struct Books {
    pub pool: PgPool,
    pub schema: String,
}

impl Books {
    pub async fn open(url: &str, schema: &str) -> Arc<Self> {
        let pool = PgPoolOptions::new()
            .max_connections(6)
            .acquire_timeout(std::time::Duration::from_secs(60))
            .connect(url)
            .await
            .unwrap();
        let books = Self {
            pool,
            schema: schema.to_owned(),
        };
        books.run(TABLES).await;
        Arc::new(books)
    }

    pub async fn run(&self, text: &str) {
        let text = self.named(text);
        let done = sqlx::raw_sql(AssertSqlSafe(text)).execute(&self.pool).await;
        done.unwrap();
    }

    /// A text about `school` and `outside`, in the schemas of this storm.
    pub fn named(&self, text: &str) -> String {
        let outside = format!("{}_outside", self.schema);
        text.replace("school.", &format!("{}.", self.schema))
            .replace("SCHEMA outside", &format!("SCHEMA {outside}"))
            .replace("outside.", &format!("{outside}."))
    }

    /// Takes the comparison of versions out of the function `commit`.
    pub async fn forget_versions(&self) {
        let asked = "SELECT pg_get_functiondef('school.commit(jsonb)'::regprocedure)";
        let definition = self.ask(asked, &[]).await.remove(0);
        let (compares, does_not) = (
            "WHERE id = e.id AND version = expected;",
            "WHERE id = e.id;",
        );
        assert_eq!(definition.matches(compares).count(), 1, "{definition}");
        self.run(&definition.replace(compares, does_not)).await;
    }

    /// Texts in a row.
    pub async fn ask(&self, text: &str, about: &[&str]) -> Vec<String> {
        let mut query = sqlx::query_scalar(AssertSqlSafe(self.named(text)));
        for value in about {
            query = query.bind(*value);
        }
        query.fetch_all(&self.pool).await.unwrap()
    }

    async fn write(&self, text: &str, values: &[&str]) {
        let mut query = sqlx::query(AssertSqlSafe(self.named(text)));
        for value in values {
            query = query.bind(*value);
        }
        query.execute(&self.pool).await.unwrap();
    }

    pub async fn paid(&self, reference: &str, link: &str, cents: i64) {
        let text = "INSERT INTO outside.paid VALUES ($1, $2, $3::text::bigint)";
        self.write(text, &[reference, link, &cents.to_string()])
            .await;
    }

    pub async fn acknowledged(&self, body: &[u8]) {
        let body = std::str::from_utf8(body).unwrap();
        self.write("INSERT INTO outside.acknowledged VALUES ($1)", &[body])
            .await;
    }

    pub async fn done(&self, act: &str, about: &str) {
        self.write("INSERT INTO outside.done VALUES ($1, $2)", &[act, about])
            .await;
    }

    pub async fn given(&self, learner: &str, course: &str) {
        self.write(
            "INSERT INTO outside.given VALUES ($1, $2)",
            &[learner, course],
        )
        .await;
    }

    pub async fn grants(&self, learner: &str, course: &str) -> Vec<GrantId> {
        let text = "SELECT id::text FROM school.grants
            WHERE learner = $1 AND course = $2 AND ended_at IS NULL ORDER BY id";
        let ids = self.ask(text, &[learner, course]).await;
        ids.iter().map(|id| id.parse().unwrap()).collect()
    }
}
