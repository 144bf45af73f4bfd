//! `kill -9` loses nothing: a finished step does not run again, an acknowledged event completes.

use crate::kit::{Counterpart, Home, Server, eventually};
use causeway_store::testing::TestDatabase;
use causeway_store::{db, on_both};
use causeway_types::InvocationId;
use causeway_types::entity::{InvocationState, StepState};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::{Mutex, RwLock};

on_both!(
    a_finished_step_does_not_run_again,
    what_waits_goes_on_with_the_attempt_that_is_due,
    a_loop_goes_on_where_it_was,
    every_acknowledged_event_completes_through_five_kills,
    a_schedule_fires_each_time_once_through_kills,
);

async fn a_finished_step_does_not_run_again(database: TestDatabase) {
    let other = Counterpart::start().await;
    let home = Home::with_flags(database, &["--net-allow", &other.range()]);
    let server = home.serve();
    let step = |way: &str| {
        format!(
            "export default async ({{ event, steps, $ }}) => {{
               const key = encodeURIComponent($.context.idempotency_key);
               const answer = await fetch('{}/{way}?' + key);
               return {{ said: await answer.text(), before: steps.one?.$return_value, n: event.body.n }};
             }};",
            other.url()
        )
    };
    let trigger = home.deploy(
        &server,
        "two-steps",
        "egress: [127.0.0.1]\nsteps:\n  - { name: one, run: ./one.mjs }\n  - { name: two, run: ./two.mjs }\n",
        &[("one.mjs", &step("count/one")), ("two.mjs", &step("wait/two"))],
    );
    let invocation = server.start_invocation(&trigger, &json!({ "n": 7 })).await;
    other.called("two", 1).await;
    server.kill_9();

    let server = home.serve();
    other.called("two", 2).await;
    other.open();
    let ended = server.finished(&invocation).await;
    assert_eq!(ended["state"], "succeeded", "{ended:#}");
    let steps = ended["steps"].as_array().unwrap();
    let names: Vec<&str> = steps.iter().map(|step| step["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["one", "two"], "each is in the journal once");
    assert_eq!(
        steps[1]["return_value"],
        json!({ "said": "opened", "before": { "said": "counted", "n": 7 }, "n": 7 }),
        "the second step saw what the first had left before the crash"
    );
    assert_eq!(other.calls("one").len(), 1, "the finished step did not run again");
    let keys = other.calls("two");
    assert_eq!(keys, [keys[0].as_str(), keys[0].as_str()], "both attempts have the same key");
    assert_ne!(keys[0], other.calls("one")[0], "and each step has its own");
    assert!(keys[0].starts_with(&invocation), "{keys:?}");
}

async fn what_waits_goes_on_with_the_attempt_that_is_due(database: TestDatabase) {
    let other = Counterpart::start().await;
    let home = Home::with_flags(database, &["--net-allow", &other.range()]);
    let server = home.serve();
    let step = |way: &str, then: &str| {
        format!(
            "export default async ({{ $ }}) => {{
               await fetch('{}/count/{way}?' + $.context.attempt);
               {then}
             }};",
            other.url()
        )
    };
    let fails = step("two", "if ($.context.attempt < 3) throw new Error('not yet');");
    let trigger = home.deploy(
        &server,
        "patient",
        "egress: [127.0.0.1]\nsteps:\n  - { name: one, run: ./one.mjs }\n  - { name: pause, delay: 5s }\n  - { name: two, run: ./two.mjs, retry: { attempts: 3, wait: 8s } }\n",
        &[("one.mjs", &step("one", "")), ("two.mjs", &fails)],
    );
    let invocation = server.start_invocation(&trigger, &json!({})).await;
    let is_waiting = async |server: &Server, steps: usize| {
        eventually("the invocation to wait", async || {
            let shown = server.get(&format!("invocations/{invocation}")).await;
            let ready = shown["state"] == "waiting" && shown["steps"].as_array()?.len() == steps;
            ready.then_some(shown)
        })
        .await
    };
    // In the delay, and then before the second attempt.
    is_waiting(&server, 2).await;
    server.kill_9();
    let server = home.serve();
    let shown = is_waiting(&server, 3).await;
    assert_eq!((&shown["error_code"], &shown["attempts"]), (&json!("user_error"), &json!(1)));
    server.kill_9();

    let server = home.serve();
    let ended = server.finished(&invocation).await;
    assert_eq!(ended["state"], "succeeded", "{ended:#}");
    assert_eq!((&ended["attempts"], &ended["wake_at"]), (&json!(0), &json!(null)));
    assert_eq!(other.calls("one"), ["1"], "the finished step did not run again");
    assert_eq!(other.calls("two"), ["1", "2", "3"], "each attempt ran once");
}

const ITEMS: usize = 60;
const AT_A_TIME: usize = 4;

async fn a_loop_goes_on_where_it_was(database: TestDatabase) {
    let other = Counterpart::start().await;
    let home = Home::with_flags(database, &["--net-allow", &other.range()]);
    let step = |way: &str| {
        format!(
            "{{ name: {way}, request: {{ url: '{}/count/{way}?{{{{ steps.each.index }}}}' }} }}",
            other.url()
        )
    };
    let mut server = home.serve();
    let steps = format!(
        "egress: [127.0.0.1]
steps:
  - name: each
    for_each:
      items: '{{{{ [...Array({ITEMS}).keys()] }}}}'
      concurrency: {AT_A_TIME}
      steps:
        - {}
        - {}
        - {{ name: last, value: '{{{{ steps.each.item }}}}' }}
",
        step("one"),
        step("two")
    );
    let trigger = home.deploy(&server, "looping", &steps, &[]);
    let invocation = server.start_invocation(&trigger, &json!({})).await;
    let kills = [ITEMS / 4, ITEMS / 2];
    for calls in kills {
        other.called("two", calls).await;
        server.kill_9();
        server = home.serve();
    }
    let ended = server.finished(&invocation).await;
    assert_eq!(ended["state"], "succeeded", "{ended:#}");
    let steps = ended["steps"].as_array().unwrap();
    assert_eq!(steps.len(), 1, "the loop is in the journal once");
    assert_eq!(steps[0]["return_value"], json!((0..ITEMS).collect::<Vec<_>>()));
    assert_eq!(steps[0]["exports"], json!({ "succeeded": ITEMS, "failed": 0 }));
    // What ran when the server died runs again, and nothing that had ended.
    let again = kills.len() * AT_A_TIME;
    for way in ["one", "two"] {
        let calls = other.calls(way);
        let items: BTreeSet<&String> = calls.iter().collect();
        assert_eq!(items.len(), ITEMS, "each item ran");
        assert!(calls.len() <= ITEMS + again, "{way}: {} calls", calls.len());
    }
    server.stop();
}

async fn a_schedule_fires_each_time_once_through_kills(database: TestDatabase) {
    let home = Home::new(database);
    let mut server = home.serve();
    let folder = home.write_workflow("ticks", "", &[("a.mjs", "export default () => 1")]);
    let manifest = "name: ticks\ntrigger: { schedule: { every: 1s, catch_up: all } }\n\
        steps: [{ name: pause, delay: 365d }, { name: a, run: ./a.mjs }]\n";
    std::fs::write(folder.join("workflow.yaml"), manifest).unwrap();
    home.cli(&server, &["deploy", "--json", folder.to_str().unwrap()]).json();
    let fired = async |server: &Server, least: usize| {
        eventually("the schedule to fire", async || {
            let page = server.get("invocations?limit=100").await;
            let ids =
                page["data"].as_array()?.iter().map(|one| one["id"].as_str().map(str::to_owned));
            ids.collect::<Option<Vec<_>>>().filter(|ids| ids.len() >= least)
        })
        .await
    };
    let mut count = 1;
    for _ in 0..4 {
        // At whatever it is at, a moment after it has fired.
        count = fired(&server, count + 1).await.len();
        server.kill_9();
        server = home.serve();
    }
    let mut times = Vec::new();
    for id in fired(&server, count + 2).await {
        let event = server.get(&format!("invocations/{id}/event")).await;
        times.push(event["timestamp"].as_i64().unwrap());
    }
    times.sort_unstable();
    let all: Vec<i64> = (times[0]..).take(times.len()).collect();
    assert_eq!(times, all, "no second is left out, and none is there twice");
}

const EVENTS: usize = 1_000;
const CONNECTIONS: usize = 16;
const KILLS: usize = 5;

/// What the callers share: the events that are still to be posted, and what was acknowledged.
struct Traffic {
    trigger: String,
    /// Nobody is there while it is written to.
    server: RwLock<Option<Server>>,
    next: AtomicUsize,
    /// The invocations by the number of their event.
    acknowledged: Mutex<BTreeMap<usize, String>>,
    /// How many were acknowledged, for whoever kills.
    progress: tokio::sync::watch::Sender<usize>,
}

impl Traffic {
    /// Posts until there is nothing left. What was not acknowledged is posted again, as new.
    async fn post(&self) {
        loop {
            let n = self.next.fetch_add(1, Ordering::Relaxed);
            if n >= EVENTS {
                return;
            }
            let invocation = loop {
                if let Some(invocation) = self.try_post(n).await {
                    break invocation;
                }
            };
            let mut acknowledged = self.acknowledged.lock().await;
            acknowledged.insert(n, invocation);
            self.progress.send_replace(acknowledged.len());
        }
    }

    async fn try_post(&self, n: usize) -> Option<String> {
        let request = {
            let server = self.server.read().await;
            let server = server.as_ref()?;
            let request = http::Request::post(server.url(&self.trigger))
                .header("content-type", "application/json");
            server.sending(request, json!({ "n": n }).to_string())
        };
        // The server may be killed from here on.
        let answer = request.await.ok()?;
        assert_eq!(answer.status, 202, "{answer:?}");
        Some(answer.json()["invocation_id"].as_str().unwrap().to_owned())
    }
}

async fn every_acknowledged_event_completes_through_five_kills(database: TestDatabase) {
    let home = Home::new(database);
    let server = home.serve();
    let trigger = home.deploy(
        &server,
        "counted",
        "steps:\n  - { name: first, run: ./first.mjs }\n  - { name: second, run: ./second.mjs }\n",
        &[
            ("first.mjs", "export default ({ event }) => event.body.n;"),
            ("second.mjs", "export default ({ steps }) => steps.first.$return_value + 1;"),
        ],
    );
    let traffic = Arc::new(Traffic {
        trigger,
        server: RwLock::new(Some(server)),
        next: AtomicUsize::new(0),
        acknowledged: Mutex::default(),
        progress: tokio::sync::watch::Sender::new(0),
    });
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..CONNECTIONS {
        let traffic = Arc::clone(&traffic);
        callers.spawn(async move { traffic.post().await });
    }
    let mut progress = traffic.progress.subscribe();
    for kill in 1..=KILLS {
        let enough = kill * EVENTS / (KILLS + 1);
        progress.wait_for(|acknowledged| *acknowledged >= enough).await.unwrap();
        let mut place = traffic.server.write().await;
        place.take().unwrap().kill_9();
        *place = Some(home.serve());
    }
    while let Some(ended) = callers.join_next().await {
        ended.unwrap();
    }
    let acknowledged = std::mem::take(&mut *traffic.acknowledged.lock().await);
    assert_eq!(acknowledged.len(), EVENTS);
    complete(&home, &acknowledged).await;

    let server = traffic.server.write().await.take().unwrap();
    let last = &acknowledged[&(EVENTS - 1)];
    let shown = server.get(&format!("invocations/{last}")).await;
    assert_eq!(shown["steps"][1]["return_value"], EVENTS);
    server.stop();
    assert!(home.run_server_command(&["doctor", "--json"]).code == Some(0));
}

/// Waits until nothing is left to do, then looks at each invocation's journal.
async fn complete(home: &Home, acknowledged: &BTreeMap<usize, String>) {
    let (store, tenant) = (&home.database.store, home.tenant());
    let mut conn = store.read().await.unwrap();
    let any: InvocationId = acknowledged[&0].parse().unwrap();
    let workflow = db!(conn, invocation::get(tenant, any)).unwrap().unwrap().workflow_id;
    drop(conn);
    eventually("every invocation to end", async || {
        let mut conn = store.read().await.unwrap();
        (db!(conn, dialect::open_count(tenant, workflow)).unwrap() == 0).then_some(())
    })
    .await;
    let mut conn = store.read().await.unwrap();
    for (n, id) in acknowledged {
        let id: InvocationId = id.parse().unwrap();
        let row = db!(conn, invocation::get(tenant, id)).unwrap();
        let row = row.unwrap_or_else(|| panic!("event {n} was acknowledged and is lost"));
        assert_eq!(row.state, InvocationState::Succeeded, "event {n}: {:?}", row.error_code);
        let steps = db!(conn, invocation::steps(tenant.workspace, id)).unwrap();
        let journal: Vec<(i64, &str, StepState)> =
            steps.iter().map(|step| (step.position, step.name.as_str(), step.state)).collect();
        let wanted = [(0, "first", StepState::Succeeded), (1, "second", StepState::Succeeded)];
        assert_eq!(journal, wanted, "event {n}");
    }
}
