//! The egress that a server uses: the program's rules, then the guard.

use super::{Egress, EgressFuture, EgressRefused, EgressRequest};
use causeway_net::{Guard, GuardError};

/// Denies what the rules of the program do not name, and lets the guard dial the rest.
pub struct GuardedEgress(Guard);

impl GuardedEgress {
    /// Dials by this guard.
    pub fn new(guard: Guard) -> Self {
        Self(guard)
    }
}

impl Egress for GuardedEgress {
    fn connect<'a>(&'a self, request: EgressRequest<'a>) -> EgressFuture<'a> {
        Box::pin(async move {
            request.check_rules()?;
            self.0.connect(request.host, request.port).await.map_err(|error| EgressRefused {
                code: node_code(&error),
                message: error.to_string(),
            })
        })
    }
}

/// What Node calls the fault, so that libraries that look at it do what they always do.
fn node_code(error: &GuardError) -> &'static str {
    match error {
        GuardError::Unresolvable { .. } => "ENOTFOUND",
        GuardError::Unreachable { .. } => "ECONNREFUSED",
        GuardError::Timeout { .. } => "ETIMEDOUT",
        _ => "EGRESS_REFUSED",
    }
}
