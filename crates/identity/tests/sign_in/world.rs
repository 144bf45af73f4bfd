//! An installation, and what tests do with it again and again.

use crate::browser::Web;
use crate::issuer::{self, Issuer};
use causeway_identity::token::{self, Plain};
use causeway_identity::{
    Bootstrap, Callback, Caller, NewProvider, OwnKeys, Permit, ProviderView, Purpose, Refusal,
    SignIn, SignInError, SignInParts, SignedIn, Visit, WantedPlace, action, authorize, bootstrap,
    make_claim_link, set_installation_provider,
};
use causeway_net::{Guard, GuardConfig, HttpClient, HttpConfig, SystemResolver};
use causeway_store::testing::TestDatabase;
use causeway_store::{Audit, db, verify_chain};
use causeway_testkit::oidc_provider::{self, OidcProvider};
use causeway_types::entity::{
    AuditRow, EnvironmentKind, Invitation, Member, MemberOrigin, MemberState, ProviderKind, Role,
    RoleGrant,
};
use causeway_types::{
    Actor, Clock as _, INSTALLATION, InvitationId, ManualClock, MemberId, OsRandom, ProjectId,
    ProviderId, RoleGrantId, SecretString, SystemClock, WorkspaceId,
};
use causeway_vault::{DEFAULT_KEY_LIFETIME, FileKey, RootKey, Vault};
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

pub(crate) const PUBLIC: &str = "http://127.0.0.1:9/";
pub(crate) const CALLBACK: &str = "http://127.0.0.1:9/auth/callback";

pub(crate) struct World {
    pub(crate) database: TestDatabase,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) vault: Vault,
    pub(crate) http: HttpClient,
    pub(crate) keys: OwnKeys,
    pub(crate) sign_in: SignIn,
    _folder: tempfile::TempDir,
}

/// Somebody's browser, with the cookies that Causeway gave it.
pub(crate) struct Person {
    pub(crate) browser: Plain<token::Browser>,
    pub(crate) session: Option<String>,
    pub(crate) address: IpAddr,
    pub(crate) web: Web,
}

impl Person {
    pub(crate) fn visit(&self) -> Visit<'_> {
        Visit {
            browser: &self.browser,
            session: self.session.as_deref(),
            address: self.address,
            user_agent: Some("test\r\nbrowser"),
        }
    }

    pub(crate) fn cookie(&self) -> &str {
        self.session.as_deref().unwrap()
    }

    /// Takes the cookie of a sign-in.
    pub(crate) fn take(&mut self, done: &SignedIn) {
        self.session = Some(done.cookie.expose().clone());
    }
}

impl World {
    pub(crate) async fn new(database: TestDatabase) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key =
            FileKey::create(&folder.path().join("root.key"), database.folder(), &OsRandom).unwrap();
        let clock = Arc::new(ManualClock::at(SystemClock.now()));
        let store = database.store.clone();
        let (root, random) = (RootKey::File(key), Arc::new(OsRandom));
        let vault =
            Vault::unlock(store.clone(), root, DEFAULT_KEY_LIFETIME, clock.clone(), random.clone())
                .await
                .unwrap();
        let keys = OwnKeys::open(&store, &vault, &*clock, &OsRandom, Actor::Machine).await.unwrap();
        let guard =
            GuardConfig { allow: vec!["127.0.0.0/8".parse().unwrap()], ..GuardConfig::default() };
        let http =
            HttpClient::new(Guard::new(guard, SystemResolver), &HttpConfig::default()).unwrap();
        let sign_in = SignIn::new(SignInParts {
            store,
            vault: vault.clone(),
            http: http.clone(),
            token_key: keys.token().clone(),
            clock: clock.clone(),
            random,
            public_url: PUBLIC.parse().unwrap(),
        });
        Self { database, clock, vault, http, keys, sign_in, _folder: folder }
    }

    /// With the certified provider as one of the installation's.
    pub(crate) async fn with_oidc(
        database: TestDatabase,
        kind: ProviderKind,
    ) -> (Self, OidcProvider, ProviderId) {
        let world = Self::new(database).await;
        let server = OidcProvider::start(CALLBACK).unwrap();
        let new = NewProvider {
            kind,
            name: "Company".into(),
            issuer: Some(server.url().to_owned()),
            client_id: oidc_provider::CLIENT_ID.into(),
            client_secret: SecretString::new(oidc_provider::CLIENT_SECRET.to_owned()),
        };
        let id = world.add_provider(new).await.id;
        (world, server, id)
    }

    /// With the hostile issuer as one of the installation's, and Ada as owner of everything, known
    /// to it as `subject-1`.
    pub(crate) async fn with_issuer(database: TestDatabase) -> (Self, Issuer, ProviderId) {
        let world = Self::new(database).await;
        let issuer = Issuer::start().await;
        let id = world.add_provider(new_provider(&issuer, ProviderKind::Oidc)).await.id;
        world.claim(&issuer, id).await;
        (world, issuer, id)
    }

    pub(crate) async fn add_provider(&self, new: NewProvider) -> ProviderView {
        set_installation_provider(&self.database.store, &self.vault, &*self.clock, &OsRandom, new)
            .await
            .unwrap()
    }

    /// Adds a provider to a workspace, as its owner.
    pub(crate) async fn add_provider_of(
        &self,
        owner: &Person,
        workspace: WorkspaceId,
        new: NewProvider,
    ) -> ProviderView {
        let permit: Permit<action::ManageSso> = self.permit(owner, workspace).await;
        self.sign_in.add_provider(&permit, new).await.unwrap()
    }

    /// Somebody at an address of their own.
    pub(crate) fn person(&self) -> Person {
        let browser = Plain::generate(&OsRandom);
        let [a, b, c, ..] = *browser.digest().as_bytes();
        let address = IpAddr::from([10, a, b, c]);
        Person { browser, session: None, address, web: Web::new(&self.http) }
    }

    pub(crate) async fn claim_token(&self) -> String {
        let store = &self.database.store;
        let link =
            make_claim_link(store, self.keys.token(), &*self.clock, &OsRandom, Actor::Machine);
        link.await.unwrap().token.expose().clone()
    }

    /// Ada claims the installation through the hostile issuer.
    pub(crate) async fn claim(&self, issuer: &Issuer, provider: ProviderId) -> Person {
        let token = self.claim_token().await;
        let mut ada = self.person();
        let purpose = Purpose::Claim { provider, token: &token };
        let done = self.through(issuer, purpose, &ada).await.unwrap();
        ada.take(&done);
        ada
    }

    /// Begins a sign-in and prepares the hostile issuer for it: the query of its answer.
    pub(crate) async fn begin_at(
        &self,
        issuer: &Issuer,
        purpose: Purpose<'_>,
        person: &Person,
    ) -> String {
        let url = self.sign_in.begin(purpose, &person.visit(), "/after").await.unwrap();
        let asked = query_of(&url);
        issuer.prepare(self.clock.now().as_secs());
        format!("state={}&code={}", asked["state"], asked["nonce"])
    }

    /// A whole sign-in through the hostile issuer, which belongs to the installation.
    pub(crate) async fn through(
        &self,
        issuer: &Issuer,
        purpose: Purpose<'_>,
        person: &Person,
    ) -> Result<SignedIn, SignInError> {
        let query = self.begin_at(issuer, purpose, person).await;
        self.back(&query, person).await
    }

    /// The browser comes back with a query.
    pub(crate) async fn back(&self, query: &str, person: &Person) -> Result<SignedIn, SignInError> {
        self.back_to(INSTALLATION, query, person).await
    }

    pub(crate) async fn back_to(
        &self,
        realm: WorkspaceId,
        query: &str,
        person: &Person,
    ) -> Result<SignedIn, SignInError> {
        self.sign_in.complete(realm, Callback::from_query(query), &person.visit()).await
    }

    /// Signs Ada in, who claimed the installation.
    pub(crate) async fn ada(&self, issuer: &Issuer, provider: ProviderId) -> Person {
        let mut ada = self.person();
        let done = self.through(issuer, Purpose::SignIn { provider }, &ada).await.unwrap();
        ada.take(&done);
        ada
    }

    /// The oldest workspace.
    pub(crate) async fn workspace(&self) -> WorkspaceId {
        let mut conn = self.database.store.read().await.unwrap();
        let all = db!(conn, workspace::all()).unwrap();
        all.into_iter().map(|row| row.id).find(|id| *id != INSTALLATION).unwrap()
    }

    pub(crate) async fn project(&self, workspace: WorkspaceId) -> ProjectId {
        let mut conn = self.database.store.read().await.unwrap();
        db!(conn, workspace::projects(workspace)).unwrap()[0].id
    }

    /// Another workspace, with nobody in it.
    pub(crate) async fn another_workspace(&self) -> WorkspaceId {
        let now = self.clock.now();
        let id = WorkspaceId::generate(now, &OsRandom);
        let row = causeway_types::entity::Workspace { id, name: "Other".into(), created_at: now };
        let mut tx = self.database.store.write(Actor::Machine).await.unwrap();
        db!(tx, workspace::insert(&row)).unwrap();
        db!(tx, audit::insert_head(id)).unwrap();
        self.vault.create_data_key(&mut tx, id, now).await.unwrap();
        let event = Audit::WorkspaceCreated { workspace: id, name: "Other".into() };
        tx.commit(id, now, event).await.unwrap();
        id
    }

    /// The API key, and with it the workspace, that whoever has the machine makes.
    pub(crate) async fn bootstrap(&self) -> WorkspaceId {
        let wanted = Bootstrap {
            workspace_name: "Acme".into(),
            project_name: "Main".into(),
            environment: EnvironmentKind::Development,
        };
        let (store, key) = (&self.database.store, self.keys.token());
        let made = bootstrap(store, &self.vault, key, &*self.clock, &OsRandom, &wanted);
        made.await.unwrap().workspace
    }

    pub(crate) async fn caller(&self, person: &Person, workspace: WorkspaceId) -> Caller {
        let place = Some(WantedPlace::Workspace(workspace));
        self.sign_in.sessions().authenticate(person.cookie(), place).await.unwrap()
    }

    pub(crate) async fn permit<A: action::Action>(
        &self,
        person: &Person,
        workspace: WorkspaceId,
    ) -> Permit<A> {
        let caller = self.caller(person, workspace).await;
        authorize(&caller, self.clock.now()).unwrap_or_else(|denied| panic!("{denied}"))
    }

    /// Invites somebody: the link's token.
    pub(crate) async fn invite(
        &self,
        workspace: WorkspaceId,
        email: &str,
        role: Role,
        project: Option<ProjectId>,
    ) -> String {
        let now = self.clock.now();
        let plain = Plain::<token::Invitation>::generate(&OsRandom);
        let row = Invitation {
            id: InvitationId::generate(now, &OsRandom),
            workspace_id: workspace,
            email: email.to_owned(),
            role,
            project_id: project,
            token_digest: plain.keyed_digest(self.keys.token()).to_vec(),
            invited_by: "machine".into(),
            created_at: now,
            expires_at: now.plus(Duration::from_hours(72)),
            accepted_at: None,
            revoked_at: None,
        };
        let mut tx = self.database.store.write(Actor::Machine).await.unwrap();
        db!(tx, invitation::insert(&row)).unwrap();
        let event =
            Audit::MemberInvited { invitation: row.id, email: row.email.clone(), role, project };
        tx.commit(workspace, now, event).await.unwrap();
        plain.reveal().expose().clone()
    }

    /// A place as a company's directory prepares it over SCIM.
    pub(crate) async fn prepare(&self, workspace: WorkspaceId, email: &str) -> MemberId {
        let now = self.clock.now();
        let member = Member {
            id: MemberId::generate(now, &OsRandom),
            workspace_id: workspace,
            user_id: None,
            email: email.to_owned(),
            name: "From the directory".into(),
            external_id: None,
            origin: MemberOrigin::Scim,
            state: MemberState::Active,
            created_at: now,
            updated_at: now,
            last_active_at: None,
        };
        let grant = RoleGrant {
            id: RoleGrantId::generate(now, &OsRandom),
            workspace_id: workspace,
            member_id: Some(member.id),
            group_id: None,
            role: Role::Viewer,
            project_id: None,
            created_at: now,
        };
        let mut tx = self.database.store.write(Actor::Machine).await.unwrap();
        db!(tx, member::insert(&member)).unwrap();
        db!(tx, role_grant::insert(&grant)).unwrap();
        let event = Audit::MemberProvisioned { member: member.id, email: email.to_owned() };
        tx.commit(workspace, now, event).await.unwrap();
        member.id
    }

    pub(crate) async fn member(&self, workspace: WorkspaceId, email: &str) -> Option<Member> {
        let mut conn = self.database.store.read().await.unwrap();
        db!(conn, member::by_email(workspace, email)).unwrap()
    }

    /// Changes a member's row as the members' part of Causeway would.
    pub(crate) async fn change_member(
        &self,
        workspace: WorkspaceId,
        email: &str,
        change: impl FnOnce(&mut Member),
    ) {
        let mut member = self.member(workspace, email).await.unwrap();
        change(&mut member);
        let mut tx = self.database.store.write(Actor::Machine).await.unwrap();
        db!(tx, member::update(&member)).unwrap();
        let event = Audit::MemberUpdated { member: member.id, changed: vec!["test".into()] };
        tx.commit(workspace, self.clock.now(), event).await.unwrap();
    }

    /// A workspace's events so far, after its chain was checked.
    pub(crate) async fn events(&self, workspace: WorkspaceId) -> Vec<AuditRow> {
        let mut conn = self.database.store.read().await.unwrap();
        verify_chain(&mut conn, workspace).await.unwrap().unwrap();
        db!(conn, audit::page(workspace, 0, 500)).unwrap()
    }

    /// The names of a workspace's events so far.
    pub(crate) async fn actions(&self, workspace: WorkspaceId) -> Vec<String> {
        self.events(workspace).await.into_iter().map(|row| row.action).collect()
    }

    /// The detail of the last event of a kind.
    pub(crate) async fn last(&self, workspace: WorkspaceId, action: &str) -> Value {
        let rows = self.events(workspace).await;
        let row = rows.iter().rev().find(|row| row.action == action);
        serde_json::from_str(&row.unwrap_or_else(|| panic!("no {action}")).detail).unwrap()
    }

    /// A refused answer: why, after it was found in the realm's chain with the same reason.
    pub(crate) async fn refused(
        &self,
        realm: WorkspaceId,
        result: Result<SignedIn, SignInError>,
    ) -> Refusal {
        let error = result.map(|done| done.arrived).unwrap_err();
        let SignInError::Refused(refusal) = error else { panic!("{error}: {error:?}") };
        let event = self.last(realm, "sign_in_refused").await;
        assert_eq!(event["reason"], refusal.as_str());
        refusal
    }
}

/// The hostile issuer as a provider.
pub(crate) fn new_provider(issuer: &Issuer, kind: ProviderKind) -> NewProvider {
    NewProvider {
        kind,
        name: format!("Issuer at {}", issuer.url().rsplit(':').next().unwrap()),
        issuer: Some(issuer.url().to_owned()),
        client_id: issuer::CLIENT_ID.into(),
        client_secret: SecretString::new(issuer::CLIENT_SECRET.to_owned()),
    }
}

pub(crate) fn query_of(url: &Url) -> BTreeMap<String, String> {
    url.query_pairs().into_owned().collect()
}

/// Takes the installation's providers away.
pub(crate) async fn forget_providers(world: &World) -> usize {
    let store = &world.database.store;
    let mut tx = store.write(Actor::Machine).await.unwrap();
    let rows = db!(tx, provider::list(INSTALLATION)).unwrap();
    for row in &rows {
        assert!(db!(tx, provider::delete(INSTALLATION, row.id)).unwrap());
        let event = Audit::IdentityProviderDeleted { provider: row.id };
        tx.record(INSTALLATION, world.clock.now(), event).await.unwrap();
    }
    tx.commit(INSTALLATION, world.clock.now(), Audit::ClaimLinkMade {}).await.unwrap();
    rows.len()
}

impl World {
    pub(crate) async fn revoke_invitation(&self, workspace: WorkspaceId, id: InvitationId) {
        let now = self.clock.now();
        let mut tx = self.database.store.write(Actor::Machine).await.unwrap();
        assert!(db!(tx, invitation::revoke(workspace, id, now)).unwrap());
        tx.commit(workspace, now, Audit::InvitationRevoked { invitation: id }).await.unwrap();
    }

    /// Sets a workspace's rules without asking anybody.
    pub(crate) async fn store_rules(&self, workspace: WorkspaceId, rules: &str) {
        let now = self.clock.now();
        let mut tx = self.database.store.write(Actor::Machine).await.unwrap();
        db!(tx, sso_policy::set(workspace, rules, now)).unwrap();
        let event = Audit::SsoPolicyChanged { rules: serde_json::from_str(rules).unwrap() };
        tx.commit(workspace, now, event).await.unwrap();
    }

    /// Makes a user a member without asking anybody.
    pub(crate) async fn seat(
        &self,
        workspace: WorkspaceId,
        email: &str,
        user: causeway_types::UserId,
    ) {
        self.prepare(workspace, email).await;
        self.change_member(workspace, email, |member| member.user_id = Some(user)).await;
    }
}

impl World {
    /// Gives a workspace a provider without asking anybody.
    pub(crate) async fn store_provider(&self, workspace: WorkspaceId, issuer: &Issuer) {
        let now = self.clock.now();
        let id = ProviderId::generate(now, &OsRandom);
        let place = causeway_types::Place::ProviderSecret(id);
        let row = causeway_types::entity::IdentityProvider {
            id,
            workspace_id: workspace,
            kind: ProviderKind::Oidc,
            name: "Own".into(),
            issuer: issuer.url().into(),
            client_id: issuer::CLIENT_ID.into(),
            secret: self.vault.seal(workspace, &place, b"secret").await.unwrap(),
            created_at: now,
            updated_at: now,
        };
        let mut tx = self.database.store.write(Actor::Machine).await.unwrap();
        db!(tx, provider::insert(&row)).unwrap();
        let event = Audit::IdentityProviderSet {
            provider: id,
            kind: row.kind.to_string(),
            issuer: row.issuer.clone(),
        };
        tx.commit(workspace, now, event).await.unwrap();
    }
}

impl World {
    /// A prepared place, unless the address has one.
    pub(crate) async fn prepare_once(&self, workspace: WorkspaceId, email: &str) {
        if self.member(workspace, email).await.is_none() {
            self.prepare(workspace, email).await;
        }
    }
}
