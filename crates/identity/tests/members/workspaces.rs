//! Workspaces and projects.

use crate::world::{ALL, World, refused};
use causeway_identity::action::{ActionName, ManageProjects, ManageWorkspaces, ReadWorkspace};
use causeway_identity::{MAX_PROJECTS, NewWorkspace, Scopes, authorize};
use causeway_store::testing::TestDatabase;
use causeway_store::{db, on_both, verify_chain};
use causeway_types::entity::{EnvironmentKind, Role};
use causeway_types::{Code, INSTALLATION, InvitationId, WorkspaceId};

on_both!(
    a_project_has_two_environments,
    who_is_in_one_project_sees_that_one,
    projects_are_bounded_and_their_names_unique,
    staff_make_workspaces_and_have_no_part_in_them,
    workspaces_are_made_in_the_installation_only,
);

fn new(name: &str, project: &str, owner: &str) -> NewWorkspace {
    NewWorkspace { name: name.into(), project: project.into(), owner_email: owner.into() }
}

async fn a_project_has_two_environments(database: TestDatabase) {
    let world = World::new(database).await;
    let by = world.caller(&world.person(Role::Admin).await).await;
    let made = world.members.create_project(&world.permit(&by), "Beside").await.unwrap();
    let kinds: Vec<_> = made.environments.iter().map(|one| one.kind).collect();
    assert_eq!(kinds, [EnvironmentKind::Development, EnvironmentKind::Production]);
    assert_eq!(world.last("project_created").await["project"], made.project.id.to_string());
    let shown = world.members.workspace(&world.permit(&by), &by).await.unwrap();
    assert_eq!((shown.workspace.name.as_str(), shown.projects.len()), ("Acme", 2));
    assert!(shown.projects.iter().all(|project| project.environments.len() == 2));
    let program = world.program(&Scopes::default()).await;
    let listed = world.members.projects(&world.permit(&program), &program).await.unwrap();
    assert_eq!(listed.len(), 2);
    for role in [Role::Developer, Role::Operator, Role::Viewer, Role::Auditor] {
        let caller = world.caller(&world.person(role).await).await;
        assert!(authorize::<ManageProjects>(&caller, world.now()).is_err(), "{role}");
        assert!(authorize::<ReadWorkspace>(&caller, world.now()).is_ok(), "{role}");
    }
}

async fn who_is_in_one_project_sees_that_one(database: TestDatabase) {
    let world = World::new(database).await;
    let project = world.project("Beside").await;
    let roles = [(Role::Viewer, Some(project))];
    let by = world.caller(&world.person_in(world.workspace(), &roles).await).await;
    let shown = world.members.workspace(&world.permit(&by), &by).await.unwrap();
    assert_eq!(shown.projects.len(), 1);
    assert_eq!(shown.projects[0].project.id, project);
}

async fn projects_are_bounded_and_their_names_unique(database: TestDatabase) {
    let world = World::new(database).await;
    let by = world.caller(&world.person(Role::Owner).await).await;
    let permit = world.permit::<ManageProjects>(&by);
    assert_eq!(refused(world.members.create_project(&permit, "Main").await), Code::Taken);
    for name in ["", " x", "a\tb", &"x".repeat(101)] {
        assert_eq!(
            refused(world.members.create_project(&permit, name).await),
            Code::InvalidRequest
        );
    }
    let (a, b) = tokio::join!(
        world.members.create_project(&permit, "Twice"),
        world.members.create_project(&permit, "Twice")
    );
    assert!(a.is_ok() != b.is_ok());
    for number in 2..MAX_PROJECTS {
        world.members.create_project(&permit, &format!("P{number}")).await.unwrap();
    }
    let one_more = world.members.create_project(&permit, "One more").await;
    assert_eq!(refused(one_more), Code::InvalidRequest);
}

async fn staff_make_workspaces_and_have_no_part_in_them(database: TestDatabase) {
    let world = World::new(database).await;
    let staff = world.person_in(INSTALLATION, &[(Role::Admin, ALL)]).await;
    let by = world.caller(&staff).await;
    let permit = world.permit::<ManageWorkspaces>(&by);
    let globex = new("Globex", "Main", "Hank@Globex.example");
    let made = world.members.create_workspace(&permit, &globex).await.unwrap();
    let id = made.workspace.id;
    assert_eq!(made.project.environments.len(), 2);
    let invitation = &made.invitation.invitation;
    assert_eq!((invitation.role, invitation.workspace_id), (Role::Owner, id));
    assert_eq!(invitation.email, "hank@globex.example");

    let mut conn = world.database.store.read().await.unwrap();
    assert_eq!(
        verify_chain(&mut conn, id).await.unwrap().unwrap(),
        2,
        "the workspace and the invitation"
    );
    let installation = db!(conn, audit::page(INSTALLATION, 0, 500)).unwrap();
    assert!(installation.iter().any(|row| row.detail.contains(&id.to_string())));
    assert!(
        !db!(conn, data_key::all())
            .unwrap()
            .iter()
            .filter(|key| key.workspace_id == id)
            .count()
            .eq(&0)
    );
    let open = db!(conn, invitation::open(id, world.now(), InvitationId::lowest(), 9)).unwrap();
    assert_eq!(open.len(), 1);
    drop(conn);

    // The maker is not let in.
    let place = Some(causeway_identity::WantedPlace::Workspace(id));
    assert!(world.sessions.authenticate(&staff.cookie, place).await.is_err());
    let listed = world.members.workspaces(&permit, WorkspaceId::lowest(), 10).await.unwrap();
    let names: Vec<_> = listed.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["Acme", "Globex"], "all but the installation itself");
    for wrong in [
        new("", "Main", "a@example.com"),
        new("Globex", "", "a@example.com"),
        new("Globex", "Main", "nobody"),
    ] {
        assert!(world.members.create_workspace(&permit, &wrong).await.is_err());
    }
    let listed = world.members.workspaces(&permit, WorkspaceId::lowest(), 10).await.unwrap();
    assert_eq!(listed.len(), 2, "nothing is left of what was refused");
}

async fn workspaces_are_made_in_the_installation_only(database: TestDatabase) {
    let world = World::new(database).await;
    let owner = world.caller(&world.person(Role::Owner).await).await;
    assert!(authorize::<ManageWorkspaces>(&owner, world.now()).is_err());
    for role in [Role::Operator, Role::Developer, Role::Viewer, Role::Auditor] {
        let staff = world.caller(&world.person_in(INSTALLATION, &[(role, ALL)]).await).await;
        assert!(authorize::<ManageWorkspaces>(&staff, world.now()).is_err(), "{role}");
    }
    // A key whose scopes were made to name it, in a workspace.
    let program = world.program(&Scopes::only(ActionName::ManageWorkspaces)).await;
    assert!(authorize::<ManageWorkspaces>(&program, world.now()).is_err());
}
