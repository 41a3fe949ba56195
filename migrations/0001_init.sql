-- What the service knows. Times are microseconds since 1970-01-01 UTC. No column ever holds a secret value.

-- Facts about this database itself: `key` signs page tokens and fingerprints (32 random bytes).
CREATE TABLE settings (
    name  TEXT PRIMARY KEY NOT NULL,
    value BLOB NOT NULL
) STRICT;

-- Synced secrets: above what was asked for, below what was last seen.
CREATE TABLE synced_secrets (
    uid                   TEXT    PRIMARY KEY NOT NULL,
    id                    TEXT    NOT NULL UNIQUE,      -- name of the Kubernetes Secret
    description           TEXT    NOT NULL,
    secret_type           TEXT    NOT NULL,
    labels                TEXT    NOT NULL,             -- JSON object
    generation            INTEGER NOT NULL,             -- grows with every change of what is asked for
    create_time           INTEGER NOT NULL,
    update_time           INTEGER NOT NULL,
    sync_requests         INTEGER NOT NULL,             -- how often "Sync now" was asked for

    state                 TEXT    NOT NULL CHECK (state IN ('PENDING', 'SYNCED', 'DEGRADED', 'FAILED', 'DELETING')),
    conditions            TEXT    NOT NULL,             -- JSON array
    synced_generation     INTEGER NOT NULL,             -- the generation that the edge holds, 0 for none
    synced_requests       INTEGER NOT NULL,             -- the "Sync now" that the last attempt answered
    sync_time             INTEGER,
    edge_uid              TEXT,                         -- uid that Kubernetes gave the Secret
    edge_resource_version TEXT,                         -- as of our last write or look
    edge_digest           BLOB                          -- keyed digest of what we wrote
) STRICT;

-- The mapping: which key holds which vault secret.
CREATE TABLE secret_references (
    uid               TEXT    NOT NULL REFERENCES synced_secrets (uid) ON DELETE CASCADE,
    position          INTEGER NOT NULL,
    key               TEXT    NOT NULL,
    vault_secret      TEXT    NOT NULL,                 -- as it was spelled
    version           TEXT,                             -- pinned; follows the latest where NULL
    encoding          TEXT    NOT NULL CHECK (encoding IN ('utf-8', 'base64', 'hex')),
    create_pending    INTEGER NOT NULL,                 -- 1 until the new vault secret is known to be stored

    synced_version    TEXT,
    expire_time       INTEGER,
    vault_update_time INTEGER,                          -- the vault's `updated` when the value was read
    settled           INTEGER NOT NULL,                 -- 0 while `updated` may still hide a newer version
    problem           TEXT,                             -- JSON condition

    PRIMARY KEY (uid, position),
    UNIQUE (uid, key)
) STRICT;

-- Calls with a request_id (AIP-155), kept for a day.
CREATE TABLE requests (
    request_id  TEXT    PRIMARY KEY NOT NULL,
    method      TEXT    NOT NULL,
    fingerprint BLOB    NOT NULL,                       -- keyed, over the whole request
    uid         TEXT,                                   -- the synced secret it made or changed
    response    BLOB,                                   -- the answer in protobuf; NULL while it isn't known
    create_time INTEGER NOT NULL
) STRICT;
CREATE INDEX requests_by_time ON requests (create_time);

-- The change feed that watchers resume from.
CREATE TABLE changes (
    sequence    INTEGER PRIMARY KEY AUTOINCREMENT,
    uid         TEXT    NOT NULL,
    kind        TEXT    NOT NULL CHECK (kind IN ('PUT', 'DELETED')),
    snapshot    TEXT    NOT NULL,                       -- the synced secret after the change, in JSON
    change_time INTEGER NOT NULL
) STRICT;
CREATE INDEX changes_by_secret ON changes (uid, sequence);

-- Who did what, when, with which result.
CREATE TABLE audit_events (
    sequence   INTEGER PRIMARY KEY AUTOINCREMENT,
    event_time INTEGER NOT NULL,
    actor      TEXT    NOT NULL,
    action     TEXT    NOT NULL,
    resource   TEXT    NOT NULL,
    outcome    TEXT    NOT NULL,
    detail     TEXT    NOT NULL,
    request_id TEXT    NOT NULL
) STRICT;
CREATE INDEX audit_events_by_resource ON audit_events (resource, sequence);
