//! Connect links, what is set for their pages, and the company's own OAuth clients.

use super::ClientArgs;
use clap::{Args, Subcommand};

#[derive(Args)]
pub(crate) struct ConnectArgs {
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    /// The app. Default: the customer chooses.
    #[arg(long)]
    pub(crate) app: Option<String>,
    /// Your own id of the customer.
    #[arg(long)]
    pub(crate) customer: String,
    /// The name by which workflows refer to the connection.
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// The connection to renew.
    #[arg(long, value_name = "ID")]
    pub(crate) reconnect: Option<String>,
    /// Your OAuth client to use, by its name or id. Default: the app's usual one.
    #[arg(long, value_name = "NAME|ID")]
    pub(crate) oauth_client: Option<String>,
    /// The set of scopes of the app to ask for instead of the usual ones.
    #[arg(long, value_name = "NAME")]
    pub(crate) scope_profile: Option<String>,
    /// A scope to ask for beside those. May be given several times.
    #[arg(long = "scope", value_name = "SCOPE")]
    pub(crate) scopes: Vec<String>,
    /// An origin of your pages that may embed the connect page. May be given several times.
    #[arg(long = "allowed-origin", value_name = "ORIGIN")]
    pub(crate) allowed_origins: Vec<String>,
    /// Where the customer goes afterwards.
    #[arg(long)]
    pub(crate) return_url: Option<String>,
    /// Where the customer goes if it did not work. Default: nowhere, the page says what happened.
    #[arg(long)]
    pub(crate) error_url: Option<String>,
}

#[derive(Subcommand)]
pub(crate) enum ConnectSettingsCommand {
    /// Show them.
    Show {
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Change those that are named here; the others stay. Needs a key with the action
    /// connect_settings.manage, which keys do not have unless they are given it.
    Set(Box<SettingsArgs>),
}

#[derive(Args)]
pub(crate) struct SettingsArgs {
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    /// Your name for your customers; empty for the project's.
    #[arg(long)]
    pub(crate) company: Option<String>,
    /// Where customers get help.
    #[arg(long)]
    pub(crate) support_email: Option<String>,
    /// Colours and logo as JSON: the text itself, @FILE, or - for standard input.
    #[arg(long, value_name = "JSON|@FILE|-")]
    pub(crate) theme: Option<String>,
    /// An origin to which customers may be sent back; empty for none, so that every https address
    /// may stand in a link. May be given several times.
    #[arg(long = "return-origin", value_name = "ORIGIN")]
    pub(crate) return_origins: Vec<String>,
    /// Whether credentials may be exported.
    #[arg(long, value_name = "true|false")]
    pub(crate) credential_export: Option<bool>,
}

#[derive(Subcommand)]
pub(crate) enum OauthClientsCommand {
    /// List your OAuth clients.
    List {
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Set an OAuth client of yours at an app.
    Set(Box<OauthClientArgs>),
    /// Delete an OAuth client.
    Delete {
        #[command(flatten)]
        client: ClientArgs,
        /// Its id.
        id: String,
    },
}

#[derive(Args)]
pub(crate) struct OauthClientArgs {
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    /// The app.
    #[arg(long)]
    pub(crate) app: String,
    /// Which of the app's clients it is. Default: the usual one.
    #[arg(long, default_value = "")]
    pub(crate) name: String,
    /// What it is for.
    #[arg(long, default_value = "")]
    pub(crate) description: String,
    /// The client id that the app gave you.
    #[arg(long)]
    pub(crate) client_id: String,
    /// The client secret that the app gave you, or a private key in PEM: @FILE, or - for standard
    /// input.
    #[arg(long, value_name = "@FILE|-")]
    pub(crate) client_secret: Option<String>,
    /// What the app asks for beside, as a JSON object: @FILE, or - for standard input.
    #[arg(long, value_name = "@FILE|-")]
    pub(crate) fields: Option<String>,
    /// A scope to ask for. May be given several times. Default: the app's usual ones.
    #[arg(long = "scope", value_name = "SCOPE")]
    pub(crate) scopes: Vec<String>,
}
