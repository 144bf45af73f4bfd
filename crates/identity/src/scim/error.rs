//! What SCIM refuses, and what it calls that (RFC 7644 section 3.12).

use super::filter::FilterError;
use super::user::MAX_TEXT;
use crate::email::EmailError;
use crate::members::{MembersError, Twice};
use causeway_types::{Code, Coded};
use std::borrow::Cow;

/// A SCIM request that is refused, or failed.
#[derive(Debug, thiserror::Error)]
pub enum ScimError {
    /// The change is not allowed, or the store failed.
    #[error(transparent)]
    Members(#[from] MembersError),
    /// The filter cannot be served.
    #[error("reading a SCIM filter")]
    Filter(#[source] FilterError),
    /// A path of a change is not one.
    #[error("reading the path of a SCIM change")]
    Path(#[source] FilterError),
    /// The request has not the form that it should have.
    #[error("reading a SCIM request: {0}")]
    Syntax(&'static str),
    /// There is nothing that the change could be made on.
    #[error("finding the target of a SCIM change")]
    NoTarget,
    /// The attribute is Causeway's to write.
    #[error("changing the read-only attribute `{0}` over SCIM")]
    ReadOnly(&'static str),
    /// A required attribute is missing.
    #[error("reading a SCIM resource: `{0}` is missing")]
    Missing(&'static str),
    /// An attribute is of another type.
    #[error("reading a SCIM resource: `{0}` has a value of another type")]
    Type(&'static str),
    /// A text is too long, or holds control characters.
    #[error("reading a SCIM resource: `{0}` is too long or holds control characters")]
    Text(&'static str),
    /// An address that Causeway does not take.
    #[error("reading the e-mail address in `{attribute}`")]
    Email {
        /// Where it stands.
        attribute: &'static str,
        /// What is wrong with it.
        #[source]
        source: EmailError,
    },
    /// `userName` and the primary address are two.
    #[error("reading a SCIM user: `userName` and the primary address differ")]
    TwoAddresses,
    /// A group's member is no user of the workspace.
    #[error("reading the members of a SCIM group: one is no user here")]
    NoSuchUser,
    /// Another user has the address.
    #[error("keeping the address of a SCIM user: another has it")]
    UserTaken,
    /// An owner who has not signed in yet would get another address.
    #[error("changing the address of an owner who has not signed in yet")]
    OwnersAddress,
    /// There is more of something than may be.
    #[error("counting: there are more than {most} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The most.
        most: usize,
    },
}

impl From<causeway_store::Error> for ScimError {
    fn from(error: causeway_store::Error) -> Self {
        Self::Members(MembersError::Store(error))
    }
}

impl ScimError {
    /// SCIM's own word for it, where it has one.
    pub fn scim_type(&self) -> Option<&'static str> {
        match self {
            Self::Filter(_) => Some("invalidFilter"),
            Self::Path(_) => Some("invalidPath"),
            Self::Syntax(_) => Some("invalidSyntax"),
            Self::NoTarget => Some("noTarget"),
            Self::ReadOnly(_) => Some("mutability"),
            Self::Missing(_)
            | Self::Type(_)
            | Self::Text(_)
            | Self::Email { .. }
            | Self::TwoAddresses
            | Self::NoSuchUser
            | Self::TooMany { .. }
            | Self::Members(MembersError::Name | MembersError::TooMany { .. }) => {
                Some("invalidValue")
            }
            Self::UserTaken | Self::Members(MembersError::Taken(_)) => Some("uniqueness"),
            Self::OwnersAddress | Self::Members(_) => None,
        }
    }
}

impl Coded for ScimError {
    fn code(&self) -> Code {
        match self {
            Self::Members(source) => source.code(),
            Self::Email { source, .. } => source.code(),
            Self::UserTaken => Code::Taken,
            Self::OwnersAddress => Code::Denied,
            Self::Filter(_)
            | Self::Path(_)
            | Self::Syntax(_)
            | Self::NoTarget
            | Self::ReadOnly(_)
            | Self::Missing(_)
            | Self::Type(_)
            | Self::Text(_)
            | Self::TwoAddresses
            | Self::NoSuchUser
            | Self::TooMany { .. } => Code::InvalidRequest,
        }
    }

    fn public(&self) -> Cow<'static, str> {
        match self {
            Self::Members(MembersError::Beyond { .. }) => {
                "The directory makes no owners: it puts nobody into a group that carries the role `owner` and reactivates no owner. An owner does that in Causeway."
                    .into()
            }
            Self::Members(MembersError::LastOwner) => {
                "This is the workspace's last active owner, or the group by which it has one. Make somebody else an owner in Causeway first."
                    .into()
            }
            Self::Members(MembersError::Taken(Twice::GroupName)) => {
                "Another group has this `displayName`.".into()
            }
            Self::Members(source) => source.public(),
            Self::Filter(source) => format!("The filter cannot be served: {source}.").into(),
            Self::Path(source) => format!("The path cannot be changed: {source}.").into(),
            Self::Syntax(what) => (*what).into(),
            Self::NoTarget => {
                "The path matches nothing that could be replaced, or a `remove` has no path.".into()
            }
            Self::ReadOnly(attribute) => {
                format!("`{attribute}` is read-only: Causeway writes it.").into()
            }
            Self::Missing(attribute) => format!("`{attribute}` is required.").into(),
            Self::Type(attribute) => format!("`{attribute}` has a value of another type.").into(),
            Self::Text(attribute) => format!(
                "`{attribute}` has at most {MAX_TEXT} characters and no control characters."
            )
            .into(),
            Self::Email { attribute, source } => {
                format!("`{attribute}` has to be an e-mail address. {}", source.public()).into()
            }
            Self::TwoAddresses => {
                "`userName` and the primary e-mail address are one in Causeway. Map both to the address that the person signs in with."
                    .into()
            }
            Self::NoSuchUser => {
                "`members` names something that is no user of this workspace. Groups in groups are not supported."
                    .into()
            }
            Self::UserTaken => "Another user has this `userName`.".into(),
            Self::OwnersAddress => {
                "This user was made an owner and has not signed in yet: their address is changed by nobody."
                    .into()
            }
            Self::TooMany { what, most } => format!("There may be at most {most} {what}.").into(),
        }
    }
}
