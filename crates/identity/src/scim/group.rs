//! Groups as SCIM's groups.

use super::ScimError;
use super::schema::Kind;
use super::user::{external_id, text};
use crate::groups::{GroupChange, NewMembers};
use causeway_types::MemberId;
use causeway_types::entity::{Group, Member};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// A group as a resource, without its address and its members.
pub(super) fn resource(group: &Group) -> Map<String, Value> {
    let mut resource = Map::from_iter([
        ("schemas".to_owned(), json!([Kind::Group.urn()])),
        ("id".to_owned(), group.id.to_string().into()),
        ("displayName".to_owned(), group.name.clone().into()),
        (
            "meta".to_owned(),
            json!({
                "resourceType": Kind::Group.as_str(),
                "created": group.created_at,
                "lastModified": group.updated_at,
            }),
        ),
    ]);
    if let Some(id) = &group.external_id {
        resource.insert("externalId".to_owned(), id.clone().into());
    }
    resource
}

/// The members of a group, as its resource shows them.
pub(super) fn members(members: &[Member]) -> Value {
    members
        .iter()
        .map(|member| json!({ "value": member.id, "display": member.name, "type": "User" }))
        .collect()
}

/// The same with nothing but their ids: what changes are made on.
pub(super) fn member_ids(members: &[MemberId]) -> Value {
    members.iter().map(|member| json!({ "value": member })).collect()
}

/// The group's name.
pub(super) fn name(new: &Map<String, Value>) -> Result<String, ScimError> {
    match new.get("displayName") {
        None | Some(Value::Null) => Err(ScimError::Missing("displayName")),
        Some(value) => text(value, "displayName").map(|name| name.trim().to_owned()),
    }
}

/// What `new` says that `old` does not. Members are told as what comes and goes, so that changes
/// at the same time do not undo each other.
pub(super) fn wanted(
    old: &Map<String, Value>,
    new: &Map<String, Value>,
) -> Result<GroupChange, ScimError> {
    let members = if old.get("members") == new.get("members") {
        None
    } else {
        let (there, wanted) = (ids(old)?, ids(new)?);
        Some(NewMembers::Changed {
            add: wanted.difference(&there).copied().collect(),
            remove: there.difference(&wanted).copied().collect(),
        })
    };
    Ok(GroupChange { name: Some(name(new)?), external_id: external_id(old, new)?, members })
}

/// The members that a resource names.
pub(super) fn ids(resource: &Map<String, Value>) -> Result<BTreeSet<MemberId>, ScimError> {
    let values = match resource.get("members") {
        None | Some(Value::Null) => return Ok(BTreeSet::new()),
        Some(Value::Array(values)) => values,
        Some(_) => return Err(ScimError::Type("members")),
    };
    let id = |value: &Value| {
        let text = value.get("value").and_then(Value::as_str);
        text.and_then(|text| text.parse().ok()).ok_or(ScimError::NoSuchUser)
    };
    values.iter().map(id).collect()
}
