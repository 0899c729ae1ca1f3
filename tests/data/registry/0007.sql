BEGIN TRANSACTION;
CREATE TABLE models (
  id              INTEGER PRIMARY KEY,                -- the order of making
  name            TEXT NOT NULL UNIQUE CHECK (name <> ''),
  current_version TEXT NOT NULL REFERENCES versions (hash) DEFERRABLE INITIALLY DEFERRED,
  created_ms      INTEGER NOT NULL
) STRICT;
INSERT INTO models VALUES(1,'first-model','abe4a2ea5a72ac1f36a42284102e73740917f686f6bff68077442a36974b5291',1795915687841);
INSERT INTO models VALUES(2,'other','18bbf27a02d42dafc1b214b39e13ff21744a8c95e0805d094914fe0632e885fd',1795915687902);
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
INSERT INTO modules VALUES('0076161facf6','mlp',0,2,'init','',NULL,1795915687873);
INSERT INTO modules VALUES('0d3b5c7088b3','att',0,1,'init','',NULL,1795915687841);
INSERT INTO modules VALUES('2dbd01b9261e','att',1,1,'init','',NULL,1795915687841);
INSERT INTO modules VALUES('529908f1f02d','att',0,3,'init','',NULL,1795915687902);
INSERT INTO modules VALUES('6e0fb7b67962','mlp',0,1,'init','',NULL,1795915687841);
INSERT INTO modules VALUES('922c9a22b9c2','att',1,1,'init','',NULL,1795915687841);
INSERT INTO modules VALUES('9545aa4f588f','att',0,1,'init','',NULL,1795915687841);
INSERT INTO modules VALUES('993d5cbdaed9','mlp',1,1,'init','',NULL,1795915687841);
INSERT INTO modules VALUES('a994f0783ae3','att',1,2,'init','',NULL,1795915687873);
INSERT INTO modules VALUES('b404ea393f90','att',0,2,'init','',NULL,1795915687873);
INSERT INTO modules VALUES('d5f05c143f22','mlp',1,2,'init','',NULL,1795915687873);
INSERT INTO modules VALUES('de57ea439aab','mlp',0,3,'init','',NULL,1795915687902);
INSERT INTO modules VALUES('e64645e3be71','mlp',1,1,'init','',NULL,1795915687841);
INSERT INTO modules VALUES('f505c59746fa','mlp',0,1,'init','',NULL,1795915687841);
CREATE TABLE name_changes (
  operation_id INTEGER PRIMARY KEY REFERENCES operations (id),
  thing        TEXT NOT NULL CHECK (thing IN ('model', 'task', 'tag')),
  change       TEXT NOT NULL CHECK (change IN ('rename', 'remove', 'replace', 'move', 'make')),
  old_name     TEXT NOT NULL,                         -- '' for what was made
  new_name     TEXT NOT NULL,                         -- '' for what was removed
  before       TEXT NOT NULL,                         -- a task's data_path, a tag's version; '' where there is none
  undoable     INTEGER NOT NULL CHECK (undoable IN (0, 1))  -- 0 once it was taken back or gc freed what it removed
) STRICT;
INSERT INTO name_changes VALUES(4,'task','replace','qa','qa','',1);
INSERT INTO name_changes VALUES(5,'tag','make','','first','',1);
INSERT INTO name_changes VALUES(7,'model','rename','base','first-model','',1);
INSERT INTO name_changes VALUES(9,'task','remove','gone','','',1);
INSERT INTO name_changes VALUES(10,'task','rename','qa','questions','',1);
INSERT INTO name_changes VALUES(11,'tag','make','','kept','',1);
INSERT INTO name_changes VALUES(12,'tag','make','','second','',1);
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
INSERT INTO operation_data VALUES(4,0,'train','qa','/data/qa','beef');
INSERT INTO operation_data VALUES(13,0,'eval','questions','/data/qa','new data');
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
INSERT INTO operations VALUES(1,'5e1e153b7894','train','{}',0,'',1795915687829,1795915687842,'done','','base',NULL,'eb235febbf737ef005ca9e920e64d2513e8b1878473496955e061f2908c7d0ac','','',0);
INSERT INTO operations VALUES(2,'dd170993fd83','train','{}',0,'',1795915687848,1795915687874,'done','a second one','base','eb235febbf737ef005ca9e920e64d2513e8b1878473496955e061f2908c7d0ac','b3af4a7357a8b6e9805cc92f67c9e8c519c34bed1476a08cbcf1fda8c71a29da','','',0);
INSERT INTO operations VALUES(3,'1a4427e2354b','train','{}',0,'',1795915687881,1795915687904,'done','','other',NULL,'bcd4500840f156d62b6de5ffd34f0eaaf26164a7ecaae10316c5efc9b00ef4bf','','',0);
INSERT INTO operations VALUES(4,'f907c62865b8','task add','{"name": "qa"}',3,'1.0',1795915687909,1795915687949,'done','added','base','b3af4a7357a8b6e9805cc92f67c9e8c519c34bed1476a08cbcf1fda8c71a29da',NULL,'','',0);
INSERT INTO operations VALUES(5,'80bd01c76b0b','tag','{}',0,'',1795915687950,1795915687953,'done','first = base@1','',NULL,NULL,'','',0);
INSERT INTO operations VALUES(6,'4753ed650079','freeze','{}',0,'',1795915688000,1795915688005,'done','','base','b3af4a7357a8b6e9805cc92f67c9e8c519c34bed1476a08cbcf1fda8c71a29da','abe4a2ea5a72ac1f36a42284102e73740917f686f6bff68077442a36974b5291','','',0);
INSERT INTO operations VALUES(7,'68013cef9658','model rename','{}',0,'',1795915688012,1795915688014,'done','base -> first-model','',NULL,NULL,'','',0);
INSERT INTO operations VALUES(8,'a41cf1be0b52','task add','{}',0,'',1795915688016,1795915688024,'done','','',NULL,NULL,'','',0);
INSERT INTO operations VALUES(9,'d93d224cb8ea','task remove','{}',0,'',1795915688032,1795915688040,'done','gone','',NULL,NULL,'','',0);
INSERT INTO operations VALUES(10,'ea2f6c1cef67','task rename','{}',0,'',1795915688044,1795915688049,'done','qa -> questions','',NULL,NULL,'','',0);
INSERT INTO operations VALUES(11,'50dee6076fdf','tag','{}',0,'',1795915688052,1795915688056,'done','kept = first-model@2','',NULL,NULL,'','',0);
INSERT INTO operations VALUES(12,'b3307a5e898e','tag','{}',0,'',1795915688060,1795915688064,'done','second = first-model@2','',NULL,NULL,'["tag","second"]','/somewhere',2);
INSERT INTO operations VALUES(13,'4cbe701d9105','eval','{}',0,'',1795931197730,1795931197752,'done','measured','first-model','abe4a2ea5a72ac1f36a42284102e73740917f686f6bff68077442a36974b5291',NULL,'["eval"]','/somewhere',2);
INSERT INTO operations VALUES(14,'ded360eee0c7','freeze','{}',0,'',1795931197756,1795931197760,'done','','other','bcd4500840f156d62b6de5ffd34f0eaaf26164a7ecaae10316c5efc9b00ef4bf','18bbf27a02d42dafc1b214b39e13ff21744a8c95e0805d094914fe0632e885fd','','',0);
CREATE TABLE revisions (
  id           INTEGER PRIMARY KEY,
  module_uid   TEXT NOT NULL REFERENCES modules (uid),
  object_hash  TEXT NOT NULL REFERENCES objects (hash),
  parent_id    INTEGER REFERENCES revisions (id),     -- what it was trained from; NULL for the first
  operation_id INTEGER NOT NULL REFERENCES operations (id),
  created_ms   INTEGER NOT NULL,
  UNIQUE (module_uid, object_hash)
) STRICT;
INSERT INTO revisions VALUES(1,'0d3b5c7088b3','492b69ffa29b08b76f6748d9cb5127ee268d64ae9cb359e75cc813e6ee6a5652',NULL,1,1795915687841);
INSERT INTO revisions VALUES(2,'9545aa4f588f','4df302fdec25eee0c6e19eb26d1c21f042c1516862bb295fe355f40c1f0cff5d',NULL,1,1795915687841);
INSERT INTO revisions VALUES(3,'f505c59746fa','a95200e8b67e7e00811b5ef5b1ffea64bfadec2b5ad793edc912cf11811c7fe1',NULL,1,1795915687841);
INSERT INTO revisions VALUES(4,'6e0fb7b67962','71076de6930fccfc49b1e239de4e382abd9cb0ca80c1eadb8ff3a07c51abe5c1',NULL,1,1795915687841);
INSERT INTO revisions VALUES(5,'2dbd01b9261e','1d856221734790e0353566621686f5e4c198a3ad95344ddfcd4fbf787af14ea7',NULL,1,1795915687841);
INSERT INTO revisions VALUES(6,'922c9a22b9c2','1c6ea59d322231a618ab2ca555c6c09047cc6a4189f16e328d1a8390a1b8b14b',NULL,1,1795915687841);
INSERT INTO revisions VALUES(7,'993d5cbdaed9','da7aef1b16ff18f6f72edaadf2d9aff19ec25bfb576d0a3e2f618471f0c08ef4',NULL,1,1795915687841);
INSERT INTO revisions VALUES(8,'e64645e3be71','767042ff33b576c8fe5ab011e581f5a7635dc80056f1dcee6bbd6e89ec3e7e3f',NULL,1,1795915687841);
INSERT INTO revisions VALUES(9,'b404ea393f90','7e2fc3f443d531f39454e887d7c961cea42e88b21571988da51dae9b9bb26e9b',NULL,2,1795915687873);
INSERT INTO revisions VALUES(10,'0076161facf6','2834aad26afd77a408957be9db91ff2200f6eb4b1ee866f710d22bf699761187',NULL,2,1795915687873);
INSERT INTO revisions VALUES(11,'a994f0783ae3','fa9d5a75c3bd6a52216ae61d2ccd95a53dcc5bcee9fe9da29bd918d8a1a33181',NULL,2,1795915687873);
INSERT INTO revisions VALUES(12,'d5f05c143f22','7233a3464abb62b5fb3be3154f2c116b751e3c172cdf518cd45d6cb53f832381',NULL,2,1795915687873);
INSERT INTO revisions VALUES(13,'529908f1f02d','77627193f62cd10dd62e98d2d14ad9529e4ff0ce878f1f2faf3b20f770ed5b36',NULL,3,1795915687902);
INSERT INTO revisions VALUES(14,'de57ea439aab','e488031c9cc5bbabd769e5236dc34a952d9c0ed327a636394592d8dd9a431f13',NULL,3,1795915687902);
CREATE TABLE schema_migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_ms INTEGER NOT NULL) STRICT;
INSERT INTO schema_migrations VALUES(1,'0001_initial',1795915687815);
INSERT INTO schema_migrations VALUES(2,'0002_seals',1795915687815);
INSERT INTO schema_migrations VALUES(3,'0003_task_reading',1795915687816);
INSERT INTO schema_migrations VALUES(4,'0004_names',1795915687816);
INSERT INTO schema_migrations VALUES(5,'0005_command_lines',1795915687817);
INSERT INTO schema_migrations VALUES(6,'0006_integer_keys',1795931197703);
INSERT INTO schema_migrations VALUES(7,'0007_views',1795931197703);
CREATE TABLE seals (
  table_name TEXT PRIMARY KEY,
  state      BLOB NOT NULL CHECK (length(state) = 56)
) STRICT, WITHOUT ROWID;
INSERT INTO seals VALUES('models',X'0200000000000000f200000000000000d800a4a6b258ffa8ed7382d4a1770734cab827bc1e8bd6036a85aebc184a36e44f186c937656d451');
INSERT INTO seals VALUES('modules',X'0e0000000000000000000000000000000dcd4c33c159ac4ad686d78f15eba8ddc5f0339f80ecb6579cbbf1ef17c6e707aa2a7e50df52ca6e');
INSERT INTO seals VALUES('name_changes',X'07000000000000000000000000000000f9ebfa78e0e8b3a27cd7176aec10bab2c477bde7bfa3ae906b574957c07a33a6141753ef3ed92aab');
INSERT INTO seals VALUES('objects',X'1e000000000000000000000000000000b48f4b8fbe1160f144717416ba5e02855dcd5c604d607d5f8187c9aeb27670ef5a6379a21bba6c4e');
INSERT INTO seals VALUES('old_paths',X'0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000598b40ef4121cdb');
INSERT INTO seals VALUES('operation_data',X'0200000000000000010000000000000081d5b06f21ff9095f1f2096e9cfa407a3753989fb56adebe2c8018aeec60a611492fd827a45c0003');
INSERT INTO seals VALUES('operations',X'0e000000000000000600000000000000f3df29cf59acbf1399212675077bbc27936dd0f7f0d177696054e29f819ad4684f7060c69e98c147');
INSERT INTO seals VALUES('revisions',X'0e0000000000000000000000000000001d38ea9ef19c5aab6f8dc6dd0dfe2ae34622136cba36c5935ecf7d100ce7d7ac9130c797e0ce4127');
INSERT INTO seals VALUES('routing_stats',X'24000000000000001800000000000000f6f0d02c6f34591982a8cbd397bcf699a0bcc651b5c489b9d3906ef8d9fd2ddad41d5866c793057d');
INSERT INTO seals VALUES('routings',X'030000000000000002000000000000007d9f367a5b74a49f41ab63f5f3348915d3276533e29a1d066a144600bf1cd77c6931f97dffc9dc0e');
INSERT INTO seals VALUES('schema_migrations',X'07000000000000000000000000000000b28b10a304563b9cca7c1ed381db26fe191d1feb41e8e1c9f578c143e6dd2fbc4f0c63feaf547399');
INSERT INTO seals VALUES('scores',X'0f000000000000000300000000000000e9644ff29a872c1440b7e9c9a7852c3b7a7d118fbd6c2aa5b98c69371c8b3526479a2e58015a7719');
INSERT INTO seals VALUES('settings',X'030000000000000003000000000000006e88f45a619fd2eb9a9be97d43fb28e6321bdc4ed468173feb43b59b4e90c191cd9cd4f59c2c1066');
INSERT INTO seals VALUES('tags',X'03000000000000000000000000000000435f8655ed845a15c64db97e39749c1f7b16008b803cb70a911acf2df50ee0437a42ad4fe0f4289c');
INSERT INTO seals VALUES('tasks',X'03000000000000000000000000000000e578e79543406b8ce39c9c65603bef343bff70a77eed6b33ad8af020d611854502c7fcfcd9a466f8');
INSERT INTO seals VALUES('versions',X'0500000000000000010000000000000093bc2da39057e1a507784a14108416c6cc4eedb2c52fc89e487e59b61d68daaf060083502c6261dc');
CREATE TABLE settings (
  key   TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO settings VALUES('current_model','first-model');
INSERT INTO settings VALUES('key','value');
INSERT INTO settings VALUES('looked_at','abe4a2ea5a72ac1f36a42284102e73740917f686f6bff68077442a36974b5291');
CREATE TABLE tags (
  name         TEXT PRIMARY KEY CHECK (name <> ''),
  version_hash TEXT NOT NULL REFERENCES versions (hash),
  operation_id INTEGER NOT NULL REFERENCES operations (id),
  created_ms   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO tags VALUES('first','eb235febbf737ef005ca9e920e64d2513e8b1878473496955e061f2908c7d0ac',5,1795915687953);
INSERT INTO tags VALUES('kept','b3af4a7357a8b6e9805cc92f67c9e8c519c34bed1476a08cbcf1fda8c71a29da',11,1795915688056);
INSERT INTO tags VALUES('second','b3af4a7357a8b6e9805cc92f67c9e8c519c34bed1476a08cbcf1fda8c71a29da',12,1795915688064);
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
INSERT INTO tasks VALUES(1,'qa (removed 4)','/data/qa','old data',10,2,'rule',4,1795915687914,'',NULL,NULL);
INSERT INTO tasks VALUES(2,'questions','/data/qa','new data',10,2,'rule',4,1795915687925,'',NULL,NULL);
INSERT INTO tasks VALUES(3,'gone (removed 9)','/data/gone','cafe',10,2,'rule',8,1795915688024,'',NULL,NULL);
CREATE TABLE IF NOT EXISTS "objects" (
  id         INTEGER PRIMARY KEY,
  hash       TEXT NOT NULL UNIQUE CHECK (length(hash) = 64 AND hash NOT GLOB '*[^0-9a-f]*'),
  size_bytes INTEGER NOT NULL CHECK (size_bytes >= 0)
) STRICT;
INSERT INTO objects VALUES(1,'03c99f8c445b466314d242f549fa6022be800d9940f5882599f9c3bb16832c53',14);
INSERT INTO objects VALUES(2,'06939af0dec9fabee06df45bca51cbe987655fb7f72d2fe68f3c8798a851519e',9);
INSERT INTO objects VALUES(3,'09a3abe74c88bf281bfbb5fc6a46f5d50ac49eeb97b47369df0b600d8f64a4f0',14);
INSERT INTO objects VALUES(4,'14d4f6ee663dc4b7d9025ccbfa6a73162551e5b76a249071bd4974748bb1fc42',12);
INSERT INTO objects VALUES(5,'1c6ea59d322231a618ab2ca555c6c09047cc6a4189f16e328d1a8390a1b8b14b',9);
INSERT INTO objects VALUES(6,'1d856221734790e0353566621686f5e4c198a3ad95344ddfcd4fbf787af14ea7',9);
INSERT INTO objects VALUES(7,'1fb5978573ef79475483bc078aaa75fe0b154abad53ed81668ae84aa80e3f0e3',14);
INSERT INTO objects VALUES(8,'2834aad26afd77a408957be9db91ff2200f6eb4b1ee866f710d22bf699761187',5);
INSERT INTO objects VALUES(9,'2d790963e981d7276ae45efb86e196073a022669342f9b0d701711a20b7da6f6',14);
INSERT INTO objects VALUES(10,'2e527f0913de1bb9485b255eeb51e783ef378012c1a20488e93af1c3093b9cde',12);
INSERT INTO objects VALUES(11,'38946d8ad6bb5f70406c92ec16ab0cdd872f46e48d57c2a69c39c978ba0c82b2',14);
INSERT INTO objects VALUES(12,'3a260b8711104dc2821077a459ef884948520aa3e1f9438e21338788bf17b785',12);
INSERT INTO objects VALUES(13,'492b69ffa29b08b76f6748d9cb5127ee268d64ae9cb359e75cc813e6ee6a5652',9);
INSERT INTO objects VALUES(14,'4df302fdec25eee0c6e19eb26d1c21f042c1516862bb295fe355f40c1f0cff5d',9);
INSERT INTO objects VALUES(15,'5835581712949402f7f605a2d3080216d86ef2fa88091d542ae93d17c48cde44',9);
INSERT INTO objects VALUES(16,'70865aa9a0d198f7033220cbf5783fa03651c7de40b914148382e2147a3620b5',6);
INSERT INTO objects VALUES(17,'71076de6930fccfc49b1e239de4e382abd9cb0ca80c1eadb8ff3a07c51abe5c1',9);
INSERT INTO objects VALUES(18,'7233a3464abb62b5fb3be3154f2c116b751e3c172cdf518cd45d6cb53f832381',5);
INSERT INTO objects VALUES(19,'767042ff33b576c8fe5ab011e581f5a7635dc80056f1dcee6bbd6e89ec3e7e3f',9);
INSERT INTO objects VALUES(20,'77627193f62cd10dd62e98d2d14ad9529e4ff0ce878f1f2faf3b20f770ed5b36',9);
INSERT INTO objects VALUES(21,'7e2fc3f443d531f39454e887d7c961cea42e88b21571988da51dae9b9bb26e9b',5);
INSERT INTO objects VALUES(22,'9927a470c516dd50d8ed42d44364a3fa4fa1b0c9740368d1605779f08aad9fcb',5);
INSERT INTO objects VALUES(23,'a39b021b54035d0abedfa8607c3cb0918902cf78a2b6c3f752e2637c808ea080',14);
INSERT INTO objects VALUES(24,'a95200e8b67e7e00811b5ef5b1ffea64bfadec2b5ad793edc912cf11811c7fe1',9);
INSERT INTO objects VALUES(25,'b193bc10d406ab9af992a27f07aa7417648d4e6590ab98fb0740b74d79b99a33',12);
INSERT INTO objects VALUES(26,'b99617d4591ffc0b921cd1da481ffba979820847a863f08e1a4c133efde49757',5);
INSERT INTO objects VALUES(27,'c0fb1a0e57d425bf8795189ef613e30a21f6896e223bdbe0a15448943aff1fc1',6);
INSERT INTO objects VALUES(28,'da7aef1b16ff18f6f72edaadf2d9aff19ec25bfb576d0a3e2f618471f0c08ef4',9);
INSERT INTO objects VALUES(29,'e488031c9cc5bbabd769e5236dc34a952d9c0ed327a636394592d8dd9a431f13',9);
INSERT INTO objects VALUES(30,'fa9d5a75c3bd6a52216ae61d2ccd95a53dcc5bcee9fe9da29bd918d8a1a33181',5);
CREATE TABLE IF NOT EXISTS "versions" (
  id               INTEGER PRIMARY KEY,
  hash             TEXT NOT NULL UNIQUE CHECK (length(hash) = 64 AND hash NOT GLOB '*[^0-9a-f]*'),
  content_hash     TEXT NOT NULL,
  parent_hash      TEXT REFERENCES versions (hash),
  operation_id     INTEGER NOT NULL REFERENCES operations (id),
  model            TEXT NOT NULL REFERENCES models (name),
  number           INTEGER NOT NULL CHECK (number >= 1),
  created_ms       INTEGER NOT NULL,
  config_json      TEXT NOT NULL,
  tokenizer_object TEXT REFERENCES objects (hash),
  UNIQUE (model, number)
) STRICT;
INSERT INTO versions VALUES(1,'eb235febbf737ef005ca9e920e64d2513e8b1878473496955e061f2908c7d0ac','0a177ff1bfd1d434102e0d29f5ddf3d457b5f3affad8e041b75fcfb2191c0a5e',NULL,1,'first-model',1,1795915687841,'{"model_type": "moduleformer"}',NULL);
INSERT INTO versions VALUES(2,'b3af4a7357a8b6e9805cc92f67c9e8c519c34bed1476a08cbcf1fda8c71a29da','ead98fda20ab0fb6c334d1991f1b48838db3133b8a3ed6aba9ab0a81c4a2ca95','eb235febbf737ef005ca9e920e64d2513e8b1878473496955e061f2908c7d0ac',2,'first-model',2,1795915687873,'{"model_type": "moduleformer"}',NULL);
INSERT INTO versions VALUES(3,'bcd4500840f156d62b6de5ffd34f0eaaf26164a7ecaae10316c5efc9b00ef4bf','987eed044ceabc00835cca44222d0e33bd77c370515a91323580d0a25caa53fa',NULL,3,'other',1,1795915687902,'{"model_type": "moduleformer"}',NULL);
INSERT INTO versions VALUES(4,'abe4a2ea5a72ac1f36a42284102e73740917f686f6bff68077442a36974b5291','b9f5274bf1840b5ff416b376a27aa674adacc73bb0668b770f092793faa11087','b3af4a7357a8b6e9805cc92f67c9e8c519c34bed1476a08cbcf1fda8c71a29da',6,'first-model',3,1795915688004,'{"model_type": "moduleformer"}',NULL);
INSERT INTO versions VALUES(5,'18bbf27a02d42dafc1b214b39e13ff21744a8c95e0805d094914fe0632e885fd','987eed044ceabc00835cca44222d0e33bd77c370515a91323580d0a25caa53fa','bcd4500840f156d62b6de5ffd34f0eaaf26164a7ecaae10316c5efc9b00ef4bf',14,'other',2,1795931197760,'{"model_type": "moduleformer"}',NULL);
CREATE TABLE parts (
  id        INTEGER PRIMARY KEY,
  name      TEXT NOT NULL,
  object_id INTEGER NOT NULL REFERENCES objects (id),
  UNIQUE (object_id, name)
) STRICT;
INSERT INTO parts VALUES(1,'lm_head',2);
INSERT INTO parts VALUES(2,'lm_head',15);
INSERT INTO parts VALUES(3,'ln_f',16);
INSERT INTO parts VALUES(4,'wte',22);
INSERT INTO parts VALUES(5,'wte',26);
INSERT INTO parts VALUES(6,'ln_f',27);
CREATE TABLE IF NOT EXISTS "version_parts" (
  version_id INTEGER NOT NULL REFERENCES versions (id),
  position   INTEGER NOT NULL,
  part_id    INTEGER NOT NULL REFERENCES parts (id),
  PRIMARY KEY (version_id, position)
) STRICT, WITHOUT ROWID;
INSERT INTO version_parts VALUES(1,0,5);
INSERT INTO version_parts VALUES(1,1,6);
INSERT INTO version_parts VALUES(1,2,2);
INSERT INTO version_parts VALUES(2,0,5);
INSERT INTO version_parts VALUES(2,1,6);
INSERT INTO version_parts VALUES(2,2,2);
INSERT INTO version_parts VALUES(3,0,4);
INSERT INTO version_parts VALUES(3,1,3);
INSERT INTO version_parts VALUES(3,2,1);
INSERT INTO version_parts VALUES(4,0,5);
INSERT INTO version_parts VALUES(4,1,6);
INSERT INTO version_parts VALUES(4,2,2);
INSERT INTO version_parts VALUES(5,0,4);
INSERT INTO version_parts VALUES(5,1,3);
INSERT INTO version_parts VALUES(5,2,1);
CREATE TABLE banks (
  id    INTEGER PRIMARY KEY,
  layer INTEGER NOT NULL CHECK (layer >= 0),
  kind  TEXT NOT NULL CHECK (kind IN ('att', 'mlp'))
) STRICT;
INSERT INTO banks VALUES(1,0,'att');
INSERT INTO banks VALUES(2,0,'mlp');
INSERT INTO banks VALUES(3,1,'att');
INSERT INTO banks VALUES(4,1,'mlp');
INSERT INTO banks VALUES(5,0,'att');
INSERT INTO banks VALUES(6,0,'mlp');
INSERT INTO banks VALUES(7,1,'att');
INSERT INTO banks VALUES(8,1,'mlp');
INSERT INTO banks VALUES(9,0,'att');
INSERT INTO banks VALUES(10,0,'mlp');
INSERT INTO banks VALUES(13,1,'att');
CREATE TABLE bank_modules (
  bank_id     INTEGER NOT NULL REFERENCES banks (id),
  position    INTEGER NOT NULL,                       -- index in the layer's router
  revision_id INTEGER NOT NULL REFERENCES revisions (id),
  frozen      INTEGER NOT NULL CHECK (frozen IN (0, 1)),
  PRIMARY KEY (bank_id, position)
) STRICT, WITHOUT ROWID;
INSERT INTO bank_modules VALUES(1,0,1,0);
INSERT INTO bank_modules VALUES(1,1,2,0);
INSERT INTO bank_modules VALUES(2,0,3,0);
INSERT INTO bank_modules VALUES(2,1,4,0);
INSERT INTO bank_modules VALUES(3,0,5,0);
INSERT INTO bank_modules VALUES(3,1,6,0);
INSERT INTO bank_modules VALUES(4,0,7,0);
INSERT INTO bank_modules VALUES(4,1,8,0);
INSERT INTO bank_modules VALUES(5,0,1,0);
INSERT INTO bank_modules VALUES(5,1,2,0);
INSERT INTO bank_modules VALUES(5,2,9,0);
INSERT INTO bank_modules VALUES(6,0,3,0);
INSERT INTO bank_modules VALUES(6,1,4,0);
INSERT INTO bank_modules VALUES(6,2,10,0);
INSERT INTO bank_modules VALUES(7,0,5,0);
INSERT INTO bank_modules VALUES(7,1,6,0);
INSERT INTO bank_modules VALUES(7,2,11,0);
INSERT INTO bank_modules VALUES(8,0,7,0);
INSERT INTO bank_modules VALUES(8,1,8,0);
INSERT INTO bank_modules VALUES(8,2,12,0);
INSERT INTO bank_modules VALUES(9,0,13,0);
INSERT INTO bank_modules VALUES(10,0,14,0);
INSERT INTO bank_modules VALUES(13,0,5,1);
INSERT INTO bank_modules VALUES(13,1,6,0);
INSERT INTO bank_modules VALUES(13,2,11,0);
CREATE TABLE version_banks (
  version_id INTEGER NOT NULL REFERENCES versions (id),
  bank_id    INTEGER NOT NULL REFERENCES banks (id),
  router_id  INTEGER REFERENCES objects (id),         -- NULL only if the layer has no such router
  PRIMARY KEY (version_id, bank_id)
) STRICT, WITHOUT ROWID;
INSERT INTO version_banks VALUES(1,1,1);
INSERT INTO version_banks VALUES(1,2,9);
INSERT INTO version_banks VALUES(1,3,23);
INSERT INTO version_banks VALUES(1,4,7);
INSERT INTO version_banks VALUES(2,5,10);
INSERT INTO version_banks VALUES(2,6,25);
INSERT INTO version_banks VALUES(2,7,12);
INSERT INTO version_banks VALUES(2,8,4);
INSERT INTO version_banks VALUES(3,9,3);
INSERT INTO version_banks VALUES(3,10,11);
INSERT INTO version_banks VALUES(4,5,10);
INSERT INTO version_banks VALUES(4,6,25);
INSERT INTO version_banks VALUES(4,8,4);
INSERT INTO version_banks VALUES(4,13,12);
INSERT INTO version_banks VALUES(5,9,3);
INSERT INTO version_banks VALUES(5,10,11);
CREATE TABLE routings (
  id           INTEGER PRIMARY KEY,
  version_id   INTEGER NOT NULL REFERENCES versions (id),
  task_id      INTEGER NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
  split        TEXT NOT NULL,                         -- '' of an older program, which did not write it down
  token_limit  INTEGER NOT NULL CHECK (token_limit >= -1),  -- at most so many tokens; 0: all; -1 as above
  operation_id INTEGER REFERENCES operations (id),    -- NULL: a command that only reads, or an older program
  created_ms   INTEGER NOT NULL,                      -- 0 as above
  UNIQUE (version_id, task_id, split, token_limit)
) STRICT;
INSERT INTO routings VALUES(1,2,2,'',-1,NULL,0);
INSERT INTO routings VALUES(2,4,2,'held_out',100,13,1795931197732);
INSERT INTO routings VALUES(3,4,2,'train',0,NULL,1795931197736);
CREATE TABLE IF NOT EXISTS "routing_stats" (
  routing_id           INTEGER NOT NULL REFERENCES routings (id) ON DELETE CASCADE,
  revision_id          INTEGER NOT NULL REFERENCES revisions (id),  -- the module, as the version has it
  slots                INTEGER NOT NULL CHECK (slots >= 0),
  gate_mass            REAL NOT NULL,
  weighted_output_norm REAL NOT NULL,
  tokens               INTEGER NOT NULL CHECK (tokens >= 0),
  PRIMARY KEY (routing_id, revision_id)
) STRICT, WITHOUT ROWID;
INSERT INTO routing_stats VALUES(1,1,3,1.5,2.5,10);
INSERT INTO routing_stats VALUES(1,2,3,1.5,2.5,10);
INSERT INTO routing_stats VALUES(1,3,3,1.5,2.5,10);
INSERT INTO routing_stats VALUES(1,4,3,1.5,2.5,10);
INSERT INTO routing_stats VALUES(1,5,3,1.5,2.5,10);
INSERT INTO routing_stats VALUES(1,6,3,1.5,2.5,10);
INSERT INTO routing_stats VALUES(1,7,3,1.5,2.5,10);
INSERT INTO routing_stats VALUES(1,8,3,1.5,2.5,10);
INSERT INTO routing_stats VALUES(1,9,3,1.5,2.5,10);
INSERT INTO routing_stats VALUES(1,10,3,1.5,2.5,10);
INSERT INTO routing_stats VALUES(1,11,3,1.5,2.5,10);
INSERT INTO routing_stats VALUES(1,12,3,1.5,2.5,10);
INSERT INTO routing_stats VALUES(2,1,1,0.5,0.25,40);
INSERT INTO routing_stats VALUES(2,2,2,1.0,0.5,40);
INSERT INTO routing_stats VALUES(2,3,4,2.0,1.0,40);
INSERT INTO routing_stats VALUES(2,4,5,2.5,1.25,40);
INSERT INTO routing_stats VALUES(2,5,7,3.5,1.75,40);
INSERT INTO routing_stats VALUES(2,6,8,4.0,2.0,40);
INSERT INTO routing_stats VALUES(2,7,10,5.0,2.5,40);
INSERT INTO routing_stats VALUES(2,8,11,5.5,2.75,40);
INSERT INTO routing_stats VALUES(2,9,3,1.5,0.75,40);
INSERT INTO routing_stats VALUES(2,10,6,3.0,1.5,40);
INSERT INTO routing_stats VALUES(2,11,9,4.5,2.25,40);
INSERT INTO routing_stats VALUES(2,12,12,6.0,3.0,40);
INSERT INTO routing_stats VALUES(3,1,1,0.5,0.25,40);
INSERT INTO routing_stats VALUES(3,2,2,1.0,0.5,40);
INSERT INTO routing_stats VALUES(3,3,4,2.0,1.0,40);
INSERT INTO routing_stats VALUES(3,4,5,2.5,1.25,40);
INSERT INTO routing_stats VALUES(3,5,7,3.5,1.75,40);
INSERT INTO routing_stats VALUES(3,6,8,4.0,2.0,40);
INSERT INTO routing_stats VALUES(3,7,10,5.0,2.5,40);
INSERT INTO routing_stats VALUES(3,8,11,5.5,2.75,40);
INSERT INTO routing_stats VALUES(3,9,3,1.5,0.75,40);
INSERT INTO routing_stats VALUES(3,10,6,3.0,1.5,40);
INSERT INTO routing_stats VALUES(3,11,9,4.5,2.25,40);
INSERT INTO routing_stats VALUES(3,12,12,6.0,3.0,40);
CREATE TABLE IF NOT EXISTS "scores" (
  version_id   INTEGER NOT NULL REFERENCES versions (id),
  task_id      INTEGER NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
  split        TEXT NOT NULL,
  metric       TEXT NOT NULL,
  part         INTEGER NOT NULL CHECK (part >= -1),         -- of a metric with several numbers, from 0; else -1
  token_limit  INTEGER NOT NULL CHECK (token_limit >= -1),  -- at most so many tokens; 0: all; -1: not written down
  value        REAL NOT NULL,
  token_count  INTEGER NOT NULL CHECK (token_count >= 0),
  operation_id INTEGER REFERENCES operations (id),
  created_ms   INTEGER NOT NULL,
  PRIMARY KEY (version_id, task_id, split, token_limit, metric, part)
) STRICT, WITHOUT ROWID;
INSERT INTO scores VALUES(1,2,'held_out','loss',-1,-1,5.5,10,NULL,1795915687940);
INSERT INTO scores VALUES(2,1,'held_out','loss',-1,-1,4.25,10,4,1795915687920);
INSERT INTO scores VALUES(2,2,'held_out','loss',-1,-1,4.25,10,4,1795915687939);
INSERT INTO scores VALUES(2,2,'held_out','loss',-1,0,0.75,10,1,1795915687964);
INSERT INTO scores VALUES(2,2,'held_out','loss',-1,100,0.625,10,1,1795915687958);
INSERT INTO scores VALUES(2,2,'held_out','bound',0,65536,1.125,10,1,1795915687984);
INSERT INTO scores VALUES(2,2,'held_out','documents',-1,65536,1.375,10,1,1795915687989);
INSERT INTO scores VALUES(2,2,'held_out','earlier',0,65536,1.25,10,1,1795915687988);
INSERT INTO scores VALUES(2,2,'held_out','observed',-1,65536,1.5,10,1,1795915687996);
INSERT INTO scores VALUES(2,2,'held_out','share',0,65536,0.875,10,1,1795915687972);
INSERT INTO scores VALUES(2,2,'held_out','share',1,65536,1.0,10,1,1795915687976);
INSERT INTO scores VALUES(2,3,'held_out','loss',-1,7,2.5,7,8,1795915688028);
INSERT INTO scores VALUES(4,2,'held_out','loss',-1,65536,-0.5,10,13,1795931197740);
INSERT INTO scores VALUES(4,2,'held_out','share',0,65536,0.5,10,13,1795931197744);
INSERT INTO scores VALUES(4,2,'held_out','share',1,65536,1.5,10,13,1795931197748);
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES('operations',14);
CREATE INDEX operations_running ON operations (id) WHERE outcome = 'running';
CREATE VIEW version_objects (version_hash, object_hash) AS
  SELECT versions.hash, objects.hash FROM versions JOIN version_parts ON version_id = versions.id
    JOIN parts ON parts.id = part_id JOIN objects ON objects.id = object_id
  UNION ALL SELECT versions.hash, objects.hash FROM versions JOIN version_banks ON version_id = versions.id
    JOIN objects ON objects.id = router_id
  UNION ALL SELECT versions.hash, object_hash FROM versions JOIN version_banks ON version_id = versions.id
    JOIN bank_modules USING (bank_id) JOIN revisions ON revisions.id = revision_id
  UNION ALL SELECT hash, tokenizer_object FROM versions WHERE tokenizer_object IS NOT NULL;
CREATE VIEW version_names (id, version, model, number, hash, removed) AS
  SELECT id, CASE WHEN instr(model, ' (removed ') = 0 THEN model || '@' || number ELSE substr(hash, 1, 12) END,
         CASE WHEN instr(model, ' (removed ') = 0 THEN model ELSE substr(model, 1, instr(model, ' (removed ') - 1) END,
         number, hash, instr(model, ' (removed ') > 0
  FROM versions;
CREATE VIEW v_lineage (version, hash, model, number, removed, parent, parent_hash, merged, merged_hash, command, task,
                       operation, made, seconds, seed, code_version, message, tags, content_hash) AS
  SELECT name.version, name.hash, name.model, name.number, name.removed,
         (SELECT version FROM version_names AS parent WHERE parent.hash = versions.parent_hash), versions.parent_hash,
         (SELECT version FROM version_names AS merged WHERE merged.hash = merged_hash), merged_hash,
         command, task, operation, made, seconds, seed, code_version, message,
         (SELECT group_concat(tags.name, ' ') FROM tags WHERE tags.version_hash = versions.hash), content_hash
  FROM version_names AS name JOIN versions USING (id) JOIN (
    SELECT id AS operation, command, seed, code_version, message, (ended_ms - started_ms) / 1000.0 AS seconds,
           CASE WHEN command = 'merge' AND json_valid(arguments_json) THEN json_extract(arguments_json, '$.b_hash') END
             AS merged_hash,
           (SELECT task FROM operation_data WHERE operation_id = id AND role = 'train' AND task <> ''
            ORDER BY position LIMIT 1) AS task,
           strftime('%Y-%m-%dT%H:%M:%SZ', ended_ms / 1000, 'unixepoch') AS made
    FROM operations) ON operation = versions.operation_id;
CREATE VIEW v_modules (version, version_hash, model, number, layer, kind, position, module, frozen, object_hash,
                       born_command, born_task, copied_from, changed_by, changed_in) AS
  SELECT name.version, name.hash, name.model, name.number, banks.layer, banks.kind, position, module_uid, frozen,
         object_hash, born_command, born_task, copied_from, command,
         (SELECT changed.version FROM version_names AS changed WHERE changed.hash = version_after)
  FROM version_names AS name CROSS JOIN version_banks ON version_id = name.id CROSS JOIN banks ON banks.id = bank_id
  CROSS JOIN bank_modules USING (bank_id) CROSS JOIN revisions ON revisions.id = revision_id
  CROSS JOIN modules ON modules.uid = module_uid CROSS JOIN operations ON operations.id = revisions.operation_id;
CREATE VIEW v_routing (version, version_hash, model, number, task, split, token_limit, layer, kind, position, module,
                       slots, gate_mass, weighted_output_norm, tokens, measured_by) AS
  SELECT name.version, name.hash, name.model, name.number, tasks.name, NULLIF(split, ''), NULLIF(token_limit, -1),
         banks.layer, banks.kind, position, module_uid, slots, gate_mass, weighted_output_norm, tokens, command
  FROM version_names AS name CROSS JOIN routings ON routings.version_id = name.id CROSS JOIN tasks ON tasks.id = task_id
  CROSS JOIN version_banks ON version_banks.version_id = name.id CROSS JOIN banks ON banks.id = bank_id
  CROSS JOIN bank_modules USING (bank_id)
  CROSS JOIN routing_stats AS stat ON routing_id = routings.id AND stat.revision_id = bank_modules.revision_id
  CROSS JOIN revisions ON revisions.id = stat.revision_id LEFT JOIN operations ON operations.id = routings.operation_id
  WHERE instr(tasks.name, ' (removed ') = 0;
CREATE VIEW v_scores (version, version_hash, model, number, task, metric, part, value, split, token_limit, tokens,
                      measured_by, measured) AS
  SELECT name.version, name.hash, name.model, name.number, tasks.name, metric, NULLIF(part, -1), value, split,
         NULLIF(token_limit, -1), scores.token_count, command,
         strftime('%Y-%m-%dT%H:%M:%SZ', scores.created_ms / 1000, 'unixepoch')
  FROM version_names AS name CROSS JOIN scores ON version_id = name.id JOIN tasks ON tasks.id = task_id
  LEFT JOIN operations ON operations.id = scores.operation_id
  WHERE instr(tasks.name, ' (removed ') = 0;
COMMIT;
