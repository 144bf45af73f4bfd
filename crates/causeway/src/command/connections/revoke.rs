//! `causeway connections revoke`.

use super::line;
use super::which::Which;
use crate::cli::RevokeArgs;
use crate::client::{Client, list, text};
use crate::output::{Output, note};
use anyhow::{Context, bail, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{IsTerminal as _, stdin};
use std::time::Duration;

/// How often the server is asked how far it is.
const ASK_EVERY: Duration = Duration::from_millis(250);

pub(super) async fn run(args: RevokeArgs, output: Output) -> anyhow::Result<()> {
    let client = Client::new(&args.client).await?;
    let which = Which::of(args.which, &client).await?;
    ensure!(
        !which.is_everything(),
        "say which connections to revoke: --app, --customer, --name, --older-than or --idle-for; --older-than 0s means all"
    );
    if args.dry_run {
        let all = which.all(&client).await?;
        output.result(&json!({ "data": all }), |all| {
            let mut lines: Vec<String> = list(all).map(line).collect();
            lines.push(format!("{} connections would be revoked.", lines.len()));
            lines.join("\n")
        });
        return Ok(());
    }
    if !args.yes {
        confirm(&which.all(&client).await?)?;
    }
    let begun = client.post("connections/revocations", Some(&which.body())).await?;
    let ended = follow(&client, begun, output).await.with_context(
        || "the server goes on by itself; the same command, given again, follows what is left",
    )?;
    report(&client, ended, output).await
}

/// Asks whoever sits at the terminal.
fn confirm(found: &[Value]) -> anyhow::Result<()> {
    ensure!(
        stdin().is_terminal(),
        "this revokes {} connections, and there is no terminal to ask at: look with --dry-run, and say --yes",
        found.len()
    );
    let mut apps: BTreeMap<&str, usize> = BTreeMap::new();
    for one in found {
        *apps.entry(text(one, "app")).or_default() += 1;
    }
    let apps: Vec<String> = apps.iter().map(|(app, count)| format!("{count} of {app}")).collect();
    note(format!(
        "This revokes {} connections for good ({}). Their customers have to connect again. Type yes to go on:",
        found.len(),
        apps.join(", ")
    ));
    let mut answer = String::new();
    stdin().read_line(&mut answer).context("reading the answer")?;
    ensure!(answer.trim() == "yes", "nothing was revoked");
    Ok(())
}

/// Shows how far the server is, until it is done.
async fn follow(client: &Client, begun: Value, output: Output) -> anyhow::Result<Value> {
    let bar = ProgressBar::new(0).with_style(
        ProgressStyle::with_template("{bar:40} {pos}/{len} connections, {per_sec}")
            .context("drawing a progress bar")?,
    );
    let path = format!("connections/revocations/{}", text(&begun, "id"));
    let mut present = begun;
    loop {
        let found = figure(&present, "found");
        bar.set_length(found);
        bar.set_position(found.saturating_sub(figure(&present, "pending")));
        if text(&present, "state") == "done" {
            break;
        }
        tokio::time::sleep(ASK_EVERY).await;
        present = client.get(&path, &[]).await?;
    }
    bar.finish();
    if !output.is_json() {
        note("");
    }
    Ok(present)
}

/// Says what came of it.
async fn report(client: &Client, ended: Value, output: Output) -> anyhow::Result<()> {
    let failures = failures(client, text(&ended, "id")).await?;
    let (failed, mut ended) = (figure(&ended, "failed"), ended);
    if let Some(ended) = ended.as_object_mut() {
        ended.insert("failures".to_owned(), failures.into());
    }
    output.result(&ended, |ended| {
        let mut lines = vec![
            format!("{:>7} revoked at their apps, and deleted", figure(ended, "revoked")),
            format!(
                "{:>7} deleted, whose apps have no way to revoke them: replace such keys there",
                figure(ended, "not_offered")
            ),
            format!("{:>7} not known to be revoked at their apps", figure(ended, "failed")),
        ];
        if figure(ended, "taken_over") > 0 {
            lines.push(format!("{:>7} taken over by a later call", figure(ended, "taken_over")));
        }
        for one in ended.get("failures").and_then(Value::as_array).into_iter().flatten() {
            lines.push(format!(
                "{}  {:<12}{:<20}{}",
                text(one, "connection"),
                text(one, "app"),
                text(one, "name"),
                text(one, "reason")
            ));
        }
        lines.join("\n")
    });
    if failed > 0 {
        bail!(
            "{failed} connections are not known to be revoked at their apps. Nobody can use them here; the same command, given again, asks the apps once more"
        );
    }
    Ok(())
}

async fn failures(client: &Client, revocation: &str) -> anyhow::Result<Vec<Value>> {
    let path = format!("connections/revocations/{revocation}/failures");
    let (mut all, mut cursor) = (Vec::new(), None);
    loop {
        let query = [("limit", Some("100".to_owned())), ("cursor", cursor)];
        let page = client.get(&path, &query).await?;
        all.extend(list(&page).cloned());
        cursor = page.get("next_cursor").and_then(Value::as_str).map(str::to_owned);
        if cursor.is_none() {
            return Ok(all);
        }
    }
}

fn figure(record: &Value, field: &str) -> u64 {
    record.get(field).and_then(Value::as_u64).unwrap_or(0)
}
