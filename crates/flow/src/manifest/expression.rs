//! Expressions: `{{ … }}` in the values of a manifest.
//!
//! They are JavaScript, and nothing of them is evaluated here: they become code of the version,
//! which runs in its sandbox like every other.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use std::borrow::Cow;
use std::fmt::Write as _;

/// A text that is one expression and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expression {
    /// As the author wrote it.
    text: String,
    /// What stands between the braces.
    code: String,
}

impl Expression {
    /// What stands between the braces.
    pub(crate) fn code(&self) -> &str {
        &self.code
    }
}

impl Serialize for Expression {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Expression {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let parts = parse(&text).map_err(serde::de::Error::custom)?;
        match parts.as_slice() {
            [Part::Code(code)] => Ok(Self { code: (*code).to_owned(), text }),
            _ => Err(serde::de::Error::custom(format!(
                "`{text}` is no expression: write one between braces, like \"{{{{ event.body.amount > 100 }}}}\""
            ))),
        }
    }
}

impl JsonSchema for Expression {
    fn schema_name() -> Cow<'static, str> {
        "Expression".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^\\s*\\{\\{[\\s\\S]*\\}\\}\\s*$",
            "description": "A JavaScript expression of `event`, `steps`, `connections` and `$`, between {{ and }}."
        })
    }
}

/// A JSON value whose texts may hold expressions. A text that is one expression and nothing else
/// stands for its value, of whatever kind; in any other text, each stands for its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(description = "Any value. `{{ … }}` in its texts are JavaScript expressions.")]
pub struct Template(Value);

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        check(&value).map_err(serde::de::Error::custom)?;
        Ok(Self(value))
    }
}

impl Template {
    /// The JavaScript expression that gives the value. It uses the function `text`.
    pub(crate) fn code(&self) -> String {
        let mut code = String::new();
        write_code(&self.0, &mut code);
        code
    }
}

/// A piece of a text.
#[derive(Debug, PartialEq, Eq)]
enum Part<'a> {
    Text(&'a str),
    Code(&'a str),
}

fn check(value: &Value) -> Result<(), String> {
    match value {
        Value::String(text) => parse(text).map(|_| ()),
        Value::Array(items) => items.iter().try_for_each(check),
        Value::Object(fields) => fields.values().try_for_each(check),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

/// Cuts a text into its expressions and what is between them. A text of one expression and white
/// space around it is that expression.
fn parse(text: &str) -> Result<Vec<Part<'_>>, String> {
    let (mut parts, mut rest) = (Vec::new(), text);
    while let Some((before, after)) = rest.split_once("{{") {
        let end = end_of(after).ok_or_else(|| {
            format!("`{text}` has an expression without an end: `}}}}` is missing")
        })?;
        let (code, behind) = after.split_at(end);
        if code.trim().is_empty() {
            return Err(format!("`{text}` has an expression with nothing in it"));
        }
        if !before.is_empty() {
            parts.push(Part::Text(before));
        }
        parts.push(Part::Code(code.trim()));
        rest = behind.strip_prefix("}}").unwrap_or(behind);
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest));
    }
    let is_space = |part: &Part<'_>| matches!(part, Part::Text(text) if text.trim().is_empty());
    let mut codes = parts.iter().filter(|part| !is_space(part));
    if let (Some(Part::Code(code)), None) = (codes.next(), codes.next()) {
        return Ok(vec![Part::Code(code)]);
    }
    Ok(parts)
}

/// Where the `}}` stands that ends an expression: not inside of quotes, nor of braces of its own.
fn end_of(code: &str) -> Option<usize> {
    let (mut depth, mut quote, mut escaped) = (0_usize, None, false);
    for (at, one) in code.char_indices() {
        match (quote, one) {
            _ if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), _) if open == one => quote = None,
            (None, '"' | '\'' | '`') => quote = Some(one),
            (None, '{') => depth += 1,
            (None, '}') if depth > 0 => depth -= 1,
            (None, '}') if code.get(at..).is_some_and(|rest| rest.starts_with("}}")) => {
                return Some(at);
            }
            _ => {}
        }
    }
    None
}

fn write_code(value: &Value, code: &mut String) {
    match value {
        Value::String(text) => write_text(text, code),
        Value::Array(items) => {
            code.push('[');
            for item in items {
                write_code(item, code);
                code.push(',');
            }
            code.push(']');
        }
        Value::Object(fields) => {
            code.push('{');
            for (name, field) in fields {
                // In brackets, so that `__proto__` is a name like any other.
                let _ = write!(code, "[{}]:", literal(name));
                write_code(field, code);
                code.push(',');
            }
            code.push('}');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {
            let _ = write!(code, "{value}");
        }
    }
}

fn write_text(text: &str, code: &mut String) {
    // A text that cannot be cut was refused when it was read.
    let parts = parse(text).unwrap_or_default();
    match parts.as_slice() {
        [] => code.push_str("\"\""),
        [Part::Code(one)] => write_expression(one, code),
        [Part::Text(one)] => code.push_str(&literal(one)),
        parts => {
            code.push('[');
            for part in parts {
                match part {
                    Part::Text(text) => code.push_str(&literal(text)),
                    Part::Code(one) => {
                        code.push_str("text(");
                        write_expression(one, code);
                        code.push(')');
                    }
                }
                code.push(',');
            }
            code.push_str("].join(\"\")");
        }
    }
}

/// The line ends keep a comment in the expression from reaching what follows.
pub(crate) fn write_expression(expression: &str, code: &mut String) {
    let _ = write!(code, "(\n{expression}\n)");
}

/// A text as JavaScript writes it; JSON is part of the language (ECMA-262, since 2019).
pub(crate) fn literal(text: &str) -> String {
    Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn template(value: Value) -> Template {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn an_expression_ends_where_its_own_braces_and_quotes_let_it() {
        for (text, expected) in [
            ("{{ a }}", "a"),
            ("{{a.b}}", "a.b"),
            ("  {{ { a: { b: 1 }} }} ", "{ a: { b: 1 }}"),
            ("{{ '}}' }}", "'}}'"),
            (r#"{{ "\"}}" }}"#, r#""\"}}""#),
            ("{{ `${x}}}` }}", "`${x}}}`"),
            ("{{ [1, 2].map((x) => { return x }) }}", "[1, 2].map((x) => { return x })"),
        ] {
            let expression: Expression = serde_json::from_value(json!(text)).unwrap();
            assert_eq!(expression.code(), expected);
            assert_eq!(serde_json::to_value(&expression).unwrap(), json!(text));
        }
    }

    #[test]
    fn what_is_no_expression_is_refused_in_words() {
        for (text, why) in [
            ("a > b", "is no expression"),
            ("x {{ a }}", "is no expression"),
            ("{{ a }} {{ b }}", "is no expression"),
            ("{{ a", "without an end"),
            ("{{ '}} }}", "without an end"),
            ("{{ }}", "nothing in it"),
        ] {
            let refused = serde_json::from_value::<Expression>(json!(text)).unwrap_err();
            assert!(refused.to_string().contains(why), "{text}: {refused}");
        }
        let refused = serde_json::from_value::<Template>(json!({ "a": ["{{ b"] })).unwrap_err();
        assert!(refused.to_string().contains("without an end"), "{refused}");
    }

    #[test]
    fn values_become_code() {
        let code = template(json!({
            "plain": "a \"b\"", "n": 1, "whole": "{{ x }}", "mixed": "a {{ x }}b", "list": [null, ""],
        }))
        .code();
        assert_eq!(
            code,
            "{[\"list\"]:[null,\"\",],[\"mixed\"]:[\"a \",text((\nx\n)),\"b\",].join(\"\"),[\"n\"]:1,\
             [\"plain\"]:\"a \\\"b\\\"\",[\"whole\"]:(\nx\n),}"
        );
    }
}
