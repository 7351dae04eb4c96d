//! The source task: events in, batches out. Everything behind the socket is pure; the only waits are for the next event,
//! for room in the channel, and for a topic that is seen for the first time.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use mysql_async::binlog::EventType;
use mysql_async::binlog::events::Event;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::source::Source;
use super::{Ended, PREPARED_LIMIT, PREPARED_MAX, Relay, SAME_DAMAGE};
use crate::batch::{Batch, Batcher};
use crate::binlog::event::{BinlogEvent, OutboxRows};
use crate::binlog::history::{Rewind, Rewound};
use crate::binlog::interpret::Interpreter;
use crate::binlog::stream::EventStream;
use crate::channel::Sender;
use crate::checkpoint::Checkpoint;
use crate::config::{OutboxConfig, Oversize};
use crate::delivery::topics::Catalog;
use crate::error::{Code, Error, Result};
use crate::failpoint;
use crate::outbox::transaction::{Ignored, Observer};
use crate::outbox::{Before, Large, Limits, Part, SourceTransaction, Step, Tables, Transactions};
use crate::position::{GtidState, MixedGtids};
use crate::record::{MapError, Mapper};
use crate::telemetry::metrics::TableMetrics;
use crate::telemetry::status::time_of;
use crate::telemetry::{Metrics, Status};

/// While only other tables change, the checkpoint moves at least this often, ahead of purging.
pub(super) const PROGRESS_INTERVAL: Duration = Duration::from_secs(10);

/// How often the loop shows that it is alive.
const TICK: Duration = Duration::from_secs(1);

/// Reads, interprets, maps, batches.
pub(super) struct Reader {
    events: EventStream,
    interpreter: Interpreter,
    rewind: Option<Rewind>,
    damaged_starts: Arc<AtomicU32>,
    /// What the checkpoint has executed: there the re-read ends.
    executed: Option<GtidState>,
    /// The checkpoint's place is one in a file, not a GTID.
    by_file: bool,
    transactions: Transactions,
    tables: Tables,
    mapper: Mapper,
    batcher: Batcher,
    catalog: Catalog,
    counted: Counted,
    metrics: Arc<Metrics>,
    status: Arc<Status>,
    progress_due: Instant,
    drain: CancellationToken,
}

/// Whether events are to be read on: a break says how the reading ends.
type Flow = ControlFlow<Ended>;

/// Counters of each outbox table.
struct Counted(Vec<TableMetrics>);

impl Observer for Counted {
    fn ignored(&mut self, outbox: usize, change: Ignored) {
        if let Some(table) = self.0.get(outbox) {
            match change {
                Ignored::Update => table.ignored_update.inc(),
                Ignored::Delete => table.ignored_delete.inc(),
                Ignored::Truncate => table.ignored_truncate.inc(),
            }
        }
    }
}

impl Reader {
    pub(super) fn new(
        relay: &Relay,
        source: Source,
        catalog: Catalog,
        (from, large): (&Checkpoint, Option<Arc<Large>>),
        drain: CancellationToken,
    ) -> Result<Self> {
        let outboxes: Arc<[OutboxConfig]> = relay.config.outboxes.clone().into();
        let batch = &relay.config.batch;
        let limits = Limits {
            held: batch.max_bytes,
            prepared: batch.max_bytes.saturating_mul(PREPARED_LIMIT).min(PREPARED_MAX),
            large: batch.max_stream_bytes,
            split: batch.oversize == Oversize::Split,
        };
        let large = large.filter(|large| large.can_follow(from.counters.groups, source.same_log));
        let before =
            Before { prepared: from.xa_pending.clone(), begun: from.begun.clone(), same_log: source.same_log, large };
        let table = |outbox: &OutboxConfig| relay.metrics.table(&format!("{}.{}", outbox.database, outbox.table));
        relay.metrics.source_xa_undecided.set(from.xa_pending.len());
        Ok(Self {
            events: source.events,
            interpreter: source.interpreter,
            rewind: source.rewind,
            damaged_starts: Arc::clone(&relay.damaged_starts),
            executed: from.executed.clone(),
            by_file: from.executed.is_none(),
            transactions: Transactions::new(Arc::clone(&outboxes), limits, before),
            tables: Tables::new(Arc::clone(&outboxes), source.columns),
            counted: Counted(outboxes.iter().map(table).collect()),
            mapper: Mapper::new(outboxes)?,
            batcher: Self::batcher(from, source.same_log),
            catalog,
            metrics: Arc::clone(&relay.metrics),
            status: Arc::clone(&relay.status),
            progress_due: Instant::now() + PROGRESS_INTERVAL,
            drain,
        })
    }

    /// An instance that was replaced, and that its supervisor starts again, looks whether the checkpoint topic moves. What
    /// the checkpoint says of another server's log is not said again in the name of this one.
    fn batcher(from: &Checkpoint, same_log: bool) -> Batcher {
        let mut batcher = Batcher::new(from.place()).within(from.begun.clone());
        if !from.replaced.is_empty() && same_log {
            batcher.rest_at(from);
        }
        batcher
    }

    /// Reads until drained or an error ends the stream. What was read whole before an error is handed on first.
    pub(super) async fn run(mut self, mut sender: Sender<Batch>) -> Result<Ended> {
        let result = self.read(&mut sender).await.map_err(|error| self.explain(error));
        self.status.source_disconnected();
        self.hand_on(&mut sender).await?;
        result
    }

    fn explain(&self, error: Error) -> Error {
        let Some(rewind) = &self.rewind else { return error };
        let damaged = error.code() == Code::EventCorrupt;
        let before = if damaged { self.damaged_starts.fetch_add(1, Ordering::Relaxed) } else { 0 };
        rewind.explain(error, before >= SAME_DAMAGE)
    }

    async fn read(&mut self, sender: &mut Sender<Batch>) -> Result<Ended> {
        let drain = self.drain.clone();
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        if self.rewind.is_none() {
            self.status.streaming();
        }
        loop {
            let between_groups = !self.interpreter.in_group();
            tokio::select! {
                biased;
                // 1. Drain between source transactions, so that the one in hand is finished.
                () = drain.cancelled(), if between_groups => {
                    return failpoint::hit("shutdown_begin").map(|()| Ended::Drained);
                }
                // 2. Signs of life, and progress of the checkpoint while no outbox row comes.
                _ = tick.tick() => self.status.tick(),
                // 3. The next event.
                event = self.events.next() => {
                    self.status.contact();
                    if let Flow::Break(ended) = self.take(event?).await? {
                        return Ok(ended);
                    }
                }
            }
            while !self.batcher.is_full()
                && let Some(event) = self.events.next_ready()
            {
                if let Flow::Break(ended) = self.take(event?).await? {
                    return Ok(ended);
                }
            }
            if self.batcher.has_records() || Instant::now() >= self.progress_due {
                self.status.reading(self.interpreter.position().clone());
                self.batcher.beat();
                if !self.hand_on(sender).await? {
                    return Ok(Ended::Drained);
                }
            }
        }
    }

    /// Breaks if nothing behind this event may be read.
    async fn take(&mut self, raw: Event) -> Result<Flow> {
        let header = raw.header();
        self.metrics.source_events.inc(header.event_type_raw());
        self.metrics.source_bytes.add(u64::from(header.event_size()));
        if header.event_type_raw() == EventType::FORMAT_DESCRIPTION_EVENT as u8 {
            failpoint::hit("fde_seen")?;
        }
        let event = self.interpreter.interpret(raw)?;
        if let Some(rewind) = &mut self.rewind {
            failpoint::hit("rewind_event_seen")?;
            let Rewound { verified, held } = rewind.check(&event)?;
            if verified {
                tracing::info!(position = %self.interpreter.position(), "the source's history is the one of the checkpoint");
                self.rewind = None;
                self.damaged_starts.store(0, Ordering::Relaxed);
                if let Some(executed) = self.executed.take() {
                    self.interpreter.stand_behind(&executed);
                }
                self.status.streaming();
            }
            if !held {
                return Ok(Flow::Continue(()));
            }
        }
        match &event {
            BinlogEvent::Rotated => {
                failpoint::hit("rotate_seen")?;
                self.progress_due = Instant::now();
            }
            BinlogEvent::GroupStart(_) => failpoint::hit("gtid_seen")?,
            BinlogEvent::Terminator(_) => failpoint::hit("terminator_seen")?,
            _ => {}
        }
        match self.transactions.apply(event, &mut self.counted)? {
            Some(Step::Group(transaction)) => self.finish(transaction).await,
            Some(Step::Part(part)) => self.continue_large(part).await,
            Some(Step::File(head)) => {
                // By GTID a checkpoint needs no place in the log.
                if self.by_file {
                    self.batcher.begin_file(&head);
                    self.progress_due = Instant::now();
                }
                Ok(Flow::Continue(()))
            }
            Some(Step::Again(mut large)) => {
                large.behind = self.batcher.place().groups;
                Ok(Flow::Break(Ended::Before(Arc::new(large))))
            }
            None => Ok(Flow::Continue(())),
        }
    }

    /// Takes a decided source transaction into the batch.
    async fn finish(&mut self, transaction: SourceTransaction) -> Result<Flow> {
        let first = self.batcher.records().len();
        if self.map(&transaction.rows, 0, transaction.committed_at_us).await?.is_break() {
            return Ok(Flow::Break(Ended::Drained));
        }
        self.mapper.finish_transaction(&transaction.group, first, self.batcher.records());
        match transaction.fingerprint.is_compressed() {
            true => self.metrics.source_transactions_compressed.inc(),
            false => self.metrics.source_transactions_plain.inc(),
        }
        if transaction.xa.is_some() {
            self.metrics.source_xa_undecided.set(self.transactions.undecided());
        }
        self.status.event(time_of(transaction.committed_at_us));
        let mixed = |e: MixedGtids| Error::new(Code::Internal, "a batch").caused_by(e);
        self.batcher.add(&transaction).map_err(mixed)?;
        Ok(Flow::Continue(()))
    }

    /// Takes committed rows of a large group into the batch.
    async fn continue_large(&mut self, part: Part) -> Result<Flow> {
        let first = self.batcher.records().len();
        if self.map(&part.rows, part.published, part.committed_at_us).await?.is_break() {
            return Ok(Flow::Break(Ended::Drained));
        }
        let place = (part.before + part.published, part.large.records);
        self.mapper.finish_part(&part.large.group, first, place, self.batcher.records());
        self.status.event(time_of(part.committed_at_us));
        self.batcher.add_part(&part);
        Ok(Flow::Continue(()))
    }

    /// Maps committed rows but the first ones, so many of which are published; looks up topics on the way. A drain while a
    /// topic is waited for drops them, and breaks.
    async fn map(&mut self, rows: &[OutboxRows], published: u64, committed_at_us: i64) -> Result<ControlFlow<()>> {
        let first = self.batcher.records().len();
        loop {
            let missing = match self.map_rows(rows, published, committed_at_us) {
                Ok(()) => return Ok(ControlFlow::Continue(())),
                Err(error) => {
                    self.batcher.records().truncate(first);
                    match error {
                        MapError::Row(error) => return Err(error),
                        MapError::UnknownTopic(name) => name,
                    }
                }
            };
            // A missing topic is waited for without end. The next process reads the transaction again.
            let topic = tokio::select! {
                biased;
                () = self.drain.cancelled() => return Ok(ControlFlow::Break(())),
                topic = self.catalog.resolve(&missing) => topic?,
            };
            self.events.excuse_silence();
            self.mapper.add_topic(&missing, topic);
        }
    }

    fn map_rows(&mut self, rows: &[OutboxRows], mut published: u64, committed_at_us: i64) -> Result<(), MapError> {
        for rows in rows {
            let (mapper, records) = (&mut self.mapper, self.batcher.records());
            let before = records.len();
            self.tables.for_each_row(rows, |row| match published {
                0 => mapper.map(&row, committed_at_us, records),
                _ => {
                    published -= 1;
                    Ok(())
                }
            })?;
            if let Some(table) = self.counted.0.get(rows.outbox.0) {
                table.events.add((records.len() - before) as u64);
            }
        }
        Ok(())
    }

    /// Hands the open batch to the delivery; `false` if the delivery has ended.
    async fn hand_on(&mut self, sender: &mut Sender<Batch>) -> Result<bool> {
        self.progress_due = Instant::now() + PROGRESS_INTERVAL;
        let Some(batch) = self.batcher.close() else { return Ok(true) };
        failpoint::hit("batch_closed")?;
        // A large source transaction keeps the channel full for long: librdkafka's copies count as well.
        let copies = if batch.open { 2 } else { 1 };
        let weight = batch.records.weight() * copies + size_of::<Batch>();
        // No tick from here: whether the delivery moves is for the delivery to show.
        let sent = sender.send(batch, weight).await.is_ok();
        self.events.excuse_silence();
        Ok(sent)
    }
}
