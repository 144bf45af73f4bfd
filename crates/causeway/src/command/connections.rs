//! `causeway connect`, `causeway connect-settings`, `causeway connections`,
//! `causeway oauth-clients`.

mod revoke;
mod which;

use super::input;
use crate::cli::{
    ConnectArgs, ConnectSettingsCommand, ConnectionsCommand, OauthClientArgs, OauthClientsCommand,
    SettingsArgs,
};
use crate::client::{Client, list, text};
use crate::output::Output;
use anyhow::bail;
use serde_json::{Value, json};
use which::Which;

pub(crate) async fn connect(args: ConnectArgs, output: Output) -> anyhow::Result<()> {
    let body = json!({
        "app": args.app,
        "customer": args.customer,
        "name": args.name,
        "reconnect_id": args.reconnect,
        "oauth_client": args.oauth_client,
        "scope_profile": args.scope_profile,
        "scopes": args.scopes,
        "allowed_origins": args.allowed_origins,
        "return_url": args.return_url,
        "error_url": args.error_url,
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

pub(crate) async fn settings(
    command: ConnectSettingsCommand,
    output: Output,
) -> anyhow::Result<()> {
    let shown = |settings: &Value| serde_json::to_string_pretty(settings).unwrap_or_default();
    match command {
        ConnectSettingsCommand::Show { client } => {
            let settings = Client::new(&client).await?.get("connect-settings", &[]).await?;
            output.result(&settings, shown);
        }
        ConnectSettingsCommand::Set(args) => {
            let client = Client::new(&args.client).await?;
            let mut settings = client.get("connect-settings", &[]).await?;
            let changes = changes(*args)?;
            if let Some(settings) = settings.as_object_mut() {
                settings.extend(changes.into_iter().map(|(name, value)| (name.to_owned(), value)));
            }
            let set = client.put("connect-settings", &settings).await?;
            output.result(&set, shown);
        }
    }
    Ok(())
}

/// What of the settings was named on the command line.
fn changes(args: SettingsArgs) -> anyhow::Result<Vec<(&'static str, Value)>> {
    let theme = args.theme.map(|given| input::read_json(&given, "the theme")).transpose()?;
    // One empty origin stands for none.
    let given = !args.return_origins.is_empty();
    let origins: Vec<String> =
        args.return_origins.into_iter().filter(|origin| !origin.is_empty()).collect();
    let changes = [
        ("company", args.company.map(Value::from)),
        ("support_email", args.support_email.map(Value::from)),
        ("theme", theme),
        ("return_origins", given.then(|| origins.into())),
        ("credential_export", args.credential_export.map(Value::from)),
    ];
    Ok(changes.into_iter().filter_map(|(name, value)| Some((name, value?))).collect())
}

pub(crate) async fn run(command: ConnectionsCommand, output: Output) -> anyhow::Result<()> {
    match command {
        ConnectionsCommand::List { client, which } => {
            let client = Client::new(&client).await?;
            let page = Which::of(which, &client).await?.newest(&client).await?;
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
        ConnectionsCommand::Test { client, connection } => {
            let client = Client::new(&client).await?;
            let id = which::id_of(&client, &connection).await?;
            let tested = client.post(&format!("connections/{id}/test"), None).await?;
            output.result(&tested, |tested| tested.get("connection").map(line).unwrap_or_default());
            if tested.get("works") != Some(&Value::Bool(true)) {
                bail!("{}", text(&tested, "problem"));
            }
        }
        ConnectionsCommand::Revoke(args) => revoke::run(*args, output).await?,
        ConnectionsCommand::Export { client, connection } => {
            let client = Client::new(&client).await?;
            let id = which::id_of(&client, &connection).await?;
            let path = format!("connections/{id}/credential-export");
            let exported = client.post(&path, None).await?;
            output.result(&exported, |exported| {
                let values = exported.get("values").cloned().unwrap_or_default();
                serde_json::to_string_pretty(&values).unwrap_or_default()
            });
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
        let name = text(one, "name");
        let name = if name.is_empty() { String::new() } else { format!("  ({name})") };
        format!("{}  {:<12}{}{name}", text(one, "id"), text(one, "app"), text(one, "client_id"))
    };
    match command {
        OauthClientsCommand::List { client } => {
            let page = Client::new(&client).await?.get("oauth-clients", &[]).await?;
            output.result(&page, |page| list(page).map(line).collect::<Vec<_>>().join("\n"));
        }
        OauthClientsCommand::Set(args) => {
            let client = Client::new(&args.client).await?;
            let set = client.put("oauth-clients", &oauth_client(&args)?).await?;
            output.result(&set, line);
        }
        OauthClientsCommand::Delete { client, id } => {
            Client::new(&client).await?.delete(&format!("oauth-clients/{id}")).await?;
            output.result(&json!({ "deleted": id }), |_| format!("Deleted {id}."));
        }
    }
    Ok(())
}

fn oauth_client(args: &OauthClientArgs) -> anyhow::Result<Value> {
    let secret = |given: &Option<String>, what| {
        given.as_ref().map(|given| input::read_secret(given, what)).transpose()
    };
    let fields = secret(&args.fields, "the fields")?;
    let fields = fields.map_or_else(|| Ok(json!({})), |fields| serde_json::from_str(&fields))?;
    Ok(json!({
        "app": args.app,
        "name": args.name,
        "description": args.description,
        "client_id": args.client_id,
        "client_secret": secret(&args.client_secret, "the client secret")?,
        "fields": fields,
        "scopes": args.scopes,
    }))
}
