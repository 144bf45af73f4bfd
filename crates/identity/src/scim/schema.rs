//! What Causeway keeps of the core schemas of RFC 7643: one table, which filters and changes are
//! read with and which the document at `/Schemas` is made from.

use serde_json::{Value, json};

/// The URN of users (RFC 7643 section 4.1).
pub const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
/// The URN of groups (RFC 7643 section 4.2).
pub const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";

/// A kind of resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A user: a member.
    User,
    /// A group.
    Group,
}

/// What the values of an attribute are.
#[derive(Debug, Clone, Copy)]
pub(super) enum Type {
    /// Text that is compared letter by letter.
    Exact,
    /// Text in which case makes no difference.
    Text,
    /// An e-mail address, compared as a mailbox.
    Email,
    /// True or false.
    Boolean,
    /// A moment.
    Moment,
    /// An address of another resource.
    Reference,
    /// Several attributes.
    Complex(&'static [Attribute]),
}

/// What an attribute has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Demand {
    /// Nothing.
    None,
    /// Different in every resource.
    Unique,
    /// There, and different in every resource.
    RequiredAndUnique,
}

/// An attribute (RFC 7643 section 7).
#[derive(Debug)]
pub(super) struct Attribute {
    pub(super) name: &'static str,
    pub(super) of: Type,
    /// Whether it has several values.
    pub(super) many: bool,
    pub(super) writable: bool,
    demand: Demand,
    /// Whether filters may name it. What would need a look-up for every resource they may not.
    pub(super) filterable: bool,
    text: &'static str,
}

impl Attribute {
    const fn new(name: &'static str, of: Type, text: &'static str) -> Self {
        Self { name, of, many: false, writable: true, demand: Demand::None, filterable: true, text }
    }

    const fn read_only(mut self) -> Self {
        self.writable = false;
        self
    }

    const fn demanding(mut self, demand: Demand) -> Self {
        self.demand = demand;
        self
    }

    const fn many(mut self) -> Self {
        self.many = true;
        self
    }

    const fn not_in_filters(mut self) -> Self {
        self.filterable = false;
        self
    }

    /// Its sub-attributes.
    pub(super) fn subs(&self) -> &'static [Self] {
        match self.of {
            Type::Complex(subs) => subs,
            _ => &[],
        }
    }

    /// Its sub-attribute of this name; case makes no difference (RFC 7643 section 2.1).
    pub(super) fn sub(&self, name: &str) -> Option<&'static Self> {
        self.subs().iter().find(|sub| sub.name.eq_ignore_ascii_case(name))
    }

    fn document(&self) -> Value {
        let (kind, exact) = match self.of {
            Type::Exact => ("string", true),
            Type::Text | Type::Email => ("string", false),
            Type::Boolean => ("boolean", false),
            Type::Moment => ("dateTime", false),
            Type::Reference => ("reference", true),
            Type::Complex(_) => ("complex", false),
        };
        let mut document = json!({
            "name": self.name,
            "type": kind,
            "multiValued": self.many,
            "description": self.text,
            "required": self.demand == Demand::RequiredAndUnique,
            "caseExact": exact,
            "mutability": if self.writable { "readWrite" } else { "readOnly" },
            "returned": if self.name == "id" { "always" } else { "default" },
            "uniqueness": if self.demand == Demand::None { "none" } else { "server" },
        });
        if let Some(fields) = document.as_object_mut() {
            if !self.subs().is_empty() {
                let subs: Vec<Value> = self.subs().iter().map(Self::document).collect();
                fields.insert("subAttributes".to_owned(), subs.into());
            }
            if matches!(self.of, Type::Reference) {
                fields.insert("referenceTypes".to_owned(), json!(["User", "Group"]));
            }
        }
        document
    }
}

const ID: Attribute =
    Attribute::new("id", Type::Exact, "Causeway's id.").read_only().demanding(Demand::Unique);
const EXTERNAL_ID: Attribute =
    Attribute::new("externalId", Type::Exact, "What the directory calls it.");
const META: Attribute =
    Attribute::new("meta", Type::Complex(META_SUBS), "When it was made and changed.").read_only();
const META_SUBS: &[Attribute] = &[
    Attribute::new("resourceType", Type::Exact, "`User` or `Group`.").read_only(),
    Attribute::new("created", Type::Moment, "When it was made.").read_only(),
    Attribute::new("lastModified", Type::Moment, "When it was changed last.").read_only(),
    Attribute::new("location", Type::Reference, "Its address.").read_only().not_in_filters(),
];

static USER_ATTRIBUTES: &[Attribute] = &[
    ID,
    EXTERNAL_ID,
    META,
    Attribute::new("userName", Type::Email, "The e-mail address that the person signs in with.")
        .demanding(Demand::RequiredAndUnique),
    Attribute::new("name", Type::Complex(NAME), "The person's name, kept as one text."),
    Attribute::new("displayName", Type::Text, "The person's name as it is shown."),
    Attribute::new("active", Type::Boolean, "Whether the person may come in."),
    Attribute::new("emails", Type::Complex(EMAILS), "One address: that of `userName`.").many(),
    Attribute::new("groups", Type::Complex(GROUPS), "The groups that the user is in.")
        .many()
        .read_only()
        .not_in_filters(),
];
const NAME: &[Attribute] = &[
    Attribute::new("formatted", Type::Text, "The whole name."),
    Attribute::new("givenName", Type::Text, "What comes before the last space of the name."),
    Attribute::new("familyName", Type::Text, "What comes after the last space of the name."),
];
const EMAILS: &[Attribute] = &[
    Attribute::new("value", Type::Email, "The address."),
    Attribute::new("type", Type::Text, "`work`."),
    Attribute::new("primary", Type::Boolean, "Whether it is the one that counts."),
];
const GROUPS: &[Attribute] = &[
    Attribute::new("value", Type::Exact, "The group's id.").read_only(),
    Attribute::new("$ref", Type::Reference, "The group's address.").read_only(),
    Attribute::new("display", Type::Text, "The group's name.").read_only(),
    Attribute::new("type", Type::Text, "`direct`: groups hold no groups.").read_only(),
];

static GROUP_ATTRIBUTES: &[Attribute] = &[
    ID,
    EXTERNAL_ID,
    META,
    Attribute::new("displayName", Type::Text, "The group's name.")
        .demanding(Demand::RequiredAndUnique),
    Attribute::new("members", Type::Complex(MEMBERS), "The users that are in the group.").many(),
];
const MEMBERS: &[Attribute] = &[
    Attribute::new("value", Type::Exact, "The user's id."),
    Attribute::new("$ref", Type::Reference, "The user's address.").not_in_filters(),
    Attribute::new("display", Type::Text, "The user's name.").not_in_filters(),
    Attribute::new("type", Type::Text, "`User`.").not_in_filters(),
];

/// Attributes of RFC 7643 section 4.1 that Causeway takes and does not keep: directories send them
/// by their default mappings. Roles are given in Causeway, and passwords are nowhere.
const NOT_KEPT: &[&str] = &[
    "schemas",
    "nickName",
    "profileUrl",
    "title",
    "userType",
    "preferredLanguage",
    "locale",
    "timezone",
    "password",
    "phoneNumbers",
    "ims",
    "photos",
    "addresses",
    "entitlements",
    "roles",
    "x509Certificates",
];
/// The same of sub-attributes.
const SUBS_NOT_KEPT: &[&str] =
    &["middleName", "honorificPrefix", "honorificSuffix", "display", "version"];

/// What the name of an attribute stands for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Named {
    /// An attribute of the tables here.
    Kept(&'static Attribute),
    /// One that is taken and not kept.
    NotKept,
    /// None.
    Unknown,
}

impl Kind {
    /// `User` or `Group`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::Group => "Group",
        }
    }

    /// Its URN.
    pub const fn urn(self) -> &'static str {
        match self {
            Self::User => USER,
            Self::Group => GROUP,
        }
    }

    pub(super) fn attributes(self) -> &'static [Attribute] {
        match self {
            Self::User => USER_ATTRIBUTES,
            Self::Group => GROUP_ATTRIBUTES,
        }
    }

    /// The attribute of this name; case makes no difference.
    pub(super) fn attribute(self, name: &str) -> Named {
        if let Some(kept) = self.attributes().iter().find(|one| one.name.eq_ignore_ascii_case(name))
        {
            return Named::Kept(kept);
        }
        if NOT_KEPT.iter().any(|one| one.eq_ignore_ascii_case(name)) {
            return Named::NotKept;
        }
        Named::Unknown
    }

    /// Takes the URN of this kind off the front of an attribute's name. None: the name is one of
    /// another schema, of which nothing is kept.
    pub(super) fn without_urn(self, name: &str) -> Option<&str> {
        let is_urn = |text: &str| text.eq_ignore_ascii_case("urn:");
        if !name.get(..4).is_some_and(is_urn) {
            return Some(name);
        }
        let urn = self.urn();
        let head = name.get(..urn.len()).filter(|head| head.eq_ignore_ascii_case(urn))?;
        name.get(head.len()..)?.strip_prefix(':')
    }

    /// What `/Schemas` says of it (RFC 7643 section 7).
    pub fn schema(self) -> Value {
        let text = match self {
            Self::User => "A member of the workspace.",
            Self::Group => "A group of members. Roles are given to it in Causeway.",
        };
        json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Schema"],
            "id": self.urn(),
            "name": self.as_str(),
            "description": text,
            "attributes": self.attributes().iter().map(Attribute::document).collect::<Vec<_>>(),
        })
    }
}

/// The sub-attribute of this name.
pub(super) fn sub_named(attribute: &'static Attribute, name: &str) -> Named {
    match attribute.sub(name) {
        Some(sub) => Named::Kept(sub),
        None if SUBS_NOT_KEPT.iter().any(|one| one.eq_ignore_ascii_case(name)) => Named::NotKept,
        None => Named::Unknown,
    }
}
