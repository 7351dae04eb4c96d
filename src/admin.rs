//! The HTTP endpoints, read-only: `/livez /readyz /startupz /metrics /status /`.
//!
//! Each check is honest about what it tests: `/livez` the process itself (progress of the pipeline, panics), never MySQL
//! or Kafka, or a restart would be the answer to their outage; `/readyz` whether rows flow now; `/startupz` whether they
//! ever could. Nothing in an answer is a secret or a row's value, and no request changes anything.

use crate::error::{Code, Error, Result};
use crate::telemetry::{Metrics, Status};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

mod connections;
mod routes;

/// Listens on `address`; port 0 is any free port.
pub async fn bind(address: SocketAddr) -> Result<TcpListener> {
    let listener = TcpListener::bind(address).await.map_err(|e| not_listening(address, e))?;
    if !address.ip().is_loopback() {
        tracing::warn!(%address, "the HTTP endpoints can be reached from other hosts and ask for no password");
    }
    Ok(listener)
}

/// Answers requests until `stop`. Start it as a task: it ends early only by a defect.
pub async fn serve(listener: TcpListener, status: Arc<Status>, metrics: Arc<Metrics>, stop: CancellationToken) {
    connections::accept(listener, routes::router(status, metrics), stop).await;
}

fn not_listening(address: SocketAddr, cause: std::io::Error) -> Error {
    Error::new(Code::HttpListen, format!("http.listen = {address} cannot be listened on")).caused_by(cause)
}

#[cfg(test)]
mod tests;
