-- Tables are made anew where a CHECK or a UNIQUE changes: SQLite cannot alter one. Children first,
-- since dropping a parent would delete their rows.

CREATE TABLE oauth_client_new (
  id TEXT PRIMARY KEY NOT NULL,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  environment_id TEXT NOT NULL REFERENCES environment (id),
  app TEXT NOT NULL,
  name TEXT NOT NULL,
  description TEXT NOT NULL,
  client_id TEXT NOT NULL,
  secret BLOB NOT NULL,
  scopes TEXT NOT NULL,
  created_at_us INTEGER NOT NULL,
  updated_at_us INTEGER NOT NULL,
  UNIQUE (environment_id, app, name)
) STRICT;
INSERT INTO oauth_client_new
  SELECT id, workspace_id, environment_id, app, '', '', client_id, secret, scopes,
    created_at_us, created_at_us FROM oauth_client;

CREATE TABLE connection_new (
  id TEXT PRIMARY KEY NOT NULL,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  environment_id TEXT NOT NULL REFERENCES environment (id),
  customer_id TEXT NOT NULL REFERENCES customer (id),
  app TEXT NOT NULL,
  name TEXT NOT NULL,
  scheme TEXT NOT NULL CHECK (scheme IN ('oauth2', 'device', 'client_credentials', 'jwt', 'oauth1',
    'api_key', 'basic', 'token_exchange', 'signature', 'installation', 'mcp', 'none')),
  oauth_client_id TEXT REFERENCES oauth_client_new (id),
  state TEXT NOT NULL CHECK (state IN ('healthy', 'needs_reauth', 'failing', 'revoked')),
  state_reason TEXT,
  credential BLOB NOT NULL,
  scopes TEXT NOT NULL,
  hosts TEXT NOT NULL,
  account_id TEXT,
  account_name TEXT,
  policy TEXT,
  expires_at_us INTEGER,
  refresh_at_us INTEGER,
  refreshed_at_us INTEGER,
  used_at_us INTEGER,
  fence INTEGER NOT NULL,
  created_at_us INTEGER NOT NULL,
  updated_at_us INTEGER NOT NULL,
  UNIQUE (environment_id, name)
) STRICT;
INSERT INTO connection_new
  SELECT id, workspace_id, environment_id, customer_id, app, name, scheme, oauth_client_id, state,
    state_reason, credential, scopes, '', NULL, NULL, NULL, expires_at_us, refresh_at_us, NULL,
    NULL, fence, created_at_us, updated_at_us FROM connection;

CREATE TABLE connection_refresh_new (
  connection_id TEXT PRIMARY KEY NOT NULL REFERENCES connection_new (id) ON DELETE CASCADE,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  fence INTEGER NOT NULL,
  owner TEXT NOT NULL,
  lease_until_us INTEGER NOT NULL,
  phase TEXT NOT NULL CHECK (phase IN ('idle', 'intent', 'answered')),
  unanswered INTEGER NOT NULL,
  failures INTEGER NOT NULL,
  answer BLOB,
  started_at_us INTEGER NOT NULL,
  CHECK ((phase = 'answered') = (answer IS NOT NULL))
) STRICT;
INSERT INTO connection_refresh_new
  SELECT connection_id, workspace_id, fence, owner, lease_until_us, phase, unanswered, failures,
    answer, started_at_us FROM connection_refresh;

CREATE TABLE connect_session_new (
  id TEXT PRIMARY KEY NOT NULL,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  project_id TEXT NOT NULL REFERENCES project (id),
  environment_id TEXT NOT NULL REFERENCES environment (id),
  customer_id TEXT NOT NULL REFERENCES customer (id),
  app TEXT,
  connection_name TEXT,
  reconnect_id TEXT REFERENCES connection_new (id) ON DELETE CASCADE,
  oauth_client_id TEXT REFERENCES oauth_client_new (id) ON DELETE SET NULL,
  scope_profile TEXT,
  scopes TEXT NOT NULL,
  token_digest BLOB NOT NULL UNIQUE,
  browser_digest BLOB,
  allowed_origins TEXT NOT NULL,
  return_url TEXT,
  error_url TEXT,
  webhook_url TEXT,
  expires_at_us INTEGER NOT NULL,
  used_at_us INTEGER,
  connection_id TEXT REFERENCES connection_new (id) ON DELETE SET NULL,
  created_at_us INTEGER NOT NULL
) STRICT;
INSERT INTO connect_session_new
  SELECT id, workspace_id, project_id, environment_id, customer_id, app, connection_name,
    reconnect_id, NULL, NULL, '', token_digest, browser_digest, '', return_url, NULL, NULL,
    expires_at_us, used_at_us, connection_id, created_at_us FROM connect_session;

CREATE TABLE oauth_flow_new (
  id TEXT PRIMARY KEY NOT NULL,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  connect_session_id TEXT NOT NULL REFERENCES connect_session_new (id) ON DELETE CASCADE,
  app TEXT NOT NULL,
  scheme TEXT NOT NULL CHECK (scheme IN ('oauth2', 'device', 'oauth1', 'installation', 'mcp')),
  browser_digest BLOB NOT NULL,
  verifier BLOB NOT NULL,
  expires_at_us INTEGER NOT NULL,
  used_at_us INTEGER,
  outcome TEXT,
  poll_at_us INTEGER,
  poll_seconds INTEGER,
  CHECK ((poll_at_us IS NULL) = (poll_seconds IS NULL))
) STRICT;
INSERT INTO oauth_flow_new
  SELECT oauth_flow.id, oauth_flow.workspace_id, connect_session_id, connect_session.app, 'oauth2',
    oauth_flow.browser_digest, verifier, oauth_flow.expires_at_us, oauth_flow.used_at_us, NULL,
    NULL, NULL
  FROM oauth_flow JOIN connect_session ON connect_session.id = connect_session_id;

DROP TABLE oauth_flow;
DROP TABLE connect_session;
DROP TABLE connection_refresh;
DROP TABLE connection;
DROP TABLE oauth_client;
ALTER TABLE oauth_client_new RENAME TO oauth_client;
ALTER TABLE connection_new RENAME TO connection;
ALTER TABLE connection_refresh_new RENAME TO connection_refresh;
ALTER TABLE connect_session_new RENAME TO connect_session;
ALTER TABLE oauth_flow_new RENAME TO oauth_flow;

CREATE INDEX oauth_client_workspace ON oauth_client (workspace_id, id);
CREATE INDEX connection_workspace ON connection (workspace_id, id);
CREATE INDEX connection_customer ON connection (customer_id, id);
CREATE INDEX connection_refresh_due ON connection (refresh_at_us) WHERE refresh_at_us IS NOT NULL;
CREATE INDEX connection_refresh_workspace ON connection_refresh (workspace_id, connection_id);
CREATE INDEX oauth_flow_workspace ON oauth_flow (workspace_id, id);
CREATE INDEX oauth_flow_session ON oauth_flow (connect_session_id, id);
CREATE INDEX oauth_flow_due ON oauth_flow (poll_at_us)
  WHERE poll_at_us IS NOT NULL AND used_at_us IS NULL;

CREATE TABLE connect_settings (
  environment_id TEXT PRIMARY KEY NOT NULL REFERENCES environment (id),
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  company TEXT NOT NULL,
  support_email TEXT NOT NULL,
  theme TEXT NOT NULL,
  return_origins TEXT NOT NULL,
  credential_export INTEGER NOT NULL,
  updated_at_us INTEGER NOT NULL
) STRICT;
