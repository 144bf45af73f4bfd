//! Answers against the document: the part of JSON Schema that the document uses, and no more. What
//! it does not know makes it fail.

use crate::kit::Answer;
use axum::http::Method;
use serde_json::Value;
use std::sync::LazyLock;

pub(crate) static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::to_value(causeway_api::openapi()).unwrap());

/// An operation of the document.
pub(crate) struct Operation {
    pub(crate) method: Method,
    /// Its path, with placeholders.
    pub(crate) path: &'static str,
    pub(crate) id: &'static str,
    pub(crate) body: &'static Value,
}

/// Every operation.
pub(crate) fn operations() -> Vec<Operation> {
    let mut operations = Vec::new();
    for (path, item) in DOCUMENT["paths"].as_object().unwrap() {
        for (method, body) in item.as_object().unwrap() {
            let method = Method::try_from(method.to_uppercase().as_str()).unwrap();
            let id = body["operationId"].as_str().unwrap();
            operations.push(Operation { method, path, id, body });
        }
    }
    operations
}

/// Checks an answer of the native API; does nothing for other paths.
pub(crate) fn check(method: &Method, path: &str, answer: &Answer) {
    let exact = |one: &Operation| one.path == path;
    let of_method = || operations().into_iter().filter(|one| one.method == *method);
    let Some(operation) =
        of_method().find(exact).or_else(|| of_method().find(|one| fits(one.path, path)))
    else {
        return;
    };
    // What an app answers is its own.
    if operation.id.starts_with("proxy_") && answer.headers.contains_key("causeway-connection") {
        return;
    }
    let responses = &operation.body["responses"];
    let said = responses.get(answer.status.to_string()).unwrap_or(&responses["default"]);
    let said = resolve(said);
    let Some(content) = said.get("content").and_then(Value::as_object) else {
        assert!(
            answer.body.is_empty(),
            "{} answers with a body that it does not name",
            operation.id
        );
        return;
    };
    let kind = answer.header("content-type").split(';').next().unwrap();
    let Some(media) = content.get(kind) else {
        panic!(
            "{} answers {} with `{kind}`, which is not in the document",
            operation.id, answer.status
        )
    };
    if kind.ends_with("json")
        && let Err(wrong) = fits_schema(&answer.json(), &media["schema"], "$")
    {
        let (id, status) = (operation.id, answer.status);
        panic!("{id} answers {status} with what its document does not say: {wrong}");
    }
}

fn fits(template: &str, path: &str) -> bool {
    let (template, path): (Vec<_>, Vec<_>) =
        (template.split('/').collect(), path.split('/').collect());
    template.len() == path.len()
        && template.iter().zip(path).all(|(part, given)| part.starts_with('{') || *part == given)
}

fn resolve(value: &'static Value) -> &'static Value {
    match value.get("$ref").and_then(Value::as_str) {
        Some(reference) => DOCUMENT
            .pointer(reference.trim_start_matches('#'))
            .unwrap_or_else(|| panic!("{reference} leads nowhere")),
        None => value,
    }
}

pub(crate) fn fits_schema(value: &Value, schema: &'static Value, at: &str) -> Result<(), String> {
    let schema = resolve(schema);
    for keyword in schema.as_object().into_iter().flat_map(|schema| schema.keys()) {
        let known = [
            "type",
            "properties",
            "required",
            "items",
            "allOf",
            "oneOf",
            "enum",
            "format",
            "description",
            "additionalProperties",
            "propertyNames",
            "minimum",
            "maximum",
            "title",
            "writeOnly",
            "pattern",
            "example",
            "default",
            "examples",
        ];
        assert!(known.contains(&keyword.as_str()), "{at}: the checker does not know `{keyword}`");
    }
    for part in schema["allOf"].as_array().into_iter().flatten() {
        fits_schema(value, part, at)?;
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        let fit = choices.iter().filter(|one| fits_schema(value, one, at).is_ok()).count();
        if fit != 1 {
            return Err(format!("{at}: {fit} of {} choices fit {value}", choices.len()));
        }
    }
    if let Some(words) = schema["enum"].as_array()
        && !words.contains(value)
    {
        return Err(format!("{at}: {value} is none of {words:?}"));
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if !types.is_empty() && !types.iter().any(|name| is_of(value, name)) {
        return Err(format!("{at}: {value} is not {types:?}"));
    }
    for (bound, beyond) in [("minimum", -1.0), ("maximum", 1.0)] {
        let limit = schema.get(bound).and_then(Value::as_f64);
        if let Some((number, limit)) = value.as_f64().zip(limit)
            && (number - limit) * beyond > 0.0
        {
            return Err(format!("{at}: {number} is beyond the {bound} {limit}"));
        }
    }
    if let Some(items) = schema.get("items") {
        for (index, item) in value.as_array().into_iter().flatten().enumerate() {
            fits_schema(item, items, &format!("{at}[{index}]"))?;
        }
    }
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if value.is_object() && value.get(name).is_none() {
            return Err(format!("{at}: `{name}` is missing"));
        }
    }
    for (name, member) in value.as_object().into_iter().flatten() {
        let at = format!("{at}.{name}");
        if let Some(property) = schema["properties"].get(name) {
            fits_schema(member, property, &at)?;
        } else if let Some(others) =
            schema.get("additionalProperties").filter(|one| one.is_object())
        {
            fits_schema(member, others, &at)?;
        }
    }
    Ok(())
}

fn is_of(value: &Value, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("the checker does not know the type `{other}`"),
    }
}
