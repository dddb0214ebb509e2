//! What the server has said of its own accord. That something is not permitted comes by itself, and the request that it is about only
//! gets no answer.

use async_nats::{ClientError, Event};
use std::future::{Ready, ready};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Longer than a request waits for its answer.
const COUNTS_FOR: Duration = Duration::from_secs(15);

/// The last refusal of a server.
#[derive(Clone, Debug, Default)]
pub struct Refusals(Arc<Mutex<Option<(Instant, String)>>>);

impl Refusals {
    /// What is to hear the events of a connection.
    pub fn listener(&self) -> impl Fn(Event) -> Ready<()> + Send + Sync + 'static {
        let refusals = self.clone();
        move |event| {
            let said = match event {
                Event::ServerError(error) => error.to_string(),
                // It cannot be connected again.
                Event::ClientError(ClientError::Other(error)) => error,
                _ => return ready(()),
            };
            let said = said.trim_start_matches("nats: ").to_owned();
            *refusals.lock() = Some((Instant::now(), said));
            ready(())
        }
    }

    /// What was said of late.
    pub fn last(&self) -> Option<String> {
        let said = self.lock().clone()?;
        (said.0.elapsed() < COUNTS_FOR).then_some(said.1)
    }

    /// What was not permitted of late.
    pub fn permission(&self) -> Option<String> {
        self.last()
            .filter(|said| said.to_ascii_lowercase().starts_with("permissions violation"))
    }

    fn lock(&self) -> MutexGuard<'_, Option<(Instant, String)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
