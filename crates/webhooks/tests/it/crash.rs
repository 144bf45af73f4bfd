//! `kill -9`. A process of its own delivers and is killed; whatever was told arrives all the same,
//! at least once, under the id that it always had.

use crate::receiver::{Receiver, Reply};
use crate::world::{LOOPBACK, World, config, node, unlock};
use causeway_net::{Resolve, Resolving, SystemResolver};
use causeway_store::testing::TestDatabase;
use causeway_store::{Store, StoreOptions, on_both};
use causeway_types::entity::WebhookDeliveryState;
use causeway_types::{Clock as _, ManualClock, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

on_both!(
    a_death_before_the_request_is_sent_loses_nothing,
    a_death_before_the_answer_is_written_repeats_the_message,
    deaths_at_any_moment_lose_nothing,
);

/// By which a test process knows that it is a child, and what it is to do.
const ORDER: &str = "CAUSEWAY_TEST_WEBHOOK_ORDER";

#[derive(Serialize, Deserialize)]
struct Order {
    database_url: String,
    key_file: PathBuf,
    now_us: i64,
    /// Dies when it looks the endpoint's name up: taken up, and nothing sent.
    dies_at_look_up: bool,
}

/// Kills its own process, as `kill -9` would from outside.
struct Deadly;

impl Resolve for Deadly {
    fn resolve<'a>(&'a self, _: &'a str) -> Resolving<'a> {
        Box::pin(async {
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL)
                .unwrap();
            // The signal is on its way; nothing may happen before it arrives.
            std::future::pending().await
        })
    }
}

/// The program of the child process; in an ordinary run it has no order and nothing to do.
#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::disallowed_methods, reason = "the order for a child process of this test binary")]
async fn child_process() {
    let Ok(order) = std::env::var(ORDER) else { return };
    let order: Order = serde_json::from_str(&order).unwrap();
    let store =
        Store::connect(&StoreOptions::from_url(&order.database_url).unwrap()).await.unwrap();
    let clock = Arc::new(ManualClock::at(Timestamp::from_micros(order.now_us)));
    let vault = unlock(&store, &order.key_file, &clock).await;
    let webhooks = if order.dies_at_look_up {
        node(store, vault, clock, LOOPBACK, Deadly, config())
    } else {
        node(store, vault, clock, LOOPBACK, SystemResolver, config())
    };
    webhooks.run(CancellationToken::new()).await;
}

/// A process that delivers until it dies.
fn child(world: &World, dies_at_look_up: bool) -> tokio::process::Child {
    let order = Order {
        database_url: world.database.url.clone(),
        key_file: world.key_file.clone(),
        now_us: world.clock.now().as_micros(),
        dies_at_look_up,
    };
    tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::child_process", "--nocapture"])
        .env(ORDER, serde_json::to_string(&order).unwrap())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

async fn a_death_before_the_request_is_sent_loses_nothing(database: TestDatabase) {
    let world = World::new(database).await;
    let mut receiver = Receiver::start().await;
    world.endpoint(&format!("http://localhost:{}/", receiver.port())).await;
    world.tell("one").await;
    child(&world, true).wait().await.unwrap();
    let taken = world.delivery().await;
    assert_eq!((taken.state, taken.fence), (WebhookDeliveryState::Pending, 1));
    assert!(taken.owner.is_some() && taken.attempts == 0);
    assert!(receiver.received().is_empty());
    // Its lease holds, and ends.
    assert_eq!(world.deliver().await, 0);
    world.clock.advance(Duration::from_secs(61));
    assert_eq!(world.deliver().await, 1);
    assert_eq!(receiver.next().await.name(), "one");
    assert_eq!(world.delivery().await.state, WebhookDeliveryState::Delivered);
}

async fn a_death_before_the_answer_is_written_repeats_the_message(database: TestDatabase) {
    let world = World::new(database).await;
    let mut receiver = Receiver::start().await;
    world.endpoint(&receiver.url("/")).await;
    world.tell("one").await;
    receiver.once(Reply::Held(204));
    let mut process = child(&world, false);
    let first = receiver.next().await;
    process.kill().await.unwrap();
    assert_eq!(world.delivery().await.attempts, 0);
    world.clock.advance(Duration::from_secs(61));
    assert_eq!(world.deliver().await, 1);
    let second = receiver.next().await;
    assert_eq!((first.id(), &first.body), (second.id(), &second.body));
    let delivery = world.delivery().await;
    assert_eq!((delivery.state, delivery.attempts), (WebhookDeliveryState::Delivered, 1));
}

async fn deaths_at_any_moment_lose_nothing(database: TestDatabase) {
    let world = World::new(database).await;
    let mut receiver = Receiver::start().await;
    world.endpoint(&receiver.url("/")).await;
    let mut told = BTreeMap::new();
    for number in 0..60 {
        let name = format!("n{number}");
        world.tell(&name).await;
    }
    for delivery in world.deliveries().await {
        told.insert(delivery.message_id.to_string(), 0_u32);
    }
    // Each process dies after a few more requests than the one before, while others are under way,
    // answered, or being written down.
    for life in 1..=6 {
        let mut process = child(&world, false);
        for _ in 0..life {
            *told.get_mut(receiver.next().await.id()).unwrap() += 1;
        }
        process.kill().await.unwrap();
        for got in receiver.received() {
            *told.get_mut(got.id()).unwrap() += 1;
        }
        world.clock.advance(Duration::from_secs(61));
    }
    world.deliver().await;
    for got in receiver.received() {
        *told.get_mut(got.id()).unwrap() += 1;
    }
    assert!(told.values().all(|times| *times >= 1), "{told:?}");
    let all = world.deliveries().await;
    assert!(all.iter().all(|one| one.state == WebhookDeliveryState::Delivered));
    let ids: BTreeSet<_> = all.iter().map(|one| one.message_id).collect();
    assert_eq!((all.len(), ids.len()), (60, 60));
}
