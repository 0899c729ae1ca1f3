-- One row for each table whose rows no hash covers (all but version_parts, version_layers, version_modules and this
-- one): how many rows it has, how many changes it has seen, and a digest of all its rows, kept by triggers of every
-- connection that the program opens for writing. So a row that was changed by anything else is found. docs/registry.md
-- has the format.
CREATE TABLE seals (
  table_name TEXT PRIMARY KEY,
  state      BLOB NOT NULL CHECK (length(state) = 56)
) STRICT, WITHOUT ROWID;

-- As before, but with UNION ALL: a UNION is computed for all versions before one of them is chosen. The same object may
-- come more than once.
DROP VIEW version_objects;
CREATE VIEW version_objects (version_hash, object_hash) AS
  SELECT version_hash, object_hash FROM version_parts
  UNION ALL SELECT version_hash, att_router FROM version_layers WHERE att_router IS NOT NULL
  UNION ALL SELECT version_hash, mlp_router FROM version_layers WHERE mlp_router IS NOT NULL
  UNION ALL SELECT version_hash, object_hash FROM version_modules JOIN revisions ON revisions.id = revision_id
  UNION ALL SELECT hash, tokenizer_object FROM versions WHERE tokenizer_object IS NOT NULL;
