//! Work on files that may take long.

use crate::cluster::fault::Fault;

/// Does what may take long on a slow disk, while signs of life go on.
pub async fn on_disk<T: Send + 'static>(work: impl FnOnce() -> Result<T, Fault> + Send + 'static) -> Result<T, Fault> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(Fault::passing(error.to_string())))
}
