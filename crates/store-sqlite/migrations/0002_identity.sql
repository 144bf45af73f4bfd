CREATE TABLE identity_provider (
  id TEXT PRIMARY KEY NOT NULL,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  kind TEXT NOT NULL CHECK (kind IN ('google', 'github', 'oidc')),
  name TEXT NOT NULL,
  issuer TEXT NOT NULL,
  client_id TEXT NOT NULL,
  secret BLOB NOT NULL,
  created_at_us INTEGER NOT NULL,
  updated_at_us INTEGER NOT NULL,
  UNIQUE (workspace_id, name)
) STRICT;

CREATE TABLE user_account (
  id TEXT PRIMARY KEY NOT NULL,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  email TEXT NOT NULL,
  name TEXT NOT NULL,
  created_at_us INTEGER NOT NULL,
  signed_in_at_us INTEGER NOT NULL,
  UNIQUE (workspace_id, email)
) STRICT;

CREATE TABLE user_identity (
  provider_id TEXT NOT NULL REFERENCES identity_provider (id) ON DELETE CASCADE,
  subject TEXT NOT NULL,
  user_id TEXT NOT NULL REFERENCES user_account (id) ON DELETE CASCADE,
  created_at_us INTEGER NOT NULL,
  PRIMARY KEY (provider_id, subject)
) STRICT;

CREATE TABLE sign_in_flow (
  id TEXT PRIMARY KEY NOT NULL,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  provider_id TEXT NOT NULL REFERENCES identity_provider (id) ON DELETE CASCADE,
  purpose TEXT NOT NULL CHECK (purpose IN ('sign_in', 'step_up', 'claim', 'invitation')),
  purpose_digest BLOB,
  session_id TEXT,
  browser_digest BLOB NOT NULL,
  secrets BLOB NOT NULL,
  return_path TEXT NOT NULL,
  created_at_us INTEGER NOT NULL,
  expires_at_us INTEGER NOT NULL,
  used_at_us INTEGER
) STRICT;
CREATE INDEX sign_in_flow_workspace ON sign_in_flow (workspace_id, id);
CREATE INDEX sign_in_flow_expiry ON sign_in_flow (expires_at_us);

CREATE TABLE session (
  id TEXT PRIMARY KEY NOT NULL,
  user_id TEXT NOT NULL REFERENCES user_account (id) ON DELETE CASCADE,
  provider_id TEXT NOT NULL REFERENCES identity_provider (id) ON DELETE CASCADE,
  digest BLOB NOT NULL UNIQUE,
  email TEXT NOT NULL,
  hosted_domain TEXT,
  authentication TEXT NOT NULL,
  authenticated_at_us INTEGER NOT NULL,
  mfa_at_us INTEGER,
  address TEXT NOT NULL,
  user_agent TEXT NOT NULL,
  created_at_us INTEGER NOT NULL,
  last_seen_at_us INTEGER NOT NULL,
  expires_at_us INTEGER NOT NULL,
  revoked_at_us INTEGER
) STRICT;
CREATE INDEX session_of_user ON session (user_id, id);
CREATE INDEX session_expiry ON session (expires_at_us);

CREATE TABLE claim_link (
  workspace_id TEXT PRIMARY KEY NOT NULL REFERENCES workspace (id),
  token_digest BLOB NOT NULL,
  created_at_us INTEGER NOT NULL,
  expires_at_us INTEGER NOT NULL,
  used_at_us INTEGER
) STRICT;

CREATE TABLE sso_policy (
  workspace_id TEXT PRIMARY KEY NOT NULL REFERENCES workspace (id),
  rules TEXT NOT NULL,
  updated_at_us INTEGER NOT NULL
) STRICT;

CREATE TABLE member (
  id TEXT PRIMARY KEY NOT NULL,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  user_id TEXT REFERENCES user_account (id),
  email TEXT NOT NULL,
  name TEXT NOT NULL,
  external_id TEXT,
  origin TEXT NOT NULL CHECK (origin IN ('claim', 'invitation', 'scim')),
  state TEXT NOT NULL CHECK (state IN ('active', 'deactivated')),
  created_at_us INTEGER NOT NULL,
  updated_at_us INTEGER NOT NULL,
  last_active_at_us INTEGER,
  UNIQUE (workspace_id, email)
) STRICT;
CREATE UNIQUE INDEX member_user ON member (workspace_id, user_id) WHERE user_id IS NOT NULL;
CREATE INDEX member_of_user ON member (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX member_page ON member (workspace_id, id);

CREATE TABLE member_group (
  id TEXT PRIMARY KEY NOT NULL,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  name TEXT NOT NULL,
  external_id TEXT,
  created_at_us INTEGER NOT NULL,
  updated_at_us INTEGER NOT NULL,
  UNIQUE (workspace_id, name)
) STRICT;

CREATE TABLE group_member (
  group_id TEXT NOT NULL REFERENCES member_group (id) ON DELETE CASCADE,
  member_id TEXT NOT NULL REFERENCES member (id) ON DELETE CASCADE,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  PRIMARY KEY (group_id, member_id)
) STRICT;
CREATE INDEX group_member_member ON group_member (member_id, group_id);

CREATE TABLE role_grant (
  id TEXT PRIMARY KEY NOT NULL,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  member_id TEXT REFERENCES member (id) ON DELETE CASCADE,
  group_id TEXT REFERENCES member_group (id) ON DELETE CASCADE,
  role TEXT NOT NULL CHECK (role IN ('owner', 'admin', 'developer', 'operator', 'viewer', 'auditor')),
  project_id TEXT REFERENCES project (id),
  created_at_us INTEGER NOT NULL,
  CHECK ((member_id IS NULL) <> (group_id IS NULL))
) STRICT;
CREATE INDEX role_grant_workspace ON role_grant (workspace_id, id);
CREATE INDEX role_grant_member ON role_grant (member_id) WHERE member_id IS NOT NULL;
CREATE INDEX role_grant_group ON role_grant (group_id) WHERE group_id IS NOT NULL;

CREATE TABLE invitation (
  id TEXT PRIMARY KEY NOT NULL,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  email TEXT NOT NULL,
  role TEXT NOT NULL CHECK (role IN ('owner', 'admin', 'developer', 'operator', 'viewer', 'auditor')),
  project_id TEXT REFERENCES project (id),
  token_digest BLOB NOT NULL UNIQUE,
  invited_by TEXT NOT NULL,
  created_at_us INTEGER NOT NULL,
  expires_at_us INTEGER NOT NULL,
  accepted_at_us INTEGER,
  revoked_at_us INTEGER
) STRICT;
CREATE INDEX invitation_workspace ON invitation (workspace_id, id);

DROP TABLE api_key;
CREATE TABLE api_key (
  id TEXT PRIMARY KEY NOT NULL,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  project_id TEXT NOT NULL REFERENCES project (id),
  environment_id TEXT NOT NULL REFERENCES environment (id),
  name TEXT NOT NULL,
  hint TEXT NOT NULL,
  digest BLOB NOT NULL UNIQUE,
  scopes TEXT NOT NULL,
  created_by TEXT NOT NULL,
  created_at_us INTEGER NOT NULL,
  expires_at_us INTEGER,
  last_used_at_us INTEGER,
  revoked_at_us INTEGER
) STRICT;
CREATE INDEX api_key_workspace ON api_key (workspace_id, id);

DROP TABLE machine_client;
CREATE TABLE machine_client (
  id TEXT PRIMARY KEY NOT NULL,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  project_id TEXT NOT NULL REFERENCES project (id),
  environment_id TEXT NOT NULL REFERENCES environment (id),
  name TEXT NOT NULL,
  digest BLOB,
  public_keys TEXT,
  scopes TEXT NOT NULL,
  created_by TEXT NOT NULL,
  created_at_us INTEGER NOT NULL,
  last_used_at_us INTEGER,
  revoked_at_us INTEGER,
  CHECK (digest IS NOT NULL OR public_keys IS NOT NULL)
) STRICT;
CREATE INDEX machine_client_workspace ON machine_client (workspace_id, id);

CREATE TABLE client_assertion (
  client_id TEXT NOT NULL REFERENCES machine_client (id) ON DELETE CASCADE,
  jti TEXT NOT NULL,
  expires_at_us INTEGER NOT NULL,
  PRIMARY KEY (client_id, jti)
) STRICT;
CREATE INDEX client_assertion_expiry ON client_assertion (expires_at_us);

CREATE TABLE revoked_token (
  jti TEXT PRIMARY KEY NOT NULL,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  expires_at_us INTEGER NOT NULL
) STRICT;
CREATE INDEX revoked_token_expiry ON revoked_token (expires_at_us);

CREATE TABLE signing_key (
  id TEXT PRIMARY KEY NOT NULL,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  purpose TEXT NOT NULL CHECK (purpose IN ('access_token', 'audit', 'token_digest')),
  public_key BLOB NOT NULL,
  secret BLOB NOT NULL,
  created_at_us INTEGER NOT NULL,
  retired_at_us INTEGER
) STRICT;
CREATE INDEX signing_key_workspace ON signing_key (workspace_id, id);
CREATE UNIQUE INDEX signing_key_active ON signing_key (purpose) WHERE retired_at_us IS NULL;

CREATE TABLE audit_checkpoint (
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  seq INTEGER NOT NULL,
  hash BLOB NOT NULL,
  at_us INTEGER NOT NULL,
  signing_key_id TEXT NOT NULL,
  signature BLOB NOT NULL,
  PRIMARY KEY (workspace_id, seq)
) STRICT;
CREATE INDEX audit_at ON audit (workspace_id, at_us);
ALTER TABLE audit_head ADD COLUMN retention_days INTEGER;

CREATE TABLE access_request (
  id TEXT PRIMARY KEY NOT NULL,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  user_id TEXT NOT NULL REFERENCES user_account (id),
  role TEXT NOT NULL CHECK (role IN ('owner', 'admin', 'developer', 'operator', 'viewer', 'auditor')),
  reason TEXT NOT NULL,
  minutes INTEGER NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('pending', 'approved', 'denied', 'ended')),
  requested_at_us INTEGER NOT NULL,
  decided_by TEXT,
  decided_at_us INTEGER,
  expires_at_us INTEGER,
  ended_at_us INTEGER
) STRICT;
CREATE INDEX access_request_workspace ON access_request (workspace_id, id);
CREATE INDEX access_request_user ON access_request (user_id, id);

CREATE TABLE vulnerability_report (
  id TEXT PRIMARY KEY NOT NULL,
  workspace_id TEXT NOT NULL REFERENCES workspace (id),
  message TEXT NOT NULL,
  received_at_us INTEGER NOT NULL,
  mailed_at_us INTEGER
) STRICT;
CREATE INDEX vulnerability_report_workspace ON vulnerability_report (workspace_id, id);
