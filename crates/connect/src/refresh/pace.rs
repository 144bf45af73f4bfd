//! When to refresh, and when to try again.

use crate::credential::Stored;
use crate::mint::is_minted;
use causeway_types::entity::{Connection, ConnectionState, Scheme};
use causeway_types::{Randomness, Timestamp};
use std::time::Duration;

/// The first pause after a failure.
const FIRST: Duration = Duration::from_secs(4);
/// The longest pause.
const LONGEST: Duration = Duration::from_hours(1);

/// When keys that the app has denied are tried for the first time after that.
const FIRST_DOUBT: Duration = Duration::from_hours(6);
/// The longest pause between such tries; after it, there are no more.
const LAST_DOUBT: Duration = Duration::from_hours(16 * 24);

/// When a credential expires, and when the background looks at it: at a random moment between
/// 75 % and 90 % of an access token's life, so that connections made together are not refreshed
/// together. Without a refresh token, at its end. A token that can be had at any time is got when
/// somebody wants to use it.
pub(crate) fn schedule(
    scheme: Scheme,
    stored: &Stored,
    random: &dyn Randomness,
) -> (Option<Timestamp>, Option<Timestamp>) {
    let Some(tokens) = &stored.tokens else { return (None, None) };
    let Some(end) = tokens.expires_at else { return (None, None) };
    if is_minted(scheme) {
        return (Some(end), None);
    }
    if tokens.refresh.is_none() {
        return (Some(end), Some(end));
    }
    let life = end.since(tokens.obtained_at);
    let per_mille = 750 + below(150, random);
    (Some(end), Some(tokens.obtained_at.plus(life / 1000 * per_mille)))
}

/// How long to wait before denied keys are tried again: twice as long as the last time, and of
/// that a random share of three quarters or more. `None` if it was long enough.
pub(crate) fn doubt(present: &Connection, random: &dyn Randomness) -> Option<Duration> {
    let tried = present.refresh_at.filter(|_| present.state == ConnectionState::NeedsReauth);
    let last = tried.map(|at| at.since(present.updated_at));
    let whole = last.map_or(FIRST_DOUBT, |last| last.saturating_mul(2));
    (whole <= LAST_DOUBT).then(|| whole / 1000 * (750 + below(251, random)))
}

/// How long to wait after so many failures in a row: doubling from 4 s to an hour, and of that a
/// random share between a half and the whole.
pub(crate) fn backoff(failures: i64, random: &dyn Randomness) -> Duration {
    let doublings = u32::try_from(failures.clamp(1, 16) - 1).unwrap_or(0);
    let whole = FIRST.saturating_mul(1 << doublings).min(LONGEST);
    whole / 1000 * (500 + below(501, random))
}

/// A number from 0 to `end - 1`. The slight preference for small numbers does not matter here.
fn below(end: u32, random: &dyn Randomness) -> u32 {
    let mut bytes = [0_u8; 4];
    random.fill(&mut bytes);
    u32::from_be_bytes(bytes) % end
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::Tokens;
    use causeway_types::{OsRandom, SecretString};

    #[test]
    fn refreshes_are_spread_before_the_end() {
        let tokens = |refresh| {
            let tokens = Tokens {
                access: SecretString::new("a".into()),
                secret: None,
                refresh,
                obtained_at: Timestamp::from_micros(0),
                expires_at: Some(Timestamp::from_micros(1_000_000_000)),
            };
            Stored { tokens: Some(tokens), ..Stored::default() }
        };
        let mut moments = std::collections::BTreeSet::new();
        for _ in 0..200 {
            let token = SecretString::new("r".into());
            let at = schedule(Scheme::Oauth2, &tokens(Some(token)), &OsRandom).1.unwrap().as_secs();
            assert!((750..900).contains(&at), "{at}");
            moments.insert(at);
        }
        assert!(moments.len() > 50, "{}", moments.len());
        let at = |scheme| schedule(scheme, &tokens(None), &OsRandom).1.map(Timestamp::as_secs);
        assert_eq!(at(Scheme::Oauth2), Some(1000));
        assert_eq!(at(Scheme::ClientCredentials), None, "got when somebody needs it");
    }

    #[test]
    fn pauses_grow_and_end() {
        for (failures, from, to) in [(1, 2, 4), (2, 4, 8), (5, 32, 64), (40, 1800, 3600)] {
            for _ in 0..50 {
                let pause = backoff(failures, &OsRandom);
                assert!(pause >= Duration::from_secs(from), "{failures} {pause:?}");
                assert!(pause <= Duration::from_secs(to), "{failures} {pause:?}");
            }
        }
    }
}
