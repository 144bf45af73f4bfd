//! What can go wrong between a caller and a workflow.

use crate::bundle::BundleError;
use crate::manifest::ManifestError;
use causeway_packages::PackagesError;
use causeway_sandbox::{CheckoutError, FailureCode, Runtime, RuntimeError};
use causeway_store::{Error as StoreError, JournalError};
use causeway_types::{Code, Coded, InvocationId, WorkflowId};
use causeway_vault::VaultError;
use std::borrow::Cow;
use std::sync::Arc;

/// An operation on workflows that failed.
#[derive(Debug, thiserror::Error)]
pub enum FlowError {
    /// The files are no version.
    #[error("checking the workflow's files")]
    Bundle(#[source] BundleError),
    /// A connection that the workflow names does not exist.
    #[error("finding the connection `{name}`")]
    MissingConnection {
        /// Its name.
        name: String,
    },
    /// The workflow hands a credential to its code, which the environment's settings forbid.
    #[error("handing the credential of `{name}` to code, which the environment's settings forbid")]
    ExposureOff {
        /// The connection's name.
        name: String,
    },
    /// The code does not parse, or imports what does not exist.
    #[error("reading the workflow's code")]
    Syntax {
        /// File, line and column, where they are known, and what is wrong.
        message: String,
    },
    /// The code cannot even be read within its limits.
    #[error("reading the workflow's code: {code}")]
    Unreadable {
        /// The limit, or what else went wrong in the sandbox.
        code: FailureCode,
        /// The same in words.
        message: String,
    },
    /// This machine has not what runs the code.
    #[error("looking for what runs {runtime} steps")]
    NoRuntime {
        /// What is needed.
        runtime: Runtime,
        /// Why it cannot be had.
        #[source]
        source: RuntimeError,
    },
    /// There was no sandbox to read the code in.
    #[error("reading the workflow's code in a sandbox")]
    NoSandbox(#[source] CheckoutError),
    /// The workflow does not get its packages.
    #[error("getting the workflow's packages")]
    Packages(#[from] PackagesError),
    /// There is no such workflow here.
    #[error("finding the workflow {0}")]
    NoWorkflow(WorkflowId),
    /// There is no workflow of this name here.
    #[error("finding the workflow named `{0}`")]
    NoWorkflowNamed(String),
    /// There is no such invocation here.
    #[error("finding the invocation {0}")]
    NoInvocation(InvocationId),
    /// No workflow has a trigger with this URL.
    #[error("finding a trigger by its URL")]
    NoTrigger,
    /// The workflow has no active version.
    #[error("finding the active version of {0}")]
    NotDeployed(WorkflowId),
    /// The invocation is not at its end.
    #[error("changing {0}, which is under way")]
    Active(InvocationId),
    /// The invocation is at its end.
    #[error("changing {0}, which has ended")]
    Ended(InvocationId),
    /// The invocation is an item of another's loop, and changed with the whole.
    #[error("changing {id}, which is an item of {parent}")]
    IsItem {
        /// The item.
        id: InvocationId,
        /// The invocation with the loop.
        parent: InvocationId,
    },
    /// No invocation waits for this link any more.
    #[error("finding what a link lets go on")]
    NoSuspension,
    /// The invocation waits for no link.
    #[error("resuming {0}, which waits for no link")]
    NotSuspended(InvocationId),
    /// The workflow's queue is full.
    #[error("queueing an event: {queued} are waiting")]
    QueueFull {
        /// How many wait.
        queued: i64,
    },
    /// A workflow's open invocations could not be counted, for all that waited for the count.
    #[error("counting the open invocations of {workflow}")]
    Count {
        /// The workflow.
        workflow: WorkflowId,
        /// Why.
        #[source]
        source: Arc<StoreError>,
    },
    /// The store failed.
    #[error("using the store")]
    Store(#[from] StoreError),
    /// The journal failed.
    #[error("using the journal")]
    Journal(#[from] JournalError),
    /// The vault failed.
    #[error("using the vault")]
    Vault(#[from] VaultError),
    /// A stored record does not read back: a defect or a damaged database.
    #[error("reading a stored {what}")]
    Stored {
        /// What it was.
        what: &'static str,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// A row that another row points to is gone.
    #[error("finding the {what} of {of}")]
    Dangling {
        /// What is gone.
        what: &'static str,
        /// What points to it.
        of: String,
    },
}

impl Coded for FlowError {
    fn code(&self) -> Code {
        match self {
            Self::Bundle(
                BundleError::Manifest(_) | BundleError::NoManifest | BundleError::ManifestNotText,
            ) => Code::InvalidManifest,
            Self::Bundle(_) | Self::Unreadable { .. } => Code::InvalidCode,
            Self::Syntax { .. } => Code::SyntaxError,
            Self::MissingConnection { .. } => Code::MissingConnection,
            Self::ExposureOff { .. } => Code::CredentialExportOff,
            Self::NoWorkflow(_)
            | Self::NoWorkflowNamed(_)
            | Self::NoInvocation(_)
            | Self::NoTrigger
            | Self::NoSuspension => Code::NotFound,
            Self::NotDeployed(_) => Code::NotDeployed,
            Self::Active(_) => Code::InvocationActive,
            Self::Ended(_) => Code::InvocationEnded,
            Self::IsItem { .. } | Self::NotSuspended(_) => Code::InvalidRequest,
            Self::QueueFull { .. } => Code::QueueFull,
            Self::Store(error) => error.code(),
            Self::Journal(JournalError::Store(error)) | Self::Count { source: error, .. } => {
                error.code()
            }
            Self::Journal(JournalError::Stopped) | Self::NoSandbox(CheckoutError::Closed) => {
                Code::ShuttingDown
            }
            Self::NoSandbox(_) | Self::NoRuntime { .. } => Code::SandboxUnavailable,
            Self::Vault(error) => error.code(),
            Self::Packages(error) => error.code(),
            Self::Stored { .. } | Self::Dangling { .. } => Code::Internal,
        }
    }

    fn public(&self) -> Cow<'static, str> {
        match self {
            Self::Bundle(error) => sentence(&error.to_string()).into(),
            Self::MissingConnection { name } => format!(
                "The workflow uses the connection `{name}`, which does not exist in this environment. \
                 Make it with `causeway connect --app <app> --name {name}`, then deploy again."
            )
            .into(),
            Self::ExposureOff { name } => exposure_off(name).into(),
            Self::Syntax { message } => clip(message).into(),
            Self::Unreadable { message, .. } => {
                format!("The workflow's code cannot be read: {}.", clip(message)).into()
            }
            Self::NoRuntime { runtime, .. } => format!(
                "The workflow has steps for {runtime}, which this server's machine does not have, \
                 or not as it has to be. Nothing was changed. `causeway doctor` on the server says \
                 what to install."
            )
            .into(),
            Self::NoSandbox(CheckoutError::Busy(_)) => {
                "Every sandbox is at work, and the code has to be read in one before it is \
                 deployed. Nothing was changed; deploy again later."
                    .into()
            }
            Self::NoSandbox(_) => {
                "The code has to be read in a sandbox before it is deployed, and none can be \
                 started. Nothing was changed. `causeway doctor` on the server says what is missing."
                    .into()
            }
            Self::NoWorkflow(id) => format!("There is no workflow {id} in this environment.").into(),
            Self::NoWorkflowNamed(name) => {
                format!("There is no workflow named `{name}` in this environment.").into()
            }
            Self::NoInvocation(id) => {
                format!("There is no invocation {id} in this environment.").into()
            }
            Self::NoTrigger => "No workflow listens at this address.".into(),
            Self::NotDeployed(id) => {
                format!("The workflow {id} has no active version. Deploy it first.").into()
            }
            Self::Active(id) => {
                format!("The invocation {id} is still under way. Wait until it has ended, or cancel it.").into()
            }
            Self::Ended(id) => {
                format!("The invocation {id} has ended. To run its event once more, replay it.").into()
            }
            Self::NoSuspension => {
                "This link has been used, or nothing waits for it any more.".into()
            }
            Self::NotSuspended(id) => {
                format!("The invocation {id} does not wait to be resumed.").into()
            }
            Self::IsItem { id, parent } => format!(
                "The invocation {id} is an item of {parent}: cancel, replay or delete that."
            )
            .into(),
            Self::QueueFull { queued } => format!(
                "{queued} events wait for this workflow, which is as many as it may have. \
                 The event was not stored; send it again later."
            )
            .into(),
            Self::Store(error) => error.public(),
            Self::Journal(JournalError::Store(error)) | Self::Count { source: error, .. } => {
                error.public()
            }
            Self::Journal(JournalError::Stopped) => {
                "The server is stopping. Nothing of this request was stored; send it again.".into()
            }
            Self::Vault(error) => error.public(),
            Self::Packages(error) => error.public(),
            Self::Stored { .. } | Self::Dangling { .. } => {
                "A stored record cannot be read. The server's log has the details.".into()
            }
        }
    }
}

/// Why code does not get a credential itself, and what to do.
pub(crate) fn exposure_off(name: &str) -> String {
    format!(
        "The workflow hands the credential of `{name}` to its code (`expose: true`), and the settings of \
         this environment keep credentials in. Link it without `expose`, or let `credential_export` be \
         set with `PUT /api/v1/connect-settings`."
    )
}

/// The longest message about a folder, in characters: it may repeat its author's own text.
const MESSAGE: usize = 1000;

/// A message of bounded length, cut in its middle: its end says where, or its beginning.
pub(crate) fn clip(message: &str) -> String {
    let count = message.chars().count();
    if count <= MESSAGE {
        return message.to_owned();
    }
    let head: String = message.chars().take(MESSAGE / 2).collect();
    let tail: String = message.chars().skip(count - MESSAGE / 2).collect();
    format!("{head}…{tail}")
}

/// A message as a sentence.
pub(crate) fn sentence(message: &str) -> String {
    let mut text = clip(message);
    if !text.starts_with(crate::FILE_NAME) {
        let mut letters = text.chars();
        let first = letters.next().map(|letter| letter.to_uppercase().to_string());
        text = first.unwrap_or_default() + letters.as_str();
    }
    if !text.ends_with('.') {
        text.push('.');
    }
    text
}

impl From<ManifestError> for FlowError {
    fn from(error: ManifestError) -> Self {
        Self::Bundle(BundleError::Manifest(error))
    }
}

impl From<BundleError> for FlowError {
    fn from(error: BundleError) -> Self {
        Self::Bundle(error)
    }
}
