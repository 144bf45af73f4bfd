//! How people must sign in to a workspace.

pub(crate) mod set;
pub(crate) mod show;

use causeway_identity::SsoRules;
use causeway_types::ProviderId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How people must sign in to the workspace. Each rule narrows; one that is left out or null does
/// not.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SsoPolicy)]
pub(crate) struct SsoPolicyBody {
    /// The identity providers that are believed, by their ids. Null: all of the installation's,
    /// and the workspace's own.
    providers: Option<Vec<ProviderId>>,
    /// The domains that a verified e-mail address must be of, compared exactly: a subdomain is
    /// another domain. At Google, the account itself must be managed by one of them. Null: all.
    domains: Option<Vec<String>>,
    /// Whether the provider must say that it saw more than one factor.
    #[serde(default)]
    mfa: bool,
    /// Values of the `acr` claim that count as more than one factor, beside what `amr` says
    /// (RFC 8176).
    #[serde(default)]
    acr: Vec<String>,
    /// How long a session counts here after its sign-in, in minutes, 5 to 43,200. Null: 24 hours.
    session_minutes: Option<u32>,
    /// For how long after the provider authenticated somebody they may do what needs a fresh
    /// proof, in minutes, 1 to 1,440. Null: 10.
    step_up_minutes: Option<u32>,
}

impl From<SsoRules> for SsoPolicyBody {
    fn from(rules: SsoRules) -> Self {
        Self {
            providers: rules.providers,
            domains: rules.domains,
            mfa: rules.mfa,
            acr: rules.acr,
            session_minutes: rules.session_minutes,
            step_up_minutes: rules.step_up_minutes,
        }
    }
}

impl From<SsoPolicyBody> for SsoRules {
    fn from(policy: SsoPolicyBody) -> Self {
        Self {
            providers: policy.providers,
            domains: policy.domains,
            mfa: policy.mfa,
            acr: policy.acr,
            session_minutes: policy.session_minutes,
            step_up_minutes: policy.step_up_minutes,
        }
    }
}
