ALTER TABLE oauth_client DROP CONSTRAINT oauth_client_environment_id_app_key;
ALTER TABLE oauth_client
  ADD COLUMN name TEXT NOT NULL DEFAULT '',
  ADD COLUMN description TEXT NOT NULL DEFAULT '',
  ADD COLUMN updated_at_us BIGINT NOT NULL DEFAULT 0;
UPDATE oauth_client SET updated_at_us = created_at_us;
ALTER TABLE oauth_client
  ALTER COLUMN name DROP DEFAULT,
  ALTER COLUMN description DROP DEFAULT,
  ALTER COLUMN updated_at_us DROP DEFAULT,
  ADD UNIQUE (environment_id, app, name);

ALTER TABLE connection
  DROP CONSTRAINT connection_check,
  DROP CONSTRAINT connection_scheme_check,
  ADD CONSTRAINT connection_scheme_check CHECK (scheme IN ('oauth2', 'device',
    'client_credentials', 'jwt', 'oauth1', 'api_key', 'basic', 'token_exchange', 'signature',
    'installation', 'mcp', 'none')),
  ADD COLUMN hosts TEXT NOT NULL DEFAULT '',
  ADD COLUMN account_id TEXT,
  ADD COLUMN account_name TEXT,
  ADD COLUMN policy TEXT,
  ADD COLUMN refreshed_at_us BIGINT,
  ADD COLUMN used_at_us BIGINT;
ALTER TABLE connection ALTER COLUMN hosts DROP DEFAULT;
CREATE INDEX connection_customer ON connection (customer_id, id);

ALTER TABLE connect_session
  ALTER COLUMN app DROP NOT NULL,
  ALTER COLUMN connection_name DROP NOT NULL,
  ADD COLUMN oauth_client_id TEXT REFERENCES oauth_client (id) ON DELETE SET NULL,
  ADD COLUMN scope_profile TEXT,
  ADD COLUMN scopes TEXT NOT NULL DEFAULT '',
  ADD COLUMN allowed_origins TEXT NOT NULL DEFAULT '',
  ADD COLUMN error_url TEXT,
  ADD COLUMN webhook_url TEXT;
ALTER TABLE connect_session
  ALTER COLUMN scopes DROP DEFAULT,
  ALTER COLUMN allowed_origins DROP DEFAULT;

ALTER TABLE oauth_flow
  ADD COLUMN app TEXT NOT NULL DEFAULT '',
  ADD COLUMN scheme TEXT NOT NULL DEFAULT 'oauth2'
    CHECK (scheme IN ('oauth2', 'device', 'oauth1', 'installation', 'mcp')),
  ADD COLUMN outcome TEXT,
  ADD COLUMN poll_at_us BIGINT,
  ADD COLUMN poll_seconds BIGINT,
  ADD CHECK ((poll_at_us IS NULL) = (poll_seconds IS NULL));
UPDATE oauth_flow SET app = connect_session.app FROM connect_session
  WHERE connect_session.id = connect_session_id AND connect_session.app IS NOT NULL;
ALTER TABLE oauth_flow
  ALTER COLUMN app DROP DEFAULT,
  ALTER COLUMN scheme DROP DEFAULT;
CREATE INDEX oauth_flow_session ON oauth_flow (connect_session_id, id);
CREATE INDEX oauth_flow_due ON oauth_flow (poll_at_us)
  WHERE poll_at_us IS NOT NULL AND used_at_us IS NULL;

CREATE TABLE connect_settings (
  environment_id TEXT PRIMARY KEY NOT NULL REFERENCES environment (id),
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  company TEXT NOT NULL,
  support_email TEXT NOT NULL,
  theme TEXT NOT NULL,
  return_origins TEXT NOT NULL,
  credential_export BIGINT NOT NULL,
  updated_at_us BIGINT NOT NULL
);
