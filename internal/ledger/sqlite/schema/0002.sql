-- Version 2: what operators list, search and change.

-- When the first hook came; 0: of a conversation of version 1 that the indexer has not come to yet.
ALTER TABLE conversation ADD COLUMN first_at INTEGER NOT NULL DEFAULT 0;

ALTER TABLE delivery ADD COLUMN class     TEXT    NOT NULL DEFAULT '';  -- of the newest failure; '': none
ALTER TABLE delivery ADD COLUMN reason    TEXT    NOT NULL DEFAULT '';  -- of the newest failure, or why it was dropped
ALTER TABLE delivery ADD COLUMN failed_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE delivery ADD COLUMN pinned    TEXT    NOT NULL DEFAULT '';  -- hash: it is rendered with it; '': that of the day
ALTER TABLE delivery ADD COLUMN imported  INTEGER NOT NULL DEFAULT 0;   -- 1: only imported hooks have asked for it
DROP INDEX due;
CREATE INDEX due ON delivery (target, due_at, trying) WHERE state = 0; -- with what a start looks for: leases
DROP INDEX waiting;
CREATE INDEX waiting ON delivery (target, pending_since) WHERE state = 0 AND due_at <> pending_since; -- the others are in due
CREATE INDEX listing ON delivery (target, state, conversation);
CREATE INDEX failing ON delivery (target, class, state, conversation, failed_at, imported) WHERE class <> '';
CREATE INDEX failed ON delivery (failed_at) WHERE failed_at > 0;
CREATE INDEX receipts ON delivery (receipt ->> '$.id') WHERE receipt <> '';

ALTER TABLE attempt ADD COLUMN class    TEXT NOT NULL DEFAULT '';
ALTER TABLE attempt ADD COLUMN config   TEXT NOT NULL DEFAULT '';       -- hash: it was rendered with
ALTER TABLE attempt ADD COLUMN response TEXT NOT NULL DEFAULT '';
ALTER TABLE attempt ADD COLUMN known    TEXT NOT NULL DEFAULT '';       -- JSON: what it knew of the target, its receipt and a doubt; '': nothing

-- What has died under version 1 is grouped by what is known of it.
UPDATE delivery SET (class, reason, failed_at) = (SELECT kind || CASE WHEN status > 0 THEN ' ' || status ELSE '' END, reason, at
        FROM attempt a WHERE a.conversation = delivery.conversation AND a.target = delivery.target ORDER BY fence DESC LIMIT 1)
    WHERE target IN (SELECT target FROM counter WHERE dead_rows > 0) AND state = 2
    AND EXISTS (SELECT 1 FROM attempt a WHERE a.conversation = delivery.conversation AND a.target = delivery.target);

-- What lists and searches know of conversations, made in the background out of their bodies: one row for each that has
-- any, gone with them. See index.go.
CREATE TABLE summary (
    number      INTEGER PRIMARY KEY,
    revision    INTEGER NOT NULL,
    source      TEXT    NOT NULL,
    brand       TEXT    NOT NULL,
    platform    TEXT    NOT NULL,
    outcome     TEXT    NOT NULL,
    external_id TEXT    NOT NULL,
    visitor     TEXT    NOT NULL,
    email       TEXT    NOT NULL,
    domain      TEXT    NOT NULL,              -- of email
    rating      REAL,                          -- NULL: unrated
    messages    INTEGER NOT NULL,
    opening     TEXT    NOT NULL,
    unrouted    INTEGER NOT NULL               -- 1: it had no delivery
);
CREATE INDEX summary_source ON summary (source);
CREATE INDEX summary_brand ON summary (brand);
CREATE INDEX summary_outcome ON summary (outcome);
CREATE INDEX summary_external_id ON summary (external_id) WHERE external_id <> '';
CREATE INDEX summary_email ON summary (email) WHERE email <> '';
CREATE INDEX summary_domain ON summary (domain) WHERE domain <> '';
CREATE INDEX summary_rating ON summary (rating) WHERE rating IS NOT NULL;
CREATE INDEX summary_unrouted ON summary (unrouted) WHERE unrouted = 1;

-- The words of row.Words, with spaces between them; rowid is the number of the conversation.
CREATE VIRTUAL TABLE search USING fts5 (words, content = '', contentless_delete = 1, tokenize = 'ascii');
INSERT INTO search (search, rank) VALUES ('automerge', 0); -- the indexer merges, in short transactions

-- The routes of the deliveries of a conversation.
CREATE TABLE routed (
    route  TEXT    NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (route, number)
) WITHOUT ROWID;
CREATE INDEX routed_number ON routed (number);

-- Which conversations came first in an hour: at least low, at most high.
CREATE TABLE arrival (
    hour INTEGER PRIMARY KEY,                  -- since 1970
    low  INTEGER NOT NULL,
    high INTEGER NOT NULL
);

-- Conversations that have been indexed and have changed since.
CREATE TABLE outdated (number INTEGER PRIMARY KEY);

-- What the indexer has done: newest, upwards from there; oldest, downwards from there, after an upgrade.
CREATE TABLE progress (
    name TEXT    PRIMARY KEY,
    n    INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO progress SELECT 'newest', coalesce(max(number), 0) FROM conversation;
INSERT INTO progress SELECT 'oldest', coalesce(max(number), 0) + 1 FROM conversation;

CREATE TABLE replay_job (
    number       INTEGER PRIMARY KEY,
    id           TEXT    NOT NULL UNIQUE,
    asked_by     TEXT    NOT NULL,
    created_at   INTEGER NOT NULL,
    filter       TEXT    NOT NULL,             -- JSON
    pinned       INTEGER NOT NULL,
    per_second   REAL    NOT NULL,
    state        TEXT    NOT NULL,
    total        INTEGER NOT NULL,
    done         INTEGER NOT NULL,
    skipped      INTEGER NOT NULL,
    conversation INTEGER NOT NULL,             -- where it is: number and target of the last delivery
    target       TEXT    NOT NULL,
    updated_at   INTEGER NOT NULL,
    ended_at     INTEGER NOT NULL
);

-- What the program remembers beside conversations.
CREATE TABLE note (
    name    TEXT    PRIMARY KEY,
    version INTEGER NOT NULL,
    text    TEXT    NOT NULL
) WITHOUT ROWID;

CREATE TABLE audit (
    number  INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL,
    who     TEXT    NOT NULL,
    address TEXT    NOT NULL,
    action  TEXT    NOT NULL,
    object  TEXT    NOT NULL,
    detail  TEXT    NOT NULL
);
CREATE INDEX audit_age ON audit (at);

CREATE TABLE series (
    kind TEXT    NOT NULL,
    at   INTEGER NOT NULL,                     -- begin of the minute
    name TEXT    NOT NULL,
    what TEXT    NOT NULL,
    n    INTEGER NOT NULL,
    PRIMARY KEY (kind, at, name, what)
) WITHOUT ROWID;
CREATE INDEX series_age ON series (at);
