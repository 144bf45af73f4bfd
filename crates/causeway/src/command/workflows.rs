//! `causeway workflows`.

use crate::cli::WorkflowsCommand;
use crate::client::{Client, list, text};
use crate::output::Output;

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
                format!(
                    "{}  {}\nversion  {}\ntrigger  {}",
                    text(one, "id"),
                    text(one, "name"),
                    text(one, "active_version_id"),
                    text(one, "trigger_url")
                )
            });
        }
    }
    Ok(())
}
