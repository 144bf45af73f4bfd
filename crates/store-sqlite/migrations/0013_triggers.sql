-- Several triggers for a workflow, each with its name; schedules, and when each fires next; and what
-- bounds a workflow's invocations. One that waits for these bounds is behind its gate and is not claimed.
CREATE TABLE named_trigger (
  id TEXT PRIMARY KEY NOT NULL,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  project_id TEXT NOT NULL REFERENCES project (id),
  environment_id TEXT NOT NULL REFERENCES environment (id),
  workflow_id TEXT NOT NULL REFERENCES workflow (id),
  kind TEXT NOT NULL CHECK (kind IN ('http')),
  name TEXT NOT NULL,
  token_digest BLOB NOT NULL UNIQUE,
  token BLOB NOT NULL,
  created_at_us INTEGER NOT NULL,
  UNIQUE (workflow_id, name)
) STRICT;
INSERT INTO named_trigger SELECT id, workspace_id, project_id, environment_id, workflow_id, kind, 'http',
  token_digest, token, created_at_us FROM workflow_trigger;
DROP TABLE workflow_trigger;
ALTER TABLE named_trigger RENAME TO workflow_trigger;
CREATE INDEX trigger_workspace ON workflow_trigger (workspace_id, id);

ALTER TABLE event ADD COLUMN trigger_kind TEXT NOT NULL DEFAULT 'http'
  CHECK (trigger_kind IN ('http', 'schedule', 'manual'));
ALTER TABLE event ADD COLUMN trigger_name TEXT NOT NULL DEFAULT 'http';

CREATE TABLE schedule (
  id TEXT PRIMARY KEY NOT NULL,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  project_id TEXT NOT NULL REFERENCES project (id),
  environment_id TEXT NOT NULL REFERENCES environment (id),
  workflow_id TEXT NOT NULL REFERENCES workflow (id),
  name TEXT NOT NULL,
  cron TEXT,
  every_s INTEGER,
  timezone TEXT NOT NULL,
  catch_up TEXT NOT NULL CHECK (catch_up IN ('latest', 'none', 'all')),
  next_at_us INTEGER NOT NULL,
  created_at_us INTEGER NOT NULL,
  UNIQUE (workflow_id, name),
  CHECK ((cron IS NULL) <> (every_s IS NULL))
) STRICT;
CREATE INDEX schedule_next ON schedule (next_at_us, id);
CREATE INDEX schedule_workspace ON schedule (workspace_id, id);

CREATE TABLE workflow_bound (
  workflow_id TEXT PRIMARY KEY NOT NULL REFERENCES workflow (id),
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  environment_id TEXT NOT NULL REFERENCES environment (id),
  concurrency INTEGER,
  throttle_limit INTEGER,
  throttle_per_us INTEGER,
  throttled_until_us INTEGER NOT NULL,
  queue_limit INTEGER,
  CHECK ((throttle_limit IS NULL) = (throttle_per_us IS NULL))
) STRICT;
CREATE INDEX workflow_bound_workspace ON workflow_bound (workspace_id, workflow_id);

ALTER TABLE invocation ADD COLUMN gate TEXT NOT NULL DEFAULT 'open'
  CHECK (gate IN ('open', 'closed', 'passed'));
DROP INDEX invocation_unowned;
CREATE INDEX invocation_unowned ON invocation (id)
  WHERE owner IS NULL AND gate <> 'closed' AND state IN ('queued', 'running');
CREATE INDEX invocation_closed ON invocation (workflow_id, id) WHERE gate = 'closed' AND state = 'queued';
CREATE INDEX invocation_passed ON invocation (workflow_id, id)
  WHERE gate = 'passed' AND state IN ('queued', 'running');
