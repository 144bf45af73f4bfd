//! Becoming a client of an authorization server.

use super::Server;
use super::discovery::{DiscoveryError, Found, Metadata, endpoint};
use crate::client::Client;
use crate::flow::{FlowError, OwnClient};
use crate::limits::shown;
use crate::link::{self, Opened};
use crate::oauth_clients::NewOAuthClient;
use crate::{Connect, Inner};
use bytes::Bytes;
use causeway_catalog::{ClientAuth, Mcp, McpRegistration};
use causeway_net::{HttpError, RequestLimits};
use causeway_store::{Audit, db};
use causeway_types::entity::OAuthClient;
use causeway_types::{Actor, EnvironmentId, SecretString, Tenant};
use http::Request;
use http::header::{ACCEPT, CONTENT_TYPE};
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;
use url::Url;

/// Time for the registration.
const TIMEOUT: Duration = Duration::from_secs(20);
/// The largest answer, in bytes.
const MOST_BYTES: u64 = 64 * 1024;
/// A secret that expires sooner is not begun with.
const SECRET_LASTS: Duration = Duration::from_hours(24);

/// What a registered client keeps beside its secret.
mod kept {
    /// Where its answers go.
    pub(super) const REDIRECT_URI: &str = "registered_redirect_uri";
    /// When its secret expires, in seconds since 1970; 0 if it does not.
    pub(super) const EXPIRES: &str = "registered_secret_expires";
    /// How it proves itself, in the words of RFC 7591, section 2.
    pub(super) const AUTH: &str = "registered_auth_method";
}

/// RFC 7591, section 3.2.1.
#[derive(Deserialize)]
struct Registered {
    client_id: String,
    client_secret: Option<SecretString>,
    #[serde(default)]
    client_secret_expires_at: u64,
    token_endpoint_auth_method: Option<String>,
}

/// RFC 7591, section 3.2.2.
#[derive(Deserialize)]
struct Refused {
    error: Option<String>,
    error_description: Option<String>,
}

impl Connect {
    /// The metadata document of Causeway's client for an environment: what stands at the URL that
    /// is its `client_id` (draft-ietf-oauth-client-id-metadata-document, section 4).
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn client_metadata(
        &self,
        environment: EnvironmentId,
    ) -> Result<serde_json::Value, causeway_store::Error> {
        let inner = &self.inner;
        let company = self.company(environment).await?;
        let base = inner.base_url();
        let name = company.unwrap_or_else(|| base.host_str().unwrap_or_default().to_owned());
        Ok(json!({
            "client_id": inner.metadata_url(environment).as_str(),
            "client_name": name,
            "client_uri": base.as_str(),
            "redirect_uris": [inner.callback_url.as_str()],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
        }))
    }
}

impl Inner {
    /// Where this server stands.
    fn base_url(&self) -> Url {
        // The callback is `<base>/connect/callback`.
        self.callback_url.join("..").unwrap_or_else(|_| self.callback_url.clone())
    }

    /// The `client_id` that is the URL of a metadata document.
    fn metadata_url(&self, environment: EnvironmentId) -> Url {
        let base = self.base_url();
        base.join(&format!("oauth/client-metadata/{environment}")).unwrap_or(base)
    }

    /// The client for an authorization server, by the first of the row's ways that is open, and
    /// what is kept of the server.
    pub(super) async fn mcp_client(
        &self,
        opened: &Opened,
        row: &Mcp,
        found: &Found,
    ) -> Result<(OwnClient, Server), FlowError> {
        let unclear = |source| FlowError::Discovery { app: opened.app.name.clone(), source };
        let metadata = &found.metadata;
        let mut server = Server {
            issuer: metadata.issuer.clone(),
            authorization_endpoint: endpoint(
                metadata.authorization_endpoint.as_ref(),
                "authorization_endpoint",
            )
            .map_err(unclear)?,
            token_endpoint: endpoint(metadata.token_endpoint.as_ref(), "token_endpoint")
                .map_err(unclear)?,
            // One that cannot be used is as good as none.
            revocation_endpoint: endpoint(metadata.revocation_endpoint.as_ref(), "").ok(),
            resource: found.resource.clone(),
            names_itself: metadata.authorization_response_iss_parameter_supported,
            client_auth: ClientAuth::None,
        };
        for way in &row.registration {
            let client = match way {
                McpRegistration::MetadataDocument
                    if self.is_https() && metadata.client_id_metadata_document_supported =>
                {
                    self.by_document(opened, &server.issuer).await?
                }
                McpRegistration::Dynamic if metadata.registration_endpoint.is_some() => {
                    self.registered(opened, metadata).await?
                }
                McpRegistration::Static => match self.own_client(opened).await {
                    Ok(client) => client,
                    Err(FlowError::MissingOAuthClient { .. }) => continue,
                    Err(error) => return Err(error),
                },
                _ => continue,
            };
            server.client_auth = auth_of(&client.opened, metadata);
            return Ok((client, server));
        }
        Err(unclear(DiscoveryError::NoRegistration))
    }

    /// The client whose id is the URL of its own document. It is kept like others, so that a
    /// refresh finds it.
    async fn by_document(&self, opened: &Opened, issuer: &str) -> Result<OwnClient, FlowError> {
        let client_id = self.metadata_url(opened.tenant.environment).to_string();
        if let Some(known) = self.known(opened, issuer).await?
            && known.row.client_id == client_id
        {
            return Ok(known);
        }
        let new = NewOAuthClient {
            description: "Causeway's own, by its metadata document.".into(),
            client_id,
            ..named_after(opened, issuer)
        };
        self.keep_client(opened, new).await
    }

    /// The client that was registered before, or a new one.
    async fn registered(
        &self,
        opened: &Opened,
        metadata: &Metadata,
    ) -> Result<OwnClient, FlowError> {
        let callback = self.callback_url.as_str();
        let soon = self.clock.now().plus(SECRET_LASTS).as_secs();
        if let Some(known) = self.known(opened, &metadata.issuer).await? {
            let value = |name| known.opened.value(name);
            let expires: u64 = value(kept::EXPIRES).and_then(|at| at.parse().ok()).unwrap_or(0);
            if value(kept::REDIRECT_URI) == Some(callback) && (expires == 0 || soon < expires) {
                return Ok(known);
            }
        }
        let given = self
            .register(opened, metadata)
            .await
            .map_err(|source| FlowError::Discovery { app: opened.app.name.clone(), source })?;
        let method = given.token_endpoint_auth_method.clone();
        let usual = if given.client_secret.is_some() { "client_secret_basic" } else { "none" };
        let fields = [
            (kept::REDIRECT_URI, callback.to_owned()),
            (kept::EXPIRES, given.client_secret_expires_at.to_string()),
            (kept::AUTH, method.unwrap_or_else(|| usual.to_owned())),
        ];
        let new = NewOAuthClient {
            description: "Registered by Causeway itself (RFC 7591).".into(),
            client_id: given.client_id,
            secret: given.client_secret,
            fields: fields
                .into_iter()
                .map(|(name, value)| (name.to_owned(), SecretString::new(value)))
                .collect(),
            ..named_after(opened, &metadata.issuer)
        };
        self.keep_client(opened, new).await
    }

    /// The client that is kept for an authorization server.
    async fn known(&self, opened: &Opened, issuer: &str) -> Result<Option<OwnClient>, FlowError> {
        let slug = opened.app.slug.as_str();
        let mut conn = self.store.read().await?;
        let found = db!(conn, oauth_client::named(opened.tenant, slug, issuer))?;
        drop(conn);
        match found {
            Some(row) => {
                let client = self.open_client(&row).await?;
                Ok(Some(OwnClient { row, opened: client }))
            }
            None => Ok(None),
        }
    }

    /// Keeps a client under its authorization server's name. One that was kept there before gives
    /// its name up if connections were made with it, which work with it only.
    async fn keep_client(
        &self,
        opened: &Opened,
        new: NewOAuthClient,
    ) -> Result<OwnClient, FlowError> {
        match self.write_client(opened, &new).await {
            // Another customer's flow was faster; its client does as well.
            Err(FlowError::Store(causeway_store::Error::Conflict { .. })) => {
                let known = self.known(opened, &new.name).await?;
                known.ok_or_else(|| FlowError::MissingOAuthClient { app: new.app.clone() })
            }
            Ok(row) => {
                let client = self.open_client(&row).await?;
                Ok(OwnClient { row, opened: client })
            }
            Err(error) => Err(error),
        }
    }

    async fn write_client(
        &self,
        opened: &Opened,
        new: &NewOAuthClient,
    ) -> Result<OAuthClient, FlowError> {
        let tenant = opened.tenant;
        let row = self.sealed_client(tenant, new, None).await?;
        let mut tx = self.store.write(Actor::Customer(opened.session.id)).await?;
        if let Some(old) = db!(tx, oauth_client::named(tenant, &new.app, &new.name))? {
            let id = old.id;
            if db!(tx, oauth_client::in_use(tenant, id))? {
                let renamed = OAuthClient { name: format!("{} ({id})", old.name), ..old };
                db!(tx, oauth_client::update(&renamed))?;
            } else {
                db!(tx, oauth_client::delete(tenant, id))?;
            }
        }
        db!(tx, oauth_client::insert(&row))?;
        let event = Audit::OauthClientSet { client: row.id, app: row.app.clone() };
        tx.commit(tenant.workspace, row.updated_at, event).await?;
        Ok(row)
    }

    /// Registers a client (RFC 7591, section 3.1).
    async fn register(
        &self,
        opened: &Opened,
        metadata: &Metadata,
    ) -> Result<Registered, DiscoveryError> {
        let url = endpoint(metadata.registration_endpoint.as_ref(), "registration_endpoint")?;
        let methods = metadata.token_endpoint_auth_methods_supported.as_deref();
        // RFC 8414, section 2: left out, it is Basic.
        let methods = methods.map(|all| all.iter().map(String::as_str).collect::<Vec<_>>());
        let methods = methods.unwrap_or_else(|| vec!["client_secret_basic"]);
        let method = ["client_secret_basic", "client_secret_post", "none"]
            .into_iter()
            .find(|known| methods.contains(known))
            .unwrap_or("none");
        let body = json!({
            "client_name": self.company_of(opened.tenant).await,
            "client_uri": self.base_url().as_str(),
            "redirect_uris": [self.callback_url.as_str()],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": method,
        });
        let request = Request::post(url)
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/json")
            .body(Bytes::from(body.to_string()))
            .map_err(|_| HttpError::InvalidUrl)?;
        let limits =
            RequestLimits { total: TIMEOUT, max_response_bytes: MOST_BYTES, max_redirects: 0 };
        let response = self.http.request(request, limits).await?;
        let status = response.status();
        let body = response.bytes().await?;
        if !status.is_success() {
            let said: Option<Refused> = serde_json::from_slice(&body).ok();
            let words = said.and_then(|said| said.error_description.or(said.error));
            let words = words.map(|words| format!(": {}", shown(&words, 200))).unwrap_or_default();
            return Err(DiscoveryError::Registration(format!(
                "it answered with status {}{words}",
                status.as_u16()
            )));
        }
        let given: Option<Registered> = serde_json::from_slice(&body).ok();
        let fits = |given: &Registered| {
            crate::limits::client_id(&given.client_id).is_ok()
                && given
                    .client_secret
                    .as_ref()
                    .is_none_or(|secret| crate::limits::secret("client_secret", secret).is_ok())
        };
        given
            .filter(fits)
            .ok_or_else(|| DiscoveryError::Registration("its answer names no client".into()))
    }

    /// What others are told whose client it is.
    async fn company_of(&self, tenant: Tenant) -> String {
        let found = async {
            let mut conn = self.store.read().await?;
            let own = db!(conn, connect_session::settings(tenant))?;
            let own = own.map(|own| own.company).unwrap_or_default();
            link::company(&mut conn, tenant, own).await
        };
        // A name is no reason to fail.
        found.await.unwrap_or_default()
    }
}

fn named_after(opened: &Opened, issuer: &str) -> NewOAuthClient {
    NewOAuthClient {
        app: opened.app.slug.to_string(),
        name: issuer.to_owned(),
        ..NewOAuthClient::default()
    }
}

/// How a client proves itself at the token endpoint.
fn auth_of(client: &Client, metadata: &Metadata) -> ClientAuth {
    if client.secret.expose().is_empty() {
        return ClientAuth::None;
    }
    let methods = metadata.token_endpoint_auth_methods_supported.as_deref();
    let only_post = methods.is_some_and(|methods| {
        methods.iter().any(|method| method == "client_secret_post")
            && !methods.iter().any(|method| method == "client_secret_basic")
    });
    match client.value(kept::AUTH) {
        Some("client_secret_post") => ClientAuth::Post,
        Some("none") => ClientAuth::None,
        None if only_post => ClientAuth::Post,
        // RFC 7591, section 2: the usual way.
        _ => ClientAuth::Basic,
    }
}
