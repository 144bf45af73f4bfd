//! `causeway components`, declared.

use super::ClientArgs;
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Subcommand)]
pub(crate) enum ComponentsCommand {
    /// Publish a version of a component.
    Publish(PublishArgs),
    /// List every version of every component, oldest first.
    List {
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Show a component with its props.
    Show {
        #[command(flatten)]
        client: ClientArgs,
        /// Its id.
        id: String,
    },
    /// Delete a version of a component for good.
    Delete {
        #[command(flatten)]
        client: ClientArgs,
        /// Its id.
        id: String,
    },
}

#[derive(Args)]
pub(crate) struct PublishArgs {
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    /// The folder that holds the component and all that it imports, or its one file.
    pub(crate) path: PathBuf,
    /// The component's own file in the folder. Default: `main` of package.json, or the only file.
    #[arg(long)]
    pub(crate) entry: Option<String>,
    /// A host that its code may reach beyond those of its apps; repeat for more.
    #[arg(long, value_name = "HOST")]
    pub(crate) egress: Vec<String>,
}
