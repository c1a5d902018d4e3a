//! Is everything there that the schema file makes, and may it be used?

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use sqlx::types::Json;
use sqlx::{AssertSqlSafe, Row};

use super::error::CallError;
use super::migrate::{STEPS, is_known};
use super::rights::{FUNCTIONS, TABLES};
use super::rows::BadRow;
use super::{PgStore, arguments};
use crate::store::{StoreError, StoreReport};

impl PgStore {
    pub(super) async fn look(&self) -> Result<StoreReport, StoreError> {
        let rows = self
            .ask(&self.statements.objects, arguments![self.schema.name()])
            .await?;
        let row = rows.first().ok_or_else(|| {
            StoreError::Unusable("the database does not list its objects".to_owned())
        })?;
        let now: DateTime<Utc> = row.try_get("now").map_err(CallError::from)?;
        let Json(found): Json<BTreeSet<String>> =
            row.try_get("objects").map_err(CallError::from)?;
        let mut defects: Vec<String> = STEPS
            .iter()
            .flat_map(|(_, text)| made_by(text))
            .filter(|object| !found.contains(object))
            .map(|object| format!("{object} is missing"))
            .collect();
        let lacking = self.lacking().await?;
        let may_read = !lacking
            .iter()
            .any(|right| right.starts_with("USAGE") || right == "SELECT on migrations");
        let lacking = lacking.into_iter();
        defects.extend(lacking.map(|right| format!("the right to {right} is missing")));
        if found.contains("table migrations") && may_read {
            let list =
                "SELECT step, sha256 FROM coursegate.migrations WHERE step > 0 ORDER BY step";
            let list = self.schema.sql(list);
            let ran: Vec<(i32, String)> = sqlx::query_as(AssertSqlSafe(list))
                .persistent(false)
                .fetch_all(&self.pool)
                .await
                .map_err(CallError::from)?;
            let steps = (1..).zip(STEPS);
            defects.extend(
                steps
                    .filter(|(number, (_, text))| !is_known(&ran, *number, text))
                    .map(|(_, (name, _))| format!("step {name} did not run as it is here")),
            );
        } else if may_read {
            defects.push("the schema was never made".to_owned());
        }
        let body_keys = match defects.is_empty() {
            true => self.keys_needed().await?,
            false => Vec::new(),
        };
        Ok(StoreReport {
            now: Some(now),
            defects,
            body_keys,
        })
    }

    /// The rights that this role needs and does not have.
    async fn lacking(&self) -> Result<Vec<String>, CallError> {
        let (tables, privileges): (Vec<&str>, Vec<&str>) = TABLES
            .iter()
            .flat_map(|(table, rights)| rights.iter().map(|right| (*table, *right)))
            .unzip();
        let functions: &[&str] = &FUNCTIONS;
        let arguments = arguments![self.schema.name(), &tables, &privileges, functions];
        let rows = self.ask(&self.statements.lacking, arguments).await?;
        let row = rows.first().ok_or(BadRow("rights"))?;
        let Json(lacking): Json<Vec<String>> = row.try_get("lacking")?;
        Ok(lacking)
    }

    /// The keys without which deliveries that wait cannot be read.
    async fn keys_needed(&self) -> Result<Vec<String>, StoreError> {
        let needed = "SELECT DISTINCT body_key FROM coursegate.inbox
             WHERE state <> 'settled' AND body_key IS NOT NULL ORDER BY body_key";
        let needed = self.schema.sql(needed);
        let needed = sqlx::query_scalar(AssertSqlSafe(needed))
            .persistent(false)
            .fetch_all(&self.pool)
            .await
            .map_err(CallError::from)?;
        Ok(needed)
    }
}

/// The objects that a step of the schema makes, by kind and name.
fn made_by(text: &str) -> Vec<String> {
    let code = text
        .lines()
        .map(|line| line.split("--").next().unwrap_or_default());
    let code: Vec<&str> = code.collect();
    let code = code.join("\n");
    let words: Vec<&str> = code
        .split(|c: char| c.is_whitespace() || c == '(' || c == ',')
        .filter(|word| !word.is_empty())
        .collect();
    let mut objects = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let next = |by: usize| words.get(at + by).copied().unwrap_or_default();
        let (kind, name) = match (*word, next(1)) {
            ("CREATE", "TABLE") => ("table", next(2)),
            ("CREATE", "INDEX") => ("index", next(2)),
            ("CREATE", "TRIGGER") => ("trigger", next(2)),
            ("CREATE", "FUNCTION" | "AGGREGATE") => ("function", next(2)),
            ("CREATE", "DOMAIN") => ("domain", next(2)),
            ("CONSTRAINT", name) => ("constraint", name),
            _ => continue,
        };
        let name = name.strip_prefix("coursegate.").unwrap_or(name);
        objects.push(format!("{kind} {name}"));
    }
    objects
}
