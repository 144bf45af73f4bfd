//! `causeway-demo-app`: the demo app as a program, for `make run`.

use anyhow::Context as _;
use causeway_simulators::{DemoApp, DemoOptions};
use clap::Parser;
use serde_json::json;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use tokio::signal::unix::{SignalKind, signal};
use url::Url;

/// A small CRM with an OAuth 2.0 server, to try Causeway with. It prints one line of JSON when it
/// is ready: url, client_id, client_secret, api_key. Ctrl-C stops it.
#[derive(Parser)]
#[command(name = "causeway-demo-app")]
struct Arguments {
    /// Where to listen; loopback addresses only.
    #[arg(long, default_value = "127.0.0.1:8401")]
    listen: SocketAddr,
    /// The OAuth client's id; made up if not given.
    #[arg(long, env = "CAUSEWAY_DEMO_CLIENT_ID")]
    client_id: Option<String>,
    /// The OAuth client's secret; made up if not given.
    #[arg(long, env = "CAUSEWAY_DEMO_CLIENT_SECRET", hide_env_values = true)]
    client_secret: Option<String>,
    /// Where browsers may be sent back to; any loopback URL if not given. May be repeated.
    #[arg(long)]
    redirect_uri: Vec<Url>,
    /// The key that the CRM API takes; made up if not given.
    #[arg(long, env = "CAUSEWAY_DEMO_API_KEY", hide_env_values = true)]
    api_key: Option<String>,
    /// Seconds that an access token lives.
    #[arg(long, default_value_t = 600)]
    access_token_seconds: u32,
    /// Keeps grants, contacts and made-up secrets in this file across restarts.
    #[arg(long)]
    state: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    let options = DemoOptions {
        client_id: arguments.client_id,
        client_secret: arguments.client_secret,
        redirect_uris: arguments.redirect_uri,
        api_key: arguments.api_key,
        access_token_seconds: arguments.access_token_seconds,
        state_file: arguments.state,
        ..DemoOptions::default()
    };
    let app = DemoApp::start(arguments.listen, options).await?;
    let ready = json!({
        "url": app.url(),
        "client_id": app.client_id(),
        "client_secret": app.client_secret(),
        "api_key": app.api_key(),
    });
    let mut out = std::io::stdout();
    writeln!(out, "{ready}").and_then(|()| out.flush()).context("writing to standard output")?;
    tokio::select! {
        stopped = tokio::signal::ctrl_c() => stopped.context("listening for Ctrl-C"),
        _ = terminate.recv() => Ok(()),
    }
}
