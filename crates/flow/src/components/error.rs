//! What can go wrong between a caller and a component. What goes wrong in the component's own code is
//! part of its outcome.

use crate::error::{FlowError, clip};
use causeway_connect::CredentialError;
use causeway_identity::Denied;
use causeway_sandbox::{CheckoutError, FailureCode};
use causeway_store::Error as StoreError;
use causeway_types::{Code, Coded, ConnectionId};
use causeway_vault::VaultError;
use std::borrow::Cow;

/// An operation on components that failed.
#[derive(Debug, thiserror::Error)]
pub enum ComponentError {
    /// The folder, or what its component says of itself, breaks a rule.
    #[error("checking a component: {0}")]
    Invalid(String),
    /// The component's code does not parse, or imports what does not exist.
    #[error("reading a component's code")]
    Syntax {
        /// File, line and column, where they are known, and what is wrong.
        message: String,
    },
    /// The component's code failed before it had described itself.
    #[error("describing a component: {code}")]
    Undescribed {
        /// A stable word.
        code: FailureCode,
        /// What happened.
        message: String,
    },
    /// The catalogue has not the app of a prop, or the caller may not use it.
    #[error("finding the app `{0}` of a component")]
    UnknownApp(String),
    /// This version has been published with other content.
    #[error("publishing {key} {version} again with other content")]
    VersionTaken {
        /// The component.
        key: String,
        /// The version.
        version: String,
    },
    /// The environment has as many versions of components as it may.
    #[error("publishing one more component than there may be")]
    TooMany {
        /// How many there may be.
        most: usize,
    },
    /// There is no such component here.
    #[error("finding a component")]
    Unknown,
    /// It is no action.
    #[error("running a component that is no action")]
    NotAnAction,
    /// A value for the component has not the form that its prop wants.
    #[error("reading the configured props: {0}")]
    Props(String),
    /// The component has no such additional props.
    #[error("finding a component's additional props")]
    UnknownProps,
    /// The customer has no such account at this app.
    #[error("finding the account of the prop `{prop}`")]
    NoAccount {
        /// The prop.
        prop: String,
        /// Its app.
        app: String,
    },
    /// An account cannot be looked up, or its credential not be had just now.
    #[error("using an account for a component")]
    Credential(#[source] CredentialError),
    /// The caller may not do this.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// There was no sandbox to run the code in.
    #[error("taking a sandbox for a component")]
    NoSandbox(#[source] CheckoutError),
    /// What components share with workflows failed.
    #[error(transparent)]
    Flow(#[from] FlowError),
}

impl ComponentError {
    pub(super) fn account(prop: &str, app: &str, id: ConnectionId, error: CredentialError) -> Self {
        match error {
            CredentialError::Unknown => {
                tracing::debug!(connection.id = %id, "an account of somebody else, or none, was named");
                Self::NoAccount { prop: prop.to_owned(), app: app.to_owned() }
            }
            other => Self::Credential(other),
        }
    }
}

impl From<StoreError> for ComponentError {
    fn from(error: StoreError) -> Self {
        Self::Flow(error.into())
    }
}

impl From<VaultError> for ComponentError {
    fn from(error: VaultError) -> Self {
        Self::Flow(error.into())
    }
}

impl Coded for ComponentError {
    fn code(&self) -> Code {
        match self {
            Self::Invalid(_) | Self::Undescribed { .. } | Self::TooMany { .. } => {
                Code::InvalidComponent
            }
            Self::Syntax { .. } => Code::SyntaxError,
            Self::UnknownApp(_) => Code::UnknownApp,
            Self::VersionTaken { .. } => Code::ComponentVersionTaken,
            Self::Unknown | Self::UnknownProps | Self::NoAccount { .. } => Code::NotFound,
            Self::NotAnAction | Self::Props(_) => Code::InvalidRequest,
            Self::Credential(error) => error.code(),
            Self::Denied(error) => error.code(),
            Self::NoSandbox(CheckoutError::Closed) => Code::ShuttingDown,
            Self::NoSandbox(_) => Code::SandboxUnavailable,
            Self::Flow(error) => error.code(),
        }
    }

    fn public(&self) -> Cow<'static, str> {
        match self {
            Self::Invalid(why) => {
                format!("The component cannot be used: {}.", clip(why).trim_end_matches('.')).into()
            }
            Self::Syntax { message } => {
                let words: Vec<&str> = message.split_whitespace().collect();
                format!("The component's code does not parse: {}.", clip(&words.join(" "))).into()
            }
            Self::Undescribed { code, message } => format!(
                "The component could not be asked what it is ({code}): {}.",
                clip(message).trim_end_matches('.')
            )
            .into(),
            Self::UnknownApp(app) => format!(
                "The component uses the app `{}`, which is not in the catalogue or not within the \
                 caller's rights.",
                clip(app)
            )
            .into(),
            Self::VersionTaken { key, version } => format!(
                "The version {version} of {key} has been published with other content, and versions \
                 do not change. Give the component a higher `version`."
            )
            .into(),
            Self::TooMany { most } => format!(
                "This environment has {most} versions of components, which is as many as it may \
                 have. Delete some first."
            )
            .into(),
            Self::Unknown => "There is no such component in this environment.".into(),
            Self::NotAnAction => {
                "The component is a source. Sources cannot be run like actions.".into()
            }
            Self::Props(why) => format!("{}.", clip(why)).into(),
            Self::UnknownProps => {
                "The component has no additional props under this `dynamic_props_id`. Ask for them \
                 again with the values so far."
                    .into()
            }
            Self::NoAccount { prop, app } => format!(
                "The prop `{prop}` names an account that this customer does not have at the app \
                 {app}."
            )
            .into(),
            Self::Credential(error) => error.public(),
            Self::Denied(error) => error.public(),
            Self::NoSandbox(CheckoutError::Busy(_)) => {
                "Every sandbox is at work. Nothing has run; ask again later.".into()
            }
            Self::NoSandbox(_) => {
                "No sandbox can be started for the component's code. `causeway doctor` on the server \
                 says what is missing."
                    .into()
            }
            Self::Flow(error) => error.public(),
        }
    }
}
