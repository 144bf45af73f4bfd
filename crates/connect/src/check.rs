//! Whether connections still work: the row's `verify` request, made again for those that are in
//! doubt, and whenever somebody asks.
//!
//! Keys that failed for a reason that may pass are tried again with growing pauses, as tokens are
//! refreshed. Keys that the app has refused are tried now and then for a month: they may have been
//! switched on again. A connection by keys whose call was answered with 401 is tried soon after.

use crate::error::CredentialError;
use crate::news::News;
use crate::refresh::lease::Taken;
use crate::refresh::outcome::Failure;
use crate::refresh::{
    AGAIN_AFTER, APP_ERROR, Attempted, Open, Purpose, REFUSED, UNCONFIGURED, UNREACHABLE, Why, pace,
};
use crate::verify::VerifyError;
use crate::{Connect, Inner};
use causeway_identity::{Permit, action};
use causeway_store::{Audit, Bookkeeping, db};
use causeway_types::entity::{Connection, ConnectionOverview, ConnectionRefresh, ConnectionState};
use causeway_types::{Actor, Coded, ConnectionId, Tenant, Timestamp};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How often calls that are answered with 401 cause the keys of one connection to be tried.
const DOUBT_EVERY: Duration = Duration::from_mins(10);
/// Connections in doubt that are remembered.
const DOUBTED: usize = 10_000;

/// What came of a test.
#[derive(Debug, Clone)]
pub struct Tested {
    /// The connection as it is afterwards.
    pub connection: ConnectionOverview,
    /// What went wrong and what to do, in a sentence; `None` if it works.
    pub problem: Option<String>,
}

/// When the keys of a connection were last doubted.
#[derive(Default)]
pub(crate) struct Doubts(Mutex<HashMap<ConnectionId, Timestamp>>);

impl Doubts {
    /// Whether it is time to try them.
    fn is_new(&self, id: ConnectionId, now: Timestamp) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= DOUBTED {
            known.retain(|_, at| now.since(*at) < DOUBT_EVERY);
        }
        if known.get(&id).is_some_and(|at| now.since(*at) < DOUBT_EVERY) || known.len() >= DOUBTED {
            return false;
        }
        known.insert(id, now);
        true
    }
}

impl Connect {
    /// Tries a connection now: gets another token if it needs one, and makes the row's `verify`
    /// request. The connection's state says afterwards what came of it.
    ///
    /// # Errors
    /// [`CredentialError`], if it could not be tried. That it does not work is no error.
    pub async fn test_connection(
        &self,
        permit: &Permit<action::WriteConnections>,
        id: ConnectionId,
    ) -> Result<Tested, CredentialError> {
        let (inner, tenant, actor) = (&self.inner, permit.tenant(), permit.actor());
        let shown = async || {
            let mut conn = inner.store.read().await?;
            db!(conn, connection::overview(tenant, id))?
                .filter(|one| permit.covers_app(&one.app).is_ok())
                .ok_or(CredentialError::Unknown)
        };
        shown().await?;
        let own = Arc::clone(inner);
        // Not cut off if the caller goes away: a token's answer has to be kept.
        let task = inner.tasks.spawn(async move {
            let _flight = own.flights.enter(id).await;
            Box::pin(own.check(tenant, actor, id)).await
        });
        let problem = task.await.map_err(|_| CredentialError::Stopped { connection: id })??;
        let connection = shown().await?;
        let works = connection.state == ConnectionState::Healthy;
        let reason = connection.state_reason.clone().filter(|_| !works);
        Ok(Tested { connection, problem: problem.or(reason) })
    }
}

impl Inner {
    /// Tries a connection, whatever its scheme. Says what went wrong if the connection's state
    /// does not.
    async fn check(
        &self,
        tenant: Tenant,
        actor: Actor,
        id: ConnectionId,
    ) -> Result<Option<String>, CredentialError> {
        let open = self.read_open(tenant, id).await?;
        if !open.is_renewable() {
            return match self.take_lease_in_time(tenant, id).await? {
                Taken::Lease(lease, present) => {
                    self.check_keys(tenant, actor, &lease, *present).await
                }
                Taken::Held => Err(CredentialError::Busy { connection: id }),
                Taken::Gone => Err(CredentialError::Unknown),
            };
        }
        let tokens = open.stored.tokens.as_ref();
        let is_good = tokens.is_some_and(|tokens| tokens.is_fresh(self.clock.now()))
            && open.connection.state == ConnectionState::Healthy;
        let open = if is_good { open } else { self.renewed_for_check(tenant, open).await? };
        if open.connection.state != ConnectionState::Healthy {
            return Ok(None);
        }
        let refused = match self.verify_open(&open).await {
            Ok(()) => return Ok(None),
            Err(refused) if !refused.is_denial() => return Ok(Some(refused.public().into_owned())),
            Err(refused) => refused,
        };
        let age = open.stored.tokens.as_ref().map(|t| self.clock.now().since(t.obtained_at));
        let (open, refused) = if age.is_some_and(|age| age >= AGAIN_AFTER) {
            let open = self.renewed_for_check(tenant, open).await?;
            match self.verify_open(&open).await {
                Ok(()) => return Ok(None),
                Err(refused) => (open, refused),
            }
        } else {
            (open, refused)
        };
        // RFC 6750, section 3.1: a token that is not good is 401; 403 says less.
        if matches!(refused, VerifyError::Refused { status: 403, .. }) || !refused.is_denial() {
            return Ok(Some(refused.public().into_owned()));
        }
        let herald = self.herald(tenant).await?;
        let mut tx = self.store.write(actor).await?;
        let present = db!(tx, connection::get(tenant, id))?;
        if let Some(present) = present.filter(|now| now.fence == open.connection.fence) {
            let failure = Failure::needs_reauth(REFUSED, &refused.public());
            self.change_in(tx, &herald, &present, failure, 1).await?;
        }
        Ok(None)
    }

    /// Gets another token, and reads what came of it.
    async fn renewed_for_check(&self, tenant: Tenant, open: Open) -> Result<Open, CredentialError> {
        let id = open.connection.id;
        match Box::pin(self.attempt(tenant, open, Why::Check)).await? {
            Attempted::Ended => self.read_open(tenant, id).await,
            Attempted::Held => Err(CredentialError::Busy { connection: id }),
        }
    }

    async fn read_open(&self, tenant: Tenant, id: ConnectionId) -> Result<Open, CredentialError> {
        let mut conn = self.store.read().await?;
        let connection = db!(conn, connection::get(tenant, id))?
            .filter(|one| one.state != ConnectionState::Revoked)
            .ok_or(CredentialError::Unknown)?;
        drop(conn);
        self.open(tenant, connection, Purpose::Upkeep).await
    }

    async fn verify_open(&self, open: &Open) -> Result<(), VerifyError> {
        let Some(app) = self.catalog.get(&open.connection.app) else {
            return Err(VerifyError::Host { app: open.connection.app.clone() });
        };
        self.verify(&app, open.connection.scheme, open.values()).await.map(|_| ())
    }

    /// Looks after a connection whose time has come, under no lease yet.
    pub(crate) async fn look_after(
        &self,
        tenant: Tenant,
        connection: Connection,
    ) -> Result<(), CredentialError> {
        let id = connection.id;
        let denied = connection.state == ConnectionState::NeedsReauth;
        let open = self.open(tenant, connection, Purpose::Upkeep).await?;
        let now = self.clock.now();
        let is_over = open.stored.tokens.as_ref().is_some_and(|tokens| !tokens.is_alive(now));
        if open.is_renewable() || is_over {
            let why = if denied { Why::Check } else { Why::Due };
            return self.attempt(tenant, open, why).await.map(|_| ());
        }
        let actor = Actor::Node(self.node);
        let mut tx = self.store.write(actor).await?;
        // Whoever else holds the lease does the same.
        let Taken::Lease(lease, present) = self.take_lease(&mut tx, tenant, id).await? else {
            return Ok(());
        };
        tx.commit_bookkeeping(Bookkeeping::Refresh).await?;
        self.check_keys(tenant, actor, &lease, *present).await.map(|_| ())
    }

    /// Tries keys, under the lease of the connection.
    async fn check_keys(
        &self,
        tenant: Tenant,
        actor: Actor,
        lease: &ConnectionRefresh,
        connection: Connection,
    ) -> Result<Option<String>, CredentialError> {
        let id = connection.id;
        let open = self.open(tenant, connection, Purpose::Upkeep).await?;
        let found = self.verify_open(&open).await;
        let herald = self.herald(tenant).await?;
        let mut tx = self.store.write(actor).await?;
        let present = db!(tx, connection::get(tenant, id))?;
        let Some(present) = present.filter(|now| now.fence == open.connection.fence) else {
            // It was given a new credential meanwhile, which voided the lease, or is gone.
            return Ok(None);
        };
        let Err(refused) = found else {
            db!(tx, connection_refresh::settle(tenant.workspace, id, lease.fence, 0, 0))?;
            let was = db!(tx, dialect::hold_connection(tenant, id))?;
            let (_, refresh_at) = pace::schedule(present.scheme, &open.stored, &*self.random);
            let now = self.clock.now();
            let healthy = Connection {
                state: ConnectionState::Healthy,
                state_reason: None,
                refresh_at,
                updated_at: if present.state == ConnectionState::Healthy {
                    present.updated_at
                } else {
                    now
                },
                ..present.clone()
            };
            // Given up or connected anew meanwhile, or it has worked all along.
            let written = db!(tx, connection::update_state(&healthy))?;
            if !written || was == Some(ConnectionState::Healthy) {
                tx.commit_bookkeeping(Bookkeeping::Refresh).await?;
                return Ok(None);
            }
            herald.announce(&mut tx, &healthy, News::Recovered, now).await?;
            let event = Audit::ConnectionStateChanged {
                connection: id,
                state: healthy.state.to_string(),
                reason: "works_again".into(),
            };
            tx.commit(tenant.workspace, now, event).await?;
            return Ok(None);
        };
        let sentence = refused.public();
        let failure = match &refused {
            _ if refused.is_denial() => Failure::doubtful(REFUSED, &sentence),
            VerifyError::Http { .. } => Failure::failing(UNREACHABLE, &sentence, 0),
            VerifyError::Request { .. } | VerifyError::Host { .. } => {
                Failure::failing(UNCONFIGURED, &sentence, 0)
            }
            _ => Failure::failing(APP_ERROR, &sentence, 0),
        };
        self.fail_in(tx, &herald, lease, &present, failure).await?;
        Ok(None)
    }

    /// Takes note that an app answered 401 to a connection that there is no other token for: the
    /// background tries it soon.
    pub(crate) async fn doubt(&self, tenant: Tenant, connection: &Connection) {
        let now = self.clock.now();
        let is_quiet =
            connection.state == ConnectionState::Healthy && connection.refresh_at.is_none();
        if !is_quiet || !self.doubts.is_new(connection.id, now) {
            return;
        }
        let doubted = Connection { refresh_at: Some(now), ..connection.clone() };
        let written = async {
            let mut tx = self.store.write(Actor::Node(self.node)).await?;
            // What was read may be a moment old; it must not undo what has happened since.
            let present = db!(tx, dialect::hold_connection(tenant, doubted.id))?;
            if present == Some(ConnectionState::Healthy) {
                db!(tx, connection::update_state(&doubted))?;
            }
            tx.commit_bookkeeping(Bookkeeping::Refresh).await
        };
        if let Err(error) = written.await {
            tracing::warn!(connection = %connection.id, workspace = %tenant.workspace, error = %error, "a connection in doubt is not tried");
        }
    }
}
