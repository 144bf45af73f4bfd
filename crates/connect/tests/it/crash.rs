//! `kill -9` at each point of a refresh. A process of its own refreshes a connection and kills
//! itself at the point named; then another one, after the first one's lease has ended, must get
//! a working token, or the one reason that there is.

use crate::world::{World, access_token, credential, node};
use causeway_connect::{Connect, CrashPoint, CrashPoints};
use causeway_simulators::{DemoApp, DemoOptions};
use causeway_store::testing::TestDatabase;
use causeway_store::{Store, StoreOptions, on_both};
use causeway_types::entity::{ConnectionState, RefreshPhase};
use causeway_types::{Clock as _, ManualClock, Tenant, Timestamp};
use serde::{Deserialize, Serialize};
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

on_both!(
    a_strict_provider_keeps_the_grant_outside_of_the_window,
    a_lenient_provider_keeps_the_grant_everywhere,
);

/// By which a test process knows that it is a child, and what it is to do.
const ORDER: &str = "CAUSEWAY_TEST_CRASH_ORDER";

#[derive(Serialize, Deserialize)]
struct Order {
    database_url: String,
    key_file: PathBuf,
    apps: PathBuf,
    now_us: i64,
    workspace: String,
    project: String,
    environment: String,
    point: String,
}

/// Kills its own process at one point, as `kill -9` would from outside.
struct KillAt(String);

impl CrashPoints for KillAt {
    fn reached(&self, point: CrashPoint) {
        if format!("{point:?}") == self.0 {
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL)
                .unwrap();
            // The signal is on its way; nothing may happen before it arrives.
            loop {
                std::thread::park();
            }
        }
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
    let kill = Arc::new(KillAt(order.point));
    let (connect, _, _) = node(store, &order.key_file, &order.apps, clock, kill).await;
    let tenant = Tenant {
        workspace: order.workspace.parse().unwrap(),
        project: order.project.parse().unwrap(),
        environment: order.environment.parse().unwrap(),
    };
    let _ = credential(&connect, tenant, "crm").await;
    panic!("the refresh did not come to the point");
}

/// A process that refreshes the connection and dies at a point, if the refresh comes to one of
/// this name.
pub(crate) fn child(world: &World, point: &str) -> tokio::process::Command {
    let tenant = world.tenant();
    let order = Order {
        database_url: world.database.url.clone(),
        key_file: world.key_file.clone(),
        apps: world.apps.clone(),
        now_us: world.clock.now().as_micros(),
        workspace: tenant.workspace.to_string(),
        project: tenant.project.to_string(),
        environment: tenant.environment.to_string(),
        point: point.to_owned(),
    };
    let mut command = tokio::process::Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "crash::child_process", "--nocapture"])
        .env(ORDER, serde_json::to_string(&order).unwrap())
        .kill_on_drop(true);
    command
}

/// Lets a child die at a point of a refresh.
pub(crate) async fn die_at(world: &World, point: CrashPoint) {
    let output = child(world, &format!("{point:?}"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), Some(9), "{point:?}: {said}");
}

/// What the next process gets: a token, or the reason why there is none.
pub(crate) async fn afterwards(world: &World, node: &Connect) -> Result<String, String> {
    world.clock.advance(Duration::from_mins(1));
    credential(node, world.tenant(), "crm")
        .await
        .map(|credential| access_token(&credential))
        .map_err(|error| error.to_string())
}

async fn a_strict_provider_keeps_the_grant_outside_of_the_window(database: TestDatabase) {
    let (world, provider) = World::with_oidc(database, false).await;
    let userinfo = format!("{}/me", provider.url());
    let mut refreshes = 0;
    // Each round ends with a deletion, which gives the grant back.
    for (rounds, point) in (0..).zip(CrashPoint::ALL) {
        let id = world.link_oidc("crm").await;
        let before = access_token(&world.credential("crm").await.unwrap());
        world.clock.advance(Duration::from_hours(2));
        die_at(&world, *point).await;
        let second = world.second_node().await;
        let after = afterwards(&world, &second).await;
        let row = world.connection(id).await.unwrap();
        let lease = world.lease(id).await.unwrap();
        let in_window = matches!(point, CrashPoint::IntentWritten | CrashPoint::AnswerReceived);
        if in_window {
            assert!(after.unwrap_err().contains("refresh_answer_lost: "), "{point:?}");
            assert_eq!(row.state, ConnectionState::NeedsReauth, "{point:?}");
        } else {
            let token = after.unwrap();
            assert_ne!(token, before, "{point:?}");
            assert_eq!(world.get(&userinfo, &token).await, 200, "{point:?}");
            assert_eq!(row.state, ConnectionState::Healthy, "{point:?}");
        }
        assert_eq!((lease.phase, lease.unanswered), (RefreshPhase::Idle, 0), "{point:?}");
        // One exchange, or none where the process died before its request.
        refreshes += u64::from(*point != CrashPoint::IntentWritten);
        let counts = world.counts(&provider).await;
        assert_eq!(counts.refresh, refreshes, "{point:?}: spent twice");
        // No refresh token was sent a second time, so none was detected.
        assert_eq!((counts.refresh_errors, counts.revoked_grants), (0, rounds), "{point:?}");
        delete(&world, &second, id).await;
    }
}

async fn a_lenient_provider_keeps_the_grant_everywhere(database: TestDatabase) {
    let options = DemoOptions { accept_previous_token: true, ..DemoOptions::default() };
    let app = DemoApp::start(([127, 0, 0, 1], 0).into(), options).await.unwrap();
    let row = app.app_yaml().replace("rotates: true", "rotates: true\n      retry_old_token: true");
    let (id, secret) = (app.client_id(), app.client_secret());
    let world = World::new(database, &row, (&id, &secret)).await;
    let userinfo = format!("{}/oauth/userinfo", app.url());
    for point in CrashPoint::ALL {
        let id = world.link_demo("crm").await;
        world.clock.advance(Duration::from_hours(2));
        let before = app.counters();
        die_at(&world, *point).await;
        let second = world.second_node().await;
        let token = afterwards(&world, &second).await.unwrap();
        assert_eq!(world.get(&userinfo, &token).await, 200, "{point:?}");
        let after = app.counters();
        let exchanges = 1 + u64::from(*point == CrashPoint::AnswerReceived);
        assert_eq!(after.refreshes - before.refreshes, exchanges, "{point:?}");
        assert_eq!(after.reuse_detections, 0, "{point:?}");
        // The grant goes on living: the next refresh works too.
        world.clock.advance(Duration::from_hours(2));
        let token = afterwards(&world, &second).await.unwrap();
        assert_eq!(world.get(&userinfo, &token).await, 200, "{point:?}");
        delete(&world, &second, id).await;
    }
}

pub(crate) async fn delete(world: &World, node: &Connect, id: causeway_types::ConnectionId) {
    node.delete_connection(&world.permit(), id).await.unwrap();
}
