//! An MCP server and its authorization server, which stands at another host:
//! modelcontextprotocol.io/specification/2025-06-18/basic/authorization.

use super::oauth2::At;
use super::{Answer, Client, Plan, State};
use crate::seen::{Fault, Seen};
use causeway_catalog::{Mcp, McpRegistration, OAuth2};
use causeway_types::Timestamp;
use serde_json::{Value, json};
use url::Url;

/// The scopes that the server wants; the last is for refresh tokens.
pub(crate) const SCOPES: [&str; 2] = ["tools.read", "offline_access"];

impl State {
    /// Answers at the endpoints of the scheme; `None` if the request is at none of them.
    pub(super) fn mcp(
        &mut self,
        plan: &Plan,
        seen: &Seen,
        now: Timestamp,
    ) -> Result<Option<Answer>, Fault> {
        let row = plan.app().auth.mcp.as_ref().ok_or("the row has no mcp")?;
        let server = plan.url(&row.url)?;
        let issuer = plan.issuer();
        let metadata: Url = server
            .join(&format!("/.well-known/oauth-protected-resource{}", server.path()))
            .map_err(|_| "the metadata has no URL")?;
        if seen.is_at(&server) && seen.header("authorization").is_none() {
            // RFC 9728, section 5.1.
            let text = format!("Bearer resource_metadata=\"{metadata}\", scope=\"{}\"", SCOPES[0]);
            self.count("challenge", seen);
            return Ok(Some(Answer::Challenge(text)));
        }
        if seen.method == "GET" && seen.is_at(&metadata) {
            self.count("resource", seen);
            return Ok(Some(Answer::Json(json!({
                "resource": server.as_str(),
                "authorization_servers": [issuer],
                "bearer_methods_supported": ["header"],
            }))));
        }
        let at = |path: &str| format!("{issuer}{path}").parse::<Url>().unwrap();
        if seen.method == "GET" && seen.is_at(&at("/.well-known/oauth-authorization-server")) {
            self.count("metadata", seen);
            return Ok(Some(Answer::Json(metadata_of(row, &issuer))));
        }
        if seen.method == "POST" && seen.is_at(&at("/register")) {
            return self.register(plan, row, seen).map(Some);
        }
        let client = match &self.registered {
            Some(client) => client.clone(),
            // Its id is the URL of its own document, at Causeway's host.
            None => plan.client_of_document(row, seen)?,
        };
        let oauth2 = as_oauth2(&issuer, &server, &client)?;
        self.oauth2_at(&At { plan, row: &oauth2, client: &client }, seen, now)
    }

    /// RFC 7591, section 3.
    fn register(&mut self, plan: &Plan, row: &Mcp, seen: &Seen) -> Result<Answer, Fault> {
        if row.registration.first() != Some(&McpRegistration::Dynamic) {
            return Err("the row prefers another way to become a client".into());
        }
        let body: Value = serde_json::from_slice(&seen.body).map_err(|_| "it is no JSON")?;
        for (name, wanted) in [
            ("redirect_uris", json!([plan.redirect_uri])),
            ("grant_types", json!(["authorization_code", "refresh_token"])),
            ("response_types", json!(["code"])),
            ("token_endpoint_auth_method", json!("client_secret_basic")),
        ] {
            if body[name] != wanted {
                return Err(format!("`{name}` of the registration is {}", body[name]));
            }
        }
        let client = Client {
            id: format!("registered-{}", plan.app().slug),
            secret: self.fresh("registered_secret"),
            ..Client::default()
        };
        self.count("register", seen);
        let answer = json!({
            "client_id": client.id,
            "client_secret": client.secret,
            "client_secret_expires_at": 0,
            "token_endpoint_auth_method": "client_secret_basic",
        });
        self.registered = Some(client);
        Ok(Answer::Json(answer))
    }
}

impl Plan {
    fn issuer(&self) -> String {
        format!("https://auth-of-{}.example:{}", self.app().slug, self.row.port)
    }

    /// draft-ietf-oauth-client-id-metadata-document, section 3: an https URL with a path.
    fn client_of_document(&self, row: &Mcp, seen: &Seen) -> Result<Client, Fault> {
        if !row.registration.contains(&McpRegistration::MetadataDocument) {
            return Err("nobody has registered".into());
        }
        let own = seen.query().take("client_id");
        let own = own.or_else(|| {
            let mut body = seen.members(causeway_catalog::BodyForm::Form).ok()?;
            body.take("client_id")
        });
        let Some(id) = own else { return Ok(Client::default()) };
        let (url, back) = (id.parse::<Url>(), self.redirect_uri.parse::<Url>());
        match (url, back) {
            (Ok(url), Ok(back)) if url.origin() == back.origin() && url.path() != "/" => {
                Ok(Client { id, ..Client::default() })
            }
            _ => Err(format!("`{id}` is no document of the client")),
        }
    }
}

/// RFC 8414, section 2.
fn metadata_of(row: &Mcp, issuer: &str) -> Value {
    let mut metadata = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "revocation_endpoint": format!("{issuer}/revoke"),
        "response_types_supported": ["code"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "none"],
        "scopes_supported": SCOPES,
    });
    for way in &row.registration {
        match way {
            McpRegistration::MetadataDocument => {
                metadata["client_id_metadata_document_supported"] = true.into();
            }
            McpRegistration::Dynamic => {
                metadata["registration_endpoint"] = format!("{issuer}/register").into();
            }
            McpRegistration::Static => {}
        }
    }
    metadata
}

/// The authorization server as a row would say it. RFC 8707: the resource is always named.
fn as_oauth2(issuer: &str, server: &Url, client: &Client) -> Result<OAuth2, Fault> {
    let auth = if client.secret.is_empty() { "none" } else { "basic" };
    serde_json::from_value(json!({
        "docs": "https://modelcontextprotocol.io/",
        "authorization_url": format!("{issuer}/authorize"),
        "authorization_params": { "resource": server.as_str() },
        "token_url": format!("{issuer}/token"),
        "token_params": { "resource": server.as_str() },
        "client_auth": auth,
        "pkce": "required",
        "refresh": { "rotates": true },
        "revoke": { "url": format!("{issuer}/revoke"), "client_auth": auth },
    }))
    .map_err(|error| error.to_string())
}
