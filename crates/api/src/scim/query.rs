//! The parameters of SCIM's requests: which resources, and which of their attributes.

use super::ScimProblem;
use crate::Api;
use crate::extract::QueryOf;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use causeway_identity::scim::{Filter, Kind, ListQuery, MAX_COUNT, Resource, ScimError};
use serde::Deserialize;
use serde_json::Value;
use utoipa::IntoParams;

/// The most attributes that a request names.
const MAX_NAMES: usize = 100;

/// Which resources, and which of their attributes (RFC 7644 sections 3.4.2 and 3.9).
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ListParameters {
    /// A filter (RFC 7644 section 3.4.2.2), at most 2,000 bytes.
    filter: Option<String>,
    /// The number of the first resource, from 1 on. Default 1.
    start_index: Option<String>,
    /// How many resources, at most 100. Default 100.
    count: Option<String>,
    /// The attributes to show, separated by commas; all without it.
    attributes: Option<String>,
    /// The attributes not to show, separated by commas.
    excluded_attributes: Option<String>,
}

/// Which attributes of one resource.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ShowParameters {
    /// The attributes to show, separated by commas; all without it.
    attributes: Option<String>,
    /// The attributes not to show, separated by commas.
    excluded_attributes: Option<String>,
}

/// The query, with SCIM's form of a refusal.
pub(crate) struct ScimQuery<T>(pub(crate) T);

impl<T: serde::de::DeserializeOwned> FromRequestParts<Api> for ScimQuery<T> {
    type Rejection = ScimProblem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ScimProblem> {
        let query = QueryOf::<T>::from_request_parts(parts, api).await;
        query.map(|QueryOf(query)| Self(query)).map_err(ScimProblem::from)
    }
}

impl ListParameters {
    /// The list that is asked for, and what to show of each resource.
    pub(crate) fn read(self, kind: Kind) -> Result<(ListQuery, Shown), ScimProblem> {
        let filter = self.filter.map(|text| Filter::read(kind, &text)).transpose();
        let shown =
            Shown::read(kind, self.attributes.as_deref(), self.excluded_attributes.as_deref())?;
        let query = ListQuery {
            filter: filter.map_err(ScimError::Filter)?,
            start: number(self.start_index.as_deref(), 1)?,
            count: number(self.count.as_deref(), MAX_COUNT)?,
            relations: shown.relations(kind),
        };
        Ok((query, shown))
    }
}

impl ShowParameters {
    /// What to show.
    pub(crate) fn read(self, kind: Kind) -> Result<Shown, ScimProblem> {
        Shown::read(kind, self.attributes.as_deref(), self.excluded_attributes.as_deref())
    }
}

fn number(text: Option<&str>, default: i64) -> Result<i64, ScimProblem> {
    text.map_or(Ok(default), |text| {
        text.parse()
            .map_err(|_| ScimProblem::parameter("`startIndex` and `count` are whole numbers."))
    })
}

/// Which attributes are shown.
pub(crate) struct Shown {
    only: Option<Vec<Name>>,
    not: Vec<Name>,
}

/// An attribute or a sub-attribute, in lower case.
#[derive(Debug, PartialEq, Eq)]
struct Name {
    top: String,
    sub: Option<String>,
}

impl Shown {
    fn read(kind: Kind, only: Option<&str>, not: Option<&str>) -> Result<Self, ScimProblem> {
        let names = |text: Option<&str>| Name::read_all(kind, text.unwrap_or_default());
        let only = names(only)?;
        Ok(Self { only: Some(only).filter(|names| !names.is_empty()), not: names(not)? })
    }

    /// Whether a part of the answer was asked for by name.
    pub(crate) fn is_asked_for(&self) -> bool {
        self.only.is_some()
    }

    /// Whether the groups of users or the members of groups are shown.
    pub(crate) fn relations(&self, kind: Kind) -> bool {
        let name = match kind {
            Kind::User => "groups",
            Kind::Group => "members",
        };
        let named = |names: &[Name]| names.iter().any(|one| one.top == name);
        let excluded = self.not.iter().any(|one| one.top == name && one.sub.is_none());
        self.only.as_deref().is_none_or(named) && !excluded
    }

    /// Leaves of a resource what is shown. Its id and its schemas always are.
    pub(crate) fn of(&self, mut resource: Resource) -> Resource {
        let always = |name: &str| name == "id" || name == "schemas";
        if let Some(only) = &self.only {
            resource.retain(|name, value| {
                let mut named =
                    only.iter().filter(|one| name.eq_ignore_ascii_case(&one.top)).peekable();
                if always(name) {
                    return true;
                }
                if named.peek().is_none() {
                    return false;
                }
                let subs: Option<Vec<&str>> = named.map(|one| one.sub.as_deref()).collect();
                if let Some(subs) = subs {
                    keep(value, |name| subs.iter().any(|sub| name.eq_ignore_ascii_case(sub)));
                }
                true
            });
        }
        for one in &self.not {
            match &one.sub {
                None => {
                    resource.retain(|name, _| always(name) || !name.eq_ignore_ascii_case(&one.top));
                }
                Some(sub) => {
                    for (name, value) in &mut resource {
                        if name.eq_ignore_ascii_case(&one.top) {
                            keep(value, |name| !name.eq_ignore_ascii_case(sub));
                        }
                    }
                }
            }
        }
        resource
    }
}

impl Name {
    fn read_all(kind: Kind, text: &str) -> Result<Vec<Self>, ScimProblem> {
        let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
        let names: Vec<Self> =
            names.take(MAX_NAMES + 1).map(|name| Self::read(kind, name)).collect();
        if names.len() > MAX_NAMES {
            return Err(ScimProblem::parameter("At most 100 attributes can be named."));
        }
        Ok(names)
    }

    fn read(kind: Kind, name: &str) -> Self {
        let urn = kind.urn();
        let local = match name.get(..urn.len()) {
            Some(head) if head.eq_ignore_ascii_case(urn) => {
                name.get(urn.len()..).and_then(|rest| rest.strip_prefix(':')).unwrap_or(name)
            }
            _ => name,
        };
        let (top, sub) = local.split_once('.').map_or((local, None), |(top, sub)| (top, Some(sub)));
        Self { top: top.to_lowercase(), sub: sub.map(str::to_lowercase) }
    }
}

/// Leaves the fields of a value, or of each of several, that pass.
fn keep(value: &mut Value, pass: impl Fn(&str) -> bool + Copy) {
    match value {
        Value::Object(fields) => fields.retain(|name, _| pass(name)),
        Value::Array(several) => several.iter_mut().for_each(|one| keep(one, pass)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn shown(only: Option<&str>, not: Option<&str>) -> Value {
        let resource = json!({
            "schemas": [Kind::User.urn()], "id": "mem_0", "userName": "ada@example.com",
            "name": { "formatted": "Ada L", "givenName": "Ada" },
            "emails": [{ "value": "ada@example.com", "type": "work" }], "groups": [],
        });
        let shown = Shown::read(Kind::User, only, not);
        shown.unwrap_or_else(|_| panic!("refused")).of(resource.as_object().unwrap().clone()).into()
    }

    #[test]
    fn attributes_are_chosen_by_name() {
        for (only, not, expected) in [
            (Some("userName"), None, json!({ "userName": "ada@example.com" })),
            (Some("USERNAME, nothing"), None, json!({ "userName": "ada@example.com" })),
            (
                Some("urn:ietf:params:scim:schemas:core:2.0:User:emails.value"),
                None,
                json!({ "emails": [{ "value": "ada@example.com" }] }),
            ),
            (
                None,
                Some("groups,emails,id,schemas,name.givenName"),
                json!({ "userName": "ada@example.com", "name": { "formatted": "Ada L" } }),
            ),
        ] {
            let mut expected = expected;
            expected["schemas"] = json!([Kind::User.urn()]);
            expected["id"] = "mem_0".into();
            assert_eq!(shown(only, not), expected, "{only:?} {not:?}");
        }
    }

    #[test]
    fn what_is_not_shown_is_not_looked_up() {
        let relations = |only: Option<&str>, not: Option<&str>| {
            let read = Shown::read(Kind::Group, only, not);
            read.unwrap_or_else(|_| panic!("refused")).relations(Kind::Group)
        };
        assert!(relations(None, None) && relations(Some("members.value"), None));
        assert!(relations(None, Some("members.display")));
        assert!(!relations(None, Some("members")) && !relations(Some("displayName"), None));
    }
}
