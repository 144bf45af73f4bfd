//! Members as SCIM's users.

use super::ScimError;
use super::patch::field;
use super::schema::Kind;
use crate::email::Email;
use crate::members::ExternalId;
use causeway_types::entity::{Group, Member, MemberState};
use serde_json::{Map, Value, json};

/// The longest name of a user, and the longest `externalId`, in characters.
pub const MAX_TEXT: usize = 255;

/// How a user shall be: what is None stays as it is.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) email: Option<Email>,
    pub(super) name: Option<String>,
    pub(super) external_id: ExternalId,
    pub(super) state: Option<MemberState>,
}

/// A member as a resource, without its address and its groups.
pub(super) fn resource(member: &Member) -> Map<String, Value> {
    let (given, family) = split_name(&member.name);
    let mut name = json!({ "formatted": member.name, "givenName": given });
    if let (Some(family), Some(fields)) = (family, name.as_object_mut()) {
        fields.insert("familyName".to_owned(), family.into());
    }
    let mut resource = Map::from_iter([
        ("schemas".to_owned(), json!([Kind::User.urn()])),
        ("id".to_owned(), member.id.to_string().into()),
        ("userName".to_owned(), member.email.clone().into()),
        ("name".to_owned(), name),
        ("displayName".to_owned(), member.name.clone().into()),
        ("active".to_owned(), (member.state == MemberState::Active).into()),
        ("emails".to_owned(), json!([{ "value": member.email, "type": "work", "primary": true }])),
        (
            "meta".to_owned(),
            json!({
                "resourceType": Kind::User.as_str(),
                "created": member.created_at,
                "lastModified": member.updated_at,
            }),
        ),
    ]);
    if let Some(id) = &member.external_id {
        resource.insert("externalId".to_owned(), id.clone().into());
    }
    resource
}

/// The groups of a user, as their resource shows them.
pub(super) fn groups(groups: &[Group]) -> Value {
    groups
        .iter()
        .map(|group| json!({ "value": group.id, "display": group.name, "type": "direct" }))
        .collect()
}

/// What `new` says that `old` does not. For a user that is made, `old` is empty.
pub(super) fn wanted(
    old: &Map<String, Value>,
    new: &Map<String, Value>,
) -> Result<Wanted, ScimError> {
    Ok(Wanted {
        email: email(old, new)?,
        name: name(old, new)?,
        external_id: external_id(old, new)?,
        state: active(old, new)?,
    })
}

/// `userName` and the primary address are one. An address that changes alone, or two that differ,
/// are refused rather than guessed at: it decides who can sign in as the user.
fn email(old: &Map<String, Value>, new: &Map<String, Value>) -> Result<Option<Email>, ScimError> {
    let read = |value: &Value, attribute| {
        let text = value.as_str().ok_or(ScimError::Type(attribute))?;
        text.parse::<Email>().map_err(|source| ScimError::Email { attribute, source })
    };
    let user_name = match new.get("userName") {
        None | Some(Value::Null) => return Err(ScimError::Missing("userName")),
        Some(value) if old.get("userName") == Some(value) => None,
        Some(value) => Some(read(value, "userName")?),
    };
    if old.get("emails") != new.get("emails")
        && let Some(address) = primary(new.get("emails"))
    {
        let address = read(address, "emails")?;
        let known = old.get("userName").and_then(Value::as_str);
        let counts = user_name.as_ref().map(Email::as_str).or(known);
        if counts != Some(address.as_str()) {
            return Err(ScimError::TwoAddresses);
        }
    }
    // Another spelling of the same address changes nothing.
    Ok(user_name.filter(|new| old.get("userName").and_then(Value::as_str) != Some(new.as_str())))
}

/// The address that counts: the primary one, else the one of work, else the only one.
fn primary(emails: Option<&Value>) -> Option<&Value> {
    let emails = emails.and_then(Value::as_array)?;
    let is = |one: &&Value, name: &str, value: Value| one.get(name) == Some(&value);
    let found = emails
        .iter()
        .find(|one| is(one, "primary", Value::Bool(true)))
        .or_else(|| emails.iter().find(|one| is(one, "type", "work".into())))
        .or_else(|| emails.first().filter(|_| emails.len() == 1))?;
    found.get("value").filter(|value| !value.is_null())
}

/// The name: as far as it changes, `displayName`, else the formatted name, else its two parts.
fn name(old: &Map<String, Value>, new: &Map<String, Value>) -> Result<Option<String>, ScimError> {
    let part =
        |resource: &Map<String, Value>, path: &[&str]| -> Result<Option<String>, ScimError> {
            let mut value = None;
            for (depth, name) in path.iter().enumerate() {
                value = if depth == 0 {
                    resource.get(*name)
                } else {
                    value.and_then(|v: &Value| v.get(*name))
                };
            }
            match value {
                None | Some(Value::Null) => Ok(None),
                Some(value) => text(value, "name").map(|text| Some(text.trim().to_owned())),
            }
        };
    let changed = |path: &[&str]| -> Result<Option<String>, ScimError> {
        let now = part(new, path)?.filter(|now| !now.is_empty());
        Ok(now.filter(|now| part(old, path).ok().flatten().as_ref() != Some(now)))
    };
    if let Some(name) = changed(&["displayName"])? {
        return Ok(Some(name));
    }
    if let Some(name) = changed(&["name", "formatted"])? {
        return Ok(Some(name));
    }
    let (given, family) = (&["name", "givenName"][..], &["name", "familyName"][..]);
    if changed(given)?.is_none() && changed(family)?.is_none() {
        return Ok(None);
    }
    let both = [part(new, given)?, part(new, family)?];
    let name = both.into_iter().flatten().collect::<Vec<_>>().join(" ");
    Ok(Some(name.trim().to_owned()).filter(|name| !name.is_empty()))
}

/// What comes before the last space, and what after it.
fn split_name(name: &str) -> (&str, Option<&str>) {
    name.rsplit_once(' ').map_or((name, None), |(given, family)| (given, Some(family)))
}

fn active(
    old: &Map<String, Value>,
    new: &Map<String, Value>,
) -> Result<Option<MemberState>, ScimError> {
    let active = match new.get("active") {
        None | Some(Value::Null) => return Ok(None),
        value if value == old.get("active") => return Ok(None),
        Some(Value::Bool(active)) => *active,
        // Microsoft Entra sends it so, unless it is told not to.
        Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => true,
        Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => false,
        Some(_) => return Err(ScimError::Type("active")),
    };
    Ok(Some(if active { MemberState::Active } else { MemberState::Deactivated }))
}

/// What the directory calls it: set, taken away, or left.
pub(super) fn external_id(
    old: &Map<String, Value>,
    new: &Map<String, Value>,
) -> Result<ExternalId, ScimError> {
    if old.get("externalId") == new.get("externalId") {
        return Ok(ExternalId::Kept);
    }
    match new.get("externalId") {
        None | Some(Value::Null) => Ok(ExternalId::Now(None)),
        Some(value) => {
            let text = text(value, "externalId")?;
            Ok(ExternalId::Now(Some(text.to_owned()).filter(|text| !text.is_empty())))
        }
    }
}

/// A text that can be kept.
pub(super) fn text<'a>(value: &'a Value, attribute: &'static str) -> Result<&'a str, ScimError> {
    let text = value.as_str().ok_or(ScimError::Type(attribute))?;
    let fits = text.chars().take(MAX_TEXT + 1).count() <= MAX_TEXT;
    if !fits || text.contains(char::is_control) {
        return Err(ScimError::Text(attribute));
    }
    Ok(text)
}

/// The fields of a whole resource, as they are named here.
pub(super) fn known(
    kind: Kind,
    body: &Map<String, Value>,
) -> Result<Map<String, Value>, ScimError> {
    if let Some(schemas) = field(body, "schemas").and_then(Value::as_array)
        && !schemas
            .iter()
            .any(|one| one.as_str().is_some_and(|one| one.eq_ignore_ascii_case(kind.urn())))
    {
        return Err(ScimError::Syntax("`schemas` does not name the schema of this resource."));
    }
    let mut resource = Map::new();
    super::patch::replace(kind, &mut resource, body)?;
    Ok(resource)
}
