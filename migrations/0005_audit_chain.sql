-- Every event of the audit is chained to the one before it, so that none can be changed, taken out or put in unnoticed.

-- SHA-256 over the hash of the event before and all columns of this one; NULL only until the service has opened the database.
ALTER TABLE audit_events ADD COLUMN hash BLOB;

-- Where the chain begins and ends. One row.
CREATE TABLE audit_chain (
    one           INTEGER PRIMARY KEY NOT NULL CHECK (one = 1),
    base_sequence INTEGER NOT NULL,                     -- the last event that was pruned, 0 before the first
    base_hash     BLOB    NOT NULL,                     -- its hash
    head_sequence INTEGER NOT NULL,                     -- the newest event
    head_hash     BLOB    NOT NULL                      -- its hash
) STRICT;

-- Events are only added, and pruned from the oldest on.
CREATE TRIGGER audit_events_are_not_changed BEFORE UPDATE ON audit_events WHEN OLD.hash IS NOT NULL
BEGIN
    SELECT RAISE(ABORT, 'an event of the audit can not be changed');
END;
CREATE TRIGGER audit_events_are_not_removed BEFORE DELETE ON audit_events
WHEN OLD.sequence > (SELECT base_sequence FROM audit_chain)
BEGIN
    SELECT RAISE(ABORT, 'an event of the audit can only be removed after it is the base of the chain');
END;
