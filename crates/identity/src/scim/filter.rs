//! SCIM filters (RFC 7644 section 3.4.2.2): read with limits, and checked against the attributes
//! that there are before anything is looked up.

mod judge;
mod lex;
mod read;

use super::schema::{Attribute, Kind};
use crate::email::Email;
use serde_json::{Map, Value};

/// The longest filter, in bytes.
pub const MAX_FILTER: usize = 2_000;
/// The most comparisons in a filter.
pub const MAX_TERMS: usize = 50;
/// The most comparisons in the path of a change, which is asked of every value of an attribute.
pub const MAX_PATH_TERMS: usize = 4;
/// How deep parentheses and brackets may stand in each other.
pub const MAX_DEPTH: usize = 16;

/// A filter that can be served.
#[derive(Debug)]
pub struct Filter {
    root: Node,
}

/// A filter that is not one, or that cannot be served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// Longer than [`MAX_FILTER`].
    #[error("the filter has more than {MAX_FILTER} bytes")]
    TooLong,
    /// Deeper than [`MAX_DEPTH`].
    #[error("parentheses and brackets stand more than {MAX_DEPTH} deep")]
    TooDeep,
    /// More comparisons than [`MAX_TERMS`], or [`MAX_PATH_TERMS`] in a path.
    #[error("there are more than {most} comparisons")]
    TooMany {
        /// The most.
        most: usize,
    },
    /// Something else was expected at a place.
    #[error("{expected} was expected at character {at}")]
    Expected {
        /// What.
        expected: &'static str,
        /// Where, in bytes from the start.
        at: usize,
    },
    /// No attribute of the resource has this name.
    #[error("`{name}` is no attribute that Causeway keeps")]
    Unknown {
        /// The name, cut to 100 characters.
        name: String,
    },
    /// The attribute is there, and filters may not name it.
    #[error("filters cannot name `{name}`")]
    NotInFilters {
        /// The attribute.
        name: &'static str,
    },
    /// The attribute cannot be compared so.
    #[error("`{name}` cannot be compared with `{operator}` and such a value")]
    Comparison {
        /// The attribute.
        name: &'static str,
        /// The operator.
        operator: &'static str,
    },
}

/// A part of a filter. Chains of `and` and `or` are lists, so that only parentheses make it deep.
#[derive(Debug)]
enum Node {
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    Test(Test),
    /// Some value of an attribute that has several passes.
    Within(&'static Attribute, Box<Self>),
}

/// A comparison.
#[derive(Debug)]
struct Test {
    attribute: &'static Attribute,
    sub: Option<&'static Attribute>,
    check: Check,
}

#[derive(Debug)]
enum Check {
    Present,
    Text {
        how: Operator,
        exact: bool,
        with: String,
    },
    Boolean {
        equal: bool,
        with: bool,
    },
    Moment {
        how: Operator,
        with: jiff::Timestamp,
    },
    /// Equal to `null`: not there.
    Absent,
}

/// An operator that compares with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Contains,
    Starts,
    Ends,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

impl Operator {
    const ALL: [Self; 9] = [
        Self::Equal,
        Self::NotEqual,
        Self::Contains,
        Self::Starts,
        Self::Ends,
        Self::Greater,
        Self::GreaterOrEqual,
        Self::Less,
        Self::LessOrEqual,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "eq",
            Self::NotEqual => "ne",
            Self::Contains => "co",
            Self::Starts => "sw",
            Self::Ends => "ew",
            Self::Greater => "gt",
            Self::GreaterOrEqual => "ge",
            Self::Less => "lt",
            Self::LessOrEqual => "le",
        }
    }
}

/// What a filter can only be true of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Pinned {
    /// The resource with this id.
    Id(String),
    /// The user with this address.
    Email(Email),
    /// Nothing at all.
    Nothing,
}

impl Filter {
    /// Reads a filter on resources of a kind.
    ///
    /// # Errors
    /// See [`FilterError`].
    pub fn read(kind: Kind, text: &str) -> Result<Self, FilterError> {
        read::filter(kind, text).map(|root| Self { root })
    }

    /// Whether a resource passes.
    pub(super) fn passes(&self, resource: &Map<String, Value>) -> bool {
        judge::passes(&self.root, resource)
    }

    /// The one resource that can pass at most, if the filter says so: then nobody else has to be
    /// looked at.
    pub(super) fn pinned(&self) -> Option<Pinned> {
        pinned(&self.root)
    }

    /// Whether it asks for an attribute.
    pub(super) fn names(&self, attribute: &str) -> bool {
        names(&self.root, attribute)
    }
}

fn pinned(node: &Node) -> Option<Pinned> {
    match node {
        Node::All(parts) => parts.iter().find_map(pinned),
        Node::Test(test) => pin(test.attribute.name, test),
        Node::Within(attribute, inner) if attribute.name == "emails" => match &**inner {
            Node::All(parts) => parts.iter().find_map(pin_within),
            part => pin_within(part),
        },
        _ => None,
    }
}

fn pin_within(node: &Node) -> Option<Pinned> {
    match node {
        Node::Test(test) if test.attribute.name == "value" => pin("emails", test),
        _ => None,
    }
}

fn pin(name: &str, test: &Test) -> Option<Pinned> {
    let Check::Text { how: Operator::Equal, with, .. } = &test.check else { return None };
    match name {
        "id" => Some(Pinned::Id(with.clone())),
        "userName" | "emails" if test.sub.is_none_or(|sub| sub.name == "value") => {
            // No user has an address that Causeway does not take.
            Some(with.parse().map_or(Pinned::Nothing, Pinned::Email))
        }
        _ => None,
    }
}

fn names(node: &Node, attribute: &str) -> bool {
    match node {
        Node::All(parts) | Node::Any(parts) => parts.iter().any(|part| names(part, attribute)),
        Node::Not(inner) => names(inner, attribute),
        Node::Test(test) => test.attribute.name == attribute,
        Node::Within(within, _) => within.name == attribute,
    }
}

/// The target of a change (RFC 7644 section 3.5.2, `PATH`).
#[derive(Debug)]
pub(super) enum Path {
    /// An attribute, or a part of it.
    Kept {
        attribute: &'static Attribute,
        /// Which of its values.
        which: Option<Which>,
        sub: Option<&'static Attribute>,
    },
    /// Something that is taken and not kept.
    NotKept,
}

/// Which values of an attribute that has several.
#[derive(Debug)]
pub(super) struct Which(Node);

impl Path {
    /// Reads a path.
    pub(super) fn read(kind: Kind, text: &str) -> Result<Self, FilterError> {
        read::path(kind, text)
    }
}

impl Which {
    /// Whether a value is meant.
    pub(super) fn is(&self, value: &Value) -> bool {
        value.as_object().is_some_and(|value| judge::passes(&self.0, value))
    }

    /// The `value` that it asks for, where it says `value eq "…"` and nothing else: what
    /// directories take members out by, one after the other.
    pub(super) fn value(&self) -> Option<&str> {
        match &self.0 {
            Node::Test(Test {
                attribute,
                sub: None,
                check: Check::Text { how: Operator::Equal, exact: true, with },
            }) if attribute.name == "value" => Some(with),
            _ => None,
        }
    }

    /// The value that it describes, where it says `… eq "…"` and nothing else: what is made if
    /// there is none.
    pub(super) fn described(&self) -> Option<Map<String, Value>> {
        let tests: Vec<&Node> = match &self.0 {
            Node::All(parts) => parts.iter().collect(),
            part => vec![part],
        };
        let field = |node: &Node| match node {
            Node::Test(Test { attribute, sub: None, check }) => match check {
                Check::Text { how: Operator::Equal, with, .. } => {
                    Some((attribute.name.to_owned(), Value::from(with.clone())))
                }
                Check::Boolean { equal: true, with } => {
                    Some((attribute.name.to_owned(), Value::from(*with)))
                }
                _ => None,
            },
            _ => None,
        };
        tests.into_iter().map(field).collect()
    }
}

#[cfg(test)]
mod tests;
