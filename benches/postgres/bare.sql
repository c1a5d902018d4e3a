-- The floor: the same rows in tables with typed columns, and no more than the keys that a webhook
-- needs. No functions, checks, foreign keys or indexes for people, and short codes for JSON.
CREATE SCHEMA bare;
CREATE TABLE bare.enrollments (
    id uuid PRIMARY KEY, learner text NOT NULL, course text NOT NULL, email text, title text, price bigint,
    currency text, declared text, status text, reason text, counted text, version bigint,
    created_at timestamptz, updated_at timestamptz, approved_at timestamptz, UNIQUE (learner, course)
) WITH (fillfactor = 80);
CREATE TABLE bare.attempts (
    reference text PRIMARY KEY, enrollment uuid, number integer, amount bigint, currency text, declared text,
    link text, link_url text, status text, paid_at timestamptz, paid_amount bigint, paid_method text, evidence_level text,
    allocation text, created_at timestamptz);
CREATE TABLE bare.grants (
    id uuid PRIMARY KEY, learner text, course text, enrollment uuid, source text, payment text UNIQUE, level text,
    starts_at timestamptz);
CREATE INDEX ON bare.grants (learner, course);
CREATE TABLE bare.inbox (
    key text PRIMARY KEY, received_at timestamptz, path text, body bytea, signed_key text, pay_link text,
    reference text, enrollment uuid, state text, outcome text);
CREATE TABLE bare.events (
    id uuid PRIMARY KEY, enrollment uuid, version bigint, name text, data text, actor text, source text,
    at timestamptz);
CREATE TABLE bare.outbox (event uuid PRIMARY KEY, enrollment uuid, version bigint, due_at timestamptz);
CREATE TABLE bare.timers (kind text, name text, due_at timestamptz, PRIMARY KEY (kind, name));

INSERT INTO bare.enrollments
SELECT id, learner, course, email, title, price, currency, declared, status, reason, NULL, version, created_at,
       updated_at, approved_at FROM coursegate.enrollments;
INSERT INTO bare.attempts
SELECT reference, enrollment, number, amount, currency, declared, link, link_url, status, paid_at, paid_amount,
       paid_method, evidence_level, allocation, created_at FROM coursegate.attempts;
INSERT INTO bare.grants
SELECT id, learner, course, enrollment, source, payment, level, starts_at FROM coursegate.grants;
INSERT INTO bare.inbox
SELECT key, received_at, path, body, signed_key, pay_link, reference, enrollment, state, outcome
FROM coursegate.inbox;
INSERT INTO bare.events
SELECT id, enrollment, version, event, 'code', actor, source, at FROM coursegate.events;
INSERT INTO bare.timers SELECT kind, name, due_at FROM coursegate.timers;
