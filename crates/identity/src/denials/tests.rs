use super::*;
use crate::staff::tests::World;
use causeway_store::testing::TestDatabase;
use causeway_store::{db, on_both};
use causeway_types::{ApiKeyId, INSTALLATION, OsRandom};
use std::future::Future as _;
use std::pin::pin;
use std::task::{Context, Waker};

on_both!(
    the_first_is_written_at_once_and_repeats_are_counted,
    different_attempts_are_different,
    what_cannot_be_written_is_kept,
    hanging_up_does_not_help,
    a_request_that_says_too_little_was_not_denied,
    memory_is_bounded_and_nothing_is_lost,
);

fn denied(world: &World, action: ActionName) -> Denied {
    let actor = Actor::ApiKey(ApiKeyId::generate(world.clock.now(), &OsRandom));
    Denied { action, actor, reason: DeniedReason::NotGranted }
}

/// The denials in the chain: who, what, how often.
async fn written(world: &World) -> Vec<(String, String, i64)> {
    let mut conn = world.database.store.read().await.unwrap();
    let rows = db!(conn, audit::page(world.workspace, 0, 100_000)).unwrap();
    let rows = rows.into_iter().filter(|row| row.action == "permission_denied");
    rows.map(|row| {
        let event: serde_json::Value = serde_json::from_str(&row.detail).unwrap();
        let permission = event["permission"].as_str().unwrap().to_owned();
        (row.actor, permission, event["times"].as_i64().unwrap())
    })
    .collect()
}

fn counting(world: &World) -> Denials {
    Denials::new(world.database.store.clone(), world.clock.clone())
}

async fn the_first_is_written_at_once_and_repeats_are_counted(database: TestDatabase) {
    let world = World::new(database).await;
    let denials = counting(&world);
    let attempt = denied(&world, ActionName::RotateKeys);
    let of = |times| (attempt.actor.to_string(), "keys.rotate".to_owned(), times);
    denials.note(&attempt, world.workspace).await;
    assert_eq!(written(&world).await, [of(1)]);
    for _ in 0..6 {
        world.clock.advance(Duration::from_secs(9));
        denials.note(&attempt, world.workspace).await;
        denials.flush(false).await.unwrap();
    }
    assert_eq!(written(&world).await, [of(1)]);
    world.clock.advance(Duration::from_secs(6));
    denials.flush(false).await.unwrap();
    assert_eq!(written(&world).await, [of(1), of(6)]);
    denials.note(&attempt, world.workspace).await;
    assert_eq!(written(&world).await, [of(1), of(6), of(1)], "a new minute");
    denials.note(&attempt, world.workspace).await;
    denials.flush(true).await.unwrap();
    denials.flush(true).await.unwrap();
    assert_eq!(written(&world).await, [of(1), of(6), of(1), of(1)], "a clean stop");
    assert!(denials.counted().is_empty());
}

async fn different_attempts_are_different(database: TestDatabase) {
    let world = World::new(database).await;
    let denials = counting(&world);
    let one = denied(&world, ActionName::RotateKeys);
    for attempt in [
        one,
        Denied { action: ActionName::Deploy, ..one },
        Denied { reason: DeniedReason::App, ..one },
        denied(&world, ActionName::RotateKeys),
    ] {
        denials.note(&attempt, world.workspace).await;
    }
    denials.note(&one, INSTALLATION).await;
    assert_eq!(written(&world).await.len(), 4, "and the fifth is in another chain");
}

async fn what_cannot_be_written_is_kept(database: TestDatabase) {
    let world = World::new(database).await;
    let denials = counting(&world);
    let attempt = denied(&world, ActionName::RotateKeys);
    // A chain that is not there cannot be written to.
    let later = WorkspaceId::generate(world.clock.now(), &OsRandom);
    for _ in 0..3 {
        denials.note(&attempt, later).await;
    }
    denials.note(&attempt, world.workspace).await;
    denials.note(&attempt, world.workspace).await;
    assert!(denials.flush(true).await.is_err());
    world.add_workspace(later).await;
    denials.flush(true).await.unwrap();
    let total: i64 = written(&world).await.iter().map(|(_, _, times)| times).sum();
    assert_eq!(total, 2);
    let mut conn = world.database.store.read().await.unwrap();
    let rows = db!(conn, audit::page(later, 1, 10)).unwrap();
    assert!(rows.len() == 1 && rows[0].detail.contains("\"times\":3"), "{rows:?}");
}

async fn hanging_up_does_not_help(database: TestDatabase) {
    let world = World::new(database).await;
    let denials = counting(&world);
    let attempt = denied(&world, ActionName::RotateKeys);
    {
        let mut noting = pin!(denials.note(&attempt, world.workspace));
        let mut context = Context::from_waker(Waker::noop());
        // The first step only; then the caller is gone.
        let _ = noting.as_mut().poll(&mut context);
    }
    denials.flush(true).await.unwrap();
    let total: i64 = written(&world).await.iter().map(|(_, _, times)| times).sum();
    assert_eq!(total, 1);
}

async fn a_request_that_says_too_little_was_not_denied(database: TestDatabase) {
    let world = World::new(database).await;
    let denials = counting(&world);
    let one = denied(&world, ActionName::Deploy);
    let attempt = Denied { reason: DeniedReason::NoEnvironment, ..one };
    denials.note(&attempt, world.workspace).await;
    denials.flush(true).await.unwrap();
    assert!(written(&world).await.is_empty());
}

async fn memory_is_bounded_and_nothing_is_lost(database: TestDatabase) {
    let world = World::new(database).await;
    let denials = counting(&world);
    let one = denied(&world, ActionName::Deploy);
    {
        // As if that many callers had been denied something within the minute.
        let mut counted = denials.counted();
        for number in 0..COUNTED {
            let attempt = Attempt {
                workspace: world.workspace,
                actor: one.actor,
                action: one.action,
                reason: one.reason,
            };
            let repeats = Repeats { attempt, since: world.clock.now(), unwritten: 0 };
            counted.insert((world.workspace, number.to_string()), repeats);
        }
    }
    for _ in 0..3 {
        denials.note(&one, world.workspace).await;
    }
    assert_eq!(denials.counted().len(), COUNTED);
    assert_eq!(written(&world).await.len(), 3, "each is written by itself");
}
