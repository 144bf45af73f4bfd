//! Callers and permits.

use crate::action::{Action, ActionName, NodeAction};
use causeway_types::entity::ApiKey;
use causeway_types::{Actor, Code, Coded, NodeId, Tenant};
use std::borrow::Cow;
use std::marker::PhantomData;

/// Who sent a request, as far as its credentials prove it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    tenant: Tenant,
    actor: Actor,
    authority: Authority,
}

/// Where a caller's rights come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Authority {
    /// An API key without scopes.
    WholeEnvironment,
}

/// What an API key without scopes may do: everything that a company's own programs do. Using a
/// credential is not among it, because no API gives a credential out.
const WHOLE_ENVIRONMENT: &[ActionName] = &[
    ActionName::ReadWorkflows,
    ActionName::Deploy,
    ActionName::RunWorkflow,
    ActionName::ReadInvocations,
    ActionName::ReplayInvocation,
    ActionName::DeleteInvocation,
    ActionName::ReadConnections,
    ActionName::WriteConnections,
    ActionName::ManageOAuthClients,
    ActionName::ReadKeys,
    ActionName::RotateKeys,
    ActionName::ReadApps,
];

impl Authority {
    /// The actions granted; what is not named here is denied.
    fn grants(self) -> &'static [ActionName] {
        match self {
            Self::WholeEnvironment => WHOLE_ENVIRONMENT,
        }
    }
}

impl Caller {
    pub(crate) fn of_key(key: &ApiKey) -> Self {
        Self {
            tenant: key.tenant(),
            actor: Actor::ApiKey(key.id),
            authority: Authority::WholeEnvironment,
        }
    }

    /// The environment that the caller is in.
    pub fn tenant(&self) -> Tenant {
        self.tenant
    }

    /// The caller as the audit chain names it.
    pub fn actor(&self) -> Actor {
        self.actor
    }
}

/// Proof that somebody may do `A` in one environment. Only [`authorize`] and
/// [`Permit::for_node`] make it.
pub struct Permit<A> {
    tenant: Tenant,
    actor: Actor,
    action: PhantomData<fn() -> A>,
}

impl<A> Clone for Permit<A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A> Copy for Permit<A> {}

impl<A> Permit<A> {
    /// The environment that it is for.
    pub fn tenant(&self) -> Tenant {
        self.tenant
    }

    /// Who acts, for the audit chain.
    pub fn actor(&self) -> Actor {
        self.actor
    }
}

impl<A: NodeAction> Permit<A> {
    /// The permit for Causeway's own work in an environment, without a caller: only for the
    /// actions that are marked as such.
    pub fn for_node(node: NodeId, tenant: Tenant) -> Self {
        Self { tenant, actor: Actor::Node(node), action: PhantomData }
    }
}

/// A caller is known and may not do what he asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("authorizing {actor} for {action}")]
pub struct Denied {
    /// What was asked for.
    pub action: ActionName,
    /// Who asked.
    pub actor: Actor,
}

impl Coded for Denied {
    fn code(&self) -> Code {
        Code::Denied
    }

    fn public(&self) -> Cow<'static, str> {
        format!("This credential does not carry the permission `{}`.", self.action).into()
    }
}

/// Decides whether the caller may do `A`.
///
/// # Errors
/// [`Denied`] unless the caller's rights name the action.
pub fn authorize<A: Action>(caller: &Caller) -> Result<Permit<A>, Denied> {
    if caller.authority.grants().contains(&A::NAME) {
        return Ok(Permit { tenant: caller.tenant, actor: caller.actor, action: PhantomData });
    }
    Err(Denied { action: A::NAME, actor: caller.actor })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action;
    use causeway_types::{
        ApiKeyId, Clock as _, EnvironmentId, OsRandom, ProjectId, SystemClock, WorkspaceId,
    };

    fn caller() -> Caller {
        let now = SystemClock.now();
        Caller::of_key(&ApiKey {
            id: ApiKeyId::generate(now, &OsRandom),
            workspace_id: WorkspaceId::generate(now, &OsRandom),
            project_id: ProjectId::generate(now, &OsRandom),
            environment_id: EnvironmentId::generate(now, &OsRandom),
            name: String::new(),
            digest: Vec::new(),
            created_at: now,
            expires_at: None,
            revoked_at: None,
        })
    }

    #[test]
    fn a_permit_names_whom_it_was_given_to() {
        let caller = caller();
        let permit =
            authorize::<action::Deploy>(&caller).unwrap_or_else(|denied| panic!("{denied}"));
        assert_eq!((permit.tenant(), permit.actor()), (caller.tenant(), caller.actor()));
    }

    #[test]
    fn an_api_key_may_do_everything_but_open_credentials() {
        for action in ActionName::ALL {
            let granted = Authority::WholeEnvironment.grants().contains(action);
            assert_eq!(granted, *action != ActionName::UseConnections, "{action}");
        }
        let denied = authorize::<action::UseConnections>(&caller()).err().unwrap();
        assert_eq!(denied.code(), Code::Denied);
        assert!(denied.public().contains("`connections.use`"));
    }
}
