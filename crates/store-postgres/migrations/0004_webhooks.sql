CREATE TABLE webhook_endpoint (
  id TEXT PRIMARY KEY NOT NULL,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  environment_id TEXT NOT NULL REFERENCES environment (id),
  target BYTEA NOT NULL,
  description TEXT NOT NULL,
  event_types TEXT NOT NULL,
  delivery_order TEXT NOT NULL CHECK (delivery_order IN ('any', 'strict')),
  signature TEXT NOT NULL CHECK (signature IN ('standard', 'x_pd')),
  state TEXT NOT NULL CHECK (state IN ('enabled', 'disabled')),
  disabled_reason TEXT CHECK (disabled_reason IN ('request', 'gone', 'failing')),
  disabled_at_us BIGINT,
  failing_since_us BIGINT,
  failed_at_us BIGINT,
  created_at_us BIGINT NOT NULL,
  updated_at_us BIGINT NOT NULL,
  CHECK ((state = 'disabled') = (disabled_reason IS NOT NULL)),
  CHECK ((state = 'disabled') = (disabled_at_us IS NOT NULL)),
  CHECK ((failing_since_us IS NULL) = (failed_at_us IS NULL))
);
CREATE INDEX webhook_endpoint_workspace ON webhook_endpoint (workspace_id, id);
CREATE INDEX webhook_endpoint_environment ON webhook_endpoint (environment_id, id);

CREATE TABLE webhook_message (
  id TEXT PRIMARY KEY NOT NULL,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  environment_id TEXT NOT NULL REFERENCES environment (id),
  kind TEXT NOT NULL,
  body BYTEA NOT NULL,
  created_at_us BIGINT NOT NULL
);
CREATE INDEX webhook_message_workspace ON webhook_message (workspace_id, id);
CREATE INDEX webhook_message_environment ON webhook_message (environment_id, id);
CREATE INDEX webhook_message_age ON webhook_message (created_at_us);

CREATE TABLE webhook_delivery (
  id TEXT PRIMARY KEY NOT NULL,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  environment_id TEXT NOT NULL REFERENCES environment (id),
  message_id TEXT NOT NULL REFERENCES webhook_message (id) ON DELETE CASCADE,
  endpoint_id TEXT NOT NULL REFERENCES webhook_endpoint (id) ON DELETE CASCADE,
  position BIGINT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('pending', 'delivered', 'dead')),
  dead_reason TEXT CHECK (dead_reason IN ('exhausted', 'gone', 'endpoint_disabled')),
  attempts BIGINT NOT NULL,
  tries BIGINT NOT NULL,
  due_at_us BIGINT,
  owner TEXT,
  fence BIGINT NOT NULL,
  created_at_us BIGINT NOT NULL,
  ended_at_us BIGINT,
  CHECK ((state = 'pending') = (due_at_us IS NOT NULL)),
  CHECK ((state = 'pending') = (ended_at_us IS NULL)),
  CHECK ((state = 'dead') = (dead_reason IS NOT NULL)),
  CHECK (state = 'pending' OR owner IS NULL)
);
CREATE INDEX webhook_delivery_environment ON webhook_delivery (environment_id, id);
CREATE INDEX webhook_delivery_of_endpoint ON webhook_delivery (endpoint_id, id);
CREATE INDEX webhook_delivery_message ON webhook_delivery (message_id, id);
CREATE INDEX webhook_delivery_endpoint ON webhook_delivery (endpoint_id, position);
CREATE INDEX webhook_delivery_due ON webhook_delivery (endpoint_id, due_at_us) WHERE state = 'pending';
CREATE INDEX webhook_delivery_order ON webhook_delivery (endpoint_id, position, id) WHERE state = 'pending';
CREATE INDEX webhook_delivery_owned ON webhook_delivery (owner) WHERE owner IS NOT NULL;
CREATE INDEX webhook_delivery_dead ON webhook_delivery (endpoint_id, ended_at_us) WHERE state = 'dead';
CREATE INDEX webhook_delivery_ended ON webhook_delivery (ended_at_us) WHERE ended_at_us IS NOT NULL;

CREATE TABLE webhook_attempt (
  id TEXT PRIMARY KEY NOT NULL,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  delivery_id TEXT NOT NULL REFERENCES webhook_delivery (id) ON DELETE CASCADE,
  number BIGINT NOT NULL,
  status BIGINT,
  error_code TEXT,
  answer BYTEA,
  started_at_us BIGINT NOT NULL,
  duration_us BIGINT NOT NULL,
  UNIQUE (delivery_id, number),
  CHECK ((status IS NULL) = (error_code IS NOT NULL))
);
CREATE INDEX webhook_attempt_workspace ON webhook_attempt (workspace_id, id);
