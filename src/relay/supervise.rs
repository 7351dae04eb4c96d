//! Runs, classifies what ended a run, backs off, runs again, or ends the process.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::lead::Leadership;
use super::{Ended, Orders, Relay, SAME_DAMAGE};
use crate::admin;
use crate::backoff::Backoff;
use crate::checkpoint::Owner;
use crate::config::Config;
use crate::delivery::Memory;
use crate::error::{Code, Disposition, Error, Result};
use crate::failpoint;
use crate::outbox::Large;
use crate::shutdown::Shutdown;
use crate::telemetry::metrics::BuildInfo;
use crate::telemetry::{Metrics, Status};

/// Back-off between runs that made no progress.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));

/// Meetings with another reader of our server id before a human has to look, and the time in which they count: one comes
/// from a connection that the server has not missed yet, or with a successor.
const COLLISIONS: (usize, Duration) = (3, Duration::from_secs(60));

/// What may be tried again a few times only.
#[derive(Default)]
struct Patience {
    damaged: u32,
    collisions: Vec<Instant>,
}

impl Patience {
    /// Records were delivered: what was met before is behind us.
    fn progress(&mut self) {
        self.damaged = 0;
    }

    /// Whether another run after this error may help.
    fn lasts(&mut self, code: Code) -> bool {
        match code {
            Code::EventCorrupt | Code::CompressedPayload | Code::TaskPanicked => {
                self.damaged += 1;
                self.damaged <= SAME_DAMAGE
            }
            Code::ServerIdTaken => {
                let (limit, time) = COLLISIONS;
                self.collisions.retain(|met| met.elapsed() < time);
                self.collisions.push(Instant::now());
                self.collisions.len() < limit
            }
            _ => true,
        }
    }
}

/// Runs the relay until it is drained or an error ends the process.
///
/// # Errors
/// The error that ends the process; its exit code is the process's.
pub async fn supervise(config: Config, orders: Orders, shutdown: Shutdown) -> Result<()> {
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
    let relay = Relay {
        owner: owner(&config),
        config,
        orders,
        metrics,
        status,
        warned: Mutex::default(),
        damaged_starts: Arc::default(),
    };
    let mut leadership = Leadership::default();
    let result = keep_running(&relay, &mut leadership, &shutdown).await;
    relay.status.stopping();
    let left = tokio::select! {
        biased;
        () = shutdown.abort.cancelled() => Ok(()),
        left = leadership.leave() => left,
    };
    stop_admin.cancel();
    if let Some(serving) = serving {
        serving.await.map_err(|e| Error::new(Code::TaskPanicked, "the HTTP endpoints").caused_by(e))?;
    }
    result.and(left)
}

async fn keep_running(relay: &Relay, leadership: &mut Leadership, shutdown: &Shutdown) -> Result<()> {
    let mut memory = Memory::default();
    let mut backoff = Backoff::new(BACKOFF.0, BACKOFF.1);
    let mut patience = Patience::default();
    let mut place = "config_loaded";
    let mut large: Option<Arc<Large>> = None;
    loop {
        let before = memory.delivered;
        let ended = tokio::select! {
            biased;
            () = shutdown.abort.cancelled() => Ok(Ended::Drained),
            ended = async {
                failpoint::hit(place)?;
                leadership.run_once(relay, &mut memory, large.clone(), shutdown).await
            } => ended,
        };
        place = "reconnecting";
        relay.status.source_disconnected();
        let delay = match ended {
            Ok(Ended::Drained) => return Ok(()),
            Ok(Ended::Before(_)) if shutdown.drain.is_cancelled() => return Ok(()),
            Ok(Ended::Before(group)) => {
                announce(&group);
                // Known already, but not as it was: another server, or a log that changes.
                let again = large.as_ref().is_some_and(|known| known.group == group.group);
                large = Some(group);
                if again { backoff.next_delay() } else { Duration::ZERO }
            }
            Err(error) => {
                relay.metrics.error(error.code());
                if memory.delivered > before {
                    backoff.reset();
                    patience.progress();
                }
                let patient = patience.lasts(error.code());
                if shutdown.drain.is_cancelled() && error.disposition() == Disposition::Restart {
                    tracing::warn!(code = %error.code(), error = error.chain(), "stopped while draining; nothing is lost");
                    return Ok(());
                }
                let renewed = error.code() == Code::ProducerRenewed;
                if let Some(end) = decide(relay, &mut memory, error, patient) {
                    return Err(end);
                }
                // A renewal is no failure: what was sent is committed.
                if renewed { Duration::ZERO } else { backoff.next_delay() }
            }
        };
        tokio::select! {
            biased;
            () = shutdown.drain.cancelled() => return Ok(()),
            () = leadership.ended() => {}
            () = relay.status.ticking(tokio::time::sleep(delay)) => {}
        }
    }
}

/// Says what is going to happen to a large group.
fn announce(group: &Large) {
    let (begins, bytes, records) = (group.begins(), group.bytes, group.records);
    match group.split {
        false => tracing::info!(
            %begins, bytes, records,
            "a large source transaction is read again, into one Kafka transaction"
        ),
        true => tracing::warn!(
            %begins, bytes, records,
            "a source transaction above batch.max_stream_bytes is read again, into several Kafka transactions: its \
             records do not become visible together (batch.oversize = \"split\")"
        ),
    }
}

/// `Some` if the error ends the process.
pub(super) fn decide(relay: &Relay, memory: &mut Memory, error: Error, patient: bool) -> Option<Error> {
    if error.code() == Code::TaskPanicked {
        relay.status.panicked("reader");
        relay.metrics.task_panicked("reader");
    }
    match error.disposition() {
        // Kafka does not say who fenced us, and it may have been the coordinator, which fences a transaction that it
        // times out (KIP-588 is missing in librdkafka): the next run looks who writes before it fences in turn.
        Disposition::Fenced if !memory.superseded => memory.fenced = true,
        Disposition::Restart if patient => {}
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

/// Two instances on one host cannot serve HTTP at the same address, and a supervisor starts one again with the address that
/// it had.
fn place(host: &str, listen: Option<SocketAddr>) -> String {
    listen.map_or_else(|| host.to_owned(), |listen| format!("{host} {listen}"))
}

fn owner(config: &Config) -> Owner {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_else(|_| "unknown".into());
    let started_at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    Owner {
        instance: uuid::Uuid::new_v4().to_string(),
        host: host.trim().to_owned(),
        place: if config.ha.standby { String::new() } else { place(host.trim(), config.http.listen) },
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn damage_and_collisions_are_tried_a_few_times_and_the_rest_for_ever() {
        let mut patience = Patience::default();
        assert!(patience.lasts(Code::EventCorrupt) && patience.lasts(Code::CompressedPayload));
        assert!(!patience.lasts(Code::TaskPanicked));
        patience.progress();
        assert!(patience.lasts(Code::EventCorrupt));

        assert!(patience.lasts(Code::ServerIdTaken) && patience.lasts(Code::ServerIdTaken));
        tokio::time::advance(COLLISIONS.1).await;
        assert!(patience.lasts(Code::ServerIdTaken) && patience.lasts(Code::ServerIdTaken));
        assert!(!patience.lasts(Code::ServerIdTaken));
        assert!((0..100).all(|_| patience.lasts(Code::SourceLost)));
    }
}
