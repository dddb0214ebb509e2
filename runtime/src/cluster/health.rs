//! How a worker is, over HTTP: `/healthz` for who starts workers again, `/metrics` for Prometheus.

use super::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// What is answered: whether the worker is well, and its metrics.
pub trait Health: Send + Sync + 'static {
    fn is_well(&self) -> bool;
    fn metrics(&self) -> String;
}

const REQUEST_MAX_BYTES: usize = 8 << 10;
const CONNECTIONS_MAX: usize = 16;
const TIME: Duration = Duration::from_secs(5);

pub async fn listen(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(|source| Error::Io {
        what: format!("nothing can listen at {address}: name another address with --health"),
        source,
    })
}

/// Answers for as long as the worker lives.
pub async fn serve(listener: TcpListener, health: Arc<dyn Health>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let health = health.clone();
                tokio::spawn(async move {
                    let _ = tokio::time::timeout(TIME, answer(stream, &*health)).await;
                    drop(place);
                });
            }
            // Descriptors may have run out for a while.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn answer(mut stream: TcpStream, health: &dyn Health) -> std::io::Result<()> {
    let mut request = Vec::new();
    let mut buffer = [0; 1024];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") && request.len() < REQUEST_MAX_BYTES {
        match stream.read(&mut buffer).await? {
            0 => break,
            count => request.extend_from_slice(&buffer[..count]),
        }
    }
    let request = String::from_utf8_lossy(&request);
    let mut words = request.lines().next().unwrap_or_default().split(' ');
    let (status, kind, body) = match (words.next(), words.next()) {
        (Some("GET"), Some("/healthz")) if health.is_well() => ("200 OK", "text/plain", "ok\n".to_owned()),
        (Some("GET"), Some("/healthz")) => ("503 Service Unavailable", "text/plain", "not well\n".to_owned()),
        (Some("GET"), Some("/metrics")) => ("200 OK", "text/plain; version=0.0.4", health.metrics()),
        _ => ("404 Not Found", "text/plain", "/healthz or /metrics\n".to_owned()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}
