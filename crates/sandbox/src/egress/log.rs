//! What a step's code connected to, and what was decided about it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Records of one step; further ones are only counted.
const MOST: usize = 200;

/// A connection, or a request to an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EgressRecord {
    /// The host as the code named it.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The method, of a request that the broker read.
    pub method: Option<String>,
    /// What became of it.
    pub decision: Decision,
    /// Bytes from the code: of a request, those of its body.
    pub sent: u64,
    /// Bytes to the code: of a request, those of its answer's body.
    pub received: u64,
}

/// What became of a connection or a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It was passed through, unread.
    Passed,
    /// The broker sent it; the app, or the broker for it, answered with this status.
    Brokered {
        /// The status.
        status: u16,
    },
    /// It was refused.
    Refused {
        /// Why: the code that the step's code got.
        code: String,
    },
}

/// A request under way.
pub(crate) struct RequestNote {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) method: String,
    pub(crate) sent: Arc<AtomicU64>,
    pub(crate) received: Arc<AtomicU64>,
}

/// The records of the present step.
#[derive(Default)]
pub(crate) struct Log(Mutex<Entries>);

#[derive(Default)]
struct Entries {
    entries: Vec<Entry>,
    more: u64,
}

struct Entry {
    record: EgressRecord,
    sent: Arc<AtomicU64>,
    received: Arc<AtomicU64>,
    /// Whether an earlier step's records hold it already.
    told: bool,
}

/// The bytes of a connection that is passed through.
pub(crate) struct Passing {
    pub(crate) sent: Arc<AtomicU64>,
    pub(crate) received: Arc<AtomicU64>,
}

impl Log {
    /// A connection is passed through.
    pub(crate) fn passed(&self, host: &str, port: u16) -> Passing {
        let passing = Passing { sent: Arc::default(), received: Arc::default() };
        let (sent, received) = (Arc::clone(&passing.sent), Arc::clone(&passing.received));
        self.add(record(host, port, None, Decision::Passed), sent, received);
        passing
    }

    /// A connection is refused.
    pub(crate) fn refused(&self, host: &str, port: u16, code: &str) {
        let decision = Decision::Refused { code: code.to_owned() };
        self.add(record(host, port, None, decision), Arc::default(), Arc::default());
    }

    /// A request was answered.
    pub(crate) fn request(&self, note: RequestNote, decision: Decision) {
        let RequestNote { host, port, method, sent, received } = note;
        self.add(record(&host, port, Some(method), decision), sent, received);
    }

    fn add(&self, record: EgressRecord, sent: Arc<AtomicU64>, received: Arc<AtomicU64>) {
        let mut all = self.entries();
        if all.entries.len() >= MOST {
            all.more += 1;
            return;
        }
        all.entries.push(Entry { record, sent, received, told: false });
    }

    /// The records since the last call, and how many there were beyond those. What is still open
    /// goes on to count for the next step.
    pub(crate) fn take(&self) -> (Vec<EgressRecord>, u64) {
        let mut all = self.entries();
        let more = std::mem::take(&mut all.more);
        let mut records = Vec::new();
        for entry in std::mem::take(&mut all.entries) {
            let record = EgressRecord {
                sent: entry.sent.swap(0, Ordering::Relaxed),
                received: entry.received.swap(0, Ordering::Relaxed),
                ..entry.record.clone()
            };
            if !entry.told || record.sent + record.received > 0 {
                records.push(record);
            }
            if Arc::strong_count(&entry.sent) > 1 || Arc::strong_count(&entry.received) > 1 {
                all.entries.push(Entry { told: true, ..entry });
            }
        }
        (records, more)
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn record(host: &str, port: u16, method: Option<String>, decision: Decision) -> EgressRecord {
    EgressRecord { host: super::printable(host), port, method, decision, sent: 0, received: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_bounded_and_open_connections_count_on() {
        let log = Log::default();
        let passing = log.passed("a.test", 443);
        passing.sent.fetch_add(5, Ordering::Relaxed);
        for _ in 0..MOST {
            log.refused("b.test", 80, "EGRESS_REFUSED");
        }
        let (records, more) = log.take();
        assert_eq!((records.len(), more, records[0].sent), (MOST, 1, 5));
        assert_eq!(log.take(), (Vec::new(), 0), "nothing has moved since");
        passing.received.fetch_add(7, Ordering::Relaxed);
        drop(passing);
        let (records, _) = log.take();
        assert_eq!((records.len(), records[0].sent, records[0].received), (1, 0, 7));
        assert_eq!(log.take().0, []);
    }
}
