-- The change feed says of each change what was there before, so that an answer never needs an earlier row, which may be pruned; and which
-- history it belongs to, so that nobody goes on in another one, which a database has after it was put back to an earlier state.

-- The synced secret before the change, in JSON; NULL where it has just come into being.
ALTER TABLE changes ADD COLUMN before TEXT;

-- Keyed digest of all changes up to this one: two databases that once were one have the same only up to where they parted.
ALTER TABLE changes ADD COLUMN history BLOB NOT NULL DEFAULT x'';

-- What a release recorded that did not keep them goes, all but the latest row, which holds the sequence: who watched from there is told
-- OUT_OF_RANGE once and begins with the initial state.
DELETE FROM changes WHERE sequence < (SELECT MAX(sequence) FROM changes);
UPDATE changes SET history = randomblob(16);

-- The row before is no longer looked for.
DROP INDEX changes_by_secret;

-- What is kept for a time grows old by the clock of this database, which goes on only while the service runs: a wall clock that jumps makes
-- nothing older. `create_time` of requests and `change_time` of changes are by that clock, and so is this one of the audit, which shows the
-- time of the wall clock in `event_time`. NULL for events of a release that knew no other clock than that one.
ALTER TABLE audit_events ADD COLUMN kept_since INTEGER;
