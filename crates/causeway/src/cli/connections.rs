//! `causeway connections`.

use super::ClientArgs;
use clap::{Args, Subcommand};
use std::time::Duration;

#[derive(Subcommand)]
pub(crate) enum ConnectionsCommand {
    /// List the newest 100 connections.
    List {
        #[command(flatten)]
        client: ClientArgs,
        #[command(flatten)]
        which: WhichArgs,
    },
    /// Show a connection; never its credential.
    Show {
        #[command(flatten)]
        client: ClientArgs,
        /// The connection.
        id: String,
    },
    /// Add a connection with a key or a password.
    Add {
        #[command(flatten)]
        client: ClientArgs,
        /// The app.
        #[arg(long)]
        app: String,
        /// Your own id of the customer.
        #[arg(long)]
        customer: String,
        /// The name by which workflows refer to it.
        #[arg(long)]
        name: Option<String>,
        /// How it proves itself: api_key, or basic for a user name and a password.
        #[arg(long, default_value = "api_key")]
        scheme: causeway_types::entity::Scheme,
        /// A JSON object with the fields that the app asks for: @FILE, or - for standard input.
        #[arg(long, value_name = "@FILE|-")]
        fields: String,
    },
    /// Try a connection now: renew its token if it has to be, and ask the app whether it takes the
    /// credential; fails if it does not.
    Test {
        #[command(flatten)]
        client: ClientArgs,
        /// The connection, by name or id.
        #[arg(value_name = "NAME|ID")]
        connection: String,
    },
    /// Revoke many connections, at their apps too: nobody can use them from the moment in which the
    /// server knows. Fails if an app does not confirm it; called again, it goes on with what is left.
    Revoke(Box<RevokeArgs>),
    /// Take a connection's credential out in clear, where the environment's settings let it. Needs a
    /// key with the action credentials.export, which keys do not have unless they are given it.
    Export {
        #[command(flatten)]
        client: ClientArgs,
        /// The connection, by name or id.
        #[arg(value_name = "NAME|ID")]
        connection: String,
    },
    /// Revoke a connection at the app and delete it.
    Delete {
        #[command(flatten)]
        client: ClientArgs,
        /// The connection.
        id: String,
    },
}

#[derive(Args)]
pub(crate) struct WhichArgs {
    /// Those to this app.
    #[arg(long, value_name = "SLUG")]
    pub(crate) app: Option<String>,
    /// Those of the customer with this id of yours.
    #[arg(long, value_name = "ID")]
    pub(crate) customer: Option<String>,
    /// The one of this name or id.
    #[arg(long, value_name = "NAME|ID")]
    pub(crate) name: Option<String>,
    /// Those made at least so long ago: a number and s, m, h, d or w, as in 90d.
    #[arg(long, value_name = "AGE", value_parser = age)]
    pub(crate) older_than: Option<Duration>,
    /// Those that nobody has used for so long; one that was never used counts from when it was made.
    #[arg(long, value_name = "AGE", value_parser = age)]
    pub(crate) idle_for: Option<Duration>,
}

#[derive(Args)]
pub(crate) struct RevokeArgs {
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    #[command(flatten)]
    pub(crate) which: WhichArgs,
    /// Only list the connections that it would revoke.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask whether to go on.
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) yes: bool,
}

/// Reads an age such as `90d`.
fn age(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no age: write a number and s, m, h, d or w, as in 90d");
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds: u64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 604_800,
        _ => return Err(wrong()),
    };
    let number = text.strip_suffix(unit).unwrap_or_default();
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_a_number_and_a_unit() {
        assert_eq!(age("90d"), Ok(Duration::from_hours(24 * 90)));
        assert_eq!(age("0s"), Ok(Duration::ZERO));
        assert_eq!(age("2w"), Ok(Duration::from_hours(24 * 14)));
        for wrong in ["", "d", "90", "-1d", "+1d", "1.5h", "1y", "99999999999999999999d", "９d"] {
            assert!(age(wrong).is_err(), "{wrong}");
        }
    }
}
