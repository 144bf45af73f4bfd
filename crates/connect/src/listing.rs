//! Listings that are read oldest first, from either end of a page, with their total: what is added
//! meanwhile comes after what was read.

use crate::Inner;
use std::fmt::Write as _;

/// Where a part of a listing begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge<I> {
    /// With the oldest record.
    Beginning,
    /// Behind this record.
    After(I),
    /// So that it ends before this record.
    Before(I),
}

/// A part of a listing.
#[derive(Debug, Clone, Copy)]
pub struct Window<I> {
    /// Where it begins.
    pub edge: Edge<I>,
    /// How many records it has at most.
    pub limit: u16,
}

/// What stands in a window.
#[derive(Debug, Clone)]
pub struct Listed<T> {
    /// The records, oldest first.
    pub items: Vec<T>,
    /// How many the whole listing has.
    pub total: i64,
}

impl<T> Listed<T> {
    /// The same with other records in it.
    pub fn map<U>(self, show: impl FnMut(T) -> U) -> Listed<U> {
        Listed { items: self.items.into_iter().map(show).collect(), total: self.total }
    }
}

/// Reads a window by two queries, `$after` oldest first and `$before` youngest first, each of which
/// takes the bound and the limit last.
macro_rules! window {
    ($conn:expr, $window:expr, $lowest:expr, $module:ident :: [$after:ident, $before:ident] ( $($argument:expr),* $(,)? )) => {{
        let limit = i64::from($window.limit);
        match $window.edge {
            $crate::listing::Edge::Beginning => {
                causeway_store::db!($conn, $module::$after($($argument,)* $lowest, limit))
            }
            $crate::listing::Edge::After(id) => {
                causeway_store::db!($conn, $module::$after($($argument,)* id, limit))
            }
            $crate::listing::Edge::Before(id) => {
                causeway_store::db!($conn, $module::$before($($argument,)* id, limit)).map(
                    |mut items| {
                        items.reverse();
                        items
                    },
                )
            }
        }
    }};
}
pub(crate) use window;

impl<I: PartialOrd> Window<I> {
    /// What stands in it of records that are at hand, in the order of their ids.
    pub fn of<T>(&self, mut items: Vec<T>, id: impl Fn(&T) -> I) -> Listed<T> {
        let total = i64::try_from(items.len()).unwrap_or(i64::MAX);
        let limit = usize::from(self.limit);
        match &self.edge {
            Edge::Beginning => {}
            Edge::After(edge) => items.retain(|item| id(item) > *edge),
            Edge::Before(edge) => {
                items.retain(|item| id(item) < *edge);
                let skipped = items.len().saturating_sub(limit);
                items.drain(..skipped);
            }
        }
        items.truncate(limit);
        Listed { items, total }
    }
}

impl Inner {
    /// The apps that somebody is confined to, as queries take them; `None` if to none.
    pub(crate) fn confined_to(&self, shows: impl Fn(&str) -> bool) -> Option<String> {
        let apps = self.catalog.list();
        let slugs = || apps.iter().map(|app| app.slug.as_str());
        if slugs().all(&shows) {
            return None;
        }
        let mut text = String::from(" ");
        for slug in slugs().filter(|slug| shows(slug)) {
            // Writing to a `String` does not fail.
            let _ = write!(text, "{slug} ");
        }
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_begins_behind_or_ends_before() {
        let cut = |edge, limit| Window { edge, limit }.of(vec![1, 2, 3, 4, 5], |n| *n);
        assert_eq!(cut(Edge::Beginning, 2).items, [1, 2]);
        assert_eq!(cut(Edge::After(2), 2).items, [3, 4]);
        assert_eq!(cut(Edge::After(5), 2).items, [0; 0]);
        assert_eq!(cut(Edge::Before(4), 2).items, [2, 3]);
        assert_eq!(cut(Edge::Before(1), 2).items, [0; 0]);
        assert_eq!(cut(Edge::Before(9), 2).total, 5);
    }
}
