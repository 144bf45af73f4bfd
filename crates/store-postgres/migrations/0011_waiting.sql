-- Invocations that wait for a time: before the next attempt at a step that failed, or because the
-- workflow says so. Of a step, each attempt is kept.
ALTER TABLE invocation ADD COLUMN attempts BIGINT NOT NULL DEFAULT 0;
ALTER TABLE invocation ADD COLUMN wake_at_us BIGINT;
CREATE INDEX invocation_waiting ON invocation (wake_at_us) WHERE state = 'waiting';

ALTER TABLE step ADD COLUMN attempt BIGINT NOT NULL DEFAULT 1;
ALTER TABLE step DROP CONSTRAINT step_invocation_id_position_key;
ALTER TABLE step ADD UNIQUE (invocation_id, position, attempt);
