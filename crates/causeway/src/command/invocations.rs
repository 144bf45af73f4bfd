//! `causeway run`, `causeway invocations`, `causeway replay`.

use super::{input, render};
use crate::cli::{ExplainArgs, InvocationsCommand, ReplayArgs, RunArgs};
use crate::client::{Client, list, text};
use crate::output::Output;
use anyhow::bail;
use serde_json::{Value, json};

pub(crate) async fn run(args: RunArgs, output: Output) -> anyhow::Result<()> {
    let client = Client::new(&args.client).await?;
    let id = client.workflow_id(&args.workflow).await?;
    let event = input::read_json(&args.event, "the event")?;
    let body = json!({ "event": event });
    let started = client.post(&format!("workflows/{id}/events"), Some(&body)).await?;
    finish(&client, output, &started, args.no_wait).await
}

pub(crate) async fn replay(args: ReplayArgs, output: Output) -> anyhow::Result<()> {
    let client = Client::new(&args.client).await?;
    let started = client.post(&format!("invocations/{}/replay", args.id), None).await?;
    finish(&client, output, &started, args.no_wait).await
}

/// Follows a new invocation to its end, unless told not to wait. Fails if the invocation does.
async fn finish(
    client: &Client,
    output: Output,
    started: &Value,
    no_wait: bool,
) -> anyhow::Result<()> {
    let id = text(started, "invocation_id");
    if no_wait {
        output.result(started, |_| id.to_owned());
        return Ok(());
    }
    follow(client, output, id).await
}

/// Prints an invocation's steps until it ends. Fails if the invocation does.
async fn follow(client: &Client, output: Output, id: &str) -> anyhow::Result<()> {
    let mut last = Value::Null;
    client
        .follow(&[("invocation_id", Some(id.to_owned()))], |news| {
            output.line(render::news(news));
            if text(news, "type") == "invocation" {
                last = news.get("invocation").cloned().unwrap_or_default();
            }
            true
        })
        .await?;
    if output.is_json() {
        let shown = client.get(&format!("invocations/{id}"), &[]).await?;
        output.result(&shown, |_| String::new());
    }
    match text(&last, "state") {
        "succeeded" => Ok(()),
        state => bail!("the invocation {id} ended as {state}"),
    }
}

pub(crate) async fn explain(args: ExplainArgs, output: Output) -> anyhow::Result<()> {
    let client = Client::new(&args.client).await?;
    let shown = client.get(&format!("invocations/{}", args.id), &[]).await?;
    let keys = ["id", "state", "explanation"];
    let said: serde_json::Map<_, _> = keys
        .map(|key| (key.to_owned(), shown.get(key).cloned().unwrap_or_default()))
        .into_iter()
        .collect();
    output.result(&Value::Object(said), |said| {
        format!("{} is {}. {}", text(said, "id"), text(said, "state"), text(said, "explanation"))
    });
    Ok(())
}

pub(crate) async fn manage(command: InvocationsCommand, output: Output) -> anyhow::Result<()> {
    match command {
        InvocationsCommand::List { client, workflow, state, items_of, limit, cursor } => {
            let client = Client::new(&client).await?;
            let workflow = match workflow {
                Some(workflow) => Some(client.workflow_id(&workflow).await?),
                None => None,
            };
            let query = [
                ("workflow_id", workflow),
                ("state", state),
                ("parent_id", items_of),
                ("limit", Some(limit.to_string())),
                ("cursor", cursor),
            ];
            let page = client.get("invocations", &query).await?;
            output.result(&page, |page| {
                let mut lines: Vec<String> = list(page).map(render::invocation).collect();
                if let Some(cursor) = page.get("next_cursor").and_then(Value::as_str) {
                    lines.push(format!("more with --cursor {cursor}"));
                }
                lines.join("\n")
            });
        }
        InvocationsCommand::Show { client, id, event } => {
            let client = Client::new(&client).await?;
            let mut shown = client.get(&format!("invocations/{id}"), &[]).await?;
            if event {
                let event = client.get(&format!("invocations/{id}/event"), &[]).await?;
                if let Some(shown) = shown.as_object_mut() {
                    shown.insert("event".to_owned(), event);
                }
            }
            output.result(&shown, |shown| {
                let mut lines = vec![
                    render::invocation(shown),
                    format!(
                        "  workflow {}  version {}",
                        text(shown, "workflow_id"),
                        text(shown, "version_id")
                    ),
                    format!("  tier {}", shown.get("tier").and_then(Value::as_str).unwrap_or("-")),
                ];
                if let Some(event) = shown.get("event") {
                    lines.push(format!("  event {event}"));
                }
                let steps = shown.get("steps").and_then(Value::as_array).into_iter().flatten();
                lines.extend(steps.map(render::step));
                lines.join("\n")
            });
        }
        InvocationsCommand::Follow { client, id } => {
            follow(&Client::new(&client).await?, output, &id).await?;
        }
        InvocationsCommand::Cancel { client, id } => {
            Client::new(&client).await?.post(&format!("invocations/{id}/cancel"), None).await?;
            output.result(&json!({ "canceled": id }), |_| format!("Canceled {id}."));
        }
        InvocationsCommand::Resume { client, id, data } => {
            let body = json!({ "data": input::read_json(&data, "the data")? });
            let path = format!("invocations/{id}/resume");
            Client::new(&client).await?.post(&path, Some(&body)).await?;
            output.result(&json!({ "resumed": id }), |_| format!("Resumed {id}."));
        }
        InvocationsCommand::Delete { client, id } => {
            Client::new(&client).await?.delete(&format!("invocations/{id}")).await?;
            output.result(&json!({ "deleted": id }), |_| format!("Deleted {id}."));
        }
    }
    Ok(())
}
