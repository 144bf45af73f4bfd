//! `causeway connect`, `causeway connections`, `causeway oauth-clients`.

use super::input;
use crate::cli::{ConnectArgs, ConnectionsCommand, OauthClientsCommand};
use crate::client::{Client, list, text};
use crate::output::Output;
use serde_json::{Value, json};

pub(crate) async fn connect(args: ConnectArgs, output: Output) -> anyhow::Result<()> {
    let body = json!({
        "app": args.app,
        "customer": args.customer,
        "name": args.name,
        "reconnect_id": args.reconnect,
        "return_url": args.return_url,
    });
    let session = Client::new(&args.client).await?.post("connect-sessions", Some(&body)).await?;
    output.result(&session, |session| {
        format!(
            "Give the customer this link. It works once, until {}:\n{}",
            text(session, "expires_at"),
            text(session, "connect_url")
        )
    });
    Ok(())
}

pub(crate) async fn run(command: ConnectionsCommand, output: Output) -> anyhow::Result<()> {
    match command {
        ConnectionsCommand::List { client } => {
            let page = Client::new(&client)
                .await?
                .get("connections", &[("limit", Some("100".into()))])
                .await?;
            output.result(&page, |page| list(page).map(line).collect::<Vec<_>>().join("\n"));
        }
        ConnectionsCommand::Show { client, id } => {
            let connection =
                Client::new(&client).await?.get(&format!("connections/{id}"), &[]).await?;
            output.result(&connection, line);
        }
        ConnectionsCommand::Add { client, app, customer, name, scheme, fields } => {
            let fields: Value = serde_json::from_str(&input::read_secret(&fields, "the fields")?)?;
            let body = json!({
                "app": app, "customer": customer, "name": name, "scheme": scheme, "fields": fields,
            });
            let connection = Client::new(&client).await?.post("connections", Some(&body)).await?;
            output.result(&connection, line);
        }
        ConnectionsCommand::Delete { client, id } => {
            Client::new(&client).await?.delete(&format!("connections/{id}")).await?;
            output.result(&json!({ "deleted": id }), |_| format!("Deleted {id}."));
        }
    }
    Ok(())
}

fn line(connection: &Value) -> String {
    let reason = text(connection, "state_reason");
    let reason = if reason.is_empty() { String::new() } else { format!("  ({reason})") };
    format!(
        "{}  {:<12}{:<20}{}{reason}",
        text(connection, "id"),
        text(connection, "app"),
        text(connection, "name"),
        text(connection, "state")
    )
}

pub(crate) async fn oauth_clients(
    command: OauthClientsCommand,
    output: Output,
) -> anyhow::Result<()> {
    let line = |one: &Value| {
        format!("{}  {:<12}{}", text(one, "id"), text(one, "app"), text(one, "client_id"))
    };
    match command {
        OauthClientsCommand::List { client } => {
            let page = Client::new(&client).await?.get("oauth-clients", &[]).await?;
            output.result(&page, |page| list(page).map(line).collect::<Vec<_>>().join("\n"));
        }
        OauthClientsCommand::Set { client, app, client_id, client_secret } => {
            let secret = match client_secret {
                Some(given) => Some(input::read_secret(&given, "the client secret")?),
                None => None,
            };
            let body = json!({ "app": app, "client_id": client_id, "client_secret": secret });
            let set = Client::new(&client).await?.put("oauth-clients", &body).await?;
            output.result(&set, line);
        }
        OauthClientsCommand::Delete { client, id } => {
            Client::new(&client).await?.delete(&format!("oauth-clients/{id}")).await?;
            output.result(&json!({ "deleted": id }), |_| format!("Deleted {id}."));
        }
    }
    Ok(())
}
