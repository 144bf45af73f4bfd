-- The packages that each version's code can import: which workflows use one, and which layers and
-- archives are still used.
CREATE TABLE version_package (
  id TEXT PRIMARY KEY NOT NULL,
  version_id TEXT NOT NULL REFERENCES version (id) ON DELETE CASCADE,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  environment_id TEXT NOT NULL REFERENCES environment (id) ON DELETE CASCADE,
  ecosystem TEXT NOT NULL CHECK (ecosystem IN ('npm', 'pypi')),
  place TEXT NOT NULL,
  name TEXT NOT NULL,
  version TEXT NOT NULL,
  integrity TEXT NOT NULL,
  layer TEXT NOT NULL,
  UNIQUE (version_id, ecosystem, place)
) STRICT;
CREATE INDEX version_package_name ON version_package (environment_id, name, version);
CREATE INDEX version_package_layer ON version_package (layer);
