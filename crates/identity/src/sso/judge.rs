//! Whether a sign-in meets a workspace's rules.

use super::SsoRules;
use super::rules::SsoError;
use crate::email::Email;
use causeway_store::{Store, db};
use causeway_types::entity::{IdentityProvider, ProviderKind, Session};
use causeway_types::{Code, Coded, INSTALLATION, ProviderId, Timestamp, WorkspaceId};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::time::Duration;

/// How a provider authenticated somebody, as its ID token says (OpenID Connect Core section 2).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Authentication {
    /// The methods (RFC 8176).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) amr: Vec<String>,
    /// The class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) acr: Option<String>,
}

/// What somebody has to show, when a workspace's rules are asked.
#[derive(Debug, Clone)]
pub(crate) struct Proof {
    pub(crate) provider: ProviderId,
    pub(crate) kind: ProviderKind,
    /// The workspace that owns the provider.
    pub(crate) realm: WorkspaceId,
    pub(crate) domain: String,
    pub(crate) hosted_domain: Option<String>,
    pub(crate) authentication: Authentication,
    /// When the session began.
    pub(crate) since: Timestamp,
}

/// What a sign-in lacks for a workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Demand {
    /// One of these providers, by name; none is named before [`SsoRefused::named`].
    Provider(Vec<String>),
    /// A verified address of one of these domains.
    Domain(Vec<String>),
    /// Google's word that the account is one of these domains'.
    HostedDomain(Vec<String>),
    /// More than one factor.
    Mfa,
    /// A newer sign-in: this is how old it may be.
    Age(Duration),
}

/// A sign-in does not meet what a workspace demands. The text says what that is, and nothing of
/// anybody else.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("entering a workspace: the sign-in does not meet its rules ({})", self.reason())]
pub struct SsoRefused {
    workspace: WorkspaceId,
    demand: Demand,
}

impl SsoRefused {
    /// One word for the audit chain.
    pub(crate) fn reason(&self) -> &'static str {
        match self.demand {
            Demand::Provider(_) => "provider_not_allowed",
            Demand::Domain(_) => "domain_not_allowed",
            Demand::HostedDomain(_) => "hosted_domain_not_allowed",
            Demand::Mfa => "mfa_missing",
            Demand::Age(_) => "session_too_old",
        }
    }
}

impl SsoRefused {
    /// The same with the names of the providers that would do, if that is what is demanded.
    pub(crate) async fn named(mut self, store: &Store) -> Result<Self, SsoError> {
        if let Demand::Provider(names) = &mut self.demand {
            let mut conn = store.read().await?;
            let rules = SsoRules::load(&mut conn, self.workspace).await?;
            for realm in BTreeSet::from([INSTALLATION, self.workspace]) {
                let rows = db!(conn, provider::list(realm))?;
                let allowed = rows.into_iter().filter(|row| rules.believes(row.id));
                names.extend(allowed.map(|row| row.name));
            }
        }
        Ok(self)
    }
}

impl Coded for SsoRefused {
    fn code(&self) -> Code {
        Code::SsoRequired
    }

    fn public(&self) -> Cow<'static, str> {
        match &self.demand {
            Demand::Provider(names) if names.is_empty() => {
                "This workspace does not believe the identity provider that you signed in with."
                    .into()
            }
            Demand::Provider(names) => {
                format!("This workspace demands a sign-in with {}.", names.join(" or ")).into()
            }
            Demand::Domain(domains) => format!(
                "This workspace demands a verified e-mail address of {}.",
                domains.join(" or ")
            )
            .into(),
            Demand::HostedDomain(domains) => format!(
                "This workspace demands a Google account that is managed by {}.",
                domains.join(" or ")
            )
            .into(),
            Demand::Mfa => "This workspace demands a sign-in with a second factor, and your identity provider did not say that it saw one. Turn it on there, then sign in again."
                .into(),
            Demand::Age(length) => format!(
                "In this workspace a sign-in counts for {} minutes, and yours is older. Sign in again.",
                length.as_secs() / 60
            )
            .into(),
        }
    }
}

impl Authentication {
    /// Whether the provider says, in the words of RFC 8176, that it saw more than one factor:
    /// `mfa`, or methods of two different kinds (something known, something had, something that
    /// one is). One method alone, a one-time password for instance, is one factor.
    pub(crate) fn is_multi_factor(&self) -> bool {
        const KNOWN: &[&str] = &["kba", "pin", "pwd"];
        const HAD: &[&str] = &["hwk", "otp", "pop", "sc", "sms", "swk", "tel"];
        const IS: &[&str] = &["face", "fpt", "iris", "retina", "vbm"];
        let has = |wanted: &[&str]| self.amr.iter().any(|method| wanted.contains(&method.as_str()));
        let kinds = [KNOWN, HAD, IS].into_iter().filter(|kind| has(kind)).count();
        has(&["mfa"]) || kinds > 1
    }

    /// As the session's record keeps it.
    pub(crate) fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl Proof {
    /// What a session shows.
    pub(crate) fn of(session: &Session, provider: &IdentityProvider) -> Self {
        Self {
            provider: provider.id,
            kind: provider.kind,
            realm: provider.workspace_id,
            domain: session
                .email
                .parse::<Email>()
                .map(|email| email.domain().to_owned())
                .unwrap_or_default(),
            hosted_domain: session.hosted_domain.clone(),
            // A damaged record proves nothing.
            authentication: serde_json::from_str(&session.authentication).unwrap_or_default(),
            since: session.created_at,
        }
    }
}

/// Whether the provider and the address may come into the workspace at all, however they were
/// proved.
pub(crate) fn admits(
    rules: &SsoRules,
    workspace: WorkspaceId,
    proof: &Proof,
) -> Result<(), SsoRefused> {
    let refuse = |demand| Err(SsoRefused { workspace, demand });
    // A workspace's own provider is its administrators' word, which counts in no other workspace.
    let believed = proof.realm == INSTALLATION || proof.realm == workspace;
    if !believed || !rules.believes(proof.provider) {
        return refuse(Demand::Provider(Vec::new()));
    }
    let Some(domains) = &rules.domains else { return Ok(()) };
    if !domains.contains(&proof.domain) {
        return refuse(Demand::Domain(domains.clone()));
    }
    // Anybody can have a private Google account with an address of the domain; `hd` says that the
    // domain's own administrators manage it.
    let hosted = proof.hosted_domain.as_ref().is_some_and(|hosted| domains.contains(hosted));
    if proof.kind == ProviderKind::Google && !hosted {
        return refuse(Demand::HostedDomain(domains.clone()));
    }
    Ok(())
}

/// Whether the proof meets all of the rules at the time `now`.
pub(crate) fn judge(
    rules: &SsoRules,
    workspace: WorkspaceId,
    proof: &Proof,
    now: Timestamp,
) -> Result<(), SsoRefused> {
    admits(rules, workspace, proof)?;
    let classed = proof.authentication.acr.as_ref().is_some_and(|acr| rules.acr.contains(acr));
    if rules.mfa && !classed && !proof.authentication.is_multi_factor() {
        return Err(SsoRefused { workspace, demand: Demand::Mfa });
    }
    let length = rules.session_length();
    if now.since(proof.since) >= length {
        return Err(SsoRefused { workspace, demand: Demand::Age(length) });
    }
    Ok(())
}
