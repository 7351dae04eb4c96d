//! The comparison.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

use super::truth::Row;
use super::{Defect, Rules, ValueForm, Verdict, partition};
use crate::Observed;

/// Compares the committed rows with the records of all topics that they may have gone to.
pub fn judge(rows: &[Row], records: &[Observed], rules: &Rules) -> Verdict {
    let mut judge = Judge {
        rules,
        verdict: Verdict { committed: rows.len(), observed: records.len(), ..Verdict::default() },
        last_of_key: HashMap::new(),
        last_of_partition: HashMap::new(),
    };
    let mut ordered: Vec<&Observed> = records.iter().collect();
    ordered.sort_by_key(|record| (&record.topic, record.partition, record.offset));

    let mut rows_of_id: HashMap<&[u8], VecDeque<usize>> = HashMap::new();
    for (index, row) in rows.iter().enumerate() {
        rows_of_id.entry(&row.id).or_default().push_back(index);
    }
    let mut seen = HashSet::new();
    for record in &ordered {
        match id(record, rules).and_then(|id| rows_of_id.get_mut(id)) {
            None => judge.found(Defect::Phantom, record),
            Some(left) => match left.pop_front() {
                None => judge.found(Defect::Duplicated, record),
                Some(index) => {
                    seen.insert(index);
                    judge.compare(index, &rows[index], record);
                }
            },
        }
    }
    for (index, row) in rows.iter().enumerate() {
        if !seen.contains(&index) {
            judge.verdict.add(Defect::Lost, || describe_row(row));
        }
    }
    judge.find_torn(rows, &seen, &ordered);
    judge.verdict
}

struct Judge<'a> {
    rules: &'a Rules,
    verdict: Verdict,
    last_of_key: HashMap<(&'a str, &'a [u8]), usize>,
    last_of_partition: HashMap<(&'a str, i32), usize>,
}

impl<'a> Judge<'a> {
    fn found(&mut self, defect: Defect, record: &Observed) {
        let rules = self.rules;
        self.verdict.add(defect, || describe(record, rules));
    }

    fn compare(&mut self, index: usize, row: &Row, record: &'a Observed) {
        let rules = self.rules;
        if record.topic != format!("{}{}", rules.topic_prefix, row.aggregate_type) {
            self.found(Defect::WrongTopic, record);
        }
        if record.key != row.key || !same_value(&row.payload, &record.value, rules.value) {
            self.verdict.add(Defect::Changed, || {
                let (is, was) = (describe(record, rules), describe_row(row));
                format!("{is}, committed as {was}")
            });
        }
        self.compare_headers(row, record);
        let partition_key = (record.topic.as_str(), record.partition);
        if is_before_last(&mut self.last_of_partition, partition_key, index) {
            self.found(Defect::OutOfLogOrder, record);
        }
        let Some(key) = &record.key else { return };
        if is_before_last(&mut self.last_of_key, (&record.topic, key), index) {
            self.found(Defect::ReorderedInKey, record);
        }
        if let Some(count) = rules.partitions.get(&record.topic)
            && u32::try_from(record.partition) != Ok(partition(key, *count))
        {
            self.found(Defect::WrongPartition, record);
        }
    }

    fn compare_headers(&mut self, row: &Row, record: &Observed) {
        let rules = self.rules;
        let Some(event_type) = &rules.event_type_header else { return };
        let source = format!("{}#{}/{}", row.transaction, row.ordinal + 1, row.count);
        let expected = [
            (&rules.id_header, Some(row.id.as_slice())),
            (event_type, row.event_type.as_deref()),
            (&rules.source_header, Some(source.as_bytes())),
        ];
        if !record.headers.iter().map(|(name, value)| (name, value.as_deref())).eq(expected) {
            self.found(Defect::ChangedHeaders, record);
        }
    }

    /// A transaction is torn if the truth has rows of it that were seen and rows that were not, or if a record's
    /// own header promises more records than there are.
    fn find_torn(&mut self, rows: &[Row], seen: &HashSet<usize>, records: &[&Observed]) {
        let mut torn: BTreeMap<&str, String> = BTreeMap::new();
        let mut parts: HashMap<&str, (usize, usize)> = HashMap::new();
        for (index, row) in rows.iter().enumerate() {
            let (present, all) = parts.entry(&row.transaction).or_default();
            *present += usize::from(seen.contains(&index));
            *all += 1;
        }
        for (transaction, (present, all)) in parts {
            if present > 0 && present < all {
                torn.insert(transaction, format!("{present} of {all} rows seen"));
            }
        }
        let mut promised: HashMap<&str, (BTreeSet<u64>, BTreeSet<u64>)> = HashMap::new();
        for record in records {
            let header = record.header(&self.rules.source_header);
            if let Some((position, ordinal, count)) = header.and_then(parse_source) {
                let (ordinals, counts) = promised.entry(position).or_default();
                ordinals.insert(ordinal);
                counts.insert(count);
            }
        }
        for (position, (ordinals, counts)) in promised {
            if counts.len() != 1 || !counts.contains(&(ordinals.len() as u64)) {
                let (ordinals, counts) = (ordinals.len(), Vec::from_iter(counts));
                torn.entry(position).or_insert_with(|| format!("{ordinals} ordinals, headers say {counts:?}"));
            }
        }
        for (position, what) in torn {
            self.verdict.add(Defect::Torn, || format!("{position}: {what}"));
        }
    }
}

fn id<'a>(record: &'a Observed, rules: &Rules) -> Option<&'a [u8]> {
    let mut headers = record.headers.iter();
    let (_, value) = headers.find(|(name, _)| *name == rules.id_header)?;
    value.as_deref()
}

/// `POSITION#ORDINAL/COUNT`.
fn parse_source(header: &str) -> Option<(&str, u64, u64)> {
    let (position, place) = header.rsplit_once('#')?;
    let (ordinal, count) = place.split_once('/')?;
    Some((position, ordinal.parse().ok()?, count.parse().ok()?))
}

/// Whether a later row was seen before; keeps the latest.
fn is_before_last<K: std::hash::Hash + Eq>(last: &mut HashMap<K, usize>, key: K, index: usize) -> bool {
    let last = last.entry(key).or_insert(index);
    let before = index < *last;
    *last = (*last).max(index);
    before
}

fn same_value(row: &Option<Vec<u8>>, record: &Option<Vec<u8>>, form: ValueForm) -> bool {
    let (Some(row), Some(record)) = (row, record) else {
        return row == record;
    };
    let json = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).ok();
    match form {
        ValueForm::Bytes => row == record,
        ValueForm::Json => row == record || json(row).is_some_and(|value| json(record) == Some(value)),
    }
}

fn describe(record: &Observed, rules: &Rules) -> String {
    let id = show(id(record, rules));
    let source = record.header(&rules.source_header).unwrap_or("?");
    format!(
        "{}[{}]@{} id {id} key {} source {source} value {}",
        record.topic,
        record.partition,
        record.offset,
        show(record.key.as_deref()),
        show(record.value.as_deref())
    )
}

pub(super) fn describe_row(row: &Row) -> String {
    format!(
        "{}#{} id {} key {} payload {}",
        row.transaction,
        row.ordinal,
        show(Some(&row.id)),
        show(row.key.as_deref()),
        show(row.payload.as_deref())
    )
}

fn show(bytes: Option<&[u8]>) -> String {
    const LENGTH: usize = 60;
    match bytes {
        None => "NULL".to_owned(),
        Some(bytes) => bytes[..bytes.len().min(LENGTH)].escape_ascii().to_string(),
    }
}
