//! What SCIM answers.

use crate::{Api, Problem};
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use causeway_identity::scim::{self, Kind, Resource};
use causeway_types::Code;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, schema::Schema};
use utoipa::{PartialSchema, ToResponse, ToSchema};

/// SCIM's media type (RFC 7644 section 3.1).
const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/scim+json");

/// An answer that is no error.
pub(crate) struct Answer {
    status: StatusCode,
    location: Option<String>,
    body: Value,
}

impl Answer {
    /// Status 200.
    pub(crate) fn ok(body: impl Into<Value>) -> Self {
        Self { status: StatusCode::OK, location: None, body: body.into() }
    }

    /// Status 201, with the address of what was made.
    pub(crate) fn created(body: Resource) -> Self {
        let location = body.get("meta").and_then(|meta| meta.get("location"));
        let location = location.and_then(Value::as_str).map(str::to_owned);
        Self { status: StatusCode::CREATED, location, body: body.into() }
    }

    /// A list that is short and whole (RFC 7644 section 3.4.2).
    pub(crate) fn list(resources: &[Value]) -> Self {
        Self::page(i64::try_from(resources.len()).unwrap_or(i64::MAX), 1, resources)
    }

    /// A page of a list.
    pub(crate) fn page(total: i64, start: i64, resources: &[Value]) -> Self {
        Self::ok(json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
            "totalResults": total,
            "startIndex": start,
            "itemsPerPage": resources.len(),
            "Resources": resources,
        }))
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, MEDIA_TYPE);
        if let Some(location) = self.location.and_then(|at| HeaderValue::try_from(at).ok()) {
            headers.insert(header::LOCATION, location);
        }
        response
    }
}

/// Puts the addresses into a resource that depend on where the world reaches this server.
pub(crate) fn with_addresses(api: &Api, kind: Kind, mut resource: Resource) -> Resource {
    let at = |kind: Kind, id: &str| api.public(&format!("/scim/v2/{}s/{id}", kind.as_str()));
    let id = resource.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
    if let Some(meta) = resource.get_mut("meta").and_then(Value::as_object_mut) {
        meta.insert("location".to_owned(), at(kind, &id).into());
    }
    let (relation, other) = match kind {
        Kind::User => ("groups", Kind::Group),
        Kind::Group => ("members", Kind::User),
    };
    for one in resource.get_mut(relation).and_then(Value::as_array_mut).into_iter().flatten() {
        let address = one.get("value").and_then(Value::as_str).map(|id| at(other, id));
        if let (Some(fields), Some(address)) = (one.as_object_mut(), address) {
            fields.insert("$ref".to_owned(), address.into());
        }
    }
    resource
}

/// A refusal in SCIM's form.
#[derive(Debug)]
pub(crate) struct ScimProblem {
    problem: Box<Problem>,
    scim_type: Option<&'static str>,
}

/// An error answer of SCIM (RFC 7644 section 3.12), with Causeway's code and the request's id.
#[derive(Debug, Serialize, ToSchema, ToResponse)]
#[serde(rename_all = "camelCase")]
#[response(
    description = "What is wrong, where, and what to do.",
    content_type = "application/scim+json"
)]
pub(crate) struct ScimError {
    /// `urn:ietf:params:scim:api:messages:2.0:Error`.
    schemas: [&'static str; 1],
    /// The HTTP status, as a text.
    status: String,
    /// SCIM's word for it, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    scim_type: Option<&'static str>,
    /// What happened here.
    detail: String,
    /// Causeway's stable code: `/problems/<code>` explains it.
    code: String,
    /// The request's id, as in `x-request-id`.
    #[serde(rename = "request_id", skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
}

impl ScimProblem {
    /// The same, with SCIM's word for it.
    pub(crate) fn of_type(self, scim_type: &'static str) -> Self {
        Self { scim_type: Some(scim_type), ..self }
    }

    /// There is nothing under this id.
    pub(crate) fn nothing_here() -> Self {
        Problem::new(Code::NotFound, "There is no such resource.").into()
    }

    /// A parameter of the query that cannot be used.
    pub(crate) fn parameter(detail: &'static str) -> Self {
        Self::from(Problem::new(Code::InvalidRequest, detail)).of_type("invalidValue")
    }
}

impl From<Problem> for ScimProblem {
    fn from(problem: Problem) -> Self {
        Self { problem: Box::new(problem), scim_type: None }
    }
}

impl From<scim::ScimError> for ScimProblem {
    fn from(error: scim::ScimError) -> Self {
        let scim_type = error.scim_type();
        Self { problem: Box::new(error.into()), scim_type }
    }
}

impl IntoResponse for ScimProblem {
    fn into_response(self) -> Response {
        let written = serde_json::to_value(&*self.problem).unwrap_or_default();
        let code = written.get("code").and_then(Value::as_str).unwrap_or_default();
        let body = ScimError {
            schemas: ["urn:ietf:params:scim:api:messages:2.0:Error"],
            status: self.problem.status().as_str().to_owned(),
            scim_type: self.scim_type,
            detail: self.problem.detail().to_owned(),
            code: code.to_owned(),
            request_id: self.problem.request_id().map(str::to_owned),
        };
        // Status, counter and headers are those of every problem.
        let (mut parts, _) = self.problem.into_response().into_parts();
        parts.headers.insert(header::CONTENT_TYPE, MEDIA_TYPE);
        parts.headers.remove(header::CONTENT_LENGTH);
        let body = serde_json::to_vec(&body).unwrap_or_default();
        Response::from_parts(parts, body.into())
    }
}

/// A SCIM resource or message, for the document: what it holds is in the schemas at
/// `/scim/v2/Schemas`.
pub(crate) struct ScimObject;

impl PartialSchema for ScimObject {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::Object)
            .description(Some("A resource or a message of SCIM 2.0 (RFC 7643, RFC 7644)."))
            .into()
    }
}

impl ToSchema for ScimObject {}
