//! The guest's clocks.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The time by which a fixed clock advances each time it is read, so that a program that polls the clock comes to its
/// end.
const TICK: Duration = Duration::from_micros(1);

pub enum Clock {
    Real {
        started: Instant,
    },
    /// Advances when it is read and when the guest sleeps, and at no other time.
    Fixed {
        start: Duration,
        elapsed: Duration,
    },
}

impl Clock {
    pub fn real() -> Clock {
        Clock::Real {
            started: Instant::now(),
        }
    }

    pub fn fixed(start: SystemTime) -> Clock {
        Clock::Fixed {
            start: since_epoch(start),
            elapsed: Duration::ZERO,
        }
    }

    pub fn realtime(&mut self) -> Duration {
        match *self {
            Clock::Real { .. } => since_epoch(SystemTime::now()),
            Clock::Fixed { start, .. } => start.saturating_add(self.monotonic()),
        }
    }

    /// The time since the job began.
    pub fn monotonic(&mut self) -> Duration {
        match self {
            Clock::Real { started } => started.elapsed(),
            Clock::Fixed { elapsed, .. } => {
                *elapsed = elapsed.saturating_add(TICK);
                *elapsed
            }
        }
    }

    /// A job is one thread, so its processor time is that of the thread.
    pub fn processor(&mut self) -> Duration {
        match self {
            Clock::Real { .. } => match cpu_time_of_this_thread() {
                Some(time) => time,
                None => self.monotonic(),
            },
            Clock::Fixed { .. } => self.monotonic(),
        }
    }

    /// The host's time for a time of [`Clock::monotonic`], if the clock goes with the host's and gets there.
    pub fn instant(&self, monotonic: Duration) -> Option<Instant> {
        match self {
            Clock::Real { started } => started.checked_add(monotonic),
            Clock::Fixed { .. } => None,
        }
    }

    pub fn is_fixed(&self) -> bool {
        matches!(self, Clock::Fixed { .. })
    }

    /// Sleeps until this time on a fixed clock, without waiting.
    pub fn skip_to(&mut self, monotonic: Duration) {
        if let Clock::Fixed { elapsed, .. } = self {
            *elapsed = monotonic.max(*elapsed);
        }
    }

    /// Returns a file's time for the guest. A job with a fixed clock must not learn the real time from files that it
    /// makes.
    pub fn file_time(&self, time: Option<SystemTime>) -> Duration {
        match self {
            Clock::Real { .. } => time.map(since_epoch).unwrap_or_default(),
            Clock::Fixed { start, .. } => *start,
        }
    }
}

/// Returns the processor time of the current thread, where the system provides it.
pub fn cpu_time_of_this_thread() -> Option<Duration> {
    #[cfg(unix)]
    return rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime)
        .try_into()
        .ok();
    #[cfg(not(unix))]
    None
}

pub fn nanoseconds(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

fn since_epoch(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}
