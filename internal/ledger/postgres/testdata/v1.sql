SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
CREATE SCHEMA afterchat_v1;
CREATE TABLE afterchat_v1.attempt (
    day integer NOT NULL,
    conversation bigint NOT NULL,
    target text NOT NULL COLLATE pg_catalog."C",
    fence bigint NOT NULL,
    revision integer NOT NULL,
    number integer NOT NULL,
    at bigint NOT NULL,
    kind text NOT NULL,
    duration bigint NOT NULL,
    status integer NOT NULL,
    reason text NOT NULL
)
PARTITION BY RANGE (day);
CREATE TABLE afterchat_v1.attempt_20261122 (
    day integer NOT NULL,
    conversation bigint NOT NULL,
    target text NOT NULL COLLATE pg_catalog."C",
    fence bigint NOT NULL,
    revision integer NOT NULL,
    number integer NOT NULL,
    at bigint NOT NULL,
    kind text NOT NULL,
    duration bigint NOT NULL,
    status integer NOT NULL,
    reason text NOT NULL
);
CREATE TABLE afterchat_v1.attempt_20261123 (
    day integer NOT NULL,
    conversation bigint NOT NULL,
    target text NOT NULL COLLATE pg_catalog."C",
    fence bigint NOT NULL,
    revision integer NOT NULL,
    number integer NOT NULL,
    at bigint NOT NULL,
    kind text NOT NULL,
    duration bigint NOT NULL,
    status integer NOT NULL,
    reason text NOT NULL
);
CREATE TABLE afterchat_v1.attempt_20261124 (
    day integer NOT NULL,
    conversation bigint NOT NULL,
    target text NOT NULL COLLATE pg_catalog."C",
    fence bigint NOT NULL,
    revision integer NOT NULL,
    number integer NOT NULL,
    at bigint NOT NULL,
    kind text NOT NULL,
    duration bigint NOT NULL,
    status integer NOT NULL,
    reason text NOT NULL
);
CREATE TABLE afterchat_v1.attempt_20261223 (
    day integer NOT NULL,
    conversation bigint NOT NULL,
    target text NOT NULL COLLATE pg_catalog."C",
    fence bigint NOT NULL,
    revision integer NOT NULL,
    number integer NOT NULL,
    at bigint NOT NULL,
    kind text NOT NULL,
    duration bigint NOT NULL,
    status integer NOT NULL,
    reason text NOT NULL
);
CREATE TABLE afterchat_v1.body (
    day integer NOT NULL,
    conversation bigint NOT NULL,
    revision integer NOT NULL,
    received_at bigint NOT NULL,
    content_type text NOT NULL,
    decoded bytea NOT NULL,
    raw bytea NOT NULL
)
PARTITION BY RANGE (day);
ALTER TABLE ONLY afterchat_v1.body ALTER COLUMN decoded SET STORAGE EXTERNAL;
ALTER TABLE ONLY afterchat_v1.body ALTER COLUMN raw SET STORAGE EXTERNAL;
CREATE TABLE afterchat_v1.body_20261122 (
    day integer NOT NULL,
    conversation bigint NOT NULL,
    revision integer NOT NULL,
    received_at bigint NOT NULL,
    content_type text NOT NULL,
    decoded bytea NOT NULL,
    raw bytea NOT NULL
)
WITH (toast_tuple_target='8160');
ALTER TABLE ONLY afterchat_v1.body_20261122 ALTER COLUMN decoded SET STORAGE EXTERNAL;
ALTER TABLE ONLY afterchat_v1.body_20261122 ALTER COLUMN raw SET STORAGE EXTERNAL;
CREATE TABLE afterchat_v1.body_20261123 (
    day integer NOT NULL,
    conversation bigint NOT NULL,
    revision integer NOT NULL,
    received_at bigint NOT NULL,
    content_type text NOT NULL,
    decoded bytea NOT NULL,
    raw bytea NOT NULL
)
WITH (toast_tuple_target='8160');
ALTER TABLE ONLY afterchat_v1.body_20261123 ALTER COLUMN decoded SET STORAGE EXTERNAL;
ALTER TABLE ONLY afterchat_v1.body_20261123 ALTER COLUMN raw SET STORAGE EXTERNAL;
CREATE TABLE afterchat_v1.body_20261124 (
    day integer NOT NULL,
    conversation bigint NOT NULL,
    revision integer NOT NULL,
    received_at bigint NOT NULL,
    content_type text NOT NULL,
    decoded bytea NOT NULL,
    raw bytea NOT NULL
)
WITH (toast_tuple_target='8160');
ALTER TABLE ONLY afterchat_v1.body_20261124 ALTER COLUMN decoded SET STORAGE EXTERNAL;
ALTER TABLE ONLY afterchat_v1.body_20261124 ALTER COLUMN raw SET STORAGE EXTERNAL;
CREATE TABLE afterchat_v1.body_20261223 (
    day integer NOT NULL,
    conversation bigint NOT NULL,
    revision integer NOT NULL,
    received_at bigint NOT NULL,
    content_type text NOT NULL,
    decoded bytea NOT NULL,
    raw bytea NOT NULL
)
WITH (toast_tuple_target='8160');
ALTER TABLE ONLY afterchat_v1.body_20261223 ALTER COLUMN decoded SET STORAGE EXTERNAL;
ALTER TABLE ONLY afterchat_v1.body_20261223 ALTER COLUMN raw SET STORAGE EXTERNAL;
CREATE TABLE afterchat_v1.bucket (
    target text NOT NULL COLLATE pg_catalog."C",
    tokens double precision NOT NULL,
    filled_at bigint NOT NULL
)
WITH (fillfactor='50', autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='500');
CREATE TABLE afterchat_v1.config (
    hash text NOT NULL COLLATE pg_catalog."C",
    snapshot bytea NOT NULL
);
CREATE TABLE afterchat_v1.conversation (
    number bigint NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    platform text NOT NULL,
    session text NOT NULL COLLATE pg_catalog."C",
    revision integer NOT NULL,
    stale integer NOT NULL,
    ended_at bigint NOT NULL,
    seen_at bigint NOT NULL,
    bodies boolean NOT NULL,
    day integer NOT NULL,
    fingerprints bytea NOT NULL,
    chain bytea NOT NULL
);
CREATE SEQUENCE afterchat_v1.conversation_number
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
CREATE TABLE afterchat_v1.counter (
    target text NOT NULL COLLATE pg_catalog."C",
    slot smallint NOT NULL,
    accepted bigint NOT NULL,
    pending bigint NOT NULL,
    delivered bigint NOT NULL,
    dead bigint NOT NULL,
    skipped bigint NOT NULL,
    superseded bigint NOT NULL,
    dead_rows bigint NOT NULL,
    CONSTRAINT counter_check CHECK ((accepted = ((((pending + delivered) + dead) + skipped) + superseded)))
)
WITH (fillfactor='50', autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='500');
CREATE TABLE afterchat_v1.delivery (
    conversation bigint NOT NULL,
    target text NOT NULL COLLATE pg_catalog."C",
    state integer NOT NULL,
    want integer NOT NULL,
    have integer NOT NULL,
    trying integer NOT NULL,
    doubt integer NOT NULL,
    lapsed boolean NOT NULL,
    due_at bigint NOT NULL,
    pending_since bigint NOT NULL,
    settled_at bigint NOT NULL,
    fence bigint NOT NULL,
    claims integer NOT NULL,
    tries integer NOT NULL,
    first_at bigint NOT NULL,
    planned boolean NOT NULL,
    ignore boolean NOT NULL,
    routes text NOT NULL,
    config text NOT NULL,
    tried text NOT NULL,
    receipt text NOT NULL
)
WITH (fillfactor='70', autovacuum_vacuum_scale_factor='0.01', autovacuum_vacuum_threshold='1000', autovacuum_vacuum_cost_delay='0', autovacuum_analyze_scale_factor='0.05');
CREATE TABLE afterchat_v1.quarantine (
    id text NOT NULL COLLATE pg_catalog."C",
    source text NOT NULL COLLATE pg_catalog."C",
    received_at bigint NOT NULL,
    content_type text NOT NULL,
    reason text NOT NULL,
    raw bytea NOT NULL
);
ALTER TABLE ONLY afterchat_v1.quarantine ALTER COLUMN raw SET STORAGE EXTERNAL;
CREATE TABLE afterchat_v1.source (
    name text NOT NULL COLLATE pg_catalog."C",
    slot smallint NOT NULL,
    last_hook bigint NOT NULL
)
WITH (fillfactor='50', autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='500');
CREATE TABLE afterchat_v1.target (
    name text NOT NULL COLLATE pg_catalog."C",
    account text NOT NULL,
    since bigint NOT NULL,
    until bigint NOT NULL,
    reason text NOT NULL,
    by_operator boolean NOT NULL,
    probes integer NOT NULL,
    paused bigint NOT NULL
);
CREATE TABLE afterchat_v1.total (
    name text NOT NULL COLLATE pg_catalog."C",
    slot smallint NOT NULL,
    n bigint NOT NULL
)
WITH (fillfactor='50', autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='500');
CREATE TABLE afterchat_v1.version (
    number integer NOT NULL,
    oldest integer NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL
);
ALTER TABLE ONLY afterchat_v1.attempt ATTACH PARTITION afterchat_v1.attempt_20261122 FOR VALUES FROM (20779) TO (20780);
ALTER TABLE ONLY afterchat_v1.attempt ATTACH PARTITION afterchat_v1.attempt_20261123 FOR VALUES FROM (20780) TO (20781);
ALTER TABLE ONLY afterchat_v1.attempt ATTACH PARTITION afterchat_v1.attempt_20261124 FOR VALUES FROM (20781) TO (20782);
ALTER TABLE ONLY afterchat_v1.attempt ATTACH PARTITION afterchat_v1.attempt_20261223 FOR VALUES FROM (20810) TO (20811);
ALTER TABLE ONLY afterchat_v1.body ATTACH PARTITION afterchat_v1.body_20261122 FOR VALUES FROM (20779) TO (20780);
ALTER TABLE ONLY afterchat_v1.body ATTACH PARTITION afterchat_v1.body_20261123 FOR VALUES FROM (20780) TO (20781);
ALTER TABLE ONLY afterchat_v1.body ATTACH PARTITION afterchat_v1.body_20261124 FOR VALUES FROM (20781) TO (20782);
ALTER TABLE ONLY afterchat_v1.body ATTACH PARTITION afterchat_v1.body_20261223 FOR VALUES FROM (20810) TO (20811);
INSERT INTO afterchat_v1.attempt_20261122 (day, conversation, target, fence, revision, number, at, kind, duration, status, reason) VALUES (20779, 3, 'help', 1795309604396910, 1, 1, 1795309604417127, 'rejected', 0, 422, 'no such field');
INSERT INTO afterchat_v1.body_20261122 (day, conversation, revision, received_at, content_type, decoded, raw) VALUES (20779, 2, 1, 1772366400000000, 'application/json', '\x28b52ffd4400210095050072cc251f6067d400504596ac314dc58b84d25a4d3617009c39c7e868bc073f8661b004d10d888998875130f0599a6c8291e6874457daf4594cd56019d3c4f35da0fdcb2bdb76e890675512b32e3fe490e7665449bf08cab7edc5ebf9dd4038720053c028041805001684038fe73b1128558cfe2228cf4a6288659376f687796617af47dbef4de370b7b4f0f34b5b4427d668d29ce5df9f57eb5008003143646a63cc66ae5564c74451531198115559fb50c0e7789959', '\x28b52ffd04006900007261772064656c6976657265645b6df331');
INSERT INTO afterchat_v1.body_20261122 (day, conversation, revision, received_at, content_type, decoded, raw) VALUES (20779, 3, 1, 1772366400000000, 'application/json', '\x28b52ffd44001c00850500220c251f6067d400504596ac314dc58b84d25a4d3617009c39c7e868bc073f8661b004d10d888998875130f0599a6c8291e687445749d56019d3c4f35da0fdcb2bdb76e890675512b32e3fe490e7665449bf08cab7edc5ebf9dd4038720053c028041805001684038fe73b1128558cfe2228cf4a6288659376f687796617af47dbef4de370b7b4f0f34b5b4427d668d29ce5df9f57eb5008002c43c46963c2666e50e4c14401a722b028aa72f1a180014de0254c', '\x28b52ffd040041000072617720646561649d153c80');
INSERT INTO afterchat_v1.body_20261122 (day, conversation, revision, received_at, content_type, decoded, raw) VALUES (20779, 4, 1, 1772366400000000, 'application/json', '\x28b52ffd44001e008d0500424c251f6067d400504596ac314dc58b84b05651cd050067ce313a281d057e8aa24009d10d888998462a247c96229be0a3f91dd19b51b678b08c69e2f92ed0fee5956d3b74c8b32a8a5997df71c87333aaa85f04e5dbf6e2f5fc6e2018398029900a01a900c08260a0f17c2b824413467f1194674531c4b2483bfbc33cb38bd7a3edf7a671b89b5af8f9a52da2156b1469cef2efcf27eb5008002e43046a63c666ee52e4c14401a722b028aa72f1a1800184702ccb', '\x28b52ffd04005100007261772073696c656e749487f66f');
INSERT INTO afterchat_v1.body_20261122 (day, conversation, revision, received_at, content_type, decoded, raw) VALUES (20779, 5, 1, 0, 'application/json', '\x28b52ffd0400150500620b231f6067e200808230416b366f83227169838821c89557a8565b0e057e8aa24009cbdd2a18714764796a0a3575845d4b15cff781f631af6bdf95439e351d666547e490e76e9ace7151f26f5bb15a1c5f603872c0a4408120a0600018c37098e3f93e064851d3e3a2e4399d95608be8648f26df56b15ae83bdeb984fb1dc6cfb3b7893ecb29e225cbc73f8fd495060064338229b263a2a8a908cc88aaac7d286001750c9e', '\x28b52ffd04005900007261772070656e64696e6739511aff');
INSERT INTO afterchat_v1.body_20261122 (day, conversation, revision, received_at, content_type, decoded, raw) VALUES (20779, 6, 1, 0, 'application/json', '\x28b52ffd04001d0500724b231f6067e20080225ae895bd236121910c838821c89557a8565b0e057e8aa24009cbdb2a1869476439d27eebd823ac52aa78be0fb48f7955ebae1cf2acc961d675440e796ea6c9392e4ade6d274e8be30b0c470e9814281004140c0063180e733cdfc70029627a5c943c274725d622faedd1e4d9264e0b75c7b7f6b8dd59fcfc729be8a39a22dc5b3efe7994ae0406006533222ab263a2a8a908cc88aaac7d28605b713215', '\x28b52ffd040061000072617720756e726f75746564778054b3');
INSERT INTO afterchat_v1.body_20261122 (day, conversation, revision, received_at, content_type, decoded, raw) VALUES (20779, 7, 1, 0, 'application/json', '\x28b52ffd0400150500620b231f6067db0050d55ad6576c66c2c6c4641a24048063ce313ab639535f51145c02ef6c177cb0e3f18e94d3a28db04ae9e2f93ed03ee6556dbb43e45991c3aceb7820f2dc8922e7f85cbe6d274ecbf1050723074c0a1808020c0500533818c678be8f015294e8f1b93c234729d6265ad9a3c9279b382dda8e674ce16e67f1f3abada28f629a68caf2f1cfa37417060064338229b263a2a8a908cc88aaac7d286086c21adb', '\x28b52ffd040059000072617720726576697365640fe21c30');
INSERT INTO afterchat_v1.body_20261122 (day, conversation, revision, received_at, content_type, decoded, raw) VALUES (20779, 7, 2, 0, 'application/json', '\x28b52ffd44000f006d0500220c251f6067db0041274cac6ddac1448dd9c934480800c79c63746c73a63e6b187805cddd2e36dcd1688e52f6503ebafa303bcc561fdcd6743ddf07dac7bcb67d670e795624316b72340e796e4591746c98fcdb66cc12c717188a1c402950200828100010c150a0e2f94e064a95a2c786c933921a22d9a3973da2bcb28c5942dff1ce2ddc2f25fc7cf216d1a9393ddeb27cfcf38a9d0907007933028dace7b3f298286a2a0233a22a6b1f0a1820b9b67d', '\x28b52ffd040049000072617720616761696e99dc1487');
INSERT INTO afterchat_v1.config (hash, snapshot) VALUES ('c1', '\x28b52ffd0400310000726f75746573f87f191f');
INSERT INTO afterchat_v1.conversation (number, id, platform, session, revision, stale, ended_at, seen_at, bodies, day, fingerprints, chain) VALUES (1, 'gone', 'smartsupp', '', 1, 0, 1773500966000000, 1795309604250553, false, 20779, '\xe55b28c11fd86814a873b09f0d067ba0000000016e36f9047af07b321d9b88f2b5e57fe700000001', '\x1ecd563de144b829');
INSERT INTO afterchat_v1.conversation (number, id, platform, session, revision, stale, ended_at, seen_at, bodies, day, fingerprints, chain) VALUES (2, 'delivered', 'smartsupp', '', 1, 0, 1773500966000000, 1795309604393356, true, 20779, '\xa398e97e5525992ef9b73d79bb9f02930000000136d26c8484e3e39984621c369abcd33f00000001', '\xa3b5df9411582de1');
INSERT INTO afterchat_v1.conversation (number, id, platform, session, revision, stale, ended_at, seen_at, bodies, day, fingerprints, chain) VALUES (3, 'dead', 'smartsupp', '', 1, 0, 1773500966000000, 1795309604396909, true, 20779, '\xf10faceb9930b185cf9e753663399b0400000001f28e1fd12a6e297bde13d0452ae0f7e100000001', '\x2860276968ee1b01');
INSERT INTO afterchat_v1.conversation (number, id, platform, session, revision, stale, ended_at, seen_at, bodies, day, fingerprints, chain) VALUES (4, 'silent', 'smartsupp', '', 1, 0, 1773500966000000, 1795309604404744, true, 20779, '\xa838ab064bd46d71c6e2efc150dd036a00000001c7079853f7c6541ef5c52a53b317c42c00000001', '\x9f8467692194c452');
INSERT INTO afterchat_v1.conversation (number, id, platform, session, revision, stale, ended_at, seen_at, bodies, day, fingerprints, chain) VALUES (5, 'pending', 'smartsupp', '', 1, 0, 1773500966000000, 1795309604432324, true, 20779, '\xe555219df049183b53519361056a8c6f000000017b0f733e6035b1f8a0c2e91f96f4595f00000001', '\x2c57c094a04a91af');
INSERT INTO afterchat_v1.conversation (number, id, platform, session, revision, stale, ended_at, seen_at, bodies, day, fingerprints, chain) VALUES (6, 'unrouted', 'smartsupp', '', 1, 0, 1773500966000000, 1795309604436860, true, 20779, '\x8c1a6b6ca87ed0c3299e0aca3035ae5b00000001d214b21262773734a58f778df045cf0400000001', '\xc6ff0ec6e116a7e3');
INSERT INTO afterchat_v1.conversation (number, id, platform, session, revision, stale, ended_at, seen_at, bodies, day, fingerprints, chain) VALUES (7, 'revised', 'smartsupp', '', 2, 0, 1773500966000000, 1795309604441519, true, 20779, '\x2e48408613e21543994d74037af06e3500000001163a6c2e1cf1268a1ee54fb2e5e6a98800000001ef689d597bccdc3bb2ba82c75b24f8cb000000021a4f4533aa583548586c91608078be0100000002', '\xca589d6e33c67dc4');
INSERT INTO afterchat_v1.counter (target, slot, accepted, pending, delivered, dead, skipped, superseded, dead_rows) VALUES ('help', 56, 5, 1, 2, 2, 0, 0, 2);
INSERT INTO afterchat_v1.counter (target, slot, accepted, pending, delivered, dead, skipped, superseded, dead_rows) VALUES ('crm', 56, 3, 2, 0, 0, 0, 1, 0);
INSERT INTO afterchat_v1.delivery (conversation, target, state, want, have, trying, doubt, lapsed, due_at, pending_since, settled_at, fence, claims, tries, first_at, planned, ignore, routes, config, tried, receipt) VALUES (1, 'help', 1, 1, 1, 0, 0, false, 1795313204289535, 1795309604250553, 1795309604293057, 1795309604250554, 0, 1, 0, true, false, '["all"]', 'c1', '', '{"id":"t1"}');
INSERT INTO afterchat_v1.delivery (conversation, target, state, want, have, trying, doubt, lapsed, due_at, pending_since, settled_at, fence, claims, tries, first_at, planned, ignore, routes, config, tried, receipt) VALUES (2, 'help', 1, 1, 1, 0, 0, false, 1795313204412779, 1795309604393356, 1795309604413601, 1795309604393357, 0, 1, 0, true, false, '["all"]', 'c1', '', '{"id":"t2"}');
INSERT INTO afterchat_v1.delivery (conversation, target, state, want, have, trying, doubt, lapsed, due_at, pending_since, settled_at, fence, claims, tries, first_at, planned, ignore, routes, config, tried, receipt) VALUES (3, 'help', 2, 1, 0, 0, 0, false, 1795313204412779, 1795309604396909, 1795309604417161, 1795309604396910, 0, 1, 0, true, false, '["all"]', 'c1', '', '');
INSERT INTO afterchat_v1.delivery (conversation, target, state, want, have, trying, doubt, lapsed, due_at, pending_since, settled_at, fence, claims, tries, first_at, planned, ignore, routes, config, tried, receipt) VALUES (4, 'help', 2, 1, 0, 0, 0, false, 1795313204412779, 1795309604404744, 1795309604425776, 1795309604404745, 0, 1, 0, true, false, '["all"]', 'c1', '', '');
INSERT INTO afterchat_v1.delivery (conversation, target, state, want, have, trying, doubt, lapsed, due_at, pending_since, settled_at, fence, claims, tries, first_at, planned, ignore, routes, config, tried, receipt) VALUES (5, 'help', 0, 1, 0, 0, 0, false, 1795309604432324, 1795309604432324, 0, 1795309604432324, 0, 0, 0, true, false, '["all"]', 'c1', '', '');
INSERT INTO afterchat_v1.delivery (conversation, target, state, want, have, trying, doubt, lapsed, due_at, pending_since, settled_at, fence, claims, tries, first_at, planned, ignore, routes, config, tried, receipt) VALUES (5, 'crm', 0, 1, 0, 0, 0, false, 1795309604432324, 1795309604432324, 0, 1795309604432324, 0, 0, 0, true, false, '["all"]', 'c1', '', '');
INSERT INTO afterchat_v1.delivery (conversation, target, state, want, have, trying, doubt, lapsed, due_at, pending_since, settled_at, fence, claims, tries, first_at, planned, ignore, routes, config, tried, receipt) VALUES (7, 'crm', 0, 2, 0, 0, 0, false, 1795309604440835, 1795309604440835, 0, 1795309604440835, 0, 0, 0, true, false, '["all"]', 'c1', '', '');
INSERT INTO afterchat_v1.quarantine (id, source, received_at, content_type, reason, raw) VALUES ('q55rwr91wnx51d7yne9j4nwd3m8', 'shop', 1795309604444704, 'text/plain', 'no JSON', '\x28b52ffd04000900007b09f694a0');
INSERT INTO afterchat_v1.source (name, slot, last_hook) VALUES ('shop', 56, 1795309604441519);
INSERT INTO afterchat_v1.source (name, slot, last_hook) VALUES ('shop', 57, 1795309604444704);
INSERT INTO afterchat_v1.total (name, slot, n) VALUES ('conversations', 56, 7);
INSERT INTO afterchat_v1.total (name, slot, n) VALUES ('quarantined', 57, 1);
INSERT INTO afterchat_v1.version (number, oldest, at) VALUES (1, 1, '2026-11-22 01:06:44.012955+00');
SELECT pg_catalog.setval('afterchat_v1.conversation_number', 8, true);
ALTER TABLE ONLY afterchat_v1.body
    ADD CONSTRAINT body_pkey PRIMARY KEY (day, conversation, revision);
ALTER TABLE ONLY afterchat_v1.body_20261122
    ADD CONSTRAINT body_20261122_pkey PRIMARY KEY (day, conversation, revision);
ALTER TABLE ONLY afterchat_v1.body_20261123
    ADD CONSTRAINT body_20261123_pkey PRIMARY KEY (day, conversation, revision);
ALTER TABLE ONLY afterchat_v1.body_20261124
    ADD CONSTRAINT body_20261124_pkey PRIMARY KEY (day, conversation, revision);
ALTER TABLE ONLY afterchat_v1.body_20261223
    ADD CONSTRAINT body_20261223_pkey PRIMARY KEY (day, conversation, revision);
ALTER TABLE ONLY afterchat_v1.bucket
    ADD CONSTRAINT bucket_pkey PRIMARY KEY (target);
ALTER TABLE ONLY afterchat_v1.config
    ADD CONSTRAINT config_pkey PRIMARY KEY (hash);
ALTER TABLE ONLY afterchat_v1.conversation
    ADD CONSTRAINT conversation_id UNIQUE (id);
ALTER TABLE ONLY afterchat_v1.conversation
    ADD CONSTRAINT conversation_pkey PRIMARY KEY (number);
ALTER TABLE ONLY afterchat_v1.counter
    ADD CONSTRAINT counter_pkey PRIMARY KEY (target, slot);
ALTER TABLE ONLY afterchat_v1.delivery
    ADD CONSTRAINT delivery_pkey PRIMARY KEY (conversation, target);
ALTER TABLE ONLY afterchat_v1.quarantine
    ADD CONSTRAINT quarantine_pkey PRIMARY KEY (id);
ALTER TABLE ONLY afterchat_v1.source
    ADD CONSTRAINT source_pkey PRIMARY KEY (name, slot);
ALTER TABLE ONLY afterchat_v1.target
    ADD CONSTRAINT target_pkey PRIMARY KEY (name);
ALTER TABLE ONLY afterchat_v1.total
    ADD CONSTRAINT total_pkey PRIMARY KEY (name, slot);
ALTER TABLE ONLY afterchat_v1.version
    ADD CONSTRAINT version_pkey PRIMARY KEY (number);
CREATE INDEX attempt_conversation ON ONLY afterchat_v1.attempt USING btree (conversation, target);
CREATE INDEX attempt_20261122_conversation_target_idx ON afterchat_v1.attempt_20261122 USING btree (conversation, target);
CREATE INDEX attempt_20261123_conversation_target_idx ON afterchat_v1.attempt_20261123 USING btree (conversation, target);
CREATE INDEX attempt_20261124_conversation_target_idx ON afterchat_v1.attempt_20261124 USING btree (conversation, target);
CREATE INDEX attempt_20261223_conversation_target_idx ON afterchat_v1.attempt_20261223 USING btree (conversation, target);
CREATE INDEX conversation_aging ON afterchat_v1.conversation USING btree (seen_at, number) WHERE bodies;
CREATE INDEX conversation_day ON afterchat_v1.conversation USING btree (day) WHERE bodies;
CREATE INDEX conversation_leaving ON afterchat_v1.conversation USING btree (seen_at, number) WHERE (NOT bodies);
CREATE INDEX conversation_session ON afterchat_v1.conversation USING btree (session) WHERE (session <> ''::text);
CREATE INDEX delivery_due ON afterchat_v1.delivery USING btree (target, due_at) WHERE (state = 0);
CREATE INDEX delivery_waiting ON afterchat_v1.delivery USING btree (target, pending_since) WHERE (state = 0);
CREATE INDEX quarantine_age ON afterchat_v1.quarantine USING btree (received_at);
ALTER INDEX afterchat_v1.attempt_conversation ATTACH PARTITION afterchat_v1.attempt_20261122_conversation_target_idx;
ALTER INDEX afterchat_v1.attempt_conversation ATTACH PARTITION afterchat_v1.attempt_20261123_conversation_target_idx;
ALTER INDEX afterchat_v1.attempt_conversation ATTACH PARTITION afterchat_v1.attempt_20261124_conversation_target_idx;
ALTER INDEX afterchat_v1.attempt_conversation ATTACH PARTITION afterchat_v1.attempt_20261223_conversation_target_idx;
ALTER INDEX afterchat_v1.body_pkey ATTACH PARTITION afterchat_v1.body_20261122_pkey;
ALTER INDEX afterchat_v1.body_pkey ATTACH PARTITION afterchat_v1.body_20261123_pkey;
ALTER INDEX afterchat_v1.body_pkey ATTACH PARTITION afterchat_v1.body_20261124_pkey;
ALTER INDEX afterchat_v1.body_pkey ATTACH PARTITION afterchat_v1.body_20261223_pkey;
