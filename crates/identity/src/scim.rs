//! SCIM 2.0 (RFC 7643, RFC 7644): the company's directory keeps members and groups.
//!
//! - A *user* is a member, a *group* is a group. The directory makes, changes, deactivates and
//!   removes them; roles it neither sees nor gives.
//! - `userName` is the e-mail address that the person signs in with. A user that the directory
//!   makes waits until somebody proves to have the address.
//! - The directory may put out everybody but the last owner, and it makes no owners: it puts nobody
//!   into a group that carries `owner`, reactivates no owner, and gives no owner who has not come
//!   yet another address. So a stolen SCIM key does not own the workspace.
//!
//! Resources are JSON here: filters are asked of it, and changes are made on it, before what came
//! out is read as what the member or the group shall be.

mod error;
mod filter;
mod group;
mod groups;
mod patch;
mod schema;
mod user;
mod users;

pub use error::ScimError;
pub use filter::{Filter, FilterError, MAX_DEPTH, MAX_FILTER, MAX_PATH_TERMS, MAX_TERMS};
pub use patch::MAX_OPERATIONS;
pub use schema::{GROUP, Kind, USER};
pub use user::MAX_TEXT;

use crate::members::Members;
use serde_json::{Map, Value};

/// A SCIM resource, without the addresses that depend on where the server is reached.
pub type Resource = Map<String, Value>;

/// The most resources on a page.
pub const MAX_COUNT: i64 = 100;
/// How many records are looked at in one query, where a filter has to be asked of all.
const BATCH: i64 = 500;

/// Members and groups, for the company's directory. Cheap to clone.
#[derive(Clone)]
pub struct Scim {
    members: Members,
}

impl Scim {
    /// On the members of all workspaces; each call is for its permit's.
    pub fn new(members: Members) -> Self {
        Self { members }
    }
}

/// Which resources to list (RFC 7644 section 3.4.2).
#[derive(Debug)]
pub struct ListQuery {
    /// Those that pass. None: all.
    pub filter: Option<Filter>,
    /// The number of the first one, from 1 on. Less counts as 1.
    pub start: i64,
    /// How many at most. More than [`MAX_COUNT`] counts as that, less than 0 as 0.
    pub count: i64,
    /// Whether to show the groups of users and the members of groups.
    pub relations: bool,
}

/// A page of resources.
#[derive(Debug)]
pub struct Listing {
    /// How many pass in all.
    pub total: i64,
    /// The number of the first one here.
    pub start: i64,
    /// The resources.
    pub resources: Vec<Resource>,
}

/// The part of a listing that is shown, while everything that passes is counted.
struct Window<T> {
    skip: i64,
    most: i64,
    total: i64,
    shown: Vec<T>,
}

impl<T> Window<T> {
    fn new(query: &ListQuery) -> Self {
        Self { skip: start(query) - 1, most: count(query), total: 0, shown: Vec::new() }
    }

    fn add(&mut self, one: T) {
        self.total += 1;
        let shown = i64::try_from(self.shown.len()).unwrap_or(i64::MAX);
        if self.total > self.skip && shown < self.most {
            self.shown.push(one);
        }
    }
}

fn start(query: &ListQuery) -> i64 {
    query.start.max(1)
}

fn count(query: &ListQuery) -> i64 {
    query.count.clamp(0, MAX_COUNT)
}
