-- Several triggers for a workflow, each with its name; schedules, and when each fires next; and what
-- bounds a workflow's invocations. One that waits for these bounds is behind its gate and is not claimed.
ALTER TABLE workflow_trigger ADD COLUMN name TEXT NOT NULL DEFAULT 'http';
ALTER TABLE workflow_trigger ALTER COLUMN name DROP DEFAULT;
ALTER TABLE workflow_trigger DROP CONSTRAINT workflow_trigger_workflow_id_kind_key;
ALTER TABLE workflow_trigger ADD UNIQUE (workflow_id, name);

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
  every_s BIGINT,
  timezone TEXT NOT NULL,
  catch_up TEXT NOT NULL CHECK (catch_up IN ('latest', 'none', 'all')),
  next_at_us BIGINT NOT NULL,
  created_at_us BIGINT NOT NULL,
  UNIQUE (workflow_id, name),
  CHECK ((cron IS NULL) <> (every_s IS NULL))
);
CREATE INDEX schedule_next ON schedule (next_at_us, id);
CREATE INDEX schedule_workspace ON schedule (workspace_id, id);

CREATE TABLE workflow_bound (
  workflow_id TEXT PRIMARY KEY NOT NULL REFERENCES workflow (id),
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  environment_id TEXT NOT NULL REFERENCES environment (id),
  concurrency BIGINT,
  throttle_limit BIGINT,
  throttle_per_us BIGINT,
  throttled_until_us BIGINT NOT NULL,
  queue_limit BIGINT,
  CHECK ((throttle_limit IS NULL) = (throttle_per_us IS NULL))
);
CREATE INDEX workflow_bound_workspace ON workflow_bound (workspace_id, workflow_id);

ALTER TABLE invocation ADD COLUMN gate TEXT NOT NULL DEFAULT 'open'
  CHECK (gate IN ('open', 'closed', 'passed'));
DROP INDEX invocation_unowned;
CREATE INDEX invocation_unowned ON invocation (id)
  WHERE owner IS NULL AND gate <> 'closed' AND state IN ('queued', 'running');
CREATE INDEX invocation_closed ON invocation (workflow_id, id) WHERE gate = 'closed' AND state = 'queued';
CREATE INDEX invocation_passed ON invocation (workflow_id, id)
  WHERE gate = 'passed' AND state IN ('queued', 'running');
