//! Whether a resource passes a filter.

use super::{Check, Node, Operator, Test};
use serde_json::{Map, Value};
use std::borrow::Cow;

pub(super) fn passes(node: &Node, resource: &Map<String, Value>) -> bool {
    match node {
        Node::All(parts) => parts.iter().all(|part| passes(part, resource)),
        Node::Any(parts) => parts.iter().any(|part| passes(part, resource)),
        Node::Not(inner) => !passes(inner, resource),
        Node::Test(test) => judge(test, resource),
        Node::Within(attribute, inner) => values(resource.get(attribute.name))
            .iter()
            .filter_map(Value::as_object)
            .any(|value| passes(inner, value)),
    }
}

fn judge(test: &Test, resource: &Map<String, Value>) -> bool {
    let top = values(resource.get(test.attribute.name));
    let found: Vec<&Value> = match test.sub {
        None => top.iter().collect(),
        Some(sub) => top.iter().flat_map(|value| values(value.get(sub.name))).collect(),
    };
    match &test.check {
        Check::Present => found.iter().any(|value| is_there(value)),
        Check::Absent => !found.iter().any(|value| is_there(value)),
        Check::Boolean { equal, with } => {
            found.iter().any(|value| value.as_bool() == Some(*with)) == *equal
        }
        Check::Text { how, exact, with } => {
            let texts = found.iter().filter_map(|value| value.as_str());
            let mut texts = texts.map(|text| folded(text, *exact));
            any(*how, |how| texts.any(|text| compare_text(how, &text, with)))
        }
        Check::Moment { how, with } => {
            let mut moments =
                found.iter().filter_map(|value| value.as_str()?.parse::<jiff::Timestamp>().ok());
            any(*how, |how| moments.any(|moment| compare(how, &moment, with)))
        }
    }
}

/// `ne` is true of what has no value that is equal.
fn any(how: Operator, some: impl FnOnce(Operator) -> bool) -> bool {
    match how {
        Operator::NotEqual => !some(Operator::Equal),
        how => some(how),
    }
}

fn compare_text(how: Operator, text: &str, with: &str) -> bool {
    match how {
        Operator::Contains => text.contains(with),
        Operator::Starts => text.starts_with(with),
        Operator::Ends => text.ends_with(with),
        how => compare(how, text, with),
    }
}

fn compare<T: Ord + ?Sized>(how: Operator, value: &T, with: &T) -> bool {
    match how {
        Operator::Equal => value == with,
        Operator::Greater => value > with,
        Operator::GreaterOrEqual => value >= with,
        Operator::Less => value < with,
        Operator::LessOrEqual => value <= with,
        Operator::NotEqual | Operator::Contains | Operator::Starts | Operator::Ends => false,
    }
}

fn folded(text: &str, exact: bool) -> Cow<'_, str> {
    if exact { text.into() } else { text.to_lowercase().into() }
}

/// One value or several, as a list.
fn values(value: Option<&Value>) -> &[Value] {
    match value {
        None => &[],
        Some(Value::Array(several)) => several,
        Some(one) => std::slice::from_ref(one),
    }
}

/// RFC 7644 section 3.4.2.2, `pr`: neither null nor empty.
fn is_there(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(several) => !several.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
    }
}
