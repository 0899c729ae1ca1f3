-- Hashes are SHA-256 in 64 hexadecimal digits; times are milliseconds since 1970, UTC. Nothing is ever deleted with a
-- version below it, so every reference restricts (the default), except statistics and scores: they follow their task.

CREATE TABLE settings (
  key   TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Files in objects/ that some version names. A row is made only after its file is on disk.
CREATE TABLE objects (
  hash       TEXT PRIMARY KEY CHECK (length(hash) = 64 AND hash NOT GLOB '*[^0-9a-f]*'),
  size_bytes INTEGER NOT NULL CHECK (size_bytes >= 0)
) STRICT, WITHOUT ROWID;

-- One row for every run of a command that writes.
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
CREATE INDEX operations_running ON operations (id) WHERE outcome = 'running';

-- What an operation read.
CREATE TABLE operation_data (
  operation_id INTEGER NOT NULL REFERENCES operations (id),
  position     INTEGER NOT NULL,
  role         TEXT NOT NULL,
  task         TEXT NOT NULL,
  path         TEXT NOT NULL,
  content_hash TEXT NOT NULL,
  PRIMARY KEY (operation_id, position)
) STRICT, WITHOUT ROWID;

-- The lasting identity of a module: never changed after its birth.
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

-- One set of weights of a module.
CREATE TABLE revisions (
  id           INTEGER PRIMARY KEY,
  module_uid   TEXT NOT NULL REFERENCES modules (uid),
  object_hash  TEXT NOT NULL REFERENCES objects (hash),
  parent_id    INTEGER REFERENCES revisions (id),     -- what it was trained from; NULL for the first
  operation_id INTEGER NOT NULL REFERENCES operations (id),
  created_ms   INTEGER NOT NULL,
  UNIQUE (module_uid, object_hash)
) STRICT;

-- A model is a name that points to a version.
CREATE TABLE models (
  id              INTEGER PRIMARY KEY,                -- the order of making
  name            TEXT NOT NULL UNIQUE CHECK (name <> ''),
  current_version TEXT NOT NULL REFERENCES versions (hash) DEFERRABLE INITIALLY DEFERRED,
  created_ms      INTEGER NOT NULL
) STRICT;

-- One immutable state of a model. The tables below it, version_*, are its manifest.
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

CREATE TABLE version_parts (
  version_hash TEXT NOT NULL REFERENCES versions (hash),
  position     INTEGER NOT NULL,
  name         TEXT NOT NULL,
  object_hash  TEXT NOT NULL REFERENCES objects (hash),
  PRIMARY KEY (version_hash, position),
  UNIQUE (version_hash, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE version_layers (
  version_hash TEXT NOT NULL REFERENCES versions (hash),
  layer        INTEGER NOT NULL CHECK (layer >= 0),
  att_router   TEXT REFERENCES objects (hash),
  mlp_router   TEXT REFERENCES objects (hash),
  PRIMARY KEY (version_hash, layer)
) STRICT, WITHOUT ROWID;

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
CREATE INDEX version_modules_revision ON version_modules (revision_id);

-- Every object that a version is made of.
CREATE VIEW version_objects (version_hash, object_hash) AS
  SELECT version_hash, object_hash FROM version_parts
  UNION SELECT version_hash, att_router FROM version_layers WHERE att_router IS NOT NULL
  UNION SELECT version_hash, mlp_router FROM version_layers WHERE mlp_router IS NOT NULL
  UNION SELECT version_hash, object_hash FROM version_modules JOIN revisions ON revisions.id = revision_id
  UNION SELECT hash, tokenizer_object FROM versions WHERE tokenizer_object IS NOT NULL;

-- A named data set.
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

-- How much a task uses each module of a version: sums over the task's tokens.
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
