//! An app that is connected in every way that leads through a browser, as its documentation would
//! have it: RFC 6749, RFC 5849, RFC 8628, GitHub's app installations, and the Model Context
//! Protocol (RFC 9728, RFC 8414, RFC 7591).

use crate::browser;
use crate::minted::{Key, key_pair};
use crate::standin::{Asked, Reply, StandIn};
use crate::world::{CALLBACK, World};
use causeway_connect::{
    Callback, Choice, Finished, FlowError, NewOAuthClient, NewSession, SessionCreated, Started,
};
use causeway_identity::token::{Browser, Plain};
use causeway_store::testing::TestDatabase;
use causeway_types::SecretString;
use causeway_types::entity::Scheme;
use serde_json::json;
use std::collections::BTreeMap;
use url::Url;

/// Every scheme with a way back through the browser.
pub(crate) const BROWSER_SCHEMES: [Scheme; 4] =
    [Scheme::Oauth2, Scheme::Oauth1, Scheme::Installation, Scheme::Mcp];

const AUTH: &str = "  oauth2:
    docs: https://thing.example/
    authorization_url: <url>/{tenant}/authorize
    authorization_params:
      audience: api/{tenant}
      version: '{version}'
      app: '{app_slug}'
    token_url: <url>/token/{tenant}
    token_params: { audience: 'api/{tenant}' }
    client_auth: post
    client_id_param: app_id
    pkce: supported
    scopes:
      default: [read, write]
      separator: ','
      profiles:
        - { name: read_only, description: Looks only., scopes: [read] }
    callback_keep: { realm: realmId }
    answer: { keep: { team: { at: /team/id } } }
    refresh: { rotates: true }
    revoke: { url: <url>/revoke }
  device:
    docs: https://thing.example/
    device_authorization_url: <url>/device
  oauth1:
    docs: https://thing.example/
    request_token_url: <url>/oauth1/request
    authorization_url: <url>/oauth1/authorize
    authorization_params: { perms: all }
    access_token_url: <url>/oauth1/access
    method: HMAC-SHA1
    keep: { user: user_id }
  installation:
    docs: https://thing.example/
    install_url: <url>/apps/{app_slug}/installations/new
    id_param: installation_id
    jwt_lifetime: 540
    token_url: <url>/token/install/{installation_id}
    installation_url: <url>/installs/{installation_id}
    account_name: /account/login
  mcp:
    docs: https://thing.example/
    url: <url>/mcp
    registration: [metadata_document, dynamic]
  none:
    docs: https://thing.example/";

const REST: &str = "fields:
  - { name: tenant, label: Tenant, format: label, example: acme, suffix: .thing.example }
  - { name: version, label: Version, optional: true }
client_fields:
  - { name: app_slug, label: App slug, format: label, secret: false }
";

pub(crate) struct Thing {
    pub(crate) app: StandIn,
    pub(crate) world: World,
    pub(crate) key: Key,
}

impl Thing {
    pub(crate) async fn new(database: TestDatabase) -> Self {
        let app = StandIn::start(usual).await;
        let world = World::bare(database, &app.row(AUTH, REST)).await;
        let thing = Self { app, world, key: key_pair() };
        thing.client("", "client-canary-secret").await;
        // A GitHub App's secret is a key.
        thing.client("app", &thing.key.pem).await;
        thing
    }

    async fn client(&self, name: &str, secret: &str) {
        let new = NewOAuthClient {
            app: "thing".into(),
            name: name.into(),
            client_id: format!("id-{name}"),
            secret: Some(SecretString::new(secret.to_owned())),
            fields: fields(&[("app_slug", "acme-bot")]),
            ..NewOAuthClient::default()
        };
        self.world.connect.set_oauth_client(&self.world.permit(), new).await.unwrap();
    }

    /// A session for a scheme, with the client that it needs.
    pub(crate) fn session_for(scheme: Scheme) -> NewSession {
        NewSession {
            customer: "acme".into(),
            app: Some("thing".into()),
            oauth_client: (scheme == Scheme::Installation).then(|| "app".into()),
            ..NewSession::default()
        }
    }

    pub(crate) async fn session(&self, new: NewSession) -> SessionCreated {
        self.world.connect.create_session(&self.world.permit(), new).await.unwrap()
    }

    /// Where the browser goes.
    pub(crate) async fn begin(
        &self,
        token: &str,
        browser: &Plain<Browser>,
        scheme: Scheme,
    ) -> Result<Url, FlowError> {
        let choice = Choice {
            scheme: Some(scheme),
            fields: fields(&[("tenant", "acme")]),
            ..Choice::default()
        };
        match self.world.connect.start(token, browser, choice).await? {
            Started::Browser(url) => Ok(url),
            Started::Device(_) => panic!("a device flow"),
        }
    }

    /// The way back of a customer who agrees.
    pub(crate) fn agree(&self, scheme: Scheme, url: &Url) -> Callback {
        let get = |name: &str| {
            url.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
        };
        let mut back: Url = match scheme {
            // The callback that the app was given, with the state in it.
            Scheme::Oauth1 => self.given_callback(),
            _ => get("redirect_uri").unwrap_or(CALLBACK.into()).parse().unwrap(),
        };
        {
            let mut query = back.query_pairs_mut();
            match scheme {
                Scheme::Oauth1 => {
                    query.append_pair("oauth_token", &get("oauth_token").unwrap());
                    query.append_pair("oauth_verifier", "verifier-1");
                }
                Scheme::Installation => {
                    query.append_pair("installation_id", "4711");
                    query.append_pair("setup_action", "install");
                    query.append_pair("state", &get("state").unwrap());
                }
                _ => {
                    query.append_pair("code", "code-1");
                    query.append_pair("state", &get("state").unwrap());
                    query.append_pair("realmId", "R1");
                }
            }
            if scheme == Scheme::Mcp {
                query.append_pair("iss", &self.app.url());
            }
        }
        assert!(back.as_str().starts_with(CALLBACK), "{back}");
        browser::callback(&back)
    }

    /// The callback URL of the last request for a temporary token.
    fn given_callback(&self) -> Url {
        let asked = self.app.asked("/oauth1/request");
        oauth_params(asked.last().unwrap())["oauth_callback"].parse().unwrap()
    }

    /// All of it.
    pub(crate) async fn link(
        &self,
        scheme: Scheme,
        new: NewSession,
    ) -> Result<Finished, FlowError> {
        let session = self.session(new).await;
        let browser = crate::world::cookie();
        let url = self.begin(session.token.expose(), &browser, scheme).await?;
        let back = self.agree(scheme, &url);
        self.world.connect.finish(back, &browser).await
    }

    /// How often a credential was asked for.
    pub(crate) fn exchanges(&self) -> usize {
        self.app.asked("/token").len() + self.app.asked("/oauth1/access").len()
    }
}

pub(crate) fn fields(pairs: &[(&str, &str)]) -> BTreeMap<String, SecretString> {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), SecretString::new((*v).to_owned()))).collect()
}

/// The parameters of `Authorization: OAuth …` (RFC 5849, section 3.5.1).
pub(crate) fn oauth_params(asked: &Asked) -> BTreeMap<String, String> {
    let header = asked.header("authorization").strip_prefix("OAuth ").unwrap();
    header
        .split(", ")
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap();
            let value = percent_encoding::percent_decode_str(value.trim_matches('"'));
            (name.to_owned(), value.decode_utf8().unwrap().into_owned())
        })
        .collect()
}

fn usual(asked: &Asked) -> Reply {
    let url = format!("http://{}", asked.header("host"));
    let form = |text: &str| Reply::Text(200, "application/x-www-form-urlencoded", text.into());
    let path = asked.path.split('?').next().unwrap_or_default();
    match path {
        "/me" if asked.header("authorization").is_empty() => Reply::Json(401, json!({})),
        "/me" => Reply::Json(200, json!({ "id": 7, "name": "Acme" })),
        "/revoke" => Reply::Json(200, json!({})),
        "/oauth1/request" => {
            form("oauth_token=temp-1&oauth_token_secret=temp-s&oauth_callback_confirmed=true")
        }
        "/oauth1/access" => form("oauth_token=at-1&oauth_token_secret=as-1&user_id=U7"),
        "/device" => Reply::Json(
            200,
            json!({
                "device_code": "device-canary-1", "user_code": "WDJB-MJHT",
                "verification_uri": "https://thing.example/device",
                "verification_uri_complete": "https://thing.example/device?code=WDJB-MJHT",
                "expires_in": 600, "interval": 5,
            }),
        ),
        "/installs/4711" => Reply::Json(200, json!({ "account": { "login": "octo-org" } })),
        "/mcp" => Reply::With(
            401,
            (
                "www-authenticate",
                format!(
                    "Bearer resource_metadata=\"{url}/.well-known/oauth-protected-resource/mcp\""
                ),
            ),
            String::new(),
        ),
        "/.well-known/oauth-protected-resource/mcp" => Reply::Json(
            200,
            json!({
                "resource": format!("{url}/mcp"),
                "authorization_servers": [url],
                "scopes_supported": ["tools"],
            }),
        ),
        "/.well-known/oauth-authorization-server" => Reply::Json(200, metadata(&url)),
        "/register" => Reply::Json(
            201,
            json!({
                "client_id": "registered-1", "client_secret": "registered-canary-secret",
                "client_secret_expires_at": 0, "token_endpoint_auth_method": "client_secret_post",
            }),
        ),
        path if path.starts_with("/token") => Reply::Json(
            200,
            json!({
                "access_token": "at-canary-1", "refresh_token": "rt-canary-1", "expires_in": 3600,
                "team": { "id": "T1" },
            }),
        ),
        _ => Reply::Json(404, json!({})),
    }
}

/// The authorization server's metadata (RFC 8414, section 2).
pub(crate) fn metadata(url: &str) -> serde_json::Value {
    json!({
        "issuer": url,
        "authorization_endpoint": format!("{url}/as/authorize"),
        "token_endpoint": format!("{url}/token/mcp"),
        "registration_endpoint": format!("{url}/register"),
        "revocation_endpoint": format!("{url}/revoke"),
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["client_secret_post", "none"],
        "authorization_response_iss_parameter_supported": true,
        "client_id_metadata_document_supported": true,
        "scopes_supported": ["tools", "offline_access"],
    })
}
