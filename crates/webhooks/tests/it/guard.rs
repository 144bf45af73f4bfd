//! Endpoints that lead where nothing may go.

use crate::receiver::Receiver;
use crate::world::{LOOPBACK, World, config, node};
use causeway_net::{Resolve, Resolving, SystemResolver};
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use causeway_types::entity::WebhookDeliveryState;

on_both!(a_private_address_is_refused, this_machine_is_refused_unless_allowed);

/// A name server that sends its victims into the operator's own network.
struct Inward;

impl Resolve for Inward {
    fn resolve<'a>(&'a self, name: &'a str) -> Resolving<'a> {
        Box::pin(async move {
            Ok(match name {
                "private.example.com" => vec!["10.1.2.3".parse().unwrap()],
                "metadata.example.com" => vec!["169.254.169.254".parse().unwrap()],
                "mixed.example.com" => {
                    vec!["93.184.215.14".parse().unwrap(), "192.168.0.1".parse().unwrap()]
                }
                _ => Vec::new(),
            })
        })
    }
}

async fn a_private_address_is_refused(database: TestDatabase) {
    let world = World::new(database).await;
    let store = world.database.store.clone();
    let (vault, clock) = (world.vault.clone(), world.clock.clone());
    let hostile = node(store, vault, clock, LOOPBACK, Inward, config());
    for host in [
        "private.example.com",
        "metadata.example.com",
        "mixed.example.com",
        "10.0.0.1",
        "[::ffff:10.0.0.1]",
        "169.254.169.254",
    ] {
        world.endpoint(&format!("https://{host}/hooks")).await;
    }
    world.tell("one").await;
    assert_eq!(hostile.deliver_due().await.unwrap(), 6);
    for delivery in world.deliveries().await {
        assert_eq!(delivery.state, WebhookDeliveryState::Pending);
        let attempts = world.attempts(&delivery).await;
        assert_eq!(attempts[0].error_code.as_deref(), Some("egress_denied_address"));
        assert_eq!((attempts[0].status, &attempts[0].answer), (None, &None));
    }
}

async fn this_machine_is_refused_unless_allowed(database: TestDatabase) {
    let world = World::new(database).await;
    let mut receiver = Receiver::start().await;
    world.endpoint(&receiver.url("/")).await;
    world.endpoint(&format!("http://localhost:{}/", receiver.port())).await;
    world.tell("one").await;
    let store = world.database.store.clone();
    let (vault, clock) = (world.vault.clone(), world.clock.clone());
    let strict = node(store, vault, clock, &[], SystemResolver, config());
    assert_eq!(strict.deliver_due().await.unwrap(), 2);
    assert!(receiver.received().is_empty());
    for delivery in world.deliveries().await {
        let attempts = world.attempts(&delivery).await;
        assert_eq!(attempts[0].error_code.as_deref(), Some("egress_denied_address"));
    }
}
