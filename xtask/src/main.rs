//! The project's own chores: `cargo xtask --help`.

mod sqlx_metadata;
mod test;

use clap::{Parser, Subcommand};

/// Chores of the Causeway repository.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Check every query against both databases and write the metadata that builds use.
    Sqlx {
        /// Fail if the committed metadata is not what comes out.
        #[arg(long)]
        check: bool,
    },
    /// Run the tests with a PostgreSQL of their own. Arguments go to `cargo nextest run`.
    Test {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        nextest: Vec<String>,
    },
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().chore {
        Chore::Sqlx { check } => sqlx_metadata::run(check),
        Chore::Test { nextest } => test::run(&nextest),
    }
}

/// The root of the repository.
fn root() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or_else(|| std::path::Path::new(".")).to_owned()
}
