-- How an operation was typed, so that the log can show it and a script can repeat it (mformer log --script).
ALTER TABLE operations ADD COLUMN command_line TEXT NOT NULL DEFAULT '';  -- a JSON array of words; '' of an older program
ALTER TABLE operations ADD COLUMN folder TEXT NOT NULL DEFAULT '';        -- the working directory, absolute
ALTER TABLE operations ADD COLUMN threads INTEGER NOT NULL DEFAULT 0;     -- that computed; 0 where nothing was computed
