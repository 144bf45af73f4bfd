//! `causeway audit`: through a server, or on the machine itself while the server is down.

use crate::cli::{AuditCommand, ChainArgs, ExportFormat, ServerArgs};
use crate::client::{Client, list, text};
use crate::config::Config;
use crate::output::{Output, Pieces, is_read};
use crate::wiring;
use anyhow::{Context, anyhow, bail};
use causeway_audit::{Checkpoint, Format, VerifyError, Wanted, read_time};
use causeway_identity::OwnKeys;
use causeway_store::{Store, db};
use causeway_types::{Actor, Code, Coded, Timestamp, WorkspaceId};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use tokio::fs::File;
use tokio::io::{AsyncWrite, AsyncWriteExt};

/// Checkpoints that one request compares.
const TOGETHER: usize = 1_000;

pub(crate) async fn run(command: AuditCommand, output: Output) -> anyhow::Result<()> {
    match command {
        AuditCommand::List { client, actor, action, about, since, until, limit, cursor } => {
            let query = [
                ("actor", actor),
                ("action", action),
                ("about", about),
                ("since", since),
                ("until", until),
                ("limit", Some(limit.to_string())),
                ("cursor", cursor),
            ];
            let page = Client::new(&client).await?.get("audit", &query).await?;
            output.result(&page, events);
            Ok(())
        }
        AuditCommand::Verify { chain, checkpoint } => {
            let kept = match checkpoint {
                Some(path) => read_kept(&path)?,
                None => Vec::new(),
            };
            if chain.local {
                verify_here(*chain, &kept, output).await
            } else {
                verify_there(&chain, &kept, output).await
            }
        }
        AuditCommand::Export { chain, format, since, until, output: file } => {
            let Some(path) = file else {
                let done = export(*chain, format, (since, until), &mut Pieces::new()).await;
                return if is_read() { done } else { Ok(()) };
            };
            let mut into = File::create(&path)
                .await
                .with_context(|| format!("writing to {}", path.display()))?;
            if let Err(error) = export(*chain, format, (since, until), &mut into).await {
                // Nobody shall take a piece for the whole.
                std::fs::remove_file(&path)
                    .with_context(|| format!("removing {}", path.display()))?;
                return Err(error);
            }
            let shown = json!({ "written": path });
            output.result(&shown, |_| format!("Wrote {}.", path.display()));
            Ok(())
        }
    }
}

async fn export(
    chain: ChainArgs,
    format: ExportFormat,
    (since, until): (Option<String>, Option<String>),
    into: &mut (impl AsyncWrite + Unpin),
) -> anyhow::Result<()> {
    let format = Format::from(format);
    if chain.local {
        let since = moment("--since", since.as_deref())?;
        let until = moment("--until", until.as_deref())?;
        export_here(chain, Wanted { format, since, until }, into).await?;
    } else {
        let format = Some(format.as_str().to_owned());
        let query = [("format", format), ("since", since), ("until", until)];
        Client::new(&chain.client).await?.download("audit/export", &query, into).await?;
    }
    into.flush().await.context("writing the export")
}

impl From<ExportFormat> for Format {
    fn from(format: ExportFormat) -> Self {
        match format {
            ExportFormat::Jsonl => Self::Lines,
            ExportFormat::Ocsf => Self::Ocsf,
        }
    }
}

/// The chain of the workspace that the API key opens, checked by the server.
async fn verify_there(
    chain: &ChainArgs,
    kept: &[Checkpoint],
    output: Output,
) -> anyhow::Result<()> {
    let client = Client::new(&chain.client).await?;
    let mut pieces = kept.chunks(TOGETHER);
    let mut piece = pieces.next().unwrap_or_default();
    let verified = loop {
        let body = json!({ "checkpoints": piece });
        let verified = client.post("audit/verify", Some(&body)).await?;
        match pieces.next() {
            Some(next) => piece = next,
            None => break verified,
        }
    };
    output.result(&verified, line);
    Ok(())
}

/// The chains of the database on this machine.
async fn verify_here(chain: ChainArgs, kept: &[Checkpoint], output: Output) -> anyhow::Result<()> {
    let (store, keys) = open(chain.server).await?;
    let workspaces: BTreeSet<WorkspaceId> = if let Some(workspace) = chain.workspace {
        BTreeSet::from([workspace])
    } else {
        // Also those that are there no more, and of which something was kept.
        let kept = kept.iter().map(|one| one.workspace_id);
        all(&store).await?.into_iter().chain(kept).collect()
    };
    let (mut whole, mut broken) = (Vec::new(), Vec::new());
    for workspace in workspaces {
        match causeway_audit::verify(&store, &keys, workspace, kept).await {
            Ok(verified) => whole.push(verified),
            Err(error @ VerifyError::Broken { .. }) => broken.push(error),
            Err(error) => return Err(error.into()),
        }
    }
    store.close().await;
    output.result(&whole, |whole| {
        whole.iter().map(|one| line(&json!(one))).collect::<Vec<_>>().join("\n")
    });
    if broken.is_empty() {
        return Ok(());
    }
    let texts: Vec<_> = broken.iter().map(Coded::public).collect();
    Err(anyhow!("{} [{}]", texts.join(" "), Code::AuditBroken))
}

async fn export_here(
    chain: ChainArgs,
    wanted: Wanted,
    into: &mut (impl AsyncWrite + Unpin),
) -> anyhow::Result<()> {
    let workspace = chain.workspace.context("--local needs --workspace, whose chain to export")?;
    let (store, keys) = open(chain.server).await?;
    if !all(&store).await?.contains(&workspace) {
        bail!("there is no workspace {workspace} in this database");
    }
    let now = wiring::clock().now();
    let mut export =
        causeway_audit::export(&store, &keys, workspace, Actor::Machine, now, wanted).await?;
    while let Some(chunk) = export.chunk().await? {
        into.write_all(&chunk).await.context("writing the export")?;
    }
    store.close().await;
    Ok(())
}

/// The database of this machine, and the keys that its checkpoints are checked with.
pub(super) async fn open(server: ServerArgs) -> anyhow::Result<(Store, OwnKeys)> {
    let config = Config::read(server)?;
    if !config.data_dir.exists() {
        bail!("there is no data folder {}: give it with --data-dir", config.data_dir.display());
    }
    let store = wiring::open_store(&config).await?;
    if wiring::is_fresh(&store).await? {
        bail!(
            "there is no installation in this database: --data-dir or --database-url says where it is"
        );
    }
    let root = wiring::existing_root_key(&config).await?;
    let vault = wiring::unlock(store.clone(), root).await?;
    let keys = wiring::own_keys(&store, &vault).await?;
    Ok((store, keys))
}

async fn all(store: &Store) -> anyhow::Result<Vec<WorkspaceId>> {
    let mut conn = store.read().await?;
    Ok(db!(conn, workspace::all())?.into_iter().map(|workspace| workspace.id).collect())
}

fn read_kept(path: &Path) -> anyhow::Result<Vec<Checkpoint>> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let kept = Checkpoint::read_lines(&text);
    if kept.is_empty() {
        bail!(
            "{} holds no checkpoint: give a list or an export of checkpoints, or the server's log in JSON",
            path.display()
        );
    }
    Ok(kept)
}

fn moment(name: &str, text: Option<&str>) -> anyhow::Result<Option<Timestamp>> {
    text.map(|text| {
        read_time(text).with_context(|| {
            format!("{name} is a time such as 2026-08-01T00:00:00Z, and not `{text}`")
        })
    })
    .transpose()
}

/// A line for a chain that holds.
fn line(verified: &Value) -> String {
    let figure = |field: &str| verified.get(field).and_then(Value::as_i64).unwrap_or(0);
    let proven = match figure("proven") {
        0 => "no checkpoint yet".to_owned(),
        row => format!("proven through row {row}"),
    };
    let kept = match figure("kept") {
        0 => String::new(),
        count => format!(", {count} kept checkpoints compared"),
    };
    format!(
        "{}  whole: {} rows ({} to {}), {proven}{kept}",
        text(verified, "workspace_id"),
        figure("rows"),
        figure("first"),
        figure("last"),
    )
}

/// A line an event.
fn events(page: &Value) -> String {
    let line = |event: &Value| {
        let detail = event.get("detail").map(Value::to_string).unwrap_or_default();
        let address = event.pointer("/via/address").and_then(Value::as_str).unwrap_or("-");
        format!(
            "{:>8}  {}  {:<30}  {:<28} {address:<15}  {detail}",
            event.get("seq").and_then(Value::as_i64).unwrap_or(0),
            text(event, "time"),
            text(event, "actor"),
            text(event, "action"),
        )
    };
    let mut lines: Vec<String> = list(page).map(line).collect();
    let next = text(page, "next_cursor");
    if !next.is_empty() {
        lines.push(format!("more with --cursor {next}"));
    }
    lines.join("\n")
}
