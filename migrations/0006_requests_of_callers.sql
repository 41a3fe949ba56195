-- A request id belongs to the caller who chose it: the same id of another caller is another call.

CREATE TABLE requests_of_callers (
    caller      TEXT    NOT NULL,                       -- as the audit names it
    request_id  TEXT    NOT NULL,
    method      TEXT    NOT NULL,
    fingerprint BLOB    NOT NULL,                       -- keyed, over the whole request
    uid         TEXT,                                   -- the synced secret it made or changed
    response    BLOB,                                   -- the answer; NULL while it isn't known
    create_time INTEGER NOT NULL,

    PRIMARY KEY (caller, request_id)
) STRICT;

-- The audit knows who called; what it has no event of can't be retried by anybody.
INSERT INTO requests_of_callers
SELECT (SELECT a.actor FROM audit_events a WHERE a.request_id = r.request_id ORDER BY a.sequence LIMIT 1),
       r.request_id, r.method, r.fingerprint, r.uid, r.response, r.create_time
  FROM requests r
 WHERE EXISTS (SELECT 1 FROM audit_events a WHERE a.request_id = r.request_id);

DROP TABLE requests;
ALTER TABLE requests_of_callers RENAME TO requests;
CREATE INDEX requests_by_time ON requests (create_time);
