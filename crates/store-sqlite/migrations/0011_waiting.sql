-- Invocations that wait for a time: before the next attempt at a step that failed, or because the
-- workflow says so. Of a step, each attempt is kept.
ALTER TABLE invocation ADD COLUMN attempts INTEGER NOT NULL DEFAULT 0;
ALTER TABLE invocation ADD COLUMN wake_at_us INTEGER;
CREATE INDEX invocation_waiting ON invocation (wake_at_us) WHERE state = 'waiting';

CREATE TABLE step_attempt (
  id TEXT PRIMARY KEY NOT NULL,
  workspace_id TEXT NOT NULL,
  invocation_id TEXT NOT NULL REFERENCES invocation (id),
  position INTEGER NOT NULL,
  name TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('succeeded', 'failed')),
  error_code TEXT,
  record BLOB NOT NULL,
  started_at_us INTEGER NOT NULL,
  finished_at_us INTEGER NOT NULL,
  UNIQUE (invocation_id, position, attempt)
) STRICT;
INSERT INTO step_attempt SELECT id, workspace_id, invocation_id, position, name, 1, state, error_code,
  record, started_at_us, finished_at_us FROM step;
DROP TABLE step;
ALTER TABLE step_attempt RENAME TO step;
CREATE INDEX step_workspace ON step (workspace_id, id);
