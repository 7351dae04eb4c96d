//! One row → one record.

use std::sync::Arc;

use super::headers::{self, HeaderNames};
use super::partition;
use super::route::{RouteError, Routes, Topic};
use super::{Records, Slot, Span};
use crate::binlog::table::ColumnKind;
use crate::binlog::{DecodeError, value};
use crate::config::OutboxConfig;
use crate::error::{Code, Error, Result};
use crate::outbox::OutboxRow;
use crate::outbox::decode::Field;
use crate::position::GroupPosition;

/// Bytes that Kafka adds to a record in a batch of its own (batch header 61, record framing and varints below 64).
const RECORD_OVERHEAD: usize = 128;

/// Why a row could not be mapped yet, or at all.
#[derive(Debug)]
pub enum MapError {
    /// The topic is not known: look it up, [`Mapper::add_topic`], map the row again.
    UnknownTopic(String),
    /// The row stops the relay.
    Row(Error),
}

impl From<Error> for MapError {
    fn from(error: Error) -> Self {
        Self::Row(error)
    }
}

/// Maps rows to records by `[outbox.NAME]`.
#[derive(Debug)]
pub struct Mapper {
    outboxes: Arc<[OutboxConfig]>,
    names: Vec<Arc<HeaderNames>>,
    routes: Routes,
    /// Spreads null keys; any value does, a counter is cheap.
    keyless: u32,
}

impl Mapper {
    /// For the configured outboxes.
    ///
    /// # Errors
    /// `ConfigInvalid` for a header name with a NUL byte, and for too many headers.
    pub fn new(outboxes: Arc<[OutboxConfig]>) -> Result<Self> {
        let names = outboxes.iter().map(header_names).collect::<Result<_>>()?;
        Ok(Self { outboxes, names, routes: Routes::default(), keyless: 0 })
    }

    /// Makes a topic known to routing.
    pub fn add_topic(&mut self, name: &str, topic: Topic) {
        self.routes.add(name, topic);
    }

    /// Appends the row's record. On an error nothing is appended.
    ///
    /// # Errors
    /// See [`MapError`].
    pub fn map(&mut self, row: &OutboxRow<'_>, committed_at_us: i64, records: &mut Records) -> Result<(), MapError> {
        let config = self.outboxes.get(row.outbox.0);
        let (Some(config), Some(names)) = (config, self.names.get(row.outbox.0).cloned()) else {
            return Err(MapError::Row(Error::new(Code::Internal, "row of an outbox that is not configured")));
        };
        let topic = self.routes.route(&config.topic, row).map_err(|e| routing_error(e, row))?;
        let timestamp_ms = timestamp(row, committed_at_us).map_err(MapError::Row)?;
        let (bytes, spans) = (records.bytes.len(), records.headers.len());
        let written = write_parts(row, &names, records);
        let written = written.and_then(|parts| ensure_addressable(row, records).map(|()| parts));
        let fits = || ensure_fits(row, &topic, self.routes.last(), records.bytes.len() - bytes);
        let (key, value) = match written.and_then(|parts| fits().map(|()| parts)) {
            Ok(parts) => parts,
            Err(error) => {
                records.bytes.truncate(bytes);
                records.headers.truncate(spans);
                return Err(MapError::Row(error));
            }
        };
        let partition = match super::part(&records.bytes, key) {
            Some(key) => partition::partition(key, topic.partitions),
            None => self.next_keyless(topic),
        };
        records.slots.push(Slot {
            topic: topic.id,
            partition,
            timestamp_ms,
            key,
            value,
            names,
            headers: u32::try_from(spans).unwrap_or(u32::MAX),
        });
        Ok(())
    }

    /// Ends a source transaction: its size is known now, so the source headers of its records are written.
    /// `first`: index of its first record.
    pub fn finish_transaction(&mut self, group: &GroupPosition, first: usize, records: &mut Records) {
        let count = records.len().saturating_sub(first) as u64;
        self.finish_part(group, first, (0, count), records);
    }

    /// Writes the source headers of a part of a source transaction, of which it is known how many records come before the
    /// part, and how many there are in all.
    pub fn finish_part(
        &mut self,
        group: &GroupPosition,
        first: usize,
        (before, count): (u64, u64),
        records: &mut Records,
    ) {
        if records.len() == first {
            return;
        }
        let position = headers::source_position(group);
        let Records { bytes, slots, headers: spans } = records;
        for (ordinal, slot) in (before + 1..).zip(&slots[first..]).filter(|(_, slot)| slot.names.has_source()) {
            let start = bytes.len();
            headers::write_source(&position, ordinal, count, bytes);
            spans[slot.headers as usize + slot.names.len() - 1] = super::span(start, bytes.len());
        }
    }

    fn next_keyless(&mut self, topic: Topic) -> i32 {
        self.keyless = self.keyless.wrapping_add(1);
        partition::partition(&self.keyless.to_be_bytes(), topic.partitions)
    }
}

fn header_names(outbox: &OutboxConfig) -> Result<Arc<HeaderNames>> {
    let invalid = |what: String| Error::new(Code::ConfigInvalid, format!("[outbox.{}.headers]: {what}", outbox.name));
    let configured = outbox.headers.iter().map(|(name, _)| name.as_str());
    let names = HeaderNames::new(configured, outbox.source_header).map_err(|e| invalid(e.to_string()))?;
    if names.len() > headers::MAX_HEADERS {
        return Err(invalid(format!("{} headers with ours, at most {}", names.len(), headers::MAX_HEADERS)));
    }
    Ok(Arc::new(names))
}

/// Key, value and headers; the source header stays empty until the transaction ends.
fn write_parts(row: &OutboxRow<'_>, names: &HeaderNames, records: &mut Records) -> Result<(Span, Span)> {
    let key = write_field(row, row.aggregate_id(), records, value::write_value)?;
    let value = write_field(row, row.payload(), records, value::write_value)?;
    let id = write_field(row, row.id(), records, value::write_header_value)?;
    records.headers.push(id);
    for field in row.headers() {
        let span = write_field(row, field, records, value::write_header_value)?;
        records.headers.push(span);
    }
    if names.has_source() {
        records.headers.push(None);
    }
    Ok((key, value))
}

fn write_field(
    row: &OutboxRow<'_>,
    field: Field<'_>,
    records: &mut Records,
    write: impl FnOnce(&ColumnKind, &[u8], &mut Vec<u8>) -> Result<(), DecodeError>,
) -> Result<Span> {
    let Some(raw) = field.raw else { return Ok(None) };
    records
        .write(|out| write(field.kind, raw, out))
        .map_err(|e| Error::new(code_of(e), format!("{}: column \"{}\": {e}", row.at, field.name)))
}

/// The bytes are damaged, or whole but without a form.
fn code_of(error: DecodeError) -> Code {
    match error {
        DecodeError::Range(_) | DecodeError::NoCharacter(_) => Code::ValueUnshown,
        _ => Code::EventUndecodable,
    }
}

fn timestamp(row: &OutboxRow<'_>, committed_at_us: i64) -> Result<i64> {
    let committed = committed_at_us / 1_000;
    let Some((field, raw)) = row.timestamp().and_then(|field| field.raw.map(|raw| (field, raw))) else {
        return Ok(committed);
    };
    match value::epoch_millis(field.kind, raw) {
        // librdkafka takes 0 for its own clock, which would be another time at each try.
        Ok(0) => Ok(committed),
        Ok(millis) if millis >= 0 => Ok(millis),
        Ok(millis) => Err(Error::new(
            Code::TimestampInvalid,
            format!("{}: column \"{}\" is {millis} ms before 1970", row.at, field.name),
        )),
        Err(e) => Err(Error::new(Code::TimestampInvalid, format!("{}: column \"{}\": {e}", row.at, field.name))),
    }
}

/// Places in the buffer are 32 bits wide; source headers are still to come.
const MAX_BUFFER: usize = 3 << 30;

fn ensure_addressable(row: &OutboxRow<'_>, records: &Records) -> Result<()> {
    if records.bytes.len() <= MAX_BUFFER {
        return Ok(());
    }
    Err(Error::new(
        Code::SourceTransactionTooLarge,
        format!("{}: the records of one source transaction exceed {MAX_BUFFER} bytes", row.at),
    ))
}

fn ensure_fits(row: &OutboxRow<'_>, topic: &Topic, name: &str, bytes: usize) -> Result<()> {
    if bytes + RECORD_OVERHEAD <= topic.max_record_bytes {
        return Ok(());
    }
    Err(Error::new(
        Code::RecordTooLarge,
        format!(
            "{}: a record of {bytes} bytes (and up to {RECORD_OVERHEAD} of framing) exceeds max.message.bytes = {} of topic {name}",
            row.at, topic.max_record_bytes
        ),
    ))
}

fn routing_error(error: RouteError, row: &OutboxRow<'_>) -> MapError {
    let illegal =
        |why: &str| MapError::Row(Error::new(Code::TopicName, format!("{}: the topic of a row: {why}", row.at)));
    match error {
        RouteError::Unknown(name) => MapError::UnknownTopic(name),
        RouteError::Illegal(why) => illegal(why),
        RouteError::Value(why) => illegal(&why),
    }
}

#[cfg(test)]
mod tests;
