-- Which history of this database a recorded call belongs to. A database that was restored from a backup begins another one: what was answered
-- before may no longer be so, and nobody is told an answer of a history that has ended.

-- The history that goes on now: 16 random bytes, new with every restore.
INSERT INTO settings (name, value) VALUES ('epoch', randomblob(16)) ON CONFLICT (name) DO NOTHING;

ALTER TABLE requests ADD COLUMN epoch BLOB NOT NULL DEFAULT x'';
UPDATE requests SET epoch = (SELECT value FROM settings WHERE name = 'epoch');
