-- A school with :rows enrollments, one every 30 seconds: four of five are paid, one of a
-- hundred waits for approval. Run with coursegate. and :rows replaced.
INSERT INTO coursegate.enrollments
    (id, learner, email, course, title, price, currency, declared, terms, status, reason, waits_for, version,
     created_at, updated_at, approved_at)
SELECT ('019c0000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'learner-' || n,
       'learner-' || n || '@school.example', 'course-' || n % 200, 'Course ' || n % 200, 49900, 'ZAR',
       CASE WHEN n % 100 = 7 THEN 'bank_transfer' ELSE 'card' END,
       '{"level":"full","kinds":["full"],"seconds":null,"restrictions":[]}',
       CASE WHEN n % 100 = 7 THEN 'awaiting_approval' WHEN n % 5 = 0 THEN 'awaiting_payment' ELSE 'approved' END,
       CASE WHEN n % 100 = 7 THEN 'bank_transfer' WHEN n % 5 = 0 THEN NULL ELSE 'automatic_card_payment' END,
       CASE WHEN n % 100 = 7 THEN 'bank_transfer' END, 2, begun, begun, CASE WHEN n % 100 = 7 OR n % 5 = 0 THEN NULL ELSE begun + interval '40 s' END
FROM generate_series(1, :rows) AS n, LATERAL (SELECT timestamptz '2025-01-01 00:00Z' + n * interval '30 s' AS begun) AS t;

INSERT INTO coursegate.attempts
    (reference, enrollment, number, learner, course, amount, currency, title, terms, purpose, declared, link, link_url, status,
     paid_at, paid_method, evidence_level, allocation, created_at, asked_at)
SELECT 'SEED-' || n, ('019c0000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 1, 'learner-' || n,
       'course-' || n % 200, 49900, 'ZAR', 'Course ' || n % 200,
       '{"level":"full","kinds":["full"],"seconds":null,"restrictions":[]}', 'first',
       CASE WHEN n % 100 = 7 THEN 'bank_transfer' ELSE 'card' END,
       'link' || n, 'https://pay.example/link' || n,
       CASE WHEN paid THEN 'paid' WHEN n % 1000 = 5 THEN 'failed' ELSE 'link_ready' END,
       CASE WHEN paid THEN begun + interval '40 s' END,
       CASE WHEN paid AND n % 50 = 3 THEN 'instant_eft' WHEN paid THEN 'card' END,
       CASE WHEN paid THEN 'confirmed' END, CASE WHEN paid THEN 'applied' END, begun, begun
FROM generate_series(1, :rows) AS n,
     LATERAL (SELECT timestamptz '2025-01-01 00:00Z' + n * interval '30 s' AS begun,
                     n % 100 <> 7 AND n % 5 <> 0 AS paid) AS t;

INSERT INTO coursegate.grants
    (id, learner, course, enrollment, source, payment, level, kinds, restrictions, starts_at)
SELECT e.id, e.learner, e.course, e.id, 'payment', a.reference, 'full', '["full"]', '[]', a.paid_at
FROM coursegate.enrollments AS e JOIN coursegate.attempts AS a ON a.enrollment = e.id
WHERE a.status = 'paid' AND a.reference LIKE 'SEED-%';

INSERT INTO coursegate.inbox
    (key, received_at, path, body, signed_key, signed_form, pay_link, reference, enrollment, state,
     outcome, tries)
SELECT link || '/SUCCESS/' || reference, paid_at, '/payments/ikhokha', '{}', 'primary', 'raw', link,
       reference, enrollment, 'settled', 'approved', 0
FROM coursegate.attempts WHERE status = 'paid' AND reference LIKE 'SEED-%';

INSERT INTO coursegate.events (id, enrollment, version, learner, course, name, notice, severity, data, actor, source, at)
SELECT ('019c0000-000' || v || substr(e.id::text, 14))::uuid, e.id, v, e.learner, e.course, 'enrollment_created',
       CASE WHEN v = 2 THEN 'approval_needed' END, 'info',
       CASE WHEN v = 2 THEN '{"type":"first_approval"}'
           ELSE '{"declared":"card","type":"enrollment_created","price":{"currency":"ZAR","minor":49900}}' END,
       'system', 'system_automatic', e.created_at
FROM coursegate.enrollments AS e, generate_series(1, 2) AS v;

INSERT INTO coursegate.pending SELECT id FROM coursegate.enrollments WHERE status = 'awaiting_approval';

INSERT INTO coursegate.timers (kind, name, due_at)
SELECT 'attempt', reference, created_at + interval '30 days' FROM coursegate.attempts
WHERE paid_at IS NULL AND declared <> 'bank_transfer';
INSERT INTO coursegate.timers (kind, name, due_at)
SELECT 'enrollment', id::text, created_at + interval '30 days' FROM coursegate.enrollments
WHERE status <> 'approved';

ANALYZE coursegate.timers, coursegate.pending, coursegate.enrollments, coursegate.attempts, coursegate.grants, coursegate.inbox, coursegate.events;
