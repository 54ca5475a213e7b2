-- A ledger of this schema version with some rows. It stays as it is for ever; see TestUpgrade.
PRAGMA application_id = 1634104419;
PRAGMA user_version = 2;
CREATE TABLE arrival (
    hour INTEGER PRIMARY KEY,                  -- since 1970
    low  INTEGER NOT NULL,
    high INTEGER NOT NULL
);
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
    reason       TEXT    NOT NULL, class    TEXT NOT NULL DEFAULT '', config   TEXT NOT NULL DEFAULT '', response TEXT NOT NULL DEFAULT '', known    TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (conversation, target, fence)
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
CREATE TABLE body (
    conversation INTEGER NOT NULL,
    revision     INTEGER NOT NULL,            -- below 0: a stale snapshot
    received_at  INTEGER NOT NULL,
    content_type TEXT    NOT NULL,
    decoded      BLOB    NOT NULL,            -- JSON of the conversation, without id and revision
    raw          BLOB    NOT NULL,
    UNIQUE (conversation, revision)
);
CREATE TABLE config (
    hash     TEXT PRIMARY KEY,
    snapshot BLOB NOT NULL                    -- zstd
);
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
, first_at INTEGER NOT NULL DEFAULT 0);
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
    receipt       TEXT    NOT NULL, class     TEXT    NOT NULL DEFAULT '', reason    TEXT    NOT NULL DEFAULT '', failed_at INTEGER NOT NULL DEFAULT 0, pinned    TEXT    NOT NULL DEFAULT '', imported  INTEGER NOT NULL DEFAULT 0,           -- JSON; '': none
    PRIMARY KEY (conversation, target)
) WITHOUT ROWID;
CREATE TABLE note (
    name    TEXT    PRIMARY KEY,
    version INTEGER NOT NULL,
    text    TEXT    NOT NULL
) WITHOUT ROWID;
CREATE TABLE outdated (number INTEGER PRIMARY KEY);
CREATE TABLE progress (
    name TEXT    PRIMARY KEY,
    n    INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE quarantine (
    id           TEXT    PRIMARY KEY,
    source       TEXT    NOT NULL,
    received_at  INTEGER NOT NULL,
    content_type TEXT    NOT NULL,
    reason       TEXT    NOT NULL,
    raw          BLOB    NOT NULL             -- zstd
);
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
CREATE TABLE routed (
    route  TEXT    NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (route, number)
) WITHOUT ROWID;
CREATE VIRTUAL TABLE search USING fts5 (words, content = '', contentless_delete = 1, tokenize = 'ascii');
CREATE TABLE series (
    kind TEXT    NOT NULL,
    at   INTEGER NOT NULL,                     -- begin of the minute
    name TEXT    NOT NULL,
    what TEXT    NOT NULL,
    n    INTEGER NOT NULL,
    PRIMARY KEY (kind, at, name, what)
) WITHOUT ROWID;
CREATE TABLE source (
    name      TEXT    PRIMARY KEY,
    last_hook INTEGER NOT NULL
) WITHOUT ROWID;
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
CREATE TABLE total (
    name TEXT    PRIMARY KEY,                 -- conversations, quarantined, ready (how often Ready committed)
    n    INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX aging ON conversation (seen_at) WHERE bodies = 1;
CREATE INDEX audit_age ON audit (at);
CREATE INDEX due ON delivery (target, due_at, trying) WHERE state = 0;
CREATE INDEX failed ON delivery (failed_at) WHERE failed_at > 0;
CREATE INDEX failing ON delivery (target, class, state, conversation, failed_at, imported) WHERE class <> '';
CREATE INDEX leaving ON conversation (seen_at) WHERE bodies = 0;
CREATE INDEX listing ON delivery (target, state, conversation);
CREATE INDEX quarantine_age ON quarantine (received_at);
CREATE INDEX receipts ON delivery (receipt ->> '$.id') WHERE receipt <> '';
CREATE INDEX routed_number ON routed (number);
CREATE INDEX series_age ON series (at);
CREATE INDEX session ON conversation (session, ended_at) WHERE session <> '';
CREATE INDEX summary_brand ON summary (brand);
CREATE INDEX summary_domain ON summary (domain) WHERE domain <> '';
CREATE INDEX summary_email ON summary (email) WHERE email <> '';
CREATE INDEX summary_external_id ON summary (external_id) WHERE external_id <> '';
CREATE INDEX summary_outcome ON summary (outcome);
CREATE INDEX summary_rating ON summary (rating) WHERE rating IS NOT NULL;
CREATE INDEX summary_source ON summary (source);
CREATE INDEX summary_unrouted ON summary (unrouted) WHERE unrouted = 1;
CREATE INDEX waiting ON delivery (target, pending_since) WHERE state = 0 AND due_at <> pending_since;
DELETE FROM search_config;
DELETE FROM search_data;
DELETE FROM search_docsize;
DELETE FROM search_idx;
INSERT INTO attempt VALUES (1, 'help', 1795365747793386, 1, 1, 1795365747798773, 'ok', 0, 0, '', '', '', '', '');
INSERT INTO attempt VALUES (2, 'help', 1795365747800138, 1, 1, 1795365747805293, 'ok', 0, 0, '', '', '', '', '');
INSERT INTO body VALUES (1, 1, 0, '', X'01F5DBAB859E14F78E11C90180626F6479206F662064656C6976657265647B226964223A22222C22736F75726365090CA4706C6174666F726D223A22736D61727473757070222C227265766973696F6E223A302C226F7574636F6D0D3144666C616773223A7B7D2C2276697369746F72090D486167656E7473223A5B5D2C226D657373616765010E107B22726F6C016C112D202C2274657874223A22159914227D5D2C22700D30005D1D9F1473686F70227D', X'');
INSERT INTO body VALUES (2, 1, 0, '', X'015CA9F39CFF1B90B40CBF016C626F6479206F6620646561647B226964223A22222C22736F75726365090CA4706C6174666F726D223A22736D61727473757070222C227265766973696F6E223A302C226F7574636F6D0D3144666C616773223A7B7D2C2276697369746F72090D486167656E7473223A5B5D2C226D657373616765010E107B22726F6C016C112D482C2274657874223A2264656164227D5D2C22700D2B005D1D9A1473686F70227D', X'');
INSERT INTO body VALUES (3, 1, 0, '', X'01197BC7CA0EAB35DD0EC301F04E626F6479206F66206C65617365647B226964223A22222C22736F75726365223A22222C22706C6174666F726D223A22736D61727473757070222C227265766973696F6E223A302C226F7574636F6D65093D44666C616773223A7B7D2C2276697369746F72090D486167656E7473223A5B5D2C226D657373616765010E107B22726F6C016C112D202C2274657874223A22099614227D5D2C22700D2D005D1D9C1473686F70227D', X'');
INSERT INTO body VALUES (4, 1, 0, '', X'01B93A766CA712E26D0FC501F04E626F6479206F662070656E64696E677B226964223A22222C22736F75726365223A22222C22706C6174666F726D223A22736D61727473757070222C227265766973696F6E223A302C226F7574636F6D0D3144666C616773223A7B7D2C2276697369746F72090D486167656E7473223A5B5D2C226D657373616765010E1C7B22726F6C65223A152D202C2274657874223A220D9714227D5D2C22700D2E005D1D9D1473686F70227D', X'');
INSERT INTO config VALUES ('accepted-under', X'28B52FFD04001100007B7DD194F27A');
INSERT INTO conversation VALUES (1, 'delivered', 'smartsupp', '', 1, 0, 0, 1795365747793385, 1, X'73F0E0E07976738A63508D627FF0ACD400000001C2A65A48D171827328394BD21CF3766300000001', X'7503C63E689395D4', 1795365747793385);
INSERT INTO conversation VALUES (2, 'dead', 'smartsupp', '', 1, 0, 0, 1795365747800137, 1, X'A9F3ACAA711AA047C345482FE3419ADB0000000105D28F6AD8DCC084A21356EC270B655500000001', X'ADDED4B503257F45', 1795365747800137);
INSERT INTO conversation VALUES (3, 'leased', 'smartsupp', '', 1, 0, 0, 1795365747805625, 1, X'0BAD711753FD752C016DDF8C23DF2FFE00000001B79F5EE40292F1CCD2379B6291C5BB9700000001', X'C449B4CB16AC73A0', 1795365747805625);
INSERT INTO conversation VALUES (4, 'pending', 'smartsupp', '', 1, 0, 0, 1795365747808913, 1, X'81D1D09ECAFD47007E112AEA9BA2DE6E000000012AF860511EE7E412EDBCD670DD3252EC00000001', X'D74F12377582CC96', 1795365747808913);
INSERT INTO counter VALUES ('crm', 1, 1, 0, 0, 0, 0, 0);
INSERT INTO counter VALUES ('help', 3, 1, 1, 1, 0, 0, 1);
INSERT INTO delivery VALUES (1, 'help', 1, 1, 1, 0, 0, 0, 1795369347797823, 1795365747793385, 1795365747798778, 1795365747793386, 0, 1, 0, 1, 0, '["all"]', 'accepted-under', 'today', '{"id":"t1","parts":{"note":"n1"}}', '', '', 0, '', 0);
INSERT INTO delivery VALUES (2, 'help', 2, 1, 0, 0, 0, 0, 1795369347803413, 1795365747800137, 1795365747805311, 1795365747800138, 0, 1, 0, 1, 0, '["all"]', 'accepted-under', 'today', '{"id":"t1","parts":{"note":"n1"}}', 'ok', '', 1795365747805311, '', 0);
INSERT INTO delivery VALUES (3, 'help', 0, 1, 0, 1, 0, 0, 1795369347805820, 1795365747805625, 0, 1795365747805626, 1, 0, 0, 1, 0, '["all"]', 'accepted-under', 'today', '', '', '', 0, '', 0);
INSERT INTO delivery VALUES (4, 'crm', 0, 1, 0, 0, 0, 0, 1795365747808913, 1795365747808913, 0, 1795365747808913, 0, 0, 0, 1, 0, '["all"]', 'accepted-under', '', '', '', '', 0, '', 0);
INSERT INTO progress VALUES ('newest', 0);
INSERT INTO progress VALUES ('oldest', 1);
INSERT INTO quarantine VALUES ('q74qve2w7gnw6r6pn6bw11eg3hg', 'shop', 1795365747816298, '', '', X'28B52FFD04000900003F045BF75D');
INSERT INTO search_config VALUES ('automerge', 0);
INSERT INTO search_config VALUES ('version', 4);
INSERT INTO search_data VALUES (1, X'');
INSERT INTO search_data VALUES (10, X'00000001FF000001000000');
INSERT INTO source VALUES ('shop', 1795365747816298);
INSERT INTO target VALUES ('help', 'f00', 0, 0, '', 0, 0, 3600000000);
INSERT INTO total VALUES ('conversations', 4);
INSERT INTO total VALUES ('quarantined', 1);
