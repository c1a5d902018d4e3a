-- Payments that were not reported yet, from 1 to :due.
INSERT INTO coursegate.enrollments
    (id, learner, email, course, title, price, currency, declared, terms, status, version, created_at, updated_at)
SELECT ('019d0000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'due-' || n, 'due-' || n || '@school.example',
       'course-' || n % 200, 'Course', 49900, 'ZAR', 'card',
       '{"level":"full","kinds":["full"],"seconds":null,"restrictions":[]}', 'awaiting_payment', 2, now(), now()
FROM generate_series(1, :due) AS n;
INSERT INTO coursegate.attempts
    (reference, enrollment, number, learner, course, amount, currency, title, terms, purpose, declared,
     link, link_url, status, created_at, asked_at)
SELECT 'DUE-' || substr(learner, 5), id, 1, learner, course, price, currency, title, terms, 'first', declared, 'due' || substr(learner, 5),
       'https://pay.example/', 'link_ready', created_at, created_at
FROM coursegate.enrollments WHERE learner LIKE 'due-%';
INSERT INTO coursegate.timers (kind, name, due_at)
SELECT 'enrollment', id::text, created_at + interval '7 days'
FROM coursegate.enrollments WHERE learner LIKE 'due-%';
INSERT INTO coursegate.timers (kind, name, due_at)
SELECT 'attempt', 'DUE-' || n, now() + interval '1 minute' FROM generate_series(1, :due) AS n;
