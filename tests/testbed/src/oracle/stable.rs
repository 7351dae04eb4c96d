//! What was visible at every last stable offset.

use std::collections::{BTreeMap, HashMap};

use super::judge::describe_row;
use super::truth::Row;
use super::{Checkpoints, Defect, Rules, Verdict};
use crate::Observed;

/// For each last stable offset of one partition between two of its records, which are in order: the last one that was
/// visible there, and the first that was not.
pub fn edges<'a>(
    records: &'a [&'a Observed],
    stable: &'a [i64],
) -> impl Iterator<Item = (i64, &'a Observed, &'a Observed)> {
    stable.iter().filter_map(|stable| {
        let visible = records.partition_point(|record| record.offset < *stable);
        Some((*stable, *records.get(visible.checked_sub(1)?)?, *records.get(visible)?))
    })
}

impl Verdict {
    /// In no partition of `topic` a consumer ever came to an end where no checkpoint stands: so each saw whole Kafka
    /// transactions, hence whole source transactions. Partitions show a Kafka transaction each at a moment of its own, so they
    /// are not compared with each other.
    pub fn add_stable(
        &mut self,
        rows: &[Row],
        records: &[Observed],
        checkpoints: &Checkpoints,
        (topic, stable): (&str, &BTreeMap<i32, Vec<i64>>),
        rules: &Rules,
    ) {
        let places: HashMap<&str, usize> =
            rows.iter().enumerate().filter_map(|(n, row)| Some((std::str::from_utf8(&row.id).ok()?, n))).collect();
        let place = |record: &Observed| places.get(record.header(&rules.id_header)?).copied();
        for (partition, stable) in stable {
            self.stable_offsets += stable.len();
            let mut records: Vec<&Observed> =
                records.iter().filter(|record| record.topic == topic && record.partition == *partition).collect();
            records.sort_by_key(|record| record.offset);
            for (offset, last, next) in edges(&records, stable) {
                let (Some(last), Some(next)) = (place(last), place(next)) else { continue };
                if last < next && checkpoints.ends.range(last + 1..=next).next().is_none() {
                    self.add(Defect::Torn, || {
                        let (last, next) = (describe_row(&rows[last]), describe_row(&rows[next]));
                        format!("{topic}[{partition}] was stable at {offset}, between {last} and {next}")
                    });
                }
            }
        }
    }
}
