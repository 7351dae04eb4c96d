//! An observer that shares no code with outboxd: Kafka's own console consumer, one process per topic (its
//! output does not name the topic).
//!
//! Keys, values and header values are exact for any bytes: the stock `BytesDeserializer` escapes all but
//! printable ASCII, so separators cannot occur in data, and null is printed as a random word. Header *names* are
//! printed as they are: they must hold no colon, tab, comma followed by a backslash, or line break.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::Kafka;
use crate::process::{self, Process};

mod line;

use line::NullMark;

const CONSUMER: &str = "org.apache.kafka.tools.consumer.ConsoleConsumer";
const BYTES: &str = "org.apache.kafka.common.serialization.BytesDeserializer";
/// How long a consumer may make no progress before the rest of a topic counts as invisible (an open
/// transaction). Generous: it needs seconds to start on a busy machine.
const STUCK: Duration = Duration::from_secs(20);
/// How long nothing must come before the consumer's position is asked for.
const QUIET: Duration = Duration::from_millis(300);
/// The same before the first record.
const FIRST: Duration = Duration::from_secs(5);

/// A record as a consumer sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset in the partition.
    pub offset: i64,
    /// Milliseconds since 1970; none if the record has none.
    pub timestamp: Option<i64>,
    /// The headers in their order; names may repeat.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    /// The key.
    pub key: Option<Vec<u8>>,
    /// The value; none is a tombstone.
    pub value: Option<Vec<u8>>,
}

impl Observed {
    /// The value of the last header of that name, if it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().rfind(|(key, _)| key == name)?;
        std::str::from_utf8(value.as_deref()?).ok()
    }
}

/// What becomes of records of open and aborted transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// They are not seen.
    ReadCommitted,
    /// They are seen.
    ReadUncommitted,
}

/// Reads topics from their beginning.
#[derive(Debug)]
pub struct Observer {
    records: mpsc::Receiver<Result<Observed>>,
    // Killed when dropped, which ends the threads that read from them.
    consumers: Vec<Process>,
    log: PathBuf,
}

impl Observer {
    /// Starts to read `topics`, which must exist.
    pub fn start(kafka: &Kafka, topics: &[&str], isolation: Isolation) -> Result<Self> {
        Self::in_group(kafka, topics, isolation, &line::random("observer"))
    }

    fn in_group(kafka: &Kafka, topics: &[&str], isolation: Isolation, group: &str) -> Result<Self> {
        let (sender, records) = mpsc::channel();
        let mut consumers = Vec::new();
        for topic in topics {
            let null = NullMark::random();
            let mut consumer = process::spawn(console_consumer(kafka, topic, isolation, group, &null)?)?;
            let output = consumer.child_mut().stdout.take();
            let output = output.context("the console consumer has no output")?;
            let (topic, sender) = ((*topic).to_owned(), sender.clone());
            std::thread::spawn(move || forward(&topic, &null, output, &sender));
            consumers.push(consumer);
        }
        Ok(Self { records, consumers, log: kafka.tools_log() })
    }

    /// The next records, until there are `count` of them or none has come for `idle`.
    pub fn read_until(&self, count: usize, idle: Duration) -> Result<Vec<Observed>> {
        let mut seen = Vec::new();
        while seen.len() < count {
            match self.next(idle)? {
                Some(record) => seen.push(record),
                None => break,
            }
        }
        Ok(seen)
    }

    /// The next record; none if none comes for `timeout`.
    pub fn next(&self, timeout: Duration) -> Result<Option<Observed>> {
        match self.records.recv_timeout(timeout) {
            Ok(record) => record.map(Some),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => {
                bail!("the console consumer has ended:\n{}", process::tail(&self.log))
            }
        }
    }

    /// Ends the consumers in good order; what they had still printed.
    fn finish(&mut self) -> Result<Vec<Observed>> {
        for consumer in &mut self.consumers {
            consumer.terminate(STUCK)?;
        }
        self.records.iter().collect()
    }

    /// All records that the topics hold now, sorted by topic, partition and offset. Topics are read at the same
    /// time. What an open transaction hides counts as absent after 20 s.
    pub fn read_all(kafka: &Kafka, topics: &[&str], isolation: Isolation) -> Result<Vec<Observed>> {
        let read: Vec<Result<Vec<Observed>>> = std::thread::scope(|scope| {
            let readers: Vec<_> =
                topics.iter().map(|topic| scope.spawn(|| read_topic(kafka, topic, isolation))).collect();
            let joined = readers.into_iter().map(|reader| reader.join());
            joined.map(|read| read.unwrap_or_else(|_| bail!("reading a topic panicked"))).collect()
        });
        let mut all = read.into_iter().collect::<Result<Vec<_>>>()?.concat();
        all.sort_by(|a, b| (&a.topic, a.partition, a.offset).cmp(&(&b.topic, b.partition, b.offset)));
        Ok(all)
    }
}

/// The last offsets may belong to end markers of transactions, which no consumer prints. So the end is known by
/// the position that the consumer commits: it does so when it asks for more, after printing what it has.
fn read_topic(kafka: &Kafka, topic: &str, isolation: Isolation) -> Result<Vec<Observed>> {
    let ends = kafka.end_offsets(topic)?;
    let mut seen = Vec::new();
    if ends.iter().all(|end| *end == 0) {
        return Ok(seen);
    }
    let group = line::random("observer");
    let mut observer = Observer::in_group(kafka, &[topic], isolation, &group)?;
    let mut progress = (Instant::now(), HashMap::new());
    while progress.0.elapsed() < STUCK {
        if let Some(record) = observer.next(QUIET)? {
            progress.0 = Instant::now();
            seen.push(record);
            continue;
        }
        // Asking costs a Java machine: not while the consumer's own is still starting.
        if seen.is_empty() && progress.0.elapsed() < FIRST {
            continue;
        }
        // The group does not exist until the consumer has joined it.
        let Ok(offsets) = kafka.group_offsets(&group, topic) else {
            continue;
        };
        let done =
            |(partition, end): (usize, &i64)| *end == 0 || offsets.get(&partition).is_some_and(|offset| offset >= end);
        if ends.iter().enumerate().all(done) {
            break;
        }
        if offsets != progress.1 {
            progress = (Instant::now(), offsets);
        }
    }
    seen.extend(observer.finish()?);
    let end = |record: &Observed| {
        let partition = usize::try_from(record.partition).ok();
        partition.and_then(|partition| ends.get(partition))
    };
    seen.retain(|record| end(record).is_some_and(|end| record.offset < *end));
    Ok(seen)
}

fn console_consumer(kafka: &Kafka, topic: &str, isolation: Isolation, group: &str, null: &NullMark) -> Result<Command> {
    let isolation = match isolation {
        Isolation::ReadCommitted => "read_committed",
        Isolation::ReadUncommitted => "read_uncommitted",
    };
    let bootstrap = kafka.bootstrap_internal();
    let mut tool = kafka
        .tool(CONSUMER, ["--bootstrap-server", bootstrap.as_str()])
        .args(["--topic", topic, "--from-beginning"])
        .args(["--isolation-level", isolation, "--group", group])
        .args(["--command-property", "enable.auto.commit=true"])
        .args(["--command-property", "auto.commit.interval.ms=100"]);
    let properties = [
        "print.timestamp=true".to_owned(),
        "print.partition=true".to_owned(),
        "print.offset=true".to_owned(),
        "print.headers=true".to_owned(),
        "print.key=true".to_owned(),
        "print.value=true".to_owned(),
        format!("headers.separator={}", line::HEADER_SEPARATOR),
        format!("null.literal={}", null.as_str()),
        format!("key.deserializer={BYTES}"),
        format!("value.deserializer={BYTES}"),
        format!("headers.deserializer={BYTES}"),
    ];
    for property in properties {
        tool = tool.args(["--formatter-property", &property]);
    }
    let mut command = tool.into_command();
    process::log_to(&mut command, &kafka.tools_log())?;
    command.stdout(Stdio::piped());
    Ok(command)
}

fn forward(topic: &str, null: &NullMark, output: ChildStdout, sender: &mpsc::Sender<Result<Observed>>) {
    for line in BufReader::with_capacity(1 << 20, output).split(b'\n') {
        let record =
            line.context("reading the console consumer's output").and_then(|line| line::parse(topic, &line, null));
        if sender.send(record).is_err() {
            return;
        }
    }
}
