//! OAuth as the Model Context Protocol describes it:
//! <https://modelcontextprotocol.io/specification/2025-06-18/basic/authorization>.
//!
//! The server says which authorization server it trusts (RFC 9728), that one says where its
//! endpoints are (RFC 8414, or OpenID Connect Discovery), and takes Causeway for a client by its
//! metadata document or by dynamic registration (RFC 7591). Every request names the server that the
//! token is for (RFC 8707), so that a token of one is of no use at another. PKCE is demanded: an
//! authorization server that does not announce S256 is refused, as the protocol demands.
//!
//! Nothing of the company's goes to a server that a customer names: a client that the company made
//! by hand is used only where the row's own URL leads, and a registered one only at the
//! authorization server that it was registered at.

mod discovery;
mod register;

pub use discovery::DiscoveryError;

use super::context::Context;
use super::oauth2::{Exchange, granted_code};
use super::{Callback, Finished, FlowError, LIFETIME, Matched, mismatch, scopes, unsupported};
use crate::Inner;
use crate::credential::Stored;
use crate::error::InvalidInput;
use crate::limits;
use crate::link::Opened;
use crate::sessions::tenant_of;
use causeway_catalog::{App, ClientAuth, Mcp, OAuth2};
use causeway_types::SecretString;
use causeway_types::entity::Scheme;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;
use url::Url;

/// What the names begin with under which a credential keeps what was found out. They are no
/// secrets.
pub(crate) const FIELDS: &str = "mcp_";
/// The name under which a credential keeps its authorization server, as JSON.
const SERVER: &str = "mcp_server";

/// An authorization server, and the MCP server that it gives tokens for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Server {
    pub(crate) issuer: String,
    pub(crate) authorization_endpoint: String,
    pub(crate) token_endpoint: String,
    pub(crate) revocation_endpoint: Option<String>,
    /// The MCP server's identifier (RFC 8707).
    pub(crate) resource: String,
    /// Whether its answers name it (RFC 9207).
    pub(crate) names_itself: bool,
    /// How the client proves itself.
    pub(crate) client_auth: ClientAuth,
}

impl Server {
    /// The same as a row says it of other apps.
    pub(crate) fn row(&self) -> Option<OAuth2> {
        let revoke = self.revocation_endpoint.as_ref();
        let row = json!({
            "docs": "https://modelcontextprotocol.io/specification/2025-06-18/basic/authorization",
            "authorization_url": self.authorization_endpoint,
            "authorization_params": { "resource": self.resource },
            "token_url": self.token_endpoint,
            "token_params": { "resource": self.resource },
            "client_auth": self.client_auth,
            "pkce": "required",
            // OAuth 2.1, section 4.3.1, demands it of public clients.
            "refresh": { "rotates": true },
            "revoke": revoke.map(|url| json!({ "url": url, "client_auth": self.client_auth })),
        });
        serde_json::from_value(row).ok()
    }
}

/// What a row would say of the authorization server of a connection by this scheme.
pub(crate) fn row_of(stored: &Stored) -> Option<OAuth2> {
    let server: Server = serde_json::from_str(stored.value(SERVER)?).ok()?;
    server.row()
}

impl Inner {
    /// Begins a flow: finds out where to go, and becomes a client there.
    pub(super) async fn begin_mcp(
        &self,
        opened: &Opened,
        mut context: Context,
    ) -> Result<Url, FlowError> {
        let app = &*opened.app;
        let row = app.auth.mcp.as_ref().ok_or_else(|| unsupported(app, Scheme::Mcp))?;
        let url = server_url(app, row, &context)?;
        let unclear =
            |source: DiscoveryError| FlowError::Discovery { app: app.name.clone(), source };
        let found = self.discover(&url).await.map_err(unclear)?;
        let (client, server) = self.mcp_client(opened, row, &found).await?;
        let usual = if row.scopes.is_empty() { &found.scopes } else { &row.scopes };
        let renewed = self.renewed_by(opened.tenant, &opened.session).await?;
        let renewed = renewed.filter(|one| one.scheme == Scheme::Mcp);
        context.asked = scopes::asked(usual, &[], &opened.session, renewed.as_ref());
        // A refresh token is asked for where the server has a scope for it.
        let offline = "offline_access";
        if found.knows_scope(offline) && !context.asked.iter().any(|scope| scope == offline) {
            context.asked.push(offline.to_owned());
        }
        context.client = Some(client.row.id);
        let oauth2 = server.row().ok_or_else(|| unclear(DiscoveryError::Endpoint("endpoints")))?;
        let new = self.new_flow(opened);
        let to = self.authorization_url(app, &oauth2, &client, &context, &new)?;
        context.server = Some(server);
        let until = self.clock.now().plus(LIFETIME);
        self.keep_flow(opened, Scheme::Mcp, &new, &context, (until, None)).await?;
        Ok(to)
    }

    /// Ends a flow: exchanges the code, tries the tokens, and makes or renews the connection.
    pub(super) async fn finish_mcp(
        &self,
        app: &Arc<App>,
        matched: Matched,
        callback: Callback,
    ) -> Result<Finished, FlowError> {
        let Matched { session, flow, secret, context } = matched;
        let server = context.server.ok_or(mismatch("a flow without its server"))?;
        let row = server.row().ok_or(mismatch("a flow whose server does not read"))?;
        let named = match callback.iss.as_deref() {
            Some(iss) => discovery::is_same(iss, &server.issuer),
            None => !server.names_itself,
        };
        if !named {
            return Err(FlowError::Issuer { app: app.name.clone() });
        }
        let code = granted_code(app, callback)?;
        let client = self.client_by_id(tenant_of(&session), app, context.client).await?;
        let mut stored = Stored::of_fields(context.fields);
        // Texts always become JSON.
        let kept = serde_json::to_string(&server).unwrap_or_default();
        stored.fields.insert(SERVER.to_owned(), SecretString::new(kept));
        let exchange = Exchange {
            app,
            row: &row,
            scheme: Scheme::Mcp,
            client: &client,
            secret: &secret,
            code: &code,
            stored,
            asked: &context.asked,
        };
        self.conclude_exchange(session, flow.id, exchange).await
    }
}

/// The MCP server's URL, without a fragment (RFC 8707, section 2).
fn server_url(app: &App, row: &Mcp, context: &Context) -> Result<Url, FlowError> {
    let value = |name: &str| context.fields.get(name).map(|value| value.expose().as_str());
    let filled = row.url.fill(value).filter(limits::is_web);
    let mut url = filled.ok_or_else(|| {
        let field = app.fields.first().map_or("url", |field| field.name.as_str());
        InvalidInput::new(field, "it leads to no address; check that it is copied whole")
    })?;
    url.set_fragment(None);
    Ok(url)
}
