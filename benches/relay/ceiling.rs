//! What the parts of the relay can do alone: the reader without a sink, the producer with records from memory.

use std::sync::Arc;
use std::time::{Duration, Instant};

use outboxd::batch::{Batch, Batcher};
use outboxd::binlog::connect;
use outboxd::binlog::history::DumpFrom;
use outboxd::binlog::interpret::{Contiguity, Interpreter, TableFilter};
use outboxd::checkpoint::Place;
use outboxd::config::{self, Config, OutboxConfig, Sources};
use outboxd::delivery::incarnation::Incarnation;
use outboxd::outbox::transaction::{Ignored, Observer};
use outboxd::outbox::{Before, Limits, Step, Tables, Transactions};
use outboxd::position::FilePosition;
use outboxd::record::{MapError, Mapper, Topic, TopicId};
use outboxd::telemetry::Metrics;
use outboxd::telemetry::metrics::BuildInfo;

use crate::figures::Figures;
use crate::process::cpu_seconds_of;
use crate::relay::{Relay, Variant};
use crate::stand::{PARTITIONS, Segment, Stand};
use crate::{Result, verify};

/// What is compared with the relay: one header, exactly once.
const VARIANT: Variant = Variant { exactly_once: true, source_header: false };

/// Kafka's default `max.message.bytes`.
const MAX_RECORD: usize = 1_048_588;

/// For the producer to learn of the topic's leaders.
const SETTLE: Duration = Duration::from_millis(300);

/// One ceiling in one round; CPU in seconds per million rows.
#[derive(Clone, Debug)]
pub(crate) struct Ceiling {
    pub(crate) rows_per_second: f64,
    pub(crate) cpu: f64,
    pub(crate) broker_cpu: f64,
    pub(crate) mysqld_cpu: f64,
    /// EndTxn alone, milliseconds.
    pub(crate) commit_p50_ms: Option<f64>,
}

/// The reader and the producer over the same segment.
pub(crate) struct Ceilings<'a> {
    stand: &'a Stand,
    segment: &'a Segment,
    batches: Vec<Batch>,
}

impl<'a> Ceilings<'a> {
    /// Reads the segment into memory.
    pub(crate) fn prepare(stand: &'a Stand, segment: &'a Segment) -> Result<Self> {
        let mut ceilings = Self { stand, segment, batches: Vec::new() };
        let mut batches = Vec::new();
        ceilings.read("memory", |batch| batches.push(batch))?;
        ceilings.batches = batches;
        Ok(ceilings)
    }

    /// Ceiling (a): every batch is dropped as soon as it is mapped.
    pub(crate) fn reader(&self, round: u32) -> Result<Ceiling> {
        self.read(&format!("reader-{round}"), drop)
    }

    fn read(&self, name: &str, mut sink: impl FnMut(Batch)) -> Result<Ceiling> {
        let relay = self.relay(name)?;
        let config = load(&relay)?;
        let ceiling = self.stand.runtime.block_on(async {
            let mut pipeline = Pipeline::connect(&config, &relay.topic, self.segment).await?;
            let meter = Meter::start(self.stand)?;
            pipeline.run(self.segment.rows, &mut sink).await?;
            meter.stop(self.segment.rows)
        });
        self.stand.delete_topic(&relay.topic)?;
        ceiling
    }

    /// Ceiling (b): the same records from memory, in Kafka transactions of the relay's limits.
    pub(crate) fn producer(&self, round: u32) -> Result<Ceiling> {
        let relay = self.relay(&format!("producer-{round}"))?;
        let config = load(&relay)?;
        let mut ceiling = self.stand.runtime.block_on(self.produce(&config, &relay.topic))?;
        let verdict = verify::read_back(&self.stand.kafka.bootstrap(), &relay.topic, self.segment.rows)?;
        verdict.ensure_right("producer from memory")?;
        self.stand.delete_topic(&relay.topic)?;
        ceiling.mysqld_cpu = 0.0;
        Ok(ceiling)
    }

    async fn produce(&self, config: &Config, topic: &str) -> Result<Ceiling> {
        let metrics = Arc::new(Metrics::new(&config.name, &BuildInfo::current(), []));
        let (mut incarnation, _fence) = Incarnation::begin(config, metrics).await?;
        incarnation.add_topics(&[topic.into()])?;
        let producer = incarnation.producer(0);
        tokio::time::sleep(SETTLE).await;
        let meter = Meter::start(self.stand)?;
        let mut commits = Figures::default();
        let mut batches = self.batches.iter().peekable();
        while batches.peek().is_some() {
            producer.open()?;
            producer.release()?;
            let (mut records, mut bytes) = (0, 0);
            while records < config.batch.max_records
                && bytes < config.batch.max_bytes
                && let Some(batch) = batches.next()
            {
                batch.records.iter().try_for_each(|record| producer.enqueue(0, &record))?;
                records += batch.records.len();
                bytes += batch.records.weight();
            }
            producer.send().await?;
            let (seen, error) = producer.commit().await?;
            if let Some(error) = error {
                return Err(error.to_string().into());
            }
            commits.push(seen.elapsed.as_secs_f64() * 1e3);
        }
        let ceiling = meter.stop(self.segment.rows)?;
        Ok(Ceiling { commit_p50_ms: commits.median(), ..ceiling })
    }

    fn relay(&self, name: &str) -> Result<Relay> {
        let start = format!("gtid:{}", self.segment.start);
        Relay::prepare(self.stand, format!("ceiling-{name}"), self.segment.schema, &start, VARIANT)
    }
}

fn load(relay: &Relay) -> Result<Config> {
    let sources = Sources { file: Some(relay.config().to_owned()), env: Vec::new(), set: Vec::new() };
    Ok(config::load(&sources).map_err(|mistakes| format!("{mistakes:?}"))?.config)
}

/// Time and CPU of this process and of the servers.
struct Meter {
    started: Instant,
    pids: [u32; 3],
    before: [f64; 3],
}

impl Meter {
    fn start(stand: &Stand) -> Result<Self> {
        let pids = [std::process::id(), stand.kafka.pid(0)?, stand.mysql.pid()?];
        Ok(Self { started: Instant::now(), pids, before: cpu_seconds_of(pids)? })
    }

    fn stop(self, rows: u64) -> Result<Ceiling> {
        let seconds = self.started.elapsed().as_secs_f64();
        let (after, rows) = (cpu_seconds_of(self.pids)?, rows as f64);
        let [own, broker, mysqld] = [0, 1, 2].map(|i| (after[i] - self.before[i]) / rows * 1e6);
        Ok(Ceiling {
            rows_per_second: rows / seconds,
            cpu: own,
            broker_cpu: broker,
            mysqld_cpu: mysqld,
            commit_p50_ms: None,
        })
    }
}

/// The relay's stages up to the channel, in the order in which its reader runs them.
struct Pipeline {
    events: outboxd::binlog::stream::EventStream,
    interpreter: Interpreter,
    transactions: Transactions,
    tables: Tables,
    mapper: Mapper,
    batcher: Batcher,
}

/// Updates and deletes do not occur.
struct Nobody;

impl Observer for Nobody {
    fn ignored(&mut self, _: usize, _: Ignored) {}
}

impl Pipeline {
    async fn connect(config: &Config, topic: &str, segment: &Segment) -> Result<Self> {
        let conn = connect::connect(&config.source, &config.source.hosts[0]).await?;
        let from = DumpFrom::Gtid(segment.start.parse().map_err(|e| format!("{}: {e}", segment.start))?);
        let events = connect::dump(conn, &config.source, &from).await?;
        let outboxes: Arc<[OutboxConfig]> = config.outboxes.clone().into();
        let filter = TableFilter::new(outboxes.iter().map(|o| (o.database.clone(), o.table.clone())));
        let mut mapper = Mapper::new(Arc::clone(&outboxes))?;
        let partitions = u32::try_from(PARTITIONS)?.try_into()?;
        let limits = Limits { held: usize::MAX, prepared: usize::MAX, large: u64::MAX, split: false };
        mapper.add_topic(topic, Topic { id: TopicId(0), partitions, max_record_bytes: MAX_RECORD });
        Ok(Self {
            events,
            interpreter: Interpreter::new(filter, Contiguity::Gaps, FilePosition { file: "".into(), offset: 4 }),
            transactions: Transactions::new(Arc::clone(&outboxes), limits, Before::default()),
            tables: Tables::new(outboxes, outboxd::binlog::columns::Present::default()),
            mapper,
            batcher: Batcher::new(Place::default()),
        })
    }

    async fn run(&mut self, rows: u64, sink: &mut impl FnMut(Batch)) -> Result<()> {
        let mut read = 0;
        while read < rows {
            let event = self.events.next().await?;
            self.take(event)?;
            while !self.batcher.is_full()
                && let Some(event) = self.events.next_ready()
            {
                self.take(event?)?;
            }
            if let Some(batch) = self.batcher.has_records().then(|| self.batcher.close()).flatten() {
                read += batch.records.len() as u64;
                sink(batch);
            }
        }
        Ok(())
    }

    fn take(&mut self, event: mysql_async::binlog::events::Event) -> Result<()> {
        let event = self.interpreter.interpret(event)?;
        let Some(Step::Group(transaction)) = self.transactions.apply(event, &mut Nobody)? else { return Ok(()) };
        let first = self.batcher.records().len();
        for rows in &transaction.rows {
            let (mapper, records) = (&mut self.mapper, self.batcher.records());
            self.tables
                .for_each_row(rows, |row| mapper.map(&row, transaction.committed_at_us, records))
                .map_err(|error: MapError| format!("{error:?}"))?;
        }
        self.mapper.finish_transaction(&transaction.group, first, self.batcher.records());
        self.batcher.add(&transaction).expect("GTIDs of one product");
        Ok(())
    }
}
