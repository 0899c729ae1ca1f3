-- For people with sqlite3 or pandas: names and hashes, none of the workspace's own numbers. docs/registry.md has examples.
-- CROSS JOIN: from few versions to their many rows, never the other way round.

-- What "name@number" is; of a removed model the beginning of the hash, as commands write it.
CREATE VIEW version_names (id, version, model, number, hash, removed) AS
  SELECT id, CASE WHEN instr(model, ' (removed ') = 0 THEN model || '@' || number ELSE substr(hash, 1, 12) END,
         CASE WHEN instr(model, ' (removed ') = 0 THEN model ELSE substr(model, 1, instr(model, ' (removed ') - 1) END,
         number, hash, instr(model, ' (removed ') > 0
  FROM versions;

-- One row for each version.
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

-- One row for each module of each version, in the order of the routers.
CREATE VIEW v_modules (version, version_hash, model, number, layer, kind, position, module, frozen, object_hash,
                       born_command, born_task, copied_from, changed_by, changed_in) AS
  SELECT name.version, name.hash, name.model, name.number, banks.layer, banks.kind, position, module_uid, frozen,
         object_hash, born_command, born_task, copied_from, command,
         (SELECT changed.version FROM version_names AS changed WHERE changed.hash = version_after)
  FROM version_names AS name CROSS JOIN version_banks ON version_id = name.id CROSS JOIN banks ON banks.id = bank_id
  CROSS JOIN bank_modules USING (bank_id) CROSS JOIN revisions ON revisions.id = revision_id
  CROSS JOIN modules ON modules.uid = module_uid CROSS JOIN operations ON operations.id = revisions.operation_id;

-- One row for each module of a version and each look at how a task uses it.
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

-- One row for each measured number.
CREATE VIEW v_scores (version, version_hash, model, number, task, metric, part, value, split, token_limit, tokens,
                      measured_by, measured) AS
  SELECT name.version, name.hash, name.model, name.number, tasks.name, metric, NULLIF(part, -1), value, split,
         NULLIF(token_limit, -1), scores.token_count, command,
         strftime('%Y-%m-%dT%H:%M:%SZ', scores.created_ms / 1000, 'unixepoch')
  FROM version_names AS name CROSS JOIN scores ON version_id = name.id JOIN tasks ON tasks.id = task_id
  LEFT JOIN operations ON operations.id = scores.operation_id
  WHERE instr(tasks.name, ' (removed ') = 0;
