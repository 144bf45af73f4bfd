//! Stopping the server: at once where nothing holds it up, and in bounded time where a step does.

use crate::kit::{Counterpart, Home};
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use serde_json::json;

on_both!(a_stop_does_not_wait_for_sandboxes_that_start, a_step_that_outlasts_the_stop_is_run_again,);

async fn a_stop_does_not_wait_for_sandboxes_that_start(database: TestDatabase) {
    let home = Home::new(database);
    let server = home.serve();
    let files = [("a.mjs", "export default () => 1;")];
    let trigger = home.deploy(&server, "any", "steps: [{ name: a, run: ./a.mjs }]", &files);
    let ran = server.finish(&trigger, &json!({})).await;
    assert_eq!(ran["state"], "succeeded");
    // Spare sandboxes for the workflow just deployed are on their way.
    server.stop();
    assert_eq!(home.run_server_command(&["doctor", "--json"]).code, Some(0));
}

async fn a_step_that_outlasts_the_stop_is_run_again(database: TestDatabase) {
    let other = Counterpart::start().await;
    let home = Home::with_flags(database, &["--net-allow", &other.range()]);
    let server = home.serve();
    let code =
        format!("export default async () => (await fetch('{}/wait/a')).text();", other.url());
    let manifest =
        "egress: [127.0.0.1]\nlimits: { wall_seconds: 600 }\nsteps: [{ name: a, run: ./a.mjs }]";
    let trigger = home.deploy(&server, "waits", manifest, &[("a.mjs", &code)]);
    let invocation = server.start_invocation(&trigger, &json!({})).await;
    other.called("a", 1).await;
    // It waits some seconds for the step to end, and no longer.
    server.stop();

    let server = home.serve();
    other.called("a", 2).await;
    other.open();
    let ended = server.finished(&invocation).await;
    assert_eq!(ended["state"], "succeeded", "{ended:#}");
    assert_eq!(ended["steps"][0]["return_value"], "opened");
}
