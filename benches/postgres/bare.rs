//! The floor: a program of its own on tables of its own, which stores what a webhook tells in as
//! few statements as there can be, or in one for each row.

use sqlx::types::Uuid;
use sqlx::{PgPool, Row};

const READ: &str = "
SELECT e.id, e.learner, e.course, e.version, e.status, a.amount, a.status AS paid,
       (SELECT state FROM bare.inbox WHERE key = $2) AS known,
       ARRAY (SELECT g.id FROM bare.grants AS g WHERE g.learner = e.learner AND g.course = e.course) AS grants
FROM bare.attempts AS a JOIN bare.enrollments AS e ON e.id = a.enrollment WHERE a.reference = $1";

const WRITE: &str = "
WITH moved AS (
    UPDATE bare.enrollments SET status = 'approved', reason = 'automatic_card_payment', counted = $2,
        version = version + 1, updated_at = now(), approved_at = now() WHERE id = $1 AND version = $3),
paid AS (
    UPDATE bare.attempts SET status = 'paid', paid_at = now(), paid_amount = amount, paid_method = 'card',
        evidence_level = 'signed', allocation = 'applied' WHERE reference = $2),
given AS (
    INSERT INTO bare.grants VALUES ($4, $5, $6, $1, 'payment', $2, 'full', now())),
seen AS (
    INSERT INTO bare.inbox VALUES ($7, now(), '/payments/ikhokha', $8, 'primary', $9, $2, $1, 'settled', 'approved')),
stopped AS (
    DELETE FROM bare.timers WHERE kind = 'attempt' AND name = $2),
kept AS (
    DELETE FROM bare.timers WHERE kind = 'enrollment' AND name = $1::text),
told AS (
    INSERT INTO bare.events SELECT r.id, $1, $3 + 1, r.event, 'code', 'system', 'system_automatic', now()
    FROM unnest($10::uuid[], $11::text[]) AS r (id, event))
INSERT INTO bare.outbox SELECT r.id, $1, $3 + 1, now() FROM unnest($10::uuid[]) AS r (id)";

/// What a webhook of ours events.
pub const EVENTS: [&str; 3] = [
    "payment_completed",
    "enrollment_approved",
    "course_access_granted",
];

/// One payment that is reported.
#[derive(Clone, Debug)]
pub struct Payment {
    enrollment: Uuid,
    reference: String,
    link: String,
    key: String,
    learner: String,
    course: String,
    body: String,
}

impl Payment {
    pub fn numbered(number: usize, body: String) -> Self {
        let reference = format!("DUE-{number}");
        let link = format!("due{number}");
        Self {
            enrollment: Uuid::from_u128((0x019d_0000_0000_7000_8000 << 48) | number as u128),
            key: format!("{link}/SUCCESS/{reference}"),
            reference,
            link,
            learner: format!("due-{number}"),
            course: format!("course-{}", number % 200),
            body,
        }
    }

    pub async fn read(&self, pool: &PgPool) {
        let row = sqlx::query(READ)
            .bind(&self.reference)
            .bind(&self.key)
            .fetch_one(pool)
            .await
            .unwrap();
        assert_eq!(row.get::<Uuid, _>("id"), self.enrollment);
        assert_eq!(row.get::<Option<String>, _>("known"), None);
    }

    pub async fn write(&self, pool: &PgPool) {
        let done = sqlx::query(WRITE)
            .bind(self.enrollment)
            .bind(&self.reference)
            .bind(2_i64)
            .bind(Uuid::new_v4())
            .bind(&self.learner)
            .bind(&self.course)
            .bind(&self.key)
            .bind(self.body.as_bytes())
            .bind(&self.link)
            .bind(events())
            .bind(&EVENTS[..])
            .execute(pool)
            .await
            .unwrap();
        assert_eq!(done.rows_affected(), 3);
    }

    /// The same in a transaction with a statement for each table.
    pub async fn write_one_by_one(&self, pool: &PgPool) {
        let mut transaction = pool.begin().await.unwrap();
        let id = self.enrollment;
        let version: i64 =
            sqlx::query_scalar("SELECT version FROM bare.enrollments WHERE id = $1 FOR UPDATE")
                .bind(id)
                .fetch_one(&mut *transaction)
                .await
                .unwrap();
        let events = events();
        let statements = [
            sqlx::query(
                "INSERT INTO bare.inbox VALUES
                 ($1, now(), '/payments/ikhokha', $2, 'primary', $3, $4, $5, 'settled', 'approved')",
            )
            .bind(&self.key)
            .bind(self.body.as_bytes())
            .bind(&self.link)
            .bind(&self.reference)
            .bind(id),
            sqlx::query(
                "UPDATE bare.enrollments SET status = 'approved', reason = 'automatic_card_payment',
                 counted = $2, version = $3, updated_at = now(), approved_at = now() WHERE id = $1",
            )
            .bind(id)
            .bind(&self.reference)
            .bind(version + 1),
            sqlx::query(
                "UPDATE bare.attempts SET status = 'paid', paid_at = now(), paid_amount = amount,
                 paid_method = 'card', evidence_level = 'signed', allocation = 'applied' WHERE reference = $1",
            )
            .bind(&self.reference),
            sqlx::query(
                "INSERT INTO bare.grants VALUES ($1, $2, $3, $4, 'payment', $5, 'full', now())",
            )
            .bind(Uuid::new_v4())
            .bind(&self.learner)
            .bind(&self.course)
            .bind(id)
            .bind(&self.reference),
            sqlx::query(
                "DELETE FROM bare.timers
                 WHERE kind = 'attempt' AND name = $1 OR kind = 'enrollment' AND name = $2::text",
            )
            .bind(&self.reference)
            .bind(id),
            sqlx::query(
                "INSERT INTO bare.events
                 SELECT r.id, $1, $2, r.event, 'code', 'system', 'system_automatic', now()
                 FROM unnest($3::uuid[], $4::text[]) AS r (id, event)",
            )
            .bind(id)
            .bind(version + 1)
            .bind(&events)
            .bind(&EVENTS[..]),
            sqlx::query(
                "INSERT INTO bare.outbox SELECT r.id, $1, $2, now() FROM unnest($3::uuid[]) AS r (id)",
            )
            .bind(id)
            .bind(version + 1)
            .bind(&events),
        ];
        for statement in statements {
            statement.execute(&mut *transaction).await.unwrap();
        }
        transaction.commit().await.unwrap();
    }
}

fn events() -> Vec<Uuid> {
    EVENTS.iter().map(|_| Uuid::new_v4()).collect()
}
