//! Pages of a listing: a cursor that the last page handed out, never an offset.

use crate::Problem;
use causeway_types::Code;
use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use std::str::FromStr;
use utoipa::{IntoParams, ToSchema};

/// The most records that a page has.
pub(crate) const MAX_PAGE: u32 = 100;

/// Which page of a listing.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct PageQuery {
    /// The `next_cursor` of the page before.
    pub(crate) cursor: Option<String>,
    /// How many records, 1 to 100. Default 50.
    #[param(minimum = 1, maximum = 100)]
    pub(crate) limit: Option<u32>,
}

/// A page of a listing.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Page<T: ToSchema> {
    /// The records.
    data: Vec<T>,
    /// The cursor of the next page; null on the last one.
    next_cursor: Option<String>,
}

impl PageQuery {
    pub(crate) fn limit(&self) -> Result<i64, Problem> {
        limit(self.limit)
    }

    pub(crate) fn after<I: FromStr>(&self, start: I) -> Result<I, Problem> {
        cursor(self.cursor.as_deref(), start)
    }
}

/// The number of records asked for.
pub(crate) fn limit(asked: Option<u32>) -> Result<i64, Problem> {
    match asked.unwrap_or(50) {
        limit @ 1..=MAX_PAGE => Ok(i64::from(limit)),
        _ => Err(Problem::new(Code::InvalidRequest, "`limit` is a number from 1 to 100.")),
    }
}

/// The same, for listings that are short.
pub(crate) fn short_limit(asked: Option<u32>) -> Result<u16, Problem> {
    limit(asked).map(|limit| u16::try_from(limit).unwrap_or(u16::MAX))
}

/// The id that a cursor stands for; `start` without one.
pub(crate) fn cursor<I: FromStr>(cursor: Option<&str>, start: I) -> Result<I, Problem> {
    cursor.map_or(Ok(start), known_cursor)
}

/// The id that a cursor stands for.
pub(crate) fn known_cursor<I: FromStr>(cursor: &str) -> Result<I, Problem> {
    decode(cursor).ok_or_else(|| {
        Problem::new(
            Code::InvalidCursor,
            "`cursor` is not the `next_cursor` of a page of this listing.",
        )
    })
}

/// The cursor of a record with this id.
pub(crate) fn encode(id: &str) -> String {
    BASE64URL_NOPAD.encode(id.as_bytes())
}

/// The id that a cursor stands for, if it is one.
pub(crate) fn decode<I: FromStr>(cursor: &str) -> Option<I> {
    let bytes = BASE64URL_NOPAD.decode(cursor.as_bytes()).ok()?;
    String::from_utf8(bytes).ok()?.parse().ok()
}

impl<T: ToSchema> Page<T> {
    /// A page of `records`, of which one more than `limit` was asked for to know whether there is
    /// a next page.
    pub(crate) fn of<R>(
        mut records: Vec<R>,
        limit: i64,
        id: impl Fn(&R) -> String,
        show: impl Fn(R) -> T,
    ) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = records.len() > limit;
        records.truncate(limit);
        let next = records.last().filter(|_| more).map(id);
        Self::new(records, next, show)
    }

    /// A page whose end is known: `next` is the last id of it, if there is a next page.
    pub(crate) fn new<R>(
        records: Vec<R>,
        next: Option<impl ToString>,
        show: impl Fn(R) -> T,
    ) -> Self {
        Self {
            data: records.into_iter().map(show).collect(),
            next_cursor: next.map(|last| encode(&last.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use causeway_types::WorkflowId;

    #[test]
    fn a_cursor_is_handed_out_only_where_more_follows() {
        let page = Page::of(vec![1, 2, 3], 2, ToString::to_string, |n: i32| n);
        assert_eq!((page.data.len(), page.next_cursor.is_some()), (2, true));
        let page = Page::of(vec![1, 2], 2, ToString::to_string, |n: i32| n);
        assert_eq!((page.data.len(), page.next_cursor.is_some()), (2, false));
    }

    #[test]
    fn a_made_up_cursor_is_refused() {
        for text in ["x", "", "d2Zf", "!!!"] {
            let refused = cursor(Some(text), WorkflowId::lowest()).unwrap_err();
            assert_eq!(refused.code(), Code::InvalidCursor, "{text}");
        }
    }

    #[test]
    fn the_limit_has_bounds() {
        assert!(limit(Some(0)).is_err() && limit(Some(101)).is_err());
        assert_eq!(limit(Some(100)).unwrap(), 100);
    }
}
