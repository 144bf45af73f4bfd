//! `causeway apps`.

use crate::cli::AppsCommand;
use crate::client::{Client, list, text};
use crate::output::Output;

pub(crate) async fn run(command: AppsCommand, output: Output) -> anyhow::Result<()> {
    match command {
        AppsCommand::List { client } => {
            let page = Client::new(&client).await?.get("apps", &[]).await?;
            output.result(&page, |page| {
                list(page)
                    .map(|app| format!("{:<16}{}", text(app, "slug"), text(app, "description")))
                    .collect::<Vec<_>>()
                    .join("\n")
            });
        }
        AppsCommand::Show { client, slug } => {
            let app = Client::new(&client).await?.get(&format!("apps/{slug}"), &[]).await?;
            output.result(&app, |app| serde_json::to_string_pretty(app).unwrap_or_default());
        }
    }
    Ok(())
}
