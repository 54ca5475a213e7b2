-- Version 1. Times are Unix microseconds, 0 for none; those of leases and of what falls due are the database's clock.
-- Programs name every column that they read or write, so that a later version may add some.

CREATE SEQUENCE conversation_number;

-- One row per conversation: what recognizes its hooks. It holds nothing personal and outlives the bodies, so that a
-- late hook still finds its conversation and, in delivery, what the targets hold of it.
CREATE TABLE conversation (
    number       bigint  PRIMARY KEY,
    id           text    COLLATE "C" NOT NULL,
    platform     text    NOT NULL,
    session      text    COLLATE "C" NOT NULL, -- '': none
    revision     integer NOT NULL,            -- the newest
    stale        integer NOT NULL,            -- how many stale snapshots came; their bodies are numbered -1, -2, …
    ended_at     bigint  NOT NULL,            -- of the newest revision
    seen_at      bigint  NOT NULL,            -- when the newest hook that was stored came
    bodies       boolean NOT NULL,            -- false: retention took its bodies
    day          integer NOT NULL,            -- since 1970: the partition of its bodies and attempts
    fingerprints bytea   NOT NULL,            -- of every hook so far: 16 bytes of digest, 4 of revision, repeated
    chain        bytea   NOT NULL,            -- of the newest revision: 8 bytes per message
    CONSTRAINT conversation_id UNIQUE (id)
);
CREATE INDEX conversation_session ON conversation (session) WHERE session <> '';
CREATE INDEX conversation_aging ON conversation (seen_at, number) WHERE bodies;
CREATE INDEX conversation_leaving ON conversation (seen_at, number) WHERE NOT bodies;
CREATE INDEX conversation_day ON conversation (day) WHERE bodies;

-- One row per stored hook. Both blobs are zstd, so nothing is compressed again; since version 2 the first is a block of
-- both and the second empty.
CREATE TABLE body (
    day          integer NOT NULL,
    conversation bigint  NOT NULL,
    revision     integer NOT NULL,            -- below 0: a stale snapshot
    received_at  bigint  NOT NULL,
    content_type text    NOT NULL,
    decoded      bytea   NOT NULL,            -- JSON of the conversation, without id and revision
    raw          bytea   NOT NULL,
    PRIMARY KEY (day, conversation, revision)
) PARTITION BY RANGE (day);
ALTER TABLE body ALTER COLUMN decoded SET STORAGE EXTERNAL, ALTER COLUMN raw SET STORAGE EXTERNAL;

-- One row per conversation and target. It is written at every attempt, so its pages keep room for new versions and the
-- old ones are removed early.
CREATE TABLE delivery (
    conversation  bigint  NOT NULL,
    target        text    COLLATE "C" NOT NULL,
    state         integer NOT NULL,           -- of want: 0 pending, 1 delivered, 2 dead, 3 skipped, 4 superseded
    want          integer NOT NULL,           -- the revision that is to be delivered, or was
    have          integer NOT NULL,           -- the revision that the target is known to hold; 0: none
    trying        integer NOT NULL,           -- the revision of a claim that has not been settled; 0: none
    doubt         integer NOT NULL,           -- the revision of the attempt that may have been taken; 0: none
    lapsed        boolean NOT NULL,           -- the claim before ended without a settle, and no attempt was settled since
    due_at        bigint  NOT NULL,           -- of a leased row, the end of its lease
    pending_since bigint  NOT NULL,
    settled_at    bigint  NOT NULL,
    fence         bigint  NOT NULL,           -- begins with the time, so that one of a forgotten row never comes again
    claims        integer NOT NULL,           -- in a row without a settle
    tries         integer NOT NULL,           -- of want
    first_at      bigint  NOT NULL,           -- first attempt of want, on the target's active clock
    planned       boolean NOT NULL,           -- the newest plan has this target
    ignore        boolean NOT NULL,           -- on_update: ignore
    routes        text    NOT NULL,           -- JSON list of names
    config        text    NOT NULL,           -- hash: accepted under
    tried         text    NOT NULL,           -- hash: of the attempt before, or of the one in doubt
    receipt       text    NOT NULL,           -- JSON; '': none
    PRIMARY KEY (conversation, target)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_cost_delay = 0, autovacuum_analyze_scale_factor = 0.05);
CREATE INDEX delivery_due ON delivery (target, due_at) WHERE state = 0;
CREATE INDEX delivery_waiting ON delivery (target, pending_since) WHERE state = 0;

CREATE TABLE attempt (
    day          integer NOT NULL,            -- that of the conversation
    conversation bigint  NOT NULL,
    target       text    COLLATE "C" NOT NULL,
    fence        bigint  NOT NULL,            -- of the lease that it was made under
    revision     integer NOT NULL,
    number       integer NOT NULL,
    at           bigint  NOT NULL,
    kind         text    NOT NULL,
    duration     bigint  NOT NULL,            -- microseconds
    status       integer NOT NULL,
    reason       text    NOT NULL
) PARTITION BY RANGE (day);
CREATE INDEX attempt_conversation ON attempt (conversation, target);

CREATE TABLE target (
    name        text    COLLATE "C" PRIMARY KEY,
    account     text    NOT NULL,
    since       bigint  NOT NULL,
    until       bigint  NOT NULL,
    reason      text    NOT NULL,
    by_operator boolean NOT NULL,
    probes      integer NOT NULL,
    paused      bigint  NOT NULL              -- microseconds
);

-- What is left of a target's rate, for all replicas.
CREATE TABLE bucket (
    target    text COLLATE "C" PRIMARY KEY,
    tokens    double precision NOT NULL,
    filled_at bigint NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);

CREATE TABLE config (
    hash     text  COLLATE "C" PRIMARY KEY,
    snapshot bytea NOT NULL                   -- zstd
);

CREATE TABLE quarantine (
    id           text   COLLATE "C" PRIMARY KEY,
    source       text   COLLATE "C" NOT NULL,
    received_at  bigint NOT NULL,
    content_type text   NOT NULL,
    reason       text   NOT NULL,
    raw          bytea  NOT NULL              -- zstd
);
ALTER TABLE quarantine ALTER COLUMN raw SET STORAGE EXTERNAL;
CREATE INDEX quarantine_age ON quarantine (received_at);

-- What would take a count of a million rows. Changed in the transaction of what they count; they outlive retention.
-- Each has several rows, one per slot, which are added up: a row is locked until its transaction is committed, and
-- replicas, which write to slots of their own, do not wait for each other. One row alone may be below 0.
CREATE TABLE counter (
    target     text     COLLATE "C" NOT NULL,
    slot       smallint NOT NULL,
    accepted   bigint   NOT NULL,
    pending    bigint   NOT NULL,
    delivered  bigint   NOT NULL,
    dead       bigint   NOT NULL,
    skipped    bigint   NOT NULL,
    superseded bigint   NOT NULL,
    dead_rows  bigint   NOT NULL,             -- dead deliveries whose bodies are still here
    PRIMARY KEY (target, slot),
    CHECK (accepted = pending + delivered + dead + skipped + superseded)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
CREATE TABLE total (
    name text     COLLATE "C" NOT NULL,       -- conversations, quarantined, ready (how often Ready committed)
    slot smallint NOT NULL,
    n    bigint   NOT NULL,
    PRIMARY KEY (name, slot)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
CREATE TABLE source (
    name      text     COLLATE "C" NOT NULL,
    slot      smallint NOT NULL,
    last_hook bigint   NOT NULL,
    PRIMARY KEY (name, slot)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
