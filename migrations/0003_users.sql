-- What uses a synced secret, and whether it is to go although something does.

-- JSON array of {kind, resource}: the resources that were last seen to name it.
ALTER TABLE synced_secrets ADD COLUMN users TEXT NOT NULL DEFAULT '[]';

-- 1 where whoever deleted it said so: a use does not hold the deletion back.
ALTER TABLE synced_secrets ADD COLUMN delete_forced INTEGER NOT NULL DEFAULT 0;
