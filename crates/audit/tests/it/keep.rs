//! What a node does for the chains by itself.

use crate::world::World;
use causeway_audit::{Broken, Checkpoint, Keeper};
use causeway_identity::action::{self, Action as _};
use causeway_identity::{Denied, DeniedReason, OwnKeys};
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use causeway_types::{Actor, ApiKeyId, Clock as _, NodeId, OsRandom};
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tracing::instrument::WithSubscriber;

on_both!(
    a_chain_that_moves_is_signed_every_five_minutes,
    a_thousand_rows_are_signed_at_once,
    a_clean_stop_signs_what_is_there,
    a_checkpoint_leaves_the_database,
    what_a_node_has_seen_cannot_be_rewritten,
    a_broken_chain_gets_no_checkpoint,
    two_nodes_agree,
    a_new_node_goes_on_where_the_last_one_signed,
    denied_attempts_are_written_in_time,
    a_chain_in_use_holds_at_every_moment,
    a_new_key_signs_what_follows_and_the_old_one_still_proves,
);

const FIVE_MINUTES: Duration = Duration::from_mins(5);

async fn a_chain_that_moves_is_signed_every_five_minutes(database: TestDatabase) {
    let world = World::with_rows(database, 3).await;
    world.keeper.turn().await;
    assert_eq!(world.signed().await, [3], "the first is signed when it is seen");
    world.write(2).await;
    world.keeper.turn().await;
    world.clock.advance(Duration::from_secs(299));
    world.keeper.turn().await;
    assert_eq!(world.signed().await, [3]);
    world.clock.advance(Duration::from_secs(1));
    world.keeper.turn().await;
    assert_eq!(world.signed().await, [3, 5]);
    world.clock.advance(FIVE_MINUTES * 3);
    world.keeper.turn().await;
    assert_eq!(world.signed().await, [3, 5], "it has not moved");
    assert_eq!(world.verify().await.proven, 5);
}

async fn a_thousand_rows_are_signed_at_once(database: TestDatabase) {
    let world = World::with_rows(database, 2).await;
    world.keeper.turn().await;
    world.write(999).await;
    world.keeper.turn().await;
    assert_eq!(world.signed().await, [2]);
    world.write(1).await;
    world.keeper.turn().await;
    assert_eq!(world.signed().await, [2, 1002]);
}

async fn a_clean_stop_signs_what_is_there(database: TestDatabase) {
    let world = World::with_rows(database, 2).await;
    world.keeper.turn().await;
    world.write(1).await;
    world.keeper.close().await;
    world.keeper.close().await;
    assert_eq!(world.signed().await, [2, 3]);
}

/// What a subscriber writes.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

async fn a_checkpoint_leaves_the_database(database: TestDatabase) {
    let world = World::with_rows(database, 5).await;
    let lines = Lines::default();
    let log = tracing_subscriber::fmt().json().with_writer({
        let lines = lines.clone();
        move || lines.clone()
    });
    world.keeper.turn().with_subscriber(log.finish()).await;
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let kept: Vec<Checkpoint> = Checkpoint::read_lines(&text);
    let stored = world.checkpoints().await;
    let mine: Vec<_> = kept.iter().filter(|one| one.workspace_id == world.workspace()).collect();
    assert_eq!(mine, stored.iter().collect::<Vec<_>>(), "{text}");
    // The log is enough to find out a chain that was cut down with all that the database has.
    world.attack("DELETE FROM audit WHERE workspace_id = {ws} AND seq > 2").await;
    world.attack("DELETE FROM audit_checkpoint").await;
    world.rehash(2).await;
    world.verify().await;
    let broken = world.verify_with(&kept).await.unwrap_err();
    assert_eq!(broken, Broken::Ahead { seq: 5, last: 2, kept: true });
}

async fn what_a_node_has_seen_cannot_be_rewritten(database: TestDatabase) {
    let world = World::with_rows(database, 4).await;
    world.keeper.turn().await;
    world.write(4).await;
    // Seen, and not signed yet.
    world.keeper.turn().await;
    assert_eq!(world.signed().await, [4]);
    world.attack("UPDATE audit SET actor = 'x' WHERE workspace_id = {ws} AND seq = 6").await;
    world.rehash(6).await;
    world.write(1).await;
    world.clock.advance(FIVE_MINUTES);
    world.keeper.turn().await;
    world.sign().await;
    assert_eq!(world.signed().await, [4], "nobody signs what was rewritten under their eyes");
}

async fn a_broken_chain_gets_no_checkpoint(database: TestDatabase) {
    let world = World::with_rows(database, 4).await;
    world.keeper.turn().await;
    world.write(4).await;
    for damage in [
        "DELETE FROM audit WHERE workspace_id = {ws} AND seq = 6",
        "DELETE FROM audit WHERE workspace_id = {ws} AND seq >= 6",
    ] {
        world.attack(damage).await;
        world.clock.advance(FIVE_MINUTES);
        world.keeper.turn().await;
        assert_eq!(world.signed().await, [4], "{damage}");
    }
    // Of a chain without a beginning there is nothing to sign.
    world.attack("DELETE FROM audit_checkpoint WHERE workspace_id = {ws}").await;
    world.attack("DELETE FROM audit WHERE workspace_id = {ws} AND seq = 1").await;
    world.another_keeper().close().await;
    assert!(world.signed().await.is_empty());
}

async fn two_nodes_agree(database: TestDatabase) {
    let world = World::with_rows(database, 4).await;
    let other = world.another_keeper();
    tokio::join!(world.keeper.turn(), other.turn());
    assert_eq!(world.signed().await, [4]);
    world.write(1).await;
    world.clock.advance(FIVE_MINUTES);
    world.keeper.turn().await;
    world.write(1).await;
    other.turn().await;
    assert_eq!(world.signed().await, [4, 5], "what the other has signed need not be signed again");
    world.clock.advance(FIVE_MINUTES);
    tokio::join!(world.keeper.turn(), other.turn());
    assert_eq!(world.signed().await, [4, 5, 6]);
    world.verify().await;
}

async fn a_new_node_goes_on_where_the_last_one_signed(database: TestDatabase) {
    let world = World::with_rows(database, 4).await;
    world.sign().await;
    // What was rewritten while nothing ran does not follow from what was signed.
    world.attack("UPDATE audit SET actor = 'x' WHERE workspace_id = {ws} AND seq = 2").await;
    world.rehash(2).await;
    world.write(1).await;
    world.another_keeper().close().await;
    assert_eq!(world.signed().await, [4]);
}

async fn denied_attempts_are_written_in_time(database: TestDatabase) {
    let world = World::with_rows(database, 1).await;
    let actor = Actor::ApiKey(ApiKeyId::generate(world.clock.now(), &OsRandom));
    let denied = Denied {
        action: action::RotateKeys::NAME,
        actor,
        workspace: world.workspace(),
        reason: DeniedReason::NotGranted,
    };
    for _ in 0..5 {
        world.denials.note(denied).await;
    }
    world.keeper.turn().await;
    assert_eq!(world.actions().await, ["workspace_created", "permission_denied"]);
    world.clock.advance(Duration::from_mins(1));
    world.keeper.turn().await;
    let rows = world.rows().await;
    let times = |detail: &str| detail.contains("\"times\":4");
    assert!(rows.len() == 3 && times(&rows[2].detail), "{rows:?}");
    world.denials.note(denied).await;
    world.denials.note(denied).await;
    world.keeper.close().await;
    let rows = world.rows().await;
    assert_eq!(rows.len(), 5, "a clean stop loses nothing");
    assert_eq!(world.verify().await.proven, 5, "and signs it");
    assert_eq!(rows[4].actor, actor.to_string());
}

async fn a_chain_in_use_holds_at_every_moment(database: TestDatabase) {
    let world = World::with_rows(database, 2).await;
    let writing = async {
        for _ in 0..40 {
            world.write(10).await;
        }
    };
    let keeping = async {
        for _ in 0..40 {
            world.keeper.turn().await;
            world.clock.advance(FIVE_MINUTES);
        }
    };
    let checking = async {
        for _ in 0..40 {
            world.verify().await;
        }
    };
    tokio::join!(writing, keeping, checking);
    let kept = world.checkpoints().await;
    assert!(kept.len() > 5, "{}", kept.len());
    let whole = world.verify_with(&kept).await.unwrap();
    assert_eq!((whole.rows, whole.kept_out_of_reach), (402, 0));
}

async fn a_new_key_signs_what_follows_and_the_old_one_still_proves(database: TestDatabase) {
    let world = World::with_rows(database, 2).await;
    world.sign().await;
    let there =
        OwnKeys::open(world.store(), &world.vault, &*world.clock, &OsRandom, Actor::Machine);
    let there = there.await.unwrap();
    let old = there.audit().id();
    there.rotate(world.clock.now(), &OsRandom, Actor::Machine).await.unwrap();
    world.write(1).await;
    // Another node signs with the new key before this one has heard of it.
    let (denials, clock) = (world.denials.clone(), world.clock.clone());
    let actor = Actor::Node(NodeId::generate(world.clock.now(), &OsRandom));
    let other = Keeper::new(world.store().clone(), there.clone(), denials, clock, actor);
    other.close().await;
    let by: Vec<_> = world.checkpoints().await.iter().map(|one| one.signing_key).collect();
    assert_eq!(by, [old, there.audit().id()]);
    assert_ne!(world.keys.audit().id(), there.audit().id());
    let verified = world.verify().await;
    assert_eq!((verified.proven, verified.checkpoints), (3, 2));
    // And this one goes on with it.
    world.write(1).await;
    world.sign().await;
    assert_eq!(world.checkpoints().await[2].signing_key, there.audit().id());
    assert_eq!(world.verify().await.proven, 4);
}
