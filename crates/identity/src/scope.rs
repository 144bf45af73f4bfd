//! What a program may do: the scopes of an API key or a machine client.

use crate::action::ActionName;
use serde::{Deserialize, Serialize};

/// What a program with no list of actions may do: everything that a company's own programs do.
/// Using a credential is not among it, because no API gives a credential out; nor is anything
/// that concerns people.
const USUAL: &[ActionName] = &[
    ActionName::ReadWorkflows,
    ActionName::Deploy,
    ActionName::RunWorkflow,
    ActionName::ReadInvocations,
    ActionName::ReplayInvocation,
    ActionName::CancelInvocation,
    ActionName::ResumeInvocation,
    ActionName::DeleteInvocation,
    ActionName::ReadConnections,
    ActionName::WriteConnections,
    ActionName::UseProxy,
    ActionName::RunComponents,
    ActionName::ManageOAuthClients,
    ActionName::ReadWebhooks,
    ActionName::ManageWebhooks,
    ActionName::ReplayWebhooks,
    ActionName::ReadKeys,
    ActionName::RotateKeys,
    ActionName::ReadApps,
    ActionName::ReadWorkspace,
];

/// Actions that no scope can carry: they are a person's, or Causeway's own, or done in the
/// installation only, where no program is.
const NEVER: &[ActionName] = &[
    ActionName::UseConnections,
    ActionName::DecideAccess,
    ActionName::RequestAccess,
    ActionName::ApproveStaff,
    ActionName::ManageWorkspaces,
    ActionName::ReadReports,
];

/// The most entries of each list.
pub const MAX_ENTRIES: usize = 100;
/// The longest slug of an app, in characters.
const MAX_SLUG: usize = 64;
/// The longest path of a rule, in bytes.
pub(crate) const MAX_PATH: usize = 512;
/// The longest HTTP method, in characters.
const MAX_METHOD: usize = 20;

/// What a program may do in its environment. Each list narrows; a missing one does not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scopes {
    /// The actions. None: the usual ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actions: Option<Vec<ActionName>>,
    /// The apps whose connections and clients may be touched, by slug. None: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apps: Option<Vec<String>>,
    /// The requests that may go through the proxy. None: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<Vec<ProxyRule>>,
}

/// Requests that may go through the proxy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProxyRule {
    /// HTTP methods in capitals; empty: all.
    #[serde(default)]
    pub methods: Vec<String>,
    /// Paths at the app, from the first `/` on. A `*` stands for any text without a `/`, and `**`
    /// at the end for anything. Empty: all.
    #[serde(default)]
    pub paths: Vec<String>,
}

impl ProxyRule {
    /// Whether one of the rules names a request; without a list, all may be made. `path` is as in
    /// [`Scopes::allows_request`].
    pub fn allow(rules: Option<&[Self]>, method: &str, path: &str) -> bool {
        rules.is_none_or(|rules| rules.iter().any(|rule| rule.names(method, path)))
    }

    fn names(&self, method: &str, path: &str) -> bool {
        (self.methods.is_empty() || self.methods.iter().any(|one| one == method))
            && (self.paths.is_empty() || self.paths.iter().any(|pattern| fits(pattern, path)))
    }
}

/// Scopes that cannot be given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// No program may have this action.
    #[error("the action `{0}` cannot be given to a program")]
    NotForPrograms(ActionName),
    /// A list is longer than [`MAX_ENTRIES`].
    #[error("`{0}` has more than {MAX_ENTRIES} entries")]
    TooMany(&'static str),
    /// An app is not the slug of one.
    #[error(
        "an app is named by its slug: lower-case letters, digits, `-` and `_`, at most {MAX_SLUG}"
    )]
    App,
    /// A path is longer than [`MAX_PATH`].
    #[error("a path has more than {MAX_PATH} bytes")]
    LongPath,
    /// A method is not an HTTP method in capitals.
    #[error("`{0}` is not an HTTP method in capital letters")]
    Method(String),
    /// A path does not begin with `/`, or goes up.
    #[error("`{0}` is not a path: it begins with `/` and has no `..`")]
    Path(String),
}

impl Scopes {
    /// The scopes that name nothing but one action.
    pub fn only(action: ActionName) -> Self {
        Self { actions: Some(vec![action]), ..Self::default() }
    }

    /// Those of the key that whoever has the server's machine makes: the usual actions, making
    /// further keys, the connect settings, and the audit chain, which the machine has in any case.
    pub(crate) fn of_the_machine() -> Self {
        let mut actions = USUAL.to_vec();
        actions.extend([
            ActionName::ManageConnectSettings,
            ActionName::ReadMachineAccess,
            ActionName::ManageMachineAccess,
            ActionName::ReadAudit,
            ActionName::ExportAudit,
        ]);
        Self { actions: Some(actions), ..Self::default() }
    }

    /// Reads scopes as they are stored.
    ///
    /// # Errors
    /// If the text is not what [`to_text`](Self::to_text) gave.
    pub fn from_text(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// The scopes as they are stored.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|_| r#"{"actions":[]}"#.to_owned())
    }

    /// Checks scopes that somebody asks for.
    ///
    /// # Errors
    /// See [`ScopeError`].
    pub fn check(&self) -> Result<(), ScopeError> {
        let lengths = [
            ("actions", self.actions.as_ref().map_or(0, Vec::len)),
            ("apps", self.apps.as_ref().map_or(0, Vec::len)),
            ("proxy", self.proxy.as_ref().map_or(0, Vec::len)),
        ];
        if let Some((list, _)) = lengths.into_iter().find(|(_, length)| *length > MAX_ENTRIES) {
            return Err(ScopeError::TooMany(list));
        }
        if let Some(never) = self.actions().iter().find(|action| NEVER.contains(action)) {
            return Err(ScopeError::NotForPrograms(*never));
        }
        if self.apps.iter().flatten().any(|app| !is_slug(app)) {
            return Err(ScopeError::App);
        }
        for rule in self.proxy.iter().flatten() {
            if rule.methods.len() > MAX_ENTRIES || rule.paths.len() > MAX_ENTRIES {
                return Err(ScopeError::TooMany("proxy"));
            }
            for method in &rule.methods {
                let fits = (1..=MAX_METHOD).contains(&method.len());
                if !fits || !method.bytes().all(|byte| byte.is_ascii_uppercase()) {
                    return Err(ScopeError::Method(method.chars().take(MAX_METHOD).collect()));
                }
            }
            for path in &rule.paths {
                if path.len() > MAX_PATH {
                    return Err(ScopeError::LongPath);
                }
                let up = path.split('/').any(|part| part == "..");
                if !path.starts_with('/') || up || path.contains(char::is_control) {
                    return Err(ScopeError::Path(path.clone()));
                }
            }
        }
        Ok(())
    }

    /// The actions.
    pub fn actions(&self) -> &[ActionName] {
        self.actions.as_deref().unwrap_or(USUAL)
    }

    /// Whether an action is among them.
    pub fn allows(&self, action: ActionName) -> bool {
        self.actions().contains(&action) && !NEVER.contains(&action)
    }

    /// Whether an app may be touched.
    pub fn allows_app(&self, slug: &str) -> bool {
        self.apps.as_ref().is_none_or(|apps| apps.iter().any(|app| app == slug))
    }

    /// Whether a request may go through the proxy. `path` begins with `/` and is already in its
    /// shortest form, without `.` and `..`.
    pub fn allows_request(&self, method: &str, path: &str) -> bool {
        ProxyRule::allow(self.proxy.as_deref(), method, path)
    }
}

fn is_slug(text: &str) -> bool {
    let plain = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_')
    };
    (1..=MAX_SLUG).contains(&text.len()) && text.bytes().all(plain)
}

/// Whether a path fits a pattern of [`ProxyRule::paths`].
fn fits(pattern: &str, path: &str) -> bool {
    if let Some(start) = pattern.strip_suffix("**") {
        let parts = start.matches('/').count();
        let cut = path.match_indices('/').nth(parts).map_or(path.len(), |(at, _)| at);
        let head = path.get(..cut).unwrap_or(path);
        return if start.ends_with('/') {
            // Everything below: as many whole parts as the pattern has, then anything.
            let below = path.match_indices('/').nth(parts.saturating_sub(1)).map(|(at, _)| at + 1);
            below.and_then(|at| path.get(..at)).is_some_and(|head| same_parts(start, head))
        } else {
            same_parts(&format!("{start}*"), head)
        };
    }
    same_parts(pattern, path)
}

fn same_parts(pattern: &str, path: &str) -> bool {
    let (mut wanted, mut found) = (pattern.split('/'), path.split('/'));
    loop {
        match (wanted.next(), found.next()) {
            (None, None) => return true,
            (Some(wanted), Some(found)) if part_fits(wanted, found) => {}
            _ => return false,
        }
    }
}

/// Whether one part of a path fits, with `*` for any text.
fn part_fits(pattern: &str, part: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == part };
    let Some(mut left) = part.strip_prefix(head) else { return false };
    let mut pieces = rest.split('*').peekable();
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return left.ends_with(piece);
        }
        match left.split_once(piece) {
            Some((_, after)) => left = after,
            None => return false,
        }
    }
    true
}

impl Serialize for ActionName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for ActionName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str> as Deserialize>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::role;
    use causeway_types::entity::Role;

    #[test]
    fn without_lists_a_program_may_do_the_usual_and_never_open_credentials() {
        let scopes = Scopes::default();
        for action in ActionName::ALL {
            assert_eq!(scopes.allows(*action), USUAL.contains(action), "{action}");
        }
        assert!(scopes.allows_app("slack") && scopes.allows_request("DELETE", "/x"));
    }

    #[test]
    fn what_no_program_may_is_refused_when_asked_for_and_when_stored() {
        for action in NEVER {
            let scopes = Scopes::only(*action);
            assert_eq!(scopes.check(), Err(ScopeError::NotForPrograms(*action)));
            assert!(!scopes.allows(*action));
        }
    }

    #[test]
    fn what_is_done_in_the_installation_only_is_no_programs() {
        let carried = |by: fn(Role, ActionName) -> bool, action| {
            Role::ALL.iter().any(|role| by(*role, action))
        };
        for action in ActionName::ALL.iter().copied() {
            let here = carried(role::carries, action);
            let there = carried(role::carries_in_installation, action);
            assert!(here || !there || NEVER.contains(&action), "{action}");
        }
    }

    #[test]
    fn stored_scopes_read_back() {
        let scopes = Scopes {
            actions: Some(vec![ActionName::Deploy]),
            apps: Some(vec!["slack".into()]),
            proxy: Some(vec![ProxyRule {
                methods: vec!["GET".into()],
                paths: vec!["/a/*".into()],
            }]),
        };
        assert_eq!(Scopes::from_text(&scopes.to_text()).unwrap(), scopes);
        assert!(Scopes::from_text(r#"{"actions":["no.such"]}"#).is_err());
        assert!(Scopes::from_text(r#"{"everything":true}"#).is_err());
    }

    #[test]
    fn paths_fit_by_parts() {
        for (pattern, path, expected) in [
            ("/a/b", "/a/b", true),
            ("/a/b", "/a/b/c", false),
            ("/a/*", "/a/b", true),
            ("/a/*", "/a/b/c", false),
            ("/a/*/c", "/a/b/c", true),
            ("/a/x*y*z", "/a/x1y2z", true),
            ("/a/x*y*z", "/a/x1z", false),
            ("/a/**", "/a/b/c", true),
            ("/a/**", "/ab/c", false),
            ("/a/**", "/a", false),
            ("/a**", "/abc/d", true),
            ("/*/b/**", "/x/b/c/d", true),
            ("/*/b/**", "/x/y/c/d", false),
            ("/**", "/anything/at/all", true),
        ] {
            assert_eq!(fits(pattern, path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn a_proxy_list_names_what_passes() {
        let rule = ProxyRule { methods: vec!["GET".into()], paths: vec!["/v1/**".into()] };
        let scopes = Scopes { proxy: Some(vec![rule]), ..Scopes::default() };
        assert!(scopes.allows_request("GET", "/v1/users"));
        assert!(!scopes.allows_request("POST", "/v1/users"));
        assert!(!scopes.allows_request("GET", "/v2/users"));
        let none = Scopes { proxy: Some(Vec::new()), ..Scopes::default() };
        assert!(!none.allows_request("GET", "/"));
    }

    #[test]
    fn wrong_rules_are_refused() {
        let with = |methods: &[&str], paths: &[&str]| Scopes {
            proxy: Some(vec![ProxyRule {
                methods: methods.iter().map(|one| (*one).to_owned()).collect(),
                paths: paths.iter().map(|one| (*one).to_owned()).collect(),
            }]),
            ..Scopes::default()
        };
        assert_eq!(with(&["get"], &[]).check(), Err(ScopeError::Method("get".into())));
        assert_eq!(with(&[], &["/a/../b"]).check(), Err(ScopeError::Path("/a/../b".into())));
        assert_eq!(with(&[], &["a"]).check(), Err(ScopeError::Path("a".into())));
        assert_eq!(with(&["GET"], &["/a/*"]).check(), Ok(()));
        assert_eq!(
            with(&[], &[&format!("/{}", "a".repeat(512))]).check(),
            Err(ScopeError::LongPath)
        );
        for app in ["", "Slack", "a b", "../x", &"a".repeat(65)] {
            let scopes = Scopes { apps: Some(vec![app.to_owned()]), ..Scopes::default() };
            assert_eq!(scopes.check(), Err(ScopeError::App), "{app}");
        }
    }
}
