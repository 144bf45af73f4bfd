//! Who is in a group.

pub(crate) mod change;
pub(crate) mod list;
pub(crate) mod set;
