//! The items of a loop, and lists of steps that run beside each other: invocations of their own, with a
//! parent that waits for them.

use super::{InvocationState, WaitsFor};
use crate::place::Sealed;
use crate::{InvocationId, StepId};

/// An item that is to be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewItem {
    /// Its id.
    pub id: InvocationId,
    /// Its number, from 0.
    pub index: i64,
    /// The position of its first step.
    pub first_step: i64,
    /// Whether its turn has not come yet.
    pub waits_for: Option<WaitsFor>,
}

/// How far an invocation is with its items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ItemCounts {
    /// Those that have not ended.
    pub open: i64,
    /// Those of them that wait for their turn.
    pub waiting: i64,
    /// How many were made.
    pub made: i64,
    /// How many there are to be.
    pub count: i64,
}

/// An item that has ended, with what it gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedItem {
    /// Its number, from 0.
    pub index: i64,
    /// Its id.
    pub id: InvocationId,
    /// How it ended.
    pub state: InvocationState,
    /// The failure's code.
    pub error_code: Option<String>,
    /// Its last step that ended well.
    pub step_id: Option<StepId>,
    /// The position of that step.
    pub position: Option<i64>,
    /// The record of that step, sealed.
    pub record: Option<Sealed>,
}

/// Whose item an invocation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ItemOf {
    /// The invocation with the loop.
    pub parent: InvocationId,
    /// The position of the loop.
    pub position: i64,
    /// The item's number, from 0.
    pub index: i64,
}

impl ItemOf {
    /// What the three columns say together.
    pub fn of(
        parent: Option<InvocationId>,
        position: Option<i64>,
        index: Option<i64>,
    ) -> Option<Self> {
        Some(Self { parent: parent?, position: position?, index: index? })
    }
}
