//! Changes of a resource (RFC 7644 section 3.5.2), in the forms that Okta and Microsoft Entra send
//! them:
//!
//! - Okta: without a path, with the read-only `id` among the values; `members[value eq "…"]`.
//!   <https://developer.okta.com/docs/api/openapi/okta-scim/guides/scim-20>
//! - Entra: `Add`, `Replace`, `Remove` in capitals, `"False"` for false, `remove` of `members` with
//!   the members in `value`, paths as names of values (`"name.givenName": …`).
//!   <https://learn.microsoft.com/en-us/entra/identity/app-provisioning/application-provisioning-config-problem-scim-compatibility>

use super::ScimError;
use super::filter::{Path, Which};
use super::schema::{Attribute, Kind};
use crate::groups::MAX_GROUP_MEMBERS;
use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet};

/// The most operations of one request.
pub const MAX_OPERATIONS: usize = 1_000;
/// The most values of an attribute other than a group's members.
const MAX_VALUES: usize = 100;

/// The most values that the filters in the paths of one request are asked of.
const MAX_LOOKS: usize = 1_000_000;

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Add,
    Remove,
    Replace,
}

/// The value of a field whose name's case makes no difference (RFC 7643 section 2.1).
pub(super) fn field<'a>(body: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    body.get(name).or_else(|| {
        body.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    })
}

/// Applies all operations of a request to a resource, in their order.
pub(super) fn apply(
    kind: Kind,
    resource: &mut Map<String, Value>,
    request: &Map<String, Value>,
) -> Result<(), ScimError> {
    let operations = field(request, "Operations")
        .and_then(Value::as_array)
        .ok_or(ScimError::Syntax("`Operations` is missing or no list."))?;
    if operations.len() > MAX_OPERATIONS {
        return Err(ScimError::TooMany { what: "operations in a request", most: MAX_OPERATIONS });
    }
    let mut looked_at = 0;
    for operation in operations {
        let fields =
            operation.as_object().ok_or(ScimError::Syntax("An operation is no JSON object."))?;
        let verb = match field(fields, "op").and_then(Value::as_str) {
            Some(op) if op.eq_ignore_ascii_case("add") => Verb::Add,
            Some(op) if op.eq_ignore_ascii_case("remove") => Verb::Remove,
            Some(op) if op.eq_ignore_ascii_case("replace") => Verb::Replace,
            _ => return Err(ScimError::Syntax("`op` is one of `add`, `remove` and `replace`.")),
        };
        let value = field(fields, "value").unwrap_or(&Value::Null);
        match field(fields, "path") {
            None | Some(Value::Null) => without_path(kind, resource, verb, value)?,
            Some(Value::String(path)) => {
                let path = Path::read(kind, path).map_err(ScimError::Path)?;
                looked_at += looks(resource, &path);
                if looked_at > MAX_LOOKS {
                    let what = "values that the filters of one request look at";
                    return Err(ScimError::TooMany { what, most: MAX_LOOKS });
                }
                with_path(resource, verb, path, value)?;
            }
            Some(_) => return Err(ScimError::Syntax("`path` is a text.")),
        }
    }
    Ok(())
}

/// Replaces what a whole resource names, as `PUT` does: what cannot be written is left alone
/// (RFC 7644 section 3.5.1).
pub(super) fn replace(
    kind: Kind,
    resource: &mut Map<String, Value>,
    body: &Map<String, Value>,
) -> Result<(), ScimError> {
    for (name, value) in body {
        named(kind, resource, Verb::Replace, name, value)?;
    }
    Ok(())
}

fn without_path(
    kind: Kind,
    resource: &mut Map<String, Value>,
    verb: Verb,
    value: &Value,
) -> Result<(), ScimError> {
    if verb == Verb::Remove {
        return Err(ScimError::NoTarget);
    }
    let fields = value
        .as_object()
        .ok_or(ScimError::Syntax("An operation without `path` has an object as its `value`."))?;
    for (name, value) in fields {
        named(kind, resource, verb, name, value)?;
    }
    Ok(())
}

/// Sets what the name of a value stands for: an attribute, a path to one, or the URN of the schema
/// with its attributes. Whatever is not kept is passed over.
fn named(
    kind: Kind,
    resource: &mut Map<String, Value>,
    verb: Verb,
    name: &str,
    value: &Value,
) -> Result<(), ScimError> {
    if let (true, Some(fields)) = (name.eq_ignore_ascii_case(kind.urn()), value.as_object()) {
        for (name, value) in fields {
            if !name.eq_ignore_ascii_case(kind.urn()) {
                named(kind, resource, verb, name, value)?;
            }
        }
        return Ok(());
    }
    match Path::read(kind, name) {
        Ok(Path::Kept { attribute, which, sub }) if writable(attribute, sub) => {
            set(resource, verb, attribute, which.as_ref(), sub, value)
        }
        _ => Ok(()),
    }
}

/// How many values the filter of a path will be asked of.
fn looks(resource: &Map<String, Value>, path: &Path) -> usize {
    match path {
        Path::Kept { attribute, which: Some(which), .. } if which.value().is_none() => {
            resource.get(attribute.name).and_then(Value::as_array).map_or(0, Vec::len)
        }
        _ => 0,
    }
}

fn writable(attribute: &Attribute, sub: Option<&Attribute>) -> bool {
    attribute.writable && sub.is_none_or(|sub| sub.writable)
}

fn with_path(
    resource: &mut Map<String, Value>,
    verb: Verb,
    path: Path,
    value: &Value,
) -> Result<(), ScimError> {
    let Path::Kept { attribute, which, sub } = path else { return Ok(()) };
    if !writable(attribute, sub) {
        return Err(ScimError::ReadOnly(attribute.name));
    }
    match verb {
        Verb::Remove => remove(resource, attribute, which.as_ref(), sub, value),
        verb => set(resource, verb, attribute, which.as_ref(), sub, value)?,
    }
    Ok(())
}

fn set(
    resource: &mut Map<String, Value>,
    verb: Verb,
    attribute: &'static Attribute,
    which: Option<&Which>,
    sub: Option<&'static Attribute>,
    value: &Value,
) -> Result<(), ScimError> {
    if attribute.many {
        let mut values = take(resource, attribute.name);
        set_values(&mut values, verb, attribute, which, sub, value)?;
        resource.insert(attribute.name.to_owned(), values.into());
        return Ok(());
    }
    let place = resource.entry(attribute.name).or_insert(Value::Null);
    match sub {
        Some(sub) => put(place, sub.name, value),
        None if attribute.subs().is_empty() => *place = value.clone(),
        None => merge(attribute, place, value),
    }
    Ok(())
}

fn set_values(
    values: &mut Vec<Value>,
    verb: Verb,
    attribute: &'static Attribute,
    which: Option<&Which>,
    sub: Option<&'static Attribute>,
    value: &Value,
) -> Result<(), ScimError> {
    let set = |one: &mut Value| match sub {
        Some(sub) => put(one, sub.name, value),
        None => merge(attribute, one, value),
    };
    match which {
        None if sub.is_some() => values.iter_mut().for_each(set),
        None => {
            if verb == Verb::Replace {
                values.clear();
            }
            append(attribute, values, canonical_list(attribute, value))?;
        }
        Some(which) => {
            let mut hit = false;
            for one in values.iter_mut().filter(|one| which.is(one)) {
                hit = true;
                set(one);
            }
            if !hit {
                // RFC 7644 section 3.5.2.3 wants an error where nothing is to be replaced.
                let described = which.described().filter(|_| verb == Verb::Add);
                let mut made = Value::Object(described.ok_or(ScimError::NoTarget)?);
                set(&mut made);
                append(attribute, values, vec![made])?;
            }
        }
    }
    Ok(())
}

fn remove(
    resource: &mut Map<String, Value>,
    attribute: &'static Attribute,
    which: Option<&Which>,
    sub: Option<&'static Attribute>,
    value: &Value,
) {
    if !attribute.many {
        match (sub, resource.get_mut(attribute.name)) {
            (Some(sub), Some(Value::Object(fields))) => drop(fields.remove(sub.name)),
            _ => drop(resource.remove(attribute.name)),
        }
        return;
    }
    let mut values = take(resource, attribute.name);
    let is_meant = |one: &Value| which.is_none_or(|which| which.is(one));
    match sub {
        Some(sub) => {
            for one in values.iter_mut().filter(|one| is_meant(one)) {
                if let Value::Object(fields) = one {
                    fields.remove(sub.name);
                }
            }
        }
        None if which.is_none() && !value.is_null() => {
            let gone: HashSet<String> =
                canonical_list(attribute, value).iter().filter_map(key).collect();
            values.retain(|one| key(one).is_none_or(|key| !gone.contains(&key)));
        }
        None => match which.and_then(Which::value) {
            Some(gone) => {
                values.retain(|one| one.get("value").and_then(Value::as_str) != Some(gone));
            }
            None => values.retain(|one| !is_meant(one)),
        },
    }
    resource.insert(attribute.name.to_owned(), values.into());
}

/// Takes the values of an attribute that has several out of a resource.
fn take(resource: &mut Map<String, Value>, name: &str) -> Vec<Value> {
    match resource.remove(name) {
        Some(Value::Array(values)) => values,
        _ => Vec::new(),
    }
}

/// What a request gives as the values of an attribute, with the names of their fields as they are
/// written here. A text stands for a value.
fn canonical_list(attribute: &'static Attribute, value: &Value) -> Vec<Value> {
    let given = match value {
        Value::Null => &[],
        Value::Array(several) => several.as_slice(),
        one => std::slice::from_ref(one),
    };
    given
        .iter()
        // `{"members": […]}` as the value of `members`.
        .flat_map(|one| match one.as_object().and_then(|one| field(one, attribute.name)) {
            Some(Value::Array(inner)) => inner.as_slice(),
            _ => std::slice::from_ref(one),
        })
        .map(|one| match one {
            Value::Object(_) => {
                let mut made = Value::Null;
                merge(attribute, &mut made, one);
                made
            }
            simple => Value::Object(Map::from_iter([("value".to_owned(), simple.clone())])),
        })
        .collect()
}

/// Adds values, each once. A new primary one takes the place of the old (RFC 7644 section 3.5.2).
fn append(
    attribute: &'static Attribute,
    values: &mut Vec<Value>,
    new: Vec<Value>,
) -> Result<(), ScimError> {
    let most = if attribute.name == "members" { MAX_GROUP_MEMBERS } else { MAX_VALUES };
    let too_many = ScimError::TooMany { what: "values of an attribute", most };
    if new.len() > most {
        return Err(too_many);
    }
    let mut there: HashMap<String, usize> =
        values.iter().enumerate().filter_map(|(at, one)| Some((key(one)?, at))).collect();
    for one in new {
        if one.get("primary") == Some(&Value::Bool(true)) {
            for old in values.iter_mut() {
                put(old, "primary", &Value::Bool(false));
            }
        }
        let at = values.len();
        let at = key(&one).map_or(at, |key| *there.entry(key).or_insert(at));
        match values.get_mut(at) {
            Some(old) => *old = one,
            None => values.push(one),
        }
    }
    if values.len() > most { Err(too_many) } else { Ok(()) }
}

/// What tells values apart.
fn key(value: &Value) -> Option<String> {
    value.get("value").and_then(Value::as_str).map(str::to_owned)
}

fn put(place: &mut Value, name: &str, value: &Value) {
    if !place.is_object() {
        *place = Value::Object(Map::new());
    }
    if let Value::Object(fields) = place {
        fields.insert(name.to_owned(), value.clone());
    }
}

/// Sets the sub-attributes that a value names.
fn merge(attribute: &'static Attribute, place: &mut Value, value: &Value) {
    for (name, value) in value.as_object().into_iter().flatten() {
        if let Some(sub) = attribute.sub(name) {
            put(place, sub.name, value);
        }
    }
    if !place.is_object() {
        *place = Value::Object(Map::new());
    }
}
