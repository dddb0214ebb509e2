//! Random bytes for a job.

use chacha20::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use std::io;
use std::sync::{Mutex, PoisonError};

/// The source of random bytes.
pub(crate) enum Random {
    System,
    /// The same bytes for the same seed, on every machine and in every version of this crate's dependencies: the
    /// generator is ChaCha with 8 rounds.
    Seeded(Box<Mutex<ChaCha8Rng>>),
}

impl Random {
    pub fn seeded(seed: u64) -> Random {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        Random::Seeded(Box::new(Mutex::new(ChaCha8Rng::from_seed(key))))
    }

    pub fn fill(&self, buffer: &mut [u8]) -> io::Result<()> {
        match self {
            Random::System => getrandom::fill(buffer).map_err(io::Error::other),
            Random::Seeded(generator) => {
                let mut generator = generator.lock().unwrap_or_else(PoisonError::into_inner);
                generator.fill_bytes(buffer);
                Ok(())
            }
        }
    }
}
