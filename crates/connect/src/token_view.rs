//! What a connect token is for: seen before it is used, and said more closely while nobody has
//! gone on with it.

use crate::holder::TokenError;
use crate::sessions::tenant_of;
use crate::{Connect, Inner, settings};
use causeway_catalog::App;
use causeway_store::{Bookkeeping, db};
use causeway_types::entity::{
    AppOverride, ConnectSession, ConnectionState, EnvironmentKind, NarrowedSession,
};
use causeway_types::{Actor, AppOverrideId, ConnectionId, OAuthClientId, ProjectId};
use std::sync::Arc;

/// What somebody wants to do with a token.
#[derive(Debug, Clone, Default)]
pub struct TokenAsk {
    /// Connect the app of this slug.
    pub app: Option<String>,
    /// Renew this connection.
    pub connection: Option<ConnectionId>,
    /// Use this client of the company's.
    pub oauth_client: Option<OAuthClientId>,
    /// Ask for this set of scopes of the app's row.
    pub scope_profile: Option<String>,
    /// Have fields filled in by this override.
    pub app_override: Option<AppOverrideId>,
}

/// What a token is for.
#[derive(Debug, Clone)]
pub struct TokenView {
    /// The app's slug; `None` as long as it is open.
    pub app: Option<String>,
    /// The project.
    pub project: ProjectId,
    /// What the company is called there.
    pub company: String,
    /// Where its customers get help; may be empty.
    pub support_email: String,
    /// Which of the project's environments.
    pub environment: EnvironmentKind,
    /// Where the customer goes afterwards.
    pub return_url: Option<String>,
    /// Where the customer goes if it did not work.
    pub error_url: Option<String>,
    /// The company's client that is used.
    pub oauth_client: Option<OAuthClientId>,
    /// The override that fills fields in.
    pub app_override: Option<AppOverrideId>,
    /// The names of the fields that are filled in.
    pub field_names: Vec<String>,
}

/// What is asked of a token, found.
struct Found {
    app: Option<Arc<App>>,
    oauth_client: Option<OAuthClientId>,
    app_override: Option<AppOverride>,
}

impl Connect {
    /// What a token is for, if it can be used for what is asked.
    ///
    /// # Errors
    /// [`TokenError::Refused`]; [`TokenError::Other`] says what it is not for.
    pub async fn token_view(&self, token: &str, ask: &TokenAsk) -> Result<TokenView, TokenError> {
        let inner = &self.inner;
        let session = inner.session_of(token).await?;
        inner.still_open(&session)?;
        inner.held(&session).await?;
        let found = inner.find_asked(&session, ask).await?;
        let tenant = tenant_of(&session);
        let own = settings::view(&inner.settings_of(tenant).await?);
        let mut conn = inner.store.read().await?;
        let environment = db!(conn, workspace::environment(tenant.environment))?
            .ok_or(TokenError::Refused(None))?;
        let project = db!(conn, workspace::project(tenant.workspace, tenant.project))?
            .ok_or(TokenError::Refused(None))?;
        drop(conn);
        let field_names = match &found.app_override {
            Some(one) => inner.filled_in(one).await?.into_keys().collect(),
            None => Vec::new(),
        };
        Ok(TokenView {
            app: found.app.as_ref().map(|app| app.slug.to_string()),
            project: project.id,
            company: if own.company.is_empty() { project.name } else { own.company },
            support_email: own.support_email,
            environment: environment.kind,
            return_url: session.return_url,
            error_url: session.error_url,
            oauth_client: found.oauth_client,
            app_override: found.app_override.map(|one| one.id),
            field_names,
        })
    }

    /// Says more closely what a token is for, as long as no browser has gone on with it, and
    /// returns the app's slug. What it was made for, or was said before, stays.
    ///
    /// # Errors
    /// [`TokenError::Refused`]; [`TokenError::Other`] says what it is not for.
    pub async fn narrow_token(
        &self,
        token: &str,
        ask: &TokenAsk,
    ) -> Result<Option<String>, TokenError> {
        let inner = &self.inner;
        let session = inner.session_of(token).await?;
        inner.still_open(&session)?;
        inner.held(&session).await?;
        let found = inner.find_asked(&session, ask).await?;
        let slug = found.app.as_ref().map(|app| app.slug.to_string());
        let narrowed = NarrowedSession {
            app: slug.as_deref(),
            reconnect: ask.connection,
            oauth_client: found.oauth_client,
            scope_profile: ask.scope_profile.as_deref(),
            app_override: found.app_override.as_ref().map(|one| one.id),
        };
        // An app alone is chosen on the page, in the browser that goes on.
        let only_app = NarrowedSession { app: slug.as_deref(), ..NarrowedSession::default() };
        if narrowed != only_app {
            let (workspace, now) = (session.workspace_id, inner.clock.now());
            let mut tx = inner.store.write(Actor::Customer(session.id)).await?;
            let ours = db!(tx, connect_token::narrow(workspace, session.id, &narrowed, now))?;
            if !ours && !inner.is_narrowed(&session, &narrowed).await? {
                return Err(TokenError::Other { what: "use" });
            }
            tx.commit_bookkeeping(Bookkeeping::ConnectProgress).await?;
        }
        Ok(slug)
    }
}

impl Inner {
    /// Finds what is asked of a session, and whether it fits together.
    async fn find_asked(
        &self,
        session: &ConnectSession,
        ask: &TokenAsk,
    ) -> Result<Found, TokenError> {
        let tenant = tenant_of(session);
        let other = |what| TokenError::Other { what };
        let mut conn = self.store.read().await?;
        let token = db!(conn, connect_token::get(tenant.workspace, session.id))?;
        let override_id = ask.app_override.or(token.and_then(|token| token.override_id));
        let app_override = match override_id {
            Some(id) => {
                Some(db!(conn, app_override::get(tenant, id))?.ok_or(other("app override"))?)
            }
            None => None,
        };
        let of_override = app_override.as_ref().and_then(|one| one.oauth_client_id);
        let oauth_client = ask.oauth_client.or(session.oauth_client_id).or(of_override);
        let client_app = match oauth_client {
            Some(id) => {
                let found = db!(conn, oauth_client::get(tenant, id))?;
                Some(found.ok_or(other("OAuth app"))?.app)
            }
            None => None,
        };
        let connection_app = match ask.connection.or(session.reconnect_id) {
            Some(id) => {
                let found = db!(conn, connection::get(tenant, id))?
                    .filter(|one| one.customer_id == session.customer_id)
                    .filter(|one| one.state != ConnectionState::Revoked);
                Some(found.ok_or(other("account"))?.app)
            }
            None => None,
        };
        drop(conn);
        let named: Vec<&str> = [
            session.app.as_deref(),
            ask.app.as_deref(),
            app_override.as_ref().map(|one| one.app.as_str()),
            client_app.as_deref(),
            connection_app.as_deref(),
        ]
        .into_iter()
        .flatten()
        .collect();
        if named.windows(2).any(|two| two.first() != two.last()) {
            return Err(other("app"));
        }
        let app = match named.first() {
            Some(slug) => Some(self.catalog.get(slug).ok_or(other("app"))?),
            None => None,
        };
        if let Some(profile) = &ask.scope_profile {
            let profiles = app.as_deref().and_then(|app| app.auth.oauth2.as_ref());
            let mut profiles = profiles.into_iter().flat_map(|row| &row.scopes.profiles);
            if !profiles.any(|one| one.name.as_str() == profile) {
                return Err(other("set of scopes"));
            }
        }
        Ok(Found { app, oauth_client, app_override })
    }

    /// Whether a session was narrowed to this before, by a page that was loaded twice.
    async fn is_narrowed(
        &self,
        session: &ConnectSession,
        to: &NarrowedSession<'_>,
    ) -> Result<bool, TokenError> {
        let mut conn = self.store.read().await?;
        let token = db!(conn, connect_token::get(session.workspace_id, session.id))?;
        let held = token.and_then(|token| token.override_id);
        Ok(to.app.is_none_or(|app| session.app.as_deref() == Some(app))
            && to.reconnect.is_none_or(|id| session.reconnect_id == Some(id))
            && to.oauth_client.is_none_or(|id| session.oauth_client_id == Some(id))
            && to.scope_profile.is_none_or(|name| session.scope_profile.as_deref() == Some(name))
            && to.app_override.is_none_or(|id| held == Some(id)))
    }
}
