//! A broker's log files, of which clients are shown only a part.

use std::collections::{BTreeMap, HashMap};
use std::fs;

use anyhow::{Context, Result, bail};

use super::Kafka;

const DUMP: &str = "org.apache.kafka.tools.DumpLogSegments";

/// A batch of records, or a marker that ends a transaction.
struct Batch {
    first: i64,
    last: i64,
    producer: i64,
    transactional: bool,
    marker: bool,
}

impl Kafka {
    /// For each partition of a topic every last stable offset that it has ever had, in order: wherever a `read_committed`
    /// consumer may have come to the end. The topic must not be compacted, nor have lost records.
    pub fn stable_offsets(&self, topic: &str) -> Result<BTreeMap<i32, Vec<i64>>> {
        let running = self.nodes.iter().position(|node| node.process.is_some()).context("no node runs")?;
        let data = self.dir.path().join(format!("node-{running}"));
        let mut files = Vec::new();
        for folder in fs::read_dir(&data).with_context(|| format!("listing {}", data.display()))? {
            let folder = folder?.path();
            if partition_of(&folder.to_string_lossy(), topic).is_some() {
                for file in fs::read_dir(&folder)? {
                    files.push(file?.path().to_string_lossy().into_owned());
                }
            }
        }
        files.retain(|file| file.ends_with(".log"));
        // A segment is named after its first offset.
        files.sort();
        if files.is_empty() {
            bail!("node {running} has no log of {topic}");
        }
        let text = self.tool(DUMP, ["--files", &files.join(",")]).run()?;
        stable_offsets(&text, topic)
    }
}

/// `…/TOPIC-PARTITION`
fn partition_of(folder: &str, topic: &str) -> Option<i32> {
    let (_, name) = folder.rsplit_once('/')?;
    name.strip_prefix(topic)?.strip_prefix('-')?.parse().ok()
}

/// From what the tool prints.
fn stable_offsets(text: &str, topic: &str) -> Result<BTreeMap<i32, Vec<i64>>> {
    let mut all: BTreeMap<i32, Vec<i64>> = BTreeMap::new();
    // The first offset of each transaction that is open, by its producer.
    let mut open: HashMap<(i32, i64), i64> = HashMap::new();
    let mut partition = None;
    for line in text.lines() {
        if let Some(file) = line.strip_prefix("Dumping ") {
            partition = file.rsplit_once('/').and_then(|(folder, _)| partition_of(folder, topic));
        }
        if !line.starts_with("baseOffset:") {
            continue;
        }
        let partition = partition.context("a batch of no file")?;
        let batch = Batch::parse(line).with_context(|| format!("cannot read {line}"))?;
        let producer = (partition, batch.producer);
        if batch.marker {
            open.remove(&producer);
        } else if batch.transactional {
            open.entry(producer).or_insert(batch.first);
        }
        let first_open = open.iter().filter(|((of, _), _)| *of == partition).map(|(_, first)| *first).min();
        let stable = first_open.unwrap_or(batch.last + 1);
        let offsets = all.entry(partition).or_default();
        if offsets.last() != Some(&stable) {
            offsets.push(stable);
        }
    }
    Ok(all)
}

impl Batch {
    /// `NAME: VALUE NAME: VALUE …`
    fn parse(line: &str) -> Option<Self> {
        let value = |name: &str| line.split(' ').skip_while(|word| word.strip_suffix(':') != Some(name)).nth(1);
        let number = |name: &str| value(name)?.parse().ok();
        let flag = |name: &str| value(name)?.parse().ok();
        Some(Self {
            first: number("baseOffset")?,
            last: number("lastOffset")?,
            producer: number("producerId")?,
            transactional: flag("isTransactional")?,
            marker: flag("isControl")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records of two producers, the second one's inside the first one's transaction, which is decided later.
    #[test]
    fn the_stable_offset_waits_for_the_oldest_open_transaction() {
        let batch = |first: i64, last: i64, producer: i64, marker: bool| {
            format!(
                "baseOffset: {first} lastOffset: {last} count: 1 producerId: {producer} producerEpoch: 0 \
                 isTransactional: true isControl: {marker} position: 0"
            )
        };
        let text = [
            "Dumping /x/node-0/a.b-2/00000000000000000000.log".to_owned(),
            "Log starting offset: 0".to_owned(),
            batch(0, 4, 7, false),
            batch(5, 6, 8, false),
            batch(7, 7, 8, true),
            batch(8, 8, 7, true),
            "Dumping /x/node-0/a.b-0/00000000000000000000.log".to_owned(),
            batch(0, 0, 7, false),
        ];
        let expected = BTreeMap::from([(2, vec![0, 9]), (0, vec![0])]);
        assert_eq!(stable_offsets(&text.join("\n"), "a.b").unwrap(), expected);
    }
}
