//! Stopping in two steps: first *drain* (finish and commit what is in flight), then *abort* (let go of it at once).
//!
//! Both are safe: after an abort the Kafka transaction stays uncommitted and the next run resumes from the checkpoint.
//! Functions take the tokens as an argument, so tests pass their own.

use crate::error::{Code, Error, Result};
use futures_util::{Stream, StreamExt, stream};
use std::task::Poll;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The two tokens. Clones share them; an abort is a drain too.
#[derive(Clone, Debug)]
pub struct Shutdown {
    /// Stop reading, commit what is in flight, close.
    pub drain: CancellationToken,
    /// Stop now.
    pub abort: CancellationToken,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self::new()
    }
}

impl Shutdown {
    /// Tokens that nothing has cancelled yet.
    pub fn new() -> Self {
        let abort = CancellationToken::new();
        Self { drain: abort.child_token(), abort }
    }

    /// Tokens cancelled by SIGTERM or SIGINT: the first one drains, a second one aborts. A drain that takes longer than
    /// `timeout` is aborted too, whoever began it. Signals are heeded for as long as the guard lives.
    pub fn on_signals(timeout: Duration) -> Result<(Self, SignalGuard)> {
        let signals = signals()?;
        let shutdown = Self::new();
        let watching = tokio::spawn(watch(signals, timeout, shutdown.clone()));
        Ok((shutdown, SignalGuard(watching)))
    }
}

/// Owns the task that waits for signals; dropping it ends the task.
#[derive(Debug)]
pub struct SignalGuard(JoinHandle<()>);

impl Drop for SignalGuard {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The names of the signals as they arrive.
fn signals() -> Result<impl Stream<Item = &'static str> + Unpin + Send> {
    let listen = |kind, name| {
        signal(kind)
            .map_err(|e| Error::new(Code::Internal, format!("the handler for {name} cannot be installed")).caused_by(e))
    };
    let mut terminate = listen(SignalKind::terminate(), "SIGTERM")?;
    let mut interrupt = listen(SignalKind::interrupt(), "SIGINT")?;
    Ok(stream::poll_fn(move |context| {
        if terminate.poll_recv(context).is_ready() {
            return Poll::Ready(Some("SIGTERM"));
        }
        interrupt.poll_recv(context).map(|_| Some("SIGINT"))
    }))
}

async fn watch(mut signals: impl Stream<Item = &'static str> + Unpin, timeout: Duration, shutdown: Shutdown) {
    tokio::select! {
        Some(signal) = signals.next() => tracing::info!(signal, ?timeout, "draining; a second signal stops at once"),
        () = shutdown.drain.cancelled() => {}
    }
    shutdown.drain.cancel();
    tokio::select! {
        Some(signal) = signals.next() => tracing::warn!(signal, "stopping at once"),
        () = tokio::time::sleep(timeout) => tracing::warn!(?timeout, "the drain took too long; stopping at once"),
        () = shutdown.abort.cancelled() => {}
    }
    shutdown.abort.cancel();
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::mpsc;
    use tokio::time::{Instant, advance};

    const TIMEOUT: Duration = Duration::from_secs(20);

    fn watched() -> (Shutdown, mpsc::UnboundedSender<&'static str>, JoinHandle<()>) {
        let shutdown = Shutdown::new();
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let signals = stream::poll_fn(move |context| receiver.poll_recv(context));
        let task = tokio::spawn(watch(signals, TIMEOUT, shutdown.clone()));
        (shutdown, sender, task)
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_signal_drains_and_the_second_aborts() {
        let (shutdown, signals, task) = watched();
        let start = Instant::now();
        signals.send("SIGTERM").unwrap();
        shutdown.drain.cancelled().await;
        assert!(!shutdown.abort.is_cancelled());
        signals.send("SIGINT").unwrap();
        shutdown.abort.cancelled().await;
        assert_eq!(start.elapsed(), Duration::ZERO);
        task.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_drain_is_aborted() {
        let (shutdown, signals, _task) = watched();
        let start = Instant::now();
        signals.send("SIGTERM").unwrap();
        shutdown.abort.cancelled().await;
        assert!(start.elapsed() >= TIMEOUT && start.elapsed() < TIMEOUT + Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_that_nobody_signalled_is_bounded_too() {
        let (shutdown, _signals, _task) = watched();
        shutdown.drain.cancel();
        tokio::task::yield_now().await;
        advance(TIMEOUT / 2).await;
        assert!(!shutdown.abort.is_cancelled());
        shutdown.abort.cancelled().await;
    }

    #[tokio::test(start_paused = true)]
    async fn an_abort_is_a_drain() {
        let (shutdown, _signals, task) = watched();
        shutdown.abort.cancel();
        assert!(shutdown.drain.is_cancelled());
        task.await.unwrap();
    }

    /// The only test that sends a real signal: the handler stays installed for the process, so it harms no other test.
    #[tokio::test]
    async fn a_real_sigterm_drains() {
        let (shutdown, _guard) = Shutdown::on_signals(TIMEOUT).unwrap();
        let own = std::process::id().to_string();
        std::process::Command::new("kill").args(["-TERM", &own]).status().unwrap();
        shutdown.drain.cancelled().await;
        assert!(!shutdown.abort.is_cancelled());
    }
}
