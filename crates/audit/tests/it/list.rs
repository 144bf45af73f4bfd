//! Looking for events.

use crate::world::World;
use causeway_audit::AuditError;
use causeway_identity::action;
use causeway_store::testing::TestDatabase;
use causeway_store::{Audit, Origin, on_both, with_origin};
use causeway_types::entity::AuditFilter;
use causeway_types::{
    AccessRequestId, Actor, Clock as _, ConnectionId, OsRandom, Timestamp, UserId,
};
use std::time::Duration;

on_both!(
    events_come_newest_first_in_pages,
    events_are_found_by_what_they_are_about,
    events_are_found_by_actor_and_kind_and_time,
    checkpoints_come_in_pages,
);

async fn found(world: &World, filter: AuditFilter) -> Vec<i64> {
    let permit = world.permit::<action::ReadAudit>().await;
    let page = world.log.events(&permit, &filter, None, 100).await.unwrap();
    page.rows.iter().map(|row| row.seq).collect()
}

async fn events_come_newest_first_in_pages(database: TestDatabase) {
    let world = World::with_rows(database, 6).await;
    let permit = world.permit::<action::ReadAudit>().await;
    let (mut before, mut seen) = (None, Vec::new());
    loop {
        let filter = AuditFilter::default();
        let page = world.log.events(&permit, &filter, before, 3).await.unwrap();
        seen.push(page.rows.iter().map(|row| row.seq).collect::<Vec<_>>());
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(seen, [vec![7, 6, 5], vec![4, 3, 2], vec![1]]);
}

async fn events_are_found_by_what_they_are_about(database: TestDatabase) {
    let world = World::new(database).await;
    let id = || ConnectionId::generate(world.clock.now(), &OsRandom);
    let (one, other) = (id(), id());
    for connection in [one, other] {
        world.append(Audit::ConnectionRefreshed { connection }).await;
    }
    // A name that looks like an id in quotes is not that id.
    let name = format!("\"{one}\"");
    world.append(Audit::ProjectCreated { project: world.tenant.project, name }).await;
    let about = |text: String| AuditFilter { about: Some(text), ..AuditFilter::default() };
    assert_eq!(found(&world, about(one.to_string())).await, [2]);
    assert_eq!(found(&world, about(other.to_string())).await, [3]);
    assert_eq!(found(&world, about(id().to_string())).await, [0; 0]);
    let permit = world.permit::<action::ReadAudit>().await;
    let wild = one.to_string().replace('_', "%");
    for text in ["%", "_", "", "conn_", "conn_%", wild.as_str(), &one.to_string()[..20]] {
        let filter = about(text.to_owned());
        let refused = world.log.events(&permit, &filter, None, 10).await.unwrap_err();
        assert!(matches!(refused, AuditError::About), "{text}");
    }
}

async fn events_are_found_by_actor_and_kind_and_time(database: TestDatabase) {
    let world = World::new(database).await;
    let now = world.clock.now();
    let user = UserId::generate(now, &OsRandom);
    let request = AccessRequestId::generate(now, &OsRandom);
    let write = async |actor: Actor| {
        let tx = world.store().write(actor).await.unwrap();
        let event = Audit::ProjectCreated { project: world.tenant.project, name: "p".into() };
        tx.commit(world.workspace(), world.clock.now(), event).await.unwrap();
    };
    write(Actor::User(user)).await;
    world.clock.advance(Duration::from_secs(1));
    let origin = Origin { request: Some("req_1".into()), address: Some("192.0.2.7".into()) };
    with_origin(origin, write(Actor::Staff(user, request))).await;
    let filter = AuditFilter { actor: Some(user.to_string()), ..AuditFilter::default() };
    assert_eq!(found(&world, filter).await, [3, 2], "what was done as staff is theirs too");
    let staff = Actor::Staff(user, request).to_string();
    let filter = AuditFilter { actor: Some(staff), ..AuditFilter::default() };
    assert_eq!(found(&world, filter).await, [3]);
    let filter = AuditFilter { actor: Some("usr".into()), ..AuditFilter::default() };
    assert_eq!(found(&world, filter).await, [0; 0]);
    let filter = AuditFilter { action: Some("project_created".into()), ..AuditFilter::default() };
    assert_eq!(found(&world, filter).await, [3, 2]);
    let after = |micros: i64| Timestamp::from_micros(now.as_micros() + micros);
    let filter = AuditFilter { until: after(1_000_000), ..AuditFilter::default() };
    assert_eq!(found(&world, filter).await, [2, 1]);
    let filter = AuditFilter {
        since: after(1),
        until: after(1_000_001),
        action: Some("project_created".into()),
        ..AuditFilter::default()
    };
    assert_eq!(found(&world, filter).await, [3]);
    let rows = world.rows().await;
    assert!(rows[2].detail.contains("\"via\":{\"address\":\"192.0.2.7\",\"request\":\"req_1\"}"));
}

async fn checkpoints_come_in_pages(database: TestDatabase) {
    let world = World::with_rows(database, 2).await;
    for _ in 0..3 {
        world.write(1).await;
        world.sign().await;
    }
    let permit = world.permit::<action::ReadAudit>().await;
    let page = world.log.checkpoints(&permit, None, 2).await.unwrap();
    assert_eq!(page.checkpoints, world.checkpoints().await[..2]);
    let rest = world.log.checkpoints(&permit, page.next, 2).await.unwrap();
    assert_eq!((rest.checkpoints.len(), rest.next), (1, None));
}
