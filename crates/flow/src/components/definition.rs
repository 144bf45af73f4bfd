//! What a component says of itself, as far as it is believed.

use super::ComponentError;
use causeway_types::entity::ComponentKind;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// The most props that a component may have.
const MAX_PROPS: usize = 200;
/// The longest key or name of a prop, in bytes.
const MAX_NAME: usize = 200;
/// The longest name and the longest description of a component, in bytes.
const MAX_TEXT: usize = 10_000;
/// The largest of the three numbers of a version.
const MAX_NUMBER: u32 = 999_999;

/// Types of props that every component may have.
const TYPES: &[&str] = &[
    "string",
    "string[]",
    "integer",
    "integer[]",
    "boolean",
    "boolean[]",
    "object",
    "any",
    "app",
    "http_request",
    "alert",
    "$.airtable.baseId",
    "$.airtable.tableId",
    "$.airtable.viewId",
    "$.airtable.fieldId",
    "$.discord.channel",
    "$.discord.channel[]",
];
/// Types that only sources may have.
const TYPES_OF_SOURCES: &[&str] =
    &["$.interface.http", "$.interface.timer", "$.interface.apphook", "$.service.db"];

/// The part of a component's description that is kept sealed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Definition {
    /// The path of its file in its folder.
    pub entry: String,
    /// The hosts that its code may reach beyond those of its apps.
    pub egress: Vec<String>,
    /// What it says of its effects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<Value>,
    /// Its props, in its author's order.
    pub props: Vec<PropDefinition>,
}

/// The definition of a prop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PropDefinition {
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Everything else that is said of it: label, description, default and so on.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// A description as the runner gives it.
#[derive(Debug, Deserialize)]
pub(super) struct Described {
    pub(super) key: Option<Value>,
    pub(super) name: Option<Value>,
    pub(super) version: Option<Value>,
    #[serde(rename = "type")]
    pub(super) kind: Option<Value>,
    pub(super) description: Option<Value>,
    pub(super) annotations: Option<Value>,
    pub(super) props: Vec<PropDefinition>,
}

/// What of it stands in columns.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) key: String,
    pub(super) version: String,
    pub(super) kind: ComponentKind,
    pub(super) name: String,
    pub(super) description: Option<String>,
}

impl PropDefinition {
    /// The app whose account it wants, as the component calls it.
    pub fn app(&self) -> Option<&str> {
        self.rest.get("app").and_then(Value::as_str).filter(|_| self.kind == "app")
    }

    /// Whether its value is to be masked wherever the code writes.
    pub(super) fn is_secret(&self) -> bool {
        self.rest.get("secret") == Some(&Value::Bool(true))
    }
}

impl Described {
    /// Checks everything but the props.
    pub(super) fn named(&self) -> Result<Named, ComponentError> {
        let text = |field: &str, value: &Option<Value>| match value {
            Some(Value::String(text)) if !text.trim().is_empty() && text.len() <= MAX_TEXT => {
                Ok(text.clone())
            }
            None | Some(Value::Null) => {
                Err(invalid(format!("it has no `{field}`: write a text, at its top")))
            }
            Some(_) => {
                Err(invalid(format!("its `{field}` is not a text of at most {MAX_TEXT} bytes")))
            }
        };
        let key = text("key", &self.key)?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if key.len() > MAX_NAME || !key.bytes().all(plain) {
            return Err(invalid(
                "its `key` is not of letters, digits, `-`, `_` and `.`".to_owned(),
            ));
        }
        let version = text("version", &self.version)?;
        if numbers(&version).is_none() {
            return Err(invalid(format!(
                "its `version` is `{version}`, and not three numbers as in `0.0.1`"
            )));
        }
        // What says nothing is a source.
        let kind = self.kind.as_ref().map_or("source", |kind| kind.as_str().unwrap_or_default());
        let kind: ComponentKind = kind
            .parse()
            .map_err(|_| invalid("its `type` is neither `action` nor `source`".to_owned()))?;
        let description = match &self.description {
            None | Some(Value::Null) => None,
            given => Some(text("description", given)?),
        };
        Ok(Named { key, version, kind, name: text("name", &self.name)?, description })
    }
}

/// Checks the definitions of a component's props.
pub(super) fn check_props(
    props: &[PropDefinition],
    kind: ComponentKind,
) -> Result<(), ComponentError> {
    if props.len() > MAX_PROPS {
        return Err(invalid(format!("it has {} props, of at most {MAX_PROPS}", props.len())));
    }
    let mut names = BTreeSet::new();
    for prop in props {
        let name = &prop.name;
        if name.is_empty() || name.len() > MAX_NAME || name.bytes().any(|b| b.is_ascii_control()) {
            return Err(invalid(format!("the name of a prop has 1 to {MAX_NAME} bytes")));
        }
        if !names.insert(name) {
            return Err(invalid(format!("the prop `{name}` is there twice")));
        }
        let of_sources = TYPES_OF_SOURCES.contains(&prop.kind.as_str());
        let is_there =
            TYPES.contains(&prop.kind.as_str()) || of_sources && kind == ComponentKind::Source;
        if !is_there {
            let of = if of_sources { "which only sources have" } else { "which is not there yet" };
            return Err(invalid(format!("the prop `{name}` is of the type `{}`, {of}", prop.kind)));
        }
        if prop.kind == "app" && prop.app().is_none() {
            return Err(invalid(format!("the app prop `{name}` does not say which `app`")));
        }
    }
    Ok(())
}

/// The numbers of a version, to compare it with others.
pub(super) fn numbers(version: &str) -> Option<(u32, u32, u32)> {
    let number = |text: &str| {
        let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|number| *number <= MAX_NUMBER);
        number.filter(|_| plain && (text == "0" || !text.starts_with('0')))
    };
    let mut parts = version.split('.').map(number);
    let (major, minor, patch) = (parts.next()??, parts.next()??, parts.next()??);
    parts.next().is_none().then_some((major, minor, patch))
}

fn invalid(why: String) -> ComponentError {
    ComponentError::Invalid(why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn described(change: &Value) -> Result<Named, ComponentError> {
        let mut all = json!({
            "key": "demo-send", "name": "Send", "version": "0.1.2", "type": "action", "props": [],
        });
        for (field, value) in change.as_object().unwrap() {
            all[field] = value.clone();
        }
        serde_json::from_value::<Described>(all).unwrap().named()
    }

    fn props(list: Value, kind: ComponentKind) -> Result<(), ComponentError> {
        check_props(&serde_json::from_value::<Vec<PropDefinition>>(list).unwrap(), kind)
    }

    #[test]
    fn a_component_has_to_say_what_it_is() {
        assert_eq!(described(&json!({})).unwrap().kind, ComponentKind::Action);
        assert_eq!(described(&json!({ "type": null })).unwrap().kind, ComponentKind::Source);
        for (field, bad) in [
            ("key", json!("a b")),
            ("key", json!("")),
            ("key", json!(7)),
            ("version", json!("1.0")),
            ("version", json!("1.0.0-beta")),
            ("version", json!("1.02.0")),
            ("version", json!("1.0.0.0")),
            ("name", json!(null)),
            ("name", json!({ "a": 1 })),
            ("type", json!("app")),
            ("description", json!("x".repeat(MAX_TEXT + 1))),
        ] {
            let refused = described(&json!({ field: bad }));
            assert!(matches!(refused, Err(ComponentError::Invalid(_))), "{field} {bad}");
        }
    }

    #[test]
    fn a_prop_has_a_type_that_there_is() {
        let action = ComponentKind::Action;
        assert!(props(json!([{ "name": "a", "type": "string" }]), action).is_ok());
        assert!(props(json!([{ "name": "a", "type": "app", "app": "x" }]), action).is_ok());
        for bad in [
            json!([{ "name": "a", "type": "app" }]),
            json!([{ "name": "a", "type": "data_store" }]),
            json!([{ "name": "a", "type": "$.service.db" }]),
            json!([{ "name": "", "type": "string" }]),
            json!([{ "name": "a", "type": "string" }, { "name": "a", "type": "string" }]),
        ] {
            assert!(props(bad.clone(), action).is_err(), "{bad}");
        }
        let source = json!([{ "name": "db", "type": "$.service.db" }]);
        assert!(props(source, ComponentKind::Source).is_ok());
        let many: Vec<Value> =
            (0..=MAX_PROPS).map(|n| json!({ "name": format!("p{n}"), "type": "any" })).collect();
        assert!(props(json!(many), action).is_err());
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(numbers("0.10.0") > numbers("0.9.9"));
        assert_eq!(numbers("1.2.3"), Some((1, 2, 3)));
    }
}
