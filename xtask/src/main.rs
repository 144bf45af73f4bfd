//! The project's own chores: `cargo xtask --help`.

mod catalogue;
mod sqlx_metadata;
mod test;
mod tidy;

use clap::{Parser, Subcommand};
use std::io::Write as _;
use std::process::ExitCode;

/// Chores of the Causeway repository.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Check every row of the catalogue, drive every app by every scheme against a stand-in, compare
    /// what goes over the wire with the vendors' examples, and print what passed.
    Catalogue {
        /// Print the report as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Check every query against both databases and write the metadata that builds use.
    Sqlx {
        /// Fail if the committed metadata is not what comes out.
        #[arg(long)]
        check: bool,
    },
    /// Check the rules of the house: crate edges, sizes, secrets, texts, packages.
    Tidy,
    /// Run the tests with a PostgreSQL of their own. Arguments go to `cargo nextest run`.
    Test {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        nextest: Vec<String>,
    },
}

fn main() -> ExitCode {
    match run(Cli::parse().chore) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(chore: Chore) -> anyhow::Result<()> {
    match chore {
        Chore::Catalogue { json } => catalogue::run(json),
        Chore::Sqlx { check } => sqlx_metadata::run(check),
        Chore::Tidy => tidy::run(),
        Chore::Test { nextest } => test::run(&nextest),
    }
}

/// The root of the repository.
fn root() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or_else(|| std::path::Path::new("."))
        .to_owned()
}
