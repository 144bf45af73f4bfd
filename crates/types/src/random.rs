//! Randomness is a parameter too, so that a test can make a collision happen.

/// A source of cryptographic randomness.
pub trait Randomness: Send + Sync {
    /// Fills the buffer.
    fn fill(&self, buffer: &mut [u8]);
}

/// The operating system's generator, through the crypto library.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsRandom;

impl Randomness for OsRandom {
    #[expect(clippy::expect_used, reason = "without randomness nothing that follows would be safe")]
    fn fill(&self, buffer: &mut [u8]) {
        aws_lc_rs::rand::fill(buffer).expect("the operating system gives randomness");
    }
}
