-- A version of a vault secret may be valid only later (`nbf`).

-- When the version at the edge becomes valid; NULL where it has no such date.
ALTER TABLE secret_references ADD COLUMN not_before_time INTEGER;
-- Until when the edge keeps `synced_version`, because the version that the vault has now, or that of another reference, is not valid before.
ALTER TABLE secret_references ADD COLUMN held_until INTEGER;
