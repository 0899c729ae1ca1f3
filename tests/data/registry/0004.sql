BEGIN TRANSACTION;
CREATE TABLE models (
  id              INTEGER PRIMARY KEY,                -- the order of making
  name            TEXT NOT NULL UNIQUE CHECK (name <> ''),
  current_version TEXT NOT NULL REFERENCES versions (hash) DEFERRABLE INITIALLY DEFERRED,
  created_ms      INTEGER NOT NULL
) STRICT;
INSERT INTO "models" VALUES(1,'first-model','26ccf019be65e33fccd79dd35f4cafbb72bbb33c1a158a5fb37b15c425def59b',1795915687804);
INSERT INTO "models" VALUES(2,'other','2b5eabbb4cc37e09bcb5099c781f367ac30587fdd61fa57dda11f727500178f6',1795915687839);
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
INSERT INTO "modules" VALUES('15f932be523e','att',1,1,'init','',NULL,1795915687804);
INSERT INTO "modules" VALUES('266cca2f45fc','mlp',1,1,'init','',NULL,1795915687804);
INSERT INTO "modules" VALUES('3131507e2791','mlp',0,1,'init','',NULL,1795915687804);
INSERT INTO "modules" VALUES('31d8a9e16d57','mlp',0,2,'init','',NULL,1795915687819);
INSERT INTO "modules" VALUES('3adb0495d691','att',0,2,'init','',NULL,1795915687819);
INSERT INTO "modules" VALUES('52bb3a383bec','att',0,1,'init','',NULL,1795915687804);
INSERT INTO "modules" VALUES('752aab345293','att',0,3,'init','',NULL,1795915687839);
INSERT INTO "modules" VALUES('872f9425425f','att',0,1,'init','',NULL,1795915687804);
INSERT INTO "modules" VALUES('88222f7d8a64','mlp',0,1,'init','',NULL,1795915687804);
INSERT INTO "modules" VALUES('a26efceb3856','att',1,1,'init','',NULL,1795915687804);
INSERT INTO "modules" VALUES('a33fac18f34f','mlp',0,3,'init','',NULL,1795915687839);
INSERT INTO "modules" VALUES('b2329282c3df','att',1,2,'init','',NULL,1795915687819);
INSERT INTO "modules" VALUES('ccd5bcbd5092','mlp',1,1,'init','',NULL,1795915687804);
INSERT INTO "modules" VALUES('e419534c817e','mlp',1,2,'init','',NULL,1795915687819);
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
INSERT INTO "name_changes" VALUES(6,'model','rename','base','first-model','',1);
INSERT INTO "name_changes" VALUES(8,'task','remove','gone','','',1);
INSERT INTO "name_changes" VALUES(9,'task','rename','qa','questions','',1);
INSERT INTO "name_changes" VALUES(10,'tag','make','','kept','',1);
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
  version_after  TEXT REFERENCES versions (hash),
  CHECK ((outcome = 'running') = (ended_ms IS NULL))
) STRICT;
INSERT INTO "operations" VALUES(1,'757c2a909ede','train','{}',0,'',1795915687765,1795915687805,'done','','base',NULL,'a9808e6287028477a627745eba4efbd80e775faa3ca7f0adc4715d739723aa9e');
INSERT INTO "operations" VALUES(2,'4b9083959136','train','{}',0,'',1795915687813,1795915687821,'done','a second one','base','a9808e6287028477a627745eba4efbd80e775faa3ca7f0adc4715d739723aa9e','f42fee42686eded9ea1bf728123ac631bd44d3bad49b5a8202dd114e1ab961b5');
INSERT INTO "operations" VALUES(3,'cc38f3bca012','train','{}',0,'',1795915687825,1795915687840,'done','','other',NULL,'2b5eabbb4cc37e09bcb5099c781f367ac30587fdd61fa57dda11f727500178f6');
INSERT INTO "operations" VALUES(4,'4e1276c84391','task add','{"name": "qa"}',3,'1.0',1795915687842,1795915687902,'done','added','base','f42fee42686eded9ea1bf728123ac631bd44d3bad49b5a8202dd114e1ab961b5',NULL);
INSERT INTO "operations" VALUES(5,'ce38bb1f3335','freeze','{}',0,'',1795915687952,1795915687954,'done','','base','f42fee42686eded9ea1bf728123ac631bd44d3bad49b5a8202dd114e1ab961b5','26ccf019be65e33fccd79dd35f4cafbb72bbb33c1a158a5fb37b15c425def59b');
INSERT INTO "operations" VALUES(6,'68502a838291','model rename','{}',0,'',1795915687956,1795915687958,'done','base -> first-model','',NULL,NULL);
INSERT INTO "operations" VALUES(7,'b8be23191f57','task add','{}',0,'',1795915687964,1795915687976,'done','','',NULL,NULL);
INSERT INTO "operations" VALUES(8,'b77650f636b9','task remove','{}',0,'',1795915687988,1795915687996,'done','gone','',NULL,NULL);
INSERT INTO "operations" VALUES(9,'b0e469e2a773','task rename','{}',0,'',1795915688004,1795915688013,'done','qa -> questions','',NULL,NULL);
INSERT INTO "operations" VALUES(10,'e2ba2c4a2095','tag','{}',0,'',1795915688016,1795915688020,'done','kept = first-model@2','',NULL,NULL);
CREATE TABLE revisions (
  id           INTEGER PRIMARY KEY,
  module_uid   TEXT NOT NULL REFERENCES modules (uid),
  object_hash  TEXT NOT NULL REFERENCES objects (hash),
  parent_id    INTEGER REFERENCES revisions (id),     -- what it was trained from; NULL for the first
  operation_id INTEGER NOT NULL REFERENCES operations (id),
  created_ms   INTEGER NOT NULL,
  UNIQUE (module_uid, object_hash)
) STRICT;
INSERT INTO "revisions" VALUES(1,'872f9425425f','492b69ffa29b08b76f6748d9cb5127ee268d64ae9cb359e75cc813e6ee6a5652',NULL,1,1795915687804);
INSERT INTO "revisions" VALUES(2,'52bb3a383bec','4df302fdec25eee0c6e19eb26d1c21f042c1516862bb295fe355f40c1f0cff5d',NULL,1,1795915687804);
INSERT INTO "revisions" VALUES(3,'88222f7d8a64','a95200e8b67e7e00811b5ef5b1ffea64bfadec2b5ad793edc912cf11811c7fe1',NULL,1,1795915687804);
INSERT INTO "revisions" VALUES(4,'3131507e2791','71076de6930fccfc49b1e239de4e382abd9cb0ca80c1eadb8ff3a07c51abe5c1',NULL,1,1795915687804);
INSERT INTO "revisions" VALUES(5,'15f932be523e','1d856221734790e0353566621686f5e4c198a3ad95344ddfcd4fbf787af14ea7',NULL,1,1795915687804);
INSERT INTO "revisions" VALUES(6,'a26efceb3856','1c6ea59d322231a618ab2ca555c6c09047cc6a4189f16e328d1a8390a1b8b14b',NULL,1,1795915687804);
INSERT INTO "revisions" VALUES(7,'ccd5bcbd5092','da7aef1b16ff18f6f72edaadf2d9aff19ec25bfb576d0a3e2f618471f0c08ef4',NULL,1,1795915687804);
INSERT INTO "revisions" VALUES(8,'266cca2f45fc','767042ff33b576c8fe5ab011e581f5a7635dc80056f1dcee6bbd6e89ec3e7e3f',NULL,1,1795915687804);
INSERT INTO "revisions" VALUES(9,'3adb0495d691','7e2fc3f443d531f39454e887d7c961cea42e88b21571988da51dae9b9bb26e9b',NULL,2,1795915687819);
INSERT INTO "revisions" VALUES(10,'31d8a9e16d57','2834aad26afd77a408957be9db91ff2200f6eb4b1ee866f710d22bf699761187',NULL,2,1795915687819);
INSERT INTO "revisions" VALUES(11,'b2329282c3df','fa9d5a75c3bd6a52216ae61d2ccd95a53dcc5bcee9fe9da29bd918d8a1a33181',NULL,2,1795915687819);
INSERT INTO "revisions" VALUES(12,'e419534c817e','7233a3464abb62b5fb3be3154f2c116b751e3c172cdf518cd45d6cb53f832381',NULL,2,1795915687819);
INSERT INTO "revisions" VALUES(13,'752aab345293','77627193f62cd10dd62e98d2d14ad9529e4ff0ce878f1f2faf3b20f770ed5b36',NULL,3,1795915687839);
INSERT INTO "revisions" VALUES(14,'a33fac18f34f','e488031c9cc5bbabd769e5236dc34a952d9c0ed327a636394592d8dd9a431f13',NULL,3,1795915687839);
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
INSERT INTO "routing_stats" VALUES('f42fee42686eded9ea1bf728123ac631bd44d3bad49b5a8202dd114e1ab961b5','questions',1,'att','15f932be523e',3,1.5,2.5,10);
INSERT INTO "routing_stats" VALUES('f42fee42686eded9ea1bf728123ac631bd44d3bad49b5a8202dd114e1ab961b5','questions',1,'mlp','266cca2f45fc',3,1.5,2.5,10);
INSERT INTO "routing_stats" VALUES('f42fee42686eded9ea1bf728123ac631bd44d3bad49b5a8202dd114e1ab961b5','questions',0,'mlp','3131507e2791',3,1.5,2.5,10);
INSERT INTO "routing_stats" VALUES('f42fee42686eded9ea1bf728123ac631bd44d3bad49b5a8202dd114e1ab961b5','questions',0,'mlp','31d8a9e16d57',3,1.5,2.5,10);
INSERT INTO "routing_stats" VALUES('f42fee42686eded9ea1bf728123ac631bd44d3bad49b5a8202dd114e1ab961b5','questions',0,'att','3adb0495d691',3,1.5,2.5,10);
INSERT INTO "routing_stats" VALUES('f42fee42686eded9ea1bf728123ac631bd44d3bad49b5a8202dd114e1ab961b5','questions',0,'att','52bb3a383bec',3,1.5,2.5,10);
INSERT INTO "routing_stats" VALUES('f42fee42686eded9ea1bf728123ac631bd44d3bad49b5a8202dd114e1ab961b5','questions',0,'att','872f9425425f',3,1.5,2.5,10);
INSERT INTO "routing_stats" VALUES('f42fee42686eded9ea1bf728123ac631bd44d3bad49b5a8202dd114e1ab961b5','questions',0,'mlp','88222f7d8a64',3,1.5,2.5,10);
INSERT INTO "routing_stats" VALUES('f42fee42686eded9ea1bf728123ac631bd44d3bad49b5a8202dd114e1ab961b5','questions',1,'att','a26efceb3856',3,1.5,2.5,10);
INSERT INTO "routing_stats" VALUES('f42fee42686eded9ea1bf728123ac631bd44d3bad49b5a8202dd114e1ab961b5','questions',1,'att','b2329282c3df',3,1.5,2.5,10);
INSERT INTO "routing_stats" VALUES('f42fee42686eded9ea1bf728123ac631bd44d3bad49b5a8202dd114e1ab961b5','questions',1,'mlp','ccd5bcbd5092',3,1.5,2.5,10);
INSERT INTO "routing_stats" VALUES('f42fee42686eded9ea1bf728123ac631bd44d3bad49b5a8202dd114e1ab961b5','questions',1,'mlp','e419534c817e',3,1.5,2.5,10);
CREATE TABLE schema_migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_ms INTEGER NOT NULL) STRICT;
INSERT INTO "schema_migrations" VALUES(1,'0001_initial',1795915687740);
INSERT INTO "schema_migrations" VALUES(2,'0002_seals',1795915687740);
INSERT INTO "schema_migrations" VALUES(3,'0003_task_reading',1795915687741);
INSERT INTO "schema_migrations" VALUES(4,'0004_names',1795915687741);
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
INSERT INTO "scores" VALUES('a9808e6287028477a627745eba4efbd80e775faa3ca7f0adc4715d739723aa9e','questions','held_out','loss',5.5,10,NULL,1795915687888);
INSERT INTO "scores" VALUES('f42fee42686eded9ea1bf728123ac631bd44d3bad49b5a8202dd114e1ab961b5','gone (removed 8)','held_out','loss@7',2.5,7,7,1795915687984);
INSERT INTO "scores" VALUES('f42fee42686eded9ea1bf728123ac631bd44d3bad49b5a8202dd114e1ab961b5','qa (removed 4)','held_out','loss',4.25,10,4,1795915687868);
INSERT INTO "scores" VALUES('f42fee42686eded9ea1bf728123ac631bd44d3bad49b5a8202dd114e1ab961b5','questions','held_out','bound.0@65536',1.125,10,1,1795915687940);
INSERT INTO "scores" VALUES('f42fee42686eded9ea1bf728123ac631bd44d3bad49b5a8202dd114e1ab961b5','questions','held_out','documents@65536',1.375,10,1,1795915687948);
INSERT INTO "scores" VALUES('f42fee42686eded9ea1bf728123ac631bd44d3bad49b5a8202dd114e1ab961b5','questions','held_out','earlier.0@65536',1.25,10,1,1795915687947);
INSERT INTO "scores" VALUES('f42fee42686eded9ea1bf728123ac631bd44d3bad49b5a8202dd114e1ab961b5','questions','held_out','loss',4.25,10,4,1795915687881);
INSERT INTO "scores" VALUES('f42fee42686eded9ea1bf728123ac631bd44d3bad49b5a8202dd114e1ab961b5','questions','held_out','loss@0',0.75,10,1,1795915687920);
INSERT INTO "scores" VALUES('f42fee42686eded9ea1bf728123ac631bd44d3bad49b5a8202dd114e1ab961b5','questions','held_out','loss@100',0.625,10,1,1795915687914);
INSERT INTO "scores" VALUES('f42fee42686eded9ea1bf728123ac631bd44d3bad49b5a8202dd114e1ab961b5','questions','held_out','observed@65536',1.5,10,1,1795915687949);
INSERT INTO "scores" VALUES('f42fee42686eded9ea1bf728123ac631bd44d3bad49b5a8202dd114e1ab961b5','questions','held_out','share.0@65536',0.875,10,1,1795915687924);
INSERT INTO "scores" VALUES('f42fee42686eded9ea1bf728123ac631bd44d3bad49b5a8202dd114e1ab961b5','questions','held_out','share.1@65536',1.0,10,1,1795915687932);
CREATE TABLE seals (
  table_name TEXT PRIMARY KEY,
  state      BLOB NOT NULL CHECK (length(state) = 56)
) STRICT, WITHOUT ROWID;
INSERT INTO "seals" VALUES('models',X'02000000000000000900000000000000F217FA8CD93444AAE131277712C05E59343794C524873EE0B677751ED8992ED0C4C4C71E96CF8504');
INSERT INTO "seals" VALUES('modules',X'0E000000000000000E00000000000000AD7572EE369BCE1E5C7EC56F464B6803BE86C77A3A6206FD596114BF9A21F31CDAACD6A41877F7F4');
INSERT INTO "seals" VALUES('name_changes',X'0500000000000000050000000000000058C598B33C1169B44B0DA08C3D942C5527724CD9A4E35CDED4A8A721FCDB9D8D153E6CD9964D7FB5');
INSERT INTO "seals" VALUES('objects',X'1E000000000000001E0000000000000076208F9F79FEE90D0415500A0A531796AA82BE4C597B85977002C7400D73F710E91BD2319208C7D8');
INSERT INTO "seals" VALUES('old_paths',X'0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000598B40EF4121CDB');
INSERT INTO "seals" VALUES('operation_data',X'01000000000000000100000000000000C164F65A095B87857E99274E158D7AE0D40E9E05E3E1AAE7451E66F36D288B470B5DB35FD256EAF1');
INSERT INTO "seals" VALUES('operations',X'0A000000000000001E000000000000000905CD5BB7C9B588EF6CCE9442D204EC31AB314EAF5CC29C172021C0F0F948301B4F700754D0DD70');
INSERT INTO "seals" VALUES('revisions',X'0E000000000000000E00000000000000341AF1CE4D1018C37F9808A9D4B32F51741FCE4A35A6EB649A97DBC5C84A6B8D749DF8F3BBC4FB55');
INSERT INTO "seals" VALUES('routing_stats',X'0C000000000000003C00000000000000CE87FB9080E815378C34C8DF6093295C79C70AB301DC0DC4A29BF9FC0528E4E417BC16EFDEC2D3B2');
INSERT INTO "seals" VALUES('schema_migrations',X'04000000000000000000000000000000F44645AB00757FB64653E93CE2557146270B715F2864052FB903B4384A73BBA1C0E58EBE0CB57758');
INSERT INTO "seals" VALUES('scores',X'0C000000000000002800000000000000A618A58846EED57E08210B6D8990AF78A698B87E3E9CC770F410244047D31F599636E2114C523433');
INSERT INTO "seals" VALUES('settings',X'02000000000000000600000000000000BC462059BD611D090DEC0329488B513EDDBC394C1B83D16A7FD16DFA3592259DEA2C9F64D90A288F');
INSERT INTO "seals" VALUES('tags',X'01000000000000000100000000000000EE085A8BD64E99AE1776C156BC874847356BAD6F612DE6F85BD31313D334C933311FD7EB7BC297EA');
INSERT INTO "seals" VALUES('tasks',X'0300000000000000090000000000000089A564B481757E31FD549199C76A2F19DE6A96E46EBCF83FB4E0CF7E86B12BD3D006FDB32158ECAD');
INSERT INTO "seals" VALUES('versions',X'04000000000000000A00000000000000F811A79A73929FBABEA50C0CA87D2741896A1924AAFC94999EE1443BF3E6881D08AE8DDE1FDD0E38');
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
INSERT INTO "tags" VALUES('kept','f42fee42686eded9ea1bf728123ac631bd44d3bad49b5a8202dd114e1ab961b5',10,1795915688020);
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
INSERT INTO "tasks" VALUES(1,'qa (removed 4)','/data/qa','old data',10,2,'rule',4,1795915687850,'',NULL,NULL);
INSERT INTO "tasks" VALUES(2,'questions','/data/qa','new data',10,2,'rule',4,1795915687872,'',NULL,NULL);
INSERT INTO "tasks" VALUES(3,'gone (removed 8)','/data/gone','cafe',10,2,'rule',7,1795915687976,'',NULL,NULL);
CREATE TABLE version_layers (
  version_hash TEXT NOT NULL REFERENCES versions (hash),
  layer        INTEGER NOT NULL CHECK (layer >= 0),
  att_router   TEXT REFERENCES objects (hash),
  mlp_router   TEXT REFERENCES objects (hash),
  PRIMARY KEY (version_hash, layer)
) STRICT, WITHOUT ROWID;
INSERT INTO "version_layers" VALUES('26ccf019be65e33fccd79dd35f4cafbb72bbb33c1a158a5fb37b15c425def59b',0,'2e527f0913de1bb9485b255eeb51e783ef378012c1a20488e93af1c3093b9cde','b193bc10d406ab9af992a27f07aa7417648d4e6590ab98fb0740b74d79b99a33');
INSERT INTO "version_layers" VALUES('26ccf019be65e33fccd79dd35f4cafbb72bbb33c1a158a5fb37b15c425def59b',1,'3a260b8711104dc2821077a459ef884948520aa3e1f9438e21338788bf17b785','14d4f6ee663dc4b7d9025ccbfa6a73162551e5b76a249071bd4974748bb1fc42');
INSERT INTO "version_layers" VALUES('2b5eabbb4cc37e09bcb5099c781f367ac30587fdd61fa57dda11f727500178f6',0,'09a3abe74c88bf281bfbb5fc6a46f5d50ac49eeb97b47369df0b600d8f64a4f0','38946d8ad6bb5f70406c92ec16ab0cdd872f46e48d57c2a69c39c978ba0c82b2');
INSERT INTO "version_layers" VALUES('a9808e6287028477a627745eba4efbd80e775faa3ca7f0adc4715d739723aa9e',0,'03c99f8c445b466314d242f549fa6022be800d9940f5882599f9c3bb16832c53','2d790963e981d7276ae45efb86e196073a022669342f9b0d701711a20b7da6f6');
INSERT INTO "version_layers" VALUES('a9808e6287028477a627745eba4efbd80e775faa3ca7f0adc4715d739723aa9e',1,'a39b021b54035d0abedfa8607c3cb0918902cf78a2b6c3f752e2637c808ea080','1fb5978573ef79475483bc078aaa75fe0b154abad53ed81668ae84aa80e3f0e3');
INSERT INTO "version_layers" VALUES('f42fee42686eded9ea1bf728123ac631bd44d3bad49b5a8202dd114e1ab961b5',0,'2e527f0913de1bb9485b255eeb51e783ef378012c1a20488e93af1c3093b9cde','b193bc10d406ab9af992a27f07aa7417648d4e6590ab98fb0740b74d79b99a33');
INSERT INTO "version_layers" VALUES('f42fee42686eded9ea1bf728123ac631bd44d3bad49b5a8202dd114e1ab961b5',1,'3a260b8711104dc2821077a459ef884948520aa3e1f9438e21338788bf17b785','14d4f6ee663dc4b7d9025ccbfa6a73162551e5b76a249071bd4974748bb1fc42');
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
INSERT INTO "version_modules" VALUES('26ccf019be65e33fccd79dd35f4cafbb72bbb33c1a158a5fb37b15c425def59b',0,'att',0,1,0);
INSERT INTO "version_modules" VALUES('26ccf019be65e33fccd79dd35f4cafbb72bbb33c1a158a5fb37b15c425def59b',0,'att',1,2,0);
INSERT INTO "version_modules" VALUES('26ccf019be65e33fccd79dd35f4cafbb72bbb33c1a158a5fb37b15c425def59b',0,'att',2,9,0);
INSERT INTO "version_modules" VALUES('26ccf019be65e33fccd79dd35f4cafbb72bbb33c1a158a5fb37b15c425def59b',0,'mlp',0,3,0);
INSERT INTO "version_modules" VALUES('26ccf019be65e33fccd79dd35f4cafbb72bbb33c1a158a5fb37b15c425def59b',0,'mlp',1,4,0);
INSERT INTO "version_modules" VALUES('26ccf019be65e33fccd79dd35f4cafbb72bbb33c1a158a5fb37b15c425def59b',0,'mlp',2,10,0);
INSERT INTO "version_modules" VALUES('26ccf019be65e33fccd79dd35f4cafbb72bbb33c1a158a5fb37b15c425def59b',1,'att',0,5,1);
INSERT INTO "version_modules" VALUES('26ccf019be65e33fccd79dd35f4cafbb72bbb33c1a158a5fb37b15c425def59b',1,'att',1,6,0);
INSERT INTO "version_modules" VALUES('26ccf019be65e33fccd79dd35f4cafbb72bbb33c1a158a5fb37b15c425def59b',1,'att',2,11,0);
INSERT INTO "version_modules" VALUES('26ccf019be65e33fccd79dd35f4cafbb72bbb33c1a158a5fb37b15c425def59b',1,'mlp',0,7,0);
INSERT INTO "version_modules" VALUES('26ccf019be65e33fccd79dd35f4cafbb72bbb33c1a158a5fb37b15c425def59b',1,'mlp',1,8,0);
INSERT INTO "version_modules" VALUES('26ccf019be65e33fccd79dd35f4cafbb72bbb33c1a158a5fb37b15c425def59b',1,'mlp',2,12,0);
INSERT INTO "version_modules" VALUES('2b5eabbb4cc37e09bcb5099c781f367ac30587fdd61fa57dda11f727500178f6',0,'att',0,13,0);
INSERT INTO "version_modules" VALUES('2b5eabbb4cc37e09bcb5099c781f367ac30587fdd61fa57dda11f727500178f6',0,'mlp',0,14,0);
INSERT INTO "version_modules" VALUES('a9808e6287028477a627745eba4efbd80e775faa3ca7f0adc4715d739723aa9e',0,'att',0,1,0);
INSERT INTO "version_modules" VALUES('a9808e6287028477a627745eba4efbd80e775faa3ca7f0adc4715d739723aa9e',0,'att',1,2,0);
INSERT INTO "version_modules" VALUES('a9808e6287028477a627745eba4efbd80e775faa3ca7f0adc4715d739723aa9e',0,'mlp',0,3,0);
INSERT INTO "version_modules" VALUES('a9808e6287028477a627745eba4efbd80e775faa3ca7f0adc4715d739723aa9e',0,'mlp',1,4,0);
INSERT INTO "version_modules" VALUES('a9808e6287028477a627745eba4efbd80e775faa3ca7f0adc4715d739723aa9e',1,'att',0,5,0);
INSERT INTO "version_modules" VALUES('a9808e6287028477a627745eba4efbd80e775faa3ca7f0adc4715d739723aa9e',1,'att',1,6,0);
INSERT INTO "version_modules" VALUES('a9808e6287028477a627745eba4efbd80e775faa3ca7f0adc4715d739723aa9e',1,'mlp',0,7,0);
INSERT INTO "version_modules" VALUES('a9808e6287028477a627745eba4efbd80e775faa3ca7f0adc4715d739723aa9e',1,'mlp',1,8,0);
INSERT INTO "version_modules" VALUES('f42fee42686eded9ea1bf728123ac631bd44d3bad49b5a8202dd114e1ab961b5',0,'att',0,1,0);
INSERT INTO "version_modules" VALUES('f42fee42686eded9ea1bf728123ac631bd44d3bad49b5a8202dd114e1ab961b5',0,'att',1,2,0);
INSERT INTO "version_modules" VALUES('f42fee42686eded9ea1bf728123ac631bd44d3bad49b5a8202dd114e1ab961b5',0,'att',2,9,0);
INSERT INTO "version_modules" VALUES('f42fee42686eded9ea1bf728123ac631bd44d3bad49b5a8202dd114e1ab961b5',0,'mlp',0,3,0);
INSERT INTO "version_modules" VALUES('f42fee42686eded9ea1bf728123ac631bd44d3bad49b5a8202dd114e1ab961b5',0,'mlp',1,4,0);
INSERT INTO "version_modules" VALUES('f42fee42686eded9ea1bf728123ac631bd44d3bad49b5a8202dd114e1ab961b5',0,'mlp',2,10,0);
INSERT INTO "version_modules" VALUES('f42fee42686eded9ea1bf728123ac631bd44d3bad49b5a8202dd114e1ab961b5',1,'att',0,5,0);
INSERT INTO "version_modules" VALUES('f42fee42686eded9ea1bf728123ac631bd44d3bad49b5a8202dd114e1ab961b5',1,'att',1,6,0);
INSERT INTO "version_modules" VALUES('f42fee42686eded9ea1bf728123ac631bd44d3bad49b5a8202dd114e1ab961b5',1,'att',2,11,0);
INSERT INTO "version_modules" VALUES('f42fee42686eded9ea1bf728123ac631bd44d3bad49b5a8202dd114e1ab961b5',1,'mlp',0,7,0);
INSERT INTO "version_modules" VALUES('f42fee42686eded9ea1bf728123ac631bd44d3bad49b5a8202dd114e1ab961b5',1,'mlp',1,8,0);
INSERT INTO "version_modules" VALUES('f42fee42686eded9ea1bf728123ac631bd44d3bad49b5a8202dd114e1ab961b5',1,'mlp',2,12,0);
CREATE TABLE version_parts (
  version_hash TEXT NOT NULL REFERENCES versions (hash),
  position     INTEGER NOT NULL,
  name         TEXT NOT NULL,
  object_hash  TEXT NOT NULL REFERENCES objects (hash),
  PRIMARY KEY (version_hash, position),
  UNIQUE (version_hash, name)
) STRICT, WITHOUT ROWID;
INSERT INTO "version_parts" VALUES('26ccf019be65e33fccd79dd35f4cafbb72bbb33c1a158a5fb37b15c425def59b',0,'wte','b99617d4591ffc0b921cd1da481ffba979820847a863f08e1a4c133efde49757');
INSERT INTO "version_parts" VALUES('26ccf019be65e33fccd79dd35f4cafbb72bbb33c1a158a5fb37b15c425def59b',1,'ln_f','c0fb1a0e57d425bf8795189ef613e30a21f6896e223bdbe0a15448943aff1fc1');
INSERT INTO "version_parts" VALUES('26ccf019be65e33fccd79dd35f4cafbb72bbb33c1a158a5fb37b15c425def59b',2,'lm_head','5835581712949402f7f605a2d3080216d86ef2fa88091d542ae93d17c48cde44');
INSERT INTO "version_parts" VALUES('2b5eabbb4cc37e09bcb5099c781f367ac30587fdd61fa57dda11f727500178f6',0,'wte','9927a470c516dd50d8ed42d44364a3fa4fa1b0c9740368d1605779f08aad9fcb');
INSERT INTO "version_parts" VALUES('2b5eabbb4cc37e09bcb5099c781f367ac30587fdd61fa57dda11f727500178f6',1,'ln_f','70865aa9a0d198f7033220cbf5783fa03651c7de40b914148382e2147a3620b5');
INSERT INTO "version_parts" VALUES('2b5eabbb4cc37e09bcb5099c781f367ac30587fdd61fa57dda11f727500178f6',2,'lm_head','06939af0dec9fabee06df45bca51cbe987655fb7f72d2fe68f3c8798a851519e');
INSERT INTO "version_parts" VALUES('a9808e6287028477a627745eba4efbd80e775faa3ca7f0adc4715d739723aa9e',0,'wte','b99617d4591ffc0b921cd1da481ffba979820847a863f08e1a4c133efde49757');
INSERT INTO "version_parts" VALUES('a9808e6287028477a627745eba4efbd80e775faa3ca7f0adc4715d739723aa9e',1,'ln_f','c0fb1a0e57d425bf8795189ef613e30a21f6896e223bdbe0a15448943aff1fc1');
INSERT INTO "version_parts" VALUES('a9808e6287028477a627745eba4efbd80e775faa3ca7f0adc4715d739723aa9e',2,'lm_head','5835581712949402f7f605a2d3080216d86ef2fa88091d542ae93d17c48cde44');
INSERT INTO "version_parts" VALUES('f42fee42686eded9ea1bf728123ac631bd44d3bad49b5a8202dd114e1ab961b5',0,'wte','b99617d4591ffc0b921cd1da481ffba979820847a863f08e1a4c133efde49757');
INSERT INTO "version_parts" VALUES('f42fee42686eded9ea1bf728123ac631bd44d3bad49b5a8202dd114e1ab961b5',1,'ln_f','c0fb1a0e57d425bf8795189ef613e30a21f6896e223bdbe0a15448943aff1fc1');
INSERT INTO "version_parts" VALUES('f42fee42686eded9ea1bf728123ac631bd44d3bad49b5a8202dd114e1ab961b5',2,'lm_head','5835581712949402f7f605a2d3080216d86ef2fa88091d542ae93d17c48cde44');
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
INSERT INTO "versions" VALUES('26ccf019be65e33fccd79dd35f4cafbb72bbb33c1a158a5fb37b15c425def59b','6834cf67c7a5e9993221fea1128c76b589a74fc23a9430209d52d61f8e0a3b74','f42fee42686eded9ea1bf728123ac631bd44d3bad49b5a8202dd114e1ab961b5',5,'first-model',3,1795915687953,'{"model_type": "moduleformer"}',NULL);
INSERT INTO "versions" VALUES('2b5eabbb4cc37e09bcb5099c781f367ac30587fdd61fa57dda11f727500178f6','3548eba889211153f718948bba576bbb22110eaafa1362fe6e9d70b18ccdb5e1',NULL,3,'other',1,1795915687839,'{"model_type": "moduleformer"}',NULL);
INSERT INTO "versions" VALUES('a9808e6287028477a627745eba4efbd80e775faa3ca7f0adc4715d739723aa9e','98c39f31b321b82e946bb90c2a171b4cc2fac9de52bc7e05b995cfac568d8885',NULL,1,'first-model',1,1795915687804,'{"model_type": "moduleformer"}',NULL);
INSERT INTO "versions" VALUES('f42fee42686eded9ea1bf728123ac631bd44d3bad49b5a8202dd114e1ab961b5','84094cb16a2050c60a19c5b719de436de97e5766871de19d824e3a36ecb82ccf','a9808e6287028477a627745eba4efbd80e775faa3ca7f0adc4715d739723aa9e',2,'first-model',2,1795915687819,'{"model_type": "moduleformer"}',NULL);
CREATE INDEX operations_running ON operations (id) WHERE outcome = 'running';
CREATE INDEX version_modules_revision ON version_modules (revision_id);
CREATE VIEW version_objects (version_hash, object_hash) AS
  SELECT version_hash, object_hash FROM version_parts
  UNION ALL SELECT version_hash, att_router FROM version_layers WHERE att_router IS NOT NULL
  UNION ALL SELECT version_hash, mlp_router FROM version_layers WHERE mlp_router IS NOT NULL
  UNION ALL SELECT version_hash, object_hash FROM version_modules JOIN revisions ON revisions.id = revision_id
  UNION ALL SELECT hash, tokenizer_object FROM versions WHERE tokenizer_object IS NOT NULL;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('operations',10);
COMMIT;
