//! `causeway api-keys`.

use super::input;
use crate::cli::{ApiKeysCommand, ScopeArgs};
use crate::client::{Client, list, text};
use crate::output::Output;
use crate::wiring;
use serde_json::{Value, json};

/// Seconds of a day.
const DAY: u64 = 24 * 60 * 60;

pub(crate) async fn run(command: ApiKeysCommand, output: Output) -> anyhow::Result<()> {
    match command {
        ApiKeysCommand::Create { client, name, scopes, expires_days } => {
            let body = json!({
                "name": name, "scopes": read(&scopes)?, "expires_in": seconds(expires_days),
            });
            let made = Client::new(&client).await?.post("api-keys", Some(&body)).await?;
            output.result(&made, |made| format!("{}\n{}", line(made), shown_once(made, "api_key")));
        }
        ApiKeysCommand::List { client } => {
            let keys = everything(&Client::new(&client).await?, "api-keys").await?;
            output.result(&keys, |keys| list(keys).map(line).collect::<Vec<_>>().join("\n"));
        }
        ApiKeysCommand::Rotate { client, id, overlap_hours, expires_days } => {
            let body =
                json!({ "overlap_hours": overlap_hours, "expires_in": seconds(expires_days) });
            let path = format!("api-keys/{id}/rotate");
            let made = Client::new(&client).await?.post(&path, Some(&body)).await?;
            output.result(&made, |made| {
                format!(
                    "{}\n{}\nThe old key {id} works until {}.",
                    line(made),
                    shown_once(made, "api_key"),
                    text(made, "old_key_works_until")
                )
            });
        }
        ApiKeysCommand::Revoke { client, id } => {
            Client::new(&client).await?.delete(&format!("api-keys/{id}")).await?;
            output.result(&json!({ "revoked": id }), |_| format!("Revoked {id}."));
        }
    }
    Ok(())
}

/// The scopes as the API takes them.
pub(super) fn read(given: &ScopeArgs) -> anyhow::Result<Value> {
    if let Some(scopes) = &given.scopes {
        return input::read_json(scopes, "the scopes");
    }
    let some = |names: &[String]| (!names.is_empty()).then(|| names.to_vec());
    Ok(json!({ "actions": some(&given.actions), "apps": some(&given.apps) }))
}

fn seconds(days: Option<u64>) -> Option<u64> {
    days.map(|days| days.saturating_mul(DAY))
}

/// All pages of a listing as one.
pub(super) async fn everything(client: &Client, path: &str) -> anyhow::Result<Value> {
    let mut found = Vec::new();
    let mut cursor = None;
    loop {
        let query = [("limit", Some("100".to_owned())), ("cursor", cursor)];
        let page = client.get(path, &query).await?;
        found.extend(list(&page).cloned());
        cursor = page.get("next_cursor").and_then(Value::as_str).map(str::to_owned);
        if cursor.is_none() {
            return Ok(json!({ "data": found }));
        }
    }
}

/// The line with a secret that nobody sees again.
pub(super) fn shown_once(made: &Value, field: &str) -> String {
    format!("{}\nKeep it now: it is shown this once.", text(made, field))
}

/// The actions of a key or a client.
pub(super) fn actions(record: &Value) -> String {
    let actions = record.pointer("/scopes/actions").and_then(Value::as_array);
    let names: Vec<&str> = actions.into_iter().flatten().filter_map(Value::as_str).collect();
    names.join(" ")
}

/// Whether a key or a client works, and when it was used.
pub(super) fn state(record: &Value) -> String {
    // Times are written so that they sort as texts.
    let now = wiring::clock().now().to_string();
    let ends = match (text(record, "revoked_at"), text(record, "expires_at")) {
        ("", "") => "active".to_owned(),
        ("", expires) if expires <= now.as_str() => format!("expired {expires}"),
        ("", expires) => format!("until {expires}"),
        (revoked, _) => format!("revoked {revoked}"),
    };
    match text(record, "last_used_at") {
        "" => format!("{ends}, never used"),
        used => format!("{ends}, used {used}"),
    }
}

fn line(key: &Value) -> String {
    format!(
        "{}  {}…  {:<20}{}\n    {}",
        text(key, "id"),
        text(key, "hint"),
        text(key, "name"),
        state(key),
        actions(key)
    )
}
