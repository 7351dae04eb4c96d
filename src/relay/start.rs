//! Start-up steps in the order of the protocol: what the checkpoint says, where the source goes on.

use std::sync::Arc;

use super::Relay;
use super::source::{self, Reached, Source};
use crate::binlog::connect;
use crate::binlog::history::{self, DumpFrom, Processed};
use crate::binlog::interpret::{Contiguity, Interpreter, TableFilter};
use crate::binlog::server::Server;
use crate::checkpoint::store::Store;
use crate::checkpoint::{Checkpoint, CheckpointId, Counters};
use crate::config::StartPosition;
use crate::delivery::incarnation::Incarnation;
use crate::delivery::producer::transactional_ids;
use crate::delivery::topics::Catalog;
use crate::delivery::{Deliverer, Memory, Shared, StartingPoint, published};
use crate::error::{Code, Error, Result};
use crate::failpoint;
use crate::position::{FilePosition, Flavour};
use crate::telemetry::status::SinkFacts;

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
        deliverer.adopt(source::identity(&reached), self.relay.owner_of(memory), &config.fingerprint());
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
        let same_log = processed.server_uuid == server.uuid;
        Ok((server, Source { events, interpreter, rewind: resume.rewind, from: resume.from, same_log, columns }))
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
            begun: None,
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
        if let Some(begun) = &checkpoint.begun {
            tracing::info!("what is not published yet of {begun}, is read first");
        }
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
