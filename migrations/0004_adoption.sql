-- Synced secrets that other tools made and this service took over.

ALTER TABLE synced_secrets ADD COLUMN adopted TEXT;         -- uid of somebody else's SecretSync that is to become ours
