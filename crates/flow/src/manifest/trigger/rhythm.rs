//! The times of a schedule.
//!
//! A cron expression names times of a wall clock. Where the clocks of its zone go forward, the times that
//! are left out fire once, together, when they would have been reached: at the end of the gap. Where the
//! clocks go back, a time that comes twice fires at its first. Intervals know of no clock.

use causeway_types::Timestamp;
use croner::Cron;
use croner::parser::{CronParser, Year};
use jiff::civil::{self, DateTime};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp as Moment};
use std::collections::VecDeque;
use std::time::Duration;

/// The times of a schedule.
#[derive(Debug, Clone)]
pub(crate) enum Rhythm {
    /// As much time between each two of them.
    Every(Duration),
    /// Times of a wall clock.
    Cron { cron: Box<Cron>, zone: TimeZone },
}

impl Rhythm {
    /// Of a cron expression in a time zone, or of an interval; or the field that breaks a rule, and the
    /// rule.
    pub(crate) fn new(
        cron: Option<&str>,
        every_s: Option<i64>,
        zone: &str,
    ) -> Result<Self, (&'static str, String)> {
        let Some(text) = cron else {
            let seconds = every_s.and_then(|seconds| u64::try_from(seconds).ok());
            return match seconds.filter(|seconds| *seconds > 0) {
                Some(seconds) => Ok(Self::Every(Duration::from_secs(seconds))),
                None => Err(("every", "an interval has a length".to_owned())),
            };
        };
        let zone = TimeZone::get(zone).map_err(|_| {
            (
                "timezone",
                format!("`{zone}` is no time zone: write a name like Europe/Berlin or UTC"),
            )
        })?;
        let fields = text.split_whitespace().count();
        if !(5..=6).contains(&fields) {
            return Err((
                "cron",
                format!("`{text}` has {fields} fields: write five, or six with the second first"),
            ));
        }
        let parser = CronParser::builder().year(Year::Disallowed).build();
        let cron = parser
            .parse(text)
            .map_err(|error| ("cron", format!("`{text}` cannot be read: {error}")))?;
        // Any start will do: the calendar comes round after 400 years, and the search goes further.
        if cron.find_next_occurrence(&civil::datetime(2000, 1, 1, 0, 0, 0, 0), true).is_err() {
            return Err(("cron", format!("`{text}` never comes: no year has such a day")));
        }
        Ok(Self::Cron { cron: Box::new(cron), zone })
    }

    /// The first time after `at`; of an interval, that of which `at` is a time itself. None at the end of
    /// the calendar.
    pub(crate) fn after(&self, at: Timestamp) -> Option<Timestamp> {
        let (cron, zone) = match self {
            Self::Every(every) => return Some(at.plus(*every)),
            Self::Cron { cron, zone } => (cron, zone),
        };
        let moment = Moment::from_microsecond(at.as_micros()).ok()?;
        let mut wall = zone.to_datetime(moment);
        loop {
            wall = cron.find_next_occurrence(&wall, false).ok()?;
            let found = moment_of(wall, zone)?;
            // Where the clocks went back, the first of two times may lie behind.
            if found > moment {
                return Some(Timestamp::from_micros(found.as_microsecond()));
            }
        }
    }

    /// The next `count` times, beginning with `next`.
    pub(crate) fn upcoming(&self, next: Timestamp, count: usize) -> Vec<Timestamp> {
        std::iter::successors(Some(next), |at| self.after(*at)).take(count).collect()
    }

    /// The latest times up to `now`, the oldest first, of those from `next` on: `most` at most.
    pub(crate) fn up_to(&self, now: Timestamp, next: Timestamp, most: usize) -> Vec<Timestamp> {
        if next > now || most == 0 {
            return Vec::new();
        }
        if let Self::Every(every) = self {
            let passed = now.since(next).as_micros() / every.as_micros().max(1);
            let first = passed.saturating_sub(u128::try_from(most).unwrap_or(u128::MAX) - 1);
            let skipped = u32::try_from(first).map_or(Duration::MAX, |n| every.saturating_mul(n));
            return self
                .upcoming(next.plus(skipped), most)
                .into_iter()
                .take_while(|at| *at <= now)
                .collect();
        }
        // There may be very many, of which only the last count: so the search goes back from now, twice
        // as far each time.
        let mut back = Duration::from_secs(1);
        loop {
            let from = now.minus(back).max(next);
            let first = if from == next { Some(next) } else { self.after(from) };
            let mut found = VecDeque::new();
            let mut all = 0_usize;
            for at in std::iter::successors(first, |at| self.after(*at)).take_while(|at| *at <= now)
            {
                all += 1;
                found.push_back(at);
                if found.len() > most {
                    found.pop_front();
                }
            }
            if all >= most || from == next {
                return found.into();
            }
            back = back.saturating_mul(2);
        }
    }
}

/// The moment at which the wall clocks of a zone show a time, for the first time; or the end of the gap
/// in which they never do.
fn moment_of(wall: DateTime, zone: &TimeZone) -> Option<Moment> {
    let shown = zone.to_ambiguous_timestamp(wall);
    match shown.offset() {
        AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(wall).ok(),
        AmbiguousOffset::Fold { before, .. } => before.to_timestamp(wall).ok(),
        AmbiguousOffset::Gap { before, .. } => {
            // As late after the change as the time is behind the gap's beginning.
            let behind = before.to_timestamp(wall).ok()?;
            let later = behind.checked_add(SignedDuration::from_nanos(1)).ok()?;
            zone.preceding(later).next().map(|change| change.timestamp())
        }
    }
}

#[cfg(test)]
mod tests;
