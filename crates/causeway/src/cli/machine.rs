//! The commands for API keys and for programs' OAuth clients, declared.

use super::ClientArgs;
use clap::{Args, Subcommand};

/// What a new key or client may do.
#[derive(Args)]
pub(crate) struct ScopeArgs {
    /// An action that it may do, like workflows.deploy; may be given several times. Default: the
    /// usual ones, as far as you have them.
    #[arg(long = "action", value_name = "ACTION")]
    pub(crate) actions: Vec<String>,
    /// An app that it is confined to; may be given several times.
    #[arg(long = "app", value_name = "SLUG")]
    pub(crate) apps: Vec<String>,
    /// All of its scopes as a JSON object, with rules for the proxy too: JSON, @FILE, or - for
    /// standard input.
    #[arg(long, conflicts_with_all = ["actions", "apps"], value_name = "JSON")]
    pub(crate) scopes: Option<String>,
}

#[derive(Subcommand)]
pub(crate) enum ApiKeysCommand {
    /// Make a key. It is shown this once.
    Create {
        #[command(flatten)]
        client: ClientArgs,
        /// What people call it.
        #[arg(long)]
        name: String,
        #[command(flatten)]
        scopes: ScopeArgs,
        /// After how many days it expires. Default: never.
        #[arg(long, value_name = "DAYS")]
        expires_days: Option<u64>,
    },
    /// List the environment's keys, those that have ended too.
    List {
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Make a key like this one in its place. Both work until the overlap ends.
    Rotate {
        #[command(flatten)]
        client: ClientArgs,
        /// The key's id.
        id: String,
        /// How many hours the old key goes on working, 0 to 720.
        #[arg(long, default_value_t = 24, value_name = "HOURS")]
        overlap_hours: u64,
        /// After how many days the new key expires. Default: as long as the old one was made for.
        #[arg(long, value_name = "DAYS")]
        expires_days: Option<u64>,
    },
    /// Revoke a key. It stops working at once.
    Revoke {
        #[command(flatten)]
        client: ClientArgs,
        /// The key's id.
        id: String,
    },
}

#[derive(Subcommand)]
pub(crate) enum ClientsCommand {
    /// Make a client. Its secret is shown this once.
    Create {
        #[command(flatten)]
        client: ClientArgs,
        /// What people call it.
        #[arg(long)]
        name: String,
        #[command(flatten)]
        scopes: ScopeArgs,
        /// Its public keys as a JWK Set, if it signs assertions: JSON, @FILE, or - for standard
        /// input. Then it gets no secret, unless --secret says so.
        #[arg(long, value_name = "JSON")]
        public_keys: Option<String>,
        /// Give it a secret beside its public keys.
        #[arg(long)]
        secret: bool,
    },
    /// List the environment's clients, the revoked ones too.
    List {
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Give a client a new secret. Both work until the overlap ends.
    Rotate {
        #[command(flatten)]
        client: ClientArgs,
        /// The client's id.
        id: String,
        /// How many hours the old secret goes on working, 0 to 720.
        #[arg(long, default_value_t = 24, value_name = "HOURS")]
        overlap_hours: u64,
    },
    /// Give a client other public keys, or take those that it has.
    SetKeys {
        #[command(flatten)]
        client: ClientArgs,
        /// The client's id.
        id: String,
        /// All keys that it shall have, as a JWK Set: JSON, @FILE, or - for standard input.
        #[arg(long, required_unless_present = "none", value_name = "JSON")]
        public_keys: Option<String>,
        /// Let it have none; it needs a secret then.
        #[arg(long, conflicts_with = "public_keys")]
        none: bool,
    },
    /// Revoke a client. Its tokens stop working at once.
    Revoke {
        #[command(flatten)]
        client: ClientArgs,
        /// The client's id.
        id: String,
    },
}
