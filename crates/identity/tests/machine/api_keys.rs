//! API keys: what they may do, when they end, and when they were used.

use crate::world::World;
use causeway_identity::action::{ActionName, ManageMachineAccess, ReadMachineAccess};
use causeway_identity::{
    Caller, MAX_LIFETIME, MAX_OVERLAP, MachineError, NewApiKey, NewMachineClient, ProxyRule,
    Rotation, Scopes,
};
use causeway_store::testing::TestDatabase;
use causeway_store::{db, on_both};
use causeway_types::{Actor, ApiKeyId, Code, Coded as _, Timestamp};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

on_both!(
    a_key_that_was_made_opens_its_environment,
    nobody_makes_a_wider_key,
    a_key_does_not_make_what_outlives_it,
    a_rotated_key_works_until_its_overlap_ends,
    what_cannot_be_rotated,
    a_revoked_key_stops_at_once,
    keys_of_other_environments_are_not_there,
    keys_are_listed_in_pages,
    the_last_use_is_noted_to_a_minute,
    a_clean_stop_writes_the_last_uses,
);

const HOUR: Duration = Duration::from_hours(1);

pub(crate) fn scopes(actions: &[ActionName]) -> Scopes {
    Scopes { actions: Some(actions.to_vec()), ..Scopes::default() }
}

/// What whoever looks after machine access may do here.
pub(crate) fn manager() -> Scopes {
    use ActionName::{Deploy, ManageMachineAccess, ReadMachineAccess, ReadWorkflows};
    scopes(&[ReadMachineAccess, ManageMachineAccess, Deploy, ReadWorkflows])
}

fn named(name: &str) -> NewApiKey {
    NewApiKey { name: name.into(), ..NewApiKey::default() }
}

async fn make(
    world: &World,
    maker: &Caller,
    new: NewApiKey,
) -> Result<(ApiKeyId, String), MachineError> {
    let permit = world.permit::<ManageMachineAccess>(maker);
    let (key, secret) = world.machine.create_key(&permit, maker, new).await?;
    Ok((key.id, secret.expose().clone()))
}

async fn a_key_that_was_made_opens_its_environment(database: TestDatabase) {
    let world = World::new(database).await;
    let maker = world.caller(&manager()).await;
    let permit = world.permit::<ManageMachineAccess>(&maker);
    let (key, secret) = world.machine.create_key(&permit, &maker, named("CI")).await.unwrap();
    assert!(secret.expose().starts_with(&key.hint) && key.hint.len() == 8);
    assert_eq!(key.created_by, maker.actor().to_string());
    let caller = world.come_in(secret.expose()).await.unwrap();
    assert_eq!(caller.actor(), Actor::ApiKey(key.id));
    assert_eq!(caller.place().environment(), Some(world.tenant));
    assert!(caller.may(ActionName::Deploy) && caller.may(ActionName::ReadWorkflows));
    // Neither unusual nor the maker's.
    assert!(!caller.may(ActionName::ManageMachineAccess));
    assert!(!caller.may(ActionName::ReadConnections));

    let event = world.events("api_key_created").await.pop().unwrap();
    assert_eq!((&event["key"], &event["name"]), (&key.id.to_string().into(), &"CI".into()));
    assert_eq!(event["actor"], maker.actor().to_string());
    assert!(!format!("{:?}", world.audit().await).contains(secret.expose()));
    let permit = world.permit::<ReadMachineAccess>(&maker);
    let shown = world.machine.key(&permit, key.id).await.unwrap();
    assert!(!format!("{shown:?}").contains(secret.expose()));

    for name in ["", " x", "a\nb", &"x".repeat(65)] {
        let refused = make(&world, &maker, named(name)).await.err().unwrap();
        assert_eq!(refused.code(), Code::InvalidRequest, "{name:?}");
    }
    for lifetime in [Duration::from_secs(59), MAX_LIFETIME + Duration::from_secs(1)] {
        let new = NewApiKey { lifetime: Some(lifetime), ..named("x") };
        assert!(matches!(make(&world, &maker, new).await, Err(MachineError::Lifetime)));
    }
}

async fn nobody_makes_a_wider_key(database: TestDatabase) {
    let world = World::new(database).await;
    let get = ProxyRule { methods: vec!["GET".into()], paths: vec!["/v1/**".into()] };
    let maker = world
        .caller(&Scopes {
            apps: Some(vec!["slack".into()]),
            proxy: Some(vec![get.clone()]),
            ..manager()
        })
        .await;
    let before = world.audit().await.len();
    for wider in [
        scopes(&[ActionName::ReadMembers]),
        scopes(&[ActionName::Deploy, ActionName::RotateKeys]),
        Scopes { apps: Some(vec!["github".into()]), ..Scopes::default() },
        Scopes { proxy: Some(vec![ProxyRule { methods: vec![], ..get }]), ..Scopes::default() },
    ] {
        let new = NewApiKey { scopes: wider.clone(), ..named("wide") };
        let refused = make(&world, &maker, new).await.err().unwrap();
        assert_eq!(refused.code(), Code::Denied, "{wider:?}");
        let permit = world.permit::<ManageMachineAccess>(&maker);
        let client = NewMachineClient {
            name: "wide".into(),
            scopes: wider,
            secret: true,
            public_keys: None,
        };
        let refused = world.machine.create_client(&permit, &maker, client).await.err().unwrap();
        assert_eq!(refused.code(), Code::Denied);
    }
    for never in [ActionName::UseConnections, ActionName::DecideAccess, ActionName::ApproveStaff] {
        let new = NewApiKey { scopes: scopes(&[never]), ..named("never") };
        let refused = make(&world, &maker, new).await.err().unwrap();
        assert_eq!(refused.code(), Code::InvalidRequest, "{never}");
        assert!(refused.public().contains(never.as_str()));
    }
    assert_eq!(world.audit().await.len(), before);

    // What is made without lists is confined as its maker is.
    let (_, key) = make(&world, &maker, named("same")).await.unwrap();
    let made = world.come_in(&key).await.unwrap();
    assert!(!made.may(ActionName::ManageMachineAccess));
    // Nor does rotating somebody else's key hand out what he has.
    let (wide, _) = world.insert_key(world.tenant, &Scopes::default(), None).await;
    let permit = world.permit::<ManageMachineAccess>(&maker);
    let refused = world.machine.rotate_key(&permit, &maker, wide, Rotation::default()).await;
    assert_eq!(refused.err().unwrap().code(), Code::Denied);
}

async fn a_key_does_not_make_what_outlives_it(database: TestDatabase) {
    let world = World::new(database).await;
    let end = world.now().plus(HOUR);
    let (id, text) = world.insert_key(world.tenant, &manager(), Some(end)).await;
    let maker = world.come_in(&text).await.unwrap();
    let permit = world.permit::<ManageMachineAccess>(&maker);
    for (lifetime, expected) in [
        (None, end),
        (Some(Duration::from_hours(24)), end),
        (Some(Duration::from_mins(5)), world.now().plus(Duration::from_mins(5))),
    ] {
        let new = NewApiKey { lifetime, ..named("short") };
        let (key, _) = world.machine.create_key(&permit, &maker, new).await.unwrap();
        assert_eq!(key.expires_at, Some(expected), "{lifetime:?}");
    }
    // Nor does it prolong itself.
    let rotation = Rotation { lifetime: Some(Duration::from_hours(24)), ..Rotation::default() };
    let rotated = world.machine.rotate_key(&permit, &maker, id, rotation).await.unwrap();
    assert_eq!(rotated.key.expires_at, Some(end));
    assert_eq!(rotated.old_until, end);
    let client = NewMachineClient { name: "c".into(), secret: true, ..NewMachineClient::default() };
    let refused = world.machine.create_client(&permit, &maker, client).await.err().unwrap();
    assert!(matches!(refused, MachineError::Outlives));
}

async fn a_rotated_key_works_until_its_overlap_ends(database: TestDatabase) {
    let world = World::new(database).await;
    let maker = world.caller(&manager()).await;
    let permit = world.permit::<ManageMachineAccess>(&maker);
    let lifetime = Some(Duration::from_hours(24 * 90));
    let (id, old) = make(&world, &maker, NewApiKey { lifetime, ..named("CI") }).await.unwrap();
    // Remembered with its old end.
    world.come_in(&old).await.unwrap();
    world.clock.advance(HOUR);
    world.come_in(&old).await.unwrap();
    let rotation = Rotation { overlap: Some(2 * HOUR), ..Rotation::default() };
    let rotated = world.machine.rotate_key(&permit, &maker, id, rotation).await.unwrap();
    assert_eq!(rotated.old_until, world.now().plus(2 * HOUR));
    assert_eq!(rotated.key.name, "CI");
    assert_eq!(rotated.key.expires_at, lifetime.map(|life| world.now().plus(life)));
    let new = rotated.secret.expose();
    let both = [world.come_in(&old).await.unwrap(), world.come_in(new).await.unwrap()];
    for action in ActionName::ALL {
        assert_eq!(both[0].may(*action), both[1].may(*action), "{action}");
    }
    world.clock.advance(2 * HOUR);
    World::refused(world.come_in(&old).await);
    world.come_in(new).await.unwrap();

    let event = world.events("api_key_rotated").await.pop().unwrap();
    assert_eq!(event["key"], id.to_string());
    assert_eq!(event["successor"], rotated.key.id.to_string());
    assert_eq!(event["old_until"], rotated.old_until.to_string());

    // Without an overlap the old one ends with the rotation, remembered or not.
    world.come_in(new).await.unwrap();
    let at_once = Rotation { overlap: Some(Duration::ZERO), ..Rotation::default() };
    let again = world.machine.rotate_key(&permit, &maker, rotated.key.id, at_once).await.unwrap();
    World::refused(world.come_in(new).await);
    world.come_in(again.secret.expose()).await.unwrap();

    // A day if nothing is said; never longer than the old one had anyway.
    let (id, _) = make(&world, &maker, named("b")).await.unwrap();
    let rotated = world.machine.rotate_key(&permit, &maker, id, Rotation::default()).await.unwrap();
    assert_eq!(rotated.old_until, world.now().plus(Duration::from_hours(24)));
    assert_eq!(rotated.key.expires_at, None);
    let again = world.machine.rotate_key(&permit, &maker, id, Rotation::default()).await.unwrap();
    assert_eq!(again.old_until, rotated.old_until);
}

async fn what_cannot_be_rotated(database: TestDatabase) {
    let world = World::new(database).await;
    let maker = world.caller(&manager()).await;
    let permit = world.permit::<ManageMachineAccess>(&maker);
    let rotate = |id, rotation| world.machine.rotate_key(&permit, &maker, id, rotation);
    let nobody = ApiKeyId::lowest();
    let refused = rotate(nobody, Rotation::default()).await.err().unwrap();
    assert_eq!(refused.code(), Code::NotFound);
    let (id, _) = make(&world, &maker, named("a")).await.unwrap();
    let long =
        Rotation { overlap: Some(MAX_OVERLAP + Duration::from_secs(1)), ..Rotation::default() };
    assert!(matches!(rotate(id, long).await, Err(MachineError::Overlap)));
    world.machine.revoke_key(&permit, id).await.unwrap();
    assert!(matches!(rotate(id, Rotation::default()).await, Err(MachineError::KeyEnded)));
    let (id, _) = world.insert_key(world.tenant, &manager(), Some(world.now())).await;
    assert!(matches!(rotate(id, Rotation::default()).await, Err(MachineError::KeyEnded)));
}

async fn a_revoked_key_stops_at_once(database: TestDatabase) {
    let world = World::new(database).await;
    let maker = world.caller(&manager()).await;
    let permit = world.permit::<ManageMachineAccess>(&maker);
    let (id, key) = make(&world, &maker, named("a")).await.unwrap();
    world.come_in(&key).await.unwrap();
    world.machine.revoke_key(&permit, id).await.unwrap();
    // No time has passed.
    let told = World::refused(world.come_in(&key).await);
    World::refused(world.come_in(&key).await);
    // Nor does the answer differ from that to a key that never was, or one that has expired.
    let (_, expired) = world.insert_key(world.tenant, &manager(), Some(world.now())).await;
    let unknown = {
        use causeway_identity::token::{ApiKey, Plain};
        Plain::<ApiKey>::generate(&causeway_types::OsRandom).reveal().expose().clone()
    };
    for other in [expired, unknown] {
        for _ in 0..2 {
            assert_eq!(World::refused(world.come_in(&other).await), told);
        }
    }
    // Once more changes nothing.
    world.machine.revoke_key(&permit, id).await.unwrap();
    let events = world.events("api_key_revoked").await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["key"], id.to_string());
    let permit = world.permit::<ReadMachineAccess>(&maker);
    assert_eq!(world.machine.key(&permit, id).await.unwrap().revoked_at, Some(world.now()));
}

async fn keys_of_other_environments_are_not_there(database: TestDatabase) {
    let world = World::new(database).await;
    let theirs = world.development().await;
    let (id, key) = world.insert_key(theirs, &manager(), None).await;
    let caller = world.caller(&manager()).await;
    let (read, manage) =
        (world.permit::<ReadMachineAccess>(&caller), world.permit::<ManageMachineAccess>(&caller));
    let errors = [
        world.machine.key(&read, id).await.err(),
        world.machine.rotate_key(&manage, &caller, id, Rotation::default()).await.err(),
        world.machine.revoke_key(&manage, id).await.err(),
    ];
    for error in errors {
        assert!(matches!(error, Some(MachineError::UnknownKey)));
    }
    let listed = world.machine.keys(&read, ApiKeyId::lowest(), 100).await.unwrap();
    assert!(listed.iter().all(|one| one.id != id));
    world.come_in(&key).await.unwrap();
}

async fn keys_are_listed_in_pages(database: TestDatabase) {
    let world = World::new(database).await;
    let maker = world.caller(&manager()).await;
    for number in 0..3 {
        make(&world, &maker, named(&format!("k{number}"))).await.unwrap();
    }
    let permit = world.permit::<ReadMachineAccess>(&maker);
    // With that of the bootstrap and the maker's.
    let first = world.machine.keys(&permit, ApiKeyId::lowest(), 2).await.unwrap();
    assert_eq!(first.len(), 3, "one more than asked for");
    let rest = world.machine.keys(&permit, first[1].id, 100).await.unwrap();
    assert_eq!(rest.len(), 3);
    assert!(rest[0].id > first[1].id);
}

async fn last_used(world: &World, id: ApiKeyId) -> Option<Timestamp> {
    let mut conn = world.database.store.read().await.unwrap();
    db!(conn, api_key::get(world.tenant, id)).unwrap().unwrap().last_used_at
}

fn minute(at: Timestamp) -> Timestamp {
    Timestamp::from_micros(at.as_micros() / 60_000_000 * 60_000_000)
}

async fn the_last_use_is_noted_to_a_minute(database: TestDatabase) {
    let world = World::new(database).await;
    let (id, key) = world.insert_key(world.tenant, &manager(), None).await;
    let (other, other_key) = world.insert_key(world.tenant, &manager(), None).await;
    for _ in 0..3 {
        world.come_in(&key).await.unwrap();
    }
    assert_eq!(last_used(&world, id).await, None, "nothing is written on the way");
    world.machine.write_last_used().await.unwrap();
    let first = minute(world.now());
    assert_eq!(last_used(&world, id).await, Some(first));
    assert_eq!(last_used(&world, other).await, None);
    world.clock.advance(HOUR);
    world.come_in(&other_key).await.unwrap();
    world.machine.write_last_used().await.unwrap();
    assert_eq!(last_used(&world, id).await, Some(first));
    assert_eq!(last_used(&world, other).await, Some(minute(world.now())));
    // Another node that writes later what it saw earlier takes nothing back.
    let mut tx = world.database.store.write(Actor::Machine).await.unwrap();
    db!(tx, api_key::touch(world.tenant, other, first)).unwrap();
    tx.commit_bookkeeping(causeway_store::Bookkeeping::LastUsed).await.unwrap();
    assert_eq!(last_used(&world, other).await, Some(minute(world.now())));
}

async fn a_clean_stop_writes_the_last_uses(database: TestDatabase) {
    let world = World::new(database).await;
    let (id, key) = world.insert_key(world.tenant, &manager(), None).await;
    let stop = CancellationToken::new();
    let working = tokio::spawn({
        let (machine, stop) = (world.machine.clone(), stop.clone());
        async move { machine.run_background(stop).await }
    });
    world.come_in(&key).await.unwrap();
    stop.cancel();
    working.await.unwrap();
    assert_eq!(last_used(&world, id).await, Some(minute(world.now())));
}
