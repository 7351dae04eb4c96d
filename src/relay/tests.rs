//! A recorded stream with one byte changed, through every stage between the socket and the batch: the records are the
//! same, or the run ends with a named error. Never another record.

use std::io::Cursor;
use std::num::NonZeroU32;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use mysql_async::binlog::events::{Event, TransactionPayloadEvent};
use mysql_async::binlog::{BinlogVersion, EventType};
use mysql_common::binlog::EventStreamReader;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::binlog::columns::Present;
use crate::binlog::connect;
use crate::binlog::interpret::{Contiguity, Interpreter, TableFilter};
use crate::config::{Config, testing};
use crate::error::{Code, Error, Result};
use crate::outbox::transaction::{Ignored, Observer};
use crate::outbox::{Before, Limits, Step, Tables, Transactions};
use crate::position::FilePosition;
use crate::record::mapper::MapError;
use crate::record::{Mapper, Records, Topic, TopicId};

/// `tests/fixtures/binlog/make.py` recorded it; `stream.sql` says what was executed.
const STREAM: &[u8] = include_bytes!("../../tests/fixtures/binlog/stream.bin");
const MAGIC: usize = 4;

fn config() -> Config {
    testing::config(&[
        "outbox.first.table=fx.outbox",
        "outbox.first.topic=e.{aggregate_type}",
        "outbox.second.table=fx.second",
        "outbox.second.topic=e.{aggregate_type}",
    ])
}

/// The events of a file as the server frames them, which a packet's own checks protect.
fn events(file: &[u8]) -> Vec<Vec<u8>> {
    let (mut rest, mut events) = (&file[MAGIC..], Vec::new());
    while !rest.is_empty() {
        let size = u32::from_le_bytes(rest[9..13].try_into().unwrap()) as usize;
        events.push(rest[..size].to_vec());
        rest = &rest[size..];
    }
    events
}

struct Nobody;

impl Observer for Nobody {
    fn ignored(&mut self, _: usize, _: Ignored) {}
}

/// The reader's stages without its socket.
struct Stages {
    reader: EventStreamReader,
    interpreter: Interpreter,
    transactions: Transactions,
    tables: Tables,
    mapper: Mapper,
    /// What came out, a line for each group and each record.
    seen: Vec<String>,
}

impl Stages {
    fn new(config: &Config, contiguity: Contiguity) -> Self {
        let outboxes: Arc<[_]> = config.outboxes.clone().into();
        let mut mapper = Mapper::new(Arc::clone(&outboxes)).unwrap();
        for (id, name) in [(0, "e.Order"), (1, "e.Payment")] {
            let partitions = NonZeroU32::new(3).unwrap();
            mapper.add_topic(name, Topic { id: TopicId(id), partitions, max_record_bytes: 1 << 20 });
        }
        let filter = TableFilter::new(outboxes.iter().map(|o| (o.database.clone(), o.table.clone())));
        let start = FilePosition { file: "mysql-bin.000001".into(), offset: MAGIC as u64 };
        let limits = Limits { held: 1 << 30, prepared: 1 << 30, large: 1 << 30, split: false };
        Self {
            reader: EventStreamReader::new(BinlogVersion::Version4),
            interpreter: Interpreter::new(filter, contiguity, start),
            transactions: Transactions::new(Arc::clone(&outboxes), limits, Before::default()),
            tables: Tables::new(outboxes, Present::default()),
            mapper,
            seen: Vec::new(),
        }
    }

    /// One event as the driver reads it, with the inner ones of a compressed transaction.
    fn packet(&mut self, bytes: &[u8]) -> Result<()> {
        let lost =
            |e: std::io::Error| connect::classify(&mysql_async::Error::Io(mysql_async::IoError::Io(e)), "replay");
        let ended = || Error::new(Code::SourceLost, "the stream ended");
        let event = self.reader.read(bytes).map_err(lost)?.ok_or_else(ended)?;
        let inner = (event.header().event_type_raw() == EventType::TRANSACTION_PAYLOAD_EVENT as u8).then(|| {
            event.read_event::<TransactionPayloadEvent<'_>>().map(|e| e.danger_decompress()).unwrap_or_default()
        });
        self.take(event)?;
        let mut inner = Cursor::new(inner.unwrap_or_default());
        while let Some(event) = self.reader.read_decompressed(&mut inner).map_err(lost)? {
            self.take(event)?;
        }
        Ok(())
    }

    fn take(&mut self, event: Event) -> Result<()> {
        let event = self.interpreter.interpret(event)?;
        let Some(Step::Group(transaction)) = self.transactions.apply(event, &mut Nobody)? else { return Ok(()) };
        let mut records = Records::default();
        for rows in &transaction.rows {
            let mapper = &mut self.mapper;
            let mapped =
                self.tables.for_each_row(rows, |row| mapper.map(&row, transaction.committed_at_us, &mut records));
            mapped.map_err(|error| match error {
                MapError::Row(error) => error,
                MapError::UnknownTopic(name) => panic!("a record for another topic, {name}"),
            })?;
        }
        self.mapper.finish_transaction(&transaction.group, 0, &mut records);
        self.seen.push(format!("{} {:?}", transaction.group, transaction.fingerprint));
        for record in records.iter() {
            let headers: Vec<_> = record.headers().collect();
            let (key, value) = (record.key, record.value);
            self.seen.push(format!("{:?}", (record.topic, record.partition, record.timestamp_ms, key, value, headers)));
        }
        Ok(())
    }
}

/// What came out until the end, or until the error.
fn replay(config: &Config, contiguity: Contiguity, events: &[Vec<u8>]) -> (Vec<String>, Option<Error>) {
    let mut stages = Stages::new(config, contiguity);
    for event in events {
        // A library may give up on its input: the reader is a task, and its panic ends the run.
        let panicked = |_| Err(Error::new(Code::TaskPanicked, "the reader"));
        if let Err(error) = catch_unwind(AssertUnwindSafe(|| stages.packet(event))).unwrap_or_else(panicked) {
            return (stages.seen, Some(error));
        }
    }
    (stages.seen, None)
}

/// Changes a byte, drawn evenly over the stream: which event, and where in it.
fn flip(events: &mut [Vec<u8>], rng: &mut StdRng) -> (usize, usize) {
    let mut place = rng.random_range(MAGIC..STREAM.len()) - MAGIC;
    for (index, event) in events.iter_mut().enumerate() {
        if let Some(byte) = event.get_mut(place) {
            *byte ^= rng.random_range(1..=255_u8);
            return (index, place);
        }
        place -= event.len();
    }
    unreachable!("a place behind the end")
}

#[test]
fn a_changed_byte_never_becomes_another_record() {
    let config = config();
    let original = events(STREAM);
    let flips: usize = std::env::var("OUTBOXD_FLIPS").map_or(1_000, |text| text.parse().unwrap());
    let seed: u64 = std::env::var("OUTBOXD_SEED").map_or(4_457, |text| text.parse().unwrap());
    println!("seed {seed}, {flips} flips in a stream of {} bytes", STREAM.len());
    for contiguity in [Contiguity::Gaps, Contiguity::Exact] {
        let (expected, error) = replay(&config, contiguity, &original);
        assert!(error.is_none(), "{error:?}");
        // a1 a2, b1 b3, d1 d2, e1, g1, f1: stream.sql says what becomes of the others.
        assert_eq!(expected.iter().filter(|line| line.starts_with("(TopicId")).count(), 9, "{expected:#?}");
        let mut rng = StdRng::seed_from_u64(seed);
        let mut stopped = 0;
        for _ in 0..flips {
            let mut changed = original.clone();
            let place = flip(&mut changed, &mut rng);
            let (seen, error) = replay(&config, contiguity, &changed);
            match error {
                None => assert_eq!(seen, expected, "byte {place:?} changed unnoticed"),
                Some(error) => {
                    assert!(expected.starts_with(&seen), "byte {place:?}: {error}");
                    stopped += 1;
                }
            }
        }
        println!("{contiguity:?}: {stopped} of {flips} stopped with a named error, the rest changed nothing");
    }
}

/// The type decides which stage looks at an event at all, so every value of it is tried; likewise what says whether there
/// are checksums.
#[test]
fn no_change_of_a_type_or_of_the_checksum_setting_hides_an_event() {
    const TYPE: usize = 4;
    let config = config();
    let original = events(STREAM);
    let (expected, _) = replay(&config, Contiguity::Gaps, &original);
    let algorithm = original[0].len() - 5;
    let types = (0..original.len()).map(|event| (event, TYPE));
    for (event, place) in types.chain([(0, algorithm)]) {
        for change in 1..=255_u8 {
            let mut changed = original.clone();
            changed[event][place] ^= change;
            let (seen, error) = replay(&config, Contiguity::Gaps, &changed);
            assert!(expected.starts_with(&seen), "event {event}, byte {place} ^ {change}: {error:?}");
            assert!(error.is_some() || seen == expected, "event {event}, byte {place} ^ {change} unnoticed");
        }
    }
}
