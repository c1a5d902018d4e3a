//! What only looks like an erasure, or takes more than an erasure may, is found.

use coursegate::adapter::postgres::PgStore;
use coursegate::store::Store;
use sqlx::{AssertSqlSafe, PgPool};

use crate::audit_log::{OFF, broken_at, numbers, run, school};
use crate::cluster::pool;
use crate::school::registrar;
use crate::support::{admin, course, learner};

/// Two learners; one of them is erased, as it is done.
struct Erased {
    schema: String,
    store: PgStore,
    onlooker: PgPool,
    /// Events that were emptied, and events that name the other learner.
    emptied: Vec<i64>,
    whole: Vec<i64>,
}

impl Erased {
    async fn new() -> Self {
        let (schema, store) = school().await;
        let registrar = registrar(store.clone());
        let desk = registrar.admin(admin());
        registrar
            .withdraw(&learner("thandi"), &course())
            .await
            .unwrap();
        desk.learners().erase(&learner("thandi")).await.unwrap();
        while store.append_audit_log(None, 100).await.unwrap() > 0 {}
        let onlooker = pool().await;
        let emptied = numbers(&onlooker, &schema, "salt IS NULL").await;
        let of_sipho = format!("event IN (SELECT id FROM {schema}.events WHERE learner = 'sipho')");
        let whole = numbers(&onlooker, &schema, &of_sipho).await;
        assert!(emptied.len() > 3 && whole.len() > 3);
        let school = Self {
            schema,
            store,
            onlooker,
            emptied,
            whole,
        };
        assert_eq!(school.broken().await, None);
        school
    }

    async fn broken(&self) -> Option<u64> {
        let registrar = registrar(self.store.clone());
        broken_at(&registrar.admin(admin())).await
    }

    /// What whoever owns the tables does, and where the audit log breaks by it.
    async fn after(&self, spoil: &str) -> Option<u64> {
        run(&self.onlooker, &self.schema, &format!("{OFF} {spoil}")).await;
        while self.store.append_audit_log(None, 100).await.unwrap() > 0 {}
        self.broken().await
    }

    /// An event that is written like an erasure, under an admin's name.
    fn forged(&self, about: &str, named: &[i64]) -> String {
        let named: Vec<String> = named.iter().map(i64::to_string).collect();
        format!(
            "INSERT INTO events (id, enrollment, version, course, name, severity, data, actor, admin,
                 source, at)
             SELECT 'ffffffff-0000-7000-8000-000000000000', {about}, 9, NULL, 'personal_data_erased',
                 'info', '{{\"type\":\"personal_erased\",\"grants\":[],\"events\":'
                     || json_agg(c.event) || '}}', 'admin', 'amahle', 'admin_approval', now()
             FROM audit_log AS c WHERE c.position IN ({});",
            named.join(", ")
        )
    }
}

const EMPTY: &str = "learner = NULL, note = NULL, written = NULL, card = NULL";

fn of(position: i64) -> String {
    format!("(SELECT event FROM audit_log WHERE position = {position})")
}

#[tokio::test]
async fn half_an_erasure_is_found() {
    for (events, salt) in [
        // The salt alone; and with everything personal, but without an erasure.
        ("", true),
        (EMPTY, true),
        // Not even the salt.
        (EMPTY, false),
        // Some of it stays.
        ("learner = NULL", true),
        ("learner = NULL", false),
        ("note = NULL, written = NULL, card = NULL", true),
        // Something else stands there.
        (
            "learner = 'erased-1', note = NULL, written = NULL, card = NULL",
            true,
        ),
        (
            "learner = NULL, note = '', written = NULL, card = NULL",
            true,
        ),
        (
            "learner = NULL, note = NULL, written = '[]', card = NULL",
            true,
        ),
    ] {
        let school = Erased::new().await;
        let victim = school.whole[2];
        let mut spoil = String::new();
        if !events.is_empty() {
            spoil = format!("UPDATE events SET {events} WHERE id = {};", of(victim));
        }
        if salt {
            spoil.push_str(&format!(
                "UPDATE audit_log SET salt = NULL WHERE position = {victim};"
            ));
        }
        assert_eq!(
            school.after(&spoil).await,
            u64::try_from(victim).ok(),
            "{spoil}"
        );
    }
}

#[tokio::test]
async fn an_erasure_can_take_nothing_but_what_is_personal() {
    // An erasure of the right enrollment, made up: it may empty, as it says, and no more.
    let school = Erased::new().await;
    let victim = school.whole[school.whole.len() - 2];
    let about = format!("(SELECT enrollment FROM events WHERE id = {})", of(victim));
    let forged = school.forged(&about, &[victim]);
    let forged = format!(
        "{forged} UPDATE events SET {EMPTY} WHERE id = {}; UPDATE audit_log SET salt = NULL WHERE position = {victim};",
        of(victim)
    );
    assert_eq!(school.after(&forged).await, None);
    let registrar = registrar(school.store.clone());
    let desk = registrar.admin(admin());
    let report = desk.audit_log().verify(None).await.unwrap();
    assert_eq!(report.erased, school.emptied.len() as u64 + 1);

    let takes_more = [
        "admin = 'somebody else', actor = 'admin'",
        "actor = 'system', admin = NULL, source = 'provider_status'",
        "at = at - interval '1 day'",
        "data = replace(data, '49900', '100') || ' '",
        "data = '{\"type\":\"first_approval\"}'",
        "basis = '{}'",
        "course = 'another'",
        "enrollment = NULL",
        "version = version + 1",
        "note = 'another note'",
        "learner = 'another learner'",
        "written = '[\"another reason\"]'",
        "card = '{\"card_type\":\"Visa\"}'",
    ];
    for changed in takes_more {
        // Of one that the made-up erasure emptied, and of one that a genuine one did.
        for victim in [victim, school.emptied[1]] {
            let keep = "CREATE TABLE kept AS SELECT * FROM events;";
            let spoil = format!(
                "{keep} UPDATE events SET {changed} WHERE id = {};",
                of(victim)
            );
            assert_eq!(
                school.after(&spoil).await,
                u64::try_from(victim).ok(),
                "{changed}"
            );
            let back =
                "DELETE FROM events; INSERT INTO events SELECT * FROM kept; DROP TABLE kept;";
            assert_eq!(school.after(back).await, None, "{changed}");
        }
    }
}

#[tokio::test]
async fn an_erasure_of_somebody_else_speaks_for_nobody() {
    let about_thandi = |school: &Erased| {
        format!(
            "(SELECT enrollment FROM events WHERE id = {})",
            of(school.emptied[0])
        )
    };
    for of_nobody in [false, true] {
        let school = Erased::new().await;
        let victim = school.whole[1];
        let about = match of_nobody {
            false => about_thandi(&school),
            true => "NULL".to_owned(),
        };
        let spoil = format!(
            "{} UPDATE events SET {EMPTY} WHERE id = {}; UPDATE audit_log SET salt = NULL WHERE position = {victim};",
            school.forged(&about, &[victim]),
            of(victim)
        );
        assert_eq!(school.after(&spoil).await, u64::try_from(victim).ok());
    }
    // The genuine one, rewritten so that it names another event as well.
    let school = Erased::new().await;
    let victim = school.whole[1];
    let erasures = format!(
        "event IN (SELECT id FROM {}.events WHERE name = 'personal_data_erased')",
        school.schema
    );
    let found = numbers(&school.onlooker, &school.schema, &erasures).await[0];
    let spoil = format!(
        "UPDATE events SET data = replace(data, '\"events\":[', '\"events\":[\"' || {} || '\",')
             WHERE name = 'personal_data_erased';
         UPDATE events SET {EMPTY} WHERE id = {}; UPDATE audit_log SET salt = NULL WHERE position = {victim};",
        of(victim),
        of(victim)
    );
    assert_eq!(school.after(&spoil).await, u64::try_from(found).ok());
    // And by the function itself: it does what an erasure says of its own, and nothing else.
    let school = Erased::new().await;
    let about = about_thandi(&school);
    let forged = school.forged(&about, &[school.whole[1]]);
    run(&school.onlooker, &school.schema, &forged).await;
    for erasure in [
        "ffffffff-0000-7000-8000-000000000000",
        "00000000-0000-0000-0000-000000000000",
    ] {
        let text = format!("SELECT {}.empty_events('{erasure}')", school.schema);
        assert_eq!(refused(&school, &text).await.as_deref(), Some("CG005"));
    }
}

async fn refused(school: &Erased, text: &str) -> Option<String> {
    let done = sqlx::raw_sql(AssertSqlSafe(text.to_owned()))
        .execute(&school.onlooker)
        .await;
    let error = done.err()?.into_database_error()?;
    error.code().map(std::borrow::Cow::into_owned)
}

/// With the switch of a genuine erasure on, the database lets events be emptied, and no more.
#[tokio::test]
async fn the_switch_lets_nothing_be_changed() {
    let school = Erased::new().await;
    let victim = of(school.whole[2]).replace("audit_log", &format!("{}.audit_log", school.schema));
    for changed in [
        "UPDATE events SET admin = 'somebody else', actor = 'admin'",
        "UPDATE events SET note = 'another note'",
        "UPDATE events SET learner = NULL, data = '{}'",
        "UPDATE audit_log SET salt = NULL, kept = personal",
        "UPDATE audit_log SET salt = ''",
        "DELETE FROM events",
        "DELETE FROM audit_log",
        "TRUNCATE events CASCADE",
    ] {
        let changed = changed
            .replace("events", &format!("{}.events", school.schema))
            .replace("audit_log", &format!("{}.audit_log", school.schema));
        let key = if changed.contains("events") {
            "id"
        } else {
            "event"
        };
        let which = match changed.starts_with("TRUNCATE") {
            true => String::new(),
            false => format!(" WHERE {key} = {victim}"),
        };
        let text = format!("SELECT set_config('cg.erasing', 'on', true); {changed}{which}");
        assert_eq!(
            refused(&school, &text).await.as_deref(),
            Some("CG004"),
            "{text}"
        );
        assert_eq!(school.broken().await, None);
    }
    // What it lets pass is found.
    let spoil = format!(
        "SELECT set_config('cg.erasing', 'on', true); UPDATE {0}.events SET {EMPTY} WHERE id = {victim};
         UPDATE {0}.audit_log SET salt = NULL WHERE event = {victim}",
        school.schema
    );
    assert_eq!(refused(&school, &spoil).await, None);
    assert_eq!(school.broken().await, u64::try_from(school.whole[2]).ok());
}
