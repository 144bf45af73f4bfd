//! Callers and permits.

use crate::action::{Action, ActionName, CustomerAction, NodeAction, Where, Within};
use crate::denials::Recorder;
use crate::role;
use crate::scope::Scopes;
use causeway_types::entity::{ApiKey, HeldRole};
use causeway_types::{
    Actor, Code, Coded, ConnectSessionId, INSTALLATION, NodeId, Tenant, Timestamp, WorkspaceId,
};
use std::borrow::Cow;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

/// Who sent a request, as far as its credentials prove it, and where he is.
#[derive(Debug, Clone)]
pub struct Caller {
    actor: Actor,
    place: Where,
    authority: Authority,
    recorder: Option<Recorder>,
}

/// Where a caller's rights come from.
#[derive(Debug, Clone)]
enum Authority {
    /// A program's, with an API key or an access token.
    Program(Arc<Scopes>),
    /// A person's, with a session.
    Person(Person),
}

/// What a signed-in person may do in a workspace, and how fresh the proof is.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    /// The roles held there.
    pub(crate) roles: Vec<HeldRole>,
    /// When the provider last authenticated them.
    pub(crate) authenticated_at: Timestamp,
    /// How old that may be for an action that steps up.
    pub(crate) step_up_within: Duration,
}

impl Person {
    fn holds(&self, action: ActionName, place: impl Within) -> bool {
        let installation = place.workspace() == INSTALLATION;
        self.roles.iter().any(|held| {
            let counts = match (held.project_id, place.environment()) {
                (None, _) => true,
                (Some(project), Some(tenant)) => project == tenant.project,
                // Who has a role in a project may see the workspace around it.
                (Some(_), None) => {
                    matches!(action, ActionName::ReadWorkspace | ActionName::ReadApps)
                }
            };
            let carries = if installation {
                role::carries_in_installation(held.role, action)
            } else {
                role::carries(held.role, action)
            };
            counts && carries
        })
    }
}

impl Caller {
    pub(crate) fn of_key(key: &ApiKey, scopes: Arc<Scopes>) -> Self {
        Self::program(Actor::ApiKey(key.id), key.tenant(), scopes)
    }

    /// A program in its environment.
    pub(crate) fn program(actor: Actor, tenant: Tenant, scopes: Arc<Scopes>) -> Self {
        Self::new(actor, Where::Environment(tenant), Authority::Program(scopes))
    }

    /// A person in a workspace, or in one environment of it.
    pub(crate) fn person(actor: Actor, place: Where, person: Person) -> Self {
        Self::new(actor, place, Authority::Person(person))
    }

    fn new(actor: Actor, place: Where, authority: Authority) -> Self {
        Self { actor, place, authority, recorder: None }
    }

    /// The same caller, of one request: what it is denied is taken down there, also by whoever gets
    /// a permit of it.
    #[must_use]
    pub fn recorded_by(self, recorder: Recorder) -> Self {
        Self { recorder: Some(recorder), ..self }
    }

    /// Denies the caller something.
    pub(crate) fn deny(&self, action: ActionName, reason: DeniedReason) -> Denied {
        let (actor, workspace) = (self.actor, self.workspace());
        Denied { action, actor, workspace, reason }.recorded(self.recorder.as_ref())
    }

    /// Where the caller is.
    pub fn place(&self) -> Where {
        self.place
    }

    /// The workspace that the caller is in.
    pub fn workspace(&self) -> WorkspaceId {
        self.place.workspace()
    }

    /// The caller as the audit chain names it.
    pub fn actor(&self) -> Actor {
        self.actor
    }

    /// Whether the caller may do this where he is, leaving aside how fresh his proof is: what
    /// bounds the scopes that he may give to a program.
    pub fn may(&self, action: ActionName) -> bool {
        match &self.authority {
            Authority::Program(scopes) => scopes.allows(action),
            // A role in one project carries nothing that is done in the whole workspace.
            Authority::Person(person) => match self.place {
                Where::Environment(tenant) if action.in_environment() => {
                    person.holds(action, tenant)
                }
                place => person.holds(action, place.workspace()),
            },
        }
    }

    /// What a program may do at most; None for a person.
    pub(crate) fn scopes(&self) -> Option<&Scopes> {
        match &self.authority {
            Authority::Program(scopes) => Some(scopes),
            Authority::Person(_) => None,
        }
    }

    /// The roles that a person holds here; a program holds none.
    pub fn roles(&self) -> &[HeldRole] {
        match &self.authority {
            Authority::Program(_) => &[],
            Authority::Person(person) => &person.roles,
        }
    }
}

/// Proof that somebody may do `A` in one environment or workspace. Only [`authorize`] and
/// [`Permit::for_node`] make it.
pub struct Permit<A: Action> {
    within: A::Within,
    actor: Actor,
    scopes: Option<Arc<Scopes>>,
    recorder: Option<Recorder>,
    action: PhantomData<fn() -> A>,
}

impl<A: Action> Clone for Permit<A> {
    fn clone(&self) -> Self {
        Self {
            within: self.within,
            actor: self.actor,
            scopes: self.scopes.clone(),
            recorder: self.recorder.clone(),
            action: PhantomData,
        }
    }
}

impl<A: Action> Permit<A> {
    /// The workspace that it is for.
    pub fn workspace(&self) -> WorkspaceId {
        self.within.workspace()
    }

    /// Who acts, for the audit chain.
    pub fn actor(&self) -> Actor {
        self.actor
    }

    /// Whether it covers this app: a program may be confined to some. To ask is to try: if not, it
    /// is a denied attempt, whatever the caller is told.
    ///
    /// # Errors
    /// [`Denied`] if not.
    pub fn covers_app(&self, slug: &str) -> Result<(), Denied> {
        if self.shows_app(slug) { Ok(()) } else { Err(self.deny(DeniedReason::App)) }
    }

    /// Whether it covers every app: what is not told apart by app is not for a program that is
    /// confined to some.
    ///
    /// # Errors
    /// [`Denied`] if not.
    pub fn covers_every_app(&self) -> Result<(), Denied> {
        let confined = self.scopes.as_ref().is_some_and(|scopes| scopes.apps.is_some());
        if confined { Err(self.deny(DeniedReason::Beyond)) } else { Ok(()) }
    }

    /// Whether what concerns this app belongs into a list. What does not is left out, and nobody
    /// was denied anything.
    pub fn shows_app(&self, slug: &str) -> bool {
        self.scopes.as_ref().is_none_or(|scopes| scopes.allows_app(slug))
    }

    /// Whether it covers a request through the proxy: a program may be confined to some. `path`
    /// begins with `/` and has neither `.` nor `..`.
    ///
    /// # Errors
    /// [`Denied`] if not.
    pub fn covers_request(&self, method: &str, path: &str) -> Result<(), Denied> {
        let allowed = |scopes: &Arc<Scopes>| scopes.allows_request(method, path);
        if self.scopes.as_ref().is_none_or(allowed) {
            return Ok(());
        }
        Err(self.deny(DeniedReason::Beyond))
    }

    /// Denies whoever has the permit something all the same.
    pub(crate) fn deny(&self, reason: DeniedReason) -> Denied {
        self.denial(reason).recorded(self.recorder.as_ref())
    }

    fn denial(&self, reason: DeniedReason) -> Denied {
        let (actor, workspace) = (self.actor, self.workspace());
        Denied { action: A::NAME, actor, workspace, reason }
    }
}

impl<A: Action<Within = Tenant>> Permit<A> {
    /// The environment that it is for.
    pub fn tenant(&self) -> Tenant {
        self.within
    }
}

impl<A: NodeAction<Within = Tenant>> Permit<A> {
    /// The permit for Causeway's own work in an environment, without a caller: only for the
    /// actions that are marked as such.
    pub fn for_node(node: NodeId, tenant: Tenant) -> Self {
        Self {
            within: tenant,
            actor: Actor::Node(node),
            scopes: None,
            recorder: None,
            action: PhantomData,
        }
    }
}

impl<A: CustomerAction<Within = Tenant>> Permit<A> {
    /// The permit for a customer who holds a connect token: only for the actions that are marked as
    /// such. It is as wide as a program's, so whoever makes it has seen before that what it is used
    /// on is the customer's own.
    pub fn for_customer(session: ConnectSessionId, tenant: Tenant) -> Self {
        Self {
            within: tenant,
            actor: Actor::Customer(session),
            scopes: None,
            recorder: None,
            action: PhantomData,
        }
    }
}

/// A caller is known and may not do what he asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("authorizing {actor} for {action}")]
pub struct Denied {
    /// What was asked for.
    pub action: ActionName,
    /// Who asked.
    pub actor: Actor,
    /// In which workspace.
    pub workspace: WorkspaceId,
    /// Why not.
    pub reason: DeniedReason,
}

/// Why a caller may not do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeniedReason {
    /// His rights do not name the action here.
    NotGranted,
    /// His rights name the action, but not for this app.
    App,
    /// His rights name the action, but do not go as far as he wanted to.
    Beyond,
    /// He may, once he has proved again who he is.
    StepUp,
    /// The action is done in an environment, and he is in none.
    NoEnvironment,
}

impl Denied {
    fn recorded(self, recorder: Option<&Recorder>) -> Self {
        if let Some(recorder) = recorder {
            recorder.denied(self);
        }
        self
    }
}

impl Coded for Denied {
    fn code(&self) -> Code {
        match self.reason {
            DeniedReason::NotGranted | DeniedReason::App | DeniedReason::Beyond => Code::Denied,
            DeniedReason::StepUp => Code::StepUpRequired,
            DeniedReason::NoEnvironment => Code::EnvironmentRequired,
        }
    }

    fn public(&self) -> Cow<'static, str> {
        let action = self.action;
        match self.reason {
            DeniedReason::NotGranted => {
                format!("You do not have the permission `{action}` here.").into()
            }
            DeniedReason::App => {
                format!("Your permission `{action}` does not cover this app.").into()
            }
            DeniedReason::Beyond => {
                format!("Your permission `{action}` does not go as far as this.").into()
            }
            DeniedReason::StepUp => format!(
                "`{action}` needs a fresh sign-in. Open `/auth/step-up`, sign in again, and repeat the request."
            )
            .into(),
            DeniedReason::NoEnvironment => format!(
                "`{action}` is done in an environment. Name it in the header `causeway-environment`."
            )
            .into(),
        }
    }
}

/// Decides whether the caller may do `A` where he is, at the time `now`.
///
/// # Errors
/// [`Denied`] unless the caller's rights name the action.
pub fn authorize<A: Action>(caller: &Caller, now: Timestamp) -> Result<Permit<A>, Denied> {
    let denied = |reason| caller.deny(A::NAME, reason);
    let within = A::Within::of(caller.place).ok_or_else(|| denied(DeniedReason::NoEnvironment))?;
    let scopes = match &caller.authority {
        Authority::Program(scopes) if scopes.allows(A::NAME) => Some(Arc::clone(scopes)),
        Authority::Person(person) if person.holds(A::NAME, within) => {
            if A::NAME.steps_up() && now.since(person.authenticated_at) > person.step_up_within {
                return Err(denied(DeniedReason::StepUp));
            }
            None
        }
        _ => return Err(denied(DeniedReason::NotGranted)),
    };
    let recorder = caller.recorder.clone();
    let permit = Permit { within, actor: caller.actor, scopes, recorder, action: PhantomData };
    if let Some(recorder) = &permit.recorder {
        recorder.let_in(permit.denial(DeniedReason::Beyond));
    }
    Ok(permit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action;
    use causeway_types::entity::Role;
    use causeway_types::{
        ApiKeyId, Clock as _, EnvironmentId, OsRandom, ProjectId, SystemClock, UserId,
    };

    const FRESH: Duration = Duration::from_mins(10);

    fn tenant() -> Tenant {
        let now = SystemClock.now();
        Tenant {
            workspace: WorkspaceId::generate(now, &OsRandom),
            project: ProjectId::generate(now, &OsRandom),
            environment: EnvironmentId::generate(now, &OsRandom),
        }
    }

    fn program(scopes: Scopes) -> Caller {
        let actor = Actor::ApiKey(ApiKeyId::generate(SystemClock.now(), &OsRandom));
        Caller::program(actor, tenant(), Arc::new(scopes))
    }

    fn person(place: Where, roles: &[(Role, Option<ProjectId>)], at: Timestamp) -> Caller {
        let roles =
            roles.iter().map(|(role, project)| HeldRole { role: *role, project_id: *project });
        let person = Person { roles: roles.collect(), authenticated_at: at, step_up_within: FRESH };
        Caller::person(Actor::User(UserId::generate(at, &OsRandom)), place, person)
    }

    fn reason<A: Action>(caller: &Caller, now: Timestamp) -> Option<DeniedReason> {
        authorize::<A>(caller, now).err().map(|denied| denied.reason)
    }

    #[test]
    fn a_permit_names_whom_it_was_given_to() {
        let caller = program(Scopes::default());
        let permit = authorize::<action::Deploy>(&caller, SystemClock.now())
            .unwrap_or_else(|denied| panic!("{denied}"));
        assert_eq!(Some(permit.tenant()), caller.place().environment());
        assert_eq!(permit.actor(), caller.actor());
    }

    #[test]
    fn a_program_may_do_what_its_scopes_name() {
        let now = SystemClock.now();
        let caller = program(Scopes::only(ActionName::ReadWorkflows));
        assert_eq!(reason::<action::ReadWorkflows>(&caller, now), None);
        assert_eq!(reason::<action::Deploy>(&caller, now), Some(DeniedReason::NotGranted));
        let denied = authorize::<action::Deploy>(&caller, now).err().unwrap();
        assert!(denied.public().contains("`workflows.deploy`"));
    }

    #[test]
    fn a_program_confined_to_apps_touches_no_other() {
        let scopes = Scopes { apps: Some(vec!["slack".into()]), ..Scopes::default() };
        let permit = authorize::<action::WriteConnections>(&program(scopes), SystemClock.now())
            .unwrap_or_else(|denied| panic!("{denied}"));
        assert!(permit.covers_app("slack").is_ok());
        let denied = permit.covers_app("github").err().unwrap();
        assert_eq!((denied.code(), denied.reason), (Code::Denied, DeniedReason::App));
    }

    #[test]
    fn a_role_in_a_project_ends_at_its_border() {
        let now = SystemClock.now();
        let (here, there) = (tenant(), tenant());
        let roles = [(Role::Admin, Some(here.project))];
        let inside = person(Where::Environment(here), &roles, now);
        assert_eq!(reason::<action::Deploy>(&inside, now), None);
        let outside = person(Where::Environment(there), &roles, now);
        assert_eq!(reason::<action::Deploy>(&outside, now), Some(DeniedReason::NotGranted));
        for place in [Where::Environment(here), Where::Workspace(here.workspace)] {
            let caller = person(place, &roles, now);
            assert_eq!(
                reason::<action::ManageMembers>(&caller, now),
                Some(DeniedReason::NotGranted)
            );
            assert_eq!(reason::<action::ReadWorkspace>(&caller, now), None);
        }
    }

    #[test]
    fn what_a_project_role_may_give_ends_at_its_border_too() {
        let (now, here) = (SystemClock.now(), tenant());
        let caller = person(Where::Environment(here), &[(Role::Admin, Some(here.project))], now);
        assert!(caller.may(ActionName::Deploy) && caller.may(ActionName::ReadWorkspace));
        assert!(!caller.may(ActionName::RotateKeys) && !caller.may(ActionName::ManageMembers));
        let caller = person(Where::Environment(here), &[(Role::Admin, None)], now);
        assert!(caller.may(ActionName::Deploy) && caller.may(ActionName::ManageMembers));
    }

    #[test]
    fn a_stale_proof_is_not_enough_for_what_steps_up() {
        let now = SystemClock.now();
        let place = Where::Workspace(tenant().workspace);
        let stale = now.minus(FRESH).minus(Duration::from_secs(1));
        let caller = person(place, &[(Role::Owner, None)], stale);
        assert_eq!(reason::<action::RotateKeys>(&caller, now), Some(DeniedReason::StepUp));
        assert_eq!(reason::<action::ReadKeys>(&caller, now), None);
        // Who may not at all is not asked to sign in again for nothing.
        let viewer = person(place, &[(Role::Viewer, None)], stale);
        assert_eq!(reason::<action::RotateKeys>(&viewer, now), Some(DeniedReason::NotGranted));
    }

    #[test]
    fn what_is_done_in_an_environment_needs_one() {
        let now = SystemClock.now();
        let caller = person(Where::Workspace(tenant().workspace), &[(Role::Owner, None)], now);
        assert_eq!(reason::<action::Deploy>(&caller, now), Some(DeniedReason::NoEnvironment));
    }

    #[test]
    fn staff_actions_are_the_installations_alone() {
        let now = SystemClock.now();
        let owner = [(Role::Owner, None)];
        let staff = person(Where::Workspace(INSTALLATION), &owner, now);
        assert_eq!(reason::<action::RequestAccess>(&staff, now), None);
        let other = person(Where::Workspace(tenant().workspace), &owner, now);
        assert_eq!(reason::<action::RequestAccess>(&other, now), Some(DeniedReason::NotGranted));
    }
}
