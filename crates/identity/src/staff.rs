//! The staff of a hosted installation, and how they get at a workspace's contents.
//!
//! The *staff* are the members of the installation. That gives them nothing in any other workspace.
//! Who has to look at one *requests access*, with a reason, a role and a time; an owner of the
//! workspace or a second member of the staff approves it, never the one who asked. From then on the
//! role counts until its time is over or somebody of either side ends it. Each step is an event in
//! the workspace's own audit chain, and in the installation's.

use crate::action;
use crate::permit::Permit;
use causeway_store::{Audit, Error, Store, WriteTx, db};
use causeway_types::entity::{AccessRequest, AccessState, Role};
use causeway_types::{
    AccessRequestId, Actor, Clock, Code, Coded, INSTALLATION, Randomness, Timestamp, UserId,
    WorkspaceId,
};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

/// The roles that the staff can get in a workspace: those that look and keep things running. A
/// developer could make API keys, and an admin members, that stay when the time is over.
pub const STAFF_ROLES: &[Role] = &[Role::Operator, Role::Viewer, Role::Auditor];
/// The longest time that is approved at once, in minutes.
pub const MAX_MINUTES: i64 = 480;
/// The shortest reason, in characters.
pub const MIN_REASON: usize = 10;
/// The longest reason, in characters.
pub const MAX_REASON: usize = 500;
/// How long a request waits for a decision.
pub const DECIDED_WITHIN: Duration = Duration::from_hours(168);

/// Requests of the staff for access. Cheap to clone.
#[derive(Clone)]
pub struct StaffAccess {
    store: Store,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Randomness>,
}

/// What a member of the staff asks for.
#[derive(Debug, Clone)]
pub struct NewAccess {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// One of [`STAFF_ROLES`].
    pub role: Role,
    /// Why: the workspace reads it.
    pub reason: String,
    /// For how long, from the approval on: 1 to [`MAX_MINUTES`].
    pub minutes: i64,
}

/// A request, with what both sides want to know of it.
#[derive(Debug, Clone)]
pub struct AccessView {
    /// The request.
    pub request: AccessRequest,
    /// How it stands now.
    pub standing: AccessStanding,
    /// The e-mail address of whoever asks.
    pub email: String,
    /// Their name.
    pub name: String,
}

/// How a request stands at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessStanding {
    /// It waits for a decision.
    Pending,
    /// It waited for too long.
    Lapsed,
    /// It is approved, and counts.
    Active,
    /// It was approved, and its time is over.
    Expired,
    /// It was denied.
    Denied,
    /// It was withdrawn, or ended before its time.
    Ended,
}

/// What is decided about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessDecision {
    /// Let them in.
    Approve,
    /// Do not.
    Deny,
}

/// A request could not be made, decided or ended.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The store failed.
    #[error("keeping requests for access")]
    Store(#[from] Error),
    /// There is no such request here.
    #[error("finding the request {0}")]
    Unknown(AccessRequestId),
    /// There is no such workspace to get access to.
    #[error("finding the workspace {0}")]
    NoWorkspace(WorkspaceId),
    /// The reason is too short, too long, or holds control characters.
    #[error("reading the reason")]
    Reason,
    /// The time is out of bounds.
    #[error("asking for {0} minutes")]
    Minutes(i64),
    /// The staff does not get this role.
    #[error("asking for the role {0}")]
    Role(Role),
    /// Only people ask and decide.
    #[error("asking or deciding as {0}")]
    NotAPerson(Actor),
    /// Whoever asked decides about it.
    #[error("deciding about one's own request {0}")]
    OwnRequest(AccessRequestId),
    /// The same person has an open request for this workspace.
    #[error("asking while the request {0} is open")]
    Open(AccessRequestId),
    /// The request waits for no decision, or is over.
    #[error("changing the request {id}, which is {}", standing.as_str())]
    Settled {
        /// The request.
        id: AccessRequestId,
        /// How it stands.
        standing: AccessStanding,
    },
}

impl Coded for AccessError {
    fn code(&self) -> Code {
        match self {
            Self::Store(source) => source.code(),
            Self::Unknown(_) | Self::NoWorkspace(_) => Code::NotFound,
            Self::Reason | Self::Minutes(_) | Self::Role(_) => Code::InvalidRequest,
            Self::NotAPerson(_) | Self::OwnRequest(_) => Code::Denied,
            Self::Open(_) => Code::Taken,
            Self::Settled { .. } => Code::AccessSettled,
        }
    }

    fn public(&self) -> Cow<'static, str> {
        match self {
            Self::Store(source) => source.public(),
            Self::Unknown(_) => "There is no such request for access.".into(),
            Self::NoWorkspace(_) => "There is no such workspace to get access to.".into(),
            Self::Reason => format!(
                "`reason` has {MIN_REASON} to {MAX_REASON} characters, on one line: the owners of the workspace read it."
            )
            .into(),
            Self::Minutes(_) => format!("`minutes` is a number from 1 to {MAX_MINUTES}.").into(),
            Self::Role(role) => format!(
                "The staff does not get the role `{role}` in a workspace, only `operator`, `viewer` or `auditor`."
            )
            .into(),
            Self::NotAPerson(_) => "Only people who are signed in ask for access and decide about it.".into(),
            Self::OwnRequest(_) => {
                "Nobody decides about a request of their own. An owner of the workspace or another member of the staff has to.".into()
            }
            Self::Open(id) => format!(
                "You have an open request for this workspace already: {id}. End it first, or wait."
            )
            .into(),
            Self::Settled { standing, .. } => format!(
                "The request is {}. Only a pending one can be decided, and only a pending or an active one can be ended.",
                standing.as_str()
            )
            .into(),
        }
    }
}

impl AccessStanding {
    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Lapsed => "lapsed",
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Denied => "denied",
            Self::Ended => "ended",
        }
    }

    fn of(request: &AccessRequest, now: Timestamp) -> Self {
        match request.state {
            AccessState::Pending if now.since(request.requested_at) >= DECIDED_WITHIN => {
                Self::Lapsed
            }
            AccessState::Pending => Self::Pending,
            AccessState::Approved if request.expires_at.is_some_and(|end| now < end) => {
                Self::Active
            }
            AccessState::Approved => Self::Expired,
            AccessState::Denied => Self::Denied,
            AccessState::Ended => Self::Ended,
        }
    }
}

impl StaffAccess {
    /// Keeps requests in `store`.
    pub fn new(store: Store, clock: Arc<dyn Clock>, random: Arc<dyn Randomness>) -> Self {
        Self { store, clock, random }
    }

    /// Asks for access to a workspace.
    ///
    /// # Errors
    /// See [`AccessError`].
    pub async fn request(
        &self,
        permit: &Permit<action::RequestAccess>,
        new: NewAccess,
    ) -> Result<AccessView, AccessError> {
        let user = person(permit.actor())?;
        let NewAccess { workspace, role, minutes, .. } = new;
        let reason = new.reason.trim().to_owned();
        let length = reason.chars().count();
        if !(MIN_REASON..=MAX_REASON).contains(&length) || reason.contains(char::is_control) {
            return Err(AccessError::Reason);
        }
        if !(1..=MAX_MINUTES).contains(&minutes) {
            return Err(AccessError::Minutes(minutes));
        }
        if !STAFF_ROLES.contains(&role) {
            return Err(AccessError::Role(role));
        }
        let now = self.clock.now();
        let request = AccessRequest {
            id: AccessRequestId::generate(now, &*self.random),
            workspace_id: workspace,
            user_id: user,
            role,
            reason: reason.clone(),
            minutes,
            state: AccessState::Pending,
            requested_at: now,
            decided_by: None,
            decided_at: None,
            expires_at: None,
            ended_at: None,
        };
        let mut tx = self.store.write(permit.actor()).await?;
        let known = db!(tx, workspace::get(workspace))?.is_some();
        if workspace == INSTALLATION || !known {
            return Err(AccessError::NoWorkspace(workspace));
        }
        let id = request.id;
        let event = Audit::AccessRequested { request: id, user, role, reason, minutes };
        // The event first: it holds the chain's head, so that of two requests at once one waits.
        // The installation's chain before the workspace's, as everywhere: nobody waits in a ring.
        tx.record(INSTALLATION, now, event.clone()).await?;
        let waiting = db!(tx, access_request::pending(workspace, user))?;
        let active = db!(tx, access_request::current(workspace, user, now))?;
        let mut open = waiting.iter().chain(&active);
        let is_open = |one: &&AccessRequest| {
            matches!(AccessStanding::of(one, now), AccessStanding::Pending | AccessStanding::Active)
        };
        if let Some(open) = open.find(is_open) {
            return Err(AccessError::Open(open.id));
        }
        db!(tx, access_request::insert(&request))?;
        tx.commit(workspace, now, event).await?;
        self.view(request).await
    }

    /// A page of everybody's requests for all workspaces before one, newest first: for the staff.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn requests_of_staff(
        &self,
        _permit: &Permit<action::RequestAccess>,
        before: AccessRequestId,
        limit: i64,
    ) -> Result<Vec<AccessView>, AccessError> {
        let mut conn = self.store.read().await?;
        let page = db!(conn, access_request::page_of_all(before, limit))?;
        drop(conn);
        self.views(page).await
    }

    /// A page of the requests for the workspace before one, newest first: for its owners.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn requests(
        &self,
        permit: &Permit<action::DecideAccess>,
        before: AccessRequestId,
        limit: i64,
    ) -> Result<Vec<AccessView>, AccessError> {
        let mut conn = self.store.read().await?;
        let page = db!(conn, access_request::page(permit.workspace(), before, limit))?;
        drop(conn);
        self.views(page).await
    }

    /// Decides about a request for the workspace, as its owner.
    ///
    /// # Errors
    /// See [`AccessError`].
    pub async fn decide(
        &self,
        permit: &Permit<action::DecideAccess>,
        id: AccessRequestId,
        decision: AccessDecision,
    ) -> Result<AccessView, AccessError> {
        let request = self.of_workspace(permit.workspace(), id).await?;
        self.settle(permit.actor(), request, decision).await
    }

    /// Decides about somebody else's request, as a member of the staff.
    ///
    /// # Errors
    /// See [`AccessError`].
    pub async fn decide_as_staff(
        &self,
        permit: &Permit<action::ApproveStaff>,
        id: AccessRequestId,
        decision: AccessDecision,
    ) -> Result<AccessView, AccessError> {
        let request = self.of_staff(id).await?;
        self.settle(permit.actor(), request, decision).await
    }

    /// Ends an access, or refuses to hear a request any longer, as an owner of the workspace.
    ///
    /// # Errors
    /// See [`AccessError`].
    pub async fn end(
        &self,
        permit: &Permit<action::DecideAccess>,
        id: AccessRequestId,
    ) -> Result<AccessView, AccessError> {
        let request = self.of_workspace(permit.workspace(), id).await?;
        self.finish(permit.actor(), request).await
    }

    /// The same as a member of the staff: one's own, or a colleague's.
    ///
    /// # Errors
    /// See [`AccessError`].
    pub async fn end_as_staff(
        &self,
        permit: &Permit<action::RequestAccess>,
        id: AccessRequestId,
    ) -> Result<AccessView, AccessError> {
        let request = self.of_staff(id).await?;
        self.finish(permit.actor(), request).await
    }

    async fn of_workspace(
        &self,
        workspace: WorkspaceId,
        id: AccessRequestId,
    ) -> Result<AccessRequest, AccessError> {
        let mut conn = self.store.read().await?;
        db!(conn, access_request::get(workspace, id))?.ok_or(AccessError::Unknown(id))
    }

    async fn of_staff(&self, id: AccessRequestId) -> Result<AccessRequest, AccessError> {
        let mut conn = self.store.read().await?;
        db!(conn, access_request::by_id(id))?.ok_or(AccessError::Unknown(id))
    }

    async fn settle(
        &self,
        actor: Actor,
        mut request: AccessRequest,
        decision: AccessDecision,
    ) -> Result<AccessView, AccessError> {
        let (id, now) = (request.id, self.clock.now());
        if person(actor)? == request.user_id {
            return Err(AccessError::OwnRequest(id));
        }
        let standing = AccessStanding::of(&request, now);
        if standing != AccessStanding::Pending {
            return Err(AccessError::Settled { id, standing });
        }
        let (user, role) = (request.user_id, request.role);
        let minutes = u64::try_from(request.minutes).unwrap_or(0);
        let expires = now.plus(Duration::from_mins(minutes));
        let (state, expires_at, event) = match decision {
            AccessDecision::Approve => {
                let event = Audit::AccessApproved { request: id, user, role, expires };
                (AccessState::Approved, Some(expires), event)
            }
            AccessDecision::Deny => {
                (AccessState::Denied, None, Audit::AccessDenied { request: id, user })
            }
        };
        let (workspace, by) = (request.workspace_id, actor.to_string());
        let mut tx = self.store.write(actor).await?;
        let decided = db!(tx, access_request::decide(workspace, id, state, &by, now, expires_at))?;
        if !decided {
            drop(tx);
            return Err(self.settled(workspace, id, now).await?);
        }
        commit(tx, workspace, now, event).await?;
        request.state = state;
        request.decided_by = Some(by);
        request.decided_at = Some(now);
        request.expires_at = expires_at;
        self.view(request).await
    }

    async fn finish(
        &self,
        actor: Actor,
        mut request: AccessRequest,
    ) -> Result<AccessView, AccessError> {
        person(actor)?;
        let (id, workspace, now) = (request.id, request.workspace_id, self.clock.now());
        let mut tx = self.store.write(actor).await?;
        if !db!(tx, access_request::end(workspace, id, now))? {
            drop(tx);
            return Err(self.settled(workspace, id, now).await?);
        }
        tx.access_changed(workspace).await?;
        let event = Audit::AccessEnded { request: id, user: request.user_id };
        commit(tx, workspace, now, event).await?;
        request.state = AccessState::Ended;
        request.ended_at = Some(now);
        self.view(request).await
    }

    /// Why a request could not be changed.
    async fn settled(
        &self,
        workspace: WorkspaceId,
        id: AccessRequestId,
        now: Timestamp,
    ) -> Result<AccessError, AccessError> {
        let request = self.of_workspace(workspace, id).await?;
        Ok(AccessError::Settled { id, standing: AccessStanding::of(&request, now) })
    }

    async fn views(&self, requests: Vec<AccessRequest>) -> Result<Vec<AccessView>, AccessError> {
        let mut views = Vec::with_capacity(requests.len());
        for request in requests {
            views.push(self.view(request).await?);
        }
        Ok(views)
    }

    async fn view(&self, request: AccessRequest) -> Result<AccessView, AccessError> {
        let mut conn = self.store.read().await?;
        let user = db!(conn, user::by_id(request.user_id))?;
        let (email, name) = user.map(|user| (user.email, user.name)).unwrap_or_default();
        let standing = AccessStanding::of(&request, self.clock.now());
        Ok(AccessView { request, standing, email, name })
    }
}

/// The person who acts.
fn person(actor: Actor) -> Result<UserId, AccessError> {
    match actor {
        Actor::User(user) => Ok(user),
        other => Err(AccessError::NotAPerson(other)),
    }
}

/// Commits with the event in both chains: the workspace's, which it concerns, and the
/// installation's.
async fn commit(
    mut tx: WriteTx,
    workspace: WorkspaceId,
    now: Timestamp,
    event: Audit,
) -> Result<(), Error> {
    tx.record(INSTALLATION, now, event.clone()).await?;
    tx.commit(workspace, now, event).await
}

#[cfg(test)]
pub(crate) mod tests;
