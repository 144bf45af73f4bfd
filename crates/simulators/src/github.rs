//! A stand-in of GitHub, as far as signing in goes, written from its documentation.
//!
//! The pages that it follows, all under docs.github.com:
//! - `en/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps` (the flow, PKCE included)
//! - `en/apps/oauth-apps/maintaining-oauth-apps/troubleshooting-authorization-request-errors`
//! - `en/apps/oauth-apps/maintaining-oauth-apps/troubleshooting-oauth-app-access-token-request-errors`
//! - `en/rest/users/users#get-the-authenticated-user`
//! - `en/rest/users/emails#list-email-addresses-for-the-authenticated-user`
//!
//! It is a server of one's own, so its API is under `/api/v3`, as GitHub Enterprise Server's is.
//! Since April 2026 GitHub names itself in its answers (RFC 9207) as `<base>/login/oauth`; the
//! stand-in does too.

mod api;
mod oauth;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use causeway_types::{OsRandom, Randomness as _};
use data_encoding::HEXLOWER;
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use url::Url;

use crate::demo::StartError;

/// The largest request body, in bytes.
const MOST_BODY: usize = 64 * 1024;

/// How the stand-in is set up: its one OAuth app, and who is signed in at GitHub.
#[derive(Debug, Clone)]
pub struct GithubOptions {
    /// The OAuth app's id.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
    /// Its callback URL. A `redirect_uri` may add to its path.
    pub callback_url: Url,
    /// The account that is signed in.
    pub account: GithubAccount,
}

/// An account at GitHub.
#[derive(Debug, Clone)]
pub struct GithubAccount {
    /// Its number, which never changes.
    pub id: u64,
    /// Its login, which may.
    pub login: String,
    /// Its display name.
    pub name: Option<String>,
    /// Its addresses.
    pub emails: Vec<GithubEmail>,
}

/// An address of an account, as `GET /user/emails` lists it.
#[derive(Debug, Clone, Serialize)]
pub struct GithubEmail {
    /// The address.
    pub email: String,
    /// Whether it is the one that counts.
    pub primary: bool,
    /// Whether GitHub has verified it.
    pub verified: bool,
    /// `public`, `private` or nothing.
    pub visibility: Option<&'static str>,
}

/// A running stand-in. It stops when this is dropped.
pub struct GithubStandIn {
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

/// What all requests share.
struct Shared {
    base: String,
    options: Mutex<GithubOptions>,
    /// By code.
    granted: Mutex<BTreeMap<String, Granted>>,
    /// By access token.
    tokens: Mutex<BTreeMap<String, Token>>,
}

/// A code on its way from the authorization page to the token endpoint.
struct Granted {
    redirect_uri: String,
    challenge: Option<String>,
    scope: String,
    account: GithubAccount,
}

/// What a token opens.
#[derive(Clone)]
struct Token {
    scope: String,
    account: GithubAccount,
}

impl GithubEmail {
    /// The one address of an account: primary and verified.
    pub fn of(email: &str) -> Self {
        Self { email: email.to_owned(), primary: true, verified: true, visibility: Some("private") }
    }
}

impl GithubStandIn {
    /// Starts it; port 0 takes a free one.
    ///
    /// # Errors
    /// [`StartError::NotLoopback`], [`StartError::Listen`].
    pub async fn start(address: SocketAddr, options: GithubOptions) -> Result<Self, StartError> {
        if !address.ip().is_loopback() {
            return Err(StartError::NotLoopback(address));
        }
        let refused = |source| StartError::Listen(address, source);
        let listener = TcpListener::bind(address).await.map_err(refused)?;
        let shared = Arc::new(Shared {
            base: format!("http://{}", listener.local_addr().map_err(refused)?),
            options: Mutex::new(options),
            granted: Mutex::default(),
            tokens: Mutex::default(),
        });
        let router = Router::new()
            .merge(oauth::routes())
            .merge(api::routes())
            .layer(DefaultBodyLimit::max(MOST_BODY))
            .with_state(Arc::clone(&shared));
        let server = tokio::spawn(async move {
            // It ends when it is aborted; an error before that is the operating system's.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { shared, server })
    }

    /// Its base address, `http://127.0.0.1:PORT`, without a slash at the end.
    pub fn url(&self) -> &str {
        &self.shared.base
    }

    /// Lets another account be signed in.
    pub fn sign_in(&self, account: GithubAccount) {
        self.shared.options().account = account;
    }
}

impl Drop for GithubStandIn {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Shared {
    fn options(&self) -> MutexGuard<'_, GithubOptions> {
        self.options.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn granted(&self) -> MutexGuard<'_, BTreeMap<String, Granted>> {
        self.granted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tokens(&self) -> MutexGuard<'_, BTreeMap<String, Token>> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A new code or token.
fn secret(prefix: &str) -> String {
    let mut bytes = [0_u8; 20];
    OsRandom.fill(&mut bytes);
    format!("{prefix}{}", HEXLOWER.encode(&bytes))
}
