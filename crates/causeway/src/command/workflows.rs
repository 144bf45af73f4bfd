//! `causeway workflows`.

use super::render;
use crate::cli::WorkflowsCommand;
use crate::client::{Client, list, text};
use crate::output::Output;
use serde_json::Value;

pub(crate) async fn run(command: WorkflowsCommand, output: Output) -> anyhow::Result<()> {
    match command {
        WorkflowsCommand::List { client } => {
            let page = Client::new(&client)
                .await?
                .get("workflows", &[("limit", Some("100".into()))])
                .await?;
            output.result(&page, |page| {
                list(page)
                    .map(|one| format!("{}  {}", text(one, "id"), text(one, "name")))
                    .collect::<Vec<_>>()
                    .join("\n")
            });
        }
        WorkflowsCommand::Show { client, workflow } => {
            let client = Client::new(&client).await?;
            let id = client.workflow_id(&workflow).await?;
            let workflow = client.get(&format!("workflows/{id}"), &[]).await?;
            output.result(&workflow, |one| {
                let mut lines = vec![
                    format!("{}  {}", text(one, "id"), text(one, "name")),
                    format!("version  {}", text(one, "active_version_id")),
                ];
                let triggers = one.get("triggers").and_then(Value::as_array);
                lines.extend(triggers.into_iter().flatten().map(render::trigger));
                lines.join("\n")
            });
        }
        WorkflowsCommand::Packages { client, workflow, package } => {
            let client = Client::new(&client).await?;
            let workflow = match workflow {
                Some(workflow) => Some(client.workflow_id(&workflow).await?),
                None => None,
            };
            // A scope begins with the same sign.
            let (name, version) = match package.as_deref().and_then(|text| text.rsplit_once('@')) {
                Some((name, version)) if !name.is_empty() => {
                    (Some(name.to_owned()), Some(version.to_owned()))
                }
                _ => (package, None),
            };
            let query = [("workflow_id", workflow), ("name", name), ("version", version)];
            let mut found = client.all("packages", &query).await?;
            found.sort_by_key(|one| {
                ["workflow", "ecosystem", "name", "version"]
                    .map(|field| text(one, field).to_owned())
            });
            output.result(&found, |found| {
                let line = |one: &Value| {
                    let of = |field| text(one, field).to_owned();
                    [of("workflow"), of("ecosystem"), of("name"), of("version"), of("integrity")]
                        .join("  ")
                };
                found.iter().map(line).collect::<Vec<_>>().join("\n")
            });
        }
    }
    Ok(())
}
