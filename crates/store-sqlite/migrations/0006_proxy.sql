CREATE TABLE rate_budget (
  key TEXT PRIMARY KEY NOT NULL,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  ends_at_us INTEGER NOT NULL,
  used INTEGER NOT NULL,
  blocked_until_us INTEGER NOT NULL
) STRICT;
CREATE INDEX rate_budget_ends ON rate_budget (ends_at_us);
CREATE INDEX rate_budget_workspace ON rate_budget (workspace_id, key);

CREATE TABLE usage_count (
  environment_id TEXT NOT NULL REFERENCES environment (id),
  kind TEXT NOT NULL CHECK (kind IN ('proxy_call')),
  hour_us INTEGER NOT NULL,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  count INTEGER NOT NULL,
  PRIMARY KEY (environment_id, kind, hour_us)
) STRICT;
CREATE INDEX usage_count_workspace ON usage_count (workspace_id, hour_us);
