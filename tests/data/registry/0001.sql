BEGIN TRANSACTION;
CREATE TABLE models (
  id              INTEGER PRIMARY KEY,                -- the order of making
  name            TEXT NOT NULL UNIQUE CHECK (name <> ''),
  current_version TEXT NOT NULL REFERENCES versions (hash) DEFERRABLE INITIALLY DEFERRED,
  created_ms      INTEGER NOT NULL
) STRICT;
INSERT INTO "models" VALUES(1,'base','fdc25a33137d5f37afdafab353aa12c9ee12b09217a80b12fe4f8efbf7382cbc',1795868531571);
CREATE TABLE modules (
  uid            TEXT PRIMARY KEY,
  kind           TEXT NOT NULL CHECK (kind IN ('att', 'mlp')),
  layer          INTEGER NOT NULL CHECK (layer >= 0),
  born_operation INTEGER NOT NULL REFERENCES operations (id),
  born_command   TEXT NOT NULL,
  born_task      TEXT NOT NULL,
  copied_from    TEXT,                                -- no reference: may be a module of another workspace
  created_ms     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "modules" VALUES('04c642becdae','att',0,2,'init','',NULL,1795868531574);
INSERT INTO "modules" VALUES('14b8ca5d8cc1','att',1,2,'init','',NULL,1795868531574);
INSERT INTO "modules" VALUES('40c9da574d3b','mlp',1,2,'init','',NULL,1795868531574);
INSERT INTO "modules" VALUES('4f3c51ac546f','att',1,1,'init','',NULL,1795868531571);
INSERT INTO "modules" VALUES('57babb8b3923','att',0,1,'init','',NULL,1795868531571);
INSERT INTO "modules" VALUES('6d5ae1a81691','mlp',0,1,'init','',NULL,1795868531571);
INSERT INTO "modules" VALUES('7d6aae3bfd5e','mlp',0,2,'init','',NULL,1795868531574);
INSERT INTO "modules" VALUES('8250f2dd8edc','att',0,1,'init','',NULL,1795868531571);
INSERT INTO "modules" VALUES('8e67414fd6e0','mlp',1,1,'init','',NULL,1795868531571);
INSERT INTO "modules" VALUES('9cf6f65c40e5','att',1,1,'init','',NULL,1795868531571);
INSERT INTO "modules" VALUES('c9bd9e7fba8b','mlp',0,1,'init','',NULL,1795868531571);
INSERT INTO "modules" VALUES('e661e7e0b011','mlp',1,1,'init','',NULL,1795868531571);
CREATE TABLE objects (
  hash       TEXT PRIMARY KEY CHECK (length(hash) = 64 AND hash NOT GLOB '*[^0-9a-f]*'),
  size_bytes INTEGER NOT NULL CHECK (size_bytes >= 0)
) STRICT, WITHOUT ROWID;
INSERT INTO "objects" VALUES('03c99f8c445b466314d242f549fa6022be800d9940f5882599f9c3bb16832c53',14);
INSERT INTO "objects" VALUES('14d4f6ee663dc4b7d9025ccbfa6a73162551e5b76a249071bd4974748bb1fc42',12);
INSERT INTO "objects" VALUES('1c6ea59d322231a618ab2ca555c6c09047cc6a4189f16e328d1a8390a1b8b14b',9);
INSERT INTO "objects" VALUES('1d856221734790e0353566621686f5e4c198a3ad95344ddfcd4fbf787af14ea7',9);
INSERT INTO "objects" VALUES('1fb5978573ef79475483bc078aaa75fe0b154abad53ed81668ae84aa80e3f0e3',14);
INSERT INTO "objects" VALUES('2834aad26afd77a408957be9db91ff2200f6eb4b1ee866f710d22bf699761187',5);
INSERT INTO "objects" VALUES('2d790963e981d7276ae45efb86e196073a022669342f9b0d701711a20b7da6f6',14);
INSERT INTO "objects" VALUES('2e527f0913de1bb9485b255eeb51e783ef378012c1a20488e93af1c3093b9cde',12);
INSERT INTO "objects" VALUES('3a260b8711104dc2821077a459ef884948520aa3e1f9438e21338788bf17b785',12);
INSERT INTO "objects" VALUES('492b69ffa29b08b76f6748d9cb5127ee268d64ae9cb359e75cc813e6ee6a5652',9);
INSERT INTO "objects" VALUES('4df302fdec25eee0c6e19eb26d1c21f042c1516862bb295fe355f40c1f0cff5d',9);
INSERT INTO "objects" VALUES('5835581712949402f7f605a2d3080216d86ef2fa88091d542ae93d17c48cde44',9);
INSERT INTO "objects" VALUES('71076de6930fccfc49b1e239de4e382abd9cb0ca80c1eadb8ff3a07c51abe5c1',9);
INSERT INTO "objects" VALUES('7233a3464abb62b5fb3be3154f2c116b751e3c172cdf518cd45d6cb53f832381',5);
INSERT INTO "objects" VALUES('767042ff33b576c8fe5ab011e581f5a7635dc80056f1dcee6bbd6e89ec3e7e3f',9);
INSERT INTO "objects" VALUES('7e2fc3f443d531f39454e887d7c961cea42e88b21571988da51dae9b9bb26e9b',5);
INSERT INTO "objects" VALUES('a39b021b54035d0abedfa8607c3cb0918902cf78a2b6c3f752e2637c808ea080',14);
INSERT INTO "objects" VALUES('a95200e8b67e7e00811b5ef5b1ffea64bfadec2b5ad793edc912cf11811c7fe1',9);
INSERT INTO "objects" VALUES('b193bc10d406ab9af992a27f07aa7417648d4e6590ab98fb0740b74d79b99a33',12);
INSERT INTO "objects" VALUES('b99617d4591ffc0b921cd1da481ffba979820847a863f08e1a4c133efde49757',5);
INSERT INTO "objects" VALUES('c0fb1a0e57d425bf8795189ef613e30a21f6896e223bdbe0a15448943aff1fc1',6);
INSERT INTO "objects" VALUES('da7aef1b16ff18f6f72edaadf2d9aff19ec25bfb576d0a3e2f618471f0c08ef4',9);
INSERT INTO "objects" VALUES('fa9d5a75c3bd6a52216ae61d2ccd95a53dcc5bcee9fe9da29bd918d8a1a33181',5);
CREATE TABLE operation_data (
  operation_id INTEGER NOT NULL REFERENCES operations (id),
  position     INTEGER NOT NULL,
  role         TEXT NOT NULL,
  task         TEXT NOT NULL,
  path         TEXT NOT NULL,
  content_hash TEXT NOT NULL,
  PRIMARY KEY (operation_id, position)
) STRICT, WITHOUT ROWID;
INSERT INTO "operation_data" VALUES(3,0,'train','qa','/data/qa','beef');
CREATE TABLE operations (
  id             INTEGER PRIMARY KEY AUTOINCREMENT,
  uid            TEXT NOT NULL UNIQUE,
  command        TEXT NOT NULL,
  arguments_json TEXT NOT NULL,
  seed           INTEGER NOT NULL,
  code_version   TEXT NOT NULL,
  started_ms     INTEGER NOT NULL,
  ended_ms       INTEGER,                             -- NULL while running
  outcome        TEXT NOT NULL CHECK (outcome IN ('running', 'done', 'failed', 'interrupted')),
  message        TEXT NOT NULL DEFAULT '',
  model          TEXT NOT NULL,                       -- no reference: the model may not exist yet
  version_before TEXT REFERENCES versions (hash),
  version_after  TEXT REFERENCES versions (hash),
  CHECK ((outcome = 'running') = (ended_ms IS NULL))
) STRICT;
INSERT INTO "operations" VALUES(1,'3f3ac27ba054','init','{}',0,'',1795868531565,1795868531571,'done','','base',NULL,'234437f0f0f95d24204b6368e4419c421300615b32a77c2b2f250f2b583253d1');
INSERT INTO "operations" VALUES(2,'ec58cc45327c','extend','{}',0,'',1795868531573,1795868531575,'done','','base','234437f0f0f95d24204b6368e4419c421300615b32a77c2b2f250f2b583253d1','fdc25a33137d5f37afdafab353aa12c9ee12b09217a80b12fe4f8efbf7382cbc');
INSERT INTO "operations" VALUES(3,'704c9b0e4245','task add','{"name": "qa"}',3,'0.1.0',1795868531575,1795868531576,'done','added','base','fdc25a33137d5f37afdafab353aa12c9ee12b09217a80b12fe4f8efbf7382cbc',NULL);
CREATE TABLE revisions (
  id           INTEGER PRIMARY KEY,
  module_uid   TEXT NOT NULL REFERENCES modules (uid),
  object_hash  TEXT NOT NULL REFERENCES objects (hash),
  parent_id    INTEGER REFERENCES revisions (id),     -- what it was trained from; NULL for the first
  operation_id INTEGER NOT NULL REFERENCES operations (id),
  created_ms   INTEGER NOT NULL,
  UNIQUE (module_uid, object_hash)
) STRICT;
INSERT INTO "revisions" VALUES(1,'57babb8b3923','492b69ffa29b08b76f6748d9cb5127ee268d64ae9cb359e75cc813e6ee6a5652',NULL,1,1795868531571);
INSERT INTO "revisions" VALUES(2,'8250f2dd8edc','4df302fdec25eee0c6e19eb26d1c21f042c1516862bb295fe355f40c1f0cff5d',NULL,1,1795868531571);
INSERT INTO "revisions" VALUES(3,'c9bd9e7fba8b','a95200e8b67e7e00811b5ef5b1ffea64bfadec2b5ad793edc912cf11811c7fe1',NULL,1,1795868531571);
INSERT INTO "revisions" VALUES(4,'6d5ae1a81691','71076de6930fccfc49b1e239de4e382abd9cb0ca80c1eadb8ff3a07c51abe5c1',NULL,1,1795868531571);
INSERT INTO "revisions" VALUES(5,'4f3c51ac546f','1d856221734790e0353566621686f5e4c198a3ad95344ddfcd4fbf787af14ea7',NULL,1,1795868531571);
INSERT INTO "revisions" VALUES(6,'9cf6f65c40e5','1c6ea59d322231a618ab2ca555c6c09047cc6a4189f16e328d1a8390a1b8b14b',NULL,1,1795868531571);
INSERT INTO "revisions" VALUES(7,'8e67414fd6e0','da7aef1b16ff18f6f72edaadf2d9aff19ec25bfb576d0a3e2f618471f0c08ef4',NULL,1,1795868531571);
INSERT INTO "revisions" VALUES(8,'e661e7e0b011','767042ff33b576c8fe5ab011e581f5a7635dc80056f1dcee6bbd6e89ec3e7e3f',NULL,1,1795868531571);
INSERT INTO "revisions" VALUES(9,'04c642becdae','7e2fc3f443d531f39454e887d7c961cea42e88b21571988da51dae9b9bb26e9b',NULL,2,1795868531574);
INSERT INTO "revisions" VALUES(10,'7d6aae3bfd5e','2834aad26afd77a408957be9db91ff2200f6eb4b1ee866f710d22bf699761187',NULL,2,1795868531574);
INSERT INTO "revisions" VALUES(11,'14b8ca5d8cc1','fa9d5a75c3bd6a52216ae61d2ccd95a53dcc5bcee9fe9da29bd918d8a1a33181',NULL,2,1795868531574);
INSERT INTO "revisions" VALUES(12,'40c9da574d3b','7233a3464abb62b5fb3be3154f2c116b751e3c172cdf518cd45d6cb53f832381',NULL,2,1795868531574);
CREATE TABLE routing_stats (
  version_hash         TEXT NOT NULL REFERENCES versions (hash),
  task                 TEXT NOT NULL REFERENCES tasks (name) ON DELETE CASCADE,
  layer                INTEGER NOT NULL,
  kind                 TEXT NOT NULL CHECK (kind IN ('att', 'mlp')),
  module_uid           TEXT NOT NULL REFERENCES modules (uid),
  slots                INTEGER NOT NULL CHECK (slots >= 0),
  gate_mass            REAL NOT NULL,
  weighted_output_norm REAL NOT NULL,
  tokens               INTEGER NOT NULL CHECK (tokens >= 0),
  PRIMARY KEY (version_hash, task, module_uid)
) STRICT, WITHOUT ROWID;
INSERT INTO "routing_stats" VALUES('fdc25a33137d5f37afdafab353aa12c9ee12b09217a80b12fe4f8efbf7382cbc','qa',0,'att','04c642becdae',3,1.5,2.5,10);
INSERT INTO "routing_stats" VALUES('fdc25a33137d5f37afdafab353aa12c9ee12b09217a80b12fe4f8efbf7382cbc','qa',1,'att','14b8ca5d8cc1',3,1.5,2.5,10);
INSERT INTO "routing_stats" VALUES('fdc25a33137d5f37afdafab353aa12c9ee12b09217a80b12fe4f8efbf7382cbc','qa',1,'mlp','40c9da574d3b',3,1.5,2.5,10);
INSERT INTO "routing_stats" VALUES('fdc25a33137d5f37afdafab353aa12c9ee12b09217a80b12fe4f8efbf7382cbc','qa',1,'att','4f3c51ac546f',3,1.5,2.5,10);
INSERT INTO "routing_stats" VALUES('fdc25a33137d5f37afdafab353aa12c9ee12b09217a80b12fe4f8efbf7382cbc','qa',0,'att','57babb8b3923',3,1.5,2.5,10);
INSERT INTO "routing_stats" VALUES('fdc25a33137d5f37afdafab353aa12c9ee12b09217a80b12fe4f8efbf7382cbc','qa',0,'mlp','6d5ae1a81691',3,1.5,2.5,10);
INSERT INTO "routing_stats" VALUES('fdc25a33137d5f37afdafab353aa12c9ee12b09217a80b12fe4f8efbf7382cbc','qa',0,'mlp','7d6aae3bfd5e',3,1.5,2.5,10);
INSERT INTO "routing_stats" VALUES('fdc25a33137d5f37afdafab353aa12c9ee12b09217a80b12fe4f8efbf7382cbc','qa',0,'att','8250f2dd8edc',3,1.5,2.5,10);
INSERT INTO "routing_stats" VALUES('fdc25a33137d5f37afdafab353aa12c9ee12b09217a80b12fe4f8efbf7382cbc','qa',1,'mlp','8e67414fd6e0',3,1.5,2.5,10);
INSERT INTO "routing_stats" VALUES('fdc25a33137d5f37afdafab353aa12c9ee12b09217a80b12fe4f8efbf7382cbc','qa',1,'att','9cf6f65c40e5',3,1.5,2.5,10);
INSERT INTO "routing_stats" VALUES('fdc25a33137d5f37afdafab353aa12c9ee12b09217a80b12fe4f8efbf7382cbc','qa',0,'mlp','c9bd9e7fba8b',3,1.5,2.5,10);
INSERT INTO "routing_stats" VALUES('fdc25a33137d5f37afdafab353aa12c9ee12b09217a80b12fe4f8efbf7382cbc','qa',1,'mlp','e661e7e0b011',3,1.5,2.5,10);
CREATE TABLE schema_migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_ms INTEGER NOT NULL) STRICT;
INSERT INTO "schema_migrations" VALUES(1,'0001_initial',1795868531560);
CREATE TABLE scores (
  version_hash TEXT NOT NULL REFERENCES versions (hash),
  task         TEXT NOT NULL REFERENCES tasks (name) ON DELETE CASCADE,
  split        TEXT NOT NULL,
  metric       TEXT NOT NULL,
  value        REAL NOT NULL,
  token_count  INTEGER NOT NULL CHECK (token_count >= 0),
  operation_id INTEGER REFERENCES operations (id),
  created_ms   INTEGER NOT NULL,
  PRIMARY KEY (version_hash, task, split, metric)
) STRICT, WITHOUT ROWID;
INSERT INTO "scores" VALUES('234437f0f0f95d24204b6368e4419c421300615b32a77c2b2f250f2b583253d1','qa','held_out','loss@100',5.5,10,3,1795868531576);
INSERT INTO "scores" VALUES('fdc25a33137d5f37afdafab353aa12c9ee12b09217a80b12fe4f8efbf7382cbc','qa','held_out','loss@100',4.25,10,3,1795868531577);
CREATE TABLE settings (
  key   TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "settings" VALUES('current_model','base');
CREATE TABLE tasks (
  id                INTEGER PRIMARY KEY,              -- the order of adding
  name              TEXT NOT NULL UNIQUE CHECK (name <> ''),
  data_path         TEXT NOT NULL,
  content_hash      TEXT NOT NULL,
  token_count       INTEGER NOT NULL CHECK (token_count >= 0),
  document_count    INTEGER NOT NULL CHECK (document_count >= 0),
  heldout_rule      TEXT NOT NULL,
  created_operation INTEGER REFERENCES operations (id),
  created_ms        INTEGER NOT NULL
) STRICT;
INSERT INTO "tasks" VALUES(1,'qa','/data/qa','content',10,2,'rule',3,1795868531576);
CREATE TABLE version_layers (
  version_hash TEXT NOT NULL REFERENCES versions (hash),
  layer        INTEGER NOT NULL CHECK (layer >= 0),
  att_router   TEXT REFERENCES objects (hash),
  mlp_router   TEXT REFERENCES objects (hash),
  PRIMARY KEY (version_hash, layer)
) STRICT, WITHOUT ROWID;
INSERT INTO "version_layers" VALUES('234437f0f0f95d24204b6368e4419c421300615b32a77c2b2f250f2b583253d1',0,'03c99f8c445b466314d242f549fa6022be800d9940f5882599f9c3bb16832c53','2d790963e981d7276ae45efb86e196073a022669342f9b0d701711a20b7da6f6');
INSERT INTO "version_layers" VALUES('234437f0f0f95d24204b6368e4419c421300615b32a77c2b2f250f2b583253d1',1,'a39b021b54035d0abedfa8607c3cb0918902cf78a2b6c3f752e2637c808ea080','1fb5978573ef79475483bc078aaa75fe0b154abad53ed81668ae84aa80e3f0e3');
INSERT INTO "version_layers" VALUES('fdc25a33137d5f37afdafab353aa12c9ee12b09217a80b12fe4f8efbf7382cbc',0,'2e527f0913de1bb9485b255eeb51e783ef378012c1a20488e93af1c3093b9cde','b193bc10d406ab9af992a27f07aa7417648d4e6590ab98fb0740b74d79b99a33');
INSERT INTO "version_layers" VALUES('fdc25a33137d5f37afdafab353aa12c9ee12b09217a80b12fe4f8efbf7382cbc',1,'3a260b8711104dc2821077a459ef884948520aa3e1f9438e21338788bf17b785','14d4f6ee663dc4b7d9025ccbfa6a73162551e5b76a249071bd4974748bb1fc42');
CREATE TABLE version_modules (
  version_hash TEXT NOT NULL,
  layer        INTEGER NOT NULL,
  kind         TEXT NOT NULL CHECK (kind IN ('att', 'mlp')),
  position     INTEGER NOT NULL,                      -- index in the layer's router
  revision_id  INTEGER NOT NULL REFERENCES revisions (id),
  frozen       INTEGER NOT NULL CHECK (frozen IN (0, 1)),
  PRIMARY KEY (version_hash, layer, kind, position),
  FOREIGN KEY (version_hash, layer) REFERENCES version_layers (version_hash, layer)
) STRICT, WITHOUT ROWID;
INSERT INTO "version_modules" VALUES('234437f0f0f95d24204b6368e4419c421300615b32a77c2b2f250f2b583253d1',0,'att',0,1,0);
INSERT INTO "version_modules" VALUES('234437f0f0f95d24204b6368e4419c421300615b32a77c2b2f250f2b583253d1',0,'att',1,2,0);
INSERT INTO "version_modules" VALUES('234437f0f0f95d24204b6368e4419c421300615b32a77c2b2f250f2b583253d1',0,'mlp',0,3,0);
INSERT INTO "version_modules" VALUES('234437f0f0f95d24204b6368e4419c421300615b32a77c2b2f250f2b583253d1',0,'mlp',1,4,0);
INSERT INTO "version_modules" VALUES('234437f0f0f95d24204b6368e4419c421300615b32a77c2b2f250f2b583253d1',1,'att',0,5,0);
INSERT INTO "version_modules" VALUES('234437f0f0f95d24204b6368e4419c421300615b32a77c2b2f250f2b583253d1',1,'att',1,6,0);
INSERT INTO "version_modules" VALUES('234437f0f0f95d24204b6368e4419c421300615b32a77c2b2f250f2b583253d1',1,'mlp',0,7,0);
INSERT INTO "version_modules" VALUES('234437f0f0f95d24204b6368e4419c421300615b32a77c2b2f250f2b583253d1',1,'mlp',1,8,0);
INSERT INTO "version_modules" VALUES('fdc25a33137d5f37afdafab353aa12c9ee12b09217a80b12fe4f8efbf7382cbc',0,'att',0,1,0);
INSERT INTO "version_modules" VALUES('fdc25a33137d5f37afdafab353aa12c9ee12b09217a80b12fe4f8efbf7382cbc',0,'att',1,2,0);
INSERT INTO "version_modules" VALUES('fdc25a33137d5f37afdafab353aa12c9ee12b09217a80b12fe4f8efbf7382cbc',0,'att',2,9,0);
INSERT INTO "version_modules" VALUES('fdc25a33137d5f37afdafab353aa12c9ee12b09217a80b12fe4f8efbf7382cbc',0,'mlp',0,3,0);
INSERT INTO "version_modules" VALUES('fdc25a33137d5f37afdafab353aa12c9ee12b09217a80b12fe4f8efbf7382cbc',0,'mlp',1,4,0);
INSERT INTO "version_modules" VALUES('fdc25a33137d5f37afdafab353aa12c9ee12b09217a80b12fe4f8efbf7382cbc',0,'mlp',2,10,0);
INSERT INTO "version_modules" VALUES('fdc25a33137d5f37afdafab353aa12c9ee12b09217a80b12fe4f8efbf7382cbc',1,'att',0,5,0);
INSERT INTO "version_modules" VALUES('fdc25a33137d5f37afdafab353aa12c9ee12b09217a80b12fe4f8efbf7382cbc',1,'att',1,6,0);
INSERT INTO "version_modules" VALUES('fdc25a33137d5f37afdafab353aa12c9ee12b09217a80b12fe4f8efbf7382cbc',1,'att',2,11,0);
INSERT INTO "version_modules" VALUES('fdc25a33137d5f37afdafab353aa12c9ee12b09217a80b12fe4f8efbf7382cbc',1,'mlp',0,7,0);
INSERT INTO "version_modules" VALUES('fdc25a33137d5f37afdafab353aa12c9ee12b09217a80b12fe4f8efbf7382cbc',1,'mlp',1,8,0);
INSERT INTO "version_modules" VALUES('fdc25a33137d5f37afdafab353aa12c9ee12b09217a80b12fe4f8efbf7382cbc',1,'mlp',2,12,0);
CREATE TABLE version_parts (
  version_hash TEXT NOT NULL REFERENCES versions (hash),
  position     INTEGER NOT NULL,
  name         TEXT NOT NULL,
  object_hash  TEXT NOT NULL REFERENCES objects (hash),
  PRIMARY KEY (version_hash, position),
  UNIQUE (version_hash, name)
) STRICT, WITHOUT ROWID;
INSERT INTO "version_parts" VALUES('234437f0f0f95d24204b6368e4419c421300615b32a77c2b2f250f2b583253d1',0,'wte','b99617d4591ffc0b921cd1da481ffba979820847a863f08e1a4c133efde49757');
INSERT INTO "version_parts" VALUES('234437f0f0f95d24204b6368e4419c421300615b32a77c2b2f250f2b583253d1',1,'ln_f','c0fb1a0e57d425bf8795189ef613e30a21f6896e223bdbe0a15448943aff1fc1');
INSERT INTO "version_parts" VALUES('234437f0f0f95d24204b6368e4419c421300615b32a77c2b2f250f2b583253d1',2,'lm_head','5835581712949402f7f605a2d3080216d86ef2fa88091d542ae93d17c48cde44');
INSERT INTO "version_parts" VALUES('fdc25a33137d5f37afdafab353aa12c9ee12b09217a80b12fe4f8efbf7382cbc',0,'wte','b99617d4591ffc0b921cd1da481ffba979820847a863f08e1a4c133efde49757');
INSERT INTO "version_parts" VALUES('fdc25a33137d5f37afdafab353aa12c9ee12b09217a80b12fe4f8efbf7382cbc',1,'ln_f','c0fb1a0e57d425bf8795189ef613e30a21f6896e223bdbe0a15448943aff1fc1');
INSERT INTO "version_parts" VALUES('fdc25a33137d5f37afdafab353aa12c9ee12b09217a80b12fe4f8efbf7382cbc',2,'lm_head','5835581712949402f7f605a2d3080216d86ef2fa88091d542ae93d17c48cde44');
CREATE TABLE versions (
  hash             TEXT PRIMARY KEY CHECK (length(hash) = 64 AND hash NOT GLOB '*[^0-9a-f]*'),
  content_hash     TEXT NOT NULL,
  parent_hash      TEXT REFERENCES versions (hash),
  operation_id     INTEGER NOT NULL REFERENCES operations (id),
  model            TEXT NOT NULL REFERENCES models (name),
  number           INTEGER NOT NULL CHECK (number >= 1),
  created_ms       INTEGER NOT NULL,
  config_json      TEXT NOT NULL,
  tokenizer_object TEXT REFERENCES objects (hash),
  UNIQUE (model, number)
) STRICT, WITHOUT ROWID;
INSERT INTO "versions" VALUES('234437f0f0f95d24204b6368e4419c421300615b32a77c2b2f250f2b583253d1','4b56f0e7ee9c708747cebc555a2463c736800d97f75b6f5cfaa3cfe68f7d2d8d',NULL,1,'base',1,1795868531571,'{"model_type": "moduleformer"}',NULL);
INSERT INTO "versions" VALUES('fdc25a33137d5f37afdafab353aa12c9ee12b09217a80b12fe4f8efbf7382cbc','9d441aa620670c1c582a1e00b4def9141046e4cf8a23be5dbd1f2a9b606bddc3','234437f0f0f95d24204b6368e4419c421300615b32a77c2b2f250f2b583253d1',2,'base',2,1795868531574,'{"model_type": "moduleformer"}',NULL);
CREATE INDEX operations_running ON operations (id) WHERE outcome = 'running';
CREATE INDEX version_modules_revision ON version_modules (revision_id);
CREATE VIEW version_objects (version_hash, object_hash) AS
  SELECT version_hash, object_hash FROM version_parts
  UNION SELECT version_hash, att_router FROM version_layers WHERE att_router IS NOT NULL
  UNION SELECT version_hash, mlp_router FROM version_layers WHERE mlp_router IS NOT NULL
  UNION SELECT version_hash, object_hash FROM version_modules JOIN revisions ON revisions.id = revision_id
  UNION SELECT hash, tokenizer_object FROM versions WHERE tokenizer_object IS NOT NULL;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('operations',3);
COMMIT;
