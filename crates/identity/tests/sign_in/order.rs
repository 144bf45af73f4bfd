//! In which order a sign-in locks what it writes: with PostgreSQL, two who write to the same chains
//! must not wait for each other in a circle.

use crate::issuer::Issuer;
use crate::world::{World, new_provider};
use causeway_identity::Purpose;
use causeway_store::testing::TestDatabase;
use causeway_store::{Audit, db};
use causeway_types::entity::{ProviderKind, Role};
use causeway_types::{Actor, Clock as _, INSTALLATION};
use serde_json::json;

/// Somebody comes in through a workspace's own provider in a browser in which somebody of the
/// installation was signed in: one sign-in that writes to the chains of both.
#[tokio::test(flavor = "multi_thread")]
async fn the_installations_chain_comes_before_a_workspaces() {
    let (world, issuer, provider) = World::with_issuer(TestDatabase::postgres().await).await;
    let ada = world.ada(&issuer, provider).await;
    let workspace = world.workspace().await;
    let own = Issuer::start().await;
    let view = new_provider(&own, ProviderKind::Oidc);
    let realm = world.add_provider_of(&ada, workspace, view).await.id;
    let token = world.invite(workspace, "bob@example.com", Role::Viewer, None).await;
    own.claim(json!({ "sub": "bob", "email": "bob@example.com" }));
    let purpose = Purpose::Invitation { provider: realm, token: &token };
    let query = world.begin_at(&own, purpose, &ada).await;

    let store = &world.database.store;
    let mut other = store.write(Actor::Machine).await.unwrap();
    assert!(db!(other, audit::lock_head(INSTALLATION)).unwrap());
    let (came, ()) = tokio::join!(world.back_to(workspace, &query, &ada), async {
        world.database.somebody_waits().await;
        // Nobody who waits for the installation's chain holds this one.
        assert!(db!(other, audit::lock_head(workspace)).unwrap());
        other.commit(workspace, world.clock.now(), Audit::ClaimLinkMade {}).await.unwrap();
    });
    came.unwrap();
    world.last(INSTALLATION, "session_revoked").await;
    world.last(workspace, "member_joined").await;
}

/// An address that changes and a place that waits for the new one: two workspaces' chains, of which
/// the one that is found later comes first.
#[tokio::test(flavor = "multi_thread")]
async fn workspaces_chains_come_in_their_order() {
    let (world, issuer, provider) = World::with_issuer(TestDatabase::postgres().await).await;
    // Made in the same millisecond, within which ids are in no order.
    let (one, other) = (world.workspace().await, world.another_workspace().await);
    let (first, second) = (one.min(other), one.max(other));
    let token = world.invite(second, "bob@example.com", Role::Viewer, None).await;
    issuer.claim(json!({ "sub": "bob", "email": "bob@example.com" }));
    let purpose = Purpose::Invitation { provider, token: &token };
    world.through(&issuer, purpose, &world.person()).await.unwrap();
    world.prepare(first, "robert@example.com").await;
    issuer.claim(json!({ "sub": "bob", "email": "robert@example.com" }));
    let bob = world.person();
    let query = world.begin_at(&issuer, Purpose::SignIn { provider }, &bob).await;

    let store = &world.database.store;
    let mut other = store.write(Actor::Machine).await.unwrap();
    assert!(db!(other, audit::lock_head(first)).unwrap());
    let (came, ()) = tokio::join!(world.back(&query, &bob), async {
        world.database.somebody_waits().await;
        assert!(db!(other, audit::lock_head(second)).unwrap());
        other.commit(first, world.clock.now(), Audit::ClaimLinkMade {}).await.unwrap();
    });
    came.unwrap();
    for workspace in [first, second] {
        assert!(world.member(workspace, "robert@example.com").await.is_some());
    }
}
