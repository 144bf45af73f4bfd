-- Components: code with a description of the values that it wants. A version never changes. What one
-- says of itself is sealed as its files are: defaults and choices are its author's.
CREATE TABLE component (
  id TEXT PRIMARY KEY NOT NULL,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  project_id TEXT NOT NULL REFERENCES project (id),
  environment_id TEXT NOT NULL REFERENCES environment (id),
  key TEXT NOT NULL,
  version TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('action', 'source')),
  name TEXT NOT NULL,
  description TEXT,
  apps TEXT NOT NULL,
  digest TEXT NOT NULL,
  definition BYTEA NOT NULL,
  bundle BYTEA NOT NULL,
  created_at_us BIGINT NOT NULL,
  UNIQUE (environment_id, key, version)
);
CREATE INDEX component_workspace ON component (workspace_id, id);
CREATE INDEX component_environment ON component (environment_id, id);

-- Which layers and archives components still use.
CREATE TABLE component_package (
  component_id TEXT NOT NULL REFERENCES component (id) ON DELETE CASCADE,
  layer TEXT NOT NULL,
  integrity TEXT NOT NULL,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  PRIMARY KEY (component_id, layer, integrity)
);

-- The props that a component has with certain values, for whoever comes back with their id.
CREATE TABLE dynamic_props (
  id TEXT PRIMARY KEY NOT NULL,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  environment_id TEXT NOT NULL REFERENCES environment (id),
  component_id TEXT NOT NULL REFERENCES component (id) ON DELETE CASCADE,
  digest TEXT NOT NULL,
  definitions BYTEA NOT NULL,
  created_at_us BIGINT NOT NULL,
  UNIQUE (component_id, digest)
);
CREATE INDEX dynamic_props_workspace ON dynamic_props (workspace_id, id);

-- Runs of actions are counted beside calls through the proxy.
ALTER TABLE usage_count DROP CONSTRAINT usage_count_kind_check;
ALTER TABLE usage_count ADD CONSTRAINT usage_count_kind_check CHECK (kind IN ('proxy_call', 'action_run'));
