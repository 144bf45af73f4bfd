//! The document of the native API.

use crate::schema::{DOCUMENT, operations};
use std::collections::BTreeSet;

#[test]
fn the_document() {
    insta::assert_snapshot!(serde_json::to_string_pretty(&*DOCUMENT).unwrap());
}

#[test]
fn every_operation_can_be_read_without_the_source() {
    assert!(DOCUMENT["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut ids = BTreeSet::new();
    for operation in operations() {
        assert!(ids.insert(operation.id), "{} names two operations", operation.id);
        let body = operation.body;
        let summary = body["summary"].as_str().unwrap_or_default();
        assert!(summary.len() > 8 && summary.ends_with('.'), "{}: {summary}", operation.id);
        assert!(body["tags"].as_array().is_some_and(|tags| tags.len() == 1), "{}", operation.id);
        let problem = &body["responses"]["default"]["$ref"];
        let form = if operation.path.starts_with("/scim/") { "ScimError" } else { "Problem" };
        let expected = format!("#/components/responses/{form}");
        assert_eq!(problem.as_str(), Some(expected.as_str()), "{}", operation.id);
        let placeholders = operation.path.matches('{').count();
        let named = body["parameters"].as_array().into_iter().flatten();
        assert_eq!(
            named.filter(|one| one["in"] == "path").count(),
            placeholders,
            "{}",
            operation.id
        );
    }
}

#[test]
fn every_field_is_described() {
    for (name, schema) in DOCUMENT["components"]["schemas"].as_object().unwrap() {
        for (field, property) in schema["properties"].as_object().into_iter().flatten() {
            let described = property.get("description").or_else(|| {
                let choices = property["oneOf"].as_array()?;
                choices.iter().find_map(|choice| choice.get("description"))
            });
            let described = described.is_some_and(|text| text.as_str() != Some(""));
            assert!(described, "{name}.{field}");
        }
    }
}
