//! `causeway providers` and `causeway sso-policy`: the installation's identity providers and a
//! workspace's sign-in rules, for whoever has the machine. For automation, before anybody has
//! signed in, and for the day on which nobody can any more.

use super::input;
use crate::cli::{ProvidersCommand, SsoPolicyCommand};
use crate::client::text;
use crate::config::Config;
use crate::output::Output;
use crate::wiring;
use anyhow::Context;
use causeway_identity::{
    NewProvider, ProviderView, delete_installation_provider, installation_providers,
    reset_sso_rules, set_installation_provider,
};
use causeway_types::SecretString;
use causeway_types::entity::ProviderKind;
use serde_json::{Value, json};

pub(crate) async fn run(command: ProvidersCommand, output: Output) -> anyhow::Result<()> {
    match command {
        ProvidersCommand::Set { server, kind, name, issuer, client_id, client_secret } => {
            let secret = input::read_secret(&client_secret, "the client secret")?;
            let new = NewProvider {
                name: name.unwrap_or_else(|| usual_name(kind).to_owned()),
                kind,
                issuer,
                client_id,
                client_secret: SecretString::new(secret),
            };
            let config = Config::read(*server)?;
            wiring::make_data_dir(&config)?;
            let store = wiring::open_store(&config).await?;
            let root = wiring::root_key(&config, &store).await?;
            let vault = wiring::unlock(store.clone(), root).await?;
            // Makes the installation's own data key, if this is the first command ever.
            wiring::own_keys(&store, &vault).await?;
            let (clock, random) = (wiring::clock(), wiring::random());
            let set = set_installation_provider(&store, &vault, &*clock, &*random, new)
                .await
                .context("setting the identity provider")?;
            store.close().await;
            output.result(&shown(&set), line);
        }
        ProvidersCommand::List { server } => {
            let store = wiring::open_store(&Config::read(*server)?).await?;
            let found = installation_providers(&store).await.context("listing the providers")?;
            store.close().await;
            let found = json!({ "data": found.iter().map(shown).collect::<Vec<_>>() });
            output.result(&found, |found| {
                crate::client::list(found).map(line).collect::<Vec<_>>().join("\n")
            });
        }
        ProvidersCommand::Delete { server, id } => {
            let store = wiring::open_store(&Config::read(*server)?).await?;
            delete_installation_provider(&store, &*wiring::clock(), id)
                .await
                .context("deleting the provider")?;
            store.close().await;
            output.result(&json!({ "deleted": id }), |_| format!("Deleted {id}."));
        }
    }
    Ok(())
}

pub(crate) async fn sso_policy(command: SsoPolicyCommand, output: Output) -> anyhow::Result<()> {
    let SsoPolicyCommand::Reset { server, workspace } = command;
    let store = wiring::open_store(&Config::read(*server)?).await?;
    reset_sso_rules(&store, &*wiring::clock(), workspace).await.context("taking the rules away")?;
    store.close().await;
    output.result(&json!({ "reset": workspace }), |_| {
        format!(
            "{workspace} has no sign-in rules any more: every provider that it may use is believed."
        )
    });
    Ok(())
}

fn usual_name(kind: ProviderKind) -> &'static str {
    match kind {
        ProviderKind::Google => "Google",
        ProviderKind::Github => "GitHub",
        ProviderKind::Oidc => "Single sign-on",
    }
}

fn shown(provider: &ProviderView) -> Value {
    json!({
        "id": provider.id,
        "kind": provider.kind,
        "name": provider.name,
        "issuer": provider.issuer,
        "client_id": provider.client_id,
        "updated_at": provider.updated_at,
    })
}

fn line(provider: &Value) -> String {
    format!(
        "{}  {:<8}{:<20}{}",
        text(provider, "id"),
        text(provider, "kind"),
        text(provider, "name"),
        text(provider, "issuer")
    )
}
