-- Synced secrets of two engines, and those that other tools made.

ALTER TABLE synced_secrets ADD COLUMN engine TEXT NOT NULL DEFAULT 'direct'
    CHECK (engine IN ('direct', 'secret-store'));           -- who writes the Kubernetes Secret
ALTER TABLE synced_secrets ADD COLUMN origin TEXT NOT NULL DEFAULT 'MANAGED'
    CHECK (origin IN ('MANAGED', 'UNMANAGED'));             -- UNMANAGED: a mirror of what another tool made
ALTER TABLE synced_secrets ADD COLUMN handed TEXT;          -- JSON: what the Secret Store extension was last given to do
