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
//! A denial is believed after the connection has been read again under the lease: only if it is
//! still the token that was sent. Everything else that goes wrong backs off with jitter.

mod ask_first;
mod attempt;
mod flights;
pub(crate) mod lease;
mod outcome;
pub(crate) mod pace;

pub(crate) use flights::Flights;

use crate::credential::{Credential, Stored, Tokens};
use crate::error::CredentialError;
use crate::{Connect, Inner};
use attempt::Attempted;
use causeway_identity::{Permit, action};
use causeway_store::db;
use causeway_types::entity::{Connection, ConnectionState};
use causeway_types::{ConnectionId, Place, Tenant};
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

/// A connection whose access token has to be renewed, as it was read.
pub(crate) struct Due {
    pub(crate) connection: Connection,
    pub(crate) tokens: Tokens,
}

/// What can be done with a connection now.
enum Present {
    Usable(Credential),
    Due(Box<Due>),
}

impl Connect {
    /// Opens the credential of a connection, by its name or id, and renews it first if it has
    /// expired or is about to. Many callers at once cause one token request.
    ///
    /// # Errors
    /// [`CredentialError`]. `NeedsReauth` and `Failing` say why.
    pub async fn credential(
        &self,
        permit: &Permit<action::UseConnections>,
        name_or_id: &str,
    ) -> Result<Credential, CredentialError> {
        let (inner, tenant) = (&self.inner, permit.tenant());
        let id = if let Ok(id) = name_or_id.parse::<ConnectionId>() {
            id
        } else {
            let mut conn = inner.store.read().await?;
            let found = db!(conn, connection::by_name(tenant, name_or_id))?;
            found.ok_or(CredentialError::Unknown)?.id
        };
        // The futures of a refresh are large; callers that need none should not carry them.
        match inner.present(tenant, id).await? {
            Present::Usable(credential) => Ok(credential),
            Present::Due(_) => Box::pin(inner.renewed(tenant, id)).await,
        }
    }
}

impl Inner {
    /// Waits for a refresh under way, or makes one, and opens what came of it.
    async fn renewed(
        self: &Arc<Self>,
        tenant: Tenant,
        id: ConnectionId,
    ) -> Result<Credential, CredentialError> {
        let give_up = Instant::now() + PATIENCE;
        let mut rounds = 0;
        let mut flight = self.flights.enter(id).await;
        loop {
            let due = match self.present(tenant, id).await? {
                Present::Usable(credential) => return Ok(credential),
                Present::Due(due) => due,
            };
            if rounds == ROUNDS || Instant::now() >= give_up {
                return Err(CredentialError::Busy { connection: id });
            }
            // A task of its own: if the caller goes away, the answer still has to be kept.
            let inner = Arc::clone(self);
            let task = self.tasks.spawn(async move { (inner.attempt(tenant, *due).await, flight) });
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

    /// Reads a connection and decides what can be done with it.
    async fn present(&self, tenant: Tenant, id: ConnectionId) -> Result<Present, CredentialError> {
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
        let stored = self.open_stored(tenant, &connection).await?;
        let app = self.catalog.get(&connection.app);
        let tokens = match stored {
            Stored::OAuth2(tokens) => tokens,
            fields @ Stored::Fields(_) => {
                return Ok(Present::Usable(fields.into_credential(&connection, app)));
            }
        };
        let now = self.clock.now();
        let backing_off = connection.state == ConnectionState::Failing
            && connection.refresh_at.is_some_and(|at| now < at);
        let renewable = tokens.refresh.is_some();
        let usable = tokens.is_fresh(now) || (tokens.is_alive(now) && (backing_off || !renewable));
        match (usable, connection.refresh_at) {
            (true, _) => {
                let stored = Stored::OAuth2(tokens);
                Ok(Present::Usable(stored.into_credential(&connection, app)))
            }
            (false, Some(retry_at)) if backing_off => {
                Err(CredentialError::Failing { connection: id, reason: reason(), retry_at })
            }
            _ => Ok(Present::Due(Box::new(Due { connection, tokens }))),
        }
    }

    /// Opens and reads a connection's credential.
    pub(crate) async fn open_stored(
        &self,
        tenant: Tenant,
        connection: &Connection,
    ) -> Result<Stored, CredentialError> {
        let place = Place::ConnectionCredential(connection.id);
        let opened = self.vault.open(tenant.workspace, &place, &connection.credential).await?;
        self.count_use(tenant.workspace, connection.id).await;
        Stored::read(&opened).ok_or(CredentialError::Corrupt { connection: connection.id })
    }
}
