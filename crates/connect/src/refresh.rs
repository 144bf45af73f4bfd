//! Refresh that never loses a grant.
//!
//! Of a connection there is one refresh at a time. Within a process, callers queue for it
//! ([`Flights`]); between nodes, a *lease* row decides, whose *fence* grows with every holder.
//! A refresh passes these steps, each a commit of its own:
//!
//! 1. Take the lease and write the *intent*. Only then is the token endpoint called, once, with
//!    a time limit that ends before the lease does.
//! 2. Keep the *answer* as it came, sealed, if the fence still matches.
//! 3. Read the answer, and write the new tokens together with the end of the lease, if the fence
//!    still matches.
//!
//! Whoever takes a lease over finds how far its holder came. An answer is applied without asking
//! the app again. An intent without an answer means that the app may have replaced the refresh
//! token: then the old one is sent once more only if the app's row says that the app takes it
//! (`refresh.rotates: false` or `refresh.retry_old_token`); otherwise the connection becomes
//! `needs_reauth` with the reason [`ANSWER_LOST`].
//!
//! Where the row has `introspection` (RFC 7662), the app is asked first, and its word stands above
//! these rules: a refresh token that it still honours has not been replaced and is exchanged as
//! usual; one that it does not is [`ANSWER_LOST`]. While the app cannot be asked, the refresh backs
//! off and the record of the intent stays, since an outage says nothing of the grant. If the app
//! refuses the question (401, 403), the rules above hold. The lease stays with whoever asks, so
//! nobody else sends the token between the question and the exchange; a request of a dead process
//! that the app has not carried out by then is 20 s old at the least.
//!
//! An answer that was lost while the process lived (a timeout, a cut connection) is counted, and
//! the refresh backs off and tries again: an app that hangs has most likely done nothing, and an
//! outage must not end thousands of grants. If the app then denies the token, the reason is
//! [`ANSWER_LOST`] too. A request of which no byte was sent is not counted.
//!
//! A token that is got for the customer's keys, and not in exchange for another token, passes the
//! same steps, but getting it spends nothing: an intent without an answer is simply repeated, and
//! the background leaves it alone until somebody needs it.
//!
//! A denial is believed after the connection has been read again under the lease: only if it is
//! still the token that was sent. Everything else that goes wrong backs off with jitter.

mod ask_first;
mod attempt;
mod flights;
pub(crate) mod lease;
pub(crate) mod outcome;
pub(crate) mod pace;
mod renewal;

pub(crate) use attempt::Attempted;
pub(crate) use flights::Flights;

use crate::Inner;
use crate::apply::{Values, needs_client};
use crate::client::Client;
use crate::credential::Stored;
use crate::error::CredentialError;
use crate::mint::is_minted;
use causeway_store::db;
use causeway_types::entity::{Connection, ConnectionState};
use causeway_types::{ConnectionId, Place, SecretString, Tenant};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Reason of `needs_reauth`: the app may have replaced the refresh token in an answer that never
/// arrived, and does not take the old one again. The one window that OAuth leaves open.
pub const ANSWER_LOST: &str = "refresh_answer_lost";
/// Reason of `needs_reauth`: the app says that the grant is gone.
pub const DENIED: &str = "grant_denied";
/// Reason of `needs_reauth`: the access token has expired and there is nothing to refresh with.
pub const EXPIRED: &str = "expired";
/// Reason of `needs_reauth`: the app refuses the credential.
pub const REFUSED: &str = "credential_refused";
/// Reason of `failing`: the app was not reached or did not answer.
pub const UNREACHABLE: &str = "app_unreachable";
/// Reason of `failing`: the app answered with an error that says nothing of the grant.
pub const APP_ERROR: &str = "app_error";
/// Reason of `failing`: the app's row or its OAuth client is missing.
pub const UNCONFIGURED: &str = "unconfigured";

/// How long a caller waits for a refresh on another node, in all.
const PATIENCE: Duration = Duration::from_secs(45);
/// How often a caller looks whether another node has ended its refresh.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Attempts that one caller makes: a kept answer may hold tokens that have expired since.
const ROUNDS: u32 = 4;

/// How old a token must be that the app does not take, for another one to be got at once: what a
/// new token cannot do, the next one cannot either.
pub(crate) const AGAIN_AFTER: Duration = Duration::from_mins(1);

/// A connection as it was read, with its credential opened.
pub(crate) struct Open {
    pub(crate) connection: Connection,
    pub(crate) stored: Stored,
    /// The company's client, where the app's calls need something of it.
    pub(crate) client: Option<Client>,
}

impl Open {
    /// The refresh token, if the app gave one.
    pub(crate) fn refresh_token(&self) -> Option<&SecretString> {
        self.stored.tokens.as_ref()?.refresh.as_ref()
    }

    /// What the names in the row's templates stand for.
    pub(crate) fn values(&self) -> Values<'_> {
        Values { stored: &self.stored, client: self.client.as_ref() }
    }

    /// Whether there is something to get another token with.
    pub(crate) fn is_renewable(&self) -> bool {
        self.refresh_token().is_some() || is_minted(self.connection.scheme)
    }
}

/// What can be done with a connection now.
enum Present {
    Usable(Box<Open>),
    /// Its token has to be renewed first.
    Due(Box<Open>),
}

/// Why a token is renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// Its time has come, or the app does not take it.
    Due,
    /// Somebody wants to know whether the connection works.
    Check,
}

/// Why a credential is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Somebody uses the connection.
    Use,
    /// It is kept alive, checked or given up.
    Upkeep,
}

impl Inner {
    /// The id of a connection that is given by its name or id.
    pub(crate) async fn named(
        &self,
        tenant: Tenant,
        name_or_id: &str,
    ) -> Result<ConnectionId, CredentialError> {
        if let Ok(id) = name_or_id.parse::<ConnectionId>() {
            return Ok(id);
        }
        let mut conn = self.store.read().await?;
        let found = db!(conn, connection::by_name(tenant, name_or_id))?;
        Ok(found.ok_or(CredentialError::Unknown)?.id)
    }

    /// A connection with a credential that can be used now; renewed first if it has to be.
    pub(crate) async fn usable(
        self: &Arc<Self>,
        tenant: Tenant,
        id: ConnectionId,
    ) -> Result<Box<Open>, CredentialError> {
        // The futures of a refresh are large; callers that need none should not carry them.
        match self.present(tenant, id, None).await? {
            Present::Usable(open) => Ok(open),
            Present::Due(_) => Box::pin(self.renewed(tenant, id, None)).await,
        }
    }

    /// The connection with another token than the one that the app does not take (it answered
    /// 401). Whatever their number, callers with the same token cause one renewal, and none if
    /// somebody has renewed it since they got theirs. `None` if there is nothing to renew it with,
    /// or if it is so new that the next one would fare no better.
    ///
    /// # Errors
    /// [`CredentialError`], if there is no other token.
    pub(crate) async fn renew_now(
        self: &Arc<Self>,
        tenant: Tenant,
        id: ConnectionId,
        denied: &SecretString,
    ) -> Result<Option<Box<Open>>, CredentialError> {
        let open = match self.present(tenant, id, Some(denied)).await? {
            Present::Usable(open) => open,
            Present::Due(_) => Box::pin(self.renewed(tenant, id, Some(denied))).await?,
        };
        if !open.is_renewable() {
            self.doubt(tenant, &open.connection).await;
        }
        let is_other = open.stored.tokens.as_ref().is_some_and(|t| !same(&t.access, denied));
        Ok(is_other.then_some(open))
    }

    /// Waits for a refresh under way, or makes one, and opens what came of it.
    async fn renewed(
        self: &Arc<Self>,
        tenant: Tenant,
        id: ConnectionId,
        denied: Option<&SecretString>,
    ) -> Result<Box<Open>, CredentialError> {
        let give_up = Instant::now() + PATIENCE;
        let mut rounds = 0;
        let mut flight = self.flights.enter(id).await;
        loop {
            let due = match self.present(tenant, id, denied).await? {
                Present::Usable(open) => return Ok(open),
                Present::Due(due) => due,
            };
            if rounds == ROUNDS || Instant::now() >= give_up {
                return Err(CredentialError::Busy { connection: id });
            }
            // A task of its own: if the caller goes away, the answer still has to be kept.
            let inner = Arc::clone(self);
            let task = self
                .tasks
                .spawn(async move { (inner.attempt(tenant, *due, Why::Due).await, flight) });
            let attempted;
            (attempted, flight) =
                task.await.map_err(|_| CredentialError::Stopped { connection: id })?;
            match attempted? {
                Attempted::Ended => rounds += 1,
                // The others of this process wait for this one, which looks for all of them.
                Attempted::Held => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
    }

    /// Reads a connection and decides what can be done with it. `denied` is a token that the app
    /// does not take.
    async fn present(
        &self,
        tenant: Tenant,
        id: ConnectionId,
        denied: Option<&SecretString>,
    ) -> Result<Present, CredentialError> {
        let mut conn = self.store.read().await?;
        let connection = db!(conn, connection::get(tenant, id))?.ok_or(CredentialError::Unknown)?;
        drop(conn);
        let reason = || connection.state_reason.clone().unwrap_or_default();
        match connection.state {
            ConnectionState::Revoked => return Err(CredentialError::Unknown),
            ConnectionState::NeedsReauth => {
                return Err(CredentialError::NeedsReauth { connection: id, reason: reason() });
            }
            ConnectionState::Healthy | ConnectionState::Failing => {}
        }
        let open = self.open(tenant, connection, Purpose::Use).await?;
        let connection = &open.connection;
        let now = self.clock.now();
        let backing_off = connection.state == ConnectionState::Failing
            && connection.refresh_at.is_some_and(|at| now < at);
        let usable = match &open.stored.tokens {
            // Keys are used as they are; a token that was never got is due.
            None => !is_minted(connection.scheme),
            Some(tokens) => {
                let is_denied = denied.is_some_and(|denied| same(&tokens.access, denied))
                    && now.since(tokens.obtained_at) >= AGAIN_AFTER
                    && open.is_renewable();
                let waits = tokens.is_alive(now) && (backing_off || !open.is_renewable());
                (tokens.is_fresh(now) && !is_denied) || waits
            }
        };
        match (usable, connection.refresh_at) {
            (true, _) => Ok(Present::Usable(Box::new(open))),
            (false, Some(retry_at)) if backing_off => {
                let reason = connection.state_reason.clone().unwrap_or_default();
                Err(CredentialError::Failing { connection: id, reason, retry_at })
            }
            _ => Ok(Present::Due(Box::new(open))),
        }
    }

    /// Opens a connection that was read.
    pub(crate) async fn open(
        &self,
        tenant: Tenant,
        connection: Connection,
        purpose: Purpose,
    ) -> Result<Open, CredentialError> {
        let stored = self.open_stored(tenant, &connection, purpose).await?;
        let app = self.catalog.get(&connection.app);
        let client = if app.is_some_and(|app| needs_client(&app, connection.scheme)) {
            self.client_of(tenant, &connection).await?
        } else {
            None
        };
        Ok(Open { connection, stored, client })
    }

    /// Opens and reads a connection's credential.
    pub(crate) async fn open_stored(
        &self,
        tenant: Tenant,
        connection: &Connection,
        purpose: Purpose,
    ) -> Result<Stored, CredentialError> {
        let place = Place::ConnectionCredential(connection.id);
        let opened = self.vault.open(tenant.workspace, &place, &connection.credential).await?;
        self.count_use(tenant.workspace, connection.id, purpose).await;
        Stored::read(&opened).ok_or(CredentialError::Corrupt { connection: connection.id })
    }
}

/// Whether two tokens are one; who compares them has both.
fn same(one: &SecretString, other: &SecretString) -> bool {
    one.expose() == other.expose()
}
