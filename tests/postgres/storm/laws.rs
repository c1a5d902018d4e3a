//! What must hold after a storm, in plain SQL: each query gives what is wrong. `school` is the
//! schema of the store, `outside` that of the test, and `$now` the time.

/// Facts of events, as JSON, beside what they are about; with indexes, since an hour makes many.
pub const FACTS: &str = "
    CREATE TABLE outside.facts AS
        SELECT id, enrollment, version, learner, course, actor, data::jsonb AS f,
            data::jsonb ->> 'type' AS what, data::jsonb ->> 'reference' AS reference,
            data::jsonb ->> 'grant' AS grant_id, at, xmin::text AS change
        FROM school.events;
    CREATE INDEX ON outside.facts (reference);
    CREATE INDEX ON outside.facts (grant_id);
    CREATE INDEX ON outside.facts (enrollment);
    CREATE INDEX ON outside.facts (learner) WHERE enrollment IS NULL;
    ANALYZE;
    CREATE VIEW outside.moves AS
        SELECT enrollment, version, id, f -> 'from' AS came_from, f -> 'to' AS went_to,
            lead(id) OVER w IS NULL AS is_last, lag(f -> 'to') OVER w AS before
        FROM outside.facts WHERE what = 'enrollment_moved'
        WINDOW w AS (PARTITION BY enrollment ORDER BY version, id);
    CREATE VIEW outside.ends AS
        SELECT DISTINCT ON (grant_id) grant_id, what FROM outside.facts
        WHERE what IN ('access_granted', 'access_ended', 'access_suspended', 'access_resumed',
                       'grant_given', 'grant_taken')
        -- One apart is never given again once it is taken, whatever the clocks say.
        ORDER BY grant_id, what = 'grant_taken' DESC, version DESC, id DESC;
    CREATE VIEW outside.live AS
        SELECT * FROM school.grants WHERE ended_at IS NULL AND suspended_at IS NULL";

/// Money and access.
pub const MONEY: &[(&str, &str)] = &[
    (
        "the provider took money, and nobody here knows",
        "SELECT p.reference FROM outside.paid AS p WHERE NOT EXISTS (
             SELECT FROM school.attempts AS a
             WHERE a.reference = p.reference AND a.link = p.link AND a.paid_at IS NOT NULL)",
    ),
    (
        "money that nobody paid",
        "SELECT a.reference FROM school.attempts AS a
         WHERE a.paid_at IS NOT NULL AND NOT EXISTS (
             SELECT FROM outside.paid AS p WHERE p.reference = a.reference)
           AND NOT (a.paid_method = 'bank_transfer' AND EXISTS (
             SELECT FROM outside.facts AS r WHERE r.what = 'payment_completed'
               AND r.reference = a.reference AND r.actor = 'admin'))",
    ),
    (
        "a payment that rests in no place, or in two",
        "SELECT a.reference || ' ' || a.allocation FROM school.attempts AS a
         WHERE a.paid_at IS NOT NULL AND CASE
             WHEN a.status = 'paid' AND a.allocation = 'applied' THEN
                 1 <> (SELECT count(*) FROM school.grants AS g
                       WHERE g.payment = a.reference AND g.enrollment = a.enrollment)
             WHEN a.status = 'paid' THEN a.allocation = 'refunded' OR EXISTS (
                 SELECT FROM outside.live AS g WHERE g.payment = a.reference)
             ELSE a.allocation <> 'refunded' OR EXISTS (
                 SELECT FROM outside.live AS g WHERE g.payment = a.reference) END",
    ),
    (
        "a payment with two grants",
        "SELECT payment FROM school.grants GROUP BY payment HAVING count(payment) > 1",
    ),
    (
        "a grant that rests on no money, or on somebody else's",
        "SELECT g.id::text FROM school.grants AS g
         WHERE g.payment IS NOT NULL AND NOT EXISTS (
             SELECT FROM school.attempts AS a
             WHERE a.reference = g.payment AND a.enrollment = g.enrollment
               AND a.learner = g.learner AND a.course = g.course AND a.paid_at IS NOT NULL
               AND (a.allocation = 'applied' OR g.ended_at IS NOT NULL OR g.suspended_at IS NOT NULL))",
    ),
    (
        "a grant that gives other access than was bought",
        "SELECT g.id::text FROM school.grants AS g JOIN school.attempts AS a ON a.reference = g.payment
         WHERE g.level <> a.terms ->> 'level'",
    ),
    (
        "a grant without a cause",
        "SELECT g.id::text || ' ' || g.source FROM outside.live AS g
         WHERE NOT CASE g.source
             WHEN 'payment' THEN EXISTS (SELECT FROM outside.paid AS p WHERE p.reference = g.payment)
             WHEN 'admin' THEN EXISTS (SELECT FROM outside.given AS o
                                       WHERE o.learner = g.learner AND o.course = g.course)
             WHEN 'provisional' THEN EXISTS (SELECT FROM school.enrollments AS e
                 WHERE e.id = g.enrollment AND e.status IN ('awaiting_approval'))
             ELSE EXISTS (SELECT FROM outside.facts AS r WHERE r.what = 'enrollment_moved'
                 AND r.actor = 'admin' AND r.enrollment = g.enrollment)
               OR EXISTS (SELECT FROM outside.facts AS r WHERE r.actor = 'admin'
                 AND r.grant_id = g.id::text)
               OR EXISTS (SELECT FROM outside.paid AS p WHERE p.reference = g.payment) END",
    ),
    (
        "somebody who never paid has, or had, access",
        "SELECT id::text FROM school.grants WHERE learner LIKE 'liar-%'",
    ),
    (
        "approved without access, or access without approval",
        "SELECT e.id::text || ' ' || e.status FROM school.enrollments AS e
         WHERE (e.status = 'approved') <> EXISTS (
             SELECT FROM school.grants AS g WHERE g.enrollment = e.id AND g.ended_at IS NULL
               AND g.source <> 'provisional' AND (e.status = 'approved' OR g.suspended_at IS NULL))",
    ),
    (
        "access that ran out, and lives",
        "SELECT g.id::text FROM outside.live AS g
         WHERE g.expires_at <= timestamptz '$now' - interval '1 hour'",
    ),
    (
        "sums that went back, and those on record, differ",
        "SELECT a.reference FROM school.attempts AS a
         WHERE a.returned <> (SELECT coalesce(sum((r.f -> 'amount' ->> 'minor')::bigint), 0)
                              FROM outside.facts AS r
                              WHERE r.what = 'payment_returned' AND r.reference = a.reference)
            OR a.returned <> (SELECT coalesce(sum((b -> 'amount' ->> 'minor')::bigint), 0)
                              FROM jsonb_array_elements(a.refunds) AS b
                              WHERE b ->> 'state' = 'done')",
    ),
    (
        "who waits for a person is not in the queue, or somebody else is",
        "SELECT coalesce(e.id, p.enrollment)::text
         FROM (SELECT id FROM school.enrollments WHERE waits_for IS NOT NULL) AS e
         FULL JOIN school.pending AS p ON p.enrollment = e.id
         WHERE e.id IS NULL OR p.enrollment IS NULL",
    ),
    (
        "held money out of sight",
        "SELECT a.reference || ' ' || e.status FROM school.attempts AS a
         JOIN school.enrollments AS e ON e.id = a.enrollment
         WHERE a.status = 'paid' AND a.allocation = 'on_hold' AND e.waits_for IS NULL
           AND a.held_reason NOT IN ('late_payment', 'old_price', 'access_covered', 'duplicate_payment')
           AND e.status IN ('awaiting_payment', 'awaiting_approval')",
    ),
    (
        "an open payment that nobody will ask about, or a paid one that somebody will",
        "SELECT a.reference FROM school.attempts AS a
         WHERE (a.paid_at IS NULL AND a.declared <> 'bank_transfer') <> EXISTS (
             SELECT FROM school.timers AS t WHERE t.kind = 'attempt' AND t.name = a.reference)",
    ),
];

/// Events: what happened is what is.
pub const EVENTS: &[(&str, &str)] = &[
    (
        "a gap in the versions of an enrollment, or one too many",
        // A grant apart from it makes a version too, and its event is apart.
        "SELECT e.id::text FROM school.enrollments AS e
         JOIN (SELECT enrollment, count(DISTINCT version) AS versions, max(version) AS last
               FROM school.events GROUP BY enrollment) AS r ON r.enrollment = e.id
         WHERE r.last > e.version OR e.version - r.versions > (
             SELECT count(*) FROM outside.facts AS apart
             WHERE apart.what IN ('grant_given', 'grant_taken')
               AND apart.learner = e.learner AND apart.course = e.course)",
    ),
    (
        "two changes of the same version",
        "SELECT enrollment::text || ' ' || version FROM outside.facts
         WHERE enrollment IS NOT NULL
         GROUP BY enrollment, version HAVING count(DISTINCT change) > 1",
    ),
    (
        "an enrollment that did not begin once",
        "SELECT e.id::text FROM school.enrollments AS e
         WHERE 1 <> (SELECT count(*) FROM outside.facts AS r
                     WHERE r.enrollment = e.id AND r.what = 'enrollment_created')",
    ),
    (
        "a status that is not where the last event says it went",
        "SELECT e.id::text || ' ' || e.status FROM school.enrollments AS e
         LEFT JOIN outside.moves AS m ON m.enrollment = e.id AND m.is_last
         WHERE e.status <> coalesce(m.went_to ->> 'state', 'awaiting_payment')
            OR e.status IN ('awaiting_approval', 'withdrawn', 'approved') AND e.reason
               <> coalesce(m.went_to ->> 'reason', m.went_to ->> 'why', m.went_to ->> 'cause')",
    ),
    (
        "a move that does not begin where the last one ended",
        "SELECT enrollment::text || ' ' || version FROM outside.moves
         WHERE came_from ->> 'state' <> coalesce(before ->> 'state', 'awaiting_payment')
            OR came_from ->> 'cause' <> before ->> 'cause'",
    ),
    (
        "an attempt that did not begin once",
        "SELECT a.reference FROM school.attempts AS a
         WHERE 1 <> (SELECT count(*) FROM outside.facts AS r
                     WHERE r.reference = a.reference AND r.what = 'attempt_started')",
    ),
    (
        "an event of an attempt that is not there",
        "SELECT r.reference FROM outside.facts AS r WHERE r.reference IS NOT NULL AND NOT EXISTS (
             SELECT FROM school.attempts AS a WHERE a.reference = r.reference)",
    ),
    (
        "an open attempt that is not where the last event says it went",
        "SELECT a.reference || ' ' || a.status FROM school.attempts AS a
         WHERE a.paid_at IS NULL AND a.status <> coalesce((
             SELECT r.f ->> 'to' FROM outside.facts AS r
             WHERE r.reference = a.reference AND r.what = 'attempt_moved'
             ORDER BY r.version DESC, r.id DESC LIMIT 1), 'started')",
    ),
    (
        "money that did not arrive once",
        "SELECT a.reference FROM school.attempts AS a
         WHERE (a.paid_at IS NOT NULL)::int <> (SELECT count(*) FROM outside.facts AS r
             WHERE r.reference = a.reference AND r.what = 'payment_completed')",
    ),
    (
        "money that went back, or came again, and does not look so",
        "SELECT a.reference || ' ' || a.status FROM school.attempts AS a
         JOIN LATERAL (
             SELECT r.what FROM outside.facts AS r WHERE r.reference = a.reference
               AND (r.what IN ('payment_completed', 'payment_reversed', 'payment_reinstated')
                    OR r.what = 'payment_returned' AND (r.f -> 'ends_access')::boolean)
             ORDER BY r.version DESC, r.id DESC LIMIT 1) AS last ON true
         WHERE CASE last.what WHEN 'payment_reversed' THEN a.status <> 'reversed'
                              WHEN 'payment_returned' THEN a.status NOT IN ('refunded', 'reversed')
                              ELSE a.status = 'reversed' END",
    ),
    (
        "a grant that is not what the last event says",
        "SELECT g.id::text FROM school.grants AS g
         LEFT JOIN outside.ends AS r ON r.grant_id = g.id::text
         WHERE coalesce(r.what, '') NOT IN ('access_ended', 'grant_taken') AND g.ended_at IS NOT NULL
            OR coalesce(r.what, '') NOT IN ('access_granted', 'access_resumed', 'grant_given')
               AND g.ended_at IS NULL AND g.suspended_at IS NULL
            OR coalesce(r.what, '') <> 'access_suspended' AND g.ended_at IS NULL
               AND g.suspended_at IS NOT NULL",
    ),
    (
        "an event of a grant that is not there",
        "SELECT r.grant_id FROM outside.facts AS r WHERE r.grant_id IS NOT NULL AND NOT EXISTS (
             SELECT FROM school.grants AS g WHERE g.id::text = r.grant_id)",
    ),
    (
        "a grant apart that was given, or taken, twice",
        "SELECT grant_id || ' ' || what FROM outside.facts
         WHERE what IN ('grant_given', 'grant_taken') GROUP BY grant_id, what HAVING count(*) > 1",
    ),
    (
        "a grant apart that ended before it began, or before its event says",
        "SELECT g.id::text FROM school.grants AS g
         JOIN outside.facts AS r ON r.grant_id = g.id::text AND r.what IN ('grant_given', 'grant_taken')
         WHERE g.enrollment IS NULL AND CASE r.what
             WHEN 'grant_given' THEN r.at < g.starts_at OR r.at > g.ended_at
             ELSE r.at <> g.ended_at OR r.at < g.starts_at END",
    ),
    (
        "a row of a statement that pays another sum than it has",
        "SELECT s.id FROM school.statement_rows AS s
         JOIN school.statement_parts AS p ON p.row_id = s.id
         GROUP BY s.id HAVING sum(p.amount) <> s.amount OR s.state <> 'matched'",
    ),
    (
        "a payment with more on statements than was paid",
        "SELECT p.payment FROM school.statement_parts AS p
         LEFT JOIN school.attempts AS a ON a.reference = p.payment
         GROUP BY p.payment, a.paid_amount HAVING a.paid_amount IS NULL OR sum(p.amount) > a.paid_amount",
    ),
    (
        "something that was said to be done, and was not",
        "SELECT d.act || ' ' || d.about FROM outside.done AS d WHERE NOT CASE d.act
             WHEN 'approve' THEN EXISTS (SELECT FROM outside.facts AS r
                 WHERE r.enrollment = d.about::uuid AND (r.what = 'first_approval'
                     OR r.what = 'enrollment_moved' AND r.f -> 'to' ->> 'state' = 'approved'))
             WHEN 'refund' THEN EXISTS (SELECT FROM outside.facts AS r
                 WHERE r.reference = d.about AND r.what = 'payment_returned')
             WHEN 'see' THEN EXISTS (SELECT FROM school.statement_rows AS s
                 JOIN school.statement_parts AS p ON p.row_id = s.id
                 JOIN outside.facts AS r ON r.reference = p.payment
                 WHERE s.reference LIKE d.about || ' %'
                   AND r.what IN ('payment_completed', 'transfer_found'))
             WHEN 'give' THEN EXISTS (SELECT FROM outside.facts AS r
                 WHERE r.grant_id = d.about AND r.what = 'grant_given')
             ELSE EXISTS (SELECT FROM outside.facts AS r WHERE r.grant_id = d.about
                 AND r.what IN ('access_ended', 'grant_taken')) END",
    ),
];

/// Callbacks, publication, the audit log and leases.
pub const WORK: &[(&str, &str)] = &[
    (
        "an acknowledged callback that is forgotten",
        "SELECT k.body FROM outside.acknowledged AS k WHERE NOT EXISTS (
             SELECT FROM school.inbox AS i WHERE convert_from(i.body, 'UTF8') = k.body)",
    ),
    (
        "a callback that is neither settled nor parked, nor dead with a cause",
        "SELECT key || ' ' || state FROM school.inbox
         WHERE state = 'waiting' OR state = 'dead' AND coalesce(cause, '') = ''
            OR state = 'settled' AND outcome IS NULL",
    ),
    (
        "a callback that was parked, or overdue, or given up on, twice",
        "SELECT (f ->> 'key') || ' ' || what FROM outside.facts
         WHERE what IN ('delivery_parked', 'delivery_overdue', 'delivery_dead')
         GROUP BY f ->> 'key', what HAVING count(*) > 1",
    ),
    (
        "a callback that is parked, or dead, without an event, or the other way round",
        "SELECT i.key || ' ' || i.state FROM school.inbox AS i
         WHERE i.state = 'parked' AND NOT EXISTS (SELECT FROM outside.facts AS r
                 WHERE r.what = 'delivery_parked' AND r.f ->> 'key' = i.key)
            OR i.state = 'dead' AND NOT EXISTS (SELECT FROM outside.facts AS r
                 WHERE r.what = 'delivery_dead' AND r.f ->> 'key' = i.key)
            OR i.state = 'waiting' AND EXISTS (SELECT FROM outside.facts AS r
                 WHERE r.what = 'delivery_dead' AND r.f ->> 'key' = i.key)",
    ),
    (
        "a parked callback about a payment that is known",
        "SELECT i.key FROM school.inbox AS i
         WHERE i.state = 'parked' AND EXISTS (SELECT FROM school.attempts AS a
             WHERE a.reference = (convert_from(i.body, 'UTF8')::json ->> 'externalTransactionID'))",
    ),
    (
        "an event that waits to be published",
        "SELECT event::text FROM school.outbox",
    ),
    (
        "an event that nobody heard of",
        "SELECT r.id::text || ' ' || r.what FROM outside.facts AS r
         WHERE (r.enrollment IS NOT NULL
                OR r.what IN ('grant_given', 'grant_taken', 'delivery_parked', 'delivery_dead'))
           AND NOT EXISTS (SELECT FROM outside.heard AS h WHERE h.event = r.id)",
    ),
    (
        "something heard that did not happen",
        "SELECT h.event::text FROM outside.heard AS h WHERE NOT EXISTS (
             SELECT FROM school.events AS r WHERE r.id = h.event)",
    ),
    (
        "events that were first heard of in the wrong order",
        "SELECT enrollment::text || ' ' || version FROM (
             SELECT enrollment, version, first,
                 max(first) OVER (PARTITION BY enrollment ORDER BY version, event
                                  ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS older
             FROM (SELECT enrollment, version, event, min(place) AS first FROM outside.heard
                   WHERE enrollment IS NOT NULL GROUP BY enrollment, version, event) AS heard) AS h
         WHERE first < older",
    ),
    (
        "a link of the audit log that does not hold",
        "SELECT c.position::text FROM (
             SELECT *, row_number() OVER w AS place,
                 lag(hash, 1, decode(repeat('00', 32), 'hex')) OVER w AS before
             FROM school.audit_log WINDOW w AS (ORDER BY position)) AS c
         LEFT JOIN school.events AS r ON r.id = c.event
         WHERE r.id IS NULL OR c.position <> c.place
            OR c.hash <> sha256(c.before || c.kept || c.personal)
            OR c.kept <> sha256(convert_to(school.kept_text(r), 'UTF8'))
            OR c.personal <> sha256(c.salt || convert_to(school.personal_text(r), 'UTF8'))",
    ),
    (
        "an event that is not in the audit log",
        "SELECT r.id::text FROM school.events AS r
         WHERE NOT EXISTS (SELECT FROM school.audit_log AS c WHERE c.event = r.id)",
    ),
    (
        "a lease that stands for ever",
        "SELECT key FROM school.inbox WHERE leased_until > timestamptz '$now'
             AND state IN ('waiting', 'parked')
         UNION ALL SELECT kind || ' ' || name FROM school.timers
             WHERE leased_until > timestamptz '$now'",
    ),
    (
        "a job that nobody will do again",
        "SELECT job FROM unnest(ARRAY['append_audit_log', 'reconcile', 'sync_history']) AS job WHERE NOT EXISTS (
             SELECT FROM school.timers WHERE kind = 'job' AND name = job)",
    ),
];

/// What there is still to do.
pub const LEFT: &str = "
    SELECT 'to publish: ' || count(*) FROM school.outbox HAVING count(*) > 0
    UNION ALL SELECT 'callbacks: ' || count(*) FROM school.inbox
        WHERE state = 'waiting' HAVING count(*) > 0
    UNION ALL SELECT 'timers: ' || count(*) FROM school.timers
        WHERE kind <> 'job' AND due_at <= timestamptz '$now' HAVING count(*) > 0
    UNION ALL SELECT 'money: ' || count(*) FROM outside.paid AS p
        WHERE NOT EXISTS (SELECT FROM school.attempts AS a
                          WHERE a.reference = p.reference AND a.paid_at IS NOT NULL)
        HAVING count(*) > 0
    UNION ALL SELECT 'to seal: ' || count(*) FROM school.events AS r
        WHERE NOT EXISTS (SELECT FROM school.audit_log AS c WHERE c.event = r.id) HAVING count(*) > 0";
