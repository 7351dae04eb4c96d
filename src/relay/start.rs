//! Start-up steps in the order of the protocol: who is in charge, what the checkpoint says, where the source goes on.

use std::sync::Arc;
use std::time::Duration;

use super::Relay;
use super::read::PROGRESS_INTERVAL;
use super::source::{self, Reached, Source};
use crate::binlog::connect;
use crate::binlog::history::{self, DumpFrom, Processed};
use crate::binlog::interpret::{Contiguity, Interpreter, TableFilter};
use crate::binlog::server::Server;
use crate::checkpoint::store::Store;
use crate::checkpoint::{Checkpoint, CheckpointId, Counters};
use crate::config::StartPosition;
use crate::delivery::classify::{self, Resolution};
use crate::delivery::incarnation::Incarnation;
use crate::delivery::producer::transactional_ids;
use crate::delivery::topics::Catalog;
use crate::delivery::{Deliverer, Memory, Shared, StartingPoint, published};
use crate::error::{Code, Error, Result};
use crate::failpoint;
use crate::position::{FilePosition, Flavour};
use crate::telemetry::status::SinkFacts;

/// How long a fenced process waits for its successor's first checkpoint, which follows the fence within moments.
const SUCCESSOR_WAIT: Duration = Duration::from_secs(10);

/// How long a newcomer waits that is fenced before its own first checkpoint. If it was by the instance that it is about to
/// replace, which renewed its producer at that moment, that one waits longer.
const RIVAL_WAIT: Duration = Duration::from_secs(2);

/// How long a successor may be silent before it counts as gone: it writes a checkpoint every [`PROGRESS_INTERVAL`] at least.
const SUCCESSOR_SILENCE: Duration = PROGRESS_INTERVAL.saturating_mul(3);

/// How often a look is taken meanwhile.
const SUCCESSOR_LOOK: Duration = Duration::from_millis(200);

/// Before a process fences again, it looks whether another one has taken over since: fencing the successor in turn would
/// be a ping-pong without end.
pub(super) async fn ensure_no_successor(relay: &Relay, store: &Store, memory: &mut Memory) -> Result<()> {
    let fenced = std::mem::take(&mut memory.fenced);
    if !memory.owned && !fenced {
        return ensure_not_replaced(relay, store).await;
    }
    let deadline = tokio::time::Instant::now() + if memory.owned { SUCCESSOR_WAIT } else { RIVAL_WAIT };
    let mut retry = tokio::time::interval(Duration::from_millis(200));
    loop {
        retry.tick().await;
        ensure_no_newer(relay, memory, store.peek().await?.as_ref().map(|(newest, _)| newest))?;
        if !fenced || tokio::time::Instant::now() > deadline {
            return Ok(());
        }
        relay.status.tick();
    }
}

/// A process that was replaced and is started again by its supervisor is not the newest one: taking over would end its
/// successor, which would be started again in turn, without end. It may take over when the successor is silent, though.
async fn ensure_not_replaced(relay: &Relay, store: &Store) -> Result<()> {
    let place = &relay.owner.place;
    let replaced = |newest: &Checkpoint| newest.has_replaced(place) && !relay.orders.take_over;
    let Some((seen, _)) = store.peek().await?.filter(|(newest, _)| replaced(newest)) else { return Ok(()) };
    tracing::info!(
        successor = %seen.owner, at_most = ?SUCCESSOR_SILENCE,
        "an instance elsewhere replaced the one that ran here; waiting to see whether it still works"
    );
    let deadline = tokio::time::Instant::now() + SUCCESSOR_SILENCE;
    let mut retry = tokio::time::interval(SUCCESSOR_LOOK);
    while tokio::time::Instant::now() < deadline {
        retry.tick().await;
        match store.peek().await? {
            Some((newest, _)) if !replaced(&newest) => return Ok(()),
            Some((newest, _)) if newest.sequence > seen.sequence => {
                let what = format!("{} replaced the instance at \"{place}\" and still works", newest.owner);
                return Err(Error::new(Code::Replaced, what));
            }
            _ => relay.status.tick(),
        }
    }
    tracing::warn!(successor = %seen.owner, "the successor is silent; taking over from it");
    Ok(())
}

/// The newest checkpoint is not one that another process has written since this one looked.
pub(super) fn ensure_no_newer(relay: &Relay, memory: &mut Memory, newest: Option<&Checkpoint>) -> Result<()> {
    match newest {
        Some(newest)
            if newest.owner.instance != relay.owner.instance
                && (memory.owned || memory.predecessor.as_ref() != Some(&newest.owner.instance)) =>
        {
            Err(superseded(relay, memory, newest))
        }
        _ => Ok(()),
    }
}

fn superseded(relay: &Relay, memory: &mut Memory, newest: &Checkpoint) -> Error {
    memory.superseded = true;
    Error::new(Code::Fenced, format!("{} took over \"{}\"", newest.owner, relay.config.name))
}

/// Nobody else wrote between the look at the checkpoint and our fence, and the Kafka transaction that the last run left
/// in doubt is decided.
pub(super) fn ensure_still_ours(
    relay: &Relay,
    memory: &mut Memory,
    found: Option<&(Checkpoint, CheckpointId)>,
) -> Result<()> {
    if !memory.owned {
        let writer = found.map(|(checkpoint, _)| checkpoint.owner.instance.clone());
        if writer.is_some() && writer == memory.predecessor {
            // The one that is about to be replaced has fenced this one and gone on: the take-over was not committed.
            memory.in_doubt = None;
        }
        memory.predecessor = writer;
    } else {
        match found {
            // We have fenced it, but it goes on: a fenced owner looks who writes, and finds that it is still itself.
            Some((newest, _)) if newest.owner.instance != relay.owner.instance => {
                return Err(superseded(relay, memory, newest));
            }
            None => return Err(Error::new(Code::CheckpointMissing, "our own checkpoint is gone")),
            Some(_) => {}
        }
    }
    let unsettled = memory.unsettled.take();
    let Some(in_doubt) = memory.in_doubt.take() else { return Ok(()) };
    let id = found.map(|(_, id)| id);
    match classify::resolve(&in_doubt, id) {
        Resolution::Committed => {
            tracing::info!("the Kafka transaction in doubt was committed");
            if let Some(unsettled) = unsettled {
                memory.delivered += 1;
                unsettled.committed(&relay.metrics, &relay.status);
            }
        }
        Resolution::NotCommitted => {
            tracing::info!("the Kafka transaction in doubt was not committed; sending it again")
        }
        Resolution::AnotherWriter => {
            let who = found.map_or_else(|| "nobody".to_owned(), |(checkpoint, _)| checkpoint.owner.to_string());
            memory.superseded = true;
            return Err(Error::new(Code::Fenced, format!("the newest checkpoint is not ours but from {who}")));
        }
    }
    Ok(())
}

/// What the beginning of a run needs.
pub(super) struct Beginning<'a> {
    pub(super) relay: &'a Relay,
    pub(super) store: &'a Store,
    pub(super) catalog: &'a Catalog,
}

/// Whether there was a checkpoint to take over.
enum Charge {
    Taken(Box<Deliverer>),
    Vacant(Incarnation),
}

impl Beginning<'_> {
    /// Takes charge, then opens the source behind the checkpoint. With a checkpoint the take-over is written before the
    /// source is touched, so that a predecessor that loses its dump connection to us finds out why. Without one the first
    /// checkpoint is written only when the source can be read from there: a mistaken `source.start` must leave no trace.
    pub(super) async fn begin(
        &self,
        incarnation: Incarnation,
        found: Option<(Checkpoint, CheckpointId)>,
        memory: &mut Memory,
    ) -> Result<(Deliverer, Source)> {
        self.relay.status.sink(self.sink_facts());
        memory.incarnations += 1;
        let resumed = found.is_some();
        let charge = match found {
            None => Charge::Vacant(incarnation),
            Some(found) => {
                self.ensure_usable(&found.0)?;
                let start = StartingPoint::behind(found, self.relay.owner_of(memory));
                Charge::Taken(Box::new(self.deliverer(incarnation, start, memory).await?))
            }
        };
        self.relay.status.starting("connecting to MySQL");
        let config = &self.relay.config;
        let (mut deliverer, reached, source) = match charge {
            Charge::Taken(deliverer) => {
                let processed = deliverer.last().checkpoint().processed();
                let reached = source::reach(self.relay, Some(&processed)).await?;
                self.relay.status.set_started();
                let (server, source) = self.open(reached, &processed).await?;
                (*deliverer, server, source)
            }
            Charge::Vacant(incarnation) => {
                let reached = source::reach(self.relay, None).await?;
                let checkpoint = self.first_checkpoint(&reached.server, memory).await?;
                let (server, mut source) = self.open(reached, &checkpoint.processed()).await?;
                if matches!(config.source.start, StartPosition::Gtid(_) | StartPosition::File { .. }) {
                    self.relay.status.starting("proving source.start");
                    source.prove().await?;
                }
                let start = StartingPoint { checkpoint, previous: None, in_charge: false };
                let deliverer = self.deliverer(incarnation, start, memory).await?;
                self.relay.status.set_started();
                (deliverer, server, source)
            }
        };
        deliverer.adopt(source::identity(&reached), self.relay.owner_of(memory));
        self.report(&deliverer, &reached, resumed);
        Ok((deliverer, source))
    }

    /// Asks a server for what comes behind a checkpoint.
    async fn open(&self, reached: Reached, processed: &Processed) -> Result<(Server, Source)> {
        let Reached { conn, server, host, resume, columns } = reached;
        let resume = resume.map_or_else(|| history::resume(processed, &server), Ok)?;
        failpoint::hit("identity_checked")?;
        let config = &self.relay.config;
        self.relay.status.heartbeat(config.source.heartbeat);
        self.relay.status.source_connected(source::facts(&server, &host));
        let (contiguity, position) = match &resume.from {
            DumpFrom::Gtid(_) => (Contiguity::Gaps, FilePosition { file: "".into(), offset: history::FIRST_EVENT }),
            DumpFrom::File(position) if server.flavour() == Flavour::Mariadb => {
                (Contiguity::WholeGroups, position.clone())
            }
            DumpFrom::File(position) => (Contiguity::Exact, position.clone()),
        };
        let filter = TableFilter::new(config.outboxes.iter().map(|o| (o.database.clone(), o.table.clone())));
        let dump = connect::dump(conn, &config.source, &resume.from);
        let events = connect::within("asking for the binlog stream", dump).await??;
        failpoint::hit("dump_sent")?;
        let mut interpreter = Interpreter::new(filter, contiguity, position);
        if let DumpFrom::Gtid(executed) = &resume.from {
            interpreter.stand_behind(executed);
        }
        Ok((server, Source { events, interpreter, rewind: resume.rewind, from: resume.from, columns }))
    }

    async fn deliverer(
        &self,
        incarnation: Incarnation,
        start: StartingPoint,
        memory: &mut Memory,
    ) -> Result<Deliverer> {
        let config = &self.relay.config;
        let shared = Shared {
            names: self.catalog.names(),
            metrics: Arc::clone(&self.relay.metrics),
            status: Arc::clone(&self.relay.status),
        };
        let how = (config.kafka.delivery, config.batch.clone());
        let deliverer = Deliverer::begin(incarnation, start, self.store, how, shared, memory).await?;
        memory.owned = true;
        Ok(deliverer)
    }

    /// A checkpoint that was copied from another cluster covers records that this one does not have.
    pub(super) fn ensure_cluster(checkpoint: &Checkpoint, cluster: &str) -> Result<()> {
        if checkpoint.cluster_id == cluster {
            return Ok(());
        }
        Err(Error::new(
            Code::CheckpointUnreadable,
            format!("the checkpoint was written to Kafka cluster {}, this is {cluster}", checkpoint.cluster_id),
        ))
    }

    fn ensure_usable(&self, checkpoint: &Checkpoint) -> Result<()> {
        Self::ensure_cluster(checkpoint, self.store.cluster_id())?;
        if checkpoint.relay != self.relay.config.name {
            return Err(Error::new(
                Code::CheckpointUnreadable,
                format!("the checkpoint belongs to relay \"{}\"", checkpoint.relay),
            ));
        }
        let config = self.relay.config.fingerprint();
        if checkpoint.config != config {
            tracing::info!("the mapping has changed since the last checkpoint; it applies to rows from now on");
        }
        Ok(())
    }

    /// No checkpoint: an explicit first start, unless the output topics say that there was one before.
    async fn first_checkpoint(&self, server: &Server, memory: &Memory) -> Result<Checkpoint> {
        let config = &self.relay.config;
        if !self.relay.orders.first_start {
            published::ensure_none(config, server, Arc::clone(&self.relay.metrics)).await?;
        }
        let (position, executed) = history::first_start(&config.source.start, server)?;
        tracing::info!(
            start = ?config.source.start, %position, executed = executed.as_ref().map(tracing::field::display),
            "first start of this relay: no checkpoint, beginning at source.start"
        );
        Ok(Checkpoint {
            relay: config.name.clone(),
            owner: self.relay.owner_of(memory),
            taken_over_from: None,
            replaced: Vec::new(),
            sequence: 1,
            previous: 0,
            cluster_id: self.store.cluster_id().to_owned(),
            source: source::identity(server),
            position,
            executed,
            terminator: None,
            xa_pending: Vec::new(),
            committed_at_us: 0,
            counters: Counters { groups: 0, records: 0 },
            config: config.fingerprint(),
        })
    }

    fn report(&self, deliverer: &Deliverer, server: &Server, resumed: bool) {
        let checkpoint = deliverer.last().checkpoint();
        let reason = if resumed { "checkpoint" } else { "first start" };
        self.relay.status.resumed(reason);
        tracing::info!(
            reason, position = %checkpoint.position, mode = server.mode.as_str(), server = server.uuid,
            version = server.version, sequence = checkpoint.sequence, "streaming begins"
        );
    }

    fn sink_facts(&self) -> SinkFacts {
        let config = &self.relay.config;
        SinkFacts {
            brokers: config.kafka.brokers.clone(),
            cluster_id: Some(self.store.cluster_id().to_owned()),
            transactional_ids: transactional_ids(config),
            delivery: config.kafka.delivery,
        }
    }
}
