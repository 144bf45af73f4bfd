CREATE TABLE workspace (
  id TEXT PRIMARY KEY NOT NULL,
  name TEXT NOT NULL,
  created_at_us BIGINT NOT NULL
);

CREATE TABLE project (
  id TEXT PRIMARY KEY NOT NULL,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  name TEXT NOT NULL,
  created_at_us BIGINT NOT NULL
);

CREATE TABLE environment (
  id TEXT PRIMARY KEY NOT NULL,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  project_id TEXT NOT NULL REFERENCES project (id),
  kind TEXT NOT NULL CHECK (kind IN ('development', 'production')),
  created_at_us BIGINT NOT NULL,
  UNIQUE (project_id, kind)
);

CREATE TABLE api_key (
  id TEXT PRIMARY KEY NOT NULL,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  project_id TEXT NOT NULL REFERENCES project (id),
  environment_id TEXT NOT NULL REFERENCES environment (id),
  name TEXT NOT NULL,
  digest BYTEA NOT NULL UNIQUE,
  created_at_us BIGINT NOT NULL,
  expires_at_us BIGINT,
  revoked_at_us BIGINT
);

CREATE TABLE machine_client (
  id TEXT PRIMARY KEY NOT NULL,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  project_id TEXT NOT NULL REFERENCES project (id),
  environment_id TEXT NOT NULL REFERENCES environment (id),
  digest BYTEA NOT NULL,
  created_at_us BIGINT NOT NULL
);

CREATE TABLE audit_head (
  workspace_id TEXT PRIMARY KEY NOT NULL REFERENCES workspace (id),
  seq BIGINT NOT NULL,
  hash BYTEA NOT NULL
);

CREATE TABLE audit (
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  seq BIGINT NOT NULL,
  at_us BIGINT NOT NULL,
  actor TEXT NOT NULL,
  action TEXT NOT NULL,
  detail TEXT NOT NULL,
  hash BYTEA NOT NULL,
  PRIMARY KEY (workspace_id, seq)
);

CREATE TABLE data_key (
  id TEXT PRIMARY KEY NOT NULL,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  state TEXT NOT NULL CHECK (state IN ('active', 'retired')),
  root_key TEXT NOT NULL,
  wrapped BYTEA NOT NULL,
  created_at_us BIGINT NOT NULL
);
CREATE UNIQUE INDEX data_key_active ON data_key (workspace_id) WHERE state = 'active';

CREATE TABLE key_rotation (
  id TEXT PRIMARY KEY NOT NULL,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  data_key_id TEXT NOT NULL REFERENCES data_key (id),
  state TEXT NOT NULL CHECK (state IN ('running', 'done')),
  at_kind TEXT NOT NULL,
  at_record TEXT NOT NULL,
  done BIGINT NOT NULL,
  total BIGINT NOT NULL,
  started_at_us BIGINT NOT NULL,
  updated_at_us BIGINT NOT NULL,
  finished_at_us BIGINT,
  CHECK ((state = 'done') = (finished_at_us IS NOT NULL))
);
CREATE UNIQUE INDEX key_rotation_running ON key_rotation (workspace_id) WHERE state = 'running';

CREATE TABLE oauth_client (
  id TEXT PRIMARY KEY NOT NULL,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  environment_id TEXT NOT NULL REFERENCES environment (id),
  app TEXT NOT NULL,
  client_id TEXT NOT NULL,
  secret BYTEA NOT NULL,
  scopes TEXT NOT NULL,
  created_at_us BIGINT NOT NULL,
  UNIQUE (environment_id, app)
);
CREATE INDEX oauth_client_workspace ON oauth_client (workspace_id, id);

CREATE TABLE customer (
  id TEXT PRIMARY KEY NOT NULL,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  environment_id TEXT NOT NULL REFERENCES environment (id),
  external_id TEXT NOT NULL,
  created_at_us BIGINT NOT NULL,
  UNIQUE (environment_id, external_id)
);

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
  credential BYTEA NOT NULL,
  scopes TEXT NOT NULL,
  expires_at_us BIGINT,
  refresh_at_us BIGINT,
  fence BIGINT NOT NULL,
  created_at_us BIGINT NOT NULL,
  updated_at_us BIGINT NOT NULL,
  UNIQUE (environment_id, name),
  CHECK (scheme = 'oauth2' OR oauth_client_id IS NULL)
);
CREATE INDEX connection_workspace ON connection (workspace_id, id);
CREATE INDEX connection_refresh_due ON connection (refresh_at_us) WHERE refresh_at_us IS NOT NULL;

CREATE TABLE connection_refresh (
  connection_id TEXT PRIMARY KEY NOT NULL REFERENCES connection (id) ON DELETE CASCADE,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  fence BIGINT NOT NULL,
  owner TEXT NOT NULL,
  lease_until_us BIGINT NOT NULL,
  phase TEXT NOT NULL CHECK (phase IN ('idle', 'intent', 'answered')),
  unanswered BIGINT NOT NULL,
  failures BIGINT NOT NULL,
  answer BYTEA,
  started_at_us BIGINT NOT NULL,
  CHECK ((phase = 'answered') = (answer IS NOT NULL))
);
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
  token_digest BYTEA NOT NULL UNIQUE,
  browser_digest BYTEA,
  return_url TEXT,
  expires_at_us BIGINT NOT NULL,
  used_at_us BIGINT,
  connection_id TEXT REFERENCES connection (id) ON DELETE SET NULL,
  created_at_us BIGINT NOT NULL
);

CREATE TABLE oauth_flow (
  id TEXT PRIMARY KEY NOT NULL,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  connect_session_id TEXT NOT NULL REFERENCES connect_session (id) ON DELETE CASCADE,
  browser_digest BYTEA NOT NULL,
  verifier BYTEA NOT NULL,
  expires_at_us BIGINT NOT NULL,
  used_at_us BIGINT
);
CREATE INDEX oauth_flow_workspace ON oauth_flow (workspace_id, id);

CREATE TABLE workflow (
  id TEXT PRIMARY KEY NOT NULL,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  environment_id TEXT NOT NULL REFERENCES environment (id),
  name TEXT NOT NULL,
  active_version_id TEXT,
  created_at_us BIGINT NOT NULL,
  updated_at_us BIGINT NOT NULL,
  UNIQUE (environment_id, name)
);

CREATE TABLE version (
  id TEXT PRIMARY KEY NOT NULL,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  environment_id TEXT NOT NULL REFERENCES environment (id),
  workflow_id TEXT NOT NULL REFERENCES workflow (id),
  number BIGINT NOT NULL,
  digest TEXT NOT NULL,
  bundle BYTEA NOT NULL,
  created_at_us BIGINT NOT NULL,
  UNIQUE (workflow_id, digest),
  UNIQUE (workflow_id, number)
);
CREATE INDEX version_workspace ON version (workspace_id, id);

CREATE TABLE workflow_trigger (
  id TEXT PRIMARY KEY NOT NULL,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  project_id TEXT NOT NULL REFERENCES project (id),
  environment_id TEXT NOT NULL REFERENCES environment (id),
  workflow_id TEXT NOT NULL REFERENCES workflow (id),
  kind TEXT NOT NULL CHECK (kind IN ('http')),
  token_digest BYTEA NOT NULL UNIQUE,
  token BYTEA NOT NULL,
  created_at_us BIGINT NOT NULL,
  UNIQUE (workflow_id, kind)
);
CREATE INDEX trigger_workspace ON workflow_trigger (workspace_id, id);

CREATE TABLE event (
  id TEXT PRIMARY KEY NOT NULL,
  workspace_id TEXT NOT NULL,
  environment_id TEXT NOT NULL,
  workflow_id TEXT NOT NULL REFERENCES workflow (id),
  dedupe_key TEXT,
  body BYTEA NOT NULL,
  received_at_us BIGINT NOT NULL
);
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
  next_step BIGINT NOT NULL,
  error_code TEXT,
  tier TEXT,
  owner TEXT,
  fence BIGINT NOT NULL,
  crashes BIGINT NOT NULL DEFAULT 0,
  response BYTEA,
  created_at_us BIGINT NOT NULL,
  started_at_us BIGINT,
  finished_at_us BIGINT,
  CHECK ((state IN ('succeeded', 'failed', 'canceled', 'dead')) = (finished_at_us IS NOT NULL))
);
CREATE INDEX invocation_workflow ON invocation (workflow_id, id);
CREATE INDEX invocation_event ON invocation (event_id);
CREATE INDEX invocation_open ON invocation (workflow_id, id) WHERE state IN ('queued', 'running');
CREATE INDEX invocation_unowned ON invocation (id) WHERE owner IS NULL AND state IN ('queued', 'running');
CREATE INDEX invocation_workspace ON invocation (workspace_id, id);

CREATE TABLE step (
  id TEXT PRIMARY KEY NOT NULL,
  workspace_id TEXT NOT NULL,
  invocation_id TEXT NOT NULL REFERENCES invocation (id),
  position BIGINT NOT NULL,
  name TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('succeeded', 'failed')),
  error_code TEXT,
  record BYTEA NOT NULL,
  started_at_us BIGINT NOT NULL,
  finished_at_us BIGINT NOT NULL,
  UNIQUE (invocation_id, position)
);
CREATE INDEX step_workspace ON step (workspace_id, id);

CREATE TABLE node (
  id TEXT PRIMARY KEY NOT NULL,
  started_at_us BIGINT NOT NULL,
  lease_until_us BIGINT NOT NULL
);

CREATE TABLE idempotency (
  scope BYTEA PRIMARY KEY NOT NULL,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  request_digest BYTEA NOT NULL,
  status BIGINT,
  response BYTEA,
  created_at_us BIGINT NOT NULL,
  CHECK ((status IS NULL) = (response IS NULL))
);
CREATE INDEX idempotency_workspace ON idempotency (workspace_id, scope);
CREATE INDEX idempotency_age ON idempotency (created_at_us);
