//! An installation with a workspace, and people and programs in it.

use causeway_identity::action::{Action, ManageMembers, ProvisionMembers, ReadMembers};
use causeway_identity::scim::Scim;
use causeway_identity::token::{self, Plain};
use causeway_identity::{
    Bootstrap, Caller, Grantee, MachineAccess, MachineParts, MemberDetail, Members, MembersError,
    MembersParts, NewRoleGrant, OwnKeys, Permit, Scopes, SessionError, Sessions, WantedPlace,
    authorize, bootstrap,
};
use causeway_store::testing::TestDatabase;
use causeway_store::{Audit, db, verify_chain};
use causeway_types::entity::{
    ApiKey, EnvironmentKind, IdentityProvider, Member, MemberOrigin, MemberState, ProviderKind,
    Role, RoleGrant, Session, User,
};
use causeway_types::place::Sealed;
use causeway_types::{
    Actor, ApiKeyId, Clock as _, INSTALLATION, ManualClock, MemberId, OsRandom, ProjectId,
    ProviderId, RoleGrantId, SessionId, SystemClock, Tenant, Timestamp, UserId, WorkspaceId,
};
use causeway_vault::{DEFAULT_KEY_LIFETIME, FileKey, RootKey, Vault};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// Everywhere in the workspace.
pub(crate) const ALL: Option<ProjectId> = None;

pub(crate) struct World {
    pub(crate) database: TestDatabase,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) keys: OwnKeys,
    pub(crate) members: Members,
    pub(crate) scim: Scim,
    pub(crate) sessions: Sessions,
    pub(crate) tenant: Tenant,
    machine: MachineAccess,
    provider: ProviderId,
    _root: tempfile::TempDir,
}

/// Somebody who is signed in and a member.
pub(crate) struct Person {
    pub(crate) user: UserId,
    pub(crate) member: MemberId,
    pub(crate) cookie: String,
    pub(crate) workspace: WorkspaceId,
}

impl World {
    pub(crate) async fn new(database: TestDatabase) -> Self {
        let root = tempfile::tempdir().unwrap();
        let key = FileKey::create(&root.path().join("root.key"), database.folder(), &OsRandom);
        let clock = Arc::new(ManualClock::at(SystemClock.now()));
        let store = database.store.clone();
        let random = Arc::new(OsRandom);
        let root_key = RootKey::File(key.unwrap());
        let lifetime = DEFAULT_KEY_LIFETIME;
        let vault = Vault::unlock(store.clone(), root_key, lifetime, clock.clone(), random.clone());
        let vault = vault.await.unwrap();
        let keys = OwnKeys::open(&store, &vault, &*clock, &OsRandom, Actor::Machine).await.unwrap();
        let wanted = Bootstrap {
            workspace_name: "Acme".into(),
            project_name: "Main".into(),
            environment: EnvironmentKind::Production,
        };
        let made = bootstrap(&store, &vault, keys.token(), &*clock, &OsRandom, &wanted);
        let made = made.await.unwrap();
        let tenant = Tenant {
            workspace: made.workspace,
            project: made.project,
            environment: made.production,
        };
        let members = Members::new(MembersParts {
            store: store.clone(),
            vault,
            token_key: keys.token().clone(),
            clock: clock.clone(),
            random: random.clone(),
        });
        let machine = MachineAccess::new(MachineParts {
            store: store.clone(),
            keys: keys.clone(),
            clock: clock.clone(),
            random,
            issuer: "https://connect.example.com".into(),
        });
        let provider = provider(&database, clock.now()).await;
        Self {
            sessions: Sessions::new(store, keys.token().clone(), clock.clone()),
            scim: Scim::new(members.clone()),
            database,
            clock,
            keys,
            members,
            tenant,
            machine,
            provider,
            _root: root,
        }
    }

    pub(crate) fn workspace(&self) -> WorkspaceId {
        self.tenant.workspace
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A member of the workspace with one role in all of it, signed in just now.
    pub(crate) async fn person(&self, role: Role) -> Person {
        self.person_in(self.workspace(), &[(role, ALL)]).await
    }

    pub(crate) async fn person_in(
        &self,
        workspace: WorkspaceId,
        roles: &[(Role, Option<ProjectId>)],
    ) -> Person {
        // Ids sort by age, to a millisecond.
        self.clock.advance(Duration::from_millis(1));
        let now = self.now();
        let user = UserId::generate(now, &OsRandom);
        let email = format!("{user}@example.com");
        let row = User {
            id: user,
            workspace_id: INSTALLATION,
            email: email.clone(),
            name: "Somebody".into(),
            created_at: now,
            signed_in_at: now,
        };
        let mut tx = self.database.store.write(Actor::Machine).await.unwrap();
        db!(tx, user::insert(&row)).unwrap();
        let event = Audit::InstallationClaimed { user, email };
        tx.commit(INSTALLATION, now, event).await.unwrap();
        let cookie = self.sign_in(user).await;
        let member = self.join(user, workspace, roles).await;
        Person { user, member, cookie, workspace }
    }

    /// Another session of somebody; its cookie.
    pub(crate) async fn sign_in(&self, user: UserId) -> String {
        let now = self.now();
        let plain = Plain::<token::Session>::generate(&OsRandom);
        let session = Session {
            id: SessionId::generate(now, &OsRandom),
            user_id: user,
            provider_id: self.provider,
            digest: plain.keyed_digest(self.keys.token()).to_vec(),
            email: format!("{user}@example.com"),
            hosted_domain: None,
            authentication: "{}".into(),
            authenticated_at: now,
            mfa_at: None,
            address: "192.0.2.7".into(),
            user_agent: "test".into(),
            created_at: now,
            last_seen_at: now,
            expires_at: now.plus(Duration::from_hours(24)),
            revoked_at: None,
        };
        let mut tx = self.database.store.write(Actor::Machine).await.unwrap();
        db!(tx, session::insert(&session)).unwrap();
        let event =
            Audit::SignedIn { user, session: session.id, provider: self.provider, mfa: false };
        tx.commit(INSTALLATION, now, event).await.unwrap();
        plain.reveal().expose().clone()
    }

    /// Makes somebody a member.
    pub(crate) async fn join(
        &self,
        user: UserId,
        workspace: WorkspaceId,
        roles: &[(Role, Option<ProjectId>)],
    ) -> MemberId {
        let now = self.now();
        let member = Member {
            id: MemberId::generate(now, &OsRandom),
            workspace_id: workspace,
            user_id: Some(user),
            email: format!("{user}@example.com"),
            name: "Some Body".into(),
            external_id: None,
            origin: MemberOrigin::Invitation,
            state: MemberState::Active,
            created_at: now,
            updated_at: now,
            last_active_at: Some(now),
        };
        let mut tx = self.database.store.write(Actor::Machine).await.unwrap();
        db!(tx, member::insert(&member)).unwrap();
        for (role, project) in roles {
            let grant = RoleGrant {
                id: RoleGrantId::generate(now, &OsRandom),
                workspace_id: workspace,
                member_id: Some(member.id),
                group_id: None,
                role: *role,
                project_id: *project,
                created_at: now,
            };
            db!(tx, role_grant::insert(&grant)).unwrap();
        }
        let event = Audit::MemberJoined {
            member: member.id,
            user: Some(user),
            email: member.email,
            invitation: None,
        };
        tx.commit(workspace, now, event).await.unwrap();
        member.id
    }

    /// The person as a caller in their workspace, or why not.
    pub(crate) async fn comes(&self, person: &Person) -> Result<Caller, SessionError> {
        let place = Some(WantedPlace::Workspace(person.workspace));
        self.sessions.authenticate(&person.cookie, place).await
    }

    pub(crate) async fn caller(&self, person: &Person) -> Caller {
        self.comes(person).await.unwrap()
    }

    /// A program in the workspace.
    pub(crate) async fn program(&self, scopes: &Scopes) -> Caller {
        self.program_in(self.tenant, scopes).await
    }

    pub(crate) async fn program_in(&self, tenant: Tenant, scopes: &Scopes) -> Caller {
        let plain = Plain::<token::ApiKey>::generate(&OsRandom);
        let key = ApiKey {
            id: ApiKeyId::generate(self.now(), &OsRandom),
            workspace_id: tenant.workspace,
            project_id: tenant.project,
            environment_id: tenant.environment,
            name: "program".into(),
            hint: plain.hint(),
            digest: plain.keyed_digest(self.keys.token()).to_vec(),
            scopes: scopes.to_text(),
            created_by: Actor::Machine.to_string(),
            created_at: self.now(),
            expires_at: None,
            last_used_at: None,
            revoked_at: None,
        };
        let mut tx = self.database.store.write(Actor::Machine).await.unwrap();
        db!(tx, api_key::insert(&key)).unwrap();
        let event = Audit::ApiKeyCreated { key: key.id, name: key.name };
        tx.commit(tenant.workspace, self.now(), event).await.unwrap();
        let header = format!("Bearer {}", plain.reveal().expose());
        self.machine.authenticator().authenticate(Some(&header)).await.unwrap()
    }

    /// The directory's permit.
    pub(crate) async fn directory(&self) -> Permit<ProvisionMembers> {
        let scopes = Scopes::only(causeway_identity::action::ActionName::ProvisionMembers);
        self.permit(&self.program(&scopes).await)
    }

    #[track_caller]
    pub(crate) fn permit<A: Action>(&self, caller: &Caller) -> Permit<A> {
        authorize::<A>(caller, self.now()).unwrap_or_else(|denied| panic!("{denied}"))
    }

    /// A workspace beside.
    pub(crate) async fn beside(&self) -> WorkspaceId {
        let staff = self.person_in(INSTALLATION, &[(Role::Owner, ALL)]).await;
        let caller = self.caller(&staff).await;
        let new = causeway_identity::NewWorkspace {
            name: "Beside".into(),
            project: "Main".into(),
            owner_email: "first@example.com".into(),
        };
        let permit = self.permit(&caller);
        self.members.create_workspace(&permit, &new).await.unwrap().workspace.id
    }

    /// A project beside, in the same workspace.
    pub(crate) async fn project(&self, name: &str) -> ProjectId {
        let owner = self.person(Role::Owner).await;
        let permit = self.permit(&self.caller(&owner).await);
        self.members.create_project(&permit, name).await.unwrap().project.id
    }

    /// Gives a role in all of the workspace, or in a project.
    pub(crate) async fn grant(
        &self,
        by: &Caller,
        to: Grantee,
        role: Role,
        project: Option<ProjectId>,
    ) -> Result<RoleGrantId, MembersError> {
        let permit = self.permit::<ManageMembers>(by);
        let new = NewRoleGrant { to, role, project };
        self.members.grant_role(&permit, by, new).await.map(|grant| grant.id)
    }

    /// The grant by which a member has a role of their own.
    pub(crate) async fn grant_of(&self, person: &Person, role: Role) -> RoleGrantId {
        let mut conn = self.database.store.read().await.unwrap();
        let grants = db!(conn, role_grant::of_member(person.workspace, person.member)).unwrap();
        grants.iter().find(|grant| grant.role == role).unwrap().id
    }

    pub(crate) async fn revoke(&self, by: &Caller, id: RoleGrantId) -> Result<(), MembersError> {
        self.members.revoke_role(&self.permit(by), by, id).await
    }

    pub(crate) async fn remove(&self, by: &Caller, id: MemberId) -> Result<(), MembersError> {
        self.members.remove_member(&self.permit(by), by, id).await
    }

    pub(crate) async fn deactivate(
        &self,
        by: &Caller,
        id: MemberId,
    ) -> Result<Member, MembersError> {
        self.members.deactivate_member(&self.permit(by), by, id).await
    }

    pub(crate) async fn reactivate(
        &self,
        by: &Caller,
        id: MemberId,
    ) -> Result<Member, MembersError> {
        self.members.reactivate_member(&self.permit(by), by, id).await
    }

    pub(crate) async fn show(
        &self,
        by: &Caller,
        id: MemberId,
    ) -> Result<MemberDetail, MembersError> {
        self.members.member(&self.permit::<ReadMembers>(by), id).await
    }

    pub(crate) async fn owners(&self) -> i64 {
        let mut conn = self.database.store.read().await.unwrap();
        db!(conn, member::count_owners(self.workspace())).unwrap()
    }

    /// The events of the workspace's chain, which must hold.
    pub(crate) async fn audit(&self) -> Vec<Value> {
        let mut conn = self.database.store.read().await.unwrap();
        verify_chain(&mut conn, self.workspace()).await.unwrap().unwrap();
        let rows = db!(conn, audit::page(self.workspace(), 0, 5000)).unwrap();
        let event = |detail: &str| serde_json::from_str(detail).unwrap();
        rows.iter().map(|row| event(&row.detail)).collect()
    }

    /// The newest event of one kind.
    pub(crate) async fn last(&self, action: &str) -> Value {
        let events = self.audit().await;
        let found = events.into_iter().rfind(|event| event["action"] == action);
        found.unwrap_or_else(|| panic!("no event `{action}`"))
    }
}

async fn provider(database: &TestDatabase, now: Timestamp) -> ProviderId {
    let provider = IdentityProvider {
        id: ProviderId::generate(now, &OsRandom),
        workspace_id: INSTALLATION,
        kind: ProviderKind::Oidc,
        name: "Example".into(),
        issuer: "https://id.example.com".into(),
        client_id: "causeway".into(),
        secret: Sealed::from_bytes(Vec::new()),
        created_at: now,
        updated_at: now,
    };
    let mut tx = database.store.write(Actor::Machine).await.unwrap();
    db!(tx, provider::insert(&provider)).unwrap();
    let event = Audit::IdentityProviderSet {
        provider: provider.id,
        kind: provider.kind.to_string(),
        issuer: provider.issuer,
    };
    tx.commit(INSTALLATION, now, event).await.unwrap();
    provider.id
}

/// The code of a refusal.
#[track_caller]
pub(crate) fn refused<T, E: causeway_types::Coded>(result: Result<T, E>) -> causeway_types::Code {
    result.err().unwrap_or_else(|| panic!("it was not refused")).code()
}
