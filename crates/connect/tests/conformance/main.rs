//! Every app of the catalogue, by every scheme that it offers, from the first link to the deletion,
//! against a stand-in that is made from its row; and what goes over the wire against the vendors'
//! own examples.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests: a failure here fails the test"
)]

mod drive;
mod golden;
mod keys;
mod report;
mod rows;
mod seen;
mod server;
mod standin;
mod strict;
mod tls;
mod world;

use causeway_catalog::Catalog;
use causeway_types::entity::Scheme;
use causeway_types::{Clock as _, ManualClock, SystemClock, Timestamp};
use drive::Drive;
use keys::Keys;
use report::Driven;
use rows::Row;
use server::Server;
use standin::Standin;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use world::World;

/// Apps that are driven at once.
const AT_ONCE: usize = 8;
/// The fewest apps that the catalogue must have.
const FEWEST: usize = 150;

/// The stand-ins of all apps, and their rows.
struct Fleet {
    world: World,
    catalog: Arc<Catalog>,
    keys: Arc<Keys>,
    /// Each with its server, which lives as long as this.
    apps: Vec<(Row, Arc<Standin>, Arc<ManualClock>, Server)>,
}

impl Fleet {
    /// Those of these apps.
    async fn start(slugs: &[String]) -> Self {
        let (world, acceptor) = World::new().await;
        let folder = tempfile::tempdir().unwrap();
        let mut bound = Vec::new();
        for slug in slugs {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = listener.local_addr().unwrap().port();
            let (text, whole_hosts) = rows::with_port(slug, port);
            world::write_row(folder.path(), slug, &text);
            bound.push((slug, listener, port, whole_hosts));
        }
        let catalog = Arc::new(Catalog::load(Some(folder.path())).unwrap());
        let mut apps = Vec::new();
        for (slug, listener, port, whole_hosts) in bound {
            let app = catalog.get(slug).unwrap();
            // Whole seconds, as tokens and answers have them.
            let now = Timestamp::from_micros(SystemClock.now().as_micros() / 1_000_000 * 1_000_000);
            let clock = Arc::new(ManualClock::at(now));
            let standin = Arc::new(Standin::new(Arc::clone(&clock)));
            let server = Server::start(listener, acceptor.clone(), Arc::clone(&standin));
            apps.push((Row::new(app, port, whole_hosts), standin, clock, server));
        }
        Self { world, catalog, keys: Arc::new(Keys::generate()), apps }
    }

    /// Drives all schemes of an app.
    async fn drive(&self, index: usize) -> Vec<Driven> {
        let (row, standin, clock, _) = &self.apps[index];
        let hand = self.world.hand(&self.catalog, clock);
        let mut all = Vec::new();
        for scheme in schemes(row) {
            let drive = Drive { hand: &hand, standin, row, keys: &self.keys };
            all.push(drive.life(scheme).await);
        }
        for (scheme, driven) in schemes(row).zip(&mut all) {
            let drive = Drive { hand: &hand, standin, row, keys: &self.keys };
            // At the example's own time.
            let clock = Arc::new(ManualClock::at(golden::time_of(&drive, scheme)));
            let hand = self.world.hand(&self.catalog, &clock);
            driven.golden = Drive { hand: &hand, ..drive }.golden(scheme).await;
        }
        all
    }
}

fn schemes(row: &Row) -> impl Iterator<Item = Scheme> {
    row.app.schemes().into_iter().map(|scheme| scheme.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_app_is_driven_by_every_scheme_and_sends_what_its_vendor_shows() {
    let fleet = Arc::new(Fleet::start(&rows::slugs()).await);
    let permits = Arc::new(Semaphore::new(AT_ONCE));
    let mut running = JoinSet::new();
    for index in 0..fleet.apps.len() {
        let (fleet, permits) = (Arc::clone(&fleet), Arc::clone(&permits));
        running.spawn(async move {
            let _permit = permits.acquire_owned().await.unwrap();
            Box::pin(fleet.drive(index)).await
        });
    }
    let mut all: Vec<Driven> = running.join_all().await.into_iter().flatten().collect();
    all.sort_by(|one, other| (&one.app, &one.scheme).cmp(&(&other.app, &other.scheme)));
    report::write(&all);
    let faults: Vec<String> = all.iter().flat_map(Driven::faults).collect();
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    assert!(all.iter().all(Driven::is_whole));
    let mut apps: Vec<&str> = all.iter().map(|driven| driven.app.as_str()).collect();
    apps.dedup();
    assert!(apps.len() >= FEWEST, "only {} apps were driven", apps.len());
}
