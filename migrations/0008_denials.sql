-- Calls that were not let in are recorded apart from what was done, in a ring: the oldest go when the newest have no room, so that noise never
-- pushes out a change nor outgrows them. They are chained by themselves, and the two chains know each other's end.

CREATE TABLE audit_denials (
    sequence     INTEGER PRIMARY KEY NOT NULL,          -- numbered together with audit_events
    event_time   INTEGER NOT NULL,
    actor        TEXT    NOT NULL,
    action       TEXT    NOT NULL,
    resource     TEXT    NOT NULL,
    outcome      TEXT    NOT NULL,
    detail       TEXT    NOT NULL,
    request_id   TEXT    NOT NULL,
    hash         BLOB    NOT NULL,
    beside       BLOB    NOT NULL,                      -- hash of the newest row of audit_events
    kept_since   INTEGER NOT NULL,
    rows_so_far  INTEGER NOT NULL,                      -- recorded up to this one, it included; what of them is left is the difference
    bytes_so_far INTEGER NOT NULL                       -- to the oldest one
) STRICT;
CREATE INDEX audit_denials_by_resource ON audit_denials (resource, sequence);

-- Hash of the newest row of audit_denials; NULL in rows of a release that had one chain.
ALTER TABLE audit_events ADD COLUMN beside BLOB;

-- Where the chain of audit_denials begins and ends.
ALTER TABLE audit_chain ADD COLUMN denials_base_sequence INTEGER NOT NULL DEFAULT 0;
ALTER TABLE audit_chain ADD COLUMN denials_base_hash BLOB NOT NULL
    DEFAULT x'0000000000000000000000000000000000000000000000000000000000000000';
ALTER TABLE audit_chain ADD COLUMN denials_head_sequence INTEGER NOT NULL DEFAULT 0;
ALTER TABLE audit_chain ADD COLUMN denials_head_hash BLOB NOT NULL
    DEFAULT x'0000000000000000000000000000000000000000000000000000000000000000';

CREATE TRIGGER audit_denials_are_not_changed BEFORE UPDATE ON audit_denials
BEGIN
    SELECT RAISE(ABORT, 'an event of the audit can not be changed');
END;
CREATE TRIGGER audit_denials_are_not_removed BEFORE DELETE ON audit_denials
WHEN OLD.sequence > (SELECT denials_base_sequence FROM audit_chain)
BEGIN
    SELECT RAISE(ABORT, 'an event of the audit can only be removed after it is the base of the chain');
END;
