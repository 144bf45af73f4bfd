//! What a directory can learn about this server (RFC 7644 section 4).

use super::answer::{Answer, ScimError, ScimObject};
use super::{ScimAuthorized, ScimId, ScimProblem};
use crate::Api;
use axum::extract::State;
use causeway_identity::action;
use causeway_identity::scim::{Kind, MAX_COUNT};
use serde_json::{Value, json};

const KINDS: [Kind; 2] = [Kind::User, Kind::Group];

/// Show what this server supports of SCIM.
#[utoipa::path(
    get, path = "/ServiceProviderConfig", tag = "scim", operation_id = "scim_service_provider_config",
    responses((status = 200, description = "What is supported.", body = ScimObject, content_type = "application/scim+json"), (status = "default", response = ScimError))
)]
pub(crate) async fn service_provider_config(
    State(api): State<Api>,
    ScimAuthorized(_permit): ScimAuthorized<action::ProvisionMembers>,
) -> Result<Answer, ScimProblem> {
    let supported = |supported: bool| json!({ "supported": supported });
    Ok(Answer::ok(json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
        "patch": supported(true),
        "bulk": { "supported": false, "maxOperations": 0, "maxPayloadSize": 0 },
        "filter": { "supported": true, "maxResults": MAX_COUNT },
        "changePassword": supported(false),
        "sort": supported(false),
        "etag": supported(false),
        "authenticationSchemes": [{
            "type": "oauthbearertoken",
            "name": "API key",
            "description": "An API key whose scopes name `members.provision`, as a bearer token.",
            "specUri": "https://www.rfc-editor.org/rfc/rfc6750",
            "primary": true,
        }],
        "meta": {
            "resourceType": "ServiceProviderConfig",
            "location": api.public("/scim/v2/ServiceProviderConfig"),
        },
    })))
}

/// List the types of resources.
#[utoipa::path(
    get, path = "/ResourceTypes", tag = "scim", operation_id = "scim_list_resource_types",
    responses((status = 200, description = "All of them.", body = ScimObject, content_type = "application/scim+json"), (status = "default", response = ScimError))
)]
pub(crate) async fn resource_types(
    State(api): State<Api>,
    ScimAuthorized(_permit): ScimAuthorized<action::ProvisionMembers>,
) -> Result<Answer, ScimProblem> {
    Ok(Answer::list(&KINDS.map(|kind| type_of(&api, kind))))
}

/// Show a type of resources.
#[utoipa::path(
    get, path = "/ResourceTypes/{name}", tag = "scim", operation_id = "scim_show_resource_type",
    params(("name" = String, Path)),
    responses((status = 200, description = "The type.", body = ScimObject, content_type = "application/scim+json"), (status = "default", response = ScimError))
)]
pub(crate) async fn resource_type(
    State(api): State<Api>,
    ScimAuthorized(_permit): ScimAuthorized<action::ProvisionMembers>,
    ScimId(name): ScimId,
) -> Result<Answer, ScimProblem> {
    let kind = KINDS.into_iter().find(|kind| kind.as_str() == name);
    Ok(Answer::ok(type_of(&api, kind.ok_or_else(ScimProblem::nothing_here)?)))
}

/// List the schemas: the attributes that Causeway keeps.
#[utoipa::path(
    get, path = "/Schemas", tag = "scim", operation_id = "scim_list_schemas",
    responses((status = 200, description = "All of them.", body = ScimObject, content_type = "application/scim+json"), (status = "default", response = ScimError))
)]
pub(crate) async fn schemas(
    State(api): State<Api>,
    ScimAuthorized(_permit): ScimAuthorized<action::ProvisionMembers>,
) -> Result<Answer, ScimProblem> {
    Ok(Answer::list(&KINDS.map(|kind| schema_of(&api, kind))))
}

/// Show a schema.
#[utoipa::path(
    get, path = "/Schemas/{urn}", tag = "scim", operation_id = "scim_show_schema",
    params(("urn" = String, Path)),
    responses((status = 200, description = "The schema.", body = ScimObject, content_type = "application/scim+json"), (status = "default", response = ScimError))
)]
pub(crate) async fn schema(
    State(api): State<Api>,
    ScimAuthorized(_permit): ScimAuthorized<action::ProvisionMembers>,
    ScimId(urn): ScimId,
) -> Result<Answer, ScimProblem> {
    let kind = KINDS.into_iter().find(|kind| kind.urn().eq_ignore_ascii_case(&urn));
    Ok(Answer::ok(schema_of(&api, kind.ok_or_else(ScimProblem::nothing_here)?)))
}

fn type_of(api: &Api, kind: Kind) -> Value {
    let name = kind.as_str();
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ResourceType"],
        "id": name,
        "name": name,
        "endpoint": format!("/{name}s"),
        "schema": kind.urn(),
        "schemaExtensions": [],
        "meta": {
            "resourceType": "ResourceType",
            "location": api.public(&format!("/scim/v2/ResourceTypes/{name}")),
        },
    })
}

fn schema_of(api: &Api, kind: Kind) -> Value {
    let mut schema = kind.schema();
    if let Some(fields) = schema.as_object_mut() {
        let location = api.public(&format!("/scim/v2/Schemas/{}", kind.urn()));
        fields.insert("meta".to_owned(), json!({ "resourceType": "Schema", "location": location }));
    }
    schema
}
