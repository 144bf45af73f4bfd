//! Sessions: browsers in which somebody is signed in.
//!
//! A session is known by its *cookie*, an opaque token of which only a keyed digest is stored. It
//! ends when it was not used for a while (*idle*), at a fixed time (*absolute*), or when somebody
//! ends it. At every request the person's membership, roles and the workspace's sign-in rules are
//! read anew, so that a change counts at once.

mod authenticate;
mod own;

pub use authenticate::{SessionError, WantedPlace};
pub use own::{Me, MyWorkspace, SessionView};

use crate::token::{self, Plain, TokenKey};
use causeway_store::{Bookkeeping, ReadConn, Store, db};
use causeway_types::entity::{Member, Session};
use causeway_types::{Actor, Clock, Timestamp};
use std::sync::Arc;
use std::time::Duration;

/// A session that was not used for this long is over.
pub const IDLE: Duration = Duration::from_hours(8);
/// How exactly the time of the last use is known.
const NOTED_EVERY: Duration = Duration::from_mins(1);
/// The most characters of what a browser calls itself that are kept.
pub const MAX_USER_AGENT: usize = 200;

/// Knows people by their sessions. Cheap to clone.
#[derive(Clone)]
pub struct Sessions {
    store: Store,
    token_key: TokenKey,
    clock: Arc<dyn Clock>,
}

impl Sessions {
    /// Looks sessions up in `store`.
    pub fn new(store: Store, token_key: TokenKey, clock: Arc<dyn Clock>) -> Self {
        Self { store, token_key, clock }
    }

    /// The session that a cookie belongs to, if it is not over.
    pub(crate) async fn open(&self, cookie: &str) -> Result<Session, SessionError> {
        let mut conn = self.store.read().await?;
        self.find(&mut conn, cookie, self.clock.now()).await
    }

    async fn find(
        &self,
        conn: &mut ReadConn,
        cookie: &str,
        now: Timestamp,
    ) -> Result<Session, SessionError> {
        let plain = Plain::<token::Session>::parse(cookie).map_err(|_| SessionError::Refused)?;
        let digest = plain.keyed_digest(&self.token_key);
        let found = db!(conn, session::by_digest(digest.as_bytes()))?;
        found
            .filter(|session| digest.matches(&session.digest) && is_open(session, now))
            .ok_or(SessionError::Refused)
    }

    /// Notes that a session was used, and a member active, at most once a minute each.
    async fn note_use(
        &self,
        session: &Session,
        member: Option<&Member>,
        now: Timestamp,
    ) -> Result<(), SessionError> {
        let due = |last: Timestamp| now.since(last) >= NOTED_EVERY;
        let seen = due(session.last_seen_at);
        let member = member.filter(|member| member.last_active_at.is_none_or(due));
        if !seen && member.is_none() {
            return Ok(());
        }
        let mut tx = self.store.write(Actor::User(session.user_id)).await?;
        // The session first, as everybody does who writes both.
        if seen {
            db!(tx, session::touch(session.id, now))?;
        }
        if let Some(member) = member {
            db!(tx, member::touch(member.workspace_id, member.id, now))?;
        }
        Ok(tx.commit_bookkeeping(Bookkeeping::LastUsed).await?)
    }
}

/// Whether a session is neither revoked nor over, by use or by age.
pub(crate) fn is_open(session: &Session, now: Timestamp) -> bool {
    session.revoked_at.is_none()
        && session.expires_at > now
        && now.since(session.last_seen_at) < IDLE
}
