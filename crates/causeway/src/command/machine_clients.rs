//! `causeway clients`.

use super::api_keys::{actions, everything, read, shown_once, state};
use super::input;
use crate::cli::ClientsCommand;
use crate::client::{Client, list, text};
use crate::output::Output;
use serde_json::{Value, json};

pub(crate) async fn run(command: ClientsCommand, output: Output) -> anyhow::Result<()> {
    match command {
        ClientsCommand::Create { client, name, scopes, public_keys, secret } => {
            let keys = public_keys.as_deref().map(|keys| input::read_json(keys, "the public keys"));
            let keys = keys.transpose()?;
            let body = json!({
                "name": name,
                "scopes": read(&scopes)?,
                "secret": secret || keys.is_none(),
                "public_keys": keys,
            });
            let made = Client::new(&client).await?.post("machine-clients", Some(&body)).await?;
            output.result(&made, |made| match text(made, "client_secret") {
                "" => line(made),
                _ => format!("{}\n{}", line(made), shown_once(made, "client_secret")),
            });
        }
        ClientsCommand::List { client } => {
            let clients = everything(&Client::new(&client).await?, "machine-clients").await?;
            output.result(&clients, |all| list(all).map(line).collect::<Vec<_>>().join("\n"));
        }
        ClientsCommand::Rotate { client, id, overlap_hours } => {
            let path = format!("machine-clients/{id}/rotate");
            let body = json!({ "overlap_hours": overlap_hours });
            let made = Client::new(&client).await?.post(&path, Some(&body)).await?;
            output.result(&made, |made| {
                format!("{}\n{}", line(made), shown_once(made, "client_secret"))
            });
        }
        ClientsCommand::SetKeys { client, id, public_keys, none: _ } => {
            let keys = public_keys.as_deref().map(|keys| input::read_json(keys, "the public keys"));
            let body = json!({ "public_keys": keys.transpose()? });
            let path = format!("machine-clients/{id}/public-keys");
            let changed = Client::new(&client).await?.put(&path, &body).await?;
            output.result(&changed, line);
        }
        ClientsCommand::Revoke { client, id } => {
            Client::new(&client).await?.delete(&format!("machine-clients/{id}")).await?;
            output.result(&json!({ "revoked": id }), |_| format!("Revoked {id}."));
        }
    }
    Ok(())
}

fn line(client: &Value) -> String {
    let proof = match (client.get("has_secret"), client.get("public_keys")) {
        (Some(Value::Bool(true)), Some(Value::Object(_))) => "secret and keys",
        (_, Some(Value::Object(_))) => "keys",
        _ => "secret",
    };
    format!(
        "{}  {:<20}{proof}, {}\n    {}",
        text(client, "id"),
        text(client, "name"),
        state(client),
        actions(client)
    )
}
