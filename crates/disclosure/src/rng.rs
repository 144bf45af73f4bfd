//! The injected randomness as rPGP takes it.

use causeway_types::Randomness;
use rand_core::{CryptoRng, Error, RngCore};

/// An adapter.
pub(crate) struct Rng<'a>(pub(crate) &'a dyn Randomness);

impl RngCore for Rng<'_> {
    fn next_u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        u32::from_ne_bytes(bytes)
    }

    fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_ne_bytes(bytes)
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        self.0.fill(bytes);
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Error> {
        self.0.fill(bytes);
        Ok(())
    }
}

// `Randomness` is cryptographic by its own contract.
impl CryptoRng for Rng<'_> {}
