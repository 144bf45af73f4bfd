//! The commands for the audit chain, declared.

use super::{ClientArgs, ServerArgs};
use causeway_types::WorkspaceId;
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Which chain, and who reads it.
#[derive(Args)]
pub(crate) struct ChainArgs {
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    /// Read the database on this machine instead of asking a server, which need not run. The
    /// settings of the server apply: --data-dir, --database-url, --root-key.
    #[arg(long)]
    pub(crate) local: bool,
    /// With --local, the workspace. verify checks all of them without it; export needs it.
    #[arg(long, value_name = "ID", requires = "local")]
    pub(crate) workspace: Option<WorkspaceId>,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

/// In which form events leave.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum ExportFormat {
    /// JSON lines that prove themselves.
    Jsonl,
    /// The Open Cybersecurity Schema Framework, an event a line.
    Ocsf,
}

#[derive(Subcommand)]
pub(crate) enum AuditCommand {
    /// List what was done in the workspace, newest first.
    List {
        #[command(flatten)]
        client: ClientArgs,
        /// By whom: an id, `machine` or `anonymous`.
        #[arg(long)]
        actor: Option<String>,
        /// What: the kind of event, like `api_key_created`.
        #[arg(long)]
        action: Option<String>,
        /// Events in which this id stands.
        #[arg(long, value_name = "ID")]
        about: Option<String>,
        /// From this time on, like 2026-08-01T00:00:00Z.
        #[arg(long, value_name = "TIME")]
        since: Option<String>,
        /// Before this time.
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
        /// How many, 1 to 100.
        #[arg(long, default_value_t = 20)]
        limit: u32,
        /// The cursor of the page before.
        #[arg(long)]
        cursor: Option<String>,
    },
    /// Check the whole chain, and name the first link that is broken.
    Verify {
        #[command(flatten)]
        chain: Box<ChainArgs>,
        /// Checkpoints that were kept elsewhere, to compare with: a list, an export, or the
        /// server's log in JSON.
        #[arg(long, value_name = "FILE")]
        checkpoint: Option<PathBuf>,
    },
    /// Take the chain out, or a piece of it.
    Export {
        #[command(flatten)]
        chain: Box<ChainArgs>,
        /// In which form.
        #[arg(long, default_value = "jsonl")]
        format: ExportFormat,
        /// From the first event at or after this time on, like 2026-08-01T00:00:00Z.
        #[arg(long, value_name = "TIME")]
        since: Option<String>,
        /// Through the last event before this time.
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
        /// The file to write. Default: standard output.
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}
