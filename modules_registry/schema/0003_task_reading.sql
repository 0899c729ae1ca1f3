-- How a task's records are read, and what was left out of it when it was recorded (docs/data.md).
ALTER TABLE tasks ADD COLUMN fields TEXT NOT NULL DEFAULT '';     -- as --fields has them; '': the names that are known
ALTER TABLE tasks ADD COLUMN left_out_files INTEGER;              -- NULL where an older program recorded it
ALTER TABLE tasks ADD COLUMN left_out_records INTEGER;            -- lines, rows and elements of an array
