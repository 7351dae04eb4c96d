//! Outbox rows → records: topic, partition, key, value, headers and timestamp are final here; nothing later looks at
//! columns.
//!
//! Records of consecutive source transactions share one buffer, so that a row travels from its image to the producer
//! without an allocation of its own.

pub mod headers;
pub mod mapper;
pub mod partition;
pub mod route;

pub use headers::HeaderNames;
pub use mapper::{MapError, Mapper};
pub use route::{Topic, TopicId};

use std::sync::Arc;

/// A part of a [`Records`] buffer; `None` where the record has a null.
type Span = Option<(u32, u32)>;

/// One record, lent out of its buffer.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Where it goes.
    pub topic: TopicId,
    /// Partition of that topic.
    pub partition: i32,
    /// Milliseconds since the epoch.
    pub timestamp_ms: i64,
    /// Key bytes; `None` is a null key.
    pub key: Option<&'a [u8]>,
    /// Value bytes; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    names: &'a HeaderNames,
    headers: &'a [Span],
    bytes: &'a [u8],
}

impl<'a> Record<'a> {
    /// A record without headers, for a topic that is not routed to.
    pub fn plain(partition: i32, timestamp_ms: i64, key: &'a [u8], value: &'a [u8]) -> Self {
        static NO_HEADERS: HeaderNames = HeaderNames::none();
        Self {
            topic: TopicId(0),
            partition,
            timestamp_ms,
            key: Some(key),
            value: Some(value),
            names: &NO_HEADERS,
            headers: &[],
            bytes: &[],
        }
    }

    /// Bytes of key, value and headers.
    pub fn weight(&self) -> usize {
        let headers: usize =
            self.headers().map(|(name, value)| name.count_bytes() + value.map_or(0, <[u8]>::len)).sum();
        self.key.map_or(0, <[u8]>::len) + self.value.map_or(0, <[u8]>::len) + headers
    }

    /// Header names and values in order; a `None` value is a null header.
    pub fn headers(&self) -> impl ExactSizeIterator<Item = (&'a std::ffi::CStr, Option<&'a [u8]>)> {
        let bytes = self.bytes;
        self.names.iter().zip(self.headers).map(move |(name, span)| (name, part(bytes, *span)))
    }
}

/// Final records in source order.
#[derive(Debug, Default)]
pub struct Records {
    bytes: Vec<u8>,
    slots: Vec<Slot>,
    headers: Vec<Span>,
}

#[derive(Debug)]
struct Slot {
    topic: TopicId,
    partition: i32,
    timestamp_ms: i64,
    key: Span,
    value: Span,
    names: Arc<HeaderNames>,
    /// Index of its first header span.
    headers: u32,
}

impl Records {
    /// Number of records.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Memory that the records take, bytes; what backpressure counts.
    pub fn weight(&self) -> usize {
        self.bytes.len() + self.slots.len() * size_of::<Slot>() + self.headers.len() * size_of::<Span>()
    }

    /// The records in order.
    pub fn iter(&self) -> impl Iterator<Item = Record<'_>> {
        self.slots.iter().map(|slot| {
            let first = slot.headers as usize;
            Record {
                topic: slot.topic,
                partition: slot.partition,
                timestamp_ms: slot.timestamp_ms,
                key: part(&self.bytes, slot.key),
                value: part(&self.bytes, slot.value),
                names: &slot.names,
                headers: &self.headers[first..first + slot.names.len()],
                bytes: &self.bytes,
            }
        })
    }

    /// Takes back the records from `len` on.
    pub fn truncate(&mut self, len: usize) {
        let Some(slot) = self.slots.get(len) else { return };
        self.headers.truncate(slot.headers as usize);
        self.slots.truncate(len);
    }

    /// Adds a record of topic 0 without key and headers.
    #[cfg(test)]
    pub(crate) fn push(&mut self, partition: i32, value: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(value);
        self.slots.push(Slot {
            topic: TopicId(0),
            partition,
            timestamp_ms: 0,
            key: None,
            value: span(start, self.bytes.len()),
            names: Arc::new(HeaderNames::none()),
            headers: 0,
        });
    }

    /// Writes one part with `write` and returns where it stands.
    fn write<E>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<Span, E> {
        let start = self.bytes.len();
        write(&mut self.bytes)?;
        Ok(span(start, self.bytes.len()))
    }
}

/// A buffer stays far below 4 GiB: one source transaction is bounded by the configuration's largest batch, 1 GiB.
fn span(start: usize, end: usize) -> Span {
    let narrow = |n: usize| u32::try_from(n).ok();
    narrow(start).zip(narrow(end))
}

fn part(bytes: &[u8], span: Span) -> Option<&[u8]> {
    span.and_then(|(start, end)| bytes.get(start as usize..end as usize))
}
