//! Rotation of data keys, and the change of the root key.

use crate::house::{House, unlock};
use causeway_crypto::key_of;
use causeway_store::testing::TestDatabase;
use causeway_store::{Bookkeeping, db, on_both};
use causeway_types::entity::{DataKeyState, RotationState};
use causeway_types::place::Sealed;
use causeway_types::{Actor, DataKeyId, EventId, OsRandom, Place};
use causeway_vault::{
    DEFAULT_KEY_LIFETIME, RootKeySpec, RotationOutcome, RotationProgress, VaultError, rewrap,
};
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

on_both!(
    every_kind_of_record_is_sealed_again,
    a_rotation_cut_off_anywhere_goes_on,
    what_writers_store_meanwhile_is_kept,
    what_another_node_seals_under_the_old_key_is_caught,
    a_record_that_somebody_holds_is_left_for_later,
    a_record_that_does_not_open_is_left_and_counted,
    one_rotation_at_a_time,
    the_root_key_can_be_changed,
);

/// How long a value sealed with a key that has just expired may take to be stored.
const GRACE: Duration = Duration::from_secs(30);

impl House {
    async fn rotate(&self) -> Result<RotationOutcome, VaultError> {
        let rotation = self.vault.rotation(self.workspace()).await.unwrap().unwrap();
        self.vault.run_rotation(self.workspace(), rotation.id, Actor::Machine, &mut |_| {}).await
    }

    async fn active(&self) -> DataKeyId {
        let mut conn = self.store.read().await.unwrap();
        let keys = db!(conn, data_key::of_workspace(self.workspace())).unwrap();
        keys.into_iter().find(|key| key.state == DataKeyState::Active).unwrap().id
    }
}

async fn every_kind_of_record_is_sealed_again(database: TestDatabase) {
    let mut house = House::new(database).await;
    house.furnish().await;
    house.events(300).await;
    let old = house.active().await;
    house.check(&house.vault, Some(old)).await;

    let rotation = house.vault.start_rotation(house.workspace(), Actor::Machine).await.unwrap();
    assert_eq!(rotation.total, 313);
    assert_ne!(house.active().await, old);
    house.check(&house.vault, Some(old)).await;

    let mut seen: Vec<RotationProgress> = Vec::new();
    let outcome = house
        .vault
        .run_rotation(house.workspace(), rotation.id, Actor::Machine, &mut |step| seen.push(step))
        .await
        .unwrap();
    let until = rotation.started_at.plus(DEFAULT_KEY_LIFETIME + GRACE);
    assert_eq!(outcome, RotationOutcome::Settling { until });
    assert!(seen.is_sorted_by_key(|step| step.done));
    assert_eq!(seen.last().map(|step| (step.done, step.total)), Some((313, 313)));
    house.check(&house.vault, Some(house.active().await)).await;

    house.clock.advance(DEFAULT_KEY_LIFETIME + GRACE);
    let ended = house.vault.resume_rotations(Actor::Machine).await.unwrap();
    assert_eq!(ended, [(rotation.id, RotationOutcome::Finished { records: 313, unopened: 0 })]);
    let status = house.vault.rotation(house.workspace()).await.unwrap().unwrap();
    assert_eq!((status.state, status.done, status.total), (RotationState::Done, 313, 313));
    assert!(house.vault.resume_rotations(Actor::Machine).await.unwrap().is_empty());
    assert_eq!(house.audit().await.last().unwrap(), "rotation_finished");
    house.check(&house.another_node().await, Some(house.active().await)).await;
}

/// Drops the rotation at every point where it could be cut off, one point further each time.
async fn a_rotation_cut_off_anywhere_goes_on(database: TestDatabase) {
    let mut house = House::new(database).await;
    house.furnish().await;
    house.events(150).await;
    let rotation = house.vault.start_rotation(house.workspace(), Actor::Machine).await.unwrap();
    let mut cuts = 0;
    loop {
        // A new process each time.
        let vault = house.another_node().await;
        let mut ignore = |_| {};
        let run = vault.run_rotation(house.workspace(), rotation.id, Actor::Machine, &mut ignore);
        let polls = 1 + cuts;
        match polled(run, polls).await {
            Some(outcome) => {
                assert!(matches!(outcome.unwrap(), RotationOutcome::Settling { .. }));
                break;
            }
            None => cuts += 1,
        }
        assert!(cuts < 2000, "it gets nowhere");
    }
    assert!(cuts > 5, "it was cut off {cuts} times");
    let status = house.vault.rotation(house.workspace()).await.unwrap().unwrap();
    assert_eq!(status.done, 163, "every record was counted once");
    house.check(&house.vault, Some(house.active().await)).await;
    house.clock.advance(DEFAULT_KEY_LIFETIME + GRACE);
    let outcome = house.rotate().await.unwrap();
    assert_eq!(outcome, RotationOutcome::Finished { records: 163, unopened: 0 });
    let finished = house.audit().await;
    assert_eq!(finished.iter().filter(|action| *action == "rotation_finished").count(), 1);
}

/// Polls a future so often, then drops it.
async fn polled<F: Future>(future: F, polls: usize) -> Option<F::Output> {
    let mut future = std::pin::pin!(future);
    let mut left = polls;
    std::future::poll_fn(move |cx| match future.as_mut().poll(cx) {
        std::task::Poll::Ready(output) => std::task::Poll::Ready(Some(output)),
        std::task::Poll::Pending => {
            left -= 1;
            if left == 0 { std::task::Poll::Ready(None) } else { std::task::Poll::Pending }
        }
    })
    .await
}

async fn what_writers_store_meanwhile_is_kept(database: TestDatabase) {
    let mut house = House::new(database).await;
    let events = house.events(400).await;
    house.vault.start_rotation(house.workspace(), Actor::Machine).await.unwrap();
    let (stop, written) = (AtomicBool::new(false), AtomicU64::new(0));
    let writer = async {
        let mut newest = std::collections::HashMap::new();
        let mut turn = 0;
        while !stop.load(Ordering::SeqCst) {
            // From the end to the start, against the rotation, so that the two meet.
            let event = events[events.len() - 1 - turn % events.len()];
            turn += 1;
            let text = format!("written {turn}").into_bytes();
            let place = Place::EventBody(event);
            let sealed = house.vault.seal(house.workspace(), &place, &text).await.unwrap();
            overwrite(&house, event, &sealed).await;
            newest.insert(event, text);
            written.fetch_add(1, Ordering::SeqCst);
        }
        newest
    };
    let rotation = async {
        let outcome = house.rotate().await;
        // At least one write after the rotation's last page, too.
        let reached = written.load(Ordering::SeqCst);
        while written.load(Ordering::SeqCst) < reached + 2 {
            tokio::task::yield_now().await;
        }
        stop.store(true, Ordering::SeqCst);
        outcome
    };
    let (newest, outcome) = tokio::join!(writer, rotation);
    assert!(matches!(outcome.unwrap(), RotationOutcome::Settling { .. }));
    assert!(!newest.is_empty());
    for (event, text) in newest {
        house
            .contents
            .insert(format!("{:?}", Place::EventBody(event)), (Place::EventBody(event), text));
    }
    house.check(&house.vault, Some(house.active().await)).await;
}

/// What a writer does: replaces what is there, whatever it is.
async fn overwrite(house: &House, event: EventId, sealed: &Sealed) {
    loop {
        let mut tx = house.write().await;
        let rows =
            db!(tx, reseal::event_bodies(house.workspace(), &before(event), &[0; 16], 1)).unwrap();
        assert_eq!(rows[0].record, event.to_string());
        let old = &rows[0].sealed;
        let done =
            db!(tx, reseal::replace_event_body(house.workspace(), &event.to_string(), old, sealed));
        // On PostgreSQL the rotation may have come between the two statements; then again.
        if done.unwrap() == 1 {
            tx.commit_bookkeeping(Bookkeeping::Journal).await.unwrap();
            return;
        }
    }
}

/// A text that sorts right before an id.
fn before(event: EventId) -> String {
    let bytes = u128::from_be_bytes(event.to_bytes()) - 1;
    EventId::from_bytes(bytes.to_be_bytes()).to_string()
}

async fn what_another_node_seals_under_the_old_key_is_caught(database: TestDatabase) {
    let mut house = House::new(database).await;
    house.events(20).await;
    let other = house.another_node().await;
    let old = other.keyring(house.workspace()).await.unwrap().active();
    house.vault.start_rotation(house.workspace(), Actor::Machine).await.unwrap();
    assert!(matches!(house.rotate().await.unwrap(), RotationOutcome::Settling { .. }));

    // The other node has not noticed, seals under its old key, and can be read here.
    let ours = std::mem::replace(&mut house.vault, other.clone());
    let late = house.event().await;
    house.vault = ours;
    let name = format!("{:?}", Place::EventBody(late));
    assert_eq!(key_of(&house.stored().await[&name]), Ok(old));
    house.check(&house.vault, None).await;
    // What we seal, the other node opens: it loads the keys again.
    house.event().await;
    house.check(&other, None).await;

    house.clock.advance(DEFAULT_KEY_LIFETIME);
    assert!(matches!(house.rotate().await.unwrap(), RotationOutcome::Settling { .. }));
    house.clock.advance(GRACE);
    let outcome = house.rotate().await.unwrap();
    assert_eq!(outcome, RotationOutcome::Finished { records: 21, unopened: 0 });
    house.check(&other, Some(house.active().await)).await;
}

async fn a_record_that_somebody_holds_is_left_for_later(database: TestDatabase) {
    let mut house = House::new(database).await;
    let events = house.events(10).await;
    house.vault.start_rotation(house.workspace(), Actor::Machine).await.unwrap();
    if house.store.kind() == "sqlite" {
        // There a writer waits for its turn at the whole database instead.
        house.rotate().await.unwrap();
        return;
    }
    let stored = house.stored().await;
    let held = &stored[&format!("{:?}", Place::EventBody(events[4]))];
    let mut tx = house.write().await;
    let record = events[4].to_string();
    db!(tx, reseal::replace_event_body(house.workspace(), &record, held, held)).unwrap();

    assert!(matches!(house.rotate().await.unwrap(), RotationOutcome::Settling { .. }));
    let status = house.vault.rotation(house.workspace()).await.unwrap().unwrap();
    assert_eq!(status.done, 9, "all but the one that is held");
    house.clock.advance(DEFAULT_KEY_LIFETIME + GRACE);
    let error = house.rotate().await.err().unwrap();
    assert!(matches!(error, VaultError::RecordsHeld { records: 1, .. }), "{error:?}");
    // It can still commit, and the rotation then ends.
    tx.commit_bookkeeping(Bookkeeping::Journal).await.unwrap();
    let outcome = house.rotate().await.unwrap();
    assert_eq!(outcome, RotationOutcome::Finished { records: 10, unopened: 0 });
    house.check(&house.vault, Some(house.active().await)).await;
}

async fn a_record_that_does_not_open_is_left_and_counted(database: TestDatabase) {
    let mut house = House::new(database).await;
    let events = house.events(5).await;
    let stored = house.stored().await;
    let name = format!("{:?}", Place::EventBody(events[2]));
    let mut broken = stored[&name].as_bytes().to_vec();
    *broken.last_mut().unwrap() ^= 1;
    let broken = Sealed::from_bytes(broken);
    overwrite(&house, events[2], &broken).await;
    house.contents.remove(&name);

    house.vault.start_rotation(house.workspace(), Actor::Machine).await.unwrap();
    house.clock.advance(DEFAULT_KEY_LIFETIME + GRACE);
    let outcome = house.rotate().await.unwrap();
    assert_eq!(outcome, RotationOutcome::Finished { records: 4, unopened: 1 });
    let stored = house.stored().await;
    assert_eq!(stored[&name], broken, "it is left as it is");
}

async fn one_rotation_at_a_time(database: TestDatabase) {
    let mut house = House::new(database).await;
    house.events(3).await;
    let other = house.another_node().await;
    let (one, two) = tokio::join!(
        house.vault.start_rotation(house.workspace(), Actor::Machine),
        other.start_rotation(house.workspace(), Actor::Machine),
    );
    let errors: Vec<_> = [one.err(), two.err()].into_iter().flatten().collect();
    assert!(matches!(errors[..], [VaultError::RotationActive(_)]), "{errors:?}");
    house.clock.advance(DEFAULT_KEY_LIFETIME + GRACE);
    // Both nodes work on it at once.
    let rotation = house.vault.rotation(house.workspace()).await.unwrap().unwrap();
    let (mut no, mut news) = (|_| {}, |_| {});
    let (one, two) = tokio::join!(
        house.vault.run_rotation(house.workspace(), rotation.id, Actor::Machine, &mut no),
        other.run_rotation(house.workspace(), rotation.id, Actor::Machine, &mut news),
    );
    for outcome in [one, two] {
        assert_eq!(outcome.unwrap(), RotationOutcome::Finished { records: 3, unopened: 0 });
    }
    let audit = house.audit().await;
    assert_eq!(audit.iter().filter(|action| *action == "rotation_finished").count(), 1);
    // The next one may begin, and keys from two rotations ago still open.
    let copy = house.stored().await;
    house.vault.start_rotation(house.workspace(), Actor::Machine).await.unwrap();
    for (name, (place, text)) in &house.contents {
        let opened = house.vault.open(house.workspace(), place, &copy[name]).await.unwrap();
        assert_eq!(opened.expose(), text);
    }
}

async fn the_root_key_can_be_changed(database: TestDatabase) {
    let mut house = House::new(database).await;
    house.furnish().await;
    house.vault.start_rotation(house.workspace(), Actor::Machine).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let spec = RootKeySpec::in_configuration(folder.path());
    let new = spec.load_or_create(house.database.folder(), &OsRandom).await.unwrap();
    let old = house.root().await;
    let run = || rewrap(&house.store, &old, &new, Actor::Machine, &*house.clock, &OsRandom);
    assert_eq!(run().await.unwrap(), 2, "the active and the retired key");
    assert_eq!(run().await.unwrap(), 0, "nothing is left to do");
    assert_eq!(house.audit().await.last().unwrap(), "data_keys_rewrapped");

    let error = unlock(&house.store, house.root().await, &house.clock).await.err().unwrap();
    assert!(matches!(error, VaultError::WrongRootKey { .. }), "{error:?}");
    let vault = unlock(&house.store, new, &house.clock).await.unwrap();
    assert_eq!(vault.check().await.unwrap(), 2);
    house.check(&vault, None).await;

    // Neither of two others will do for what is stored.
    let strangers = tempfile::tempdir().unwrap();
    let stranger = RootKeySpec::in_configuration(strangers.path())
        .load_or_create(house.database.folder(), &OsRandom)
        .await
        .unwrap();
    let error = rewrap(&house.store, &old, &stranger, Actor::Machine, &*house.clock, &OsRandom)
        .await
        .err()
        .unwrap();
    assert!(matches!(error, VaultError::WrongRootKey { .. }), "{error:?}");
}
