CREATE TABLE workspace (
  id TEXT PRIMARY KEY NOT NULL,
  name TEXT NOT NULL,
  created_at_us INTEGER NOT NULL
) STRICT;

CREATE TABLE project (
  id TEXT PRIMARY KEY NOT NULL,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  name TEXT NOT NULL,
  created_at_us INTEGER NOT NULL
) STRICT;

CREATE TABLE environment (
  id TEXT PRIMARY KEY NOT NULL,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  project_id TEXT NOT NULL REFERENCES project (id),
  kind TEXT NOT NULL CHECK (kind IN ('development', 'production')),
  created_at_us INTEGER NOT NULL,
  UNIQUE (project_id, kind)
) STRICT;

CREATE TABLE api_key (
  id TEXT PRIMARY KEY NOT NULL,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  project_id TEXT NOT NULL REFERENCES project (id),
  environment_id TEXT NOT NULL REFERENCES environment (id),
  name TEXT NOT NULL,
  digest BLOB NOT NULL UNIQUE,
  created_at_us INTEGER NOT NULL,
  expires_at_us INTEGER,
  revoked_at_us INTEGER
) STRICT;

CREATE TABLE machine_client (
  id TEXT PRIMARY KEY NOT NULL,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  project_id TEXT NOT NULL REFERENCES project (id),
  environment_id TEXT NOT NULL REFERENCES environment (id),
  digest BLOB NOT NULL,
  created_at_us INTEGER NOT NULL
) STRICT;

CREATE TABLE audit_head (
  workspace_id TEXT PRIMARY KEY NOT NULL REFERENCES workspace (id),
  seq INTEGER NOT NULL,
  hash BLOB NOT NULL
) STRICT;

CREATE TABLE audit (
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  seq INTEGER NOT NULL,
  at_us INTEGER NOT NULL,
  actor TEXT NOT NULL,
  action TEXT NOT NULL,
  detail TEXT NOT NULL,
  hash BLOB NOT NULL,
  PRIMARY KEY (workspace_id, seq)
) STRICT;

CREATE TABLE data_key (
  id TEXT PRIMARY KEY NOT NULL,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  state TEXT NOT NULL CHECK (state IN ('active', 'retired')),
  root_key TEXT NOT NULL,
  wrapped BLOB NOT NULL,
  created_at_us INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX data_key_active ON data_key (workspace_id) WHERE state = 'active';

CREATE TABLE key_rotation (
  id TEXT PRIMARY KEY NOT NULL,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  data_key_id TEXT NOT NULL REFERENCES data_key (id),
  state TEXT NOT NULL CHECK (state IN ('running', 'done')),
  at_kind TEXT NOT NULL,
  at_record TEXT NOT NULL,
  done INTEGER NOT NULL,
  total INTEGER NOT NULL,
  started_at_us INTEGER NOT NULL,
  updated_at_us INTEGER NOT NULL,
  finished_at_us INTEGER,
  CHECK ((state = 'done') = (finished_at_us IS NOT NULL))
) STRICT;
CREATE UNIQUE INDEX key_rotation_running ON key_rotation (workspace_id) WHERE state = 'running';

CREATE TABLE oauth_client (
  id TEXT PRIMARY KEY NOT NULL,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  environment_id TEXT NOT NULL REFERENCES environment (id),
  app TEXT NOT NULL,
  client_id TEXT NOT NULL,
  secret BLOB NOT NULL,
  scopes TEXT NOT NULL,
  created_at_us INTEGER NOT NULL,
  UNIQUE (environment_id, app)
) STRICT;
CREATE INDEX oauth_client_workspace ON oauth_client (workspace_id, id);

CREATE TABLE customer (
  id TEXT PRIMARY KEY NOT NULL,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  environment_id TEXT NOT NULL REFERENCES environment (id),
  external_id TEXT NOT NULL,
  created_at_us INTEGER NOT NULL,
  UNIQUE (environment_id, external_id)
) STRICT;

CREATE TABLE connection (
  id TEXT PRIMARY KEY NOT NULL,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  environment_id TEXT NOT NULL REFERENCES environment (id),
  customer_id TEXT NOT NULL REFERENCES customer (id),
  app TEXT NOT NULL,
  name TEXT NOT NULL,
  scheme TEXT NOT NULL CHECK (scheme IN ('oauth2', 'api_key', 'basic')),
  oauth_client_id TEXT REFERENCES oauth_client (id),
  state TEXT NOT NULL CHECK (state IN ('healthy', 'needs_reauth', 'failing', 'revoked')),
  state_reason TEXT,
  credential BLOB NOT NULL,
  scopes TEXT NOT NULL,
  expires_at_us INTEGER,
  refresh_at_us INTEGER,
  fence INTEGER NOT NULL,
  created_at_us INTEGER NOT NULL,
  updated_at_us INTEGER NOT NULL,
  UNIQUE (environment_id, name),
  CHECK (scheme = 'oauth2' OR oauth_client_id IS NULL)
) STRICT;
CREATE INDEX connection_workspace ON connection (workspace_id, id);
CREATE INDEX connection_refresh_due ON connection (refresh_at_us) WHERE refresh_at_us IS NOT NULL;

CREATE TABLE connection_refresh (
  connection_id TEXT PRIMARY KEY NOT NULL REFERENCES connection (id) ON DELETE CASCADE,
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
CREATE INDEX connection_refresh_workspace ON connection_refresh (workspace_id, connection_id);

CREATE TABLE connect_session (
  id TEXT PRIMARY KEY NOT NULL,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  project_id TEXT NOT NULL REFERENCES project (id),
  environment_id TEXT NOT NULL REFERENCES environment (id),
  customer_id TEXT NOT NULL REFERENCES customer (id),
  app TEXT NOT NULL,
  connection_name TEXT NOT NULL,
  reconnect_id TEXT REFERENCES connection (id) ON DELETE CASCADE,
  token_digest BLOB NOT NULL UNIQUE,
  browser_digest BLOB,
  return_url TEXT,
  expires_at_us INTEGER NOT NULL,
  used_at_us INTEGER,
  connection_id TEXT REFERENCES connection (id) ON DELETE SET NULL,
  created_at_us INTEGER NOT NULL
) STRICT;

CREATE TABLE oauth_flow (
  id TEXT PRIMARY KEY NOT NULL,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  connect_session_id TEXT NOT NULL REFERENCES connect_session (id) ON DELETE CASCADE,
  browser_digest BLOB NOT NULL,
  verifier BLOB NOT NULL,
  expires_at_us INTEGER NOT NULL,
  used_at_us INTEGER
) STRICT;
CREATE INDEX oauth_flow_workspace ON oauth_flow (workspace_id, id);

CREATE TABLE workflow (
  id TEXT PRIMARY KEY NOT NULL,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  environment_id TEXT NOT NULL REFERENCES environment (id),
  name TEXT NOT NULL,
  active_version_id TEXT,
  created_at_us INTEGER NOT NULL,
  updated_at_us INTEGER NOT NULL,
  UNIQUE (environment_id, name)
) STRICT;

CREATE TABLE version (
  id TEXT PRIMARY KEY NOT NULL,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  environment_id TEXT NOT NULL REFERENCES environment (id),
  workflow_id TEXT NOT NULL REFERENCES workflow (id),
  number INTEGER NOT NULL,
  digest TEXT NOT NULL,
  bundle BLOB NOT NULL,
  created_at_us INTEGER NOT NULL,
  UNIQUE (workflow_id, digest),
  UNIQUE (workflow_id, number)
) STRICT;
CREATE INDEX version_workspace ON version (workspace_id, id);

CREATE TABLE workflow_trigger (
  id TEXT PRIMARY KEY NOT NULL,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  project_id TEXT NOT NULL REFERENCES project (id),
  environment_id TEXT NOT NULL REFERENCES environment (id),
  workflow_id TEXT NOT NULL REFERENCES workflow (id),
  kind TEXT NOT NULL CHECK (kind IN ('http')),
  token_digest BLOB NOT NULL UNIQUE,
  token BLOB NOT NULL,
  created_at_us INTEGER NOT NULL,
  UNIQUE (workflow_id, kind)
) STRICT;
CREATE INDEX trigger_workspace ON workflow_trigger (workspace_id, id);

CREATE TABLE event (
  id TEXT PRIMARY KEY NOT NULL,
  workspace_id TEXT NOT NULL,
  environment_id TEXT NOT NULL,
  workflow_id TEXT NOT NULL REFERENCES workflow (id),
  dedupe_key TEXT,
  body BLOB NOT NULL,
  received_at_us INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX event_dedupe ON event (workflow_id, dedupe_key) WHERE dedupe_key IS NOT NULL;
CREATE INDEX event_workspace ON event (workspace_id, id);

CREATE TABLE invocation (
  id TEXT PRIMARY KEY NOT NULL,
  workspace_id TEXT NOT NULL,
  environment_id TEXT NOT NULL,
  workflow_id TEXT NOT NULL REFERENCES workflow (id),
  version_id TEXT NOT NULL REFERENCES version (id),
  event_id TEXT NOT NULL REFERENCES event (id),
  replay_of TEXT,
  state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'waiting', 'succeeded', 'failed', 'canceled', 'dead')),
  next_step INTEGER NOT NULL,
  error_code TEXT,
  tier TEXT,
  owner TEXT,
  fence INTEGER NOT NULL,
  crashes INTEGER NOT NULL DEFAULT 0,
  response BLOB,
  created_at_us INTEGER NOT NULL,
  started_at_us INTEGER,
  finished_at_us INTEGER,
  CHECK ((state IN ('succeeded', 'failed', 'canceled', 'dead')) = (finished_at_us IS NOT NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX invocation_workflow ON invocation (workflow_id, id);
CREATE INDEX invocation_event ON invocation (event_id);
CREATE INDEX invocation_open ON invocation (workflow_id, id) WHERE state IN ('queued', 'running');
CREATE INDEX invocation_unowned ON invocation (id) WHERE owner IS NULL AND state IN ('queued', 'running');
CREATE INDEX invocation_workspace ON invocation (workspace_id, id);

CREATE TABLE step (
  id TEXT PRIMARY KEY NOT NULL,
  workspace_id TEXT NOT NULL,
  invocation_id TEXT NOT NULL REFERENCES invocation (id),
  position INTEGER NOT NULL,
  name TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('succeeded', 'failed')),
  error_code TEXT,
  record BLOB NOT NULL,
  started_at_us INTEGER NOT NULL,
  finished_at_us INTEGER NOT NULL,
  UNIQUE (invocation_id, position)
) STRICT;
CREATE INDEX step_workspace ON step (workspace_id, id);

CREATE TABLE node (
  id TEXT PRIMARY KEY NOT NULL,
  started_at_us INTEGER NOT NULL,
  lease_until_us INTEGER NOT NULL
) STRICT;

CREATE TABLE idempotency (
  scope BLOB PRIMARY KEY NOT NULL,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  request_digest BLOB NOT NULL,
  status INTEGER,
  response BLOB,
  created_at_us INTEGER NOT NULL,
  CHECK ((status IS NULL) = (response IS NULL))
) STRICT;
CREATE INDEX idempotency_workspace ON idempotency (workspace_id, scope);
CREATE INDEX idempotency_age ON idempotency (created_at_us);
