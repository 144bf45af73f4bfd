//! A client that is made from a table: an operation a line, with its number, method, path, and the
//! shape of its answer, as `shared` documentation of the contract lists them.

use super::shapes::{
    AccessToken, Account, App, AppOverride, Category, Choices, Component, ConnectToken,
    ExternalUser, Failure, Nothing, OauthApp, One, Page, Project, ProjectInfo, Ran, RateLimit,
    Reloaded, Usage, Validation, WebhookAnswer,
};
use crate::kit::{Answer, Json as _, World, value};
use crate::people::Named;
use axum::body::Body;
use axum::http::{HeaderName, Method, Request, header};
use causeway_types::entity::Role;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Reads an answer of success.
pub(crate) trait Shape: Sized {
    fn read(answer: &Answer) -> Self;
}

impl<T: DeserializeOwned> Shape for T {
    fn read(answer: &Answer) -> Self {
        assert_eq!(answer.header("content-type"), "application/json", "{}", answer.html());
        serde_json::from_slice(&answer.body)
            .unwrap_or_else(|error| panic!("{error}: {}", answer.html()))
    }
}

impl Shape for Nothing {
    fn read(answer: &Answer) -> Self {
        assert_eq!((answer.status, answer.body.len()), (204, 0), "{}", answer.html());
        Self
    }
}

/// What is sent with an operation.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ask {
    parts: Vec<(&'static str, String)>,
    query: Vec<(&'static str, String)>,
    headers: Vec<(&'static str, String)>,
    body: Option<Value>,
}

pub(crate) fn ask() -> Ask {
    Ask::default()
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "numbers and texts are written where they are sent"
)]
impl Ask {
    /// Fills a place in the path.
    pub(crate) fn at(mut self, name: &'static str, text: impl ToString) -> Self {
        self.parts.push((name, text.to_string()));
        self
    }

    pub(crate) fn query(mut self, name: &'static str, text: impl ToString) -> Self {
        self.query.push((name, text.to_string()));
        self
    }

    pub(crate) fn header(mut self, name: &'static str, text: impl ToString) -> Self {
        self.headers.push((name, text.to_string()));
        self
    }

    pub(crate) fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }
}

/// An operation that did not succeed.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<u64>,
    pub(crate) failure: Failure,
}

impl Failed {
    fn read(answer: &Answer) -> Self {
        assert_eq!(answer.header("content-type"), "application/json", "{}", answer.html());
        let failure: Failure = serde_json::from_slice(&answer.body)
            .unwrap_or_else(|error| panic!("{error}: {}", answer.html()));
        assert!(failure.error.len() > 8, "{failure:?}");
        let retry_after = answer.header("retry-after").parse().ok();
        assert_eq!(answer.status == 429, retry_after.is_some() && answer.status == 429);
        Self { status: answer.status, retry_after, failure }
    }

    /// Its status and code.
    pub(crate) fn is(&self) -> (u16, &str) {
        (self.status, self.failure.code.as_deref().unwrap_or_default())
    }
}

pub(crate) type Outcome<T> = Result<T, Failed>;

/// An operation of the table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Operation {
    pub(crate) number: u32,
    pub(crate) name: &'static str,
    pub(crate) method: &'static str,
    /// `P` stands for the project.
    pub(crate) path: &'static str,
}

macro_rules! operations {
    ($($number:literal $method:ident $path:literal $name:ident -> $shape:ty;)*) => {
        /// The operations, as the contract numbers them.
        pub(crate) const TABLE: &[Operation] = &[$(Operation {
            number: $number,
            name: stringify!($name),
            method: stringify!($method),
            path: $path,
        },)*];

        impl Client<'_> {
            $(pub(crate) async fn $name(&self, ask: Ask) -> Outcome<$shape> {
                self.call(stringify!($method), $path, ask).await
            })*
        }
    };
}

operations! {
    1 POST "/v1/oauth/token" access_token -> AccessToken;
    2 POST "P/tokens" create_token -> ConnectToken;
    3 GET "/v1/connect/tokens/{ctok}/validate" validate_token -> Validation;
    4 GET "P/accounts" list_accounts -> Page<Account>;
    5 POST "P/accounts" create_account -> Account;
    6 GET "P/accounts/{id}" show_account -> Account;
    7 DELETE "P/accounts/{id}" delete_account -> Nothing;
    8 DELETE "P/apps/{app_id}/accounts" delete_accounts_of_app -> Nothing;
    9 GET "P/users/{ext_id}/accounts" accounts_of_user -> Vec<Account>;
    10 GET "P/users" list_users -> Page<ExternalUser>;
    11 DELETE "P/users/{ext_id}" delete_user -> Nothing;
    12 GET "/v1/connect/apps" list_apps -> Page<App>;
    13 GET "/v1/connect/apps/{id}" show_app -> One<App>;
    14 GET "/v1/connect/app_categories" list_categories -> Vec<Category>;
    15 GET "/v1/connect/app_categories/{id}" show_category -> Category;
    16 GET "P/app_overrides" list_overrides -> Page<AppOverride>;
    17 POST "P/app_overrides" create_override -> AppOverride;
    18 GET "P/app_overrides/{id}" show_override -> AppOverride;
    19 PUT "P/app_overrides/{id}" set_override -> AppOverride;
    20 DELETE "P/app_overrides/{id}" delete_override -> Nothing;
    21 GET "P/oauth_apps" list_oauth_apps -> Page<OauthApp>;
    22 POST "P/oauth_apps" create_oauth_app -> OauthApp;
    23 GET "P/oauth_apps/{id}" show_oauth_app -> OauthApp;
    24 PUT "P/oauth_apps/{id}" set_oauth_app -> OauthApp;
    25 DELETE "P/oauth_apps/{id}" delete_oauth_app -> Nothing;
    26 GET "P/components" list_components -> Page<Component>;
    27 GET "P/components/{key}" show_component -> One<Component>;
    28 POST "P/components/configure" configure_component -> Choices;
    29 POST "P/components/props" component_props -> Reloaded;
    30 GET "P/actions" list_actions -> Page<Component>;
    31 GET "P/actions/{key}" show_action -> One<Component>;
    32 POST "P/actions/configure" configure_action -> Choices;
    33 POST "P/actions/props" action_props -> Reloaded;
    34 POST "P/actions/run" run_action -> Ran;
    35 GET "P/triggers" list_triggers -> Page<Component>;
    36 GET "P/triggers/{key}" show_trigger -> One<Component>;
    37 POST "P/triggers/configure" configure_trigger -> Choices;
    38 POST "P/triggers/props" trigger_props -> Reloaded;
    51 GET "P/webhook" show_webhook -> WebhookAnswer;
    52 PUT "P/webhook" set_webhook -> WebhookAnswer;
    53 DELETE "P/webhook" delete_webhook -> Nothing;
    54 POST "P/webhook/regenerate_signing_key" renew_webhook_key -> WebhookAnswer;
    55 GET "/v1/connect/projects" list_projects -> Page<Project>;
    56 POST "/v1/connect/projects" create_project -> Project;
    57 GET "/v1/connect/projects/{id}" show_project -> Project;
    58 PATCH "/v1/connect/projects/{id}" change_project -> Project;
    59 DELETE "/v1/connect/projects/{id}" delete_project -> Nothing;
    60 POST "/v1/connect/projects/{id}/logo" set_logo -> Nothing;
    61 GET "P/projects/info" project_info -> ProjectInfo;
    62 GET "P/proxy/{url}" proxy_get -> Value;
    63 POST "P/proxy/{url}" proxy_post -> Value;
    64 PUT "P/proxy/{url}" proxy_put -> Value;
    65 DELETE "P/proxy/{url}" proxy_delete -> Value;
    66 PATCH "P/proxy/{url}" proxy_patch -> Value;
    68 GET "/v1/connect/usage" usage -> Usage;
    // Documented outside of the numbered table.
    69 POST "/v1/connect/rate_limits" create_rate_limit -> RateLimit;
}

/// A client of the contract.
#[derive(Clone)]
pub(crate) struct Client<'a> {
    pub(crate) world: &'a World,
    /// What is sent as `Authorization: Bearer …`.
    pub(crate) credential: String,
    /// The project of the paths; without it, they collapse.
    pub(crate) project: Option<String>,
    pub(crate) environment: Option<&'static str>,
}

/// What a program of the contract may do at most.
pub(crate) const ACTIONS: &[&str] = &[
    "connections.read",
    "connections.write",
    "credentials.export",
    "proxy.use",
    "components.run",
    "oauth_clients.manage",
    "webhooks.read",
    "webhooks.manage",
    "apps.read",
    "workspace.read",
    "projects.manage",
];

impl<'a> Client<'a> {
    /// A program with an access token, as the contract's own clients get one (operation 1).
    pub(crate) async fn new(world: &'a World) -> Self {
        let owner = world.member(world.tenant.workspace, Role::Owner, None).await;
        let body = json!({ "name": "backend", "scopes": { "actions": ACTIONS } });
        let named = Some(Named::Environment(world.tenant.environment));
        let made = owner.request(named, Method::POST, "/api/v1/machine-clients", Some(&body));
        let made = world.send(made).await.ok();
        let mut client = Self::with(world, "");
        let body = json!({
            "grant_type": "client_credentials", "scope": "connect:*",
            "client_id": made.text("id"), "client_secret": made.text("client_secret"),
        });
        let token = client.access_token(ask().body(body)).await.unwrap();
        assert_eq!((token.token_type.as_str(), token.expires_in), ("Bearer", 3600));
        assert!(token.scope.unwrap().contains("connections.write"));
        client.credential = token.access_token;
        client
    }

    /// A program with any credential, in the world's project and environment.
    pub(crate) fn with(world: &'a World, credential: &str) -> Self {
        Self {
            world,
            credential: credential.to_owned(),
            project: Some(world.tenant.project.to_string()),
            environment: Some("production"),
        }
    }

    /// A browser with a connect token.
    pub(crate) fn browser(world: &'a World, token: &str) -> Self {
        Self { world, credential: token.to_owned(), project: None, environment: None }
    }

    /// The request of an operation.
    pub(crate) fn request(&self, method: &str, path: &str, ask: &Ask) -> Request<Body> {
        let mut path = match (path.strip_prefix('P'), &self.project) {
            (Some(rest), Some(project)) => format!("/v1/connect/{project}{rest}"),
            (Some(rest), None) => format!("/v1/connect{rest}"),
            (None, _) => path.to_owned(),
        };
        for (name, text) in &ask.parts {
            let encoded: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
            path = path.replace(&format!("{{{name}}}"), &encoded.replace('+', "%20"));
        }
        assert!(!path.contains('{'), "{path}");
        if !ask.query.is_empty() {
            let query = url::form_urlencoded::Serializer::new(String::new())
                .extend_pairs(&ask.query)
                .finish();
            path = format!("{path}?{query}");
        }
        let mut request = Request::builder().method(method).uri(path);
        if !self.credential.is_empty() {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", self.credential));
        }
        if let Some(environment) = self.environment {
            request = request.header("x-pd-environment", environment);
        }
        if ask.body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let body = ask.body.as_ref().map_or_else(Body::empty, |body| body.to_string().into());
        let mut request = request.body(body).unwrap();
        for (name, text) in &ask.headers {
            request.headers_mut().append(HeaderName::from_static(name), value(text));
        }
        request
    }

    /// The answer to an operation, whatever it is.
    pub(crate) async fn answer(&self, method: &str, path: &str, ask: &Ask) -> Answer {
        let request = self.request(method, path, ask);
        if path.contains("/proxy/") {
            // What an app answers has no headers of our pages.
            return Answer::read(self.world.open(request).await).await;
        }
        self.world.send(request).await
    }

    async fn call<T: Shape>(&self, method: &str, path: &str, ask: Ask) -> Outcome<T> {
        let answer = self.answer(method, path, &ask).await;
        if (200..300).contains(&answer.status) {
            return Ok(T::read(&answer));
        }
        Err(Failed::read(&answer))
    }
}
