//! The rules, and how they are read and set.

use super::judge::{Proof, SsoRefused, judge};
use crate::action;
use crate::email::{EmailError, normalize_domain};
use crate::permit::Permit;
use crate::sign_in::SignIn;
use crate::token::{self, Plain};
use causeway_store::{Audit, ReadConn, Store, WriteTx, db};
use causeway_types::{Actor, Clock, Code, Coded, INSTALLATION, ProviderId, Timestamp, WorkspaceId};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::time::Duration;

/// The most entries of each list.
const MAX_RULE_ENTRIES: usize = 100;
/// The longest `acr` value, in characters.
const MAX_ACR: usize = 200;
/// The shortest session that can be set, in minutes.
const MIN_SESSION_MINUTES: u32 = 5;
/// The longest session that can be set, in minutes: 30 days.
const MAX_SESSION_MINUTES: u32 = 43_200;
/// The longest time that a step-up can be set to last, in minutes: a day.
const MAX_STEP_UP_MINUTES: u32 = 1_440;
/// How long a session lasts at most where no rule says so.
const SESSION: Duration = Duration::from_hours(24);
/// How long a proof is fresh enough for what steps up where no rule says so.
const STEP_UP: Duration = Duration::from_mins(10);

/// How people must sign in to a workspace. Each rule narrows; a missing one does not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SsoRules {
    /// The providers that are believed. None: all of the installation's, and the workspace's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub providers: Option<Vec<ProviderId>>,
    /// The domains that a verified e-mail address must be of, compared exactly: a subdomain is
    /// another domain. At Google, the `hd` claim must name one of them too. None: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domains: Option<Vec<String>>,
    /// Whether the provider must say that it saw more than one factor.
    #[serde(default)]
    pub mfa: bool,
    /// Values of the `acr` claim that count as more than one factor, beside what `amr` says
    /// (RFC 8176).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub acr: Vec<String>,
    /// How long a session counts here after its sign-in, in minutes. None: 24 hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_minutes: Option<u32>,
    /// For how long after the provider authenticated somebody they may do what needs a fresh
    /// proof, in minutes. None: 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step_up_minutes: Option<u32>,
}

/// The rules could not be read or set.
#[derive(Debug, thiserror::Error)]
pub enum SsoError {
    /// A list is too long, or a value of it.
    #[error(
        "`{0}` has more than {MAX_RULE_ENTRIES} entries, or a value longer than {MAX_ACR} characters"
    )]
    TooMany(&'static str),
    /// A list that would let nobody in.
    #[error("`{0}` is an empty list, which would let nobody in; leave it out to allow all")]
    Empty(&'static str),
    /// A domain is none.
    #[error("`{0}` is not a domain")]
    Domain(String, #[source] EmailError),
    /// A number of minutes out of its bounds.
    #[error("`{name}` must be between {from} and {to} minutes")]
    Minutes {
        /// The field.
        name: &'static str,
        /// The least.
        from: u32,
        /// The most.
        to: u32,
    },
    /// A provider is neither the installation's nor the workspace's own.
    #[error("finding the provider {0} among the installation's and the workspace's own")]
    UnknownProvider(ProviderId),
    /// Whoever sets the rules could not come in any more.
    #[error("setting rules that would lock out whoever sets them")]
    LockedOut(#[source] SsoRefused),
    /// A person sets the rules, and it is not known by which session.
    #[error("setting rules without a session to try them on")]
    NoSession,
    /// The stored rules are damaged.
    #[error("reading the rules of {0}")]
    Damaged(WorkspaceId, #[source] serde_json::Error),
    /// The store failed.
    #[error("reading or writing the rules of a workspace")]
    Store(#[from] causeway_store::Error),
}

impl Coded for SsoError {
    fn code(&self) -> Code {
        match self {
            Self::LockedOut(_) | Self::NoSession => Code::SsoRequired,
            Self::Damaged(..) => Code::Internal,
            Self::Store(source) => source.code(),
            _ => Code::InvalidRequest,
        }
    }

    fn public(&self) -> Cow<'static, str> {
        match self {
            Self::LockedOut(refused) => format!(
                "These rules would lock you out. {} Set them with `force` if that is meant.",
                refused.public()
            )
            .into(),
            Self::NoSession => {
                "Set the rules with the session that you are signed in with, or with `force`.".into()
            }
            Self::Damaged(..) => "The workspace's sign-in rules cannot be read. Set them again, or reset them on the machine.".into(),
            Self::Store(source) => source.public(),
            Self::UnknownProvider(id) => {
                format!("There is no provider `{id}` that this workspace may use.").into()
            }
            other => format!("{other}.").into(),
        }
    }
}

impl SsoRules {
    /// The rules of a workspace.
    pub(crate) async fn load(
        conn: &mut ReadConn,
        workspace: WorkspaceId,
    ) -> Result<Self, SsoError> {
        let text = db!(conn, sso_policy::get(workspace))?;
        Self::from_stored(workspace, text)
    }

    /// The rules of a workspace, as a transaction sees them.
    pub(crate) async fn load_in(
        tx: &mut WriteTx,
        workspace: WorkspaceId,
    ) -> Result<Self, SsoError> {
        let text = db!(tx, sso_policy::get(workspace))?;
        Self::from_stored(workspace, text)
    }

    fn from_stored(workspace: WorkspaceId, text: Option<String>) -> Result<Self, SsoError> {
        let Some(text) = text else { return Ok(Self::default()) };
        serde_json::from_str(&text).map_err(|source| SsoError::Damaged(workspace, source))
    }

    /// Whether a provider is among those that are believed.
    pub(crate) fn believes(&self, provider: ProviderId) -> bool {
        self.providers.as_ref().is_none_or(|list| list.contains(&provider))
    }

    /// How long a session counts.
    pub(crate) fn session_length(&self) -> Duration {
        self.session_minutes.map_or(SESSION, |minutes| Duration::from_mins(minutes.into()))
    }

    /// How long a proof is fresh.
    pub(crate) fn step_up_within(&self) -> Duration {
        self.step_up_minutes.map_or(STEP_UP, |minutes| Duration::from_mins(minutes.into()))
    }

    /// The rules with their domains normalized, if they can be set.
    fn checked(mut self) -> Result<Self, SsoError> {
        let lengths = [
            ("providers", self.providers.as_ref().map(Vec::len)),
            ("domains", self.domains.as_ref().map(Vec::len)),
            ("acr", (!self.acr.is_empty()).then_some(self.acr.len())),
        ];
        for (name, length) in lengths {
            match length {
                Some(0) => return Err(SsoError::Empty(name)),
                Some(length) if length > MAX_RULE_ENTRIES => return Err(SsoError::TooMany(name)),
                _ => {}
            }
        }
        if self.acr.iter().any(|acr| acr.is_empty() || acr.chars().count() > MAX_ACR) {
            return Err(SsoError::TooMany("acr"));
        }
        for domain in self.domains.iter_mut().flatten() {
            *domain = normalize_domain(domain)
                .map_err(|source| SsoError::Domain(domain.clone(), source))?;
        }
        let bounds = [
            ("session_minutes", self.session_minutes, MIN_SESSION_MINUTES, MAX_SESSION_MINUTES),
            ("step_up_minutes", self.step_up_minutes, 1, MAX_STEP_UP_MINUTES),
        ];
        for (name, value, from, to) in bounds {
            if value.is_some_and(|value| !(from..=to).contains(&value)) {
                return Err(SsoError::Minutes { name, from, to });
            }
        }
        Ok(self)
    }
}

impl SignIn {
    /// How people must sign in to the workspace.
    ///
    /// # Errors
    /// [`SsoError::Damaged`], [`SsoError::Store`].
    pub async fn rules(&self, permit: &Permit<action::ReadSso>) -> Result<SsoRules, SsoError> {
        let mut conn = self.inner.store.read().await?;
        SsoRules::load(&mut conn, permit.workspace()).await
    }

    /// Replaces the rules of the workspace. They count from the next request on. A person says by
    /// `session`, the cookie, which session is tried on them: what would lock it out is refused,
    /// unless that is forced.
    ///
    /// # Errors
    /// See [`SsoError`].
    pub async fn set_rules(
        &self,
        permit: &Permit<action::ManageSso>,
        rules: SsoRules,
        session: Option<&str>,
        force: bool,
    ) -> Result<SsoRules, SsoError> {
        let inner = &self.inner;
        let (workspace, now) = (permit.workspace(), inner.clock.now());
        let rules = rules.checked()?;
        let mut tx = inner.store.write(permit.actor()).await?;
        for id in rules.providers.iter().flatten() {
            let found = db!(tx, provider::by_id(*id))?;
            found
                .filter(|one| [INSTALLATION, workspace].contains(&one.workspace_id))
                .ok_or(SsoError::UnknownProvider(*id))?;
        }
        // Staff come in by the installation's rules, and programs by none.
        if let (Actor::User(user), false) = (permit.actor(), force) {
            let digest = session
                .and_then(|cookie| Plain::<token::Session>::parse(cookie).ok())
                .map(|cookie| cookie.keyed_digest(&inner.token_key))
                .ok_or(SsoError::NoSession)?;
            let own = db!(tx, session::by_digest(digest.as_bytes()))?
                .filter(|one| one.user_id == user && digest.matches(&one.digest))
                .ok_or(SsoError::NoSession)?;
            let provider = db!(tx, provider::by_id(own.provider_id))?.ok_or(SsoError::NoSession)?;
            judge(&rules, workspace, &Proof::of(&own, &provider), now)
                .map_err(SsoError::LockedOut)?;
        }
        store_rules(tx, workspace, &rules, now).await?;
        Ok(rules)
    }
}

/// Takes all rules from a workspace: for whoever has the machine, when nobody can come in any
/// more.
///
/// # Errors
/// [`SsoError::Store`].
pub async fn reset_sso_rules(
    store: &Store,
    clock: &dyn Clock,
    workspace: WorkspaceId,
) -> Result<(), SsoError> {
    let tx = store.write(Actor::Machine).await?;
    store_rules(tx, workspace, &SsoRules::default(), clock.now()).await
}

async fn store_rules(
    mut tx: WriteTx,
    workspace: WorkspaceId,
    rules: &SsoRules,
    now: Timestamp,
) -> Result<(), SsoError> {
    let value = serde_json::to_value(rules).map_err(|e| SsoError::Damaged(workspace, e))?;
    db!(tx, sso_policy::set(workspace, &value.to_string(), now))?;
    Ok(tx.commit(workspace, now, Audit::SsoPolicyChanged { rules: value }).await?)
}
