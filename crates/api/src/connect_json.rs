//! What a connect page with a script asks: the same as [`connect_page`](crate::connect_page) shows
//! and takes, as JSON. The same cookie binds a link to one browser, changing requests have to come
//! from a page of this server, and failures are problems whose texts are for the customer.

use crate::connect_page::{ChosenApp, token_of, visitor};
use crate::cookies::Visitor;
use crate::extract::JsonBody;
use crate::pipedream::account_id;
use crate::{Api, Problem, cross_site};
use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts as _, Path, Query, Request, State};
use axum::http::HeaderMap;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use causeway_catalog::FieldFormat;
use causeway_connect::{
    AppView, Choice, CreateError, DevicePrompt, FieldView, Finished, FlowError, How, LinkView,
    Progress, Started, Theme,
};
use causeway_types::entity::Scheme;
use causeway_types::{Code, ConnectionId, SecretString, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Refuses changing requests of other sites.
pub(crate) async fn own_requests(State(api): State<Api>, request: Request, next: Next) -> Response {
    match cross_site::check_customers(&api, request.method(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

/// What a page shows.
#[derive(Serialize)]
struct LinkBody {
    company: String,
    support_email: String,
    theme: Theme,
    customer: String,
    reconnect: Option<ReconnectBody>,
    return_url: Option<String>,
    allowed_origins: Vec<String>,
    expires_at: Timestamp,
    apps: Vec<ChoiceBody>,
    app: Option<AppBody>,
}

#[derive(Serialize)]
struct ReconnectBody {
    name: String,
    account: Option<String>,
}

#[derive(Serialize)]
struct ChoiceBody {
    slug: String,
    name: String,
    description: String,
    categories: Vec<&'static str>,
}

#[derive(Serialize)]
struct AppBody {
    slug: String,
    name: String,
    fields: Vec<FieldBody>,
    schemes: Vec<SchemeBody>,
}

#[derive(Serialize)]
struct SchemeBody {
    scheme: Scheme,
    /// `browser`, `device`, `keys` or `nothing`.
    how: &'static str,
    docs: String,
    fields: Vec<FieldBody>,
}

#[derive(Serialize)]
struct FieldBody {
    name: String,
    label: String,
    help: Option<String>,
    secret: bool,
    optional: bool,
    format: FieldFormat,
    options: Vec<OptionBody>,
    default: Option<String>,
    example: Option<String>,
    prefix: Option<String>,
    suffix: Option<String>,
}

#[derive(Serialize)]
struct OptionBody {
    value: String,
    label: String,
}

impl From<LinkView> for LinkBody {
    fn from(view: LinkView) -> Self {
        Self {
            company: view.company,
            support_email: view.support_email,
            theme: view.theme,
            customer: view.customer,
            reconnect: view
                .reconnect
                .map(|one| ReconnectBody { name: one.name, account: one.account }),
            return_url: view.return_url,
            allowed_origins: view.allowed_origins,
            expires_at: view.expires_at,
            apps: view
                .apps
                .into_iter()
                .map(|app| ChoiceBody {
                    slug: app.slug,
                    name: app.name,
                    description: app.description,
                    categories: app.categories,
                })
                .collect(),
            app: view.app.map(AppBody::from),
        }
    }
}

impl From<AppView> for AppBody {
    fn from(app: AppView) -> Self {
        let fields = |fields: Vec<FieldView>| fields.into_iter().map(FieldBody::from).collect();
        Self {
            slug: app.slug,
            name: app.name,
            fields: fields(app.fields),
            schemes: app
                .schemes
                .into_iter()
                .map(|way| SchemeBody {
                    scheme: way.scheme,
                    how: match way.how {
                        How::Browser => "browser",
                        How::Device => "device",
                        How::Keys => "keys",
                        How::Nothing => "nothing",
                    },
                    docs: way.docs,
                    fields: fields(way.fields),
                })
                .collect(),
        }
    }
}

impl From<FieldView> for FieldBody {
    fn from(field: FieldView) -> Self {
        let option = |(value, label)| OptionBody { value, label };
        Self {
            name: field.name,
            label: field.label,
            help: field.help,
            secret: field.secret,
            optional: field.optional,
            format: field.format,
            options: field.options.into_iter().map(option).collect(),
            default: field.default,
            example: field.example,
            prefix: field.prefix,
            suffix: field.suffix,
        }
    }
}

/// Shows what a link is for.
pub(crate) async fn session(
    State(api): State<Api>,
    path: Result<Path<String>, PathRejection>,
    query: Result<Query<ChosenApp>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let token = token_of(path);
    let chosen = ChosenApp::of(query);
    let visitor = visitor(&api, &headers);
    let opened = api.connect().open_link(&token, &visitor.browser, chosen.as_deref()).await;
    visitor.attach(match opened {
        Ok(view) => Json(LinkBody::from(view)).into_response(),
        Err(error) => Problem::from(error).into_response(),
    })
}

/// What the customer chose and typed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChoiceJson {
    app: Option<String>,
    scheme: Scheme,
    #[serde(default)]
    fields: BTreeMap<String, SecretString>,
    #[serde(default)]
    popup: bool,
}

impl From<ChoiceJson> for Choice {
    fn from(choice: ChoiceJson) -> Self {
        let ChoiceJson { app, scheme, fields, popup } = choice;
        Self { app, scheme: Some(scheme), fields, popup }
    }
}

/// Where the customer goes on.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum StartedBody {
    Redirect { url: String },
    Device(DeviceBody),
}

#[derive(Serialize)]
struct DeviceBody {
    user_code: String,
    verification_uri: String,
    verification_uri_complete: Option<String>,
    expires_at: Timestamp,
    /// Seconds after which a question for the progress can have news.
    interval: u32,
}

impl From<DevicePrompt> for DeviceBody {
    fn from(prompt: DevicePrompt) -> Self {
        Self {
            user_code: prompt.user_code,
            verification_uri: prompt.verification_uri,
            verification_uri_complete: prompt.verification_uri_complete,
            expires_at: prompt.expires_at,
            interval: prompt.interval,
        }
    }
}

/// A customer who goes on: the link, the browser, and what was chosen and typed.
pub(crate) struct GoingOn {
    token: String,
    visitor: Visitor,
    choice: Choice,
}

impl FromRequest<Api> for GoingOn {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let token = token_of(Path::from_request_parts(&mut parts, api).await);
        let visitor = visitor(api, &parts.headers);
        let request = Request::from_parts(parts, body);
        let JsonBody(choice) = JsonBody::<ChoiceJson>::from_request(request, api).await?;
        Ok(Self { token, visitor, choice: choice.into() })
    }
}

/// Begins a way to connect that leads through the app.
pub(crate) async fn start(
    State(api): State<Api>,
    GoingOn { token, visitor, choice }: GoingOn,
) -> Response {
    let started = api.connect().start(&token, &visitor.browser, choice).await;
    visitor.attach(match started {
        Ok(Started::Browser(url)) => {
            Json(StartedBody::Redirect { url: url.into() }).into_response()
        }
        Ok(Started::Device(prompt)) => Json(StartedBody::Device(prompt.into())).into_response(),
        Err(error) => refusal(error),
    })
}

/// A connection that was made or renewed.
#[derive(Serialize)]
struct FinishedBody {
    id: ConnectionId,
    /// The same id as the Pipedream contract writes it, for host pages made for that.
    account_id: String,
    name: String,
    app: String,
    app_name: String,
    account: Option<String>,
    return_url: Option<String>,
    missing_scopes: Vec<String>,
}

impl From<Finished> for FinishedBody {
    fn from(finished: Finished) -> Self {
        Self {
            id: finished.connection,
            account_id: account_id(finished.connection),
            name: finished.name,
            app: finished.app,
            app_name: finished.app_name,
            account: finished.account,
            return_url: finished.return_url,
            missing_scopes: finished.missing.0,
        }
    }
}

/// Takes what the customer typed.
pub(crate) async fn submit(
    State(api): State<Api>,
    GoingOn { token, visitor, choice }: GoingOn,
) -> Response {
    let submitted = api.connect().submit(&token, &visitor.browser, choice).await;
    visitor.attach(match submitted {
        Ok(finished) => Json(FinishedBody::from(finished)).into_response(),
        Err(error) => refusal(error),
    })
}

/// How far a link is.
#[derive(Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
enum ProgressBody {
    Open,
    Waiting { device: Option<DeviceBody> },
    Connected { connection: FinishedBody },
    Failed { code: String, detail: String },
}

/// Says how far a link is whose customer agrees elsewhere.
pub(crate) async fn progress(
    State(api): State<Api>,
    path: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Response {
    let token = token_of(path);
    let visitor = visitor(&api, &headers);
    let progress = api.connect().progress(&token, &visitor.browser).await;
    let body = match progress {
        Ok(Progress::Open) => ProgressBody::Open,
        Ok(Progress::Waiting(device)) => ProgressBody::Waiting { device: device.map(Into::into) },
        Ok(Progress::Connected(finished)) => {
            ProgressBody::Connected { connection: finished.into() }
        }
        Ok(Progress::Failed { code, text }) => ProgressBody::Failed { code, detail: text },
        Err(error) => return visitor.attach(refusal(error)),
    };
    visitor.attach(Json(body).into_response())
}

/// A failure, and the field that it is about.
fn refusal(error: FlowError) -> Response {
    let field = match &error {
        FlowError::Invalid(input) | FlowError::Create(CreateError::Invalid(input)) => {
            Some(input.field.clone())
        }
        _ => None,
    };
    Problem::from(error).about(field).into_response()
}

/// The metadata document of Causeway's client, for authorization servers that take its URL for a
/// client id (draft-ietf-oauth-client-id-metadata-document).
pub(crate) async fn client_metadata(
    State(api): State<Api>,
    path: Result<Path<String>, PathRejection>,
) -> Response {
    let id = token_of(path);
    let Ok(environment) = id.parse() else {
        return Problem::new(Code::NotFound, "There is no client of this id.").into_response();
    };
    match api.connect().client_metadata(environment).await {
        Ok(document) => {
            ([(axum::http::header::CACHE_CONTROL, "max-age=3600")], Json(document)).into_response()
        }
        Err(error) => Problem::from(error).into_response(),
    }
}
