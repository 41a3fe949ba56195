-- The change feed says of each change what was there before, so that an answer never needs an earlier row, which may be pruned.

-- The synced secret before the change, in JSON; NULL where it has just come into being.
ALTER TABLE changes ADD COLUMN before TEXT;

-- What a release recorded that did not keep it goes, all but the latest row, which holds the sequence: who watched from there is told
-- OUT_OF_RANGE once and begins with the initial state.
DELETE FROM changes WHERE sequence < (SELECT MAX(sequence) FROM changes);

-- The row before is no longer looked for.
DROP INDEX changes_by_secret;
