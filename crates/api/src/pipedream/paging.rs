//! Pages of the contract: `{data, page_info}`, with a cursor for either end of a page. A cursor
//! stands for a record, so that what is added meanwhile moves nothing.

use super::params::{Params, wrong};
use crate::Problem;
use crate::page::{decode, encode};
use causeway_connect::{Edge, Listed, Window};
use causeway_types::Code;
use serde::Serialize;
use std::str::FromStr;

/// Records on a page if nothing is said.
const USUAL: u16 = 50;
/// The most records on a page; who asks for more gets so many.
pub(super) const MOST: u16 = 100;

/// A page.
#[derive(Debug, Serialize)]
pub(crate) struct Paged<T> {
    data: Vec<T>,
    page_info: PageInfo,
}

#[derive(Debug, Serialize)]
struct PageInfo {
    count: usize,
    total_count: i64,
    start_cursor: Option<String>,
    end_cursor: Option<String>,
}

impl<T> Paged<T> {
    /// A page of records, each with the text that its cursor stands for.
    pub(super) fn of<R>(
        listed: Listed<R>,
        cursor: impl Fn(&R) -> String,
        show: impl FnMut(R) -> T,
    ) -> Self {
        let of = |record: Option<&R>| record.map(|record| encode(&cursor(record)));
        let page_info = PageInfo {
            count: listed.items.len(),
            total_count: listed.total,
            start_cursor: of(listed.items.first()),
            end_cursor: of(listed.items.last()),
        };
        Self { data: listed.items.into_iter().map(show).collect(), page_info }
    }
}

/// The window that a query asks for.
pub(super) fn window<I: FromStr>(params: &Params) -> Result<Window<I>, Problem> {
    let limit = match params.number("limit")? {
        None => USUAL,
        Some(0) => return Err(wrong("limit", "is a number from 1 to 100")),
        Some(number) => u16::try_from(number).unwrap_or(MOST).min(MOST),
    };
    let edge = match (params.get("after"), params.get("before")) {
        (None, None) => Edge::Beginning,
        (Some(after), None) => Edge::After(read(after)?),
        (None, Some(before)) => Edge::Before(read(before)?),
        (Some(_), Some(_)) => {
            return Err(Problem::new(
                Code::InvalidRequest,
                "Send either `after` or `before`, not both.",
            ));
        }
    };
    Ok(Window { edge, limit })
}

fn read<I: FromStr>(cursor: &str) -> Result<I, Problem> {
    decode(cursor).ok_or_else(|| {
        Problem::new(
            Code::InvalidCursor,
            "`after` and `before` take the `start_cursor` or `end_cursor` of a page of this listing.",
        )
    })
}
