//! Runs, classifies what ended a run, backs off, runs again, or ends the process.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio_util::sync::CancellationToken;

use super::{Relay, run_once};
use crate::admin;
use crate::backoff::Backoff;
use crate::checkpoint::Owner;
use crate::config::Config;
use crate::delivery::Memory;
use crate::error::{Code, Disposition, Error, Result};
use crate::shutdown::Shutdown;
use crate::telemetry::metrics::BuildInfo;
use crate::telemetry::{Metrics, Status};

/// Back-off between runs that made no progress.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));

/// Runs in a row that may meet the same damage at the same place before a human has to look.
const SAME_DAMAGE: u32 = 2;

/// Runs the relay until it is drained or an error ends the process.
///
/// # Errors
/// The error that ends the process; its exit code is the process's.
pub async fn supervise(config: Config, first_start: bool, shutdown: Shutdown) -> Result<()> {
    let tables: Vec<String> = config.outboxes.iter().map(|o| format!("{}.{}", o.database, o.table)).collect();
    let metrics = Arc::new(Metrics::new(&config.name, &BuildInfo::current(), tables.iter().map(String::as_str)));
    let status = Arc::new(Status::new(config.name.clone()));
    let stop_admin = CancellationToken::new();
    let serving = match config.http.listen {
        None => None,
        Some(address) => {
            let listener = admin::bind(address).await?;
            Some(tokio::spawn(admin::serve(listener, Arc::clone(&status), Arc::clone(&metrics), stop_admin.clone())))
        }
    };
    let relay = Relay { owner: owner(), config, first_start, metrics, status };
    let result = keep_running(&relay, &shutdown).await;
    relay.status.stopping();
    stop_admin.cancel();
    if let Some(serving) = serving {
        serving.await.map_err(|e| Error::new(Code::TaskPanicked, "the HTTP endpoints").caused_by(e))?;
    }
    result
}

async fn keep_running(relay: &Relay, shutdown: &Shutdown) -> Result<()> {
    let mut memory = Memory::default();
    let mut backoff = Backoff::new(BACKOFF.0, BACKOFF.1);
    let mut damaged = 0;
    loop {
        let before = memory.delivered;
        let ended = tokio::select! {
            biased;
            () = shutdown.abort.cancelled() => Ok(()),
            ended = run_once(relay, &mut memory, shutdown) => ended,
        };
        let Err(error) = ended else { return Ok(()) };
        relay.status.source_disconnected();
        relay.metrics.error(error.code());
        if memory.delivered > before {
            backoff.reset();
            damaged = 0;
        }
        damaged += u32::from(is_damage(error.code()));
        if shutdown.drain.is_cancelled() && error.disposition() == Disposition::Restart {
            tracing::warn!(code = %error.code(), error = error.chain(), "stopped while draining; nothing is lost");
            return Ok(());
        }
        let renewed = error.code() == Code::ProducerRenewed;
        if let Some(end) = decide(relay, &mut memory, error, damaged) {
            return Err(end);
        }
        // A renewal is no failure: what was sent is committed.
        let delay = if renewed { Duration::ZERO } else { backoff.next_delay() };
        tokio::select! {
            () = shutdown.drain.cancelled() => return Ok(()),
            () = relay.status.ticking(tokio::time::sleep(delay)) => {}
        }
    }
}

/// `Some` if the error ends the process.
fn decide(relay: &Relay, memory: &mut Memory, error: Error, damaged: u32) -> Option<Error> {
    if error.code() == Code::TaskPanicked {
        relay.status.panicked("reader");
        relay.metrics.task_panicked("reader");
    }
    match error.disposition() {
        // Kafka does not say who fenced us, and it may have been the coordinator, which fences a transaction that it
        // times out (KIP-588 is missing in librdkafka): the next run looks who writes before it fences in turn.
        Disposition::Fenced if memory.owned && !memory.superseded => memory.fenced = true,
        Disposition::Restart if damaged <= SAME_DAMAGE => {}
        Disposition::Restart | Disposition::Fenced | Disposition::Halt | Disposition::Bug => {
            if error.disposition() == Disposition::Fenced {
                relay.metrics.kafka_fenced.inc();
            }
            relay.status.stalled(&error);
            return Some(error);
        }
    }
    relay.metrics.source_reconnect(error.code());
    relay.status.stalled(&error);
    tracing::warn!(code = %error.code(), error = error.chain(), fix = error.fix(), "the run ended; starting another one");
    None
}

fn is_damage(code: Code) -> bool {
    matches!(code, Code::EventCorrupt | Code::CompressedPayload | Code::TaskPanicked)
}

fn owner() -> Owner {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_else(|_| "unknown".into());
    let started_at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    Owner {
        instance: uuid::Uuid::new_v4().to_string(),
        host: host.trim().to_owned(),
        pid: std::process::id(),
        incarnation: 0,
        started_at,
    }
}

impl Relay {
    /// This process as the owner of its next producer.
    pub(super) fn owner_of(&self, memory: &Memory) -> Owner {
        Owner { incarnation: memory.incarnations, ..self.owner.clone() }
    }
}
