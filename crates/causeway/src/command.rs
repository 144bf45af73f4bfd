//! The commands, one a file.

mod access_review;
mod api_keys;
mod audit;
mod bootstrap;
mod catalogue;
mod claim_link;
mod components;
mod connections;
mod deploy;
mod doctor;
mod folder;
mod image;
mod input;
mod invocations;
mod keys;
mod logs;
mod machine_clients;
mod members;
mod projects;
mod providers;
mod render;
mod serve;
mod webhooks;
mod workflows;

use crate::cli::{Cli, Command};
use crate::output::Output;

pub(crate) async fn run(cli: Cli) -> anyhow::Result<()> {
    let output = Output::new(cli.json);
    match cli.command {
        Command::Serve(args) => Box::pin(serve::run(args, output)).await,
        Command::Bootstrap(args) => Box::pin(bootstrap::run(args, output)).await,
        Command::ClaimLink(args) => Box::pin(claim_link::run(args, output)).await,
        Command::Providers(command) => Box::pin(providers::run(command, output)).await,
        Command::SsoPolicy(command) => Box::pin(providers::sso_policy(command, output)).await,
        Command::Doctor(args) => Box::pin(doctor::run(args, output)).await,
        Command::Image(command) => Box::pin(image::run(command, output)).await,
        Command::Deploy(args) => deploy::run(args, output).await,
        Command::Run(args) => invocations::run(args, output).await,
        Command::Logs(args) => logs::run(args, output).await,
        Command::Invocations(command) => invocations::manage(command, output).await,
        Command::Explain(args) => invocations::explain(args, output).await,
        Command::Replay(args) => invocations::replay(args, output).await,
        Command::Workflows(command) => workflows::run(command, output).await,
        Command::Components(command) => components::run(command, output).await,
        Command::Connect(args) => connections::connect(args, output).await,
        Command::ConnectSettings(command) => connections::settings(command, output).await,
        Command::Connections(command) => connections::run(command, output).await,
        Command::OauthClients(command) => connections::oauth_clients(command, output).await,
        Command::Webhooks(command) => webhooks::run(command, output).await,
        Command::Apps(command) => catalogue::run(command, output).await,
        Command::Keys(command) => Box::pin(keys::run(command, output)).await,
        Command::ApiKeys(command) => api_keys::run(command, output).await,
        Command::Clients(command) => machine_clients::run(command, output).await,
        Command::Members(command) => members::run(command, output).await,
        Command::Roles(command) => members::roles(command, output).await,
        Command::Projects(command) => projects::run(command, output).await,
        Command::Audit(command) => Box::pin(audit::run(command, output)).await,
        Command::AccessReview(args) => access_review::run(args, output).await,
    }
}
