//! Signals for a job's program.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Signals that another thread sends to a job's program, such as the one that tells ffmpeg to finish its outputs.
///
/// All clones are the same. The program reads the numbers of the signals from `/dev/signal`, when it wants to: WASI has
/// no other way. FFmpeg's ffmpeg does in this project's modules; after the first SIGINT (2) or SIGTERM (15) it ends its
/// outputs as after their last frame, with exit code 255.
#[derive(Clone, Default)]
pub struct Signals {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    pending: VecDeque<u8>,
    is_watched: bool,
}

/// A program that reads none must not make the host keep them all.
const PENDING_MAX: usize = 64;

impl Signals {
    pub fn new() -> Signals {
        Signals::default()
    }

    /// Sends a signal by its number; returns whether the program looks for signals.
    pub fn send(&self, number: u8) -> bool {
        let mut shared = self.lock();
        if shared.pending.len() < PENDING_MAX {
            shared.pending.push_back(number);
        }
        shared.is_watched
    }

    /// The program has begun to look for signals.
    pub(crate) fn watch(&self) {
        self.lock().is_watched = true;
    }

    /// The number of the next signal, if one has come.
    pub(crate) fn next(&self) -> Option<u8> {
        self.lock().pending.pop_front()
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Signals {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let shared = self.lock();
        formatter
            .debug_struct("Signals")
            .field("pending", &shared.pending)
            .field("is_watched", &shared.is_watched)
            .finish()
    }
}
