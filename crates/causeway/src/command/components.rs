//! `causeway components`.

use super::folder;
use crate::cli::{ComponentsCommand, PublishArgs};
use crate::client::{Client, text};
use crate::output::Output;
use anyhow::{Context, ensure};
use data_encoding::BASE64;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

pub(crate) async fn run(command: ComponentsCommand, output: Output) -> anyhow::Result<()> {
    match command {
        ComponentsCommand::Publish(args) => publish(args, output).await?,
        ComponentsCommand::List { client } => {
            let all = Client::new(&client).await?.all("components", &[]).await?;
            output.result(&all, |all| all.iter().map(line).collect::<Vec<_>>().join("\n"));
        }
        ComponentsCommand::Show { client, id } => {
            let one = Client::new(&client).await?.get(&format!("components/{id}"), &[]).await?;
            output.result(&one, detail);
        }
        ComponentsCommand::Delete { client, id } => {
            Client::new(&client).await?.delete(&format!("components/{id}")).await?;
            output.result(&json!({ "deleted": id }), |_| format!("Deleted {id}."));
        }
    }
    Ok(())
}

async fn publish(args: PublishArgs, output: Output) -> anyhow::Result<()> {
    let files = read(&args.path)?;
    let body = json!({ "files": files, "entry": args.entry, "egress": args.egress });
    let client = Client::new(&args.client).await?;
    let published = client.post("components", Some(&body)).await?;
    output.result(&published, |one| {
        let is_new = one.get("created").and_then(Value::as_bool) == Some(true);
        let head = if is_new { "Published." } else { "It is there already, with this content." };
        format!("{head}\n{}", detail(one))
    });
    Ok(())
}

/// The files of a folder, or the one that is named.
fn read(path: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    if path.is_dir() {
        return folder::read(path);
    }
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.with_context(|| format!("{} names no file", path.display()))?;
    ensure!(path.is_file(), "{} is neither a file nor a folder", path.display());
    let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    Ok(BTreeMap::from([(name.to_owned(), BASE64.encode(&bytes))]))
}

fn line(one: &Value) -> String {
    ["id", "key", "version", "type", "name"].map(|field| text(one, field).to_owned()).join("  ")
}

fn detail(one: &Value) -> String {
    let mut lines = vec![line(one)];
    let items = |field: &str| one.get(field).and_then(Value::as_array).into_iter().flatten();
    let hosts: Vec<&str> = items("egress").filter_map(Value::as_str).collect();
    if !hosts.is_empty() {
        lines.push(format!("  may reach {}", hosts.join(", ")));
    }
    for prop in items("props") {
        let app = match text(prop, "app") {
            "" => String::new(),
            app => format!(" {app}"),
        };
        let optional = prop.get("optional").and_then(Value::as_bool) == Some(true);
        lines.push(format!(
            "  {}  {}{app}{}",
            text(prop, "name"),
            text(prop, "type"),
            if optional { "  (optional)" } else { "" }
        ));
    }
    lines.join("\n")
}
