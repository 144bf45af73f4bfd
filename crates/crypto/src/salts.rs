//! Randomness for salts, drawn ahead.

use causeway_types::Randomness;
use std::sync::{Arc, Mutex};

/// Bytes drawn at once. The crypto library takes 0.35 µs for a draw of 32 bytes and 0.45 µs for
/// one of 1024, while a seal of 4 KiB takes 0.7 µs in all.
const POOL: usize = 1024;

/// Hands out randomness from a pool, to any number of threads. For values that become public, as salts do; never for keys,
/// because what the pool holds stays in memory until it is used.
pub struct Salts {
    source: Arc<dyn Randomness>,
    pool: Mutex<Pool>,
}

struct Pool {
    bytes: [u8; POOL],
    used: usize,
}

impl Salts {
    /// An empty pool over a source.
    pub fn new(source: Arc<dyn Randomness>) -> Self {
        Self { source, pool: Mutex::new(Pool { bytes: [0; POOL], used: POOL }) }
    }
}

impl Randomness for Salts {
    fn fill(&self, buffer: &mut [u8]) {
        // Whoever finds the pool taken draws for himself instead of waiting.
        if let Ok(mut pool) = self.pool.try_lock()
            && pool.take(buffer, &*self.source)
        {
            return;
        }
        self.source.fill(buffer);
    }
}

impl Pool {
    /// Fills the buffer with bytes that nobody has had, unless it is too large for that.
    fn take(&mut self, buffer: &mut [u8], source: &dyn Randomness) -> bool {
        if buffer.len() > POOL {
            return false;
        }
        if buffer.len() > POOL - self.used {
            source.fill(&mut self.bytes);
            self.used = 0;
        }
        let Some(part) = self.bytes.get_mut(self.used..self.used + buffer.len()) else {
            return false;
        };
        buffer.copy_from_slice(part);
        part.fill(0);
        self.used += buffer.len();
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// Counts upward, four bytes at a time, so that a byte handed out twice shows.
    #[derive(Default)]
    struct Counting(AtomicU32);

    impl Randomness for Counting {
        fn fill(&self, buffer: &mut [u8]) {
            for word in buffer.chunks_mut(4) {
                let next = self.0.fetch_add(1, Ordering::SeqCst).to_be_bytes();
                word.copy_from_slice(&next[..word.len()]);
            }
        }
    }

    #[test]
    fn no_salt_is_handed_out_twice() {
        let salts = Salts::new(Arc::new(Counting::default()));
        let mut seen = std::collections::HashSet::new();
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        (0..1000)
                            .map(|_| {
                                let mut salt = [0; 32];
                                salts.fill(&mut salt);
                                salt
                            })
                            .collect::<Vec<_>>()
                    })
                })
                .collect();
            for thread in threads {
                for salt in thread.join().unwrap() {
                    assert!(seen.insert(salt));
                }
            }
        });
        assert_eq!(seen.len(), 4000);
    }

    #[test]
    fn more_than_the_pool_comes_straight_from_the_source() {
        let salts = Salts::new(Arc::new(Counting::default()));
        let mut large = vec![0; POOL * 2];
        salts.fill(&mut large);
        assert_eq!(large[POOL * 2 - 4..], 511_u32.to_be_bytes());
    }
}
