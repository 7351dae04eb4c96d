//! The proof: the rows that MySQL holds against the records that a new consumer reads from the beginning.

use std::collections::{HashMap, HashSet};

use anyhow::{Context, Result};
use serde_json::Value;
use testbed::{Isolation, Kafka, Mysql, Observed, Observer};

use crate::{TOPIC, screen};

#[cfg(test)]
mod tests;

/// A row of the outbox, all of which the shop keeps.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) key: String,
    pub(crate) payload: Value,
}

/// Reads the table.
pub(crate) fn rows(mysql: &Mysql) -> Result<Vec<Row>> {
    let text = mysql.sql("SELECT id, aggregateid, payload FROM shop.outbox")?;
    text.lines()
        .map(|line| {
            let mut fields = line.splitn(3, '\t').map(str::to_owned);
            let mut next = || fields.next().context("a short line of the table");
            Ok(Row { id: next()?, key: next()?, payload: serde_json::from_str(&next()?)? })
        })
        .collect()
}

/// Reads the topic as any consumer may that wants committed records only.
pub(crate) fn records(kafka: &Kafka) -> Result<Vec<Observed>> {
    Observer::read_all(kafka, &[TOPIC], Isolation::ReadCommitted)
}

/// How often each defect was found, with one example.
#[derive(Debug, Default)]
pub(crate) struct Proof {
    committed: usize,
    seen: usize,
    lost: Found,
    duplicated: Found,
    out_of_order: Found,
    rolled_back: Found,
    unknown: Found,
    changed: Found,
}

#[derive(Debug, Default)]
struct Found {
    count: usize,
    example: Option<String>,
}

impl Found {
    fn add(&mut self, example: impl FnOnce() -> String) {
        self.count += 1;
        self.example.get_or_insert_with(example);
    }
}

impl Proof {
    /// Compares by the row's id, which is the record's header `id`.
    pub(crate) fn of(rows: &[Row], records: &[Observed]) -> Self {
        let mut proof = Self { committed: rows.len(), seen: records.len(), ..Self::default() };
        let rows_of_id: HashMap<&str, &Row> = rows.iter().map(|row| (row.id.as_str(), row)).collect();
        let mut ordered: Vec<&Observed> = records.iter().collect();
        ordered.sort_by_key(|record| (record.partition, record.offset));
        let mut seen = HashSet::new();
        let mut last_of_key = HashMap::new();
        for record in ordered {
            let value = value(record);
            let id = record.header("id").unwrap_or_default();
            if value["rolled_back"] == true {
                proof.rolled_back.add(|| describe(record));
                continue;
            }
            let Some(row) = rows_of_id.get(id) else {
                proof.unknown.add(|| describe(record));
                continue;
            };
            if !seen.insert(id) {
                proof.duplicated.add(|| describe(record));
                continue;
            }
            if record.key.as_deref() != Some(row.key.as_bytes()) || value != row.payload {
                proof.changed.add(|| format!("{}, committed as {} {}", describe(record), row.key, row.payload));
            }
            // Consumers see order within a partition only: a key must stay in one.
            let seq = value["seq"].as_u64();
            let before = last_of_key.insert(&row.key, (record.partition, seq));
            if before.is_some_and(|(partition, last)| partition != record.partition || last >= seq) {
                proof.out_of_order.add(|| describe(record));
            }
        }
        for row in rows.iter().filter(|row| !seen.contains(row.id.as_str())) {
            proof.lost.add(|| format!("row {} of {}", row.id, row.key));
        }
        proof
    }

    /// Whether each committed row became one record, and nothing else did.
    pub(crate) fn holds(&self) -> bool {
        self.committed == self.seen && self.lines().iter().all(|(_, found)| found.count == 0)
    }

    fn lines(&self) -> [(&str, &Found); 6] {
        [
            ("lost", &self.lost),
            ("duplicated", &self.duplicated),
            ("out of order", &self.out_of_order),
            ("rolled back and seen", &self.rolled_back),
            ("from nowhere", &self.unknown),
            ("changed", &self.changed),
        ]
    }

    /// The table, in plain words.
    pub(crate) fn show(&self) {
        screen::say(format!(
            "{:<24}{:>8}   SELECT on shop.outbox, which keeps its rows",
            "rows committed", self.committed
        ));
        screen::say(format!(
            "{:<24}{:>8}   console consumer, read_committed, from the beginning",
            "records seen", self.seen
        ));
        for (name, Found { count, example }) in self.lines() {
            let line = format!("{name:<24}{count:>8}");
            screen::say(if *count == 0 { screen::good(&line) } else { screen::bad(&line) });
            if let Some(example) = example {
                screen::say(format!("    such as {example}"));
            }
        }
    }
}

fn value(record: &Observed) -> Value {
    record.value.as_deref().and_then(|bytes| serde_json::from_slice(bytes).ok()).unwrap_or_default()
}

fn describe(record: &Observed) -> String {
    let Observed { partition, offset, .. } = record;
    let key = String::from_utf8_lossy(record.key.as_deref().unwrap_or_default());
    let value = String::from_utf8_lossy(record.value.as_deref().unwrap_or_default());
    format!("partition {partition}, offset {offset}: {key} {value}")
}
