-- A reference may take a part of a certificate, and what the edge holds of a certificate is told.

-- whole, certificate, chain, private-key, full-chain or pfx.
ALTER TABLE secret_references ADD COLUMN part TEXT NOT NULL DEFAULT 'whole';
-- What everybody may know of the certificate or the revocation list at the edge, in JSON; NULL where there is none, or none was read.
ALTER TABLE secret_references ADD COLUMN certificate TEXT;

-- The direct engine wrote the same bytes under both keys of a Secret of the type kubernetes.io/tls, and knew no certificates: the next
-- rotation check reads the values again.
UPDATE secret_references SET settled = 0
 WHERE uid IN (SELECT uid FROM synced_secrets WHERE engine = 'direct' AND origin = 'MANAGED');
