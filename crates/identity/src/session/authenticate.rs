//! From a cookie, and what the request says about where, to a caller.

use super::Sessions;
use crate::action::{ActionName, Where};
use crate::permit::{Caller, Person};
use crate::role::carries_in_installation;
use crate::sso::{Proof, SsoError, SsoRefused, SsoRules, judge};
use causeway_store::{ReadConn, db};
use causeway_types::entity::{HeldRole, Member, MemberState, Session};
use causeway_types::{Actor, Code, Coded, EnvironmentId, INSTALLATION, Timestamp, WorkspaceId};
use std::borrow::Cow;

/// Where a signed-in person says that they want to act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WantedPlace {
    /// In one environment.
    Environment(EnvironmentId),
    /// In a workspace, in none of its environments.
    Workspace(WorkspaceId),
}

/// A request with a session that is not answered.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The cookie is no session's, or of one that is over. Which of them is not told.
    #[error("looking up the session: it is unknown, expired or revoked")]
    Refused,
    /// The request does not say where.
    #[error("finding out where the person wants to act")]
    NoPlace,
    /// The place does not exist, or the person has no part in it. Which of them is not told.
    #[error("finding the place that the person wants to act in")]
    Unknown,
    /// The sign-in does not meet the workspace's rules.
    #[error(transparent)]
    Sso(#[from] SsoRefused),
    /// The workspace's rules could not be read.
    #[error("reading the workspace's sign-in rules")]
    Rules(#[source] SsoError),
    /// The store failed.
    #[error("looking up the session")]
    Store(#[from] causeway_store::Error),
}

impl Coded for SessionError {
    fn code(&self) -> Code {
        match self {
            Self::Refused => Code::Unauthenticated,
            Self::NoPlace => Code::EnvironmentRequired,
            Self::Unknown => Code::NotFound,
            Self::Sso(source) => source.code(),
            Self::Rules(source) => source.code(),
            Self::Store(source) => source.code(),
        }
    }

    fn public(&self) -> Cow<'static, str> {
        match self {
            Self::Refused => "You are not signed in, or your session is over. Sign in again.".into(),
            Self::NoPlace => "Say where: name an environment in the header `causeway-environment`, or a workspace in `causeway-workspace`.".into(),
            Self::Unknown => "There is no such record.".into(),
            Self::Sso(source) => source.public(),
            Self::Rules(source) => source.public(),
            Self::Store(source) => source.public(),
        }
    }
}

/// In what part somebody acts in a workspace.
struct Part {
    actor: Actor,
    roles: Vec<HeldRole>,
    /// Their membership: in the workspace, or, for staff, in the installation.
    member: Member,
}

impl Sessions {
    /// Finds the caller by the cookie, in the place that the request names.
    ///
    /// # Errors
    /// See [`SessionError`].
    pub async fn authenticate(
        &self,
        cookie: &str,
        place: Option<WantedPlace>,
    ) -> Result<Caller, SessionError> {
        let now = self.clock.now();
        let (session, member, caller) = self.seen(cookie, place, now).await?;
        self.note_use(&session, Some(&member), now).await?;
        Ok(caller)
    }

    /// The same for a request that is answered for as long as it lasts: nobody did anything, so the
    /// session is not kept from going idle.
    ///
    /// # Errors
    /// See [`SessionError`].
    pub async fn authenticate_again(
        &self,
        cookie: &str,
        place: Option<WantedPlace>,
    ) -> Result<Caller, SessionError> {
        let (_, _, caller) = self.seen(cookie, place, self.clock.now()).await?;
        Ok(caller)
    }

    async fn seen(
        &self,
        cookie: &str,
        place: Option<WantedPlace>,
        now: Timestamp,
    ) -> Result<(Session, Member, Caller), SessionError> {
        let mut conn = self.store.read().await?;
        let session = self.find(&mut conn, cookie, now).await?;
        let place = match place.ok_or(SessionError::NoPlace)? {
            WantedPlace::Workspace(id) => Where::Workspace(id),
            WantedPlace::Environment(id) => {
                let found = db!(conn, workspace::environment(id))?;
                Where::Environment(found.ok_or(SessionError::Unknown)?.tenant())
            }
        };
        let part = part(&mut conn, &session, place.workspace(), now).await?;
        let provider =
            db!(conn, provider::by_id(session.provider_id))?.ok_or(SessionError::Refused)?;
        // Staff come in by the rules of the installation, which are theirs.
        let rules_of = part.member.workspace_id;
        let rules = SsoRules::load(&mut conn, rules_of).await.map_err(SessionError::Rules)?;
        drop(conn);
        if let Err(refused) = judge(&rules, rules_of, &Proof::of(&session, &provider), now) {
            return Err(refused.named(&self.store).await.map_err(SessionError::Rules)?.into());
        }
        let person = Person {
            roles: part.roles,
            authenticated_at: session.authenticated_at,
            step_up_within: rules.step_up_within(),
        };
        Ok((session, part.member, Caller::person(part.actor, place, person)))
    }
}

/// The person's part in the workspace: as its member, or as staff whom it let in for a while.
async fn part(
    conn: &mut ReadConn,
    session: &Session,
    workspace: WorkspaceId,
    now: Timestamp,
) -> Result<Part, SessionError> {
    let user = session.user_id;
    if let Some(member) = active(db!(conn, member::by_user(workspace, user))?) {
        let roles = db!(conn, member::held_roles(workspace, member.id))?;
        return Ok(Part { actor: Actor::User(user), roles, member });
    }
    let granted = db!(conn, access_request::current(workspace, user, now))?;
    let request = granted.last().ok_or(SessionError::Unknown)?;
    // Who is no longer staff has no use for what they were granted as such.
    let member =
        active(db!(conn, member::by_user(INSTALLATION, user))?).ok_or(SessionError::Unknown)?;
    let own = db!(conn, member::held_roles(INSTALLATION, member.id))?;
    let staff = own.iter().any(|held| {
        held.project_id.is_none() && carries_in_installation(held.role, ActionName::RequestAccess)
    });
    if !staff {
        return Err(SessionError::Unknown);
    }
    let roles = vec![HeldRole { role: request.role, project_id: None }];
    Ok(Part { actor: Actor::Staff(user, request.id), roles, member })
}

fn active(member: Option<Member>) -> Option<Member> {
    member.filter(|member| member.state == MemberState::Active)
}
