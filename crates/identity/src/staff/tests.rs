use super::*;
use crate::action::{Action, Where};
use crate::permit::{Caller, Person, authorize};
use causeway_store::testing::TestDatabase;
use causeway_store::{on_both, verify_chain};
use causeway_types::entity::{HeldRole, User, Workspace};
use causeway_types::{ApiKeyId, ManualClock, OsRandom, SystemClock};

on_both!(
    an_owner_lets_the_staff_in_for_a_time,
    a_second_member_of_the_staff_may_approve,
    nobody_decides_about_their_own_request,
    either_side_ends_it,
    a_request_is_decided_once,
    a_request_that_nobody_decides_lapses,
    one_request_at_a_time,
    what_may_not_be_asked_for,
    a_request_of_another_workspace_is_unknown,
);

pub(crate) struct World {
    pub(crate) database: TestDatabase,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) staff: StaffAccess,
    pub(crate) workspace: WorkspaceId,
}

impl World {
    pub(crate) async fn new(database: TestDatabase) -> Self {
        let clock = Arc::new(ManualClock::at(SystemClock.now()));
        let staff = StaffAccess::new(database.store.clone(), clock.clone(), Arc::new(OsRandom));
        let workspace = WorkspaceId::generate(clock.now(), &OsRandom);
        let world = Self { database, clock, staff, workspace };
        for id in [INSTALLATION, workspace] {
            world.add_workspace(id).await;
        }
        world
    }

    pub(crate) async fn add_workspace(&self, id: WorkspaceId) {
        let now = self.clock.now();
        let mut tx = self.database.store.write(Actor::Machine).await.unwrap();
        let row = Workspace { id, name: "Acme".into(), created_at: now };
        db!(tx, workspace::insert(&row)).unwrap();
        db!(tx, audit::insert_head(id)).unwrap();
        let event = Audit::WorkspaceCreated { workspace: id, name: row.name };
        tx.commit(id, now, event).await.unwrap();
    }

    /// A person whom the installation's providers know.
    pub(crate) async fn person(&self, email: &str) -> UserId {
        let now = self.clock.now();
        let id = UserId::generate(now, &OsRandom);
        let row = User {
            id,
            workspace_id: INSTALLATION,
            email: email.into(),
            name: "Somebody".into(),
            created_at: now,
            signed_in_at: now,
        };
        let mut tx = self.database.store.write(Actor::Machine).await.unwrap();
        db!(tx, user::insert(&row)).unwrap();
        tx.commit(INSTALLATION, now, Audit::ClaimLinkMade {}).await.unwrap();
        id
    }

    /// A permit for a person with a role in a workspace.
    pub(crate) fn permit<A: Action>(
        &self,
        user: UserId,
        workspace: WorkspaceId,
        role: Role,
    ) -> Permit<A> {
        let now = self.clock.now();
        let roles = vec![HeldRole { role, project_id: None }];
        let person =
            Person { roles, authenticated_at: now, step_up_within: Duration::from_mins(10) };
        let caller = Caller::person(Actor::User(user), Where::Workspace(workspace), person);
        authorize::<A>(&caller, now).unwrap_or_else(|denied| panic!("{denied}"))
    }

    fn asking(&self, user: UserId) -> Permit<action::RequestAccess> {
        self.permit(user, INSTALLATION, Role::Operator)
    }

    fn owning(&self, user: UserId) -> Permit<action::DecideAccess> {
        self.permit(user, self.workspace, Role::Owner)
    }

    fn leading(&self, user: UserId) -> Permit<action::ApproveStaff> {
        self.permit(user, INSTALLATION, Role::Admin)
    }

    fn new_access(&self) -> NewAccess {
        NewAccess {
            workspace: self.workspace,
            role: Role::Operator,
            reason: "  ticket 4711: runs that hang ".into(),
            minutes: 60,
        }
    }

    async fn asked(&self, user: UserId) -> AccessRequestId {
        let permit = self.asking(user);
        self.staff.request(&permit, self.new_access()).await.unwrap().request.id
    }

    /// Whether the request of a person counts now, as sessions ask.
    async fn is_inside(&self, user: UserId) -> bool {
        let mut conn = self.database.store.read().await.unwrap();
        let now = self.clock.now();
        !db!(conn, access_request::current(self.workspace, user, now)).unwrap().is_empty()
    }

    /// The kinds of events about access in a chain, which holds.
    async fn told(&self, workspace: WorkspaceId) -> Vec<String> {
        let mut conn = self.database.store.read().await.unwrap();
        verify_chain(&mut conn, workspace).await.unwrap().unwrap();
        let rows = db!(conn, audit::page(workspace, 0, 100)).unwrap();
        let names = rows.into_iter().map(|row| row.action);
        names.filter(|name| name.starts_with("access_")).collect()
    }
}

async fn an_owner_lets_the_staff_in_for_a_time(database: TestDatabase) {
    let world = World::new(database).await;
    let (ada, owner) = (world.person("ada@staff").await, world.person("o@acme").await);
    let asked = world.staff.request(&world.asking(ada), world.new_access()).await.unwrap();
    assert_eq!(asked.standing, AccessStanding::Pending);
    assert_eq!(asked.request.reason, "ticket 4711: runs that hang");
    assert_eq!((asked.email.as_str(), asked.name.as_str()), ("ada@staff", "Somebody"));
    assert!(!world.is_inside(ada).await, "a request alone opens nothing");

    let id = asked.request.id;
    let listed = world.staff.requests(&world.owning(owner), AccessRequestId::highest(), 10).await;
    assert_eq!(listed.unwrap()[0].request.id, id);
    world.clock.advance(Duration::from_mins(30));
    let owning = world.owning(owner);
    let approved = world.staff.decide(&owning, id, AccessDecision::Approve).await.unwrap();
    assert_eq!(approved.standing, AccessStanding::Active);
    assert_eq!(approved.request.decided_by, Some(owner.to_string()));
    assert_eq!(approved.request.expires_at, Some(world.clock.now().plus(Duration::from_hours(1))));
    assert!(world.is_inside(ada).await);
    for workspace in [world.workspace, INSTALLATION] {
        assert_eq!(world.told(workspace).await, ["access_requested", "access_approved"]);
    }
    world.clock.advance(Duration::from_mins(59));
    assert!(world.is_inside(ada).await);
    world.clock.advance(Duration::from_mins(1));
    assert!(!world.is_inside(ada).await, "it ends by itself");
    let asking = world.asking(ada);
    let all = world.staff.requests_of_staff(&asking, AccessRequestId::highest(), 10);
    assert_eq!(all.await.unwrap()[0].standing, AccessStanding::Expired);
}

async fn a_second_member_of_the_staff_may_approve(database: TestDatabase) {
    let world = World::new(database).await;
    let (ada, bob) = (world.person("ada@staff").await, world.person("bob@staff").await);
    let id = world.asked(ada).await;
    let leading = world.leading(bob);
    world.staff.decide_as_staff(&leading, id, AccessDecision::Approve).await.unwrap();
    assert!(world.is_inside(ada).await && !world.is_inside(bob).await);
    let rows = {
        let mut conn = world.database.store.read().await.unwrap();
        db!(conn, audit::page(world.workspace, 0, 10)).unwrap()
    };
    let last = rows.last().unwrap();
    assert_eq!((last.action.as_str(), &last.actor), ("access_approved", &bob.to_string()));
}

async fn nobody_decides_about_their_own_request(database: TestDatabase) {
    let world = World::new(database).await;
    let ada = world.person("ada@staff").await;
    let id = world.asked(ada).await;
    let (leading, owning) = (world.leading(ada), world.owning(ada));
    for decision in [AccessDecision::Approve, AccessDecision::Deny] {
        let refused = world.staff.decide_as_staff(&leading, id, decision).await.unwrap_err();
        assert!(matches!(refused, AccessError::OwnRequest(_)), "{refused}");
        assert_eq!(refused.code(), Code::Denied);
        // Not even as the owner of the workspace.
        let refused = world.staff.decide(&owning, id, decision).await.unwrap_err();
        assert!(matches!(refused, AccessError::OwnRequest(_)), "{refused}");
    }
    assert!(!world.is_inside(ada).await);
    assert_eq!(world.told(world.workspace).await, ["access_requested"]);
}

async fn either_side_ends_it(database: TestDatabase) {
    let world = World::new(database).await;
    let (ada, bob) = (world.person("ada@staff").await, world.person("bob@staff").await);
    let owner = world.person("o@acme").await;
    let owning = world.owning(owner);
    for who in ["the owner", "whoever asked", "a colleague"] {
        let id = world.asked(ada).await;
        world.staff.decide(&owning, id, AccessDecision::Approve).await.unwrap();
        let before = world.database.store.notices().mark();
        let ended = match who {
            "the owner" => world.staff.end(&owning, id).await,
            "whoever asked" => world.staff.end_as_staff(&world.asking(ada), id).await,
            _ => world.staff.end_as_staff(&world.asking(bob), id).await,
        };
        assert_eq!(ended.unwrap().standing, AccessStanding::Ended, "{who}");
        assert!(!world.is_inside(ada).await, "{who}");
        let believed =
            before.is_some_and(|mark| world.database.store.notices().holds(world.workspace, mark));
        assert!(!believed, "every node hears of it");
        let again = world.staff.end(&owning, id).await.unwrap_err();
        assert_eq!(again.code(), Code::AccessSettled);
    }
    // Before it is approved, ending it is withdrawing it.
    let id = world.asked(ada).await;
    world.staff.end_as_staff(&world.asking(ada), id).await.unwrap();
    let refused = world.staff.decide(&owning, id, AccessDecision::Approve).await.unwrap_err();
    assert!(refused.public().contains("is ended"), "{}", refused.public());
    let ended = world.told(INSTALLATION).await;
    assert_eq!(ended.iter().filter(|name| *name == "access_ended").count(), 4);
}

async fn a_request_is_decided_once(database: TestDatabase) {
    let world = World::new(database).await;
    let (ada, owner) = (world.person("ada@staff").await, world.person("o@acme").await);
    let owning = world.owning(owner);
    let id = world.asked(ada).await;
    world.staff.decide(&owning, id, AccessDecision::Deny).await.unwrap();
    for decision in [AccessDecision::Approve, AccessDecision::Deny] {
        let refused = world.staff.decide(&owning, id, decision).await.unwrap_err();
        assert_eq!(refused.code(), Code::AccessSettled);
    }
    assert!(!world.is_inside(ada).await);
    assert_eq!(world.told(world.workspace).await, ["access_requested", "access_denied"]);

    // Of two who decide at once, one is too late.
    let id = world.asked(ada).await;
    let (one, other) = (world.leading(owner), world.owning(owner));
    let (one, other) = tokio::join!(
        world.staff.decide_as_staff(&one, id, AccessDecision::Approve),
        world.staff.decide(&other, id, AccessDecision::Deny),
    );
    assert_ne!(one.is_ok(), other.is_ok());
    assert_eq!(world.told(world.workspace).await.len(), 4);
}

async fn a_request_that_nobody_decides_lapses(database: TestDatabase) {
    let world = World::new(database).await;
    let (ada, owner) = (world.person("ada@staff").await, world.person("o@acme").await);
    let id = world.asked(ada).await;
    world.clock.advance(DECIDED_WITHIN);
    let owning = world.owning(owner);
    let refused = world.staff.decide(&owning, id, AccessDecision::Approve).await.unwrap_err();
    assert!(refused.public().contains("is lapsed"), "{}", refused.public());
    // And it is in nobody's way.
    world.asked(ada).await;
}

async fn one_request_at_a_time(database: TestDatabase) {
    let world = World::new(database).await;
    let (ada, owner) = (world.person("ada@staff").await, world.person("o@acme").await);
    let (asking, owning) = (world.asking(ada), world.owning(owner));
    let id = world.asked(ada).await;
    for _ in 0..2 {
        let refused = world.staff.request(&asking, world.new_access()).await.unwrap_err();
        assert!(matches!(refused, AccessError::Open(open) if open == id), "{refused}");
        let _ = world.staff.decide(&owning, id, AccessDecision::Approve).await;
    }
    world.clock.advance(Duration::from_hours(1));
    let (one, other) = tokio::join!(
        world.staff.request(&asking, world.new_access()),
        world.staff.request(&asking, world.new_access()),
    );
    assert_ne!(one.is_ok(), other.is_ok(), "of two at once, one");
    assert_eq!(world.told(world.workspace).await.len(), 3);
}

async fn what_may_not_be_asked_for(database: TestDatabase) {
    let world = World::new(database).await;
    let ada = world.person("ada@staff").await;
    let asking = world.asking(ada);
    let good = || world.new_access();
    let unknown = WorkspaceId::generate(world.clock.now(), &OsRandom);
    for (new, code) in [
        (NewAccess { reason: "because".into(), ..good() }, Code::InvalidRequest),
        (NewAccess { reason: " ".repeat(20), ..good() }, Code::InvalidRequest),
        (NewAccess { reason: "x".repeat(501), ..good() }, Code::InvalidRequest),
        (NewAccess { reason: "a line\nand another".into(), ..good() }, Code::InvalidRequest),
        (NewAccess { minutes: 0, ..good() }, Code::InvalidRequest),
        (NewAccess { minutes: 481, ..good() }, Code::InvalidRequest),
        (NewAccess { minutes: i64::MIN, ..good() }, Code::InvalidRequest),
        (NewAccess { role: Role::Owner, ..good() }, Code::InvalidRequest),
        (NewAccess { role: Role::Admin, ..good() }, Code::InvalidRequest),
        (NewAccess { role: Role::Developer, ..good() }, Code::InvalidRequest),
        (NewAccess { workspace: unknown, ..good() }, Code::NotFound),
        (NewAccess { workspace: INSTALLATION, ..good() }, Code::NotFound),
    ] {
        let refused = world.staff.request(&asking, new.clone()).await.unwrap_err();
        assert_eq!(refused.code(), code, "{new:?}");
    }
    assert!(world.told(world.workspace).await.is_empty());
    for actor in [
        Actor::Machine,
        Actor::ApiKey(ApiKeyId::lowest()),
        Actor::Staff(ada, AccessRequestId::lowest()),
    ] {
        assert!(matches!(person(actor), Err(AccessError::NotAPerson(_))), "{actor}");
    }
}

async fn a_request_of_another_workspace_is_unknown(database: TestDatabase) {
    let world = World::new(database).await;
    let (ada, owner) = (world.person("ada@staff").await, world.person("o@acme").await);
    let id = world.asked(ada).await;
    let other = WorkspaceId::generate(world.clock.now(), &OsRandom);
    world.add_workspace(other).await;
    let elsewhere = world.permit::<action::DecideAccess>(owner, other, Role::Owner);
    let approve = AccessDecision::Approve;
    for refused in [
        world.staff.decide(&elsewhere, id, approve).await.unwrap_err(),
        world.staff.end(&elsewhere, id).await.unwrap_err(),
        world.staff.decide(&elsewhere, AccessRequestId::highest(), approve).await.unwrap_err(),
        world
            .staff
            .decide_as_staff(&world.leading(owner), AccessRequestId::highest(), approve)
            .await
            .unwrap_err(),
    ] {
        assert_eq!(refused.code(), Code::NotFound, "{refused}");
    }
    let listed = world.staff.requests(&elsewhere, AccessRequestId::highest(), 10).await.unwrap();
    assert!(listed.is_empty());
}
