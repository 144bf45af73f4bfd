//! The way out: a step's connection is asked for by name, decided here, dialled here.

mod guarded;
mod log;
mod way;

use crate::program::ProgramKey;
use causeway_types::InvocationId;
use std::future::Future;
use std::pin::Pin;
use tokio::net::TcpStream;

pub use guarded::GuardedEgress;
pub(crate) use log::RequestNote;
pub use log::{Decision, EgressRecord};
pub(crate) use way::{Shared, Way};

/// The hosts that a program may reach. Empty rules allow nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EgressRules {
    hosts: Vec<HostPattern>,
}

/// A host name, an address, or every name below one (`*.example.com`).
#[derive(Debug, Clone, PartialEq, Eq)]
enum HostPattern {
    Exact(String),
    Below(String),
}

/// A line of an egress list that is not a host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a host: write a name such as `api.example.com`, `*.example.com` for every \
     name below it, or an address, without scheme, port or path"
)]
pub struct EgressRuleError(pub String);

impl EgressRules {
    /// Reads hosts: exact names, addresses, or `*.example.com` for every name below.
    pub fn parse<I>(hosts: I) -> Result<Self, EgressRuleError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let hosts = hosts.into_iter().map(|host| HostPattern::parse(host.as_ref()));
        Ok(Self { hosts: hosts.collect::<Result<_, _>>()? })
    }

    /// Whether a host is among them. Case and one trailing dot do not matter.
    pub fn allow(&self, host: &str) -> bool {
        let host = canonical(host);
        self.hosts.iter().any(|pattern| match pattern {
            HostPattern::Exact(name) => *name == host,
            HostPattern::Below(suffix) => host
                .strip_suffix(suffix.as_str())
                .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
        })
    }
}

impl HostPattern {
    fn parse(text: &str) -> Result<Self, EgressRuleError> {
        let refuse = || EgressRuleError(text.to_owned());
        if let Ok(address) = text.trim_matches(['[', ']']).parse::<std::net::IpAddr>() {
            return Ok(Self::Exact(address.to_string()));
        }
        let (below, name) = match text.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let name = canonical(name);
        let label = |label: &str| {
            !label.is_empty()
                && label.len() <= 63
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        if name.len() > 253 || !name.split('.').all(label) {
            return Err(refuse());
        }
        Ok(if below { Self::Below(name) } else { Self::Exact(name) })
    }
}

/// A host as code named it, for a message or a record.
pub(crate) fn printable(host: &str) -> String {
    host.chars().filter(|letter| !letter.is_control()).take(253).collect()
}

/// One form for one host: lower case, without a trailing dot or brackets around an address.
pub(crate) fn canonical(host: &str) -> String {
    let host = host.strip_suffix('.').unwrap_or(host);
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    match bare.parse::<std::net::IpAddr>() {
        Ok(address) => address.to_string(),
        Err(_) => host.to_ascii_lowercase(),
    }
}

/// A connection that code in a sandbox asks for.
#[derive(Debug, Clone, Copy)]
pub struct EgressRequest<'a> {
    /// Whose code asks.
    pub program: ProgramKey,
    /// The invocation that runs in the sandbox, if one does.
    pub invocation: Option<InvocationId>,
    /// The host as the code named it.
    pub host: &'a str,
    /// The port.
    pub port: u16,
    /// What the program may reach.
    pub rules: &'a EgressRules,
    /// Whether the step is linked to an account of this host whose credential it has itself.
    pub is_linked: bool,
}

impl EgressRequest<'_> {
    /// Denies what neither the program's rules nor the step's links name.
    pub fn check_rules(&self) -> Result<(), EgressRefused> {
        if self.is_linked || self.rules.allow(self.host) {
            return Ok(());
        }
        let host: String =
            self.host.chars().filter(|letter| !letter.is_control()).take(253).collect();
        Err(EgressRefused {
            code: "EGRESS_REFUSED",
            message: format!(
                "this workflow may not connect to {host}: add `egress: [{host}]` to workflow.yaml \
                 to allow it"
            ),
        })
    }
}

/// A connection that the code does not get.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct EgressRefused {
    /// Becomes `error.code` in the sandbox: `EGRESS_REFUSED`, or what Node calls the fault.
    pub code: &'static str,
    /// For the author of the code.
    pub message: String,
}

/// What [`Egress::connect`] gives.
pub type EgressFuture<'a> =
    Pin<Box<dyn Future<Output = Result<TcpStream, EgressRefused>> + Send + 'a>>;

/// Decides about a connection and dials it.
pub trait Egress: Send + Sync {
    /// Connects to the host, or says why not.
    fn connect<'a>(&'a self, request: EgressRequest<'a>) -> EgressFuture<'a>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_exact_or_below_a_name() {
        let rules =
            EgressRules::parse(["api.example.com", "*.Example.org.", "192.0.2.7", "[2001:db8::1]"])
                .unwrap();
        for host in [
            "api.example.com",
            "API.example.com.",
            "a.example.org",
            "a.b.example.org",
            "192.0.2.7",
            "2001:DB8:0::1",
            "[2001:db8::1]",
        ] {
            assert!(rules.allow(host), "{host}");
        }
        for host in [
            "example.com",
            "xapi.example.com",
            "example.org",
            ".example.org",
            "xexample.org",
            "192.0.2.70",
            "",
            ".",
        ] {
            assert!(!rules.allow(host), "{host}");
        }
        assert!(!EgressRules::default().allow("api.example.com"));
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for text in [
            "",
            "*",
            "*.",
            "https://a.com",
            "a.com/x",
            "a.com:443",
            "a..b",
            "-a.com",
            "a b",
            "*.*.com",
        ] {
            assert!(EgressRules::parse([text]).is_err(), "{text}");
        }
    }
}
