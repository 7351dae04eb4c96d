//! Connections, bounded in number, header size and time: a slow or hostile client must not starve the probes for long.

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Connections at a time; further ones wait in the kernel's queue.
pub(super) const MAX_CONNECTIONS: usize = 64;
/// To send a request's headers, and to stay idle between requests: scrapers come back sooner.
const HEADER_TIMEOUT: Duration = Duration::from_secs(75);
/// A connection's whole life. A scraper reconnects; a client that trickles or never reads is cut.
pub(super) const MAX_AGE: Duration = Duration::from_secs(600);
/// To finish a request when stopping.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);
/// Enough for any probe or scraper, and hyper's lowest.
const BUFFER: usize = 16 * 1024;

/// Serves connections until `stop`. The tasks belong to this future and end with it.
pub(super) async fn accept(listener: TcpListener, router: Router, stop: CancellationToken) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => match accepted {
                Ok((stream, _)) => drop(connections.spawn(connection(stream, router.clone(), stop.clone()))),
                // Out of file descriptors, mostly: accepting again at once would spin.
                Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
            },
        }
    }
    let drained = async { while connections.join_next().await.is_some() {} };
    // What is left after the timeout is aborted with the set.
    let _ = tokio::time::timeout(DRAIN_TIMEOUT, drained).await;
}

async fn connection(stream: TcpStream, router: Router, stop: CancellationToken) {
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT).max_buf_size(BUFFER);
    let connection = server.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    tokio::pin!(connection);
    tokio::select! {
        // A client that breaks off or breaks the protocol is its own concern.
        _ = connection.as_mut() => {}
        () = tokio::time::sleep(MAX_AGE) => {}
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}
