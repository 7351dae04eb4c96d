//! What the relay counted against the truth.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use super::truth::Row;
use super::{Defect, Rules, Verdict};

const RECORDS: &str = "outboxd_kafka_records_total";

impl Verdict {
    /// Compares `GET /metrics` of a process with the rows that it delivered: those behind the first `before`.
    pub fn add_metrics(&mut self, rows: &[Row], before: usize, metrics: &str, rules: &Rules) -> Result<()> {
        let mut expected: BTreeMap<String, u64> = BTreeMap::new();
        for row in rows.get(before..).context("fewer rows than were covered before")? {
            *expected.entry(format!("{}{}", rules.topic_prefix, row.aggregate_type)).or_default() += 1;
        }
        let counted = by_topic(metrics)?;
        for topic in expected.keys().chain(counted.keys().filter(|topic| !expected.contains_key(*topic))) {
            let [is, was] = [&counted, &expected].map(|counts| counts.get(topic).copied().unwrap_or(0));
            if is != was {
                self.add(Defect::Miscounted, || format!("{topic}: counted {is}, delivered {was}"));
            }
        }
        Ok(())
    }
}

/// The counter's series by their topic.
fn by_topic(metrics: &str) -> Result<BTreeMap<String, u64>> {
    let series = metrics.lines().filter_map(|line| line.strip_prefix(RECORDS)?.strip_prefix('{'));
    series
        .map(|series| {
            let (labels, value) = series.rsplit_once("} ").context("a series without a value")?;
            let topic = labels.split(',').find_map(|label| label.strip_prefix("topic=\"")?.strip_suffix('"'));
            Ok((topic.context("a series without a topic")?.to_owned(), value.trim().parse()?))
        })
        .collect()
}
