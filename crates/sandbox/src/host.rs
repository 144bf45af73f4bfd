//! What this machine lets the server do.

use crate::control::Ids;
use rustix::thread::CapabilitySet;
use std::sync::atomic::{AtomicU32, Ordering};

/// Identities for sandboxes, where the server may choose: two each, from here on. The range lies
/// above what `subuid(5)` and systemd give out.
const FIRST_ID: u32 = 0x7800_0000;
/// How many sandboxes have identities of their own before the first is used again.
const ID_PAIRS: u32 = 0x0010_0000;

/// Whether the server may give sandboxes identities of their own, and which.
#[derive(Debug)]
pub(crate) struct Identities {
    /// The first identity and the number of pairs; `None` where only its own is allowed.
    range: Option<(u32, u32)>,
    next: AtomicU32,
}

impl Identities {
    pub(crate) fn detect() -> Self {
        let needed = CapabilitySet::SYS_ADMIN | CapabilitySet::SETUID | CapabilitySet::SETGID;
        let able =
            rustix::thread::capabilities(None).is_ok_and(|sets| sets.effective.contains(needed));
        let range = if able {
            let map = |file| std::fs::read_to_string(file).unwrap_or_default();
            common_range(&map("/proc/self/uid_map"), &map("/proc/self/gid_map"))
        } else {
            None
        };
        Self { range, next: AtomicU32::new(0) }
    }

    /// The next pair.
    pub(crate) fn next(&self) -> Option<Ids> {
        let (first, pairs) = self.range?;
        let pair = self.next.fetch_add(1, Ordering::Relaxed) % pairs;
        let init = first + pair * 2;
        Some(Ids { init, program: init + 1 })
    }
}

/// A range of identities that both maps hold: the preferred one, or the upper half of what there
/// is (in a container, for example, 32,768 to 65,535).
fn common_range(users: &str, groups: &str) -> Option<(u32, u32)> {
    let holds = |map: &str, first: u32, last: u32| {
        map.lines().any(|line| {
            let mut fields = line.split_whitespace().map(str::parse::<u64>);
            match (fields.next(), fields.next(), fields.next()) {
                (Some(Ok(start)), Some(Ok(_)), Some(Ok(count))) => {
                    start <= u64::from(first) && u64::from(last) < start + count
                }
                _ => false,
            }
        })
    };
    [(FIRST_ID, ID_PAIRS), (32_768, 16_000), (1_000, 500)].into_iter().find(|(first, pairs)| {
        let last = first + pairs * 2 - 1;
        holds(users, *first, last) && holds(groups, *first, last)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_of_identities_fits_the_maps() {
        let whole = "         0          0 4294967295\n";
        assert_eq!(common_range(whole, whole), Some((FIRST_ID, ID_PAIRS)));
        let container = "0 100000 65536\n";
        assert_eq!(common_range(container, container), Some((32_768, 16_000)));
        assert_eq!(common_range("0 1000 1\n", "0 1000 1\n"), None);
        assert_eq!(common_range("", "nonsense"), None);
    }
}
