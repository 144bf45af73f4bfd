ALTER TABLE oauth_client ADD COLUMN label TEXT;

CREATE TABLE app_override (
  id TEXT PRIMARY KEY NOT NULL,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  environment_id TEXT NOT NULL REFERENCES environment (id),
  app TEXT NOT NULL,
  name TEXT NOT NULL,
  oauth_client_id TEXT REFERENCES oauth_client (id) ON DELETE SET NULL,
  fields BLOB NOT NULL,
  created_at_us INTEGER NOT NULL,
  updated_at_us INTEGER NOT NULL
) STRICT;
CREATE INDEX app_override_workspace ON app_override (workspace_id, id);
CREATE INDEX app_override_environment ON app_override (environment_id, id);

ALTER TABLE connect_session ADD COLUMN token_scope TEXT;
ALTER TABLE connect_session ADD COLUMN token BLOB;
ALTER TABLE connect_session ADD COLUMN override_id TEXT REFERENCES app_override (id) ON DELETE SET NULL;
CREATE INDEX connect_session_customer ON connect_session (customer_id, id);

CREATE TABLE project_webhook (
  environment_id TEXT PRIMARY KEY NOT NULL REFERENCES environment (id),
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  target BLOB NOT NULL,
  created_at_us INTEGER NOT NULL,
  updated_at_us INTEGER NOT NULL
) STRICT;
CREATE INDEX project_webhook_workspace ON project_webhook (workspace_id, environment_id);

CREATE TABLE project_logo (
  project_id TEXT PRIMARY KEY NOT NULL REFERENCES project (id),
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  media_type TEXT NOT NULL,
  picture BLOB NOT NULL,
  updated_at_us INTEGER NOT NULL
) STRICT;
