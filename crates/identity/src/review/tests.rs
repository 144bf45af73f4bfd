use super::*;
use crate::staff::tests::World;
use crate::{AccessDecision, NewAccess};
use causeway_store::testing::TestDatabase;
use causeway_store::{Audit, on_both};
use causeway_types::entity::{Environment, EnvironmentKind, MemberOrigin, Project, RoleGrant};
use causeway_types::{
    Actor, ApiKeyId, Clock as _, INSTALLATION, MachineClientId, OsRandom, RoleGrantId, UserId,
};
use std::time::Duration;

on_both!(the_review_has_everybody_who_has_something, what_is_not_used_is_flagged);

const DAY: Duration = Duration::from_hours(24);

struct House {
    world: World,
    project: ProjectId,
    environment: EnvironmentId,
}

impl House {
    async fn new(database: TestDatabase) -> Self {
        let world = World::new(database).await;
        let (workspace, now) = (world.workspace, world.clock.now());
        let (project, environment) =
            (ProjectId::generate(now, &OsRandom), EnvironmentId::generate(now, &OsRandom));
        let mut tx = world.database.store.write(Actor::Machine).await.unwrap();
        let row =
            Project { id: project, workspace_id: workspace, name: "p".into(), created_at: now };
        db!(tx, workspace::insert_project(&row)).unwrap();
        let row = Environment {
            id: environment,
            workspace_id: workspace,
            project_id: project,
            kind: EnvironmentKind::Production,
            created_at: now,
        };
        db!(tx, workspace::insert_environment(&row)).unwrap();
        tx.commit(workspace, now, Audit::ClaimLinkMade {}).await.unwrap();
        Self { world, project, environment }
    }

    async fn review(&self) -> AccessReview {
        let auditor = UserId::generate(self.world.clock.now(), &OsRandom);
        let permit = self.world.permit(auditor, self.world.workspace, Role::Auditor);
        let review =
            AccessReview::make(&self.world.database.store, &permit, self.world.clock.now());
        review.await.unwrap()
    }

    async fn member(&self, email: &str, state: MemberState) -> MemberId {
        let now = self.world.clock.now();
        let id = MemberId::generate(now, &OsRandom);
        let row = Member {
            id,
            workspace_id: self.world.workspace,
            user_id: None,
            email: email.into(),
            name: String::new(),
            external_id: None,
            origin: MemberOrigin::Scim,
            state,
            created_at: now,
            updated_at: now,
            last_active_at: None,
        };
        let mut tx = self.world.database.store.write(Actor::Machine).await.unwrap();
        db!(tx, member::insert(&row)).unwrap();
        tx.commit(row.workspace_id, now, Audit::ClaimLinkMade {}).await.unwrap();
        id
    }

    async fn group(&self, name: &str, members: &[MemberId]) -> GroupId {
        let (workspace, now) = (self.world.workspace, self.world.clock.now());
        let id = GroupId::generate(now, &OsRandom);
        let row = Group {
            id,
            workspace_id: workspace,
            name: name.into(),
            external_id: None,
            created_at: now,
            updated_at: now,
        };
        let mut tx = self.world.database.store.write(Actor::Machine).await.unwrap();
        db!(tx, group::insert(&row)).unwrap();
        for member in members {
            assert!(db!(tx, group::add(workspace, id, *member)).unwrap());
        }
        tx.commit(workspace, now, Audit::ClaimLinkMade {}).await.unwrap();
        id
    }

    async fn grant(&self, member: Option<MemberId>, group: Option<GroupId>, role: Role) {
        let (workspace, now) = (self.world.workspace, self.world.clock.now());
        let row = RoleGrant {
            id: RoleGrantId::generate(now, &OsRandom),
            workspace_id: workspace,
            member_id: member,
            group_id: group,
            role,
            project_id: group.map(|_| self.project),
            created_at: now,
        };
        let mut tx = self.world.database.store.write(Actor::Machine).await.unwrap();
        db!(tx, role_grant::insert(&row)).unwrap();
        tx.commit(workspace, now, Audit::ClaimLinkMade {}).await.unwrap();
    }

    async fn key(&self, name: &str, expires_at: Option<Timestamp>, revoked: bool) -> ApiKeyId {
        let (workspace, now) = (self.world.workspace, self.world.clock.now());
        let id = ApiKeyId::generate(now, &OsRandom);
        let row = ApiKey {
            id,
            workspace_id: workspace,
            project_id: self.project,
            environment_id: self.environment,
            name: name.into(),
            hint: "cwk_abcd".into(),
            digest: id.to_bytes().to_vec(),
            scopes: Scopes::only(action::ActionName::Deploy).to_text(),
            created_by: "machine".into(),
            created_at: now,
            expires_at,
            last_used_at: None,
            revoked_at: revoked.then_some(now),
        };
        let mut tx = self.world.database.store.write(Actor::Machine).await.unwrap();
        db!(tx, api_key::insert(&row)).unwrap();
        tx.commit(workspace, now, Audit::ClaimLinkMade {}).await.unwrap();
        id
    }

    async fn client(&self, scopes: &str) -> MachineClientId {
        let (workspace, now) = (self.world.workspace, self.world.clock.now());
        let id = MachineClientId::generate(now, &OsRandom);
        let row = MachineClient {
            id,
            workspace_id: workspace,
            project_id: self.project,
            environment_id: self.environment,
            name: "client".into(),
            digest: Some(vec![1]),
            old_digest: None,
            old_until: None,
            public_keys: None,
            scopes: scopes.into(),
            created_by: "machine".into(),
            created_at: now,
            last_used_at: None,
            revoked_at: None,
        };
        let mut tx = self.world.database.store.write(Actor::Machine).await.unwrap();
        db!(tx, machine_client::insert(&row)).unwrap();
        tx.commit(workspace, now, Audit::ClaimLinkMade {}).await.unwrap();
        id
    }
}

async fn the_review_has_everybody_who_has_something(database: TestDatabase) {
    let house = House::new(database).await;
    let ada = house.member("ada@acme", MemberState::Active).await;
    let bob = house.member("bob@acme", MemberState::Deactivated).await;
    let group = house.group("Builders", &[ada, bob]).await;
    house.grant(Some(ada), None, Role::Viewer).await;
    house.grant(None, Some(group), Role::Developer).await;
    let now = house.world.clock.now();
    let key = house.key("good", Some(now.plus(DAY)), false).await;
    house.key("expired", Some(now), false).await;
    house.key("revoked", None, true).await;
    let client = house.client("damaged").await;

    let staff = house.world.person("s@staff").await;
    let owner = house.world.person("o@acme").await;
    let new = NewAccess {
        workspace: house.world.workspace,
        role: Role::Viewer,
        reason: "looking for a fault".into(),
        minutes: 60,
    };
    let asking = house.world.permit(staff, INSTALLATION, Role::Operator);
    let asked = house.world.staff.request(&asking, new).await.unwrap().request.id;
    assert!(house.review().await.staff.is_empty(), "a request alone is no access");
    let owning = house.world.permit(owner, house.world.workspace, Role::Owner);
    house.world.staff.decide(&owning, asked, AccessDecision::Approve).await.unwrap();

    let other = WorkspaceId::generate(now, &OsRandom);
    house.world.add_workspace(other).await;
    let permit = house.world.permit(owner, other, Role::Owner);
    let empty = AccessReview::make(&house.world.database.store, &permit, now).await.unwrap();
    assert!(empty.members.is_empty() && empty.api_keys.is_empty() && empty.staff.is_empty());

    let review = house.review().await;
    assert_eq!((review.workspace, review.made_at), (house.world.workspace, now));
    let of = |id: MemberId| review.members.iter().find(|one| one.member.id == id).unwrap();
    let roles = |id: MemberId| -> Vec<(Role, bool, bool)> {
        let shown = |held: &RoleOf| (held.role, held.project.is_some(), held.group.is_some());
        of(id).roles.iter().map(shown).collect()
    };
    assert_eq!(roles(ada), [(Role::Viewer, false, false), (Role::Developer, true, true)]);
    assert_eq!(roles(bob), [(Role::Developer, true, true)]);
    assert_eq!(of(ada).roles[1].group, Some((group, "Builders".to_owned())));
    assert_eq!((review.groups.len(), review.groups[0].members), (1, 2));
    assert_eq!(review.groups[0].roles[0].role, Role::Developer);
    let keys: Vec<_> = review.api_keys.iter().map(|one| one.id.clone()).collect();
    assert_eq!(keys, [key.to_string()], "neither expired nor revoked ones");
    let scopes = review.api_keys[0].scopes.clone().unwrap();
    assert_eq!(scopes.actions(), [action::ActionName::Deploy]);
    assert_eq!(review.machine_clients[0].id, client.to_string());
    assert!(review.machine_clients[0].scopes.is_none(), "damaged scopes are shown as such");
    assert_eq!((review.staff.len(), review.staff[0].email.as_str()), (1, "s@staff"));
    house.world.clock.advance(Duration::from_hours(1));
    assert!(house.review().await.staff.is_empty());
}

async fn what_is_not_used_is_flagged(database: TestDatabase) {
    let house = House::new(database).await;
    let (workspace, store) = (house.world.workspace, house.world.database.store.clone());
    let ada = house.member("ada@acme", MemberState::Active).await;
    let bob = house.member("bob@acme", MemberState::Active).await;
    house.member("gone@acme", MemberState::Deactivated).await;
    let key = house.key("used", None, false).await;
    house.key("never", None, false).await;
    house.world.clock.advance(DAY);
    let now = house.world.clock.now();
    let mut tx = store.write(Actor::Machine).await.unwrap();
    db!(tx, member::touch(workspace, ada, now)).unwrap();
    let tenant = causeway_types::Tenant {
        workspace,
        project: house.project,
        environment: house.environment,
    };
    db!(tx, api_key::touch(tenant, key, now)).unwrap();
    tx.commit(workspace, now, Audit::ClaimLinkMade {}).await.unwrap();

    house.world.clock.advance(DAY * 88);
    assert_eq!(house.review().await.unused(), 0);
    house.world.clock.advance(DAY);
    let review = house.review().await;
    let flagged = |id: MemberId| {
        review.members.iter().find(|one| one.member.id == id).map(|one| one.usage).unwrap()
    };
    assert_eq!((flagged(ada).unused_for_days, flagged(ada).unused), (89, false));
    assert_eq!((flagged(bob).unused_for_days, flagged(bob).unused), (90, true), "never used");
    let keys: HashMap<&str, bool> =
        review.api_keys.iter().map(|one| (one.name.as_str(), one.usage.unused)).collect();
    assert_eq!(keys, HashMap::from([("used", false), ("never", true)]));
    assert_eq!(review.unused(), 2, "who may not come in anyway is not counted");
}
