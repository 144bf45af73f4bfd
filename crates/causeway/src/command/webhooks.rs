//! `causeway webhooks`.

use super::api_keys::{everything, shown_once};
use crate::cli::{ClientArgs, EndpointArgs, PageArgs, SpanArgs, WebhooksCommand};
use crate::client::{Client, list, text};
use crate::output::Output;
use anyhow::ensure;
use serde_json::{Value, json};

/// What the ids of endpoints begin with.
const ENDPOINT: &str = "whe_";

pub(crate) async fn run(command: WebhooksCommand, output: Output) -> anyhow::Result<()> {
    match command {
        WebhooksCommand::List { client } => {
            let all = everything(&Client::new(&client).await?, "webhook-endpoints").await?;
            output.result(&all, |all| lines(all, endpoint));
        }
        WebhooksCommand::Show { client, id } => {
            let path = format!("webhook-endpoints/{id}");
            output.result(&Client::new(&client).await?.get(&path, &[]).await?, endpoint);
        }
        WebhooksCommand::Add { client, url, wants } => {
            let mut body = json!({ "url": url });
            fill(&mut body, &wants);
            let client = Client::new(&client).await?;
            let made = client.post("webhook-endpoints", Some(&body)).await?;
            output.result(&made, with_secret);
        }
        WebhooksCommand::Change { client, id, url, wants, all_events } => {
            let mut body = json!({});
            fill(&mut body, &wants);
            set(&mut body, "url", url);
            set(&mut body, "event_types", all_events.then_some(json!([])));
            let path = format!("webhook-endpoints/{id}");
            output.result(&Client::new(&client).await?.patch(&path, &body).await?, endpoint);
        }
        WebhooksCommand::RotateSecret { client, id } => {
            let path = format!("webhook-endpoints/{id}/rotate");
            let made = Client::new(&client).await?.post(&path, None).await?;
            output.result(&made, |made| {
                let until = text(made, "old_secret_until");
                format!("{}\nThe old one counts until {until}.", with_secret(made))
            });
        }
        WebhooksCommand::Enable { client, id, replay } => {
            let path = format!("webhook-endpoints/{id}/enable");
            let body = json!({ "replay": replay });
            let enabled = Client::new(&client).await?.post(&path, Some(&body)).await?;
            output.result(&enabled, |one| format!("{}\n{}", endpoint(one), replayed(one)));
        }
        WebhooksCommand::Disable { client, id } => {
            let path = format!("webhook-endpoints/{id}/disable");
            output.result(&Client::new(&client).await?.post(&path, None).await?, endpoint);
        }
        WebhooksCommand::Delete { client, id } => {
            Client::new(&client).await?.delete(&format!("webhook-endpoints/{id}")).await?;
            output.result(&json!({ "deleted": id }), |_| format!("Deleted {id}."));
        }
        WebhooksCommand::Messages { client, page } => {
            let found = Client::new(&client).await?.get("webhook-messages", &query(page)).await?;
            output.result(&found, |found| lines(found, message));
        }
        WebhooksCommand::Message { client, id } => {
            let path = format!("webhook-messages/{id}");
            output.result(&Client::new(&client).await?.get(&path, &[]).await?, |one| {
                let body = one.get("body").unwrap_or(&Value::Null);
                format!("{}\n{body:#}", message(one))
            });
        }
        WebhooksCommand::Deliveries { client, endpoint, message, state, page } => {
            let mut query = query(page);
            query.extend([("endpoint_id", endpoint), ("message_id", message), ("state", state)]);
            let found = Client::new(&client).await?.get("webhook-deliveries", &query).await?;
            output.result(&found, |found| lines(found, delivery));
        }
        WebhooksCommand::Attempts { client, id } => {
            let path = format!("webhook-deliveries/{id}/attempts");
            let found = everything(&Client::new(&client).await?, &path).await?;
            output.result(&found, |found| lines(found, attempt));
        }
        WebhooksCommand::Replay { client, id, span } => replay(&client, &id, span, output).await?,
    }
    Ok(())
}

async fn replay(
    client: &ClientArgs,
    id: &str,
    span: SpanArgs,
    output: Output,
) -> anyhow::Result<()> {
    let client = Client::new(client).await?;
    let SpanArgs { since, until, delivered } = span;
    if id.starts_with(ENDPOINT) {
        let mut body = json!({ "delivered": delivered });
        set(&mut body, "since", since);
        set(&mut body, "until", until);
        let done = client.post(&format!("webhook-endpoints/{id}/replay"), Some(&body)).await?;
        output.result(&done, replayed);
        return Ok(());
    }
    ensure!(
        since.is_none() && until.is_none() && !delivered,
        "--since, --until and --delivered go with an endpoint (whe_…)"
    );
    client.post(&format!("webhook-deliveries/{id}/replay"), None).await?;
    output.result(&json!({ "replayed": id }), |_| format!("{id} is on its way."));
    Ok(())
}

/// Puts what an endpoint wants into a body, as far as it was given.
fn fill(body: &mut Value, wants: &EndpointArgs) {
    set(body, "description", wants.description.as_deref());
    let types = &wants.event_types;
    set(body, "event_types", (!types.is_empty()).then_some(types));
    set(body, "ordered", wants.ordered);
    set(body, "signature", wants.signature);
}

fn set(body: &mut Value, name: &str, value: Option<impl serde::Serialize>) {
    if let (Some(body), Some(value)) = (body.as_object_mut(), value) {
        body.insert(name.to_owned(), json!(value));
    }
}

fn query(page: PageArgs) -> Vec<(&'static str, Option<String>)> {
    vec![("limit", Some(page.limit.to_string())), ("cursor", page.cursor)]
}

/// A line for each record of a page.
fn lines(page: &Value, line: impl Fn(&Value) -> String) -> String {
    list(page).map(line).collect::<Vec<_>>().join("\n")
}

fn endpoint(one: &Value) -> String {
    let types: Vec<&str> = one
        .get("event_types")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let types = if types.is_empty() { "all events".to_owned() } else { types.join(" ") };
    let why = match (text(one, "disabled_reason"), text(one, "failing_since")) {
        ("", "") => String::new(),
        ("", since) => format!(" (failing since {since})"),
        (reason, _) => format!(" ({reason})"),
    };
    format!(
        "{}  {}{why}  {}\n    {types}  {}",
        text(one, "id"),
        text(one, "state"),
        text(one, "url"),
        text(one, "description")
    )
}

fn with_secret(made: &Value) -> String {
    format!("{}\n{}", endpoint(made), shown_once(made, "secret"))
}

fn replayed(done: &Value) -> String {
    let count = done.get("replayed").and_then(Value::as_u64).unwrap_or_default();
    let more = done.get("more").and_then(Value::as_bool).unwrap_or_default();
    let rest = if more { "; there may be more: run `causeway webhooks replay` again" } else { "" };
    format!("Deliveries on their way again: {count}{rest}.")
}

fn message(one: &Value) -> String {
    format!("{}  {}  {}", text(one, "id"), text(one, "created_at"), text(one, "type"))
}

fn delivery(one: &Value) -> String {
    let when = match (text(one, "next_attempt_at"), text(one, "ended_at")) {
        ("", "") => "under way".to_owned(),
        ("", ended) => ended.to_owned(),
        (next, _) => format!("next attempt {next}"),
    };
    let why = match text(one, "dead_reason") {
        "" => String::new(),
        reason => format!(" ({reason})"),
    };
    format!(
        "{}  {}  {}  {}{why}  attempts: {}  {when}",
        text(one, "id"),
        text(one, "message_id"),
        text(one, "endpoint_id"),
        text(one, "state"),
        one.get("attempts").unwrap_or(&Value::Null)
    )
}

fn attempt(one: &Value) -> String {
    let result = match one.get("status").and_then(Value::as_i64) {
        Some(status) => format!("status {status}"),
        None => text(one, "error_code").to_owned(),
    };
    let number = one.get("number").unwrap_or(&Value::Null);
    let took = one.get("duration_ms").unwrap_or(&Value::Null);
    let answer = text(one, "answer");
    let answer = if answer.is_empty() { String::new() } else { format!("\n    {answer:?}") };
    format!("{number}  {}  {result}  {took} ms{answer}", text(one, "started_at"))
}
