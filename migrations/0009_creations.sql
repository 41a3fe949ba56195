-- Two calls may ask for different values of one new vault secret, one after the other, and both be cut off: each is known by its generation.

-- The generation with which the value that `create_pending` waits for was asked for; 0 where a release recorded it that did not keep it.
ALTER TABLE secret_references ADD COLUMN create_generation INTEGER NOT NULL DEFAULT 0;

-- Whether a synced secret was deleted is asked for each object at the edge that carries a uid which is not recorded.
CREATE INDEX changes_deleted ON changes (uid) WHERE kind = 'DELETED';
