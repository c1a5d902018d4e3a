use std::sync::Arc;

use super::objects::OBJECTS;
use super::rights::LACKING;
use super::schema::Schema;
use crate::store::HeldPayment;

/// The store's statements. Their texts are fixed when the store is made, so that each
/// connection prepares each of them once.
pub(super) struct Statements {
    pub(super) commit: Arc<str>,
    pub(super) load_delivery: Arc<str>,
    pub(super) load_enrollment: Arc<str>,
    pub(super) load_reference: Arc<str>,
    pub(super) load_link: Arc<str>,
    pub(super) load_learner: Arc<str>,
    pub(super) load_grant: Arc<str>,
    pub(super) load_grant_key: Arc<str>,
    pub(super) grants: Arc<str>,
    pub(super) claim_inbox: Arc<str>,
    pub(super) claim_outbox: Arc<str>,
    pub(super) claim_timers: Arc<str>,
    pub(super) settle: Arc<str>,
    pub(super) settle_timers: Arc<str>,
    pub(super) event: Arc<str>,
    pub(super) tell: Arc<str>,
    pub(super) hear: Arc<str>,
    pub(super) append_audit_log: Arc<str>,
    pub(super) purge: Arc<str>,
    pub(super) audit_log: Arc<str>,
    pub(super) learner_enrollments: Arc<str>,
    pub(super) learner_grants: Arc<str>,
    pub(super) learner_events: Arc<str>,
    pub(super) deliveries: Arc<str>,
    pub(super) paying_rows: Arc<str>,
    pub(super) missing_from_audit_log: Arc<str>,
    pub(super) objects: Arc<str>,
    pub(super) lacking: Arc<str>,
    pub(super) notify: Arc<str>,
    pub(super) notices: Arc<str>,
    pub(super) preferences: Arc<str>,
    pub(super) read: Arc<str>,
    pub(super) pending: Arc<str>,
    pub(super) payment_exceptions: Arc<str>,
    pub(super) discrepancies: Arc<str>,
    pub(super) discrepancy: Arc<str>,
    pub(super) cases: Arc<str>,
    pub(super) loose_grants: Arc<str>,
    pub(super) statement: Arc<str>,
    pub(super) statement_rows: Arc<str>,
    pub(super) rows_like: Arc<str>,
    pub(super) rows_paying: Arc<str>,
    pub(super) cases_of: Arc<str>,
    pub(super) accounts: Arc<str>,
    pub(super) timeline: Arc<str>,
    pub(super) unassigned: Arc<str>,
    pub(super) inbox: Arc<str>,
    pub(super) delivery: Arc<str>,
    pub(super) days: Arc<str>,
    pub(super) days_of_course: Arc<str>,
    pub(super) courses: Arc<str>,
}

impl Statements {
    pub(super) fn new(schema: &Schema) -> Self {
        let own = |text: &str| Arc::from(schema.sql(text));
        let load =
            |found: &str, delivery: &str, asked: &str| own(&load_text(found, delivery, asked));
        Self {
            commit: own("SELECT coursegate.commit($1)"),
            load_delivery: load(
                "SELECT coalesce(
                     (SELECT enrollment FROM coursegate.attempts WHERE reference = $2),
                     (SELECT enrollment FROM coursegate.attempts WHERE link = $3
                          ORDER BY created_at DESC LIMIT 1)) AS id",
                "(SELECT row_to_json(known) FROM (
                     SELECT state, next_at, outcome, cause, enrollment, received_at, tries
                     FROM coursegate.inbox WHERE key = $1) AS known)",
                "NULL::json",
            ),
            load_enrollment: load("SELECT $1 AS id", "NULL::json", "NULL::json"),
            load_reference: load(
                "SELECT enrollment AS id FROM coursegate.attempts WHERE reference = $1",
                "NULL::json",
                "NULL::json",
            ),
            load_link: load(
                "SELECT enrollment AS id FROM coursegate.attempts WHERE link = $1
                     ORDER BY created_at DESC LIMIT 1",
                "NULL::json",
                "NULL::json",
            ),
            load_learner: load(
                "SELECT id FROM coursegate.enrollments WHERE learner = $1 AND course = $2",
                "NULL::json",
                "NULL::json",
            ),
            load_grant: load(
                "SELECT enrollment AS id FROM coursegate.grants WHERE id = $1",
                "NULL::json",
                "(SELECT row_to_json(known) FROM coursegate.grants AS known WHERE id = $1)",
            ),
            load_grant_key: load(
                "SELECT enrollment AS id FROM coursegate.grants WHERE key = $1",
                "NULL::json",
                "(SELECT row_to_json(known) FROM coursegate.grants AS known WHERE key = $1)",
            ),
            grants: own("SELECT row_to_json(g) FROM coursegate.grants AS g
                 WHERE learner = $1 AND course = $2 ORDER BY starts_at, id"),
            claim_inbox: own("UPDATE coursegate.inbox AS due SET leased_until = $2
                 FROM coursegate.each(ARRAY(
                     SELECT key FROM coursegate.inbox
                     WHERE state IN ('waiting', 'parked') AND next_at <= $1
                       AND (leased_until IS NULL OR leased_until <= $1)
                     ORDER BY next_at, key LIMIT $3 FOR UPDATE SKIP LOCKED)) AS free (key)
                 WHERE due.key = free.key
                 RETURNING row_to_json(due)"),
            // Whoever locks the oldest event of an enrollment may take those behind it too;
            // nobody may take one that has an older one before it.
            claim_outbox: own("WITH mine AS (
                     SELECT o.event
                     FROM coursegate.each(ARRAY(
                         SELECT o FROM coursegate.outbox AS o
                         WHERE due_at <= $1 AND NOT EXISTS (
                             SELECT FROM coursegate.outbox AS older
                             WHERE older.enrollment = o.enrollment
                               AND (older.version, older.event) < (o.version, o.event))
                         ORDER BY due_at, version, event LIMIT $3 FOR UPDATE SKIP LOCKED)) AS head
                     JOIN coursegate.outbox AS o
                       ON o.event = head.event OR o.enrollment = head.enrollment
                     WHERE NOT EXISTS (
                         SELECT FROM coursegate.outbox AS held
                         WHERE held.enrollment = o.enrollment AND held.due_at > $1
                           AND (held.version, held.event) <= (o.version, o.event))
                     ORDER BY head.due_at, head.event, o.version, o.event LIMIT $3),
                 leased AS (
                     UPDATE coursegate.outbox AS o SET due_at = $2
                     FROM coursegate.each(ARRAY(SELECT event FROM mine)) AS mine (event)
                     WHERE o.event = mine.event RETURNING o.event)
                 SELECT row_to_json(r)
                 FROM coursegate.each(ARRAY(SELECT event FROM leased)) AS leased (event)
                 JOIN coursegate.events AS r ON r.id = leased.event"),
            // Rows are compared whole: an equality is taken for one that few rows have, which are
            // then all read and sorted.
            claim_timers: own("UPDATE coursegate.timers AS due SET leased_until = $2
                 FROM coursegate.each(ARRAY(
                     SELECT t FROM coursegate.timers AS t
                     WHERE (kind, due_at) >= ($4, '-infinity') AND (kind, due_at) <= ($4, $1)
                       AND (leased_until IS NULL OR leased_until <= $1)
                     ORDER BY kind, due_at, name LIMIT $3 FOR UPDATE SKIP LOCKED)) AS free
                 WHERE due.kind = free.kind AND due.name = free.name
                 RETURNING row_to_json(due)"),
            tell: own("WITH old AS (
                     DELETE FROM coursegate.tallies WHERE at < now() - make_interval(secs => $6))
                 INSERT INTO coursegate.tallies
                     SELECT $1, $2, name, times, most, now()
                     FROM unnest($3::text[], $4::bigint[], $5::bigint[]) AS told (name, times, most)
                     ON CONFLICT DO NOTHING"),
            // Who starts, and asks about days, gets what is old by the minute.
            hear: own("WITH told AS (
                     SELECT *, $1 > 86400 AND at < now() - interval '10 minutes' AS is_old
                     FROM coursegate.tallies WHERE at > now() - make_interval(secs => $1)),
                 summed AS (
                     SELECT CASE WHEN is_old THEN '00000000-0000-0000-0000-000000000000' ELSE process END AS process,
                         CASE WHEN is_old THEN floor(extract(epoch FROM at) / 60)::bigint ELSE number END AS number,
                         name, sum(times)::bigint AS times, max(most) AS most,
                         greatest(extract(epoch FROM now() - max(at)) * 1000, 0)::bigint AS age
                     FROM told GROUP BY 1, 2, 3)
                 SELECT clock_timestamp() AS now,
                     (SELECT coalesce(json_agg(s), '[]') FROM summed AS s) AS tallies,
                     (SELECT coalesce(json_agg(a ORDER BY a.rule), '[]') FROM coursegate.alerts AS a) AS alerts"),
            // A timer that was set anew meanwhile is due at another time, and is left alone.
            settle_timers: own("WITH over AS (
                     DELETE FROM coursegate.timers AS t
                     USING coursegate.numbers(cardinality($1::text[])) AS n
                     WHERE t.kind = ($1)[n] AND t.name = ($2::text[])[n]
                       AND t.due_at = ($3::timestamptz[])[n]),
                 again AS (
                     UPDATE coursegate.timers AS t
                     SET due_at = ($7::timestamptz[])[n], cursor = ($8::text[])[n], leased_until = NULL
                     FROM coursegate.numbers(cardinality($4::text[])) AS n
                     WHERE t.kind = ($4)[n] AND t.name = ($5::text[])[n]
                       AND t.due_at = ($6::timestamptz[])[n])
                 INSERT INTO coursegate.timers (kind, name, due_at)
                 SELECT * FROM unnest($9::text[], $10::text[], $11::timestamptz[])
                 ON CONFLICT DO NOTHING"),
            settle: own("WITH published AS (
                     DELETE FROM coursegate.outbox AS o
                     USING coursegate.each($1::uuid[]) AS done (event)
                     WHERE o.event = done.event)
                 UPDATE coursegate.outbox AS o SET due_at = ($3::timestamptz[])[n]
                 FROM coursegate.numbers(cardinality($2::uuid[])) AS n
                 WHERE o.event = ($2)[n]"),
            event: own("SELECT row_to_json(r) FROM coursegate.events AS r WHERE id = $1"),
            // The newest of each kind, and of these the newest.
            notices: own("SELECT json_build_object('event', row_to_json(n), 'read', n.read)
                 FROM unnest($2::text[]) AS wanted (kind) CROSS JOIN LATERAL (
                     SELECT r.*, EXISTS (SELECT FROM coursegate.read_notices AS seen
                                         WHERE seen.person = $1 AND seen.notice = r.id) AS read
                     FROM coursegate.events AS r
                     WHERE r.notice = wanted.kind AND ($4::timestamptz IS NULL OR r.at >= $4)
                       AND ($5::timestamptz IS NULL OR (r.at, r.id) < ($5, $6))
                       AND NOT ($3 AND EXISTS (SELECT FROM coursegate.read_notices AS seen
                                               WHERE seen.person = $1 AND seen.notice = r.id))
                     ORDER BY r.at DESC, r.id DESC LIMIT $7) AS n
                 ORDER BY n.at DESC, n.id DESC LIMIT $7"),
            preferences: own("SELECT row_to_json(p) FROM coursegate.preferences AS p ORDER BY person"),
            read: own("INSERT INTO coursegate.read_notices
                 SELECT $1, unnest($2::uuid[]) ON CONFLICT DO NOTHING"),
            purge: own("WITH seen AS (
                     SELECT key FROM coursegate.inbox WHERE key > $2 ORDER BY key LIMIT $3
                 ), dropped AS (
                     UPDATE coursegate.inbox AS i SET body = NULL, body_key = NULL FROM seen
                     WHERE i.key = seen.key AND i.state = 'settled' AND i.received_at < $1
                       AND i.body IS NOT NULL
                     RETURNING 1
                 )
                 SELECT (SELECT count(*) FROM dropped), count(*), max(key) FROM seen"),
append_audit_log: own("SELECT coursegate.append_audit_log($1, $2)"),
            learner_enrollments: own("SELECT id FROM coursegate.enrollments WHERE learner = $1 ORDER BY id"),
            learner_grants: own("SELECT row_to_json(g) FROM coursegate.grants AS g
                 WHERE learner = $1 AND enrollment IS NULL ORDER BY id"),
            learner_events: own("SELECT row_to_json(r) FROM coursegate.events AS r
                 WHERE learner = $1 AND enrollment IS NULL ORDER BY id"),
            deliveries: own("SELECT row_to_json(i) FROM coursegate.deliveries($1) AS i"),
            paying_rows: own(&format!("SELECT {ROW} FROM coursegate.statement_rows AS s
                 WHERE s.id IN (SELECT p.row_id FROM coursegate.attempts AS a
                                JOIN coursegate.statement_parts AS p ON p.payment = a.reference
                                WHERE a.enrollment = $1)
                 ORDER BY booked_on, id")),
            audit_log: own("SELECT c.position, c.event, encode(c.salt, 'hex') AS salt,
                     encode(c.kept, 'hex') AS kept, encode(c.personal, 'hex') AS personal,
                     encode(c.hash, 'hex') AS hash,
                     CASE WHEN r.id IS NOT NULL THEN coursegate.kept_text(r) END AS kept_text,
                     CASE WHEN r.id IS NOT NULL THEN coursegate.personal_text(r) END AS personal_text
                 FROM coursegate.audit_log AS c LEFT JOIN coursegate.events AS r ON r.id = c.event
                 WHERE c.position > $1 ORDER BY c.position LIMIT $2"),
            missing_from_audit_log: own("SELECT count(*) FROM coursegate.events AS r
                 WHERE at < $1 AND NOT EXISTS (SELECT FROM coursegate.audit_log AS c WHERE c.event = r.id)"),
            objects: Arc::from(OBJECTS),
            lacking: Arc::from(LACKING),
            notify: own("SELECT pg_notify($1, $2)"),
            pending: own(
                "SELECT json_build_object('enrollment', row_to_json(e), 'attempts',
                     (SELECT coalesce(json_agg(a ORDER BY a.number), '[]')
                      FROM coursegate.attempts AS a WHERE a.enrollment = e.id))
                 FROM (SELECT enrollment FROM coursegate.pending WHERE enrollment > $1
                       ORDER BY enrollment LIMIT $2) AS p
                 JOIN coursegate.enrollments AS e ON e.id = p.enrollment ORDER BY e.id",
            ),
            payment_exceptions: own(
                &"SELECT json_build_object('attempt', row_to_json(a), 'status', e.status, 'reason', e.reason,
                     'waits_for', e.waits_for)
                 FROM coursegate.attempts AS a JOIN coursegate.enrollments AS e ON e.id = a.enrollment
                 WHERE a.status = 'paid' AND a.allocation IN ('on_hold', 'refund_due')
                   AND (a.allocation = 'refund_due' OR e.waits_for IS NULL
                        OR e.waits_on IS DISTINCT FROM a.reference
                        OR a.held_reason IN (%s))
                   AND a.reference > $1 ORDER BY a.reference LIMIT $2"
                    .replace("%s", &exception_reasons()),
            ),
            discrepancies: own("SELECT row_to_json(c) FROM coursegate.discrepancies AS c
                 LEFT JOIN coursegate.enrollments AS e ON e.id = c.enrollment
                 WHERE c.closed_at IS NULL AND (c.enrollment IS NULL OR e.version = c.version)
                   AND c.key > $1 ORDER BY c.key LIMIT $2"),
            discrepancy: own("SELECT row_to_json(c) FROM coursegate.discrepancies AS c WHERE key = $1"),
            cases: own(&format!("{CASE} WHERE e.id > $1 ORDER BY e.id LIMIT $2")),
            cases_of: own(&format!("{CASE} WHERE e.id IN (
                     SELECT enrollment FROM coursegate.attempts WHERE reference = ANY ($1))
                 ORDER BY e.id")),
            rows_paying: own(&format!("SELECT {ROW} FROM coursegate.statement_rows AS s
                 WHERE s.id IN (SELECT row_id FROM coursegate.statement_parts WHERE payment = ANY ($1))")),
            loose_grants: own("SELECT row_to_json(g) FROM coursegate.grants AS g
                 LEFT JOIN coursegate.enrollments AS e ON e.id = g.enrollment
                 WHERE (e.id IS NULL OR e.learner <> g.learner OR e.course <> g.course)
                   AND g.id > $1 ORDER BY g.id LIMIT $2"),
            statement: own(&format!("SELECT {ROW} FROM coursegate.statement_rows AS s
                 WHERE CASE state WHEN 'open' THEN 'open' WHEN 'doubtful' THEN 'doubtful' ELSE 'settled' END = $1
                   AND (booked_on < $2 OR booked_on = $2 AND id > $3)
                 ORDER BY booked_on DESC, id LIMIT $4")),
            statement_rows: own(&format!("SELECT {ROW} FROM coursegate.statement_rows AS s
                 WHERE id = ANY ($1)")),
            rows_like: own(&format!("SELECT {ROW} FROM coursegate.statement_rows AS s WHERE id IN (
                     SELECT k.id FROM unnest($2::date[], $3::bigint[], $4::text[]) AS w (day, sum, currency)
                         JOIN coursegate.statement_rows AS k
                         ON k.booked_on = w.day AND k.amount = w.sum AND k.currency = w.currency
                     UNION SELECT k.id FROM unnest($1::text[], $3::bigint[], $4::text[], $5::bigint[])
                             AS w (account, sum, currency, balance)
                         JOIN coursegate.statement_rows AS k
                         ON k.account = w.account AND k.balance = w.balance AND k.amount = w.sum
                            AND k.currency = w.currency
                     UNION SELECT k.id FROM unnest($6::text[], $7::integer[]) AS w (file, line)
                         JOIN coursegate.statement_rows AS k ON k.file = w.file AND k.line = w.line
                     UNION SELECT k.id FROM coursegate.statement_rows AS k WHERE k.id = ANY ($8))
                 ORDER BY booked_on, number, account, id")),
            accounts: own("SELECT account FROM (
                     SELECT DISTINCT account FROM coursegate.statement_rows) AS s ORDER BY account"),
            timeline: own("SELECT row_to_json(r) FROM coursegate.events AS r
                 WHERE enrollment = $1 ORDER BY version, id"),
            unassigned: own("SELECT row_to_json(r) FROM coursegate.events AS r
                 WHERE enrollment IS NULL AND id > $1 ORDER BY id LIMIT $2"),
            inbox: own("SELECT row_to_json(i) FROM coursegate.inbox AS i
                 WHERE state = $1 AND state <> 'settled' AND key > $2 ORDER BY key LIMIT $3"),
            delivery: own("SELECT row_to_json(i) FROM coursegate.inbox AS i WHERE key = $1"),
            days: own(&figures_text(
                "(%s AT TIME ZONE 'UTC' + make_interval(secs => $3))::date",
                "",
                "ORDER BY name",
            )),
            days_of_course: own(&figures_text(
                "(%s AT TIME ZONE 'UTC' + make_interval(secs => $3))::date",
                "AND course = $4",
                "ORDER BY name",
            )),
            courses: own(&figures_text(
                "course",
                "AND course > $3",
                "ORDER BY name LIMIT $4",
            )),
        }
    }
}

/// An enrollment with everything around it.
const CASE: &str = "SELECT json_build_object('enrollment', row_to_json(e),
        'attempts', (SELECT coalesce(json_agg(a ORDER BY a.number), '[]')
                     FROM coursegate.attempts AS a WHERE a.enrollment = e.id),
        'grants', (SELECT coalesce(json_agg(g ORDER BY g.starts_at, g.id), '[]')
                   FROM coursegate.grants AS g
                   WHERE g.learner = e.learner AND g.course = e.course),
        'confirming', (SELECT min(w.received_at) FROM coursegate.inbox AS w
                       WHERE w.enrollment = e.id AND w.state = 'waiting'))
    FROM coursegate.enrollments AS e";

/// A row of a statement with what it paid.
const ROW: &str = "to_jsonb(s) || jsonb_build_object('parts', (
    SELECT coalesce(jsonb_agg(p ORDER BY p.position), '[]')
    FROM coursegate.statement_parts AS p WHERE p.row_id = s.id))";

/// The reasons for which money is listed while its enrollment waits.
fn exception_reasons() -> String {
    let words = HeldPayment::REASONS.map(|reason| format!("'{reason}'"));
    words.join(", ")
}

/// One consistent read: everything around the enrollment that `found` gives.
fn load_text(found: &str, delivery: &str, asked: &str) -> String {
    format!(
        "WITH asked AS ({found}), found AS (SELECT (SELECT id FROM asked) AS id)
         SELECT {delivery} AS delivery, {asked} AS asked, row_to_json(e) AS enrollment,
             (SELECT json_agg(a ORDER BY a.number) FROM coursegate.attempts AS a
              WHERE a.enrollment = e.id) AS attempts,
             (SELECT json_agg(g ORDER BY g.starts_at, g.id) FROM coursegate.grants AS g
              WHERE g.learner = e.learner AND g.course = e.course) AS grants,
             (SELECT min(w.received_at) FROM coursegate.inbox AS w
              WHERE w.enrollment = e.id AND w.state = 'waiting') AS confirming
         FROM found LEFT JOIN coursegate.enrollments AS e ON e.id = found.id"
    )
}

/// Figures by day or course; `%s` in `name` stands for the time that counts.
fn figures_text(name: &str, condition: &str, order: &str) -> String {
    let (made, arrived) = (
        name.replace("%s", "created_at"),
        name.replace("%s", "paid_at"),
    );
    format!(
        "WITH enrolled AS (
             SELECT {made} AS name, count(*) AS enrolled, count(approved_at) AS approved,
                 percentile_disc(ARRAY[0.5, 0.9]) WITHIN GROUP (ORDER BY
                     floor(extract(epoch FROM approved_at - created_at))::bigint)
                     FILTER (WHERE approved_at > created_at) AS times
             FROM coursegate.enrollments
             WHERE created_at >= $1 AND created_at < $2 {condition} GROUP BY 1),
         sums AS (
             SELECT {arrived} AS name, coalesce(paid_currency, currency) AS currency,
                 count(*) AS payments, sum(coalesce(paid_amount, amount) - returned) AS minor
             FROM coursegate.attempts
             WHERE paid_at >= $1 AND paid_at < $2 AND status = 'paid' {condition} GROUP BY 1, 2),
         arrived AS (
             SELECT name, sum(payments) AS payments,
                 json_agg(json_build_object('currency', currency, 'minor', minor)
                          ORDER BY currency) AS sums
             FROM sums GROUP BY 1)
         SELECT json_build_object('name', name,
             'enrolled', coalesce(enrolled, 0), 'approved', coalesce(approved, 0),
             'median_approval', times[1], 'slow_approval', times[2],
             'payments', coalesce(payments, 0), 'sums', coalesce(sums, '[]'))
         FROM enrolled FULL JOIN arrived USING (name) {order}"
    )
}
