//! A step's link to a connection: its name, or its name and more.

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::{Serialize, Serializer};
use std::borrow::Cow;

/// A connection that a step's code gets: `acme-crm`, or `{ name: acme-crm, expose: true }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionSpec {
    /// The connection's name.
    pub name: String,
    /// Whether the code gets the credential itself and not a placeholder.
    pub expose: bool,
}

/// The longer form.
#[derive(serde::Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Named {
    /// The connection's name.
    name: String,
    /// Whether the code gets the credential itself and not a placeholder: for what has to be
    /// computed with it, like a signature. The workspace's policy has to allow it.
    #[serde(default)]
    expose: bool,
}

impl<'de> Deserialize<'de> for ConnectionSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = ConnectionSpec;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a connection's name, or `{ name: …, expose: true }`")
            }

            fn visit_str<E>(self, name: &str) -> Result<ConnectionSpec, E> {
                Ok(ConnectionSpec { name: name.to_owned(), expose: false })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ConnectionSpec, A::Error> {
                let Named { name, expose } = Named::deserialize(MapAccessDeserializer::new(map))?;
                Ok(ConnectionSpec { name, expose })
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl Serialize for ConnectionSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.expose {
            Named { name: self.name.clone(), expose: true }.serialize(serializer)
        } else {
            serializer.serialize_str(&self.name)
        }
    }
}

impl JsonSchema for ConnectionSpec {
    fn schema_name() -> Cow<'static, str> {
        "ConnectionSpec".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let named = generator.subschema_for::<Named>();
        schemars::json_schema!({
            "description": "The connection's name; or its name and whether the code gets the \
                            credential itself.",
            "anyOf": [{ "type": "string" }, named],
        })
    }
}
