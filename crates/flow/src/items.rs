//! Loops, and lists of steps that run beside each other: their items are invocations of their own, so
//! that each is run, tried again, waited for and moved to another node like any other.

use crate::execute::{Interrupted, Run};
use crate::graph::{Action, Graph, Loop};
use crate::manifest::OnError;
use crate::record::StepRecord;
use crate::{FlowError, Inner};
use causeway_store::{Bookkeeping, db};
use causeway_types::entity::{
    Claimed, EndedItem, InvocationState, ItemCounts, ItemOf, NewItem, WaitsFor,
};
use causeway_types::place::Sealed;
use causeway_types::{Actor, InvocationId, Place};
use serde_json::value::{RawValue, to_raw_value};
use std::fmt::Write as _;

/// The most items that are made in one transaction.
const WAVE: i64 = 1_000;
/// Results that are read at a time.
const PAGE: i64 = 200;
/// The most items that have failed that are named.
const NAMED: usize = 100;

/// The code of a loop that failed with an item.
const ITEM_FAILED: &str = "item_failed";
/// The code of lists beside each other of which one failed.
const ARM_FAILED: &str = "arm_failed";
/// The code of a step whose results are larger than they may be.
const OUTPUT_LIMIT: &str = "output_limit";

/// How the items of a step run.
pub(crate) enum Items<'a> {
    /// Those of a list, each from this position on.
    Loop(usize, Loop),
    /// One for each of these names, from its position on.
    Arms(&'a [(String, usize)]),
}

impl Items<'_> {
    fn first_step(&self, index: i64) -> i64 {
        let position = match self {
            Self::Loop(body, _) => Some(*body),
            Self::Arms(arms) => {
                usize::try_from(index).ok().and_then(|at| arms.get(at)).map(|(_, at)| *at)
            }
        };
        position.and_then(|at| i64::try_from(at).ok()).unwrap_or(i64::MAX)
    }

    /// How many run at a time.
    fn concurrency(&self) -> i64 {
        match self {
            Self::Loop(_, how) => i64::from(how.concurrency),
            Self::Arms(_) => i64::MAX,
        }
    }

    fn stops_at_failure(&self) -> bool {
        match self {
            Self::Loop(_, how) => how.on_error == OnError::Stop,
            Self::Arms(_) => true,
        }
    }
}

/// The position at which an invocation begins.
pub(crate) fn first_step(graph: &Graph, item_of: Option<ItemOf>) -> i64 {
    let Some(of) = item_of else { return 0 };
    match graph.at(of.position).map(|point| &point.action) {
        Some(Action::ForEach(_, body, how)) => Items::Loop(*body, *how).first_step(of.index),
        Some(Action::Parallel(arms)) => Items::Arms(arms).first_step(of.index),
        _ => 0,
    }
}

/// Whether an item that ends like this ends the loop around it.
pub(crate) fn ends_loop(graph: &Graph, of: ItemOf, failed: bool, broke: bool) -> bool {
    match graph.at(of.position).map(|point| &point.action) {
        Some(Action::ForEach(_, _, how)) => broke || failed && how.on_error == OnError::Stop,
        _ => false,
    }
}

impl Run<'_> {
    /// Makes the items of a step whose list is known: its record, or none if it waits for them.
    pub(crate) async fn begin_items(
        &self,
        position: usize,
        items: &Items<'_>,
        list: Option<&RawValue>,
        count: usize,
    ) -> Result<Option<StepRecord>, Interrupted> {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        if count == 0 {
            return Ok(Some(self.results(position, items).await?));
        }
        let sealed = match list {
            Some(list) => {
                let place = Place::ItemList(self.claimed.id);
                let bytes = list.get().as_bytes();
                let sealed = self.inner.vault.seal(self.claimed.workspace_id, &place, bytes).await;
                Some(sealed.map_err(FlowError::from)?)
            }
            None => None,
        };
        self.tend_items(position, items, Some((sealed.as_ref(), count))).await
    }

    /// Makes items up to a wave of them, or gives turns to those that wait, or finds that all have
    /// ended: then the step's record. At first with the list and how many items there are to be.
    pub(crate) async fn tend_items(
        &self,
        position: usize,
        items: &Items<'_>,
        first: Option<(Option<&Sealed>, i64)>,
    ) -> Result<Option<StepRecord>, Interrupted> {
        let (inner, claimed) = (self.inner, self.claimed);
        let (workspace, id, now) = (claimed.workspace_id, claimed.id, inner.clock.now());
        let write = async {
            let mut tx = inner.store.write(Actor::Node(inner.node)).await?;
            let Some(held) = db!(tx, item::hold(workspace, id, claimed.fence))? else {
                return Ok(None);
            };
            let ItemCounts { open, waiting, made, count } = held;
            let (made, count) = first.map_or((made, count), |(_, count)| (0, count));
            let free = items.concurrency().saturating_sub(open - waiting);
            let mut new = 0;
            if waiting > 0 {
                db!(tx, dialect::give_turns(workspace, id, free))?;
            } else {
                new = (count - made).clamp(0, WAVE);
            }
            if open + new == 0 {
                return Ok(Some(false));
            }
            if new > 0 {
                let item = |index: i64| NewItem {
                    id: InvocationId::generate(now, &*inner.random),
                    index,
                    first_step: items.first_step(index),
                    waits_for: (index - made >= free).then_some(WaitsFor::Turn),
                };
                let wave: Vec<NewItem> = (made..made + new).map(item).collect();
                let of = (id, i64::try_from(position).unwrap_or(i64::MAX));
                db!(tx, dialect::insert_items(workspace, of, &wave, now))?;
            }
            db!(tx, item::wait_for(workspace, id, new, first, self.started_at))?;
            tx.commit_bookkeeping(Bookkeeping::Journal).await?;
            Ok(Some(true))
        };
        let written: causeway_store::Result<Option<bool>> = write.await;
        match written.map_err(FlowError::from)? {
            None => Err(Interrupted::LeaseLost),
            Some(false) => Ok(Some(self.results(position, items).await?)),
            Some(true) => {
                inner.unclaimed.notify_one();
                Ok(None)
            }
        }
    }

    /// The record of a step whose items have all ended.
    async fn results(&self, position: usize, items: &Items<'_>) -> Result<StepRecord, Interrupted> {
        let limit = self.loaded.manifest.sandbox_limits().output_bytes;
        let mut gathered = Gathered::new(items, usize::try_from(limit).unwrap_or(usize::MAX));
        let (inner, claimed) = (self.inner, self.claimed);
        let at = i64::try_from(position).unwrap_or(i64::MAX);
        let mut from = 0;
        loop {
            let mut conn = inner.store.read().await.map_err(FlowError::from)?;
            let (workspace, id) = (claimed.workspace_id, claimed.id);
            let page =
                db!(conn, item::results(workspace, id, at, from, PAGE)).map_err(FlowError::from)?;
            drop(conn);
            let Some(last) = page.last() else { break };
            from = last.index + 1;
            for item in page {
                let succeeded = item.state == InvocationState::Succeeded;
                let value = if succeeded && gathered.wants_values() {
                    inner.result_of(claimed, &self.loaded.graph, &item).await?
                } else {
                    None
                };
                if let Some(refused) = gathered.add(&item, value.as_deref()) {
                    return Ok(refused);
                }
            }
        }
        Ok(gathered.into_record())
    }
}

impl Inner {
    /// What an item gave: the result of its last step.
    async fn result_of(
        &self,
        claimed: &Claimed,
        graph: &Graph,
        item: &EndedItem,
    ) -> Result<Option<Box<RawValue>>, Interrupted> {
        let (Some(id), Some(position), Some(sealed)) = (item.step_id, item.position, &item.record)
        else {
            return Ok(None);
        };
        if matches!(
            graph.at(position).map(|one| &one.action),
            Some(Action::Break(_) | Action::Choose(..))
        ) {
            return Ok(None);
        }
        let record = self.open_record(claimed.workspace_id, id, sealed).await?;
        // Who ends early gives nothing.
        Ok(record.return_value.filter(|_| record.exit.is_none()))
    }
}

/// The results of items, gathered one after the other.
struct Gathered<'a> {
    items: &'a Items<'a>,
    /// The results so far, as the text of a list or an object, without its end.
    text: String,
    limit: usize,
    succeeded: u64,
    failed: u64,
    /// The first that have failed.
    named: Vec<Failed>,
    stopped_by: Option<(String, String)>,
}

#[derive(serde::Serialize)]
struct Failed {
    index: i64,
    code: String,
    invocation_id: InvocationId,
}

impl<'a> Gathered<'a> {
    fn new(items: &'a Items<'a>, limit: usize) -> Self {
        let text = if matches!(items, Items::Arms(_)) { "{" } else { "[" };
        Self {
            items,
            text: text.to_owned(),
            limit,
            succeeded: 0,
            failed: 0,
            named: Vec::new(),
            stopped_by: None,
        }
    }

    fn wants_values(&self) -> bool {
        matches!(self.items, Items::Arms(_) | Items::Loop(_, Loop { collect: true, .. }))
    }

    /// Adds an item; the record of the failure, if there is no room for its result.
    fn add(&mut self, item: &EndedItem, value: Option<&RawValue>) -> Option<StepRecord> {
        match item.state {
            InvocationState::Succeeded => self.succeeded += 1,
            // It was never begun: the loop had ended before.
            InvocationState::Canceled if matches!(self.items, Items::Loop(..)) => return None,
            _ => self.note_failure(item),
        }
        if !self.wants_values() {
            return None;
        }
        if self.text.len() > 1 {
            self.text.push(',');
        }
        if let (Items::Arms(arms), Ok(at)) = (self.items, usize::try_from(item.index)) {
            let name = arms.get(at).map_or("", |(name, _)| name.as_str());
            let _ = write!(self.text, "{}:", serde_json::Value::from(name));
        }
        self.text.push_str(value.unwrap_or(RawValue::NULL).get());
        (self.text.len() > self.limit).then(|| {
            let message = format!(
                "the results of the items are more than the {} bytes that a step may give: raise \
                 `limits.output_kib` in workflow.yaml, let the last step of each give less, or say \
                 `collect: false`",
                self.limit
            );
            StepRecord::from_error(OUTPUT_LIMIT, message)
        })
    }

    fn note_failure(&mut self, item: &EndedItem) {
        self.failed += 1;
        let code = item.error_code.clone().unwrap_or_else(|| item.state.to_string());
        if self.stopped_by.is_none() && self.items.stops_at_failure() {
            let what = match (self.items, usize::try_from(item.index)) {
                (Items::Arms(arms), Ok(at)) => {
                    let name = arms.get(at).map_or("", |(name, _)| name.as_str());
                    (ARM_FAILED, format!("`{name}`"))
                }
                _ => (ITEM_FAILED, format!("item {}", item.index)),
            };
            let message = format!("{} failed with {code}: see invocation {}", what.1, item.id);
            self.stopped_by = Some((what.0.to_owned(), message));
        }
        if self.named.len() < NAMED {
            self.named.push(Failed { index: item.index, code, invocation_id: item.id });
        }
    }

    fn into_record(mut self) -> StepRecord {
        if let Some((code, message)) = self.stopped_by {
            return StepRecord::from_error(&code, message);
        }
        let mut record = StepRecord::empty();
        record.return_value = if self.wants_values() {
            self.text.push(if matches!(self.items, Items::Arms(_)) { '}' } else { ']' });
            RawValue::from_string(self.text).ok()
        } else {
            None
        };
        if let Items::Loop(..) = self.items {
            let counts = [("succeeded", self.succeeded), ("failed", self.failed)];
            for (name, count) in counts {
                record.exports.extend(to_raw_value(&count).ok().map(|raw| (name.to_owned(), raw)));
            }
            if !self.named.is_empty() {
                let named = to_raw_value(&self.named).ok();
                record.exports.extend(named.map(|raw| ("failures".to_owned(), raw)));
            }
        }
        record
    }
}
