//! `causeway projects`.

use crate::cli::ProjectsCommand;
use crate::client::{Client, list, text};
use crate::output::Output;
use serde_json::{Value, json};

pub(crate) async fn run(command: ProjectsCommand, output: Output) -> anyhow::Result<()> {
    match command {
        ProjectsCommand::List { client } => {
            let page = Client::new(&client).await?.get("projects", &[]).await?;
            output.result(&page, |page| list(page).map(lines).collect::<Vec<_>>().join("\n"));
        }
        ProjectsCommand::Create { client, name } => {
            let body = json!({ "name": name });
            let made = Client::new(&client).await?.post("projects", Some(&body)).await?;
            output.result(&made, lines);
        }
    }
    Ok(())
}

/// A line for a project, and one for each of its environments.
fn lines(project: &Value) -> String {
    let mut lines = vec![format!("{}  {}", text(project, "id"), text(project, "name"))];
    for environment in project.get("environments").and_then(Value::as_array).into_iter().flatten() {
        lines.push(format!("    {}  {}", text(environment, "id"), text(environment, "kind")));
    }
    lines.join("\n")
}
