-- Endpoints that are not there for events: the project webhook, and where one connect session
-- reports how it came out.
ALTER TABLE webhook_endpoint ADD COLUMN purpose TEXT NOT NULL DEFAULT 'events'
  CHECK (purpose IN ('events', 'project', 'session'));
CREATE INDEX webhook_endpoint_sessions ON webhook_endpoint (created_at_us)
  WHERE purpose = 'session';

-- The project webhook is such an endpoint from here on. Its sealed target opens nowhere but in its
-- old place, so it has to be set anew.
DROP TABLE project_webhook;

-- Where a session reports to is sealed together with its token.
UPDATE connect_session SET token = NULL WHERE token IS NOT NULL;
ALTER TABLE connect_session DROP COLUMN webhook_url;
