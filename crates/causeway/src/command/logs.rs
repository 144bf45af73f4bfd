//! `causeway logs`.

use super::render;
use crate::cli::LogsArgs;
use crate::client::{Client, list, text};
use crate::output::{Output, is_read};
use serde_json::{Value, json};

pub(crate) async fn run(args: LogsArgs, output: Output) -> anyhow::Result<()> {
    let client = Client::new(&args.client).await?;
    let workflow = match &args.workflow {
        Some(workflow) => Some(client.workflow_id(workflow).await?),
        None => None,
    };
    let limit = args.newest.clamp(1, 100).to_string();
    let query = [("workflow_id", workflow.clone()), ("limit", Some(limit))];
    let page = client.get("invocations", &query).await?;
    let mut newest: Vec<&Value> = list(&page).collect();
    newest.reverse();
    let last = newest.last().map(|one| text(one, "id").to_owned());
    for one in newest {
        let shown = client.get(&format!("invocations/{}", text(one, "id")), &[]).await?;
        print(output, &json!({ "type": "invocation", "invocation": shown }));
        for step in shown.get("steps").and_then(Value::as_array).into_iter().flatten() {
            print(
                output,
                &json!({ "type": "step", "invocation_id": text(&shown, "id"), "step": step }),
            );
        }
    }
    if args.follow && is_read() {
        let query = [("workflow_id", workflow), ("after", last)];
        client
            .follow(&query, |news| {
                print(output, news);
                is_read()
            })
            .await?;
    }
    Ok(())
}

fn print(output: Output, news: &Value) {
    output.result(news, render::news);
}
