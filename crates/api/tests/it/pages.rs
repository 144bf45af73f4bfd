//! Listings, page by page, and what is deleted from them.

use crate::kit::{Json, World};
use causeway_store::testing::TestDatabase;
use causeway_store::{Journal, JournalOp, JournalResult, on_both};
use causeway_types::entity::{Advance, InvocationState};
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};
use std::collections::BTreeSet;

on_both!(
    every_record_is_on_one_page,
    a_walk_is_not_disturbed_by_new_records,
    cursors_and_limits_are_checked,
    invocations_are_filtered_and_deleted,
    connections_are_filtered,
);

/// Walks a listing to its end, with something to do after each page.
async fn walk(
    world: &World,
    path: &str,
    limit: usize,
    mut between: impl AsyncFnMut(u32),
) -> Vec<String> {
    let (mut ids, mut cursor, mut pages) = (Vec::new(), None::<String>, 0);
    loop {
        let separator = if path.contains('?') { '&' } else { '?' };
        let cursor_part = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        let page = world.get(&format!("{path}{separator}limit={limit}{cursor_part}")).await.ok();
        let data = page["data"].as_array().unwrap();
        assert!(data.len() <= limit);
        ids.extend(data.iter().map(|one| one.text("id")));
        cursor = page["next_cursor"].as_str().map(str::to_owned);
        if cursor.is_none() {
            return ids;
        }
        assert_eq!(data.len(), limit, "only the last page may be short");
        pages += 1;
        between(pages).await;
    }
}

fn is_sorted(ids: &[String], newest_first: bool) -> bool {
    ids.is_sorted_by(|a, b| if newest_first { a > b } else { a < b })
}

async fn every_record_is_on_one_page(database: TestDatabase) {
    let world = World::new(database).await;
    let mut workflows = BTreeSet::new();
    for n in 0..7 {
        workflows.insert(world.deploy(&format!("flow-{n}")).await.text("workflow_id"));
    }
    let workflow = workflows.first().unwrap();
    let mut invocations = BTreeSet::new();
    for n in 0..7 {
        let path = format!("/api/v1/workflows/{workflow}/events");
        let run = world.post(&path, &json!({ "event": n })).await.ok();
        invocations.insert(run.text("invocation_id"));
    }
    let mut connections = BTreeSet::new();
    for n in 0..5 {
        connections.insert(world.connection(&format!("crm-{n}")).await.text("id"));
    }
    for (path, newest_first, records) in [
        ("/api/v1/workflows", false, workflows),
        ("/api/v1/invocations", true, invocations),
        ("/api/v1/connections?customer=ada@acme", true, connections),
    ] {
        for limit in [1, 2, 3, 7, 100] {
            let walked = walk(&world, path, limit, async |_| ()).await;
            assert!(is_sorted(&walked, newest_first), "{path}: {walked:?}");
            assert_eq!(walked.len(), records.len(), "{path} by {limit}");
            assert_eq!(walked.into_iter().collect::<BTreeSet<_>>(), records, "{path} by {limit}");
        }
    }
}

async fn a_walk_is_not_disturbed_by_new_records(database: TestDatabase) {
    let world = World::new(database).await;
    for n in 0..6 {
        world.deploy(&format!("flow-{n}")).await;
    }
    let before = walk(&world, "/api/v1/workflows", 100, async |_| ()).await;
    let path = format!("/api/v1/workflows/{}/events", before[0]);
    for _ in 0..6 {
        world.post(&path, &json!({ "event": {} })).await.ok();
    }
    let invocations = walk(&world, "/api/v1/invocations", 100, async |_| ()).await;

    // Oldest first: what comes meanwhile is at the end. Newest first: it is not seen.
    let walked = walk(&world, "/api/v1/workflows", 2, async |page| {
        world.clock.advance(std::time::Duration::from_millis(5));
        if page <= 2 {
            world.deploy(&format!("late-{page}")).await;
        }
    })
    .await;
    assert_eq!((walked.len(), &walked[..6]), (8, &before[..]));
    let walked = walk(&world, "/api/v1/invocations", 2, async |_| {
        world.clock.advance(std::time::Duration::from_millis(5));
        world.post(&path, &json!({ "event": {} })).await.ok();
    })
    .await;
    assert_eq!(walked, invocations);
}

async fn cursors_and_limits_are_checked(database: TestDatabase) {
    let world = World::new(database).await;
    world.deploy("one").await;
    world.deploy("two").await;
    let page = world.get("/api/v1/workflows?limit=1").await.ok();
    let of_workflows = page.text("next_cursor");
    let listings = [
        "/api/v1/apps",
        "/api/v1/workflows",
        "/api/v1/invocations",
        "/api/v1/connections",
        "/api/v1/oauth-clients",
    ];
    for path in listings {
        for limit in ["0", "101", "-1", "x", "1.5", "99999999999999999999", "", "1&limit=2"] {
            let answer = world.get(&format!("{path}?limit={limit}")).await;
            answer.problem(400, "invalid_request");
        }
        let not_text = BASE64URL_NOPAD.encode(b"\xff\xfe");
        let no_id = BASE64URL_NOPAD.encode(b"wf_");
        for cursor in ["x", "", "%00", "%ff", "..", not_text.as_str(), no_id.as_str(), "d2Zf="] {
            let answer = world.get(&format!("{path}?cursor={cursor}")).await;
            answer.problem(400, "invalid_cursor");
        }
        if path != "/api/v1/workflows" {
            let answer = world.get(&format!("{path}?cursor={of_workflows}")).await;
            answer.problem(400, "invalid_cursor");
        }
        world.get(&format!("{path}?offset=3")).await.problem(400, "invalid_request");
    }
}

async fn invocations_are_filtered_and_deleted(database: TestDatabase) {
    let world = World::new(database).await;
    let (one, two) = (world.deploy("one").await, world.deploy("two").await);
    let mut runs = Vec::new();
    for workflow in [&one, &one, &two] {
        let path = format!("/api/v1/workflows/{}/events", workflow.text("workflow_id"));
        runs.push(
            world.post(&path, &json!({ "event": { "n": 1 } })).await.ok().text("invocation_id"),
        );
    }
    let listed = async |query: &str| -> BTreeSet<String> {
        let page = world.get(&format!("/api/v1/invocations{query}")).await.ok();
        page["data"].as_array().unwrap().iter().map(|one| one.text("id")).collect()
    };
    let of_two = format!("?workflow_id={}", two.text("workflow_id"));
    assert_eq!(listed(&of_two).await, BTreeSet::from([runs[2].clone()]));
    assert_eq!(listed("?state=queued").await.len(), 3);
    assert_eq!(listed("?state=failed").await.len(), 0);
    world.get("/api/v1/invocations?state=asleep").await.problem(400, "invalid_request");
    world.get("/api/v1/invocations?workflow_id=inv_x").await.problem(400, "invalid_request");

    let path = format!("/api/v1/invocations/{}", runs[0]);
    assert_eq!(world.get(&format!("{path}/event")).await.ok(), json!({ "n": 1 }));
    world.delete(&path).await.problem(409, "invocation_active");
    end(&world, &runs[0]).await;
    assert_eq!(world.get(&path).await.ok()["state"], "succeeded");
    // A replay keeps the event, and outlives the invocation that it repeats.
    let replay = world.post(&format!("{path}/replay"), &Value::Null).await;
    assert_eq!(replay.status, 202);
    let replay = replay.json();
    assert_eq!(replay["replay_of"], runs[0]);
    assert_eq!(world.delete(&path).await.status, 204);
    for gone in [path.clone(), format!("{path}/event")] {
        world.get(&gone).await.problem(404, "not_found");
    }
    world.delete(&path).await.problem(404, "not_found");
    world.post(&format!("{path}/replay"), &Value::Null).await.problem(404, "not_found");
    let replay = format!("/api/v1/invocations/{}", replay.text("invocation_id"));
    world.get(&replay).await.ok();
    assert_eq!(world.get(&format!("{replay}/event")).await.ok(), json!({ "n": 1 }));
}

/// Ends an invocation as a worker does.
async fn end(world: &World, id: &str) {
    let journal = Journal::start(world.store(), world.flow.node());
    let now = causeway_types::Clock::now(&*world.clock);
    let advance = Advance {
        workspace: world.tenant.workspace,
        id: id.parse().unwrap(),
        fence: 1,
        next_step: 1,
        attempts: 0,
        waits_for: None,
        item_of: None,
        links: None,
        ends_loop: false,
        wake_at: None,
        state: InvocationState::Succeeded,
        error_code: None,
        tier: None,
        response: None,
        started_at: now,
        finished_at: Some(now),
    };
    assert_eq!(journal.write(JournalOp::Move(advance)).await.unwrap(), JournalResult::Done);
}

async fn connections_are_filtered(database: TestDatabase) {
    let world = World::new(database).await;
    let id = world.connection("crm").await.text("id");
    let count = async |query: &str| {
        world.get(&format!("/api/v1/connections?{query}")).await.ok()["data"]
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!(count("customer=ada@acme&app=demo").await, 1);
    assert_eq!(count("customer=ada%40acme").await, 1);
    assert_eq!(count("customer=bob").await, 0);
    assert_eq!(count("app=slack").await, 0);
    assert_eq!(count("customer=%F0%9F%98%80%ff").await, 0);
    assert_eq!(count(&format!("customer={}", "x".repeat(5000))).await, 0);
    for query in ["customer=%00", "app=%00", "customer=a%0ab"] {
        let answer = world.get(&format!("/api/v1/connections?{query}")).await;
        answer.problem(400, "invalid_request");
    }
    let path = format!("/api/v1/connections/{id}");
    assert_eq!(world.delete(&path).await.status, 204);
    world.delete(&path).await.problem(404, "not_found");
    assert_eq!(count("").await, 0);
}
