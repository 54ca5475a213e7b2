-- Version 1. Times are Unix microseconds, 0 for none; they come from the program, never from SQLite's clock.
-- Hashes come in as random keys, so every table but conversation hangs on a number that grows: inserts stay local.

-- One row per conversation: what recognizes its hooks. It holds nothing personal and outlives the bodies, so that a
-- late hook still finds its conversation and, in delivery, what the targets hold of it.
CREATE TABLE conversation (
    number       INTEGER PRIMARY KEY,
    id           TEXT    NOT NULL UNIQUE,
    platform     TEXT    NOT NULL,
    session      TEXT    NOT NULL,            -- '': none
    revision     INTEGER NOT NULL,            -- the newest
    stale        INTEGER NOT NULL,            -- how many stale snapshots came; their bodies are numbered -1, -2, …
    ended_at     INTEGER NOT NULL,            -- of the newest revision
    seen_at      INTEGER NOT NULL,            -- when the newest hook that was stored came
    bodies       INTEGER NOT NULL,            -- 1: its bodies are here; 0: retention took them
    fingerprints BLOB    NOT NULL,            -- of every hook so far: 16 bytes of digest, 4 of revision, repeated
    chain        BLOB    NOT NULL             -- of the newest revision: 8 bytes per message
);
CREATE INDEX session ON conversation (session, ended_at) WHERE session <> '';
CREATE INDEX aging ON conversation (seen_at) WHERE bodies = 1;
CREATE INDEX leaving ON conversation (seen_at) WHERE bodies = 0;

-- One row per stored hook. Both blobs are zstd; since version 2 the first is a block of both and the second empty.
CREATE TABLE body (
    conversation INTEGER NOT NULL,
    revision     INTEGER NOT NULL,            -- below 0: a stale snapshot
    received_at  INTEGER NOT NULL,
    content_type TEXT    NOT NULL,
    decoded      BLOB    NOT NULL,            -- JSON of the conversation, without id and revision
    raw          BLOB    NOT NULL,
    UNIQUE (conversation, revision)
);

-- One row per conversation and target.
CREATE TABLE delivery (
    conversation  INTEGER NOT NULL,
    target        TEXT    NOT NULL,
    state         INTEGER NOT NULL,           -- of want: 0 pending, 1 delivered, 2 dead, 3 skipped, 4 superseded
    want          INTEGER NOT NULL,           -- the revision that is to be delivered, or was
    have          INTEGER NOT NULL,           -- the revision that the target is known to hold; 0: none
    trying        INTEGER NOT NULL,           -- the revision of a claim that has not been settled; 0: none
    doubt         INTEGER NOT NULL,           -- the revision of the attempt that may have been taken; 0: none
    lapsed        INTEGER NOT NULL,           -- 1: the claim before ended without a settle, and no attempt was settled since
    due_at        INTEGER NOT NULL,           -- of a leased row, the end of its lease
    pending_since INTEGER NOT NULL,
    settled_at    INTEGER NOT NULL,
    fence         INTEGER NOT NULL,           -- begins with the time, so that one of a forgotten row never comes again
    claims        INTEGER NOT NULL,           -- in a row without a settle
    tries         INTEGER NOT NULL,           -- of want
    first_at      INTEGER NOT NULL,           -- first attempt of want, on the target's active clock
    planned       INTEGER NOT NULL,           -- the newest plan has this target
    ignore        INTEGER NOT NULL,           -- on_update: ignore
    routes        TEXT    NOT NULL,           -- JSON list of names
    config        TEXT    NOT NULL,           -- hash: accepted under
    tried         TEXT    NOT NULL,           -- hash: of the attempt before, or of the one in doubt
    receipt       TEXT    NOT NULL,           -- JSON; '': none
    PRIMARY KEY (conversation, target)
) WITHOUT ROWID;
CREATE INDEX due ON delivery (target, due_at) WHERE state = 0;
CREATE INDEX waiting ON delivery (target, pending_since) WHERE state = 0;

CREATE TABLE attempt (
    conversation INTEGER NOT NULL,
    target       TEXT    NOT NULL,
    fence        INTEGER NOT NULL,            -- of the lease that it was made under
    revision     INTEGER NOT NULL,
    number       INTEGER NOT NULL,
    at           INTEGER NOT NULL,
    kind         TEXT    NOT NULL,
    duration     INTEGER NOT NULL,            -- microseconds
    status       INTEGER NOT NULL,
    reason       TEXT    NOT NULL,
    PRIMARY KEY (conversation, target, fence)
) WITHOUT ROWID;

CREATE TABLE target (
    name         TEXT    PRIMARY KEY,
    account      TEXT    NOT NULL,
    since        INTEGER NOT NULL,
    until        INTEGER NOT NULL,
    reason       TEXT    NOT NULL,
    by_operator  INTEGER NOT NULL,
    probes       INTEGER NOT NULL,
    paused       INTEGER NOT NULL             -- microseconds
) WITHOUT ROWID;

CREATE TABLE config (
    hash     TEXT PRIMARY KEY,
    snapshot BLOB NOT NULL                    -- zstd
);

CREATE TABLE quarantine (
    id           TEXT    PRIMARY KEY,
    source       TEXT    NOT NULL,
    received_at  INTEGER NOT NULL,
    content_type TEXT    NOT NULL,
    reason       TEXT    NOT NULL,
    raw          BLOB    NOT NULL             -- zstd
);
CREATE INDEX quarantine_age ON quarantine (received_at);

-- What would take a count of a million rows. Changed in the transaction of what they count; they outlive retention.
CREATE TABLE counter (
    target     TEXT    PRIMARY KEY,
    accepted   INTEGER NOT NULL,
    pending    INTEGER NOT NULL,
    delivered  INTEGER NOT NULL,
    dead       INTEGER NOT NULL,
    skipped    INTEGER NOT NULL,
    superseded INTEGER NOT NULL,
    dead_rows  INTEGER NOT NULL,              -- dead deliveries whose bodies are still here
    CHECK (accepted = pending + delivered + dead + skipped + superseded)
) WITHOUT ROWID;
CREATE TABLE total (
    name TEXT    PRIMARY KEY,                 -- conversations, quarantined, ready (how often Ready committed)
    n    INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE source (
    name      TEXT    PRIMARY KEY,
    last_hook INTEGER NOT NULL
) WITHOUT ROWID;
