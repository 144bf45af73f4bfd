//! Accounts: operations 4 to 8.

use super::account::Account;
use super::apps::AppPath;
use super::caller::{Program, Who};
use super::ids;
use super::paging::{Paged, window};
use super::params::Params;
use crate::extract::JsonBody;
use crate::{Api, Problem};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use causeway_connect::{AccountsOf, NewAccount};
use causeway_identity::action::{ExportCredentials, ReadConnections, WriteConnections};
use causeway_identity::authorize;
use causeway_types::entity::ConnectionOverview;
use causeway_types::{Code, ConnectionId, SecretString};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// The id in a path, with or without a project before it.
#[derive(Deserialize)]
pub(crate) struct IdPath {
    pub(super) id: String,
}

/// A new account, by key.
#[derive(Deserialize)]
pub(crate) struct Body {
    app_slug: String,
    /// The fields as a JSON object, as text.
    cfmap_json: Option<SecretString>,
    connect_token: Option<SecretString>,
    name: Option<String>,
    account_id: Option<String>,
    app_override_id: Option<String>,
}

/// Lists accounts.
pub(crate) async fn list(
    State(api): State<Api>,
    who: Who<ReadConnections>,
    params: Params,
) -> Result<Json<Paged<Account>>, Problem> {
    let of = AccountsOf {
        customer: params.owned("external_user_id"),
        app: params.get("app").map(|app| slug_of(&api, app)),
        oauth_client: params.get("oauth_app_id").map(ids::read_oauth_app).transpose()?,
    };
    let listed = api.connect().accounts(&who.whose()?, &of, window(&params)?).await?;
    let mut credentials = credentials(&api, &who, &params, &listed.items).await?;
    let show = |one: ConnectionOverview| {
        let own = credentials.remove(&one.id);
        Account::of(api.catalog(), one).with_credentials(own)
    };
    Ok(Json(Paged::of(listed, |one| one.id.to_string(), show)))
}

/// Shows an account.
pub(crate) async fn show(
    State(api): State<Api>,
    who: Who<ReadConnections>,
    Path(path): Path<IdPath>,
    params: Params,
) -> Result<Json<Account>, Problem> {
    let id = ids::read_account(&path.id)?;
    let one = api.connect().account(&who.whose()?, id).await?;
    let mut found = credentials(&api, &who, &params, std::slice::from_ref(&one)).await?;
    let own = found.remove(&one.id);
    Ok(Json(Account::of(api.catalog(), one).with_credentials(own)))
}

/// Makes an account by key, or gives one new keys.
pub(crate) async fn create(
    State(api): State<Api>,
    who: Who<WriteConnections>,
    params: Params,
    JsonBody(body): JsonBody<Body>,
) -> Result<Json<Account>, Problem> {
    let new = NewAccount {
        customer: params.owned("external_user_id"),
        app: ids::known_app(&api, &body.app_slug)?.slug.to_string(),
        name: body.name.filter(|name| !name.is_empty()),
        fields: fields(body.cfmap_json.as_ref())?,
        token: body.connect_token.map(|token| ids::link(token.expose())),
        reconnect: body.account_id.as_deref().map(ids::read_account).transpose()?,
        app_override: body.app_override_id.as_deref().map(ids::read_app_override).transpose()?,
    };
    let made = api.connect().create_account(&who.whose()?, new).await?;
    Ok(Json(Account::of(api.catalog(), made)))
}

/// Deletes an account.
pub(crate) async fn delete(
    State(api): State<Api>,
    who: Who<WriteConnections>,
    Path(path): Path<IdPath>,
) -> Result<StatusCode, Problem> {
    api.connect().delete_account(&who.whose()?, ids::read_account(&path.id)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Deletes all accounts at an app.
pub(crate) async fn delete_of_app(
    State(api): State<Api>,
    Program(permit): Program<WriteConnections>,
    Path(path): Path<AppPath>,
) -> Result<StatusCode, Problem> {
    let app = ids::known_app(&api, &path.app)?;
    api.connect().delete_accounts_of_app(&permit, app.slug.as_str()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The slug of an app that is filtered by; one that does not exist has no accounts.
pub(super) fn slug_of(api: &Api, app: &str) -> String {
    ids::find_app(api, app).map_or_else(|| app.to_owned(), |app| app.slug.to_string())
}

/// The credentials of accounts in clear, if they are asked for.
pub(super) async fn credentials(
    api: &Api,
    who: &Who<ReadConnections>,
    params: &Params,
    accounts: &[ConnectionOverview],
) -> Result<BTreeMap<ConnectionId, Box<RawValue>>, Problem> {
    if params.flag("include_credentials")? != Some(true) {
        return Ok(BTreeMap::new());
    }
    let Who::Program { caller, .. } = who else {
        return Err(Problem::new(
            Code::Denied,
            "A connect token gets no credentials. Ask with an access token, from a server.",
        ));
    };
    let permit = authorize::<ExportCredentials>(caller, api.clock().now())?;
    let ids: Vec<ConnectionId> = accounts.iter().map(|one| one.id).collect();
    let exported = api.connect().export_credentials(&permit, &ids).await?;
    // Texts and the JSON that was made of them.
    let shown = |one: causeway_connect::Exported| {
        let text = std::str::from_utf8(one.values.expose()).ok()?.to_owned();
        Some((one.connection, RawValue::from_string(text).ok()?))
    };
    Ok(exported.into_iter().filter_map(shown).collect())
}

/// Reads the fields of an account: an object of texts; numbers and booleans become texts.
fn fields(json: Option<&SecretString>) -> Result<BTreeMap<String, SecretString>, Problem> {
    let Some(json) = json else { return Ok(BTreeMap::new()) };
    let wrong = || {
        Problem::new(
            Code::InvalidRequest,
            "`cfmap_json` is not a JSON object, written as a text, of fields and their values.",
        )
    };
    let read: BTreeMap<String, Field> = serde_json::from_str(json.expose()).map_err(|_| wrong())?;
    Ok(read.into_iter().filter_map(|(name, field)| Some((name, field.text()?))).collect())
}

/// A field's value.
#[derive(Deserialize)]
#[serde(untagged)]
enum Field {
    Text(SecretString),
    Flag(bool),
    Number(serde_json::Number),
    Nothing(()),
}

impl Field {
    fn text(self) -> Option<SecretString> {
        match self {
            Self::Text(text) => Some(text),
            Self::Flag(flag) => Some(SecretString::new(flag.to_string())),
            Self::Number(number) => Some(SecretString::new(number.to_string())),
            Self::Nothing(()) => None,
        }
    }
}
