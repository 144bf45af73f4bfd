CREATE TABLE connection_revocation (
  id TEXT PRIMARY KEY NOT NULL,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  project_id TEXT NOT NULL REFERENCES project (id) ON DELETE CASCADE,
  environment_id TEXT NOT NULL REFERENCES environment (id) ON DELETE CASCADE,
  customer TEXT,
  app TEXT,
  name TEXT,
  created_before_us BIGINT,
  unused_since_us BIGINT,
  marked_to TEXT NOT NULL,
  found BIGINT NOT NULL,
  created_at_us BIGINT NOT NULL,
  marked_at_us BIGINT,
  ended_at_us BIGINT
);
CREATE INDEX connection_revocation_open ON connection_revocation (id) WHERE ended_at_us IS NULL;
CREATE INDEX connection_revocation_environment ON connection_revocation (environment_id, id);

-- The last attempt for each connection. It outlives the connection, so it does not refer to it.
CREATE TABLE connection_revocation_item (
  connection_id TEXT PRIMARY KEY NOT NULL,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  project_id TEXT NOT NULL REFERENCES project (id) ON DELETE CASCADE,
  environment_id TEXT NOT NULL REFERENCES environment (id) ON DELETE CASCADE,
  revocation_id TEXT NOT NULL REFERENCES connection_revocation (id) ON DELETE CASCADE,
  app TEXT NOT NULL,
  outcome TEXT NOT NULL CHECK (outcome IN ('pending', 'revoked', 'not_offered', 'failed')),
  reason TEXT,
  due_at_us BIGINT,
  CHECK ((outcome = 'pending') = (due_at_us IS NOT NULL)),
  CHECK ((outcome = 'failed') = (reason IS NOT NULL))
);
CREATE INDEX connection_revocation_item_due ON connection_revocation_item (due_at_us) WHERE due_at_us IS NOT NULL;
CREATE INDEX connection_revocation_item_outcome ON connection_revocation_item (revocation_id, outcome, connection_id);
