//! How the token of a connection is renewed, whichever its scheme.

use super::Open;
use crate::apply::{Moment, Values};
use crate::client::Client;
use crate::credential::{Stored, Tokens};
use crate::error::CredentialError;
use crate::flow::mcp;
use crate::mint::{self, MintError, Minting, PLAIN_ANSWER};
use crate::token_endpoint::{Asker, EndpointError, Grant, Prepared, Refused};
use crate::{Inner, apply};
use causeway_catalog::{App, Introspection, OAuth2, TokenAnswer};
use causeway_store::db;
use causeway_types::entity::{Connection, ConnectionRefresh, RefreshPhase, Scheme};
use causeway_types::{Coded as _, Tenant};
use std::sync::Arc;

/// How a token is renewed.
pub(crate) struct Renewal<'a> {
    pub(crate) app: &'a App,
    scheme: Scheme,
    how: How<'a>,
}

enum How<'a> {
    /// With a refresh token, as the app's row says.
    Refresh(&'a OAuth2),
    /// With a refresh token, as the server has said itself.
    Described(Box<OAuth2>),
    /// By asking for another one.
    Mint,
}

/// What the next token takes.
pub(crate) enum Next {
    /// A request.
    Ask(Prepared),
    /// Nothing: it is made already.
    Here(Tokens),
    /// It cannot be had: the app gave nothing to renew it with.
    Nothing,
    /// The request cannot be built.
    Unbuilt(String),
}

impl Inner {
    /// The row by which a connection's token is renewed. It is the same until the renewal ends,
    /// whatever is read meanwhile.
    ///
    /// # Errors
    /// The catalogue has none.
    pub(crate) fn row_for(&self, connection: &Connection) -> Result<Arc<App>, CredentialError> {
        self.catalog.get(&connection.app).ok_or_else(|| gone(connection))
    }

    /// The company's client as far as a connection's requests or its token need it.
    ///
    /// # Errors
    /// It is needed and gone.
    pub(crate) async fn client_of(
        &self,
        tenant: Tenant,
        connection: &Connection,
    ) -> Result<Option<Client>, CredentialError> {
        let Some(app) = self.catalog.get(&connection.app) else { return Ok(None) };
        let scheme = connection.scheme;
        let by_id = connection.oauth_client_id;
        if by_id.is_none() && !apply::needs_client(&app, scheme) {
            return Ok(None);
        }
        let slug = connection.app.as_str();
        let mut conn = self.store.read().await?;
        let row = match by_id {
            Some(id) => db!(conn, oauth_client::get(tenant, id))?,
            None => db!(conn, oauth_client::usual(tenant, slug))?,
        };
        drop(conn);
        match row {
            Some(row) => Ok(Some(self.open_client(&row).await?)),
            None if by_id.is_none() => Ok(None),
            None => Err(CredentialError::Unconfigured {
                connection: connection.id,
                what: format!("The OAuth client of `{slug}`, with which this connection was made, is gone. Set it again.").into(),
            }),
        }
    }
}

/// A row does not say how a connection is renewed, or is not there.
fn gone(connection: &Connection) -> CredentialError {
    CredentialError::Unconfigured {
        connection: connection.id,
        what: format!(
            "The catalogue no longer says how `{}` is connected by `{}`. Bring its row back.",
            connection.app, connection.scheme
        )
        .into(),
    }
}

impl<'a> Renewal<'a> {
    /// How a connection's token is renewed by this row.
    ///
    /// # Errors
    /// The row does not say it.
    pub(crate) fn of(
        app: &'a App,
        connection: &Connection,
        stored: &Stored,
    ) -> Result<Self, CredentialError> {
        let gone = || gone(connection);
        let scheme = connection.scheme;
        let how = match scheme {
            Scheme::Oauth2 | Scheme::Device => {
                How::Refresh(app.auth.oauth2.as_ref().ok_or_else(gone)?)
            }
            Scheme::Mcp => How::Described(Box::new(mcp::row_of(stored).ok_or_else(gone)?)),
            _ if mint::is_minted(scheme) && mint::answer_of(app, scheme).is_some() => How::Mint,
            _ => return Err(gone()),
        };
        Ok(Self { app, scheme, how })
    }
}

impl Renewal<'_> {
    /// Builds what the next token takes.
    pub(super) fn next(&self, inner: &Inner, open: &Open) -> Next {
        let moment = Moment { now: inner.clock.now(), random: &*inner.random };
        let refresh = open.stored.tokens.as_ref().and_then(|tokens| tokens.refresh.as_ref());
        let built = |request: Result<Prepared, EndpointError>| match request {
            Ok(request) => Next::Ask(request),
            Err(error) => Next::Unbuilt(error.to_string()),
        };
        match (self.row(), refresh) {
            (Some(row), Some(token)) if row.refresh.is_some() => match &open.client {
                Some(client) => {
                    let asker = self.asker(client, open.values(), moment);
                    built(asker.prepare(row, Grant::Refresh { token }))
                }
                None => Next::Unbuilt("the OAuth client is gone".into()),
            },
            (Some(_), _) => Next::Nothing,
            (None, _) => match inner.minting(self.app, self.scheme, open.values()) {
                Ok(Minting::Ask(request)) => Next::Ask(request),
                Ok(Minting::Here(tokens)) => Next::Here(tokens),
                Err(MintError::Endpoint { source, .. }) => Next::Unbuilt(source.to_string()),
                Err(error) => Next::Unbuilt(error.public().into_owned()),
            },
        }
    }

    /// Whoever asks the app, of a connection by OAuth.
    pub(super) fn asker<'b>(
        &'b self,
        client: &'b Client,
        values: Values<'b>,
        moment: Moment<'b>,
    ) -> Asker<'b> {
        Asker { app: self.app, scheme: self.scheme, client, values, moment }
    }

    /// What is said of the app's authorization server, if the token comes from one.
    fn row(&self) -> Option<&OAuth2> {
        match &self.how {
            How::Refresh(row) => Some(row),
            How::Described(row) => Some(row),
            How::Mint => None,
        }
    }

    /// How an answer reads.
    pub(super) fn answer(&self) -> &TokenAnswer {
        let own = self.row().map(|row| &row.answer);
        own.or_else(|| mint::answer_of(self.app, self.scheme)).unwrap_or(&PLAIN_ANSWER)
    }

    /// Whether the token is got for keys, and not in exchange for another token.
    pub(super) fn is_minted(&self) -> bool {
        matches!(self.how, How::Mint)
    }

    /// How the app is asked whether it has replaced a refresh token.
    pub(super) fn introspection(&self) -> Option<&Introspection> {
        self.row()?.introspection.as_ref()
    }

    /// Whether a process left an intent without an answer, and what was sent may not be sent
    /// again: it may be as often as needed if the app never replaces it, and once if the app takes
    /// a replaced one once more.
    pub(super) fn is_spent(&self, lease: &ConnectionRefresh) -> bool {
        let may_repeat = self.row().is_none_or(|row| {
            row.refresh.as_ref().is_some_and(|refresh| {
                refresh.may_repeat() && (!refresh.rotates || lease.unanswered <= 1)
            })
        });
        lease.phase == RefreshPhase::Intent && !may_repeat
    }

    /// Whether the app says that the grant is gone.
    pub(super) fn is_denial(&self, refused: &Refused) -> bool {
        match self.row() {
            Some(row) => {
                refused.says(row.refresh.as_ref().map_or(&[], |r| r.denied_errors.as_slice()))
            }
            None => mint::is_denial(refused, self.scheme),
        }
    }
}
