//! Why a workflow does not get its packages.

use causeway_net::HttpError;
use causeway_sandbox::{CheckoutError, RuntimeError};
use causeway_types::entity::Ecosystem;
use causeway_types::{Code, Coded};
use std::borrow::Cow;

/// A workflow's packages could not be chosen, fetched or unpacked.
#[derive(Debug, thiserror::Error)]
pub enum PackagesError {
    /// A file that says which packages there are cannot be used.
    #[error("reading {file}: {what}")]
    Lock {
        /// The file.
        file: &'static str,
        /// What is wrong and what to do.
        what: String,
    },
    /// More packages than a version may have.
    #[error("reading a lock of {found} packages")]
    TooMany {
        /// How many there are.
        found: usize,
    },
    /// A script may run that no package has.
    #[error("looking for the install script of `{package}`")]
    NoSuchScript {
        /// The package.
        package: String,
    },
    /// npm or pip found no set of packages that fits.
    #[error("choosing packages with {tool}")]
    Unresolved {
        /// `npm` or `pip`.
        tool: &'static str,
        /// What it printed.
        said: String,
    },
    /// A package is to come from elsewhere.
    #[error("reading where {package} comes from")]
    Foreign {
        /// The package.
        package: String,
        /// The place, without what may be a credential.
        place: String,
    },
    /// The registry's archive is not the one that the lock names.
    #[error("fetching {package} {version}")]
    Integrity {
        /// The package.
        package: String,
        /// Its version.
        version: String,
        /// The digest that it should have.
        wanted: String,
        /// The digest that it has.
        found: String,
    },
    /// A version is younger than the operator allows.
    #[error("checking the age of {package} {version}")]
    Young {
        /// The package.
        package: String,
        /// Its version.
        version: String,
        /// How old it is, in hours; `None` if the registry does not say.
        hours: Option<u64>,
        /// How many days old it has to be.
        days: u64,
    },
    /// An archive holds what no package may, or does not read as one.
    #[error("unpacking {package} {version}: {what}")]
    Unsafe {
        /// The package.
        package: String,
        /// Its version.
        version: String,
        /// What it holds.
        what: String,
    },
    /// A script that may run has failed.
    #[error("running install scripts")]
    Script {
        /// Which, and what it printed.
        what: String,
    },
    /// What chose or installed packages wanted to reach something else than the registry.
    #[error("running {run}, which wanted to reach {host}")]
    Stray {
        /// `npm`, `pip` or the shell of install scripts.
        run: &'static str,
        /// Host and port.
        host: String,
    },
    /// The registry could not be asked.
    #[error("asking the registry of {ecosystem} packages")]
    Unreachable {
        /// Which.
        ecosystem: Ecosystem,
        /// Why.
        #[source]
        source: HttpError,
    },
    /// The registry answered with something else.
    #[error("asking the registry of {ecosystem} packages for {what}: {answer}")]
    Answer {
        /// Which.
        ecosystem: Ecosystem,
        /// What it was asked for.
        what: String,
        /// What it answered.
        answer: String,
    },
    /// The machine has no npm, pip or shell.
    #[error("looking for {tool}")]
    NoTool {
        /// Which.
        tool: &'static str,
        /// Why it cannot be had.
        #[source]
        source: RuntimeError,
    },
    /// There is no sandbox to run them in.
    #[error("starting a sandbox for packages")]
    NoSandbox(#[source] CheckoutError),
    /// A run in a sandbox came to no end of its own.
    #[error("running {tool} in a sandbox: {what}")]
    Run {
        /// `npm`, `pip` or `install scripts`.
        tool: &'static str,
        /// The limit, or what else went wrong.
        what: String,
    },
    /// The folder of packages cannot be used.
    #[error("{attempt} in the folder of packages")]
    Folder {
        /// What was attempted.
        attempt: String,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// The server ended meanwhile.
    #[error("unpacking packages while the server stops")]
    Stopped,
}

impl PackagesError {
    pub(crate) fn folder(attempt: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let attempt = attempt.into();
        move |source| Self::Folder { attempt, source }
    }
}

impl Coded for PackagesError {
    fn code(&self) -> Code {
        match self {
            Self::Lock { .. } | Self::TooMany { .. } | Self::NoSuchScript { .. } => {
                Code::InvalidLock
            }
            Self::Unresolved { .. } | Self::Run { .. } => Code::PackagesUnresolved,
            Self::Integrity { .. } => Code::IntegrityMismatch,
            Self::Young { .. } => Code::ReleaseTooYoung,
            Self::Unsafe { .. } => Code::UnsafePackage,
            Self::Script { .. } | Self::Stray { run: "a shell", .. } => Code::InstallScriptFailed,
            Self::Stray { .. } | Self::Foreign { .. } => Code::ForeignRegistry,
            Self::Unreachable { .. } | Self::Answer { .. } => Code::RegistryUnavailable,
            Self::NoTool { .. } => Code::InstallerUnavailable,
            Self::NoSandbox(CheckoutError::Closed) | Self::Stopped => Code::ShuttingDown,
            Self::NoSandbox(_) => Code::SandboxUnavailable,
            Self::Folder { .. } => Code::Internal,
        }
    }

    fn public(&self) -> Cow<'static, str> {
        match self {
            Self::Lock { file, what } => format!("{file}: {what}.").into(),
            Self::TooMany { found } => format!(
                "The lock names {found} packages; a version has at most {}. Take out what the code \
                 does not import.",
                crate::MAX_PACKAGES
            )
            .into(),
            Self::NoSuchScript { package } => format!(
                "workflow.yaml lets the install script of `{package}` run, and no package of that \
                 name has one here. Take it out of `install_scripts`."
            )
            .into(),
            Self::Unresolved { tool, said } => {
                format!("{tool} finds no set of packages that fits. It says: {}", clip(said)).into()
            }
            Self::Foreign { package, place } => format!(
                "`{package}` is to come from {place}, which is not the registry that this server \
                 takes packages from. Nothing was fetched. Make the lock anew against the server's \
                 registry, or put the code into the folder."
            )
            .into(),
            Self::Integrity { package, version, wanted, found } => format!(
                "The registry's archive of `{package}` {version} has the digest {found}, and the \
                 lock says {wanted}. It was not unpacked. If the lock is right, somebody has changed \
                 the archive: tell the registry's operator."
            )
            .into(),
            Self::Young { package, version, hours: Some(hours), days } => format!(
                "`{package}` {version} was published {} ago, and this server takes no version that \
                 is younger than {days} days. Lock an earlier version, or wait.",
                age(*hours)
            )
            .into(),
            Self::Young { package, version, hours: None, days } => format!(
                "The registry does not say when `{package}` {version} was published, and this server \
                 takes no version that is younger than {days} days. Its operator can name another \
                 registry, except the package (`packages.cooldown_except`), or switch the waiting \
                 off (`packages.cooldown_days = 0`)."
            )
            .into(),
            Self::Unsafe { package, version, what } => format!(
                "The archive of `{package}` {version} cannot be unpacked safely: {what}. Nothing of \
                 it was used."
            )
            .into(),
            Self::Script { what } => {
                format!("An install script failed: {}", clip(what)).into()
            }
            Self::Stray { run: "a shell", host } => format!(
                "An install script wanted to reach {host}. What installs packages reaches the \
                 registry alone; the connection was refused, and nothing was changed. Take the \
                 package out of `install_scripts`, or out of the workflow."
            )
            .into(),
            Self::Stray { run, host } => format!(
                "{run} wanted to reach {host}, which is not the registry that this server takes \
                 packages from. The connection was refused, and nothing was changed. The registry \
                 names that host: its operator can list it (`packages.pypi_files`), if it is right."
            )
            .into(),
            Self::Unreachable { source, .. } => format!(
                "The registry of packages cannot be used: {source}. Nothing was changed; deploy again \
                 later. Packages that the server has already need no registry."
            )
            .into(),
            Self::Answer { ecosystem, what, answer } => format!(
                "The registry of {ecosystem} packages was asked for {what} and answered {answer}. \
                 Nothing was changed."
            )
            .into(),
            Self::NoTool { tool, .. } => format!(
                "This takes {tool}, which this server's machine does not have. Nothing was changed. \
                 Put a lock with digests into the folder, if it is npm that is missing, or have \
                 {tool} installed: `causeway doctor` on the server says how."
            )
            .into(),
            Self::NoSandbox(CheckoutError::Busy(_)) => {
                "Every sandbox is at work, and packages are chosen in one. Nothing was changed; \
                 deploy again later."
                    .into()
            }
            Self::NoSandbox(_) => {
                "Packages are chosen in a sandbox, and none can be started. Nothing was changed. \
                 `causeway doctor` on the server says what is missing."
                    .into()
            }
            Self::Run { tool, what } => {
                format!("{tool} came to no end in its sandbox: {}.", clip(what)).into()
            }
            Self::Folder { .. } => {
                "The server's folder of packages cannot be used. The server's log has the details."
                    .into()
            }
            Self::Stopped => "The server is stopping. Deploy again.".into(),
        }
    }
}

/// Hours in words.
fn age(hours: u64) -> String {
    match hours {
        0..48 => format!("{hours} hours"),
        _ => format!("{} days", hours / 24),
    }
}

/// The longest text of others in a message, in characters.
const LONGEST: usize = 1500;

/// The end of a text: what failed is said last.
fn clip(text: &str) -> String {
    let text = text.trim();
    let skipped = text.chars().count().saturating_sub(LONGEST);
    let end: String = text.chars().skip(skipped).collect();
    if skipped == 0 { end } else { format!("…{end}") }
}
