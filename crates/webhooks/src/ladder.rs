//! When a failed delivery is tried again.

use causeway_types::{Randomness, Timestamp};
use std::time::Duration;

/// The pauses between attempts: those that Standard Webhooks suggests, three days together.
const RUNGS: [Duration; 9] = [
    Duration::from_secs(5),
    Duration::from_mins(5),
    Duration::from_mins(30),
    Duration::from_hours(2),
    Duration::from_hours(5),
    Duration::from_hours(10),
    Duration::from_hours(14),
    Duration::from_hours(20),
    Duration::from_hours(24),
];
/// How far an endpoint may put an attempt off, with `Retry-After`.
const LONGEST_WISH: Duration = Duration::from_hours(24);

/// The pause after so many failed tries: a rung, give or take a tenth of it, and no less than the
/// endpoint wished for. None after the last one.
pub(crate) fn pause(
    tries: i64,
    wish: Option<Duration>,
    random: &dyn Randomness,
) -> Option<Duration> {
    let rung = RUNGS.get(usize::try_from(tries - 1).ok()?)?;
    let mut noise = [0_u8; 4];
    random.fill(&mut noise);
    // 900 to 1100 thousandths; the slight preference for small numbers does not matter here.
    let share = 900 + u32::from_be_bytes(noise) % 201;
    let pause = *rung / 1000 * share;
    Some(pause.max(wish.unwrap_or_default().min(LONGEST_WISH)))
}

/// Reads `Retry-After` (RFC 9110 section 10.2.3): seconds, or a date.
pub(crate) fn read_wish(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?;
    Some(Timestamp::from_micros(date.timestamp().as_microsecond()).since(now))
}

#[cfg(test)]
mod tests {
    use super::*;
    use causeway_types::OsRandom;

    #[test]
    fn pauses_are_the_ladder_with_some_spread() {
        for (tries, rung) in (1..).zip(RUNGS) {
            for _ in 0..100 {
                let pause = pause(tries, None, &OsRandom).unwrap();
                assert!(pause >= rung * 9 / 10 && pause <= rung * 11 / 10, "{tries} {pause:?}");
            }
        }
        assert_eq!(pause(10, None, &OsRandom), None);
        let together: Duration = RUNGS.iter().sum();
        assert!(together > Duration::from_hours(72) && together < Duration::from_hours(80));
    }

    #[test]
    fn a_wish_makes_a_pause_longer_and_never_shorter() {
        let wish = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(pause(1, wish(60), &OsRandom), wish(60));
        assert!(pause(2, wish(60), &OsRandom) > wish(200));
        assert_eq!(pause(1, wish(u64::MAX), &OsRandom), Some(LONGEST_WISH));
    }

    #[test]
    fn wishes_are_seconds_or_dates() {
        let now = Timestamp::from_micros(784_111_777_000_000);
        assert_eq!(read_wish(" 120 ", now), Some(Duration::from_mins(2)));
        let date = "Sun, 06 Nov 1994 08:50:37 GMT";
        assert_eq!(read_wish(date, now), Some(Duration::from_mins(1)));
        let past = "Sun, 06 Nov 1994 07:00:00 GMT";
        assert_eq!(read_wish(past, now), Some(Duration::ZERO));
        for text in ["", "soon", "-1", "1.5", "Sun, 99 Nov 1994 08:49:37 GMT"] {
            assert_eq!(read_wish(text, now), None, "{text}");
        }
    }
}
