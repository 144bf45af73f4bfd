//! Nobody gives a program more than they have.

use super::MachineError;
use crate::permit::Caller;
use crate::scope::{ProxyRule, Scopes};

/// The scopes that a new program gets: what is asked for, if `caller` may give it. Without a list
/// of actions it gets the usual ones that the caller has; without a list of apps or rules for the
/// proxy, the caller's. The actions are written out, so that they are what was shown even if a
/// later version finds others usual.
pub(super) fn granted(caller: &Caller, asked: &Scopes) -> Result<Scopes, MachineError> {
    asked.check().map_err(MachineError::Scopes)?;
    let mut actions = asked.actions().to_vec();
    if asked.actions.is_none() {
        actions.retain(|action| caller.may(*action));
    }
    actions.sort_unstable();
    actions.dedup();
    if actions.is_empty() {
        return Err(MachineError::NoActions);
    }
    let granted = Scopes {
        actions: Some(actions),
        apps: asked.apps.clone().or_else(|| caller.scopes()?.apps.clone()),
        proxy: asked.proxy.clone().or_else(|| caller.scopes()?.proxy.clone()),
    };
    within(caller, &granted)?;
    Ok(granted)
}

/// Refuses scopes that are wider than what `caller` has.
pub(super) fn within(caller: &Caller, scopes: &Scopes) -> Result<(), MachineError> {
    if let Some(action) = scopes.actions().iter().find(|action| !caller.may(**action)) {
        return Err(MachineError::Action(*action));
    }
    let Some(own) = caller.scopes() else { return Ok(()) };
    if let Some(apps) = &own.apps
        && !scopes.apps.as_ref().is_some_and(|some| some.iter().all(|app| apps.contains(app)))
    {
        return Err(MachineError::App);
    }
    if let Some(rules) = &own.proxy {
        let covered = |rule: &ProxyRule| rules.iter().any(|wider| covers(wider, rule));
        if !scopes.proxy.as_ref().is_some_and(|some| some.iter().all(covered)) {
            return Err(MachineError::Proxy);
        }
    }
    Ok(())
}

/// Whether one rule lets through whatever the other does. Patterns are compared as texts: a
/// narrower pattern of another text is not seen to be narrower.
fn covers(wider: &ProxyRule, rule: &ProxyRule) -> bool {
    let list = |wider: &[String], list: &[String]| {
        wider.is_empty() || (!list.is_empty() && list.iter().all(|one| wider.contains(one)))
    };
    list(&wider.methods, &rule.methods) && list(&wider.paths, &rule.paths)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::ActionName::{
        self, Deploy, ManageMachineAccess, ReadMembers, ReadWorkflows, UseConnections,
    };
    use causeway_types::{
        Actor, ApiKeyId, Clock as _, EnvironmentId, OsRandom, ProjectId, SystemClock, Tenant,
        WorkspaceId,
    };
    use std::sync::Arc;

    fn program(scopes: Scopes) -> Caller {
        let now = SystemClock.now();
        let tenant = Tenant {
            workspace: WorkspaceId::generate(now, &OsRandom),
            project: ProjectId::generate(now, &OsRandom),
            environment: EnvironmentId::generate(now, &OsRandom),
        };
        let actor = Actor::ApiKey(ApiKeyId::generate(now, &OsRandom));
        Caller::program(actor, tenant, Arc::new(scopes))
    }

    fn actions(actions: &[ActionName]) -> Scopes {
        Scopes { actions: Some(actions.to_vec()), ..Scopes::default() }
    }

    fn apps(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn rule(methods: &[&str], paths: &[&str]) -> ProxyRule {
        let owned = |list: &[&str]| list.iter().map(|one| (*one).to_owned()).collect();
        ProxyRule { methods: owned(methods), paths: owned(paths) }
    }

    #[test]
    fn without_a_list_a_program_gets_the_usual_that_its_maker_has() {
        let maker = program(actions(&[ManageMachineAccess, Deploy, ReadWorkflows]));
        let granted = granted(&maker, &Scopes::default()).unwrap();
        assert_eq!(granted.actions, Some(vec![ReadWorkflows, Deploy]));
        let manager = program(actions(&[ManageMachineAccess]));
        let refused = super::granted(&manager, &Scopes::default());
        assert!(matches!(refused, Err(MachineError::NoActions)));
        assert!(matches!(super::granted(&maker, &actions(&[])), Err(MachineError::NoActions)));
    }

    #[test]
    fn an_action_that_the_maker_lacks_cannot_be_given() {
        let maker = program(actions(&[ManageMachineAccess, Deploy]));
        let refused = granted(&maker, &actions(&[Deploy, ReadMembers]));
        assert!(matches!(refused, Err(MachineError::Action(ReadMembers))));
        let twice = granted(&maker, &actions(&[Deploy, ManageMachineAccess, Deploy])).unwrap();
        assert_eq!(twice.actions, Some(vec![Deploy, ManageMachineAccess]));
        let never = granted(&maker, &actions(&[UseConnections]));
        assert!(matches!(never, Err(MachineError::Scopes(_))));
    }

    #[test]
    fn the_makers_confinement_is_inherited() {
        let own = Scopes {
            apps: Some(apps(&["slack", "github"])),
            proxy: Some(vec![rule(&["GET", "POST"], &["/a/**", "/b"]), rule(&[], &["/c"])]),
            ..Scopes::default()
        };
        let maker = program(own.clone());
        let same = granted(&maker, &Scopes::default()).unwrap();
        assert_eq!((same.apps, same.proxy), (own.apps, own.proxy));

        let with_apps = |names: &[&str]| Scopes { apps: Some(apps(names)), ..Scopes::default() };
        assert!(granted(&maker, &with_apps(&["slack"])).is_ok());
        assert!(granted(&maker, &with_apps(&[])).is_ok());
        let wider = granted(&maker, &with_apps(&["slack", "hubspot"]));
        assert!(matches!(wider, Err(MachineError::App)));

        let with_rule = |one: ProxyRule| Scopes { proxy: Some(vec![one]), ..Scopes::default() };
        for narrower in [
            rule(&["GET"], &["/b"]),
            rule(&["POST", "GET"], &["/a/**"]),
            rule(&["DELETE"], &["/c"]),
            rule(&[], &["/c"]),
        ] {
            assert!(granted(&maker, &with_rule(narrower.clone())).is_ok(), "{narrower:?}");
        }
        for wider in [
            rule(&["DELETE"], &["/b"]),
            rule(&[], &["/b"]),
            rule(&["GET"], &[]),
            rule(&["GET"], &["/**"]),
            rule(&[], &[]),
        ] {
            let refused = granted(&maker, &with_rule(wider.clone()));
            assert!(matches!(refused, Err(MachineError::Proxy)), "{wider:?}");
        }
        // Scopes that are stored and name no apps cannot be handed on by who is confined.
        assert!(matches!(within(&maker, &Scopes::default()), Err(MachineError::App)));
    }
}
