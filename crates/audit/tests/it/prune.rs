//! Old events go, and the rest is still provable.

use crate::world::{DAY, World};
use causeway_audit::{AuditError, Broken, MIN_DAYS};
use causeway_identity::action;
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use causeway_types::{Code, Coded};

on_both!(
    events_are_kept_as_long_as_the_workspace_says,
    a_pruned_chain_is_still_provable,
    what_was_pruned_cannot_be_extended_by_hand,
    a_number_changed_by_hand_prunes_nothing,
    an_old_statement_written_again_prunes_nothing,
    a_broken_chain_is_not_pruned,
    a_kept_checkpoint_of_pruned_rows_is_out_of_reach,
    an_idle_chain_is_pruned_too,
    a_retention_has_bounds,
    a_check_while_rows_are_pruned_holds,
);

/// Six rows, signed, then 31 days, then more rows, signed. Row 7 says that events are kept for 30
/// days, and row 8 made the key for it.
async fn aged(database: TestDatabase) -> World {
    let world = World::with_rows(database, 6).await;
    world.sign().await;
    world.clock.advance(DAY * 31);
    keep_for(&world, Some(MIN_DAYS)).await;
    world.write(2).await;
    world.sign().await;
    assert_eq!(world.signed().await, [6, 10]);
    world
}

async fn keep_for(world: &World, days: Option<i64>) {
    let permit = world.permit::<action::ManageAudit>().await;
    world.log.set_retention(&permit, days).await.unwrap();
}

async fn first(world: &World) -> i64 {
    world.rows().await[0].seq
}

async fn events_are_kept_as_long_as_the_workspace_says(database: TestDatabase) {
    let world = World::with_rows(database, 6).await;
    world.sign().await;
    world.clock.advance(DAY * 1000);
    world.keeper.turn().await;
    assert_eq!(first(&world).await, 1, "for ever, unless the workspace says otherwise");
    keep_for(&world, Some(1000)).await;
    let read = world.permit::<action::ReadAudit>().await;
    assert_eq!(world.log.retention(&read).await.unwrap(), Some(1000));
    world.another_keeper().turn().await;
    assert_eq!(first(&world).await, 1);
    world.clock.advance(DAY);
    world.keeper.turn().await;
    assert_eq!(first(&world).await, 7);
    keep_for(&world, None).await;
    assert_eq!(world.log.retention(&read).await.unwrap(), None);
    world.sign().await;
    world.clock.advance(DAY * 2000);
    world.keeper.turn().await;
    assert_eq!(first(&world).await, 7);
}

async fn a_pruned_chain_is_still_provable(database: TestDatabase) {
    let world = aged(database).await;
    world.keeper.turn().await;
    let rows = world.rows().await;
    assert_eq!((rows[0].seq, rows.last().unwrap().seq), (7, 11));
    let event: serde_json::Value = serde_json::from_str(&rows[4].detail).unwrap();
    assert_eq!((&event["action"], &event["through"]), (&"audit_pruned".into(), &6.into()));
    assert_eq!((&event["rows"], &event["days"]), (&6.into(), &30.into()));
    let whole = world.verify().await;
    assert_eq!((whole.rows, whole.first, whole.last, whole.proven), (5, 7, 11, 10));
    assert_eq!(world.signed().await, [6, 10], "the checkpoint at the floor stays");

    // And again, although the statement of the retention itself goes with it.
    world.sign().await;
    world.clock.advance(DAY * 31);
    world.keeper.turn().await;
    let whole = world.verify().await;
    assert_eq!((whole.first, whole.last), (12, 12));
    world.write(1).await;
    world.sign().await;
    world.clock.advance(DAY * 31);
    world.keeper.turn().await;
    assert_eq!(world.verify().await.first, 14);
    world.write(700).await;
    assert_eq!(world.verify().await.rows, 701);
}

async fn what_was_pruned_cannot_be_extended_by_hand(database: TestDatabase) {
    let world = aged(database).await;
    world.keeper.turn().await;
    world.attack("DELETE FROM audit WHERE workspace_id = {ws} AND seq = 7").await;
    assert_eq!(world.broken().await, Broken::Front { first: 8 });
    world.attack("DELETE FROM audit WHERE workspace_id = {ws} AND seq <= 10").await;
    assert_eq!(world.broken().await, Broken::Front { first: 11 });
}

async fn a_number_changed_by_hand_prunes_nothing(database: TestDatabase) {
    let world = World::with_rows(database, 6).await;
    world.sign().await;
    world.clock.advance(DAY * 31);
    for days in [1, 30] {
        let sql =
            format!("UPDATE audit_head SET retention_days = {days} WHERE workspace_id = {{ws}}");
        world.attack(&sql).await;
        world.another_keeper().turn().await;
        assert_eq!(first(&world).await, 1);
    }
    world.verify().await;
}

async fn an_old_statement_written_again_prunes_nothing(database: TestDatabase) {
    let world = World::with_rows(database, 6).await;
    keep_for(&world, Some(30)).await;
    world.clock.advance(DAY);
    keep_for(&world, Some(3650)).await;
    world.sign().await;
    world.clock.advance(DAY * 31);
    // The attacker repeats the first event at the end, with its own time and signature.
    let old = world.rows().await.into_iter().find(|row| row.action == "audit_retention_changed");
    let (old, last) = (old.unwrap(), world.last().await);
    world
        .attack(&format!(
            "INSERT INTO audit (workspace_id, seq, at_us, actor, action, detail, hash)
             SELECT workspace_id, {}, at_us, actor, action, detail, hash FROM audit
             WHERE workspace_id = {{ws}} AND seq = {}",
            last + 1,
            old.seq
        ))
        .await;
    world.rehash(last + 1).await;
    world.attack("UPDATE audit_head SET retention_days = 30 WHERE workspace_id = {ws}").await;
    world.verify().await;
    world.another_keeper().turn().await;
    assert_eq!(first(&world).await, 1);
}

async fn a_broken_chain_is_not_pruned(database: TestDatabase) {
    let world = aged(database).await;
    world.attack("DELETE FROM audit WHERE workspace_id = {ws} AND seq = 9").await;
    world.keeper.turn().await;
    assert_eq!(first(&world).await, 1);
}

async fn a_kept_checkpoint_of_pruned_rows_is_out_of_reach(database: TestDatabase) {
    let world = World::with_rows(database, 3).await;
    world.sign().await;
    world.write(3).await;
    world.sign().await;
    let mut kept = world.checkpoints().await;
    keep_for(&world, Some(30)).await;
    world.clock.advance(DAY * 31);
    world.keeper.turn().await;
    let whole = world.verify_with(&kept).await.unwrap();
    assert_eq!((whole.first, whole.kept, whole.kept_out_of_reach), (7, 1, 1));
    kept[0].hash = "00".repeat(32);
    let broken = world.verify_with(&kept).await.unwrap_err();
    assert_eq!(broken, Broken::Signature { seq: 3, kept: true }, "it is checked all the same");
}

async fn an_idle_chain_is_pruned_too(database: TestDatabase) {
    let world = World::with_rows(database, 3).await;
    keep_for(&world, Some(30)).await;
    world.sign().await;
    let last = world.last().await;
    world.clock.advance(DAY * 31);
    world.keeper.turn().await;
    let whole = world.verify().await;
    assert_eq!((whole.rows, whole.first), (1, last + 1), "the event of the pruning is left");
}

async fn a_retention_has_bounds(database: TestDatabase) {
    let world = World::new(database).await;
    let permit = world.permit::<action::ManageAudit>().await;
    for days in [i64::MIN, -1, 0, 29, 36_501, i64::MAX] {
        let refused = world.log.set_retention(&permit, Some(days)).await.unwrap_err();
        assert!(matches!(refused, AuditError::Days(asked) if asked == days), "{days}");
        assert_eq!(refused.code(), Code::InvalidRequest);
    }
    for days in [30, 36_500] {
        world.log.set_retention(&permit, Some(days)).await.unwrap();
    }
}

async fn a_check_while_rows_are_pruned_holds(database: TestDatabase) {
    let world = World::with_rows(database, 3).await;
    keep_for(&world, Some(30)).await;
    for _ in 0..5 {
        world.write(1200).await;
        world.sign().await;
        world.clock.advance(DAY * 31);
        let checking = async {
            for _ in 0..8 {
                world.verify().await;
            }
        };
        let other = world.another_keeper();
        tokio::join!(checking, world.keeper.turn(), other.turn());
        let whole = world.verify().await;
        assert!(whole.rows < 10, "{whole:?}");
    }
}
