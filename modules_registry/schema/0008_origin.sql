-- Operations come with the versions of other workspaces (mformer pull), under their own uid.
ALTER TABLE operations ADD COLUMN origin TEXT NOT NULL DEFAULT '';  -- identity of that workspace; '' of this one's own
