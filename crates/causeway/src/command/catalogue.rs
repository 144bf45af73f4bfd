//! `causeway apps`.

use crate::cli::AppsCommand;
use crate::client::{Client, list, text};
use crate::output::Output;
use anyhow::bail;
use causeway_catalog::Catalog;
use serde_json::{Value, json};
use std::path::Path;

pub(crate) async fn run(command: AppsCommand, output: Output) -> anyhow::Result<()> {
    match command {
        AppsCommand::List { client, words, category, scheme } => {
            let client = Client::new(&client).await?;
            let words = Some(words.join(" ")).filter(|words| !words.is_empty());
            let apps = all(&client, [("q", words), ("category", category), ("scheme", scheme)]);
            output.result(&json!({ "data": apps.await? }), |apps| {
                list(apps)
                    .map(|app| format!("{:<24}{}", text(app, "slug"), text(app, "description")))
                    .collect::<Vec<_>>()
                    .join("\n")
            });
        }
        AppsCommand::Check { folder } => check(&folder, output)?,
        AppsCommand::Show { client, slug } => {
            let app = Client::new(&client).await?.get(&format!("apps/{slug}"), &[]).await?;
            output.result(&app, |app| serde_json::to_string_pretty(app).unwrap_or_default());
        }
    }
    Ok(())
}

/// The apps of all pages.
async fn all(client: &Client, filter: [(&str, Option<String>); 3]) -> anyhow::Result<Vec<Value>> {
    let (mut apps, mut cursor) = (Vec::new(), None);
    loop {
        let mut query = vec![("limit", Some("100".to_owned())), ("cursor", cursor)];
        query.extend(filter.clone());
        let page = client.get("apps", &query).await?;
        apps.extend(list(&page).cloned());
        cursor = page.get("next_cursor").and_then(Value::as_str).map(str::to_owned);
        if cursor.is_none() {
            return Ok(apps);
        }
    }
}

fn check(folder: &Path, output: Output) -> anyhow::Result<()> {
    let checked = Catalog::check(folder);
    let faults: Vec<String> = checked.faults.iter().map(ToString::to_string).collect();
    let (rows, wrong) = (checked.rows, faults.len());
    output.result(&json!({ "rows": rows, "faults": faults }), |_| match wrong {
        0 => format!("{rows} rows, none wrong."),
        _ => faults.join("\n"),
    });
    if wrong > 0 {
        bail!("{wrong} of the rows of {} cannot be used", folder.display());
    }
    Ok(())
}
