//! What steps find of those before them: `steps` in their code.

use crate::graph::{Action, Graph};
use crate::record::StepRecord;
use crate::{FlowError, Inner};
use causeway_store::db;
use causeway_types::entity::{ItemOf, StepState};
use causeway_types::{InvocationId, Place, WorkspaceId};
use serde_json::value::{RawValue, to_raw_value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// JSON objects by step name.
#[derive(Clone, Default)]
pub(crate) struct Exports(BTreeMap<String, Arc<RawValue>>);

/// What the items of a loop have in common.
pub(crate) struct Scope {
    /// What the steps before the loop gave.
    exports: Exports,
    /// The loop's list; none for lists of steps that run beside each other.
    items: Option<Arc<Vec<Box<RawValue>>>>,
}

impl Scope {
    /// What it takes in memory, in bytes, roughly.
    pub(crate) fn size(&self) -> u32 {
        let items =
            self.items.iter().flat_map(|items| items.iter()).map(|item| item.get().len() + 32);
        let exports = self.exports.0.values().map(|value| value.get().len() + 64);
        u32::try_from(items.chain(exports).sum::<usize>()).unwrap_or(u32::MAX)
    }
}

impl Exports {
    /// As the code gets it.
    pub(crate) fn to_json(&self) -> Result<Box<RawValue>, FlowError> {
        raw(&self.0.iter().map(|(name, value)| (name, &**value)).collect::<BTreeMap<_, _>>())
    }

    /// Keeps what later steps find of one that has ended well: under its own name, and under those of
    /// the choices that end with it.
    pub(crate) fn remember(
        &mut self,
        graph: &Graph,
        position: usize,
        record: &StepRecord,
    ) -> Result<(), FlowError> {
        let Some(point) = graph.get(position) else { return Ok(()) };
        let value = match &point.action {
            Action::Choose(_, arms) if record.taken(arms).is_some() => return Ok(()),
            Action::Choose(..) => {
                // It has run no step whose result could be its own.
                self.set(&point.name, &result(RawValue::NULL))?;
                RawValue::NULL
            }
            _ => {
                self.set(&point.name, &record.as_seen_by_later_steps())?;
                record.return_value.as_deref().unwrap_or(RawValue::NULL)
            }
        };
        for choice in graph.ended_by(position) {
            self.set(&choice.name, &result(value))?;
        }
        Ok(())
    }

    fn set(&mut self, name: &str, value: &BTreeMap<&str, &RawValue>) -> Result<(), FlowError> {
        self.0.insert(name.to_owned(), raw(value)?.into());
        Ok(())
    }
}

fn result(value: &RawValue) -> BTreeMap<&'static str, &RawValue> {
    BTreeMap::from([("$return_value", value)])
}

fn raw(value: &impl serde::Serialize) -> Result<Box<RawValue>, FlowError> {
    to_raw_value(value).map_err(|source| FlowError::Stored { what: "step", source })
}

impl Inner {
    /// What the first step of an invocation finds: of an item, what the steps before its loop gave, and
    /// the item itself.
    pub(crate) async fn exports_before(
        &self,
        workspace: WorkspaceId,
        graph: &Graph,
        item_of: Option<ItemOf>,
    ) -> Result<Exports, FlowError> {
        let Some(of) = item_of else { return Ok(Exports::default()) };
        // Read once for all items that run at about the same time.
        let key = (of.parent, of.position);
        let scope = if let Some(scope) = self.scopes.get(&key).await {
            scope
        } else {
            let scope = Arc::new(Box::pin(self.scope(workspace, graph, of)).await?);
            self.scopes.insert(key, Arc::clone(&scope)).await;
            scope
        };
        let mut exports = scope.exports.clone();
        let index = usize::try_from(of.index).unwrap_or(usize::MAX);
        if let (Some(items), Some(point)) = (&scope.items, graph.at(of.position)) {
            let dangling = || FlowError::Dangling { what: "item", of: of.parent.to_string() };
            let item = items.get(index).ok_or_else(dangling)?;
            let number = raw(&of.index)?;
            exports.set(&point.name, &BTreeMap::from([("item", &**item), ("index", &*number)]))?;
        }
        Ok(exports)
    }

    async fn scope(
        &self,
        workspace: WorkspaceId,
        graph: &Graph,
        of: ItemOf,
    ) -> Result<Scope, FlowError> {
        let mut conn = self.store.read().await?;
        let above = db!(conn, item::item_of(workspace, of.parent))?;
        drop(conn);
        let mut exports = self.exports_before(workspace, graph, above).await?;
        self.recall(workspace, graph, of.parent, &mut exports).await?;
        let items = self.item_list(workspace, of.parent).await?.map(Arc::new);
        Ok(Scope { exports, items })
    }

    /// Adds what the steps of an invocation have given so far.
    pub(crate) async fn recall(
        &self,
        workspace: WorkspaceId,
        graph: &Graph,
        id: InvocationId,
        exports: &mut Exports,
    ) -> Result<(), FlowError> {
        let mut conn = self.store.read().await?;
        let steps = db!(conn, invocation::steps(workspace, id))?;
        drop(conn);
        for step in steps {
            // Of those that failed only the last attempt counts, and that is still to come.
            if step.state == StepState::Succeeded {
                let record = self.step_record(&step).await?;
                let position = usize::try_from(step.position).unwrap_or(usize::MAX);
                exports.remember(graph, position, &record)?;
            }
        }
        Ok(())
    }

    /// The list of the loop that an invocation is in; none if it is in none.
    pub(crate) async fn item_list(
        &self,
        workspace: WorkspaceId,
        id: InvocationId,
    ) -> Result<Option<Vec<Box<RawValue>>>, FlowError> {
        let mut conn = self.store.read().await?;
        let Some(sealed) = db!(conn, item::list(workspace, id))? else { return Ok(None) };
        drop(conn);
        let list = self.vault.open(workspace, &Place::ItemList(id), &sealed).await?;
        serde_json::from_slice(list.expose())
            .map_err(|source| FlowError::Stored { what: "list", source })
    }
}
