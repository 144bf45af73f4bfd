//! What people see of their own sessions, and how they end them.

use super::{SessionError, Sessions, is_open};
use crate::sso::{Proof, SsoRules, judge};
use causeway_store::{Audit, WriteTx, db};
use causeway_types::entity::{HeldRole, MemberState, Session, User};
use causeway_types::{Actor, Coded as _, ProviderId, SessionId, Timestamp, WorkspaceId};

/// A session as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionView {
    /// Its id.
    pub id: SessionId,
    /// Whether it is the one that asks.
    pub current: bool,
    /// The provider that said who it is.
    pub provider: ProviderId,
    /// The verified e-mail address that the provider gave.
    pub email: String,
    /// Whether the provider said that it saw more than one factor.
    pub mfa: bool,
    /// When the provider last authenticated the person.
    pub authenticated_at: Timestamp,
    /// The address that signed in.
    pub address: String,
    /// What the browser calls itself.
    pub user_agent: String,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was used last, to a minute.
    pub last_seen_at: Timestamp,
    /// When it ends whatever happens.
    pub expires_at: Timestamp,
}

/// A signed-in person, for callers that name no place.
#[derive(Debug, Clone)]
pub struct Me {
    /// Who.
    pub user: User,
    /// The session.
    pub session: SessionView,
    /// Their places, the installation's own included.
    pub workspaces: Vec<MyWorkspace>,
}

/// A workspace of which a person is an active member.
#[derive(Debug, Clone)]
pub struct MyWorkspace {
    /// Its id.
    pub id: WorkspaceId,
    /// Its name.
    pub name: String,
    /// The roles held there.
    pub roles: Vec<HeldRole>,
    /// What the workspace demands that this session does not meet: a text for its owner.
    pub refused: Option<String>,
}

impl SessionView {
    fn of(session: &Session, current: SessionId) -> Self {
        Self {
            id: session.id,
            current: session.id == current,
            provider: session.provider_id,
            email: session.email.clone(),
            mfa: session.mfa_at.is_some(),
            authenticated_at: session.authenticated_at,
            address: session.address.clone(),
            user_agent: session.user_agent.clone(),
            created_at: session.created_at,
            last_seen_at: session.last_seen_at,
            expires_at: session.expires_at,
        }
    }
}

impl Sessions {
    /// Who the cookie belongs to, with all of their places.
    ///
    /// # Errors
    /// [`SessionError::Refused`], [`SessionError::Rules`], [`SessionError::Store`].
    pub async fn who(&self, cookie: &str) -> Result<Me, SessionError> {
        let now = self.clock.now();
        let mut conn = self.store.read().await?;
        let session = self.find(&mut conn, cookie, now).await?;
        let refused = || SessionError::Refused;
        let user = db!(conn, user::by_id(session.user_id))?.ok_or_else(refused)?;
        let provider = db!(conn, provider::by_id(session.provider_id))?.ok_or_else(refused)?;
        let proof = Proof::of(&session, &provider);
        let mut workspaces = Vec::new();
        for member in db!(conn, member::of_user(user.id))? {
            if member.state != MemberState::Active {
                continue;
            }
            let id = member.workspace_id;
            let Some(workspace) = db!(conn, workspace::get(id))? else { continue };
            let roles = db!(conn, member::held_roles(id, member.id))?;
            let demanded = SsoRules::load(&mut conn, id).await.map_err(SessionError::Rules)?;
            let refused = judge(&demanded, id, &proof, now).err();
            let place = MyWorkspace { id, name: workspace.name, roles, refused: None };
            workspaces.push((place, refused));
        }
        drop(conn);
        let mut named = Vec::with_capacity(workspaces.len());
        for (mut workspace, refused) in workspaces {
            if let Some(refused) = refused {
                let refused = refused.named(&self.store).await.map_err(SessionError::Rules)?;
                workspace.refused = Some(refused.public().into_owned());
            }
            named.push(workspace);
        }
        self.note_use(&session, None, now).await?;
        Ok(Me { user, session: SessionView::of(&session, session.id), workspaces: named })
    }

    /// The person's own sessions, newest first.
    ///
    /// # Errors
    /// [`SessionError::Refused`], [`SessionError::Store`].
    pub async fn list(&self, cookie: &str) -> Result<Vec<SessionView>, SessionError> {
        let now = self.clock.now();
        let mut conn = self.store.read().await?;
        let own = self.find(&mut conn, cookie, now).await?;
        let all = db!(conn, session::open(own.user_id, now))?;
        let open = all.iter().filter(|session| is_open(session, now));
        Ok(open.map(|session| SessionView::of(session, own.id)).collect())
    }

    /// Ends one of the person's own sessions.
    ///
    /// # Errors
    /// [`SessionError::Refused`], [`SessionError::Unknown`] if it is not theirs or over,
    /// [`SessionError::Store`].
    pub async fn revoke(&self, cookie: &str, id: SessionId) -> Result<(), SessionError> {
        let own = self.open(cookie).await?;
        self.end(&own, id, Audit::SessionRevoked { user: own.user_id, session: id }).await
    }

    /// Ends all of the person's own sessions, this one too, and says how many there were.
    ///
    /// # Errors
    /// [`SessionError::Refused`], [`SessionError::Store`].
    pub async fn revoke_all(&self, cookie: &str) -> Result<u64, SessionError> {
        let own = self.open(cookie).await?;
        let (user, now) = (own.user_id, self.clock.now());
        let mut tx = self.store.write(Actor::User(user)).await?;
        let realm = realm_of(&mut tx, &own).await?;
        let open = db!(tx, session::open(user, now))?;
        let ended = db!(tx, session::revoke_all(user, now))?;
        for other in open.iter().filter(|session| session.id != own.id) {
            tx.record(realm, now, Audit::SessionRevoked { user, session: other.id }).await?;
        }
        tx.commit(realm, now, Audit::SignedOut { user, session: own.id }).await?;
        Ok(ended)
    }

    /// Ends the session itself.
    ///
    /// # Errors
    /// [`SessionError::Refused`], [`SessionError::Store`].
    pub async fn sign_out(&self, cookie: &str) -> Result<(), SessionError> {
        let own = self.open(cookie).await?;
        self.end(&own, own.id, Audit::SignedOut { user: own.user_id, session: own.id }).await
    }

    async fn end(&self, own: &Session, id: SessionId, event: Audit) -> Result<(), SessionError> {
        let now = self.clock.now();
        let mut tx = self.store.write(Actor::User(own.user_id)).await?;
        let realm = realm_of(&mut tx, own).await?;
        let found = db!(tx, session::get(own.user_id, id))?;
        if !found.is_some_and(|one| is_open(&one, now))
            || !db!(tx, session::revoke(own.user_id, id, now))?
        {
            return Err(SessionError::Unknown);
        }
        Ok(tx.commit(realm, now, event).await?)
    }
}

/// The workspace whose chain has what a person does with their sessions.
async fn realm_of(tx: &mut WriteTx, own: &Session) -> Result<WorkspaceId, SessionError> {
    let user = db!(tx, user::by_id(own.user_id))?.ok_or(SessionError::Refused)?;
    Ok(user.workspace_id)
}
