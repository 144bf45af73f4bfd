//! Who calls, and where: what handlers of the contract take.

use super::{cors, ids};
use crate::extract::caller;
use crate::{Api, Problem, rate_limit};
use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use causeway_connect::{Holder, SelfLimitError, Whose};
use causeway_identity::action::{Action, CustomerAction, ReadApps, ReadConnections};
use causeway_identity::{Caller, Permit, authorize};
use causeway_types::entity::EnvironmentKind;
use causeway_types::{Code, ProjectId, Tenant, WorkspaceId};
use std::time::Duration;

/// The header in which a program names its environment.
const ENVIRONMENT: &str = "x-pd-environment";
/// The header that names a limit which a program has set itself.
const RATE_LIMIT: &str = "x-pd-rate-limit";

/// Marks the requests of a listener that answers customers only.
#[derive(Debug, Clone, Copy)]
pub(super) struct CustomersOnly;

/// A request that is refused before its handler sees it.
pub(crate) struct Refusal {
    problem: Problem,
    wait: Option<Duration>,
}

impl<E: Into<Problem>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self { problem: error.into(), wait: None }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = self.problem.into_response();
        if let Some(wait) = self.wait {
            response.headers_mut().insert(header::RETRY_AFTER, wait.as_secs().max(1).into());
        }
        response
    }
}

/// Whoever a request's credential belongs to.
enum Known {
    Program(Caller),
    Customer(Holder),
}

/// A program in the project and environment that it names, and its permit: naming it as an argument
/// is how an operation says that no customer may use it.
pub(crate) struct Program<A: Action>(pub(super) Permit<A>);

/// A program or a customer, in the project that the path names or the token knows.
pub(crate) enum Who<A: CustomerAction> {
    /// A program, for its whole environment.
    Program {
        /// Its permit.
        permit: Permit<A>,
        /// The program, for what else it may ask for.
        caller: Caller,
    },
    /// A customer, for what is his own.
    Customer(Holder),
}

/// A program in its workspace: naming it as an argument is how an operation says that it is no
/// matter of one project.
pub(crate) struct InWorkspace<A: Action> {
    pub(super) permit: Permit<A>,
    pub(super) caller: Caller,
}

/// A program that may read the catalogue, or a customer.
pub(crate) struct Reader;

/// A program in its environment, whichever project that is in.
pub(crate) struct InEnvironment<A: Action>(pub(super) Permit<A>);

/// A program or a customer, and where they are.
pub(crate) struct Somebody(pub(super) Tenant);

impl<A: CustomerAction<Within = Tenant>> Who<A> {
    /// On whose connections they act.
    pub(super) fn whose(&self) -> Result<Whose<'_, A>, Problem> {
        Ok(match self {
            Self::Program { permit, .. } => Whose::All(permit),
            Self::Customer(holder) => Whose::own(holder)?,
        })
    }
}

impl<A: Action<Within = Tenant> + 'static> FromRequestParts<Api> for Program<A> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Refusal> {
        match in_project(parts, api).await? {
            Known::Program(caller) => Ok(Self(authorize::<A>(&caller, api.clock().now())?)),
            Known::Customer(_) => Err(not_for_customers().into()),
        }
    }
}

impl<A: CustomerAction<Within = Tenant> + 'static> FromRequestParts<Api> for Who<A> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Refusal> {
        Ok(match in_project(parts, api).await? {
            Known::Program(caller) => {
                Self::Program { permit: authorize::<A>(&caller, api.clock().now())?, caller }
            }
            Known::Customer(holder) => Self::Customer(holder),
        })
    }
}

impl<A: Action<Within = WorkspaceId> + 'static> FromRequestParts<Api> for InWorkspace<A> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Refusal> {
        match known(parts, api).await? {
            Known::Program(caller) => {
                Ok(Self { permit: authorize::<A>(&caller, api.clock().now())?, caller })
            }
            Known::Customer(_) => Err(not_for_customers().into()),
        }
    }
}

impl<A: Action<Within = Tenant> + 'static> FromRequestParts<Api> for InEnvironment<A> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Refusal> {
        match known(parts, api).await? {
            Known::Program(caller) => Ok(Self(authorize::<A>(&caller, api.clock().now())?)),
            Known::Customer(_) => Err(not_for_customers().into()),
        }
    }
}

impl FromRequestParts<Api> for Reader {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Refusal> {
        let found = known(parts, api).await?;
        // With a project in the path, it has to be the caller's.
        if names_project(parts, api).await {
            check_place(&found, parts, api).await?;
        }
        if let Known::Program(caller) = found {
            authorize::<ReadApps>(&caller, api.clock().now())?;
        }
        Ok(Self)
    }
}

impl FromRequestParts<Api> for Somebody {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Refusal> {
        Ok(Self(match in_project(parts, api).await? {
            Known::Program(caller) => {
                authorize::<ReadConnections>(&caller, api.clock().now())?.tenant()
            }
            Known::Customer(holder) => holder.tenant(),
        }))
    }
}

/// Finds out who calls, and counts the request.
async fn known(parts: &mut Parts, api: &Api) -> Result<Known, Refusal> {
    let token = bearer(&parts.headers).map(str::to_owned);
    let found = match token {
        None => {
            return Err(Problem::new(
                Code::Unauthenticated,
                "Send an access token, an API key or a connect token as `Authorization: Bearer …`.",
            )
            .into());
        }
        Some(token) if token.starts_with(ids::TOKEN) => {
            Known::Customer(customer(parts, api, &token).await?)
        }
        Some(_) if parts.extensions.get::<CustomersOnly>().is_some() => {
            return Err(Problem::new(
                Code::Unauthenticated,
                "This listener answers customers with a connect token. Programs call the one of the API.",
            )
            .into());
        }
        Some(_) => Known::Program(caller(parts, api).await?),
    };
    if let Some(limit) = parts.headers.get(RATE_LIMIT) {
        let tenant = match &found {
            Known::Program(caller) => caller.place().environment(),
            Known::Customer(holder) => Some(holder.tenant()),
        };
        let limit = limit.to_str().map_err(|_| SelfLimitError::Malformed)?;
        if let Some(tenant) = tenant {
            count(api, tenant, limit).await?;
        }
    }
    Ok(found)
}

/// Counts a request against the limit that it names.
async fn count(api: &Api, tenant: Tenant, limit: &str) -> Result<(), Refusal> {
    api.connect().count_against(tenant, limit).await.map_err(|error| {
        let wait = match &error {
            SelfLimitError::Reached { wait } => Some(*wait),
            _ => None,
        };
        Refusal { problem: error.into(), wait }
    })
}

/// The customer who holds a token, if the page that sends it is one that the token names.
async fn customer(parts: &Parts, api: &Api, token: &str) -> Result<Holder, Refusal> {
    let holder = api.connect().holder(ids::link(token).expose()).await?;
    rate_limit::charge_actor(parts, api, holder.actor(), holder.tenant().workspace)?;
    if let Some(origin) = cors::origin(&parts.headers) {
        let origin = origin.to_str().unwrap_or_default();
        if origin != api.origin() && !holder.is_called_from(origin) {
            return Err(Problem::new(
                Code::CrossSite,
                "The connect token does not name the origin of this page. Make one with it in `allowed_origins`.",
            )
            .into());
        }
        cors::admit(parts);
    }
    Ok(holder)
}

/// Who calls, in the project that the path names, or that the token knows. A program names its
/// environment too.
async fn in_project(parts: &mut Parts, api: &Api) -> Result<Known, Refusal> {
    let found = known(parts, api).await?;
    check_place(&found, parts, api).await?;
    Ok(found)
}

/// Whether whoever calls is where the path and the header say.
async fn check_place(found: &Known, parts: &mut Parts, api: &Api) -> Result<(), Refusal> {
    let named = project_of(parts, api).await?;
    match found {
        Known::Customer(holder) => {
            if named.is_some_and(|project| project != holder.tenant().project) {
                return Err(unknown_project().into());
            }
        }
        Known::Program(caller) => {
            let project = named.ok_or_else(|| {
                Problem::new(
                    Code::InvalidRequest,
                    "Name the project: /v1/connect/{project_id}/…. Only a connect token knows its own.",
                )
            })?;
            let tenant = caller.place().environment().ok_or_else(unknown_project)?;
            if project != tenant.project {
                return Err(unknown_project().into());
            }
            let asked = environment(&parts.headers)?;
            if asked != api.connect().kind_of(tenant.environment).await? {
                return Err(Problem::new(
                    Code::EnvironmentRequired,
                    format!("The credential is not of the environment `{asked}`. Use one that was made there."),
                )
                .into());
            }
        }
    }
    Ok(())
}

async fn names_project(parts: &mut Parts, api: &Api) -> bool {
    !matches!(project_of(parts, api).await, Ok(None))
}

/// The project that the path names. What is no id is no project.
async fn project_of(parts: &mut Parts, api: &Api) -> Result<Option<ProjectId>, Problem> {
    let Ok(params) = RawPathParams::from_request_parts(parts, api).await else { return Ok(None) };
    let named = params.iter().find(|(name, _)| *name == "project");
    named.map(|(_, text)| ids::read_project(text)).transpose()
}

fn environment(headers: &HeaderMap) -> Result<EnvironmentKind, Problem> {
    let named = headers.get(ENVIRONMENT).and_then(|value| value.to_str().ok());
    named.and_then(|text| text.parse().ok()).ok_or_else(|| {
        Problem::new(
            Code::EnvironmentRequired,
            "Send `x-pd-environment: development` or `x-pd-environment: production`.",
        )
    })
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn unknown_project() -> Problem {
    Problem::new(Code::NotFound, "There is no such project for this credential.")
}

fn not_for_customers() -> Problem {
    Problem::new(
        Code::Denied,
        "A connect token is not enough for this. Send an access token or an API key, from a server.",
    )
}
