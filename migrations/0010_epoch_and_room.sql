-- Which history of this database a recorded call belongs to. A database that was restored from a backup begins another one: what was answered
-- before may no longer be so, and nobody is told an answer of a history that has ended.

-- The history that goes on now: 16 random bytes, new with every restore.
INSERT INTO settings (name, value) VALUES ('epoch', randomblob(16)) ON CONFLICT (name) DO NOTHING;

ALTER TABLE requests ADD COLUMN epoch BLOB NOT NULL DEFAULT x'';
UPDATE requests SET epoch = (SELECT value FROM settings WHERE name = 'epoch');

-- How much room is taken by what grows with use, kept by triggers, so that nobody counts: each has a budget. About the bytes of the rows with
-- their indexes.
CREATE TABLE room (
    part  TEXT    PRIMARY KEY NOT NULL,                 -- the table
    rows  INTEGER NOT NULL,
    bytes INTEGER NOT NULL
) STRICT;

ALTER TABLE audit_events ADD COLUMN bytes INTEGER
    GENERATED ALWAYS AS (200 + octet_length(actor) + octet_length(action) + 2 * octet_length(resource) + octet_length(outcome)
                             + octet_length(detail) + octet_length(request_id)) VIRTUAL;
ALTER TABLE audit_denials ADD COLUMN bytes INTEGER
    GENERATED ALWAYS AS (200 + octet_length(actor) + octet_length(action) + 2 * octet_length(resource) + octet_length(outcome)
                             + octet_length(detail) + octet_length(request_id)) VIRTUAL;
ALTER TABLE changes ADD COLUMN bytes INTEGER
    GENERATED ALWAYS AS (100 + octet_length(snapshot) + coalesce(octet_length(before), 0)) VIRTUAL;

INSERT INTO room SELECT 'audit_events', count(*), coalesce(sum(bytes), 0) FROM audit_events;
INSERT INTO room SELECT 'audit_denials', count(*), coalesce(sum(bytes), 0) FROM audit_denials;
INSERT INTO room SELECT 'changes', count(*), coalesce(sum(bytes), 0) FROM changes;

CREATE TRIGGER audit_events_take_room AFTER INSERT ON audit_events
BEGIN
    UPDATE room SET rows = rows + 1, bytes = bytes + NEW.bytes WHERE part = 'audit_events';
END;
CREATE TRIGGER audit_events_give_room AFTER DELETE ON audit_events
BEGIN
    UPDATE room SET rows = rows - 1, bytes = bytes - OLD.bytes WHERE part = 'audit_events';
END;
CREATE TRIGGER audit_denials_take_room AFTER INSERT ON audit_denials
BEGIN
    UPDATE room SET rows = rows + 1, bytes = bytes + NEW.bytes WHERE part = 'audit_denials';
END;
CREATE TRIGGER audit_denials_give_room AFTER DELETE ON audit_denials
BEGIN
    UPDATE room SET rows = rows - 1, bytes = bytes - OLD.bytes WHERE part = 'audit_denials';
END;
CREATE TRIGGER changes_take_room AFTER INSERT ON changes
BEGIN
    UPDATE room SET rows = rows + 1, bytes = bytes + NEW.bytes WHERE part = 'changes';
END;
CREATE TRIGGER changes_give_room AFTER DELETE ON changes
BEGIN
    UPDATE room SET rows = rows - 1, bytes = bytes - OLD.bytes WHERE part = 'changes';
END;
