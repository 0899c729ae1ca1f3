-- Integer keys for what stands in every row of a manifest or a measurement, and a layer that two versions have alike is
-- stored once. Hashes of versions cover the text of their manifests, not these rows, and so stay what they are. To be
-- run with foreign keys off: tables that others refer to are made anew.
DROP VIEW version_objects;

CREATE TABLE new_objects (
  id         INTEGER PRIMARY KEY,
  hash       TEXT NOT NULL UNIQUE CHECK (length(hash) = 64 AND hash NOT GLOB '*[^0-9a-f]*'),
  size_bytes INTEGER NOT NULL CHECK (size_bytes >= 0)
) STRICT;
INSERT INTO new_objects (hash, size_bytes) SELECT hash, size_bytes FROM objects ORDER BY hash;
DROP TABLE objects;
ALTER TABLE new_objects RENAME TO objects;

CREATE TABLE new_versions (
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
INSERT INTO new_versions (hash, content_hash, parent_hash, operation_id, model, number, created_ms, config_json,
                          tokenizer_object)
  SELECT hash, content_hash, parent_hash, operation_id, model, number, created_ms, config_json, tokenizer_object
  FROM versions ORDER BY created_ms, hash;
DROP TABLE versions;
ALTER TABLE new_versions RENAME TO versions;

-- A part of a trunk with these bytes.
CREATE TABLE parts (
  id        INTEGER PRIMARY KEY,
  name      TEXT NOT NULL,
  object_id INTEGER NOT NULL REFERENCES objects (id),
  UNIQUE (object_id, name)
) STRICT;
INSERT INTO parts (name, object_id)
  SELECT DISTINCT name, objects.id FROM version_parts JOIN objects ON objects.hash = object_hash ORDER BY 2, 1;

CREATE TABLE new_version_parts (
  version_id INTEGER NOT NULL REFERENCES versions (id),
  position   INTEGER NOT NULL,
  part_id    INTEGER NOT NULL REFERENCES parts (id),
  PRIMARY KEY (version_id, position)
) STRICT, WITHOUT ROWID;
INSERT INTO new_version_parts
  SELECT versions.id, position, parts.id FROM version_parts
  JOIN versions ON versions.hash = version_hash
  JOIN objects ON objects.hash = object_hash
  JOIN parts ON parts.object_id = objects.id AND parts.name = version_parts.name;
DROP TABLE version_parts;
ALTER TABLE new_version_parts RENAME TO version_parts;

-- The modules of one layer and kind, as one or more versions have them. Never changed; a version that differs in one of
-- them has another bank.
CREATE TABLE banks (
  id    INTEGER PRIMARY KEY,
  layer INTEGER NOT NULL CHECK (layer >= 0),
  kind  TEXT NOT NULL CHECK (kind IN ('att', 'mlp'))
) STRICT;
CREATE TABLE bank_modules (
  bank_id     INTEGER NOT NULL REFERENCES banks (id),
  position    INTEGER NOT NULL,                       -- index in the layer's router
  revision_id INTEGER NOT NULL REFERENCES revisions (id),
  frozen      INTEGER NOT NULL CHECK (frozen IN (0, 1)),
  PRIMARY KEY (bank_id, position)
) STRICT, WITHOUT ROWID;
CREATE TABLE version_banks (
  version_id INTEGER NOT NULL REFERENCES versions (id),
  bank_id    INTEGER NOT NULL REFERENCES banks (id),
  router_id  INTEGER REFERENCES objects (id),         -- NULL only if the layer has no such router
  PRIMARY KEY (version_id, bank_id)
) STRICT, WITHOUT ROWID;

-- What tells two banks apart; the first of those that are alike gives its number to all.
CREATE TEMP TABLE old_banks (
  id         INTEGER PRIMARY KEY,
  version_id INTEGER NOT NULL,
  version    TEXT NOT NULL,
  layer      INTEGER NOT NULL,
  kind       TEXT NOT NULL,
  router     TEXT,
  modules    TEXT
);
INSERT INTO old_banks (version_id, version, layer, kind, router, modules)
  SELECT versions.id, versions.hash, layer, kinds.kind, CASE kinds.kind WHEN 'att' THEN att_router ELSE mlp_router END,
         (SELECT group_concat(position || ':' || revision_id || ':' || frozen) FROM
           (SELECT position, revision_id, frozen FROM version_modules AS module
            WHERE module.version_hash = versions.hash AND module.layer = version_layers.layer
              AND module.kind = kinds.kind ORDER BY position))
  FROM versions JOIN version_layers ON version_hash = versions.hash
  JOIN (SELECT 'att' AS kind UNION ALL SELECT 'mlp') AS kinds ORDER BY versions.id, layer, kinds.kind;
CREATE INDEX temp.old_banks_alike ON old_banks (layer, kind, modules);
INSERT INTO banks SELECT min(id), layer, kind FROM old_banks GROUP BY layer, kind, modules;
INSERT INTO bank_modules
  SELECT banks.id, position, revision_id, frozen FROM banks
  JOIN old_banks ON old_banks.id = banks.id
  JOIN version_modules AS module ON module.version_hash = old_banks.version AND module.layer = old_banks.layer
    AND module.kind = old_banks.kind;
INSERT INTO version_banks
  SELECT version_id,
         (SELECT min(id) FROM old_banks AS alike WHERE alike.layer = old_banks.layer AND alike.kind = old_banks.kind
          AND alike.modules IS old_banks.modules),
         objects.id
  FROM old_banks LEFT JOIN objects ON objects.hash = router;
DROP TABLE temp.old_banks;
DROP TABLE version_modules;
DROP TABLE version_layers;

-- How much a task uses each module of a version: sums over tokens of a split. One row of routings is one look at them.
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
INSERT INTO routings (version_id, task_id, split, token_limit, created_ms)
  SELECT DISTINCT versions.id, tasks.id, '', -1, 0 FROM routing_stats
  JOIN versions ON versions.hash = version_hash JOIN tasks ON tasks.name = task ORDER BY 1, 2;

CREATE TABLE new_routing_stats (
  routing_id           INTEGER NOT NULL REFERENCES routings (id) ON DELETE CASCADE,
  revision_id          INTEGER NOT NULL REFERENCES revisions (id),  -- the module, as the version has it
  slots                INTEGER NOT NULL CHECK (slots >= 0),
  gate_mass            REAL NOT NULL,
  weighted_output_norm REAL NOT NULL,
  tokens               INTEGER NOT NULL CHECK (tokens >= 0),
  PRIMARY KEY (routing_id, revision_id)
) STRICT, WITHOUT ROWID;
INSERT INTO new_routing_stats
  SELECT routings.id, revisions.id, slots, gate_mass, weighted_output_norm, tokens FROM routing_stats AS stat
  JOIN versions ON versions.hash = stat.version_hash
  JOIN tasks ON tasks.name = stat.task
  JOIN routings ON routings.version_id = versions.id AND routings.task_id = tasks.id
  JOIN version_banks ON version_banks.version_id = versions.id
  JOIN banks ON banks.id = version_banks.bank_id AND banks.layer = stat.layer AND banks.kind = stat.kind
  JOIN bank_modules ON bank_modules.bank_id = banks.id
  JOIN revisions ON revisions.id = bank_modules.revision_id AND revisions.module_uid = stat.module_uid;
DROP TABLE routing_stats;
ALTER TABLE new_routing_stats RENAME TO routing_stats;

-- Until now a metric's name held numbers: "share.2@65536" is the third share, measured on at most 65536 tokens. Only a
-- number that is written as SQLite writes it is taken out, so that no two names become one.
CREATE TABLE new_scores (
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
INSERT INTO new_scores
  WITH limited AS (
    SELECT *, substr(metric, 1, instr(metric, '@') - 1) AS before_at, substr(metric, instr(metric, '@') + 1) AS after_at
    FROM scores),
  named AS (
    SELECT *, before_at <> '' AND after_at NOT GLOB '-*' AND CAST(CAST(after_at AS INTEGER) AS TEXT) = after_at AS has_limit
    FROM limited),
  dotted AS (
    SELECT *, CASE WHEN has_limit THEN before_at ELSE metric END AS name FROM named),
  numbered AS (
    SELECT *, substr(name, 1, instr(name, '.') - 1) AS before_dot, substr(name, instr(name, '.') + 1) AS after_dot
    FROM dotted),
  parted AS (
    SELECT *, before_dot <> '' AND after_dot NOT GLOB '-*' AND CAST(CAST(after_dot AS INTEGER) AS TEXT) = after_dot AS has_part
    FROM numbered)
  SELECT versions.id, tasks.id, split, CASE WHEN has_part THEN before_dot ELSE parted.name END,
         CASE WHEN has_part THEN CAST(after_dot AS INTEGER) ELSE -1 END,
         CASE WHEN has_limit THEN CAST(after_at AS INTEGER) ELSE -1 END,
         value, parted.token_count, parted.operation_id, parted.created_ms
  FROM parted JOIN versions ON versions.hash = version_hash JOIN tasks ON tasks.name = task;
DROP TABLE scores;
ALTER TABLE new_scores RENAME TO scores;

-- Every object that a version is made of; the same one may come more than once.
CREATE VIEW version_objects (version_hash, object_hash) AS
  SELECT versions.hash, objects.hash FROM versions JOIN version_parts ON version_id = versions.id
    JOIN parts ON parts.id = part_id JOIN objects ON objects.id = object_id
  UNION ALL SELECT versions.hash, objects.hash FROM versions JOIN version_banks ON version_id = versions.id
    JOIN objects ON objects.id = router_id
  UNION ALL SELECT versions.hash, object_hash FROM versions JOIN version_banks ON version_id = versions.id
    JOIN bank_modules USING (bank_id) JOIN revisions ON revisions.id = revision_id
  UNION ALL SELECT hash, tokenizer_object FROM versions WHERE tokenizer_object IS NOT NULL;
