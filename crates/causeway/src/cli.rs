//! The command line, declared.

mod audit;
mod components;
mod connect;
mod connections;
mod edge;
mod machine;
mod machines;
mod members;
mod packages;
mod webhooks;

pub(crate) use audit::{AuditCommand, ChainArgs, ExportFormat};
pub(crate) use components::{ComponentsCommand, PublishArgs};
pub(crate) use connect::{
    ConnectArgs, ConnectSettingsCommand, OauthClientArgs, OauthClientsCommand, SettingsArgs,
};
pub(crate) use connections::{ConnectionsCommand, RevokeArgs, WhichArgs};
pub(crate) use edge::EdgeArgs;
pub(crate) use machine::{ApiKeysCommand, ClientsCommand, ScopeArgs};
pub(crate) use machines::{ImageBuildArgs, ImageCommand, MachineArgs};
pub(crate) use members::{MembersCommand, ProjectsCommand, RoleArgs, RolesCommand};
pub(crate) use packages::PackagesArgs;
pub(crate) use webhooks::{EndpointArgs, PageArgs, SpanArgs, WebhooksCommand};

use causeway_sandbox::Tier;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Causeway: connect your product and your customers' accounts to third-party apps.
#[derive(Parser)]
#[command(name = "causeway", version, propagate_version = true)]
pub(crate) struct Cli {
    /// Print results as JSON, one document a line.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run the server.
    Serve(ServerArgs),
    /// Make the first workspace, or a new API key to it, on the server's own machine.
    Bootstrap(BootstrapArgs),
    /// Print a one-time link by which the first owner signs in, on the server's own machine.
    ClaimLink(ServerArgs),
    /// Set, list and delete the installation's identity providers, on the server's own machine.
    #[command(subcommand)]
    Providers(ProvidersCommand),
    /// Take a workspace's sign-in rules away, on the server's own machine.
    #[command(subcommand)]
    SsoPolicy(SsoPolicyCommand),
    /// Check this machine, the configuration, the database and the root key.
    Doctor(ServerArgs),
    /// Build the image of virtual machines, on the server's own machine.
    #[command(subcommand)]
    Image(ImageCommand),
    /// Deploy a workflow's folder: shows the plan, then makes a version and activates it.
    Deploy(DeployArgs),
    /// Run a workflow on an event made by hand and follow it to its end.
    Run(RunArgs),
    /// Show what workflows did, or with -f what they do.
    Logs(LogsArgs),
    /// List, show, cancel and delete invocations.
    #[command(subcommand)]
    Invocations(InvocationsCommand),
    /// Say why an invocation is where it is.
    Explain(ExplainArgs),
    /// Run an invocation's event once more and follow it to its end.
    Replay(ReplayArgs),
    /// List and show workflows.
    #[command(subcommand)]
    Workflows(WorkflowsCommand),
    /// Publish, list, show and delete components.
    #[command(subcommand)]
    Components(ComponentsCommand),
    /// Make a link on which a customer connects an account.
    Connect(ConnectArgs),
    /// Show and set what concerns your customers' connect pages.
    #[command(subcommand)]
    ConnectSettings(ConnectSettingsCommand),
    /// List, show, add, test, revoke, export and delete connections.
    #[command(subcommand)]
    Connections(ConnectionsCommand),
    /// Set your own OAuth clients at apps.
    #[command(subcommand)]
    OauthClients(OauthClientsCommand),
    /// Set up the endpoints that webhooks are sent to, look at what was sent, and send it again.
    #[command(subcommand)]
    Webhooks(WebhooksCommand),
    /// List and show the apps of the catalogue.
    #[command(subcommand)]
    Apps(AppsCommand),
    /// Show and rotate the workspace's data key.
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Make, list, rotate and revoke API keys.
    #[command(subcommand)]
    ApiKeys(ApiKeysCommand),
    /// Make, list and revoke programs' OAuth clients, and give them new secrets.
    #[command(subcommand)]
    Clients(ClientsCommand),
    /// List, invite and remove members.
    #[command(subcommand)]
    Members(MembersCommand),
    /// Give roles to members and groups, and take them.
    #[command(subcommand)]
    Roles(RolesCommand),
    /// List and make projects.
    #[command(subcommand)]
    Projects(ProjectsCommand),
    /// List, check and export what was done in the workspace.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Show who has what in the workspace, and what nobody used for 90 days.
    AccessReview(ClientArgs),
}

/// Where the server keeps and finds its things. Each also stands in `causeway.toml`.
#[derive(Args, Default)]
pub(crate) struct ServerArgs {
    /// The configuration file. Default: causeway.toml in this folder, if there is one.
    #[arg(long, env = "CAUSEWAY_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// The folder for the database and whatever else the server keeps.
    #[arg(long, env = "CAUSEWAY_DATA_DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Address and port to listen on. Default 127.0.0.1:8400.
    #[arg(long, env = "CAUSEWAY_LISTEN", value_name = "HOST:PORT")]
    pub(crate) listen: Option<String>,
    /// The database: sqlite:PATH or postgres://…. Default: SQLite in the data folder.
    #[arg(long, env = "CAUSEWAY_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub(crate) database_url: Option<String>,
    /// The root key: file:PATH or aws-kms:ARN. Default: a file in your configuration folder.
    #[arg(long, env = "CAUSEWAY_ROOT_KEY", value_name = "SPEC")]
    pub(crate) root_key: Option<String>,
    /// The address under which the world reaches this server. Default: the one listened on.
    #[arg(long, env = "CAUSEWAY_PUBLIC_URL", value_name = "URL")]
    pub(crate) public_url: Option<String>,
    /// A folder with apps of your own: <slug>/app.yaml each.
    #[arg(long, env = "CAUSEWAY_APPS_DIR")]
    pub(crate) apps_dir: Option<PathBuf>,
    /// The Node 24 binary that runs steps.
    #[arg(long, env = "CAUSEWAY_NODE")]
    pub(crate) node: Option<PathBuf>,
    /// The Python that runs steps in Python and bash, 3.11 or later. Default /usr/bin/python3.
    #[arg(long, env = "CAUSEWAY_PYTHON")]
    pub(crate) python: Option<PathBuf>,
    /// The bash that runs steps in bash. Default /bin/bash.
    #[arg(long, env = "CAUSEWAY_BASH")]
    pub(crate) bash: Option<PathBuf>,
    /// gVisor's runsc, for sandboxes of that tier. Default /usr/bin/runsc.
    #[arg(long, env = "CAUSEWAY_RUNSC")]
    pub(crate) runsc: Option<PathBuf>,
    /// The weakest isolation tier that steps run in: jail, gvisor or vm. Default jail.
    #[arg(long, env = "CAUSEWAY_SANDBOX_MINIMUM_TIER", value_name = "TIER")]
    pub(crate) sandbox_minimum_tier: Option<Tier>,
    /// The memory that all sandboxes may take together, in MiB; 0: as much as there is. Default
    /// three quarters of what the server itself may use.
    #[arg(long, env = "CAUSEWAY_SANDBOX_MEMORY_MIB", value_name = "MIB")]
    pub(crate) sandbox_memory_mib: Option<u64>,
    /// How long a sandbox is kept for the next invocation of its version, in seconds. Default 300.
    #[arg(long, env = "CAUSEWAY_SANDBOX_IDLE_SECONDS", value_name = "SECONDS")]
    pub(crate) sandbox_idle_seconds: Option<u64>,
    #[command(flatten)]
    pub(crate) machines: MachineArgs,
    /// A private network that may be reached, with a port if you like: 10.1.0.0/16 or
    /// 127.0.0.1/32:8401. May be given several times, or separated by commas.
    #[arg(long, env = "CAUSEWAY_NET_ALLOW", value_delimiter = ',', value_name = "RANGE")]
    pub(crate) net_allow: Vec<String>,
    /// Root certificates to trust besides the system's, PEM.
    #[arg(long, env = "CAUSEWAY_NET_EXTRA_ROOTS", value_name = "FILE")]
    pub(crate) net_extra_roots: Option<PathBuf>,
    /// How many invocations run at a time. Default 8.
    #[arg(long, env = "CAUSEWAY_CONCURRENCY", value_name = "N")]
    pub(crate) concurrency: Option<usize>,
    /// How many started, unassigned sandboxes to keep for each of Node, Python and bash, once a
    /// workflow that needs it is deployed. Default 2.
    #[arg(long, env = "CAUSEWAY_SPARE_SANDBOXES", value_name = "N")]
    pub(crate) spare_sandboxes: Option<usize>,
    #[command(flatten)]
    pub(crate) packages: PackagesArgs,
    #[command(flatten)]
    pub(crate) edge: EdgeArgs,
}

#[derive(Args)]
pub(crate) struct BootstrapArgs {
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// The workspace's name, if it is made now.
    #[arg(long, default_value = "Default")]
    pub(crate) workspace: String,
    /// The project's name, if it is made now.
    #[arg(long, default_value = "Default")]
    pub(crate) project: String,
    /// The environment that the new key opens.
    #[arg(long, default_value = "production")]
    pub(crate) environment: causeway_types::entity::EnvironmentKind,
}

#[derive(Subcommand)]
pub(crate) enum ProvidersCommand {
    /// Add a provider, or change the client of the one that has its name.
    Set {
        #[command(flatten)]
        server: Box<ServerArgs>,
        /// How it is spoken to: google, github or oidc.
        #[arg(long)]
        kind: causeway_types::entity::ProviderKind,
        /// What the button on the sign-in page says. Default: Google, GitHub or Single sign-on.
        #[arg(long)]
        name: Option<String>,
        /// Its issuer, needed for oidc; for github, the address of a GitHub Enterprise server.
        #[arg(long, value_name = "URL")]
        issuer: Option<String>,
        /// Causeway's client id there.
        #[arg(long)]
        client_id: String,
        /// Causeway's client secret there: @FILE, or - for standard input.
        #[arg(long, value_name = "@FILE|-")]
        client_secret: String,
    },
    /// List the providers, without secrets.
    List {
        #[command(flatten)]
        server: Box<ServerArgs>,
    },
    /// Delete a provider. The sessions that it opened end at once.
    Delete {
        #[command(flatten)]
        server: Box<ServerArgs>,
        /// Its id.
        id: causeway_types::ProviderId,
    },
}

#[derive(Subcommand)]
pub(crate) enum SsoPolicyCommand {
    /// Take all rules away, when nobody can come in any more.
    Reset {
        #[command(flatten)]
        server: Box<ServerArgs>,
        /// The workspace; ws_00000000000000000000000000 is the installation itself.
        workspace: causeway_types::WorkspaceId,
    },
}

/// How commands reach a server.
#[derive(Args)]
pub(crate) struct ClientArgs {
    /// The server.
    #[arg(long, env = "CAUSEWAY_URL", default_value = "http://127.0.0.1:8400")]
    pub(crate) url: String,
    /// The API key. Better in the environment than on the command line, where others see it.
    #[arg(long, env = "CAUSEWAY_API_KEY", hide_env_values = true)]
    pub(crate) api_key: Option<String>,
}

#[derive(Args)]
pub(crate) struct DeployArgs {
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    /// The folder with workflow.yaml.
    pub(crate) dir: PathBuf,
    /// Show the plan and change nothing.
    #[arg(long)]
    pub(crate) plan: bool,
    /// Write locks that were made, because the folder has none, into the folder.
    #[arg(long)]
    pub(crate) write_locks: bool,
}

#[derive(Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    /// The workflow: its name or id.
    pub(crate) workflow: String,
    /// The event: JSON, @FILE, or - for standard input.
    #[arg(long, default_value = "{}")]
    pub(crate) event: String,
    /// Do not wait for the end.
    #[arg(long)]
    pub(crate) no_wait: bool,
}

#[derive(Args)]
pub(crate) struct LogsArgs {
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    /// The workflow, by name or id; all of them without one.
    pub(crate) workflow: Option<String>,
    /// Go on as things happen.
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// How many of the newest invocations to begin with.
    #[arg(short = 'n', long, default_value_t = 10)]
    pub(crate) newest: u32,
}

#[derive(Args)]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    /// The invocation.
    pub(crate) id: String,
}

#[derive(Args)]
pub(crate) struct ReplayArgs {
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    /// The invocation.
    pub(crate) id: String,
    /// Do not wait for the end.
    #[arg(long)]
    pub(crate) no_wait: bool,
}

#[derive(Subcommand)]
pub(crate) enum InvocationsCommand {
    /// List invocations, newest first.
    List {
        #[command(flatten)]
        client: ClientArgs,
        /// Those of one workflow, by name or id.
        #[arg(long)]
        workflow: Option<String>,
        /// Those in one state.
        #[arg(long)]
        state: Option<String>,
        /// The items of the loops of one invocation, by its id.
        #[arg(long)]
        items_of: Option<String>,
        /// How many, 1 to 100.
        #[arg(long, default_value_t = 20)]
        limit: u32,
        /// The cursor of the page before.
        #[arg(long)]
        cursor: Option<String>,
    },
    /// Show an invocation with its steps, exports and logs.
    Show {
        #[command(flatten)]
        client: ClientArgs,
        /// The invocation.
        id: String,
        /// Show its event too.
        #[arg(long)]
        event: bool,
    },
    /// Follow an invocation to its end; fails if the invocation does.
    Follow {
        #[command(flatten)]
        client: ClientArgs,
        /// The invocation.
        id: String,
    },
    /// Stop an invocation that has not ended.
    Cancel {
        #[command(flatten)]
        client: ClientArgs,
        /// The invocation.
        id: String,
    },
    /// Let an invocation go on that waits for somebody.
    Resume {
        #[command(flatten)]
        client: ClientArgs,
        /// The invocation.
        id: String,
        /// What it goes on with: JSON, `@FILE` or `-` for standard input.
        #[arg(long, default_value = "null")]
        data: String,
    },
    /// Delete an invocation for good.
    Delete {
        #[command(flatten)]
        client: ClientArgs,
        /// The invocation.
        id: String,
    },
}

#[derive(Subcommand)]
pub(crate) enum WorkflowsCommand {
    /// List workflows.
    List {
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Show a workflow with what starts it: URLs, and the next times of schedules.
    Show {
        #[command(flatten)]
        client: ClientArgs,
        /// Its name or id.
        workflow: String,
    },
    /// List the packages that the active versions of workflows import.
    Packages {
        #[command(flatten)]
        client: ClientArgs,
        /// Those of this workflow alone: its name or id.
        workflow: Option<String>,
        /// This package alone, to see which workflows have it.
        #[arg(long, value_name = "NAME[@VERSION]")]
        package: Option<String>,
    },
}

#[derive(Subcommand)]
pub(crate) enum AppsCommand {
    /// List apps.
    List {
        #[command(flatten)]
        client: ClientArgs,
        /// Those in whose name, description or categories each of these words stands.
        words: Vec<String>,
        /// Those of this category, like `crm`.
        #[arg(long)]
        category: Option<String>,
        /// Those that connect this way, like `oauth2` or `api_key`.
        #[arg(long)]
        scheme: Option<String>,
    },
    /// Check the rows of a folder, as `apps_dir` is one, without a server.
    Check {
        /// The folder, with a folder for each app and an `app.yaml` in each.
        folder: PathBuf,
    },
    /// Show an app and what it asks for.
    Show {
        #[command(flatten)]
        client: ClientArgs,
        /// The app.
        slug: String,
    },
}

#[derive(Subcommand)]
pub(crate) enum KeysCommand {
    /// Show the data keys and the last rotation.
    Show {
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Make a new data key and seal every record again under it.
    Rotate {
        #[command(flatten)]
        client: ClientArgs,
        /// Do not wait for the end.
        #[arg(long)]
        no_wait: bool,
    },
    /// Let new keys sign access tokens and the audit's checkpoints, on the server's own machine.
    /// Servers that run take them up by themselves.
    RotateSigning {
        #[command(flatten)]
        server: Box<ServerArgs>,
    },
    /// Wrap the data keys under another root key. The server must not run meanwhile.
    Rewrap {
        #[command(flatten)]
        server: Box<ServerArgs>,
        /// The new root key: file:PATH or aws-kms:ARN.
        #[arg(long, value_name = "SPEC")]
        to: String,
    },
}

#[cfg(test)]
mod tests;
