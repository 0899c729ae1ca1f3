-- A tag is a name for one version; unlike a model it never moves.
CREATE TABLE tags (
  name         TEXT PRIMARY KEY CHECK (name <> ''),
  version_hash TEXT NOT NULL REFERENCES versions (hash),
  operation_id INTEGER NOT NULL REFERENCES operations (id),
  created_ms   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What an operation did to the name of a model, a task or a tag, so that it can be taken back. What was removed or
-- replaced keeps its rows under the name "<old_name> (removed <operation_id>)", which nothing else can have, until gc
-- frees them.
CREATE TABLE name_changes (
  operation_id INTEGER PRIMARY KEY REFERENCES operations (id),
  thing        TEXT NOT NULL CHECK (thing IN ('model', 'task', 'tag')),
  change       TEXT NOT NULL CHECK (change IN ('rename', 'remove', 'replace', 'move', 'make')),
  old_name     TEXT NOT NULL,                         -- '' for what was made
  new_name     TEXT NOT NULL,                         -- '' for what was removed
  before       TEXT NOT NULL,                         -- a task's data_path, a tag's version; '' where there is none
  undoable     INTEGER NOT NULL CHECK (undoable IN (0, 1))  -- 0 once it was taken back or gc freed what it removed
) STRICT;

-- Tasks recorded while all paths were absolute, so that nobody can tell which were meant to lie in the workspace.
CREATE TABLE old_paths (
  task_id INTEGER PRIMARY KEY REFERENCES tasks (id) ON DELETE CASCADE
) STRICT;
INSERT INTO old_paths SELECT id FROM tasks;
