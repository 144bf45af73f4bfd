//! A real authorization server: npm's certified `oidc-provider`, on a free port of this machine,
//! with rotating refresh tokens, detection of their reuse, and PKCE required. It stops when
//! dropped.

use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The id of its one client.
pub const CLIENT_ID: &str = "causeway";
/// The secret of its one client.
pub const CLIENT_SECRET: &str = "oidc-canary-client-secret-9f2c";

/// The server could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its packages are not installed.
    #[error("looking for {}: run `make deps`", .0.display())]
    NotInstalled(PathBuf),
    /// Node could not be run.
    #[error("running node; `make deps` says whether it is installed")]
    Run(#[source] io::Error),
    /// It ended before it listened.
    #[error("starting oidc-provider, which printed `{output}` instead of its issuer")]
    Failed {
        /// The first line that it printed.
        output: String,
    },
}

/// A running server.
pub struct OidcProvider {
    server: Child,
    issuer: String,
}

impl OidcProvider {
    /// Starts it and waits until it listens. Its client may be sent back to `redirect_uri` only.
    pub fn start(redirect_uri: &str) -> Result<Self, StartError> {
        let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testing/oidc-provider");
        let package = home.join("node_modules/oidc-provider");
        if !package.exists() {
            return Err(StartError::NotInstalled(package));
        }
        let mut server = Command::new("node")
            .arg(home.join("server.js"))
            .args([CLIENT_ID, CLIENT_SECRET, redirect_uri])
            // It also stops when this end is closed, should the test process be killed.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Its warnings about in-memory storage and test keys are not about this use.
            .stderr(Stdio::inherit())
            .spawn()
            .map_err(StartError::Run)?;
        let mut line = String::new();
        let read = server.stdout.as_mut().map(|output| BufReader::new(output).read_line(&mut line));
        let issuer = line.trim().to_owned();
        if !matches!(read, Some(Ok(_))) || !issuer.starts_with("http://127.0.0.1:") {
            let _ = server.kill();
            let _ = server.wait();
            return Err(StartError::Failed { output: line });
        }
        Ok(Self { server, issuer })
    }

    /// Its issuer, `http://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.issuer
    }

    /// A row of the catalogue for it, under the slug `oidc`. `retry_old_token` is what the row
    /// claims; the server itself never takes a used refresh token again.
    pub fn app_yaml(&self, retry_old_token: bool) -> String {
        let (url, host) = (&self.issuer, self.issuer.trim_start_matches("http://"));
        format!(
            "slug: oidc
name: OIDC Test
description: The authorization server of the tests.
docs: https://github.com/panva/node-oidc-provider
categories: [crm]
hosts: [\"{host}\"]
auth:
  oauth2:
    docs: https://github.com/panva/node-oidc-provider
    authorization_url: {url}/auth
    token_url: {url}/token
    client_auth: basic
    pkce: required
    scopes:
      default: [openid, email, profile]
    refresh:
      rotates: true
      retry_old_token: {retry_old_token}
    revoke:
      url: {url}/token/revocation
      client_auth: basic
    userinfo_url: {url}/me
verify:
  url: {url}/me
api:
  base_url: {url}
"
        )
    }
}

impl Drop for OidcProvider {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
