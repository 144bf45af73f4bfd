//! `causeway deploy`.

use super::{folder, render};
use crate::cli::DeployArgs;
use crate::client::{Client, text};
use crate::output::Output;
use anyhow::{Context, ensure};
use data_encoding::BASE64;
use serde_json::{Value, json};

pub(crate) async fn run(args: DeployArgs, output: Output) -> anyhow::Result<()> {
    ensure!(
        args.dir.is_dir(),
        "{} is not a folder: name the one with workflow.yaml",
        args.dir.display()
    );
    let mut files = folder::read(&args.dir)?;
    ensure!(
        files.contains_key(causeway_flow::FILE_NAME),
        "{} has no {}: add one, or name the folder that has it",
        args.dir.display(),
        causeway_flow::FILE_NAME
    );
    let client = Client::new(&args.client).await?;
    let plan = client.post("deployments/plan", Some(&json!({ "files": files }))).await?;
    if args.write_locks {
        // What is deployed below is then what the folder holds.
        for lock in plan.get("made_locks").and_then(Value::as_array).into_iter().flatten() {
            let (file, contents) = (text(lock, "file"), text(lock, "text"));
            let path = args.dir.join(file);
            std::fs::write(&path, contents)
                .with_context(|| format!("writing {}", path.display()))?;
            files.insert(file.to_owned(), BASE64.encode(contents.as_bytes()));
        }
    }
    if args.plan {
        output.result(&plan, render_plan);
        return Ok(());
    }
    output.line(render_plan(&plan));
    let deployment = client.post("deployments", Some(&json!({ "files": files }))).await?;
    output.result(&deployment, |done| {
        let number = done.get("number").and_then(Value::as_i64).unwrap_or(0);
        let mut lines = vec![format!("Deployed version {number}, {}.", text(done, "version_id"))];
        lines.extend(list_of(done, "triggers").map(render::trigger));
        lines.push("\nTry:".to_owned());
        let urls = list_of(done, "triggers").filter_map(|one| one.get("url")?.as_str());
        lines.extend(urls.map(|url| {
            format!("  curl -X POST {url} -H 'content-type: application/json' -d '{{}}'")
        }));
        lines.push("  causeway logs -f".to_owned());
        lines.join("\n")
    });
    Ok(())
}

/// The items of a field.
fn list_of<'a>(value: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> {
    value.get(field).and_then(Value::as_array).into_iter().flatten()
}

fn render_plan(plan: &Value) -> String {
    let what = match text(plan, "action") {
        "create" => "will be created",
        "update" => "gets a new version",
        "reactivate" => "goes back to an earlier version",
        _ => "is unchanged",
    };
    let mut lines = vec![format!("The workflow {} {what}.", text(plan, "workflow"))];
    let items = |field| list_of(plan, field);
    for file in items("files") {
        let mark = match text(file, "change") {
            "added" => '+',
            "removed" => '-',
            _ => '~',
        };
        lines.push(format!("  {mark} {}", text(file, "path")));
    }
    lines.extend(items("triggers").map(|one| format!("  {}", render::trigger(one))));
    for connection in items("connections") {
        let exposed = connection.get("exposed").and_then(Value::as_bool) == Some(true);
        lines.push(format!(
            "  uses the connection {} ({}, {}){}",
            text(connection, "name"),
            text(connection, "app"),
            text(connection, "state"),
            if exposed { ", and GIVES ITS CREDENTIAL TO THE CODE (expose: true)" } else { "" }
        ));
    }
    lines.extend(items("packages").map(render_package));
    for lock in items("made_locks") {
        lines.push(format!(
            "  made {}, which the folder has not: `--write-locks` puts it there",
            text(lock, "file")
        ));
    }
    let hosts: Vec<&str> = items("egress").filter_map(Value::as_str).collect();
    lines.push(if hosts.is_empty() {
        "  may reach no host".to_owned()
    } else {
        format!("  may reach {}", hosts.join(", "))
    });
    let warnings = items("warnings").filter_map(Value::as_str);
    lines.extend(warnings.map(|warning| format!("  WARNING: {warning}.")));
    lines.join("\n")
}

/// A line about a package that comes, changes or goes.
fn render_package(package: &Value) -> String {
    let field = |name| package.get(name).and_then(Value::as_str);
    let (name, before) = (text(package, "name"), field("before").unwrap_or_default());
    let what = match (field("version"), text(package, "change")) {
        (Some(version), "changed") => format!("~ {name} {before} -> {version}"),
        (Some(version), _) => format!("+ {name} {version}"),
        (None, _) => format!("- {name} {before}"),
    };
    let script = match field("install_script") {
        Some("run") => ", whose INSTALL SCRIPT RUNS (install_scripts)",
        Some(_) => ", whose install script does not run",
        None => "",
    };
    format!("  {what} ({}){script}", text(package, "ecosystem"))
}
