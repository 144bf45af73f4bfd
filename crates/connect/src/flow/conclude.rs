//! The end of a flow: the connection, and what its page is told.

use super::oauth2::Exchange;
use super::{Choice, Finished, FlowError, MissingScopes, unsupported};
use crate::create::{CreateError, Target, Verified};
use crate::link::{LinkError, Opened};
use crate::overrides::fill;
use crate::sessions::tenant_of;
use crate::{Connect, Inner, settings};
use causeway_identity::token::{Browser, Plain};
use causeway_store::db;
use causeway_types::entity::{ConnectSession, Connection, Scheme};
use causeway_types::{Actor, Coded, OAuthFlowId};
use std::sync::Arc;
use url::Url;

impl Connect {
    /// Makes or renews the link's connection with what the customer typed, after the app took it.
    ///
    /// # Errors
    /// [`FlowError`]; its texts are for the customer.
    pub async fn submit(
        &self,
        token: &str,
        browser: &Plain<Browser>,
        choice: Choice,
    ) -> Result<Finished, FlowError> {
        let inner = &self.inner;
        let opened = inner.opened(token, browser, choice.app.as_deref()).await?;
        let scheme = choice.scheme.unwrap_or(Scheme::ApiKey);
        if !opened.app.schemes().contains(&scheme.as_str()) {
            return Err(unsupported(&opened.app, scheme));
        }
        let filled =
            inner.filled_for(&opened.session, &opened.app).await.map_err(LinkError::from)?;
        let fields = fill::over(&opened.app, scheme, choice.fields, &filled);
        let typed = inner.typed(opened.tenant, &opened.app, scheme, fields).await;
        let verified = typed.map_err(|error| {
            let unfit = match &error {
                CreateError::Invalid(wrong) => fill::unfit(wrong, &filled),
                _ => None,
            };
            unfit.map_or_else(|| FlowError::from(error), |unfit| LinkError::from(unfit).into())
        });
        match verified {
            Ok(verified) => inner.conclude(opened, verified, None).await,
            Err(error) => {
                if error.is_of_app() {
                    let of = (opened.tenant.workspace, opened.session.id);
                    inner.keep_failure(of, None, &error).await;
                }
                Err(error)
            }
        }
    }
}

impl Inner {
    /// Exchanges a flow's code, and writes the connection that comes of it.
    pub(super) async fn conclude_exchange(
        &self,
        session: ConnectSession,
        flow: OAuthFlowId,
        exchange: Exchange<'_>,
    ) -> Result<Finished, FlowError> {
        let app = Arc::clone(exchange.app);
        let (verified, missing) = self.exchange(exchange).await?;
        let opened = Opened { tenant: tenant_of(&session), session, app, browser: Vec::new() };
        self.conclude(opened, verified, Some((flow, missing))).await
    }

    /// Writes the connection and uses the session up, in one transaction. `granted` is the flow that
    /// scopes were asked for in, and those that were not granted.
    pub(super) async fn conclude(
        &self,
        opened: Opened,
        verified: Verified,
        granted: Option<(OAuthFlowId, MissingScopes)>,
    ) -> Result<Finished, FlowError> {
        let Opened { session, tenant, app, .. } = opened;
        let now = self.clock.now();
        let name = session.connection_name.clone();
        let name = name.unwrap_or_else(|| self.made_up_name(app.slug.as_str(), now));
        let target = match session.reconnect_id {
            Some(id) => Target::Renew(id),
            None => Target::New {
                customer: session.customer_id,
                app: app.slug.to_string(),
                name: name.clone(),
            },
        };
        let account = verified.account.name.clone();
        let prepared = self.prepare(tenant, &app, target, verified).await?;
        let own = self.settings_of(tenant).await?;
        let reported = self.reported(&session).await.map_err(CreateError::News)?;
        let herald = self.herald(tenant).await.map_err(CreateError::News)?;
        let mut tx = self.store.write(Actor::Customer(session.id)).await?;
        let written = self.write(&mut tx, tenant, &prepared).await?;
        let workspace = tenant.workspace;
        if !db!(tx, connect_session::use_up(workspace, session.id, prepared.id(), now))? {
            return Err(CreateError::SessionUsed.into());
        }
        if let Some((flow, missing)) = &granted
            && !missing.0.is_empty()
        {
            let outcome = missing.outcome();
            db!(tx, connect_session::set_outcome(workspace, *flow, &outcome))?;
        }
        let event = written.announce(&mut tx, &herald, now).await.map_err(CreateError::News)?;
        self.report_connection(&mut tx, &herald, reported, prepared.id(), now)
            .await
            .map_err(CreateError::News)?;
        tx.commit(workspace, now, event).await?;
        Ok(Finished {
            connection: prepared.id(),
            name,
            app: app.slug.to_string(),
            app_name: app.name.clone(),
            account,
            // Which origins customers may be sent to can have changed since the session was made.
            return_url: session
                .return_url
                .filter(|url| settings::may_return(&own, "return_url", url).is_ok()),
            popup: false,
            missing: granted.map(|(_, missing)| missing).unwrap_or_default(),
        })
    }

    /// What the page is told of a connection that came of a session before.
    pub(super) async fn finished_before(
        &self,
        session: &ConnectSession,
        connection: Connection,
        missing: MissingScopes,
    ) -> Result<Finished, FlowError> {
        let own = self.settings_of(tenant_of(session)).await?;
        let app = self.catalog.get(&connection.app);
        Ok(Finished {
            connection: connection.id,
            name: connection.name,
            app_name: app.map_or_else(|| connection.app.clone(), |app| app.name.clone()),
            app: connection.app,
            account: connection.account_name,
            return_url: session
                .return_url
                .clone()
                .filter(|url| settings::may_return(&own, "return_url", url).is_ok()),
            popup: false,
            missing,
        })
    }

    /// Where the customer of a session is sent after a failure, if the company has said so.
    pub(super) async fn after_failure(
        &self,
        session: &ConnectSession,
        error: &FlowError,
    ) -> Option<Url> {
        let own = self.settings_of(tenant_of(session)).await.ok()?;
        let url = session.error_url.as_deref()?;
        settings::may_return(&own, "error_url", url).ok()?;
        let mut url = Url::parse(url).ok()?;
        url.query_pairs_mut().append_pair("error", error.code().as_str());
        Some(url)
    }
}
