-- A ledger of this schema version with some rows. It stays as it is for ever; see TestUpgrade.
PRAGMA application_id = 1634104419;
PRAGMA user_version = 1;
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
);
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
    receipt       TEXT    NOT NULL,           -- JSON; '': none
    PRIMARY KEY (conversation, target)
) WITHOUT ROWID;
CREATE TABLE quarantine (
    id           TEXT    PRIMARY KEY,
    source       TEXT    NOT NULL,
    received_at  INTEGER NOT NULL,
    content_type TEXT    NOT NULL,
    reason       TEXT    NOT NULL,
    raw          BLOB    NOT NULL             -- zstd
);
CREATE TABLE source (
    name      TEXT    PRIMARY KEY,
    last_hook INTEGER NOT NULL
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
CREATE TABLE total (
    name TEXT    PRIMARY KEY,                 -- conversations, quarantined, ready (how often Ready committed)
    n    INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX aging ON conversation (seen_at) WHERE bodies = 1;
CREATE INDEX due ON delivery (target, due_at) WHERE state = 0;
CREATE INDEX leaving ON conversation (seen_at) WHERE bodies = 0;
CREATE INDEX quarantine_age ON quarantine (received_at);
CREATE INDEX session ON conversation (session, ended_at) WHERE session <> '';
CREATE INDEX waiting ON delivery (target, pending_since) WHERE state = 0;
INSERT INTO attempt VALUES (1, 'help', 1795298289488920, 1, 1, 1795298289490295, 'ok', 0, 0, '');
INSERT INTO attempt VALUES (2, 'help', 1795298289490622, 1, 1, 1795298289493102, 'ok', 0, 0, '');
INSERT INTO body VALUES (1, 1, 0, '', X'28B52FFD0400D5030072091B1980816D01CBA3F5CA6DF1EFD0274F1D8C72370FA9877D5D2002C920DC8BA6A86D482E50F138088BEF15806BBB11A58E08F7A229BB98B641B8770DD014CD75F61C5B82DC6B0A12604A6219B905EE419E3D07EAB652C62E2D69BF93A66015A4B65502EC37126AE46E7F176724030043551C98110A62C051BBE7A4ED', X'28B52FFD0400890000626F6479206F662064656C69766572656430D70011');
INSERT INTO body VALUES (2, 1, 0, '', X'28B52FFD0400B5030022091A1870016E01CE1F9B28294D0D3D21CC1501801084D5080050568B10DC9B06D3262C1398C4F70AC8B5DD69A85A09EE4D83BB893621B8771D6950E93A7B926D51EE356814897458886E81FBD0B32749B59D12B24B21DA6FA4B45868A4EDA400FB9D834274B7BF89B312030043551C98110A62C051D6A57E6F', X'28B52FFD0400610000626F6479206F662064656164A027FC51');
INSERT INTO body VALUES (3, 1, 0, '', X'28B52FFD0400C5030042891A1980816D01CB47EFDDDBE2DFA1274BFD8C72370FA9877D5D2002C920DC9B05D3362417B998E77B05E4DAEE3CAA46847BB3E06EA26D10EE5D822CA8749935832D41EE2D788C444AAC43B7C02D50B366906A3BA5639742B4DF48A9B1F0A4EDA400FB9D843A74B7BF0B3312030043551C98110A62C0519D759D86', X'28B52FFD0400710000626F6479206F66206C65617365640405E2FC');
INSERT INTO body VALUES (4, 1, 0, '', X'28B52FFD0400CD030052C91A1980816D01CB476FD95BD9AED0274F1D8C72370FA9877D5D2002C920DC8AA6A86D4836E91409D5F706E06E371AB946845BD1145544DB20DCBA094D59B947CF604B905B4D31048892D823B7C09DF2E819E0DA56EAD05D05E9375A29D862A86D9500FA8DC43A52B7BF8B3312030043551C98110A62C0519E72B890', X'28B52FFD0400790000626F6479206F662070656E64696E673B173D19');
INSERT INTO config VALUES ('accepted-under', X'28B52FFD04001100007B7DD194F27A');
INSERT INTO conversation VALUES (1, 'delivered', 'smartsupp', '', 1, 0, 0, 1795298289488919, 1, X'73F0E0E07976738A63508D627FF0ACD400000001C2A65A48D171827328394BD21CF3766300000001', X'7503C63E689395D4');
INSERT INTO conversation VALUES (2, 'dead', 'smartsupp', '', 1, 0, 0, 1795298289490621, 1, X'A9F3ACAA711AA047C345482FE3419ADB0000000105D28F6AD8DCC084A21356EC270B655500000001', X'ADDED4B503257F45');
INSERT INTO conversation VALUES (3, 'leased', 'smartsupp', '', 1, 0, 0, 1795298289493320, 1, X'0BAD711753FD752C016DDF8C23DF2FFE00000001B79F5EE40292F1CCD2379B6291C5BB9700000001', X'C449B4CB16AC73A0');
INSERT INTO conversation VALUES (4, 'pending', 'smartsupp', '', 1, 0, 0, 1795298289493785, 1, X'81D1D09ECAFD47007E112AEA9BA2DE6E000000012AF860511EE7E412EDBCD670DD3252EC00000001', X'D74F12377582CC96');
INSERT INTO counter VALUES ('crm', 1, 1, 0, 0, 0, 0, 0);
INSERT INTO counter VALUES ('help', 3, 1, 1, 1, 0, 0, 1);
INSERT INTO delivery VALUES (1, 'help', 1, 1, 1, 0, 0, 0, 1795301889489587, 1795298289488919, 1795298289490307, 1795298289488920, 0, 1, 0, 1, 0, '["all"]', 'accepted-under', 'today', '{"id":"t1","parts":{"note":"n1"}}');
INSERT INTO delivery VALUES (2, 'help', 2, 1, 0, 0, 0, 0, 1795301889492778, 1795298289490621, 1795298289493110, 1795298289490622, 0, 1, 0, 1, 0, '["all"]', 'accepted-under', 'today', '{"id":"t1","parts":{"note":"n1"}}');
INSERT INTO delivery VALUES (3, 'help', 0, 1, 0, 1, 0, 0, 1795301889493518, 1795298289493320, 0, 1795298289493321, 1, 0, 0, 1, 0, '["all"]', 'accepted-under', 'today', '');
INSERT INTO delivery VALUES (4, 'crm', 0, 1, 0, 0, 0, 0, 1795298289493785, 1795298289493785, 0, 1795298289493785, 0, 0, 0, 1, 0, '["all"]', 'accepted-under', '', '');
INSERT INTO quarantine VALUES ('q74qve2w7gnw6r6pn6bw11eg3hg', 'shop', 1795298289493986, '', '', X'28B52FFD04000900003F045BF75D');
INSERT INTO source VALUES ('shop', 1795298289493986);
INSERT INTO target VALUES ('help', 'f00', 0, 0, '', 0, 0, 3600000000);
INSERT INTO total VALUES ('conversations', 4);
INSERT INTO total VALUES ('quarantined', 1);
