-- The items of a loop, and lists of steps that run beside each other, are invocations of their own,
-- whose parent waits for them. It keeps the loop's list until all of them have ended.
ALTER TABLE invocation ADD COLUMN waits_for TEXT CHECK (waits_for IN ('time', 'turn', 'items', 'resume'));
UPDATE invocation SET waits_for = 'time' WHERE state = 'waiting';
ALTER TABLE invocation ADD COLUMN parent_id TEXT REFERENCES invocation (id);
ALTER TABLE invocation ADD COLUMN parent_position BIGINT;
ALTER TABLE invocation ADD COLUMN item_index BIGINT;
ALTER TABLE invocation ADD COLUMN open_items BIGINT NOT NULL DEFAULT 0;
ALTER TABLE invocation ADD COLUMN made_items BIGINT;
ALTER TABLE invocation ADD COLUMN item_count BIGINT;
ALTER TABLE invocation ADD COLUMN items BYTEA;
-- A step may let its invocation wait until somebody calls a link.
ALTER TABLE invocation ADD COLUMN resume_digest BYTEA;
ALTER TABLE invocation ADD COLUMN cancel_digest BYTEA;
CREATE UNIQUE INDEX invocation_resume ON invocation (resume_digest) WHERE resume_digest IS NOT NULL;
CREATE UNIQUE INDEX invocation_cancel ON invocation (cancel_digest) WHERE cancel_digest IS NOT NULL;
CREATE UNIQUE INDEX invocation_item ON invocation (parent_id, parent_position, item_index) WHERE parent_id IS NOT NULL;
CREATE INDEX invocation_turn ON invocation (parent_id, item_index) WHERE waits_for = 'turn';
CREATE INDEX invocation_root ON invocation (workspace_id, id) WHERE parent_id IS NULL;
-- Who waits for his items keeps his place among those that run.
DROP INDEX invocation_passed;
CREATE INDEX invocation_passed ON invocation (workflow_id, id)
  WHERE gate = 'passed' AND (state IN ('queued', 'running') OR waits_for = 'items');
