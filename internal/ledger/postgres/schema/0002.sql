-- Version 2: what operators ask and change. Programs of version 1 go on beside it: every new column of a table of theirs
-- has a default that says "not known", and what they leave behind is found by the indexer.

-- indexed is the revision that summary tells of. A conversation that has a newer one is found by the index, whoever stored
-- it and in whatever order the transactions came to their end; nothing else says what is to be done.
ALTER TABLE conversation
    ADD COLUMN first_at bigint  NOT NULL DEFAULT 0,     -- when the first hook came; 0: not known yet
    ADD COLUMN indexed  integer NOT NULL DEFAULT 0,
    ADD COLUMN unrouted boolean NOT NULL DEFAULT false, -- had no delivery when it was indexed
    ADD COLUMN routes   text[]  NOT NULL DEFAULT '{}';  -- of its deliveries when it was indexed
ALTER TABLE conversation ALTER COLUMN first_at SET DEFAULT (extract(epoch FROM now()) * 1000000)::bigint;
ALTER TABLE conversation SET (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX conversation_unindexed ON conversation (number) WHERE indexed < revision;
CREATE INDEX conversation_unrouted ON conversation (number) WHERE unrouted;
CREATE INDEX conversation_routes ON conversation USING gin (routes) WHERE routes <> '{}';

-- Which numbers the conversations have that came first in an hour: at least low, at most high.
CREATE TABLE arrival (
    hour integer PRIMARY KEY,                 -- since 1970
    low  bigint  NOT NULL,
    high bigint  NOT NULL
) WITH (fillfactor = 50);

-- One row per conversation that has bodies: what lists and searches know of its newest revision. It is written some
-- moments after the hook and goes with the bodies.
CREATE TABLE summary (
    conversation bigint  PRIMARY KEY,
    source       text    COLLATE "C" NOT NULL,
    brand        text    COLLATE "C" NOT NULL,
    outcome      text    COLLATE "C" NOT NULL,
    external_id  text    COLLATE "C" NOT NULL,
    visitor      text    COLLATE "C" NOT NULL,
    email        text    COLLATE "C" NOT NULL,
    rating       double precision,            -- NULL: unrated
    messages     integer NOT NULL,
    opening      text    NOT NULL,
    words        tsvector NOT NULL            -- of the transcript and the visitor, see package row's Words
) WITH (autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX summary_source ON summary (source, conversation);
CREATE INDEX summary_brand ON summary (brand, conversation);
CREATE INDEX summary_outcome ON summary (outcome, conversation);
CREATE INDEX summary_external ON summary (external_id, conversation);
CREATE INDEX summary_email ON summary (email, conversation);
CREATE INDEX summary_rating ON summary (rating, conversation) WHERE rating IS NOT NULL;
CREATE INDEX summary_words ON summary USING gin (words);

ALTER TABLE delivery
    ADD COLUMN class     text   COLLATE "C" NOT NULL DEFAULT '', -- of the newest failure of a row that is pending or dead
    ADD COLUMN reason    text   NOT NULL DEFAULT '',
    ADD COLUMN failed_at bigint NOT NULL DEFAULT 0,
    ADD COLUMN pinned    text   NOT NULL DEFAULT '';             -- hash: it is rendered with this configuration
CREATE INDEX delivery_listed ON delivery (target, state, conversation);
CREATE INDEX delivery_failing ON delivery (target, class, state, conversation, failed_at) WHERE class <> '';
CREATE INDEX delivery_failed ON delivery (failed_at) WHERE failed_at > 0;
CREATE INDEX delivery_unclassed ON delivery (conversation) WHERE state = 2 AND class = '';

ALTER TABLE attempt
    ADD COLUMN class    text NOT NULL DEFAULT '',
    ADD COLUMN config   text NOT NULL DEFAULT '', -- hash: it was rendered with
    ADD COLUMN response text NOT NULL DEFAULT '';

-- What has died under version 1 is grouped by what is known of it. Retain does the same with what dies under programs of
-- that version later.
UPDATE delivery d SET class = a.class, reason = a.reason, failed_at = a.at
    FROM (SELECT DISTINCT ON (a.conversation, a.target) a.conversation, a.target, a.reason, a.at,
            a.kind || CASE WHEN a.status > 0 THEN ' ' || a.status ELSE '' END AS class
        FROM delivery f JOIN conversation c ON c.number = f.conversation
        JOIN attempt a ON a.day = c.day AND a.conversation = f.conversation AND a.target = f.target
        WHERE f.state = 2 AND f.class = '' AND c.bodies ORDER BY a.conversation, a.target, a.fence DESC, a.at DESC) a
    WHERE d.conversation = a.conversation AND d.target = a.target AND d.state = 2 AND d.class = '';

CREATE INDEX quarantine_listed ON quarantine (received_at, id);
CREATE INDEX quarantine_source ON quarantine (source, received_at, id);

CREATE TABLE replay_job (
    id           text   COLLATE "C" PRIMARY KEY,
    asked_by     text   NOT NULL,
    created_at   bigint NOT NULL,
    filter       text   NOT NULL,             -- JSON
    pinned       boolean NOT NULL,
    per_second   double precision NOT NULL,
    state        text   NOT NULL,
    total        bigint NOT NULL,
    done         bigint NOT NULL,
    skipped      bigint NOT NULL,
    conversation bigint NOT NULL,             -- the last delivery whose turn has come
    target       text   COLLATE "C" NOT NULL,
    updated_at   bigint NOT NULL,
    ended_at     bigint NOT NULL
);
CREATE INDEX replay_job_listed ON replay_job (created_at, id);

CREATE TABLE audit (
    number  bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    at      bigint NOT NULL,
    who     text   NOT NULL,
    address text   NOT NULL,
    action  text   NOT NULL,
    object  text   NOT NULL,
    detail  text   NOT NULL
);
CREATE INDEX audit_age ON audit (at);

-- What happened in each minute.
CREATE TABLE series (
    kind text   COLLATE "C" NOT NULL,
    at   bigint NOT NULL,                      -- begin of the minute
    name text   COLLATE "C" NOT NULL,
    what text   COLLATE "C" NOT NULL,
    n    bigint NOT NULL,
    PRIMARY KEY (kind, at, name, what)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX series_age ON series (at);

-- When a replica said last that the configuration is in force.
ALTER TABLE config ADD COLUMN used_at bigint NOT NULL DEFAULT (extract(epoch FROM now()) * 1000000)::bigint;
