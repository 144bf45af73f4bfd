//! Many callers at once.

use crate::world::{World, access_token, credential};
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::task::JoinSet;

on_both!(a_hundred_callers_cause_one_token_request, callers_on_two_nodes_cause_one_token_request,);

async fn a_hundred_callers_cause_one_token_request(database: TestDatabase) {
    let (world, provider) = World::with_oidc(database, false).await;
    world.link_oidc("crm").await;
    let old = access_token(&world.credential("crm").await.unwrap());
    let before = world.counts(&provider).await;
    world.clock.advance(Duration::from_hours(2));
    let mut callers = JoinSet::new();
    for _ in 0..100 {
        let (connect, tenant) = (world.connect.clone(), world.tenant());
        callers.spawn(
            async move { access_token(&credential(&connect, tenant, "crm").await.unwrap()) },
        );
    }
    let tokens: BTreeSet<String> = callers.join_all().await.into_iter().collect();
    assert_eq!(tokens.len(), 1);
    assert!(!tokens.contains(&old));
    let after = world.counts(&provider).await;
    assert_eq!(after.token_requests - before.token_requests, 1);
    assert_eq!((after.refresh, after.refresh_errors, after.revoked_grants), (1, 0, 0));
}

async fn callers_on_two_nodes_cause_one_token_request(database: TestDatabase) {
    let (world, provider) = World::with_oidc(database, false).await;
    world.link_oidc("crm").await;
    let nodes = [world.connect.clone(), world.second_node().await];
    for round in 1..=5 {
        world.clock.advance(Duration::from_hours(2));
        let mut callers = JoinSet::new();
        for number in 0..40 {
            let (connect, tenant) = (nodes[number % 2].clone(), world.tenant());
            callers.spawn(async move {
                access_token(&credential(&connect, tenant, "crm").await.unwrap())
            });
        }
        let tokens: BTreeSet<String> = callers.join_all().await.into_iter().collect();
        assert_eq!(tokens.len(), 1);
        let counts = world.counts(&provider).await;
        assert_eq!((counts.refresh, counts.refresh_errors, counts.revoked_grants), (round, 0, 0));
    }
}
