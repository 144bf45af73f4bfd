//! Which scopes a flow asks for, and which it got.

use super::MissingScopes;
use crate::limits::shown;
use causeway_catalog::ScopeProfile;
use causeway_types::entity::{ConnectSession, Connection};

/// Most scopes that are kept of an answer.
const KEPT: usize = 200;
/// What the outcome of a flow begins with that made a connection with fewer scopes than it asked
/// for. No problem has this code.
const OUTCOME: &str = "missing_scopes\n";

impl MissingScopes {
    /// The outcome of a flow with these, for the page that waits for it elsewhere.
    pub(super) fn outcome(&self) -> String {
        format!("{OUTCOME}{}", self.0.join(" "))
    }

    /// Reads such an outcome.
    pub(super) fn of_outcome(text: &str) -> Option<Self> {
        let scopes = text.strip_prefix(OUTCOME)?.split(' ');
        Some(Self(scopes.map(str::to_owned).collect()))
    }
}

/// The scopes to ask for: the session's set, or the usual ones; those that the session names beside;
/// and, when a connection is renewed, those that it has, so that renewing takes nothing away. Of
/// those, some apps write names of their own that they do not take back; if not even the usual
/// ones stand among them as they were asked for, only those count that the row or the session
/// knows.
pub(super) fn asked(
    usual: &[String],
    profiles: &[ScopeProfile],
    session: &ConnectSession,
    renewed: Option<&Connection>,
) -> Vec<String> {
    let wanted = session.scope_profile.as_deref();
    let profile = profiles.iter().find(|profile| Some(profile.name.as_str()) == wanted);
    let base = profile.map_or(usual, |profile| profile.scopes.as_slice());
    let mut asked: Vec<String> = Vec::new();
    let mut add = |scope: &str| {
        if !asked.iter().any(|known| known == scope) {
            asked.push(scope.to_owned());
        }
    };
    for scope in base.iter().map(String::as_str).chain(session.scopes.split_whitespace()) {
        add(scope);
    }
    if let Some(renewed) = renewed {
        let held: Vec<&str> = renewed.scopes.split_whitespace().collect();
        let verbatim = !usual.is_empty() && usual.iter().all(|one| held.contains(&one.as_str()));
        let known = |scope: &&str| {
            let mut row = usual.iter().chain(profiles.iter().flat_map(|profile| &profile.scopes));
            verbatim || row.any(|one| one == scope)
        };
        for scope in held.iter().copied().filter(known) {
            add(scope);
        }
    }
    asked
}

/// What was granted, and what of that asked for was not. An app that names no scopes has granted
/// those asked for (RFC 6749 section 5.1). Some apps separate them by commas.
pub(super) fn compare(asked: &[String], granted: Option<&str>) -> (Vec<String>, MissingScopes) {
    let Some(granted) = granted else { return (asked.to_vec(), MissingScopes::default()) };
    let granted: Vec<String> = granted
        .split([' ', ','])
        .filter(|scope| !scope.is_empty())
        .take(KEPT)
        .map(|scope| shown(scope, 256))
        .collect();
    let missing = asked.iter().filter(|scope| !granted.contains(scope)).cloned().collect();
    (granted, MissingScopes(missing))
}
