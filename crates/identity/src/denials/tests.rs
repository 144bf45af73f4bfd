use super::*;
use crate::action::{self, ActionName};
use crate::permit::{Caller, authorize};
use crate::scope::Scopes;
use crate::staff::tests::World;
use causeway_store::testing::TestDatabase;
use causeway_store::{db, on_both};
use causeway_types::{Actor, ApiKeyId, EnvironmentId, INSTALLATION, OsRandom, ProjectId, Tenant};
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
    what_an_engine_denies_is_taken_down,
    a_refusal_without_a_reason_went_too_far,
    what_nobody_wrote_is_counted,
);

/// Somebody new is denied something.
fn denied(world: &World, action: ActionName) -> Denied {
    let actor = Actor::ApiKey(ApiKeyId::generate(world.clock.now(), &OsRandom));
    Denied { action, actor, workspace: world.workspace, reason: DeniedReason::NotGranted }
}

/// The denials in the chain: what, and why.
async fn reasons(world: &World) -> Vec<(String, String)> {
    let mut conn = world.database.store.read().await.unwrap();
    let rows = db!(conn, audit::page(world.workspace, 0, 100_000)).unwrap();
    let rows = rows.into_iter().filter(|row| row.action == "permission_denied");
    rows.map(|row| {
        let event: serde_json::Value = serde_json::from_str(&row.detail).unwrap();
        let text = |field: &str| event[field].as_str().unwrap().to_owned();
        (text("permission"), text("reason"))
    })
    .collect()
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
    denials.note(attempt).await;
    assert_eq!(written(&world).await, [of(1)]);
    for _ in 0..6 {
        world.clock.advance(Duration::from_secs(9));
        denials.note(attempt).await;
        denials.flush(false).await.unwrap();
    }
    assert_eq!(written(&world).await, [of(1)]);
    world.clock.advance(Duration::from_secs(6));
    denials.flush(false).await.unwrap();
    assert_eq!(written(&world).await, [of(1), of(6)]);
    denials.note(attempt).await;
    assert_eq!(written(&world).await, [of(1), of(6), of(1)], "a new minute");
    denials.note(attempt).await;
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
        denials.note(attempt).await;
    }
    denials.note(Denied { workspace: INSTALLATION, ..one }).await;
    assert_eq!(written(&world).await.len(), 4, "and the fifth is in another chain");
}

async fn what_cannot_be_written_is_kept(database: TestDatabase) {
    let world = World::new(database).await;
    let denials = counting(&world);
    let attempt = denied(&world, ActionName::RotateKeys);
    // A chain that is not there cannot be written to.
    let later = WorkspaceId::generate(world.clock.now(), &OsRandom);
    for _ in 0..3 {
        denials.note(Denied { workspace: later, ..attempt }).await;
    }
    denials.note(attempt).await;
    denials.note(attempt).await;
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
        let mut noting = pin!(denials.note(attempt));
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
    denials.note(attempt).await;
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
            let repeats = Repeats { attempt: one, since: world.clock.now(), unwritten: 0 };
            counted.insert((world.workspace, number.to_string()), repeats);
        }
    }
    for _ in 0..3 {
        denials.note(one).await;
    }
    assert_eq!(denials.counted().len(), COUNTED);
    assert_eq!(written(&world).await.len(), 3, "each is written by itself");
}

/// A program that is confined to one app, in a request.
fn confined(world: &World, recorder: &Recorder) -> Caller {
    let (now, random) = (world.clock.now(), &OsRandom);
    let tenant = Tenant {
        workspace: world.workspace,
        project: ProjectId::generate(now, random),
        environment: EnvironmentId::generate(now, random),
    };
    let scopes = Scopes { apps: Some(vec!["slack".into()]), ..Scopes::default() };
    let actor = Actor::ApiKey(ApiKeyId::generate(now, random));
    Caller::program(actor, tenant, Arc::new(scopes)).recorded_by(recorder.clone())
}

async fn what_an_engine_denies_is_taken_down(database: TestDatabase) {
    let world = World::new(database).await;
    let denials = counting(&world);
    let recorder = denials.recorder();
    let caller = confined(&world, &recorder);
    let now = world.clock.now();
    let permit = authorize::<action::WriteConnections>(&caller, now).ok().unwrap();
    assert!(permit.covers_app("slack").is_ok() && !permit.shows_app("github"));
    recorder.write().await;
    assert!(reasons(&world).await.is_empty(), "nothing was denied yet");
    for app in ["github", "hubspot", "github"] {
        assert!(permit.clone().covers_app(app).is_err());
    }
    // It is known what was denied, so nothing else was.
    recorder.refused();
    recorder.write().await;
    recorder.write().await;
    let of = |what: &str, why: &str| (what.to_owned(), why.to_owned());
    assert_eq!(reasons(&world).await, [of("connections.write", "app")]);
    assert!(authorize::<action::ManageMembers>(&caller, now).is_err());
    recorder.write().await;
    assert_eq!(reasons(&world).await[1], of("members.manage", "not_granted"));
    denials.flush(true).await.unwrap();
    assert_eq!(reasons(&world).await.len(), 2, "within a request the same counts once");
}

async fn a_refusal_without_a_reason_went_too_far(database: TestDatabase) {
    let world = World::new(database).await;
    let denials = counting(&world);
    let recorder = denials.recorder();
    recorder.refused();
    recorder.write().await;
    assert!(reasons(&world).await.is_empty(), "whoever was let in for nothing is not known");
    let caller = confined(&world, &recorder);
    let permit = authorize::<action::Deploy>(&caller, world.clock.now()).ok().unwrap();
    recorder.refused();
    recorder.write().await;
    assert_eq!(reasons(&world).await, [("workflows.deploy".to_owned(), "beyond".to_owned())]);
    drop(permit);
}

async fn what_nobody_wrote_is_counted(database: TestDatabase) {
    let world = World::new(database).await;
    let denials = counting(&world);
    let recorder = denials.recorder();
    let caller = confined(&world, &recorder);
    let permit = authorize::<action::WriteConnections>(&caller, world.clock.now()).ok().unwrap();
    // Whoever would have written it is gone; the engine goes on.
    drop((recorder, caller));
    assert!(permit.covers_app("github").is_err());
    drop(permit);
    assert!(reasons(&world).await.is_empty());
    denials.flush(true).await.unwrap();
    assert_eq!(reasons(&world).await, [("connections.write".to_owned(), "app".to_owned())]);
}
