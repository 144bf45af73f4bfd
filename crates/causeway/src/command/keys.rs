//! `causeway keys`.

use crate::cli::{ClientArgs, KeysCommand, ServerArgs};
use crate::client::{Client, text};
use crate::config::Config;
use crate::output::{Output, note};
use crate::wiring;
use anyhow::{Context, bail};
use causeway_types::Actor;
use causeway_vault::RootKeySpec;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use std::time::Duration;

pub(crate) async fn run(command: KeysCommand, output: Output) -> anyhow::Result<()> {
    match command {
        KeysCommand::Show { client } => {
            let keys = Client::new(&client).await?.get("keys", &[]).await?;
            output.result(&keys, render);
            Ok(())
        }
        KeysCommand::Rotate { client, no_wait } => rotate(&client, no_wait, output).await,
        KeysCommand::RotateSigning { server } => rotate_signing(*server, output).await,
        KeysCommand::Rewrap { server, to } => {
            let config = Config::read(*server)?;
            let to: RootKeySpec =
                to.parse().with_context(|| format!("reading the root key `{to}`"))?;
            let _alone = wiring::lock_data_dir(&config)?;
            let store = wiring::open_store(&config).await?;
            let old = wiring::root_key(&config, &store).await?;
            let new = wiring::new_root_key(&to, &config.data_dir).await?;
            let count = wiring::rewrap(&store, &old, &new).await?;
            let name = new.name().to_owned();
            output.result(&json!({ "rewrapped": count, "root_key": name }), |_| {
                format!(
                    "Wrapped {count} data keys under {name}. Start the server with it from now on."
                )
            });
            Ok(())
        }
    }
}

async fn rotate_signing(server: ServerArgs, output: Output) -> anyhow::Result<()> {
    let (store, keys) = super::audit::open(server).await?;
    let rotated = keys.rotate(wiring::clock().now(), &*wiring::random(), Actor::Machine).await?;
    store.close().await;
    let rotated: Vec<Value> = rotated
        .iter()
        .map(|one| {
            json!({
                "purpose": one.purpose.to_string(),
                "retired": one.retired,
                "active": one.active,
            })
        })
        .collect();
    output.result(&json!({ "signing_keys": rotated }), |shown| {
        let lines = shown.get("signing_keys").and_then(Value::as_array).into_iter().flatten();
        let line = |one: &Value| {
            format!(
                "{:<13} {} signs from now on in the place of {}",
                text(one, "purpose"),
                text(one, "active"),
                text(one, "retired")
            )
        };
        lines.map(line).collect::<Vec<_>>().join("\n")
    });
    Ok(())
}

async fn rotate(client: &ClientArgs, no_wait: bool, output: Output) -> anyhow::Result<()> {
    let client = Client::new(client).await?;
    let mut keys = client.post("keys/rotate", None).await?;
    if no_wait {
        output.result(&keys, render);
        return Ok(());
    }
    let bar = ProgressBar::new(0).with_style(
        ProgressStyle::with_template("{bar:40} {pos}/{len} records, {per_sec}")
            .context("drawing a progress bar")?,
    );
    loop {
        let rotation = keys.get("rotation").cloned().unwrap_or_default();
        let figure = |field: &str| rotation.get(field).and_then(Value::as_u64).unwrap_or(0);
        bar.set_length(figure("total"));
        bar.set_position(figure("done").min(figure("total")));
        match text(&rotation, "state") {
            "running" => {}
            "settling" | "done" => break,
            _ => bail!("the server does not tell how far the rotation is"),
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
        keys = client.get("keys", &[]).await?;
    }
    bar.finish();
    if !output.is_json() {
        note("");
    }
    output.result(&keys, render);
    Ok(())
}

fn render(keys: &Value) -> String {
    let mut lines: Vec<String> = keys
        .get("data_keys")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(|key| {
            format!(
                "{}  {:<8}{}  under {}",
                text(key, "id"),
                text(key, "state"),
                text(key, "created_at"),
                text(key, "root_key")
            )
        })
        .collect();
    if let Some(rotation) = keys.get("rotation").filter(|rotation| !rotation.is_null()) {
        let figure = |field: &str| rotation.get(field).and_then(Value::as_u64).unwrap_or(0);
        lines.push(format!(
            "rotation {}: {}, {} of {} records, {} a second",
            text(rotation, "id"),
            text(rotation, "state"),
            figure("done"),
            figure("total"),
            figure("records_per_second")
        ));
    }
    lines.join("\n")
}
