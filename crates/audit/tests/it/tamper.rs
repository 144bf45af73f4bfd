//! Whatever somebody with the database's password does, the check names the first broken link.

use crate::world::World;
use causeway_audit::Broken;
use causeway_store::testing::TestDatabase;
use causeway_store::{Audit, on_both};
use causeway_types::{Clock as _, OsRandom, SigningKeyId, WorkspaceId};

on_both!(
    a_chain_that_nobody_touched_holds,
    an_edited_row_is_named,
    an_edited_row_with_a_new_hash_is_named,
    a_chain_rewritten_from_a_row_on_is_named_by_the_next_checkpoint,
    a_removed_row_is_named,
    removed_rows_are_named,
    a_row_removed_and_the_rest_renumbered_is_named,
    swapped_rows_are_named,
    neighbours_swapped_are_named,
    a_row_moved_to_the_end_is_named,
    a_cut_tail_is_named,
    a_tail_cut_with_its_head_is_named_by_a_checkpoint,
    a_changed_head_is_named,
    a_front_that_was_cut_off_is_named,
    a_front_cut_off_with_a_made_up_pruning_is_named,
    a_forged_checkpoint_is_named,
    a_checkpoint_moved_to_another_chain_is_named,
    a_row_of_another_chain_is_named,
    rows_outside_of_the_chain_are_named,
    a_chain_rewritten_wholly_is_named_by_what_was_kept,
    a_kept_checkpoint_that_is_forged_is_named,
    what_only_a_kept_checkpoint_proves,
);

/// Ten rows, of which checkpoints prove the fourth and the eighth.
async fn ten(database: TestDatabase) -> World {
    let world = World::with_rows(database, 4).await;
    world.sign().await;
    world.write(4).await;
    world.sign().await;
    world.write(2).await;
    let whole = world.verify().await;
    assert_eq!((whole.rows, whole.first, whole.last, whole.proven), (10, 1, 10, 8));
    assert_eq!((whole.checkpoints, whole.kept), (2, 0));
    world
}

const EDIT: &str = "UPDATE audit SET actor = 'somebody else' WHERE workspace_id = {ws} AND seq = ";

async fn a_chain_that_nobody_touched_holds(database: TestDatabase) {
    let world = World::with_rows(database, 1100).await;
    let whole = world.verify().await;
    assert_eq!((whole.rows, whole.proven, whole.checkpoints), (1100, 0, 0));
    assert_eq!(whole.hash.len(), 64);
    world.sign().await;
    let kept = world.checkpoints().await;
    world.write(1).await;
    let whole = world.verify_with(&kept).await.unwrap();
    assert_eq!((whole.rows, whole.proven, whole.checkpoints, whole.kept), (1101, 1100, 1, 1));
}

async fn an_edited_row_is_named(database: TestDatabase) {
    let world = ten(database).await;
    for (column, value) in [
        ("actor", "'somebody else'"),
        ("action", "'nothing_special'"),
        ("detail", "'{}'"),
        ("at_us", "at_us + 1"),
    ] {
        let keep = world.rows().await[5].clone();
        world
            .attack(&format!(
                "UPDATE audit SET {column} = {value} WHERE workspace_id = {{ws}} AND seq = 6"
            ))
            .await;
        assert_eq!(world.broken().await, Broken::Edited { seq: 6 }, "{column}");
        let (at, detail) = (keep.at.as_micros(), keep.detail.replace('\'', "''"));
        world
            .attack(&format!(
                "UPDATE audit SET actor = '{}', action = '{}', at_us = {at}, detail = '{detail}'
                 WHERE workspace_id = {{ws}} AND seq = 6",
                keep.actor, keep.action
            ))
            .await;
        world.verify().await;
    }
    world.set_hash(6, &[7; 32]).await;
    assert_eq!(world.broken().await, Broken::Edited { seq: 6 });
}

async fn an_edited_row_with_a_new_hash_is_named(database: TestDatabase) {
    let world = ten(database).await;
    world.attack(&format!("{EDIT} 6")).await;
    let rows = world.rows().await;
    let new = crate::world::hash(world.workspace(), &rows[4].hash, &rows[5]);
    world.set_hash(6, &new).await;
    // Row 6 fits row 5 again; what does not fit is row 7 to row 6.
    assert_eq!(world.broken().await, Broken::Edited { seq: 7 });
}

async fn a_chain_rewritten_from_a_row_on_is_named_by_the_next_checkpoint(database: TestDatabase) {
    let world = ten(database).await;
    world.attack(&format!("{EDIT} 6")).await;
    world.rehash(6).await;
    assert_eq!(world.broken().await, Broken::Rewritten { seq: 8, after: 4, kept: false });
    world.attack("DELETE FROM audit_checkpoint WHERE workspace_id = {ws} AND seq = 8").await;
    world.attack(&format!("{EDIT} 2")).await;
    world.rehash(2).await;
    assert_eq!(world.broken().await, Broken::Rewritten { seq: 4, after: 0, kept: false });
}

async fn a_removed_row_is_named(database: TestDatabase) {
    let world = ten(database).await;
    world.attack("DELETE FROM audit WHERE workspace_id = {ws} AND seq = 6").await;
    assert_eq!(world.broken().await, Broken::Missing { first: 6, last: 6 });
    world.rehash(7).await;
    assert_eq!(world.broken().await, Broken::Missing { first: 6, last: 6 });
}

async fn removed_rows_are_named(database: TestDatabase) {
    let world = ten(database).await;
    world.attack("DELETE FROM audit WHERE workspace_id = {ws} AND seq IN (3, 4, 5, 9)").await;
    assert_eq!(world.broken().await, Broken::Missing { first: 3, last: 5 });
}

async fn a_row_removed_and_the_rest_renumbered_is_named(database: TestDatabase) {
    let world = ten(database).await;
    world.attack("DELETE FROM audit WHERE workspace_id = {ws} AND seq = 6").await;
    for seq in 7..=10 {
        let sql = "UPDATE audit SET seq = seq - 1 WHERE workspace_id = {ws} AND seq = ";
        world.attack(&format!("{sql} {seq}")).await;
    }
    assert_eq!(world.broken().await, Broken::Edited { seq: 6 });
    world.rehash(6).await;
    assert_eq!(world.broken().await, Broken::Rewritten { seq: 8, after: 4, kept: false });
}

async fn swapped_rows_are_named(database: TestDatabase) {
    let world = ten(database).await;
    world.swap(3, 6).await;
    assert_eq!(world.broken().await, Broken::Moved { seq: 3, found: 6 });
    world.rehash(3).await;
    assert_eq!(world.broken().await, Broken::Rewritten { seq: 4, after: 0, kept: false });
}

async fn neighbours_swapped_are_named(database: TestDatabase) {
    let world = ten(database).await;
    world.swap(9, 10).await;
    assert_eq!(world.broken().await, Broken::Moved { seq: 9, found: 10 });
}

async fn a_row_moved_to_the_end_is_named(database: TestDatabase) {
    let world = ten(database).await;
    world.attack("UPDATE audit SET seq = 11 WHERE workspace_id = {ws} AND seq = 6").await;
    assert_eq!(world.broken().await, Broken::Moved { seq: 6, found: 11 });
}

async fn a_cut_tail_is_named(database: TestDatabase) {
    let world = ten(database).await;
    world.attack("DELETE FROM audit WHERE workspace_id = {ws} AND seq > 9").await;
    assert_eq!(world.broken().await, Broken::Cut { last: 9, written: 10 });
    world.attack("DELETE FROM audit WHERE workspace_id = {ws}").await;
    assert_eq!(world.broken().await, Broken::Cut { last: 0, written: 10 });
}

async fn a_tail_cut_with_its_head_is_named_by_a_checkpoint(database: TestDatabase) {
    let world = ten(database).await;
    world.attack("DELETE FROM audit WHERE workspace_id = {ws} AND seq > 6").await;
    world.rehash(6).await;
    assert_eq!(world.broken().await, Broken::Ahead { seq: 8, last: 6, kept: false });
    // New rows in the place of the old ones do not help.
    world.write(3).await;
    assert_eq!(world.broken().await, Broken::Rewritten { seq: 8, after: 4, kept: false });
    world.attack("DELETE FROM audit WHERE workspace_id = {ws}").await;
    world.set_head(0, &[0; 32]).await;
    assert_eq!(world.broken().await, Broken::Ahead { seq: 4, last: 0, kept: false });
}

async fn a_changed_head_is_named(database: TestDatabase) {
    let world = ten(database).await;
    let hash = world.rows().await[9].hash.clone();
    world.set_head(10, &[7; 32]).await;
    assert_eq!(world.broken().await, Broken::Head { last: 10 });
    let ninth = world.rows().await[8].hash.clone();
    world.set_head(9, &ninth).await;
    assert_eq!(world.broken().await, Broken::Head { last: 10 });
    world.set_head(11, &hash).await;
    assert_eq!(world.broken().await, Broken::Cut { last: 10, written: 11 });
    world.attack("DELETE FROM audit_head WHERE workspace_id = {ws}").await;
    assert_eq!(world.broken().await, Broken::NoHead);
}

async fn a_front_that_was_cut_off_is_named(database: TestDatabase) {
    let world = ten(database).await;
    world.attack("DELETE FROM audit WHERE workspace_id = {ws} AND seq <= 2").await;
    assert_eq!(world.broken().await, Broken::Front { first: 3 });
    // Exactly up to a checkpoint, which is then a floor that nobody pruned to.
    world.attack("DELETE FROM audit WHERE workspace_id = {ws} AND seq <= 4").await;
    assert_eq!(world.broken().await, Broken::Front { first: 5 });
}

async fn a_front_cut_off_with_a_made_up_pruning_is_named(database: TestDatabase) {
    let world = ten(database).await;
    let floor = world.checkpoints().await[0].clone();
    world.attack("DELETE FROM audit WHERE workspace_id = {ws} AND seq <= 4").await;
    // The attacker can append rows, and lend them a signature: that of the checkpoint.
    world
        .append(Audit::AuditPruned {
            through: floor.seq,
            rows: 4,
            hash: floor.hash.clone(),
            days: 30,
            signing_key: floor.signing_key,
            signature: floor.signature.clone(),
        })
        .await;
    assert_eq!(world.broken().await, Broken::Front { first: 5 });
}

async fn a_forged_checkpoint_is_named(database: TestDatabase) {
    let world = ten(database).await;
    // The tail is cut off, and the checkpoint that proves it is made to fit.
    world.attack("DELETE FROM audit WHERE workspace_id = {ws} AND seq > 6").await;
    world.rehash(6).await;
    let sixth = world.bytes(&world.rows().await[5].hash);
    world
        .attack(&format!(
            "UPDATE audit_checkpoint SET seq = 6, hash = {sixth} WHERE workspace_id = {{ws}} AND seq = 8"
        ))
        .await;
    assert_eq!(world.broken().await, Broken::Signature { seq: 6, kept: false });
    // A key of one's own does not help either.
    let key = SigningKeyId::generate(world.clock.now(), &OsRandom);
    world
        .attack(&format!(
            "UPDATE audit_checkpoint SET signing_key_id = '{key}' WHERE workspace_id = {{ws}} AND seq = 6"
        ))
        .await;
    assert_eq!(world.broken().await, Broken::Key { seq: 6, key, kept: false });
}

async fn a_checkpoint_moved_to_another_chain_is_named(database: TestDatabase) {
    let world = ten(database).await;
    // The installation has a chain and a checkpoint of its own.
    let installation = WorkspaceId::lowest();
    world.attack("DELETE FROM audit_checkpoint WHERE workspace_id = {ws}").await;
    world
        .attack(&format!(
            "UPDATE audit_checkpoint SET workspace_id = {{ws}} WHERE workspace_id = '{installation}'"
        ))
        .await;
    let Broken::Signature { kept: false, .. } = world.broken().await else {
        panic!("a signature for another workspace was believed");
    };
}

async fn a_row_of_another_chain_is_named(database: TestDatabase) {
    let world = ten(database).await;
    let installation = WorkspaceId::lowest();
    world.attack("DELETE FROM audit WHERE workspace_id = {ws} AND seq = 1").await;
    world
        .attack(&format!(
            "UPDATE audit SET workspace_id = {{ws}} WHERE workspace_id = '{installation}' AND seq = 1"
        ))
        .await;
    assert_eq!(world.broken().await, Broken::Edited { seq: 1 });
}

async fn rows_outside_of_the_chain_are_named(database: TestDatabase) {
    let world = ten(database).await;
    let add = |seq: i64| {
        format!(
            "INSERT INTO audit (workspace_id, seq, at_us, actor, action, detail, hash)
             SELECT workspace_id, {seq}, at_us, actor, action, detail, hash FROM audit
             WHERE workspace_id = {{ws}} AND seq = 10"
        )
    };
    world.attack(&add(11)).await;
    assert_eq!(world.broken().await, Broken::Head { last: 11 });
    world.attack("DELETE FROM audit WHERE workspace_id = {ws} AND seq = 11").await;
    world.attack(&add(0)).await;
    assert_eq!(world.broken().await, Broken::Foreign { seq: 0 });
}

async fn a_chain_rewritten_wholly_is_named_by_what_was_kept(database: TestDatabase) {
    let world = ten(database).await;
    let kept = world.checkpoints().await;
    world.attack(&format!("{EDIT} 1")).await;
    world.rehash(1).await;
    world.attack("DELETE FROM audit_checkpoint WHERE workspace_id = {ws}").await;
    // With the checkpoints gone, the database alone shows nothing.
    world.verify().await;
    let broken = world.verify_with(&kept).await.unwrap_err();
    assert_eq!(broken, Broken::Rewritten { seq: 4, after: 0, kept: true });
}

async fn a_kept_checkpoint_that_is_forged_is_named(database: TestDatabase) {
    let world = ten(database).await;
    let mut kept = world.checkpoints().await;
    kept[1].hash = "00".repeat(32);
    let broken = world.verify_with(&kept).await.unwrap_err();
    assert_eq!(broken, Broken::Signature { seq: 8, kept: true });
    let mut kept = world.checkpoints().await;
    // A hash in another spelling is not what was signed.
    kept[0].hash = kept[0].hash.to_uppercase();
    let broken = world.verify_with(&kept).await.unwrap_err();
    assert_eq!(broken, Broken::Signature { seq: 4, kept: true });
    // One of another workspace is none of this chain's.
    let mut kept = world.checkpoints().await;
    kept[0].workspace_id = WorkspaceId::lowest();
    assert_eq!(world.verify_with(&kept).await.unwrap().kept, 1);
}

/// The limit of what the database alone can show, as docs/audit.md tells it.
async fn what_only_a_kept_checkpoint_proves(database: TestDatabase) {
    let world = ten(database).await;
    let kept = world.checkpoints().await;
    world.attack("DELETE FROM audit WHERE workspace_id = {ws} AND seq > 6").await;
    world.attack("DELETE FROM audit_checkpoint WHERE workspace_id = {ws} AND seq > 6").await;
    world.rehash(6).await;
    assert_eq!(world.verify().await.proven, 4, "cut back behind the checkpoints, it looks whole");
    let broken = world.verify_with(&kept).await.unwrap_err();
    assert_eq!(broken, Broken::Ahead { seq: 8, last: 6, kept: true });
    // The node that signed them remembers, too: it signs no more.
    world.sign().await;
    assert_eq!(world.signed().await, [4]);
}
