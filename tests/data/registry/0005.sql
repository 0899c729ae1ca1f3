BEGIN TRANSACTION;
CREATE TABLE models (
  id              INTEGER PRIMARY KEY,                -- the order of making
  name            TEXT NOT NULL UNIQUE CHECK (name <> ''),
  current_version TEXT NOT NULL REFERENCES versions (hash) DEFERRABLE INITIALLY DEFERRED,
  created_ms      INTEGER NOT NULL
) STRICT;
INSERT INTO "models" VALUES(1,'first-model','abe4a2ea5a72ac1f36a42284102e73740917f686f6bff68077442a36974b5291',1795915687841);
INSERT INTO "models" VALUES(2,'other','bcd4500840f156d62b6de5ffd34f0eaaf26164a7ecaae10316c5efc9b00ef4bf',1795915687902);
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
INSERT INTO "modules" VALUES('0076161facf6','mlp',0,2,'init','',NULL,1795915687873);
INSERT INTO "modules" VALUES('0d3b5c7088b3','att',0,1,'init','',NULL,1795915687841);
INSERT INTO "modules" VALUES('2dbd01b9261e','att',1,1,'init','',NULL,1795915687841);
INSERT INTO "modules" VALUES('529908f1f02d','att',0,3,'init','',NULL,1795915687902);
INSERT INTO "modules" VALUES('6e0fb7b67962','mlp',0,1,'init','',NULL,1795915687841);
INSERT INTO "modules" VALUES('922c9a22b9c2','att',1,1,'init','',NULL,1795915687841);
INSERT INTO "modules" VALUES('9545aa4f588f','att',0,1,'init','',NULL,1795915687841);
INSERT INTO "modules" VALUES('993d5cbdaed9','mlp',1,1,'init','',NULL,1795915687841);
INSERT INTO "modules" VALUES('a994f0783ae3','att',1,2,'init','',NULL,1795915687873);
INSERT INTO "modules" VALUES('b404ea393f90','att',0,2,'init','',NULL,1795915687873);
INSERT INTO "modules" VALUES('d5f05c143f22','mlp',1,2,'init','',NULL,1795915687873);
INSERT INTO "modules" VALUES('de57ea439aab','mlp',0,3,'init','',NULL,1795915687902);
INSERT INTO "modules" VALUES('e64645e3be71','mlp',1,1,'init','',NULL,1795915687841);
INSERT INTO "modules" VALUES('f505c59746fa','mlp',0,1,'init','',NULL,1795915687841);
CREATE TABLE name_changes (
  operation_id INTEGER PRIMARY KEY REFERENCES operations (id),
  thing        TEXT NOT NULL CHECK (thing IN ('model', 'task', 'tag')),
  change       TEXT NOT NULL CHECK (change IN ('rename', 'remove', 'replace', 'move', 'make')),
  old_name     TEXT NOT NULL,                         -- '' for what was made
  new_name     TEXT NOT NULL,                         -- '' for what was removed
  before       TEXT NOT NULL,                         -- a task's data_path, a tag's version; '' where there is none
  undoable     INTEGER NOT NULL CHECK (undoable IN (0, 1))  -- 0 once it was taken back or gc freed what it removed
) STRICT;
INSERT INTO "name_changes" VALUES(4,'task','replace','qa','qa','',1);
INSERT INTO "name_changes" VALUES(5,'tag','make','','first','',1);
INSERT INTO "name_changes" VALUES(7,'model','rename','base','first-model','',1);
INSERT INTO "name_changes" VALUES(9,'task','remove','gone','','',1);
INSERT INTO "name_changes" VALUES(10,'task','rename','qa','questions','',1);
INSERT INTO "name_changes" VALUES(11,'tag','make','','kept','',1);
INSERT INTO "name_changes" VALUES(12,'tag','make','','second','',1);
CREATE TABLE objects (
  hash       TEXT PRIMARY KEY CHECK (length(hash) = 64 AND hash NOT GLOB '*[^0-9a-f]*'),
  size_bytes INTEGER NOT NULL CHECK (size_bytes >= 0)
) STRICT, WITHOUT ROWID;
INSERT INTO "objects" VALUES('03c99f8c445b466314d242f549fa6022be800d9940f5882599f9c3bb16832c53',14);
INSERT INTO "objects" VALUES('06939af0dec9fabee06df45bca51cbe987655fb7f72d2fe68f3c8798a851519e',9);
INSERT INTO "objects" VALUES('09a3abe74c88bf281bfbb5fc6a46f5d50ac49eeb97b47369df0b600d8f64a4f0',14);
INSERT INTO "objects" VALUES('14d4f6ee663dc4b7d9025ccbfa6a73162551e5b76a249071bd4974748bb1fc42',12);
INSERT INTO "objects" VALUES('1c6ea59d322231a618ab2ca555c6c09047cc6a4189f16e328d1a8390a1b8b14b',9);
INSERT INTO "objects" VALUES('1d856221734790e0353566621686f5e4c198a3ad95344ddfcd4fbf787af14ea7',9);
INSERT INTO "objects" VALUES('1fb5978573ef79475483bc078aaa75fe0b154abad53ed81668ae84aa80e3f0e3',14);
INSERT INTO "objects" VALUES('2834aad26afd77a408957be9db91ff2200f6eb4b1ee866f710d22bf699761187',5);
INSERT INTO "objects" VALUES('2d790963e981d7276ae45efb86e196073a022669342f9b0d701711a20b7da6f6',14);
INSERT INTO "objects" VALUES('2e527f0913de1bb9485b255eeb51e783ef378012c1a20488e93af1c3093b9cde',12);
INSERT INTO "objects" VALUES('38946d8ad6bb5f70406c92ec16ab0cdd872f46e48d57c2a69c39c978ba0c82b2',14);
INSERT INTO "objects" VALUES('3a260b8711104dc2821077a459ef884948520aa3e1f9438e21338788bf17b785',12);
INSERT INTO "objects" VALUES('492b69ffa29b08b76f6748d9cb5127ee268d64ae9cb359e75cc813e6ee6a5652',9);
INSERT INTO "objects" VALUES('4df302fdec25eee0c6e19eb26d1c21f042c1516862bb295fe355f40c1f0cff5d',9);
INSERT INTO "objects" VALUES('5835581712949402f7f605a2d3080216d86ef2fa88091d542ae93d17c48cde44',9);
INSERT INTO "objects" VALUES('70865aa9a0d198f7033220cbf5783fa03651c7de40b914148382e2147a3620b5',6);
INSERT INTO "objects" VALUES('71076de6930fccfc49b1e239de4e382abd9cb0ca80c1eadb8ff3a07c51abe5c1',9);
INSERT INTO "objects" VALUES('7233a3464abb62b5fb3be3154f2c116b751e3c172cdf518cd45d6cb53f832381',5);
INSERT INTO "objects" VALUES('767042ff33b576c8fe5ab011e581f5a7635dc80056f1dcee6bbd6e89ec3e7e3f',9);
INSERT INTO "objects" VALUES('77627193f62cd10dd62e98d2d14ad9529e4ff0ce878f1f2faf3b20f770ed5b36',9);
INSERT INTO "objects" VALUES('7e2fc3f443d531f39454e887d7c961cea42e88b21571988da51dae9b9bb26e9b',5);
INSERT INTO "objects" VALUES('9927a470c516dd50d8ed42d44364a3fa4fa1b0c9740368d1605779f08aad9fcb',5);
INSERT INTO "objects" VALUES('a39b021b54035d0abedfa8607c3cb0918902cf78a2b6c3f752e2637c808ea080',14);
INSERT INTO "objects" VALUES('a95200e8b67e7e00811b5ef5b1ffea64bfadec2b5ad793edc912cf11811c7fe1',9);
INSERT INTO "objects" VALUES('b193bc10d406ab9af992a27f07aa7417648d4e6590ab98fb0740b74d79b99a33',12);
INSERT INTO "objects" VALUES('b99617d4591ffc0b921cd1da481ffba979820847a863f08e1a4c133efde49757',5);
INSERT INTO "objects" VALUES('c0fb1a0e57d425bf8795189ef613e30a21f6896e223bdbe0a15448943aff1fc1',6);
INSERT INTO "objects" VALUES('da7aef1b16ff18f6f72edaadf2d9aff19ec25bfb576d0a3e2f618471f0c08ef4',9);
INSERT INTO "objects" VALUES('e488031c9cc5bbabd769e5236dc34a952d9c0ed327a636394592d8dd9a431f13',9);
INSERT INTO "objects" VALUES('fa9d5a75c3bd6a52216ae61d2ccd95a53dcc5bcee9fe9da29bd918d8a1a33181',5);
CREATE TABLE old_paths (
  task_id INTEGER PRIMARY KEY REFERENCES tasks (id) ON DELETE CASCADE
) STRICT;
CREATE TABLE operation_data (
  operation_id INTEGER NOT NULL REFERENCES operations (id),
  position     INTEGER NOT NULL,
  role         TEXT NOT NULL,
  task         TEXT NOT NULL,
  path         TEXT NOT NULL,
  content_hash TEXT NOT NULL,
  PRIMARY KEY (operation_id, position)
) STRICT, WITHOUT ROWID;
INSERT INTO "operation_data" VALUES(4,0,'train','qa','/data/qa','beef');
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
  version_after  TEXT REFERENCES versions (hash), command_line TEXT NOT NULL DEFAULT '', folder TEXT NOT NULL DEFAULT '', threads INTEGER NOT NULL DEFAULT 0,
  CHECK ((outcome = 'running') = (ended_ms IS NULL))
) STRICT;
INSERT INTO "operations" VALUES(1,'5e1e153b7894','train','{}',0,'',1795915687829,1795915687842,'done','','base',NULL,'eb235febbf737ef005ca9e920e64d2513e8b1878473496955e061f2908c7d0ac','','',0);
INSERT INTO "operations" VALUES(2,'dd170993fd83','train','{}',0,'',1795915687848,1795915687874,'done','a second one','base','eb235febbf737ef005ca9e920e64d2513e8b1878473496955e061f2908c7d0ac','b3af4a7357a8b6e9805cc92f67c9e8c519c34bed1476a08cbcf1fda8c71a29da','','',0);
INSERT INTO "operations" VALUES(3,'1a4427e2354b','train','{}',0,'',1795915687881,1795915687904,'done','','other',NULL,'bcd4500840f156d62b6de5ffd34f0eaaf26164a7ecaae10316c5efc9b00ef4bf','','',0);
INSERT INTO "operations" VALUES(4,'f907c62865b8','task add','{"name": "qa"}',3,'1.0',1795915687909,1795915687949,'done','added','base','b3af4a7357a8b6e9805cc92f67c9e8c519c34bed1476a08cbcf1fda8c71a29da',NULL,'','',0);
INSERT INTO "operations" VALUES(5,'80bd01c76b0b','tag','{}',0,'',1795915687950,1795915687953,'done','first = base@1','',NULL,NULL,'','',0);
INSERT INTO "operations" VALUES(6,'4753ed650079','freeze','{}',0,'',1795915688000,1795915688005,'done','','base','b3af4a7357a8b6e9805cc92f67c9e8c519c34bed1476a08cbcf1fda8c71a29da','abe4a2ea5a72ac1f36a42284102e73740917f686f6bff68077442a36974b5291','','',0);
INSERT INTO "operations" VALUES(7,'68013cef9658','model rename','{}',0,'',1795915688012,1795915688014,'done','base -> first-model','',NULL,NULL,'','',0);
INSERT INTO "operations" VALUES(8,'a41cf1be0b52','task add','{}',0,'',1795915688016,1795915688024,'done','','',NULL,NULL,'','',0);
INSERT INTO "operations" VALUES(9,'d93d224cb8ea','task remove','{}',0,'',1795915688032,1795915688040,'done','gone','',NULL,NULL,'','',0);
INSERT INTO "operations" VALUES(10,'ea2f6c1cef67','task rename','{}',0,'',1795915688044,1795915688049,'done','qa -> questions','',NULL,NULL,'','',0);
INSERT INTO "operations" VALUES(11,'50dee6076fdf','tag','{}',0,'',1795915688052,1795915688056,'done','kept = first-model@2','',NULL,NULL,'','',0);
INSERT INTO "operations" VALUES(12,'b3307a5e898e','tag','{}',0,'',1795915688060,1795915688064,'done','second = first-model@2','',NULL,NULL,'["tag","second"]','/somewhere',2);
CREATE TABLE revisions (
  id           INTEGER PRIMARY KEY,
  module_uid   TEXT NOT NULL REFERENCES modules (uid),
  object_hash  TEXT NOT NULL REFERENCES objects (hash),
  parent_id    INTEGER REFERENCES revisions (id),     -- what it was trained from; NULL for the first
  operation_id INTEGER NOT NULL REFERENCES operations (id),
  created_ms   INTEGER NOT NULL,
  UNIQUE (module_uid, object_hash)
) STRICT;
INSERT INTO "revisions" VALUES(1,'0d3b5c7088b3','492b69ffa29b08b76f6748d9cb5127ee268d64ae9cb359e75cc813e6ee6a5652',NULL,1,1795915687841);
INSERT INTO "revisions" VALUES(2,'9545aa4f588f','4df302fdec25eee0c6e19eb26d1c21f042c1516862bb295fe355f40c1f0cff5d',NULL,1,1795915687841);
INSERT INTO "revisions" VALUES(3,'f505c59746fa','a95200e8b67e7e00811b5ef5b1ffea64bfadec2b5ad793edc912cf11811c7fe1',NULL,1,1795915687841);
INSERT INTO "revisions" VALUES(4,'6e0fb7b67962','71076de6930fccfc49b1e239de4e382abd9cb0ca80c1eadb8ff3a07c51abe5c1',NULL,1,1795915687841);
INSERT INTO "revisions" VALUES(5,'2dbd01b9261e','1d856221734790e0353566621686f5e4c198a3ad95344ddfcd4fbf787af14ea7',NULL,1,1795915687841);
INSERT INTO "revisions" VALUES(6,'922c9a22b9c2','1c6ea59d322231a618ab2ca555c6c09047cc6a4189f16e328d1a8390a1b8b14b',NULL,1,1795915687841);
INSERT INTO "revisions" VALUES(7,'993d5cbdaed9','da7aef1b16ff18f6f72edaadf2d9aff19ec25bfb576d0a3e2f618471f0c08ef4',NULL,1,1795915687841);
INSERT INTO "revisions" VALUES(8,'e64645e3be71','767042ff33b576c8fe5ab011e581f5a7635dc80056f1dcee6bbd6e89ec3e7e3f',NULL,1,1795915687841);
INSERT INTO "revisions" VALUES(9,'b404ea393f90','7e2fc3f443d531f39454e887d7c961cea42e88b21571988da51dae9b9bb26e9b',NULL,2,1795915687873);
INSERT INTO "revisions" VALUES(10,'0076161facf6','2834aad26afd77a408957be9db91ff2200f6eb4b1ee866f710d22bf699761187',NULL,2,1795915687873);
INSERT INTO "revisions" VALUES(11,'a994f0783ae3','fa9d5a75c3bd6a52216ae61d2ccd95a53dcc5bcee9fe9da29bd918d8a1a33181',NULL,2,1795915687873);
INSERT INTO "revisions" VALUES(12,'d5f05c143f22','7233a3464abb62b5fb3be3154f2c116b751e3c172cdf518cd45d6cb53f832381',NULL,2,1795915687873);
INSERT INTO "revisions" VALUES(13,'529908f1f02d','77627193f62cd10dd62e98d2d14ad9529e4ff0ce878f1f2faf3b20f770ed5b36',NULL,3,1795915687902);
INSERT INTO "revisions" VALUES(14,'de57ea439aab','e488031c9cc5bbabd769e5236dc34a952d9c0ed327a636394592d8dd9a431f13',NULL,3,1795915687902);
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
INSERT INTO "routing_stats" VALUES('b3af4a7357a8b6e9805cc92f67c9e8c519c34bed1476a08cbcf1fda8c71a29da','questions',0,'mlp','0076161facf6',3,1.5,2.5,10);
INSERT INTO "routing_stats" VALUES('b3af4a7357a8b6e9805cc92f67c9e8c519c34bed1476a08cbcf1fda8c71a29da','questions',0,'att','0d3b5c7088b3',3,1.5,2.5,10);
INSERT INTO "routing_stats" VALUES('b3af4a7357a8b6e9805cc92f67c9e8c519c34bed1476a08cbcf1fda8c71a29da','questions',1,'att','2dbd01b9261e',3,1.5,2.5,10);
INSERT INTO "routing_stats" VALUES('b3af4a7357a8b6e9805cc92f67c9e8c519c34bed1476a08cbcf1fda8c71a29da','questions',0,'mlp','6e0fb7b67962',3,1.5,2.5,10);
INSERT INTO "routing_stats" VALUES('b3af4a7357a8b6e9805cc92f67c9e8c519c34bed1476a08cbcf1fda8c71a29da','questions',1,'att','922c9a22b9c2',3,1.5,2.5,10);
INSERT INTO "routing_stats" VALUES('b3af4a7357a8b6e9805cc92f67c9e8c519c34bed1476a08cbcf1fda8c71a29da','questions',0,'att','9545aa4f588f',3,1.5,2.5,10);
INSERT INTO "routing_stats" VALUES('b3af4a7357a8b6e9805cc92f67c9e8c519c34bed1476a08cbcf1fda8c71a29da','questions',1,'mlp','993d5cbdaed9',3,1.5,2.5,10);
INSERT INTO "routing_stats" VALUES('b3af4a7357a8b6e9805cc92f67c9e8c519c34bed1476a08cbcf1fda8c71a29da','questions',1,'att','a994f0783ae3',3,1.5,2.5,10);
INSERT INTO "routing_stats" VALUES('b3af4a7357a8b6e9805cc92f67c9e8c519c34bed1476a08cbcf1fda8c71a29da','questions',0,'att','b404ea393f90',3,1.5,2.5,10);
INSERT INTO "routing_stats" VALUES('b3af4a7357a8b6e9805cc92f67c9e8c519c34bed1476a08cbcf1fda8c71a29da','questions',1,'mlp','d5f05c143f22',3,1.5,2.5,10);
INSERT INTO "routing_stats" VALUES('b3af4a7357a8b6e9805cc92f67c9e8c519c34bed1476a08cbcf1fda8c71a29da','questions',1,'mlp','e64645e3be71',3,1.5,2.5,10);
INSERT INTO "routing_stats" VALUES('b3af4a7357a8b6e9805cc92f67c9e8c519c34bed1476a08cbcf1fda8c71a29da','questions',0,'mlp','f505c59746fa',3,1.5,2.5,10);
CREATE TABLE schema_migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_ms INTEGER NOT NULL) STRICT;
INSERT INTO "schema_migrations" VALUES(1,'0001_initial',1795915687815);
INSERT INTO "schema_migrations" VALUES(2,'0002_seals',1795915687815);
INSERT INTO "schema_migrations" VALUES(3,'0003_task_reading',1795915687816);
INSERT INTO "schema_migrations" VALUES(4,'0004_names',1795915687816);
INSERT INTO "schema_migrations" VALUES(5,'0005_command_lines',1795915687817);
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
INSERT INTO "scores" VALUES('b3af4a7357a8b6e9805cc92f67c9e8c519c34bed1476a08cbcf1fda8c71a29da','gone (removed 9)','held_out','loss@7',2.5,7,8,1795915688028);
INSERT INTO "scores" VALUES('b3af4a7357a8b6e9805cc92f67c9e8c519c34bed1476a08cbcf1fda8c71a29da','qa (removed 4)','held_out','loss',4.25,10,4,1795915687920);
INSERT INTO "scores" VALUES('b3af4a7357a8b6e9805cc92f67c9e8c519c34bed1476a08cbcf1fda8c71a29da','questions','held_out','bound.0@65536',1.125,10,1,1795915687984);
INSERT INTO "scores" VALUES('b3af4a7357a8b6e9805cc92f67c9e8c519c34bed1476a08cbcf1fda8c71a29da','questions','held_out','documents@65536',1.375,10,1,1795915687989);
INSERT INTO "scores" VALUES('b3af4a7357a8b6e9805cc92f67c9e8c519c34bed1476a08cbcf1fda8c71a29da','questions','held_out','earlier.0@65536',1.25,10,1,1795915687988);
INSERT INTO "scores" VALUES('b3af4a7357a8b6e9805cc92f67c9e8c519c34bed1476a08cbcf1fda8c71a29da','questions','held_out','loss',4.25,10,4,1795915687939);
INSERT INTO "scores" VALUES('b3af4a7357a8b6e9805cc92f67c9e8c519c34bed1476a08cbcf1fda8c71a29da','questions','held_out','loss@0',0.75,10,1,1795915687964);
INSERT INTO "scores" VALUES('b3af4a7357a8b6e9805cc92f67c9e8c519c34bed1476a08cbcf1fda8c71a29da','questions','held_out','loss@100',0.625,10,1,1795915687958);
INSERT INTO "scores" VALUES('b3af4a7357a8b6e9805cc92f67c9e8c519c34bed1476a08cbcf1fda8c71a29da','questions','held_out','observed@65536',1.5,10,1,1795915687996);
INSERT INTO "scores" VALUES('b3af4a7357a8b6e9805cc92f67c9e8c519c34bed1476a08cbcf1fda8c71a29da','questions','held_out','share.0@65536',0.875,10,1,1795915687972);
INSERT INTO "scores" VALUES('b3af4a7357a8b6e9805cc92f67c9e8c519c34bed1476a08cbcf1fda8c71a29da','questions','held_out','share.1@65536',1.0,10,1,1795915687976);
INSERT INTO "scores" VALUES('eb235febbf737ef005ca9e920e64d2513e8b1878473496955e061f2908c7d0ac','questions','held_out','loss',5.5,10,NULL,1795915687940);
CREATE TABLE seals (
  table_name TEXT PRIMARY KEY,
  state      BLOB NOT NULL CHECK (length(state) = 56)
) STRICT, WITHOUT ROWID;
INSERT INTO "seals" VALUES('models',X'02000000000000000900000000000000CCD1CB871C4B90FF44785C73AC0B378F1B878FB0BF92D2E2086FDEA60BEF00BEEB21439C249E023D');
INSERT INTO "seals" VALUES('modules',X'0E000000000000000E000000000000000DCD4C33C159AC4AD686D78F15EBA8DDC5F0339F80ECB6579CBBF1EF17C6E707C2AB163EE9CCF483');
INSERT INTO "seals" VALUES('name_changes',X'07000000000000000700000000000000F9EBFA78E0E8B3A27CD7176AEC10BAB2C477BDE7BFA3AE906B574957C07A33A6A5A393BEDF206B0B');
INSERT INTO "seals" VALUES('objects',X'1E000000000000001E0000000000000076208F9F79FEE90D0415500A0A531796AA82BE4C597B85977002C7400D73F710E91BD2319208C7D8');
INSERT INTO "seals" VALUES('old_paths',X'0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000598B40EF4121CDB');
INSERT INTO "seals" VALUES('operation_data',X'01000000000000000100000000000000C164F65A095B87857E99274E158D7AE0D40E9E05E3E1AAE7451E66F36D288B470B5DB35FD256EAF1');
INSERT INTO "seals" VALUES('operations',X'0C000000000000002400000000000000A5982E127B5E8694F7124E500F2CD27625C364163D578590EEF1E07A219572C3B2165B1CDFC50EF2');
INSERT INTO "seals" VALUES('revisions',X'0E000000000000000E000000000000001D38EA9EF19C5AAB6F8DC6DD0DFE2AE34622136CBA36C5935ECF7D100CE7D7AC8745DB0BA60D1E66');
INSERT INTO "seals" VALUES('routing_stats',X'0C000000000000003C00000000000000AFDABEA04313723B4D8AB9ABE9CDDEE44711BFF8E81D9C8BBC380F1FFCADF719132CD6190D2EC61D');
INSERT INTO "seals" VALUES('schema_migrations',X'05000000000000000000000000000000F2FA88D0B17BCFC9C43178213A0B9B94E4D3921492BEC20BA716AA55263887534923B671E7847097');
INSERT INTO "seals" VALUES('scores',X'0C00000000000000280000000000000084A02C046A9DF6E7384917F49C131BB0EE53B4AFCC2F8BC6F0AE1C8E109485D9C6CC9278E1ADE603');
INSERT INTO "seals" VALUES('settings',X'02000000000000000600000000000000BC462059BD611D090DEC0329488B513EDDBC394C1B83D16A7FD16DFA3592259DEA2C9F64D90A288F');
INSERT INTO "seals" VALUES('tags',X'03000000000000000300000000000000435F8655ED845A15C64DB97E39749C1F7B16008B803CB70A911ACF2DF50EE0433283939F681A34F8');
INSERT INTO "seals" VALUES('tasks',X'03000000000000000900000000000000E578E79543406B8CE39C9C65603BEF343BFF70A77EED6B33AD8AF020D61185455640A918F8BF5626');
INSERT INTO "seals" VALUES('versions',X'04000000000000000A0000000000000034BE25BA91468FB2A69549A95897BA5B373A83A99269A318B31608596F5764AA0212ED4B523E6CBF');
CREATE TABLE settings (
  key   TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "settings" VALUES('current_model','other');
INSERT INTO "settings" VALUES('key','value');
CREATE TABLE tags (
  name         TEXT PRIMARY KEY CHECK (name <> ''),
  version_hash TEXT NOT NULL REFERENCES versions (hash),
  operation_id INTEGER NOT NULL REFERENCES operations (id),
  created_ms   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "tags" VALUES('first','eb235febbf737ef005ca9e920e64d2513e8b1878473496955e061f2908c7d0ac',5,1795915687953);
INSERT INTO "tags" VALUES('kept','b3af4a7357a8b6e9805cc92f67c9e8c519c34bed1476a08cbcf1fda8c71a29da',11,1795915688056);
INSERT INTO "tags" VALUES('second','b3af4a7357a8b6e9805cc92f67c9e8c519c34bed1476a08cbcf1fda8c71a29da',12,1795915688064);
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
, fields TEXT NOT NULL DEFAULT '', left_out_files INTEGER, left_out_records INTEGER) STRICT;
INSERT INTO "tasks" VALUES(1,'qa (removed 4)','/data/qa','old data',10,2,'rule',4,1795915687914,'',NULL,NULL);
INSERT INTO "tasks" VALUES(2,'questions','/data/qa','new data',10,2,'rule',4,1795915687925,'',NULL,NULL);
INSERT INTO "tasks" VALUES(3,'gone (removed 9)','/data/gone','cafe',10,2,'rule',8,1795915688024,'',NULL,NULL);
CREATE TABLE version_layers (
  version_hash TEXT NOT NULL REFERENCES versions (hash),
  layer        INTEGER NOT NULL CHECK (layer >= 0),
  att_router   TEXT REFERENCES objects (hash),
  mlp_router   TEXT REFERENCES objects (hash),
  PRIMARY KEY (version_hash, layer)
) STRICT, WITHOUT ROWID;
INSERT INTO "version_layers" VALUES('abe4a2ea5a72ac1f36a42284102e73740917f686f6bff68077442a36974b5291',0,'2e527f0913de1bb9485b255eeb51e783ef378012c1a20488e93af1c3093b9cde','b193bc10d406ab9af992a27f07aa7417648d4e6590ab98fb0740b74d79b99a33');
INSERT INTO "version_layers" VALUES('abe4a2ea5a72ac1f36a42284102e73740917f686f6bff68077442a36974b5291',1,'3a260b8711104dc2821077a459ef884948520aa3e1f9438e21338788bf17b785','14d4f6ee663dc4b7d9025ccbfa6a73162551e5b76a249071bd4974748bb1fc42');
INSERT INTO "version_layers" VALUES('b3af4a7357a8b6e9805cc92f67c9e8c519c34bed1476a08cbcf1fda8c71a29da',0,'2e527f0913de1bb9485b255eeb51e783ef378012c1a20488e93af1c3093b9cde','b193bc10d406ab9af992a27f07aa7417648d4e6590ab98fb0740b74d79b99a33');
INSERT INTO "version_layers" VALUES('b3af4a7357a8b6e9805cc92f67c9e8c519c34bed1476a08cbcf1fda8c71a29da',1,'3a260b8711104dc2821077a459ef884948520aa3e1f9438e21338788bf17b785','14d4f6ee663dc4b7d9025ccbfa6a73162551e5b76a249071bd4974748bb1fc42');
INSERT INTO "version_layers" VALUES('bcd4500840f156d62b6de5ffd34f0eaaf26164a7ecaae10316c5efc9b00ef4bf',0,'09a3abe74c88bf281bfbb5fc6a46f5d50ac49eeb97b47369df0b600d8f64a4f0','38946d8ad6bb5f70406c92ec16ab0cdd872f46e48d57c2a69c39c978ba0c82b2');
INSERT INTO "version_layers" VALUES('eb235febbf737ef005ca9e920e64d2513e8b1878473496955e061f2908c7d0ac',0,'03c99f8c445b466314d242f549fa6022be800d9940f5882599f9c3bb16832c53','2d790963e981d7276ae45efb86e196073a022669342f9b0d701711a20b7da6f6');
INSERT INTO "version_layers" VALUES('eb235febbf737ef005ca9e920e64d2513e8b1878473496955e061f2908c7d0ac',1,'a39b021b54035d0abedfa8607c3cb0918902cf78a2b6c3f752e2637c808ea080','1fb5978573ef79475483bc078aaa75fe0b154abad53ed81668ae84aa80e3f0e3');
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
INSERT INTO "version_modules" VALUES('abe4a2ea5a72ac1f36a42284102e73740917f686f6bff68077442a36974b5291',0,'att',0,1,0);
INSERT INTO "version_modules" VALUES('abe4a2ea5a72ac1f36a42284102e73740917f686f6bff68077442a36974b5291',0,'att',1,2,0);
INSERT INTO "version_modules" VALUES('abe4a2ea5a72ac1f36a42284102e73740917f686f6bff68077442a36974b5291',0,'att',2,9,0);
INSERT INTO "version_modules" VALUES('abe4a2ea5a72ac1f36a42284102e73740917f686f6bff68077442a36974b5291',0,'mlp',0,3,0);
INSERT INTO "version_modules" VALUES('abe4a2ea5a72ac1f36a42284102e73740917f686f6bff68077442a36974b5291',0,'mlp',1,4,0);
INSERT INTO "version_modules" VALUES('abe4a2ea5a72ac1f36a42284102e73740917f686f6bff68077442a36974b5291',0,'mlp',2,10,0);
INSERT INTO "version_modules" VALUES('abe4a2ea5a72ac1f36a42284102e73740917f686f6bff68077442a36974b5291',1,'att',0,5,1);
INSERT INTO "version_modules" VALUES('abe4a2ea5a72ac1f36a42284102e73740917f686f6bff68077442a36974b5291',1,'att',1,6,0);
INSERT INTO "version_modules" VALUES('abe4a2ea5a72ac1f36a42284102e73740917f686f6bff68077442a36974b5291',1,'att',2,11,0);
INSERT INTO "version_modules" VALUES('abe4a2ea5a72ac1f36a42284102e73740917f686f6bff68077442a36974b5291',1,'mlp',0,7,0);
INSERT INTO "version_modules" VALUES('abe4a2ea5a72ac1f36a42284102e73740917f686f6bff68077442a36974b5291',1,'mlp',1,8,0);
INSERT INTO "version_modules" VALUES('abe4a2ea5a72ac1f36a42284102e73740917f686f6bff68077442a36974b5291',1,'mlp',2,12,0);
INSERT INTO "version_modules" VALUES('b3af4a7357a8b6e9805cc92f67c9e8c519c34bed1476a08cbcf1fda8c71a29da',0,'att',0,1,0);
INSERT INTO "version_modules" VALUES('b3af4a7357a8b6e9805cc92f67c9e8c519c34bed1476a08cbcf1fda8c71a29da',0,'att',1,2,0);
INSERT INTO "version_modules" VALUES('b3af4a7357a8b6e9805cc92f67c9e8c519c34bed1476a08cbcf1fda8c71a29da',0,'att',2,9,0);
INSERT INTO "version_modules" VALUES('b3af4a7357a8b6e9805cc92f67c9e8c519c34bed1476a08cbcf1fda8c71a29da',0,'mlp',0,3,0);
INSERT INTO "version_modules" VALUES('b3af4a7357a8b6e9805cc92f67c9e8c519c34bed1476a08cbcf1fda8c71a29da',0,'mlp',1,4,0);
INSERT INTO "version_modules" VALUES('b3af4a7357a8b6e9805cc92f67c9e8c519c34bed1476a08cbcf1fda8c71a29da',0,'mlp',2,10,0);
INSERT INTO "version_modules" VALUES('b3af4a7357a8b6e9805cc92f67c9e8c519c34bed1476a08cbcf1fda8c71a29da',1,'att',0,5,0);
INSERT INTO "version_modules" VALUES('b3af4a7357a8b6e9805cc92f67c9e8c519c34bed1476a08cbcf1fda8c71a29da',1,'att',1,6,0);
INSERT INTO "version_modules" VALUES('b3af4a7357a8b6e9805cc92f67c9e8c519c34bed1476a08cbcf1fda8c71a29da',1,'att',2,11,0);
INSERT INTO "version_modules" VALUES('b3af4a7357a8b6e9805cc92f67c9e8c519c34bed1476a08cbcf1fda8c71a29da',1,'mlp',0,7,0);
INSERT INTO "version_modules" VALUES('b3af4a7357a8b6e9805cc92f67c9e8c519c34bed1476a08cbcf1fda8c71a29da',1,'mlp',1,8,0);
INSERT INTO "version_modules" VALUES('b3af4a7357a8b6e9805cc92f67c9e8c519c34bed1476a08cbcf1fda8c71a29da',1,'mlp',2,12,0);
INSERT INTO "version_modules" VALUES('bcd4500840f156d62b6de5ffd34f0eaaf26164a7ecaae10316c5efc9b00ef4bf',0,'att',0,13,0);
INSERT INTO "version_modules" VALUES('bcd4500840f156d62b6de5ffd34f0eaaf26164a7ecaae10316c5efc9b00ef4bf',0,'mlp',0,14,0);
INSERT INTO "version_modules" VALUES('eb235febbf737ef005ca9e920e64d2513e8b1878473496955e061f2908c7d0ac',0,'att',0,1,0);
INSERT INTO "version_modules" VALUES('eb235febbf737ef005ca9e920e64d2513e8b1878473496955e061f2908c7d0ac',0,'att',1,2,0);
INSERT INTO "version_modules" VALUES('eb235febbf737ef005ca9e920e64d2513e8b1878473496955e061f2908c7d0ac',0,'mlp',0,3,0);
INSERT INTO "version_modules" VALUES('eb235febbf737ef005ca9e920e64d2513e8b1878473496955e061f2908c7d0ac',0,'mlp',1,4,0);
INSERT INTO "version_modules" VALUES('eb235febbf737ef005ca9e920e64d2513e8b1878473496955e061f2908c7d0ac',1,'att',0,5,0);
INSERT INTO "version_modules" VALUES('eb235febbf737ef005ca9e920e64d2513e8b1878473496955e061f2908c7d0ac',1,'att',1,6,0);
INSERT INTO "version_modules" VALUES('eb235febbf737ef005ca9e920e64d2513e8b1878473496955e061f2908c7d0ac',1,'mlp',0,7,0);
INSERT INTO "version_modules" VALUES('eb235febbf737ef005ca9e920e64d2513e8b1878473496955e061f2908c7d0ac',1,'mlp',1,8,0);
CREATE TABLE version_parts (
  version_hash TEXT NOT NULL REFERENCES versions (hash),
  position     INTEGER NOT NULL,
  name         TEXT NOT NULL,
  object_hash  TEXT NOT NULL REFERENCES objects (hash),
  PRIMARY KEY (version_hash, position),
  UNIQUE (version_hash, name)
) STRICT, WITHOUT ROWID;
INSERT INTO "version_parts" VALUES('abe4a2ea5a72ac1f36a42284102e73740917f686f6bff68077442a36974b5291',0,'wte','b99617d4591ffc0b921cd1da481ffba979820847a863f08e1a4c133efde49757');
INSERT INTO "version_parts" VALUES('abe4a2ea5a72ac1f36a42284102e73740917f686f6bff68077442a36974b5291',1,'ln_f','c0fb1a0e57d425bf8795189ef613e30a21f6896e223bdbe0a15448943aff1fc1');
INSERT INTO "version_parts" VALUES('abe4a2ea5a72ac1f36a42284102e73740917f686f6bff68077442a36974b5291',2,'lm_head','5835581712949402f7f605a2d3080216d86ef2fa88091d542ae93d17c48cde44');
INSERT INTO "version_parts" VALUES('b3af4a7357a8b6e9805cc92f67c9e8c519c34bed1476a08cbcf1fda8c71a29da',0,'wte','b99617d4591ffc0b921cd1da481ffba979820847a863f08e1a4c133efde49757');
INSERT INTO "version_parts" VALUES('b3af4a7357a8b6e9805cc92f67c9e8c519c34bed1476a08cbcf1fda8c71a29da',1,'ln_f','c0fb1a0e57d425bf8795189ef613e30a21f6896e223bdbe0a15448943aff1fc1');
INSERT INTO "version_parts" VALUES('b3af4a7357a8b6e9805cc92f67c9e8c519c34bed1476a08cbcf1fda8c71a29da',2,'lm_head','5835581712949402f7f605a2d3080216d86ef2fa88091d542ae93d17c48cde44');
INSERT INTO "version_parts" VALUES('bcd4500840f156d62b6de5ffd34f0eaaf26164a7ecaae10316c5efc9b00ef4bf',0,'wte','9927a470c516dd50d8ed42d44364a3fa4fa1b0c9740368d1605779f08aad9fcb');
INSERT INTO "version_parts" VALUES('bcd4500840f156d62b6de5ffd34f0eaaf26164a7ecaae10316c5efc9b00ef4bf',1,'ln_f','70865aa9a0d198f7033220cbf5783fa03651c7de40b914148382e2147a3620b5');
INSERT INTO "version_parts" VALUES('bcd4500840f156d62b6de5ffd34f0eaaf26164a7ecaae10316c5efc9b00ef4bf',2,'lm_head','06939af0dec9fabee06df45bca51cbe987655fb7f72d2fe68f3c8798a851519e');
INSERT INTO "version_parts" VALUES('eb235febbf737ef005ca9e920e64d2513e8b1878473496955e061f2908c7d0ac',0,'wte','b99617d4591ffc0b921cd1da481ffba979820847a863f08e1a4c133efde49757');
INSERT INTO "version_parts" VALUES('eb235febbf737ef005ca9e920e64d2513e8b1878473496955e061f2908c7d0ac',1,'ln_f','c0fb1a0e57d425bf8795189ef613e30a21f6896e223bdbe0a15448943aff1fc1');
INSERT INTO "version_parts" VALUES('eb235febbf737ef005ca9e920e64d2513e8b1878473496955e061f2908c7d0ac',2,'lm_head','5835581712949402f7f605a2d3080216d86ef2fa88091d542ae93d17c48cde44');
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
INSERT INTO "versions" VALUES('abe4a2ea5a72ac1f36a42284102e73740917f686f6bff68077442a36974b5291','b9f5274bf1840b5ff416b376a27aa674adacc73bb0668b770f092793faa11087','b3af4a7357a8b6e9805cc92f67c9e8c519c34bed1476a08cbcf1fda8c71a29da',6,'first-model',3,1795915688004,'{"model_type": "moduleformer"}',NULL);
INSERT INTO "versions" VALUES('b3af4a7357a8b6e9805cc92f67c9e8c519c34bed1476a08cbcf1fda8c71a29da','ead98fda20ab0fb6c334d1991f1b48838db3133b8a3ed6aba9ab0a81c4a2ca95','eb235febbf737ef005ca9e920e64d2513e8b1878473496955e061f2908c7d0ac',2,'first-model',2,1795915687873,'{"model_type": "moduleformer"}',NULL);
INSERT INTO "versions" VALUES('bcd4500840f156d62b6de5ffd34f0eaaf26164a7ecaae10316c5efc9b00ef4bf','987eed044ceabc00835cca44222d0e33bd77c370515a91323580d0a25caa53fa',NULL,3,'other',1,1795915687902,'{"model_type": "moduleformer"}',NULL);
INSERT INTO "versions" VALUES('eb235febbf737ef005ca9e920e64d2513e8b1878473496955e061f2908c7d0ac','0a177ff1bfd1d434102e0d29f5ddf3d457b5f3affad8e041b75fcfb2191c0a5e',NULL,1,'first-model',1,1795915687841,'{"model_type": "moduleformer"}',NULL);
CREATE INDEX operations_running ON operations (id) WHERE outcome = 'running';
CREATE INDEX version_modules_revision ON version_modules (revision_id);
CREATE VIEW version_objects (version_hash, object_hash) AS
  SELECT version_hash, object_hash FROM version_parts
  UNION ALL SELECT version_hash, att_router FROM version_layers WHERE att_router IS NOT NULL
  UNION ALL SELECT version_hash, mlp_router FROM version_layers WHERE mlp_router IS NOT NULL
  UNION ALL SELECT version_hash, object_hash FROM version_modules JOIN revisions ON revisions.id = revision_id
  UNION ALL SELECT hash, tokenizer_object FROM versions WHERE tokenizer_object IS NOT NULL;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('operations',12);
COMMIT;
