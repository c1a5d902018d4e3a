-- Everything coursegate keeps, in a schema of its own.
--
-- `PgStore::migrate()` runs this file once, inside one transaction. To run it with another
-- tool, run CREATE SCHEMA and then this file as it is, or with each schema qualifier replaced
-- by the name of another schema: several schools are several schemas.
--
-- How it hangs together: a learner wanting a course is one row of `enrollments`; each try to
-- pay for it is one row of `attempts`; each source of access is one row of `grants`; each
-- webhook is one row of `inbox`; and each thing that happened is one row of `events`, which
-- only grows, and is added to `audit_log` soon after. An event that somebody has to hear of is also in `outbox` until they have. What
-- falls due by itself, a notice to send among them, is a row of `timers`; what an admin chose to
-- be told of is one of `preferences`, what they have read one of `read_notices`; what a person has to look into is one of `discrepancies`;
-- each line of an imported bank statement is one of `statement_rows`, and what it paid of
-- `statement_parts`. What the processes see
-- is counted in `tallies`, and what operators are woken for stands in `alerts`.
-- The function `commit` writes one decision, all of it or nothing.
--
-- Amounts are whole minor units (cents). Names are compared byte by byte (collation "C"), so
-- that prefixes use an index and pages sort as the program sorts. Enumerations are text with
-- a check; what is read whole and never searched (terms, evidence) is JSON.
--
-- The owner of the schema runs this file. The role that serves requests (here: app) needs these
-- rights and no others; it cannot change an event, nor the audit log, but by the two functions
-- that run as the owner, `append_audit_log` and `empty_events`.
--
--   GRANT USAGE ON SCHEMA coursegate TO app;
--   GRANT SELECT ON ALL TABLES IN SCHEMA coursegate TO app;
--   GRANT INSERT ON coursegate.enrollments, coursegate.pending, coursegate.attempts,
--       coursegate.grants, coursegate.inbox, coursegate.events, coursegate.outbox,
--       coursegate.timers, coursegate.preferences, coursegate.read_notices,
--       coursegate.discrepancies, coursegate.statement_rows, coursegate.statement_parts,
--       coursegate.tallies, coursegate.alerts TO app;
--   GRANT UPDATE ON coursegate.enrollments, coursegate.attempts, coursegate.grants,
--       coursegate.inbox, coursegate.outbox, coursegate.timers, coursegate.preferences,
--       coursegate.discrepancies, coursegate.statement_rows, coursegate.alerts TO app;
--   GRANT DELETE ON coursegate.pending, coursegate.outbox, coursegate.timers, coursegate.tallies,
--       coursegate.alerts TO app;
--   GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA coursegate TO app;
--
-- Functions depend on nobody's search path. Those of one expression are bound to what they name
-- when they are made, and the others say theirs: of `commit`, which costs some 25 µs without
-- its disk, that is less than can be measured.

-- The words there are. As domains rather than constraints of each table: those would be
-- read again by every single statement.
CREATE DOMAIN coursegate.method AS text
    CONSTRAINT a_method_is_known CHECK (VALUE IN ('card', 'instant_eft', 'bank_transfer', 'unknown'));
CREATE DOMAIN coursegate.minor_units AS bigint
    CONSTRAINT an_amount_is_positive CHECK (VALUE > 0);
CREATE DOMAIN coursegate.currency AS text
    CONSTRAINT a_currency_has_three_letters CHECK (VALUE ~ '^[A-Z]{3}$');
CREATE DOMAIN coursegate.enrollment_status AS text
    CONSTRAINT a_status_is_known CHECK (VALUE IN
        ('awaiting_payment', 'awaiting_approval', 'approved', 'rejected', 'expired', 'withdrawn'));
CREATE DOMAIN coursegate.attempt_status AS text
    CONSTRAINT an_attempt_status_is_known CHECK (VALUE IN
        ('started', 'link_ready', 'failed', 'abandoned', 'paid', 'refunded', 'reversed'));
CREATE DOMAIN coursegate.evidence_level AS text
    CONSTRAINT a_grade_is_known CHECK (VALUE IN ('unsigned', 'signed', 'confirmed'));
CREATE DOMAIN coursegate.allocation AS text
    CONSTRAINT an_allocation_is_known CHECK (VALUE IN ('applied', 'kept', 'on_hold', 'refund_due', 'refunded'));
CREATE DOMAIN coursegate.purpose AS text
    CONSTRAINT a_purpose_is_known CHECK (VALUE IN ('first', 'upgrade', 'renewal', 'additional'));
CREATE DOMAIN coursegate.grant_source AS text
    CONSTRAINT a_source_is_known CHECK (VALUE IN ('payment', 'approval', 'ahead', 'provisional', 'admin', 'migration'));
CREATE DOMAIN coursegate.access_level AS text
    CONSTRAINT a_level_is_known CHECK (VALUE IN ('none', 'preview', 'limited', 'full'));
CREATE DOMAIN coursegate.inbox_state AS text
    CONSTRAINT a_state_is_known CHECK (VALUE IN ('waiting', 'parked', 'dead', 'settled'));
CREATE DOMAIN coursegate.row_state AS text
    CONSTRAINT a_row_state_is_known CHECK (VALUE IN
        ('open', 'doubtful', 'matched', 'closed', 'repeated'));
CREATE DOMAIN coursegate.severity AS text
    CONSTRAINT a_severity_is_known CHECK (VALUE IN ('info', 'warning', 'error'));

-- One learner wanting one course: one row for ever; a closed one is reopened.
CREATE TABLE coursegate.enrollments (
    id          uuid PRIMARY KEY,
    learner     text COLLATE "C" NOT NULL,
    email       text COLLATE "C" NOT NULL,
    course      text COLLATE "C" NOT NULL,
    title       text NOT NULL,
    price       coursegate.minor_units NOT NULL,   -- today's; what was paid for is the attempt's
    currency    coursegate.currency NOT NULL,
    declared    coursegate.method NOT NULL,
    terms       jsonb NOT NULL,           -- the access that is asked for today
    status      coursegate.enrollment_status NOT NULL,
    reason      text,                     -- why it is held, approved, rejected or withdrawn
    waits_for   text,                     -- what waits for a person, whatever its status
    waits_on    text COLLATE "C",         -- the attempt that a person would approve
    closed      jsonb,                    -- how it was closed before the money that waits came
    first_approval jsonb,                 -- who has approved what, where two people have to
    version     bigint NOT NULL,          -- one more with every change
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    approved_at timestamptz,              -- when it was last approved
    CONSTRAINT one_enrollment_per_learner_and_course UNIQUE (learner, course),
    CONSTRAINT a_status_has_its_reason
        CHECK ((status IN ('awaiting_approval', 'approved', 'rejected', 'withdrawn')) = (reason IS NOT NULL)),
    CONSTRAINT what_is_held_waits
        CHECK (CASE status WHEN 'awaiting_approval' THEN waits_for IS NOT DISTINCT FROM reason
                           WHEN 'approved' THEN true ELSE waits_for IS NULL END),
    CONSTRAINT nothing_is_chosen_where_nothing_waits CHECK (waits_on IS NULL OR waits_for IS NOT NULL),
    CONSTRAINT what_was_closed_is_kept_while_money_waits
        CHECK (closed IS NULL OR status = 'awaiting_approval')
) WITH (fillfactor = 80);                 -- room for the next version on the same page
CREATE INDEX enrollments_by_email ON coursegate.enrollments (email, id);
CREATE INDEX enrollments_by_day ON coursegate.enrollments (created_at);
CREATE INDEX enrollments_by_course ON coursegate.enrollments (course, created_at);

-- The approval queue: the enrollments that wait for a person, oldest first. A table, and not an
-- index on the status, so that a change of status touches no index at all.
CREATE TABLE coursegate.pending (
    enrollment uuid PRIMARY KEY REFERENCES coursegate.enrollments
);

-- One try to pay. Old links stay payable, so old attempts stay open.
CREATE TABLE coursegate.attempts (
    reference     text COLLATE "C" PRIMARY KEY,   -- ours: externalTransactionID
    enrollment    uuid NOT NULL REFERENCES coursegate.enrollments,
    number        integer NOT NULL,               -- 1 is the enrollment's first
    learner       text COLLATE "C" NOT NULL,
    course        text COLLATE "C" NOT NULL,
    amount        coursegate.minor_units NOT NULL,
    currency      coursegate.currency NOT NULL,
    title         text NOT NULL,                  -- with amount and terms: what was offered
    terms         jsonb NOT NULL,                 -- the access that the money buys
    purpose       coursegate.purpose NOT NULL,
    renews        uuid,                           -- the grant that a renewal follows
    declared      coursegate.method NOT NULL,
    link          text COLLATE "C",               -- the provider's pay link
    link_url      text,
    status        coursegate.attempt_status NOT NULL,
    paid_at       timestamptz,
    paid_amount   coursegate.minor_units,         -- as far as the provider stated it
    paid_currency coursegate.currency,
    paid_method   coursegate.method,
    evidence_level         coursegate.evidence_level,               -- how well the payment is proven
    allocation      coursegate.allocation,            -- what the money does
    held_reason   text,
    refunds       jsonb NOT NULL DEFAULT '[]',    -- what went back of it, and what was asked back
    returned      bigint NOT NULL DEFAULT 0,      -- how much of it went back
    proof         text,                           -- what the learner shows for a transfer
    doubt         jsonb,                          -- what was told of its money, and is not proven
    before_reversal jsonb,                        -- what the money did before a bank took it back
    method        text NOT NULL GENERATED ALWAYS AS (coalesce(paid_method, declared)) STORED,
    created_at    timestamptz NOT NULL,
    asked_at      timestamptz NOT NULL,           -- when the learner asked for it last
    CONSTRAINT attempts_are_numbered UNIQUE (enrollment, number),
    CONSTRAINT money_that_arrived_has_a_payment
        CHECK (status NOT IN ('paid', 'refunded', 'reversed') OR paid_at IS NOT NULL),
    CONSTRAINT a_payment_is_whole
        CHECK ((paid_at IS NULL) = (allocation IS NULL) AND (paid_at IS NULL) = (evidence_level IS NULL)
               AND (paid_at IS NULL) = (paid_method IS NULL)),
    CONSTRAINT held_money_has_a_reason
        CHECK ((allocation IN ('on_hold', 'refund_due')) = (held_reason IS NOT NULL)),
    CONSTRAINT a_renewal_renews_a_grant CHECK ((purpose = 'renewal') = (renews IS NOT NULL)),
    CONSTRAINT no_more_goes_back_than_came
        CHECK (returned >= 0 AND returned <= coalesce(paid_amount, amount))
);
CREATE INDEX attempts_by_link ON coursegate.attempts (link) WHERE link IS NOT NULL;
-- Searches by people, newest first.
CREATE INDEX attempts_by_day ON coursegate.attempts (created_at, reference);
CREATE INDEX attempts_by_course ON coursegate.attempts (course, created_at, reference);
CREATE INDEX attempts_by_status ON coursegate.attempts (status, created_at, reference);
CREATE INDEX attempts_by_method ON coursegate.attempts (method, created_at, reference);
CREATE INDEX attempts_by_payment ON coursegate.attempts (paid_at) WHERE paid_at IS NOT NULL;
CREATE INDEX attempts_held ON coursegate.attempts (reference)
    WHERE status = 'paid' AND allocation IN ('on_hold', 'refund_due');

-- One source of access. Access is the union of live grants.
CREATE TABLE coursegate.grants (
    id           uuid PRIMARY KEY,
    learner      text COLLATE "C" NOT NULL,
    course       text COLLATE "C" NOT NULL,
    enrollment   uuid REFERENCES coursegate.enrollments,
    source       coursegate.grant_source NOT NULL,
    payment      text COLLATE "C",        -- the reference of the payment it rests on
    by_person    text COLLATE "C",        -- who gave it
    level        coursegate.access_level NOT NULL,
    kinds        jsonb NOT NULL,
    restrictions jsonb NOT NULL,
    starts_at    timestamptz NOT NULL,
    expires_at   timestamptz,
    suspended_at   timestamptz,           -- it does not count for now
    suspend_reason text,
    ended_at     timestamptz,
    end_reason   text,
    key          text COLLATE "C",        -- another system's name for it, if it was brought over
    CONSTRAINT one_grant_per_payment UNIQUE (payment),
    CONSTRAINT an_end_has_a_reason CHECK ((ended_at IS NULL) = (end_reason IS NULL)),
    CONSTRAINT a_suspension_has_a_reason CHECK ((suspended_at IS NULL) = (suspend_reason IS NULL))
);
CREATE UNIQUE INDEX one_grant_per_key ON coursegate.grants (key) WHERE key IS NOT NULL;
CREATE INDEX grants_by_learner ON coursegate.grants (learner, course);

-- One webhook, by the key derived from it. It is never forgotten: waiting (for the provider),
-- parked (nothing matches), dead (given up on) or settled.
CREATE TABLE coursegate.inbox (
    key          text COLLATE "C" PRIMARY KEY,
    received_at  timestamptz NOT NULL,
    path         text NOT NULL,
    body         bytea,                   -- until its time is over
    body_key     text,                    -- label of the key it is encrypted with, if it is
    signed_key   text NOT NULL,           -- label of the key that signed it
    signed_form  text NOT NULL,
    pay_link     text COLLATE "C",
    reference    text COLLATE "C",
    enrollment   uuid,
    state        coursegate.inbox_state NOT NULL,
    next_at      timestamptz,             -- when it is due to be tried again
    outcome      text,
    cause        text,
    tries        integer NOT NULL,
    leased_until timestamptz,             -- a worker has it until then
    CONSTRAINT a_body_is_kept_until_it_is_settled CHECK (body IS NOT NULL OR state = 'settled'),
    CONSTRAINT a_state_is_whole
        CHECK ((state IN ('waiting', 'parked')) = (next_at IS NOT NULL)
               AND (state = 'settled') = (outcome IS NOT NULL)
               AND (state = 'dead') = (cause IS NOT NULL))
);
CREATE INDEX inbox_due ON coursegate.inbox (next_at) WHERE state IN ('waiting', 'parked');
CREATE INDEX inbox_unsettled ON coursegate.inbox (state, key) WHERE state <> 'settled';
CREATE INDEX inbox_waiting ON coursegate.inbox (enrollment) WHERE state = 'waiting';
CREATE INDEX inbox_parked_reference ON coursegate.inbox (reference) WHERE state = 'parked';
CREATE INDEX inbox_parked_link ON coursegate.inbox (pay_link) WHERE state = 'parked';

-- One thing that happened: history, audit and notification in one. Only added to.
--
-- The columns of the second part are personal: an erasure may empty them (see `empty_events`).
-- `data`, `basis`, `written` and `card` are JSON, and text: what is in the audit log is their bytes, in
-- the one form that all stores have.
CREATE TABLE coursegate.events (
    id         uuid PRIMARY KEY,
    enrollment uuid,
    version    bigint NOT NULL,           -- the enrollment's, right after
    course     text COLLATE "C",          -- of the enrollment, or of the grant apart from any
    name       text NOT NULL,             -- of what happened
    notice     text,                      -- what kind of notice it is, if people are told of it
    severity   coursegate.severity NOT NULL,
    data       text NOT NULL,             -- what happened, without what people wrote
    actor      text NOT NULL,
    admin      text COLLATE "C",          -- who, when it was an admin
    source     text NOT NULL,
    basis      text,                      -- evidence, detection and checks behind a decision
    at         timestamptz NOT NULL,

    learner    text COLLATE "C",          -- whose enrollment or grant it is about
    note       text,
    written    text,                      -- what people wrote in the fact
    card       text,                      -- what was told of the card
    CONSTRAINT an_admin_has_a_name CHECK ((actor = 'admin') = (admin IS NOT NULL))
);
CREATE INDEX events_by_enrollment ON coursegate.events (enrollment, version, id);
CREATE INDEX events_told ON coursegate.events (notice, at, id) WHERE notice IS NOT NULL;
CREATE INDEX events_unassigned ON coursegate.events (id) WHERE enrollment IS NULL;
-- A learner's events apart from any enrollment; the others are found by their enrollments.
CREATE INDEX events_by_learner ON coursegate.events (learner, id)
    WHERE enrollment IS NULL AND learner IS NOT NULL;

-- The audit log, a hash chain: the hash of what is kept of an event, the hash of a salt and what is personal of
-- it, and the hash of these two and the hash before. Only added to; the salt goes when the
-- event is emptied.
CREATE TABLE coursegate.audit_log (
    position bigint PRIMARY KEY,
    event   uuid NOT NULL,
    form     smallint NOT NULL,           -- of the two texts
    salt     bytea,
    kept     bytea NOT NULL,
    personal bytea NOT NULL,
    hash     bytea NOT NULL,
    CONSTRAINT an_event_is_appended_once UNIQUE (event)
);

-- Nobody changes an event or a link by mistake. Who owns the tables can switch this off: then
-- the audit log tells.
CREATE FUNCTION coursegate.events_only_grow() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND current_setting('cg.erasing', true) = 'on' THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION 'events are only added' USING ERRCODE = 'CG004';
END $$;
CREATE TRIGGER events_only_grow BEFORE UPDATE OR DELETE OR TRUNCATE ON coursegate.events
    FOR EACH STATEMENT EXECUTE FUNCTION coursegate.events_only_grow();
CREATE TRIGGER chain_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON coursegate.audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION coursegate.events_only_grow();

CREATE FUNCTION coursegate.events_are_only_emptied() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    emptied coursegate.events := OLD;
BEGIN
    emptied.learner := NULL;
    emptied.note := NULL;
    emptied.written := NULL;
    emptied.card := NULL;
    IF NEW IS DISTINCT FROM emptied THEN
        RAISE EXCEPTION 'an event is emptied, and not changed' USING ERRCODE = 'CG004';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER events_are_only_emptied BEFORE UPDATE ON coursegate.events
    FOR EACH ROW EXECUTE FUNCTION coursegate.events_are_only_emptied();

CREATE FUNCTION coursegate.links_only_lose_salt() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    emptied coursegate.audit_log := OLD;
BEGIN
    emptied.salt := NULL;
    IF NEW IS DISTINCT FROM emptied THEN
        RAISE EXCEPTION 'a link loses its salt, and is not changed' USING ERRCODE = 'CG004';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER links_only_lose_salt BEFORE UPDATE ON coursegate.audit_log
    FOR EACH ROW EXECUTE FUNCTION coursegate.links_only_lose_salt();

-- Form 1 of an event's texts, as the module `event::form` writes it, byte by byte: every
-- column is in one of the two. Not one function with a SET clause: these stand in the
-- statements that use them, and are bound to what they name already.
CREATE FUNCTION coursegate.kept_text(r coursegate.events) RETURNS text LANGUAGE sql STABLE
RETURN '{"form":1,"part":"kept","id":"' || r.id::text
    || '","enrollment":' || coalesce('"' || r.enrollment::text || '"', 'null')
    || ',"version":' || r.version::text
    || ',"course":' || coalesce(to_json(r.course)::text, 'null')
    || ',"name":' || to_json(r.name)::text
    || ',"notice":' || coalesce(to_json(r.notice)::text, 'null')
    || ',"severity":' || to_json(r.severity::text)::text
    || ',"data":' || r.data
    || ',"actor":' || to_json(r.actor)::text
    || ',"admin":' || coalesce(to_json(r.admin)::text, 'null')
    || ',"source":' || to_json(r.source)::text
    || ',"basis":' || coalesce(r.basis, 'null')
    || ',"at":"' || to_char(r.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || '"}';

CREATE FUNCTION coursegate.personal_text(r coursegate.events) RETURNS text LANGUAGE sql STABLE
RETURN '{"form":1,"part":"personal","learner":' || coalesce(to_json(r.learner)::text, 'null')
    || ',"note":' || coalesce(to_json(r.note)::text, 'null')
    || ',"written":' || coalesce(r.written, 'null')
    || ',"card":' || coalesce(r.card, 'null') || '}';

-- The hashes of links one after the other, from a first one on.
CREATE FUNCTION coursegate.next_link(state bytea, before bytea, hashes bytea) RETURNS bytea
    LANGUAGE sql IMMUTABLE
RETURN sha256(coalesce(state, before) || hashes);
CREATE AGGREGATE coursegate.links(bytea, bytea) (SFUNC = coursegate.next_link, STYPE = bytea);

-- Adds events to the audit log that are not in it, from an id on, and says how many. The lock
-- lets one do it at a time; it does not keep anybody from reading, nor from writing events.
-- It runs as the owner: nobody else has to be able to write links.
CREATE FUNCTION coursegate.append_audit_log(since uuid, most integer) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    place bigint;
    last bytea;
    added integer;
BEGIN
    LOCK TABLE coursegate.audit_log IN SHARE ROW EXCLUSIVE MODE;
    SELECT c.position, c.hash INTO place, last FROM coursegate.audit_log AS c ORDER BY c.position DESC LIMIT 1;
    place := coalesce(place, 0);
    last := coalesce(last, decode(repeat('00', 32), 'hex'));
    WITH new AS MATERIALIZED (
        SELECT r.id, uuid_send(gen_random_uuid()) AS salt, coursegate.kept_text(r) AS kept,
            coursegate.personal_text(r) AS personal
        FROM coursegate.events AS r
        WHERE r.id >= since AND NOT EXISTS (SELECT FROM coursegate.audit_log AS c WHERE c.event = r.id)
        ORDER BY r.id LIMIT most),
    hashed AS MATERIALIZED (
        SELECT n.id, n.salt, sha256(convert_to(n.kept, 'UTF8')) AS kept,
            sha256(n.salt || convert_to(n.personal, 'UTF8')) AS personal
        FROM new AS n)
    INSERT INTO coursegate.audit_log (position, event, form, salt, kept, personal, hash)
        SELECT place + row_number() OVER w, h.id, 1, h.salt, h.kept, h.personal,
            coursegate.links(last, h.kept || h.personal) OVER w
        FROM hashed AS h
        WINDOW w AS (ORDER BY h.id ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW);
    GET DIAGNOSTICS added = ROW_COUNT;
    RETURN added;
END $$;

-- Empties the events that an erasure names of what is personal, and their links of the salt.
-- It runs as the owner, and can do no more than what the erasure, itself an event that is
-- never changed, says was done: for events of its own enrollment, or about its own grants.
CREATE FUNCTION coursegate.empty_events(erasure uuid) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    about uuid;
    said jsonb;
    named uuid[];
    emptied bigint;
BEGIN
    SELECT r.enrollment, r.data::jsonb INTO about, said FROM coursegate.events AS r WHERE r.id = erasure;
    IF said ->> 'type' IS DISTINCT FROM 'personal_erased' THEN
        RAISE EXCEPTION 'an erasure has its event' USING ERRCODE = 'CG005';
    END IF;
    named := ARRAY(SELECT jsonb_array_elements_text(said -> 'events')::uuid);
    PERFORM set_config('cg.erasing', 'on', true);
    UPDATE coursegate.events AS r SET learner = NULL, note = NULL, written = NULL, card = NULL
        WHERE r.id = ANY (named)
          AND CASE WHEN about IS NULL
              THEN r.enrollment IS NULL AND said -> 'grants' ? (r.data::json ->> 'grant')
              ELSE r.enrollment = about END;
    GET DIAGNOSTICS emptied = ROW_COUNT;
    IF emptied < cardinality(named) THEN
        RAISE EXCEPTION 'an erasure names an event of somebody else' USING ERRCODE = 'CG005';
    END IF;
    UPDATE coursegate.audit_log AS c SET salt = NULL WHERE c.event = ANY (named);
    PERFORM set_config('cg.erasing', 'off', true);
END $$;
REVOKE EXECUTE ON FUNCTION coursegate.append_audit_log, coursegate.empty_events FROM PUBLIC;

-- Events to publish. For each enrollment they leave in the order of (version, event); no
-- order is read off a serial number, since lower numbers can commit later.
CREATE TABLE coursegate.outbox (
    event     uuid PRIMARY KEY,          -- written by the statement that wrote the event
    enrollment uuid,
    version    bigint NOT NULL,
    due_at     timestamptz NOT NULL       -- a claim moves it to the end of its lease
);
CREATE INDEX outbox_by_enrollment ON coursegate.outbox (enrollment, version, event);
CREATE INDEX outbox_due ON coursegate.outbox (due_at);

-- What falls due by itself: an attempt to ask the provider about, an enrollment or a grant that
-- expires, a job for the whole installation. A table of its own, so that setting one anew
-- touches no index of what it is about.
CREATE TABLE coursegate.timers (
    kind         text COLLATE "C" NOT NULL,   -- attempt, enrollment, grant, notice or job
    name         text COLLATE "C" NOT NULL,   -- which one
    due_at       timestamptz NOT NULL,
    cursor       text,                        -- where a job that takes several turns left off
    leased_until timestamptz,                 -- a worker has it until then
    PRIMARY KEY (name, kind)                  -- so that no other index than the next begins with a kind
);
CREATE INDEX timers_due ON coursegate.timers (kind, due_at, name);

-- What an admin chose to be told of: the channels by which each kind of notice comes.
CREATE TABLE coursegate.preferences (
    person   text COLLATE "C" PRIMARY KEY,
    channels jsonb NOT NULL
);

-- Notices that an admin has read.
CREATE TABLE coursegate.read_notices (
    person text COLLATE "C" NOT NULL,
    notice uuid NOT NULL,
    PRIMARY KEY (person, notice)
);

-- What one process saw of something since it last said so: a signal that alerts are raised for,
-- or the use of a secret. Kept for as long as the longest rule looks back.
CREATE TABLE coursegate.tallies (
    process uuid NOT NULL,                -- a name that it made when it started
    number  bigint NOT NULL,              -- how many times it had said something before
    name    text COLLATE "C" NOT NULL,    -- what was counted
    times   bigint NOT NULL,
    most    bigint NOT NULL,              -- the most that was measured, where something is
    at      timestamptz NOT NULL,         -- by this server's clock
    PRIMARY KEY (process, number, name)
);
CREATE INDEX tallies_by_time ON coursegate.tallies (at);

-- Alerts that stand, for all processes.
CREATE TABLE coursegate.alerts (
    rule      text COLLATE "C" PRIMARY KEY,
    stage     text NOT NULL,
    severity  text NOT NULL,
    message   text NOT NULL,
    since     timestamptz NOT NULL,
    at        timestamptz NOT NULL,
    escalated boolean NOT NULL
);

-- What a person has to look into. One about an enrollment stands as long as that keeps the
-- version it was seen in.
CREATE TABLE coursegate.discrepancies (
    key        text COLLATE "C" PRIMARY KEY,
    kind       text NOT NULL,
    enrollment uuid,
    version    bigint NOT NULL,
    payment    text COLLATE "C",
    pay_link   text COLLATE "C",
    grant_id   uuid,
    amount     coursegate.minor_units,
    currency   coursegate.currency,
    outcome    text,                      -- what is to become of money that nobody knows
    since      timestamptz NOT NULL,
    closed_at  timestamptz,
    closed_by  text COLLATE "C",
    note       text,
    CONSTRAINT a_closing_is_whole CHECK ((closed_at IS NULL) = (closed_by IS NULL))
);
CREATE INDEX discrepancies_open ON coursegate.discrepancies (key) WHERE closed_at IS NULL;
-- An erasure empties those about an enrollment.
CREATE INDEX discrepancies_by_enrollment ON coursegate.discrepancies (enrollment) WHERE enrollment IS NOT NULL;

-- One line of an imported bank statement: money that arrived. `id` is a checksum over what the bank
-- says of it: its own id, or the day, sum and balance, or its place in a file. Imported again, it
-- is the same. What may be an earlier row once more is 'doubtful' beside it.
CREATE TABLE coursegate.statement_rows (
    id          text COLLATE "C" PRIMARY KEY,
    account     text COLLATE "C" NOT NULL,
    booked_on   date NOT NULL,
    amount      coursegate.minor_units NOT NULL,
    currency    coursegate.currency NOT NULL,
    number      integer NOT NULL,         -- among those of its account, day and sum, from 0
    reference   text NOT NULL,
    description text NOT NULL,
    balance     bigint,                   -- behind it, in minor units
    bank_id     text,                     -- a checksum of the bank's own id
    file        text COLLATE "C",         -- a checksum of the file it was read from
    line        integer,
    resembles   text COLLATE "C",         -- the earlier row that it may be
    imported_by text COLLATE "C" NOT NULL,
    imported_at timestamptz NOT NULL,
    state       coursegate.row_state NOT NULL,
    used        bigint NOT NULL,          -- how much of it paid for something
    decided_by  text COLLATE "C",
    decided_at  timestamptz,
    note        text,
    revision    integer NOT NULL,
    CONSTRAINT a_decision_is_whole
        CHECK ((state IN ('closed', 'repeated')) = (decided_by IS NOT NULL)
               AND (decided_by IS NULL) = (decided_at IS NULL)),
    CONSTRAINT a_sum_is_used_once
        CHECK (used BETWEEN 0 AND amount AND (state = 'matched') = (used = amount)
               AND (state NOT IN ('doubtful', 'repeated') OR used = 0)),
    CONSTRAINT a_place_is_whole CHECK ((file IS NULL) = (line IS NULL)),
    CONSTRAINT a_row_has_one_number UNIQUE (booked_on, amount, currency, account, number)
);
CREATE INDEX statement_rows_by_day ON coursegate.statement_rows
    ((CASE state WHEN 'open' THEN 'open' WHEN 'doubtful' THEN 'doubtful' ELSE 'settled' END), booked_on DESC, id);
CREATE INDEX statement_rows_by_balance ON coursegate.statement_rows (account, balance, amount)
    WHERE balance IS NOT NULL;
CREATE INDEX statement_rows_by_place ON coursegate.statement_rows (file, line) WHERE file IS NOT NULL;

-- What a row, or a part of its sum, paid.
CREATE TABLE coursegate.statement_parts (
    row_id      text COLLATE "C" NOT NULL REFERENCES coursegate.statement_rows (id),
    position    integer NOT NULL,
    payment     text COLLATE "C" NOT NULL,
    amount      coursegate.minor_units NOT NULL,
    approved_by text COLLATE "C" NOT NULL,
    approved_at timestamptz NOT NULL,
    PRIMARY KEY (row_id, position)
);
CREATE INDEX statement_parts_by_payment ON coursegate.statement_parts (payment);

-- What a list holds: rows of JSON, entries of an array, numbers from 1 on. Each is for the planner one
-- row, so that what is joined to it is looked up by an index. Functions of Postgres that make
-- rows are taken for ten or a hundred, and for so many a table is read from end to end as long as it
-- is small. In PL/pgSQL, since a function in SQL would be inlined.
CREATE FUNCTION coursegate.listed(kind anyelement, list jsonb) RETURNS SETOF anyelement
    LANGUAGE plpgsql STABLE ROWS 1 SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT * FROM jsonb_populate_recordset(kind, list);
END $$;
CREATE FUNCTION coursegate.each(list anyarray) RETURNS SETOF anyelement
    LANGUAGE plpgsql IMMUTABLE ROWS 1 SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT * FROM unnest(list);
END $$;
CREATE FUNCTION coursegate.numbers(last integer) RETURNS SETOF integer
    LANGUAGE plpgsql IMMUTABLE ROWS 1 SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT generate_series(1, last);
END $$;

-- The deliveries for an enrollment, oldest first: their keys begin with a pay link of it, or
-- with none.
CREATE FUNCTION coursegate.deliveries(about uuid) RETURNS SETOF coursegate.inbox
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT i.* FROM (SELECT link FROM coursegate.attempts WHERE enrollment = about AND link IS NOT NULL
                     UNION SELECT '') AS a
        CROSS JOIN LATERAL (SELECT * FROM coursegate.inbox AS i
                            WHERE i.key >= a.link || '/' AND i.key < a.link || '0' AND i.enrollment = about) AS i
        ORDER BY i.received_at, i.key
$$;

-- Takes the learner out of what is stored of an enrollment, or of grants apart from any, but for
-- their events.
CREATE FUNCTION coursegate.erase(about uuid, given jsonb, pseudonym text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE coursegate.enrollments SET learner = pseudonym WHERE id = about;
    UPDATE coursegate.attempts SET learner = pseudonym WHERE enrollment = about;
    UPDATE coursegate.grants AS g SET learner = pseudonym, key = NULL
        FROM coursegate.listed(NULL::coursegate.grants, given) AS new WHERE g.id = new.id;
    UPDATE coursegate.inbox AS i SET body = NULL, body_key = NULL, state = 'settled',
        outcome = coalesce(i.outcome, 'no_effect'), next_at = NULL, cause = NULL, leased_until = NULL
        FROM coursegate.deliveries(about) AS d WHERE i.key = d.key;
    -- Rows that paid, and of the others that are not open: those that looked like one of these, and those
    -- with one of the references.
    UPDATE coursegate.statement_rows AS s SET reference = '', description = '', note = left(s.note, 0)
        FROM (SELECT array_agg(p.row_id) AS ids FROM coursegate.attempts AS a
              JOIN coursegate.statement_parts AS p ON p.payment = a.reference
              WHERE a.enrollment = about) AS paid
        WHERE s.id = ANY (paid.ids) OR s.state <> 'open' AND (s.resembles = ANY (paid.ids)
            OR EXISTS (SELECT FROM coursegate.attempts AS a WHERE a.enrollment = about
                AND strpos(upper(s.reference || ' ' || s.description), upper(a.reference)) > 0));
    UPDATE coursegate.discrepancies SET note = NULL WHERE enrollment = about;
END $$;

-- Writes one decision. Says 'done', 'conflict' (the enrollment, the delivery or the grant moved on
-- or exists already, or a reference is taken) or 'duplicate' (the delivery is settled already);
-- nothing is written unless it says 'done'. What it finds out after its first write it raises, so that the
-- database undoes that write: CG001 duplicate, CG002 conflict.
--
-- Rows are always locked in the same order: enrollment, inbox, attempts, grants, timers. Under READ
-- COMMITTED the second of two writers waits at the first of these, and then sees what the
-- first one wrote.
--
-- A connection keeps the plans of its first commits. Without scans they are right for a school that
-- has grown since.
CREATE FUNCTION coursegate.commit(change jsonb) RETURNS text
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
DECLARE
    expected bigint := change ->> 'expected';
    e coursegate.enrollments := jsonb_populate_record(NULL::coursegate.enrollments, change -> 'enrollment');
    i coursegate.inbox := jsonb_populate_record(NULL::coursegate.inbox, change -> 'inbox');
    new_alert coursegate.alerts;
    changed bigint;
    added bigint;
    written boolean := false;
    settled boolean;
BEGIN
    IF e.id IS NOT NULL THEN
        IF expected IS NULL THEN
            -- Brought over from another system: nobody waited for it here.
            e.approved_at := CASE WHEN e.status = 'approved' THEN e.created_at END;
            INSERT INTO coursegate.enrollments VALUES (e.*)
                ON CONFLICT (learner, course) DO NOTHING;
        ELSE
            UPDATE coursegate.enrollments AS old SET
                email = e.email, title = e.title, price = e.price, currency = e.currency,
                declared = e.declared, terms = e.terms, status = e.status, reason = e.reason,
                waits_for = e.waits_for, waits_on = e.waits_on, closed = e.closed,
                first_approval = e.first_approval, version = e.version, updated_at = e.updated_at,
                approved_at = CASE WHEN e.status = 'approved' AND old.status <> 'approved'
                              THEN e.updated_at ELSE old.approved_at END
                WHERE id = e.id AND version = expected;
        END IF;
        IF NOT FOUND THEN
            RETURN 'conflict';
        END IF;
        written := true;
        IF e.waits_for IS NOT NULL THEN
            INSERT INTO coursegate.pending VALUES (e.id) ON CONFLICT DO NOTHING;
        ELSE
            DELETE FROM coursegate.pending WHERE enrollment = e.id;
        END IF;
    END IF;

    IF i.key IS NOT NULL THEN
        IF change ? 'inbox_was' THEN
            UPDATE coursegate.inbox AS known SET
                enrollment = i.enrollment, state = i.state, next_at = i.next_at, outcome = i.outcome,
                cause = i.cause, tries = i.tries, leased_until = NULL
                WHERE known.key = i.key AND known.state <> 'settled'
                  AND known.state = change -> 'inbox_was' ->> 'state'
                  AND known.next_at IS NOT DISTINCT FROM (change -> 'inbox_was' ->> 'next_at')::timestamptz;
        ELSE
            INSERT INTO coursegate.inbox VALUES (i.*) ON CONFLICT (key) DO NOTHING;
        END IF;
        IF NOT FOUND THEN
            settled := EXISTS (SELECT FROM coursegate.inbox WHERE key = i.key AND state = 'settled');
            IF written AND settled THEN
                RAISE EXCEPTION 'the delivery is settled already' USING ERRCODE = 'CG001';
            ELSIF written THEN
                RAISE EXCEPTION 'the delivery moved on' USING ERRCODE = 'CG002';
            END IF;
            RETURN CASE WHEN settled THEN 'duplicate' ELSE 'conflict' END;
        END IF;
    END IF;

    IF change ? 'attempts' THEN
        UPDATE coursegate.attempts AS old SET
            link = a.link, link_url = a.link_url, status = a.status, paid_at = a.paid_at, paid_amount = a.paid_amount,
            paid_currency = a.paid_currency, paid_method = a.paid_method, evidence_level = a.evidence_level,
            allocation = a.allocation, held_reason = a.held_reason, refunds = a.refunds,
            returned = a.returned, proof = a.proof, doubt = a.doubt,
            before_reversal = a.before_reversal, asked_at = a.asked_at
            FROM coursegate.listed(NULL::coursegate.attempts, change -> 'attempts') AS a
            WHERE old.reference = a.reference AND old.enrollment = a.enrollment;
        GET DIAGNOSTICS changed = ROW_COUNT;
        IF changed < jsonb_array_length(change -> 'attempts') THEN
            INSERT INTO coursegate.attempts
                (reference, enrollment, number, learner, course, amount, currency, title, terms, purpose, renews,
                 declared, link, link_url,
                 status, paid_at, paid_amount, paid_currency, paid_method, evidence_level, allocation, held_reason,
                 refunds, returned, proof, doubt, before_reversal, created_at, asked_at)
                SELECT a.reference, a.enrollment,
                       (SELECT count(*) FROM coursegate.attempts AS b WHERE b.enrollment = a.enrollment)
                           + row_number() OVER (),
                       a.learner, a.course, a.amount, a.currency, a.title, a.terms, a.purpose, a.renews,
                       a.declared, a.link, a.link_url,
                       a.status, a.paid_at, a.paid_amount, a.paid_currency, a.paid_method, a.evidence_level,
                       a.allocation, a.held_reason, a.refunds, a.returned, a.proof, a.doubt, a.before_reversal, a.created_at,
                       a.asked_at
                FROM coursegate.listed(NULL::coursegate.attempts, change -> 'attempts') AS a
                WHERE NOT EXISTS (SELECT FROM coursegate.attempts AS b
                                  WHERE b.reference = a.reference AND b.enrollment = a.enrollment)
                ON CONFLICT (reference) DO NOTHING;
            GET DIAGNOSTICS added = ROW_COUNT;
            IF changed + added < jsonb_array_length(change -> 'attempts') THEN
                RAISE EXCEPTION 'a reference belongs to another enrollment' USING ERRCODE = 'CG002';
            END IF;
        END IF;
    END IF;

    IF change ? 'wakes' THEN
        -- A delivery that found nothing may be about one of these.
        UPDATE coursegate.inbox AS parked SET next_at = a.created_at
            FROM coursegate.listed(NULL::coursegate.attempts, change -> 'wakes') AS a
            WHERE parked.state = 'parked' AND (parked.reference = a.reference OR parked.pay_link = a.link);
    END IF;

    IF change ? 'grants' THEN
        INSERT INTO coursegate.grants AS known
            SELECT * FROM jsonb_populate_recordset(NULL::coursegate.grants, change -> 'grants')
            ON CONFLICT (id) DO UPDATE SET
                source = excluded.source, payment = excluded.payment, by_person = excluded.by_person,
                level = excluded.level, kinds = excluded.kinds, restrictions = excluded.restrictions,
                starts_at = excluded.starts_at, expires_at = excluded.expires_at,
                suspended_at = excluded.suspended_at, suspend_reason = excluded.suspend_reason,
                ended_at = excluded.ended_at, end_reason = excluded.end_reason
            WHERE change ? 'erasure' OR (known.learner = excluded.learner AND known.course = excluded.course
                                         AND known.enrollment IS NOT DISTINCT FROM excluded.enrollment
                                         -- No version says that one apart moved on: it ends once.
                                         AND (known.enrollment IS NOT NULL
                                              OR known.ended_at IS NULL AND excluded.ended_at IS NOT NULL));
        GET DIAGNOSTICS changed = ROW_COUNT;
        IF changed < jsonb_array_length(change -> 'grants') THEN
            RAISE EXCEPTION 'a grant moved on, or is that of another learner or course' USING ERRCODE = 'CG002';
        END IF;
    END IF;

    IF change ? 'stops' THEN
        DELETE FROM coursegate.timers AS old
            USING coursegate.listed(NULL::coursegate.timers, change -> 'stops') AS t
            WHERE old.kind = t.kind AND old.name = t.name;
    END IF;
    IF change ? 'timers' THEN
        INSERT INTO coursegate.timers AS old (kind, name, due_at)
            SELECT kind, name, due_at
            FROM jsonb_populate_recordset(NULL::coursegate.timers, change -> 'timers')
            ON CONFLICT (kind, name) DO UPDATE SET
                due_at = excluded.due_at, cursor = NULL, leased_until = NULL;
    END IF;

    IF change ? 'discrepancies' THEN
        INSERT INTO coursegate.discrepancies AS known
            SELECT * FROM jsonb_populate_recordset(NULL::coursegate.discrepancies, change -> 'discrepancies')
            ON CONFLICT (key) DO UPDATE SET
                closed_at = excluded.closed_at, closed_by = excluded.closed_by, note = excluded.note
            WHERE known.closed_at IS NULL AND excluded.closed_at IS NOT NULL;
        GET DIAGNOSTICS changed = ROW_COUNT;
        IF changed < jsonb_array_length(change -> 'discrepancies') THEN
            RAISE EXCEPTION 'a discrepancy is known, or closed, already' USING ERRCODE = 'CG002';
        END IF;
    END IF;

    IF change ? 'statement' THEN
        INSERT INTO coursegate.statement_rows
            SELECT * FROM jsonb_populate_recordset(NULL::coursegate.statement_rows, change -> 'statement') AS new
            WHERE new.revision = 0
            ON CONFLICT DO NOTHING;
        GET DIAGNOSTICS changed = ROW_COUNT;
        UPDATE coursegate.statement_rows AS known SET
            state = new.state, used = new.used, decided_by = new.decided_by, decided_at = new.decided_at,
            note = new.note, revision = new.revision
            FROM coursegate.listed(NULL::coursegate.statement_rows, change -> 'statement') AS new
            WHERE known.id = new.id AND known.revision = new.revision - 1 AND known.state IN ('open', 'doubtful');
        GET DIAGNOSTICS added = ROW_COUNT;
        IF changed + added < jsonb_array_length(change -> 'statement') THEN
            RAISE EXCEPTION 'a row is known, or decided, already' USING ERRCODE = 'CG002';
        END IF;
        INSERT INTO coursegate.statement_parts
            SELECT s.entry ->> 'id', p.position - 1, (p.part ->> 'payment'), (p.part ->> 'amount')::bigint,
                p.part ->> 'approved_by', (p.part ->> 'approved_at')::timestamptz
            FROM jsonb_array_elements(change -> 'statement') AS s (entry)
                CROSS JOIN LATERAL jsonb_array_elements(s.entry -> 'parts') WITH ORDINALITY AS p (part, position)
            ON CONFLICT DO NOTHING;
    END IF;

    IF change ? 'preferences' THEN
        INSERT INTO coursegate.preferences
            SELECT * FROM jsonb_populate_record(NULL::coursegate.preferences, change -> 'preferences')
            ON CONFLICT (person) DO UPDATE SET channels = excluded.channels;
    END IF;

    IF change ? 'alert' THEN
        new_alert := jsonb_populate_record(NULL::coursegate.alerts, change -> 'alert');
        IF new_alert.stage = 'raised' THEN
            INSERT INTO coursegate.alerts VALUES (new_alert.*) ON CONFLICT DO NOTHING;
        ELSIF new_alert.stage = 'escalated' THEN
            UPDATE coursegate.alerts AS old
                SET stage = new_alert.stage, message = new_alert.message, at = new_alert.at, escalated = new_alert.escalated
                WHERE old.rule = new_alert.rule AND old.since = new_alert.since AND NOT old.escalated;
        ELSE
            DELETE FROM coursegate.alerts AS old WHERE old.rule = new_alert.rule AND old.since = new_alert.since;
        END IF;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'another process has said so already' USING ERRCODE = 'CG002';
        END IF;
    END IF;

    IF change ? 'events' THEN
        WITH written AS (
            INSERT INTO coursegate.events
                SELECT * FROM jsonb_populate_recordset(NULL::coursegate.events, change -> 'events')
                RETURNING id, enrollment, version, at)
        INSERT INTO coursegate.outbox
            SELECT id, enrollment, version, at FROM written WHERE (change ->> 'publish')::boolean;
    END IF;
    IF change ? 'erasure' THEN
        PERFORM coursegate.erase(e.id, change -> 'grants', change -> 'erasure' ->> 'pseudonym');
        PERFORM coursegate.empty_events((change -> 'events' -> 0 ->> 'id')::uuid);
    END IF;
    RETURN 'done';
END $$;
