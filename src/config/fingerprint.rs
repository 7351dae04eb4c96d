//! Stable hashes of how rows become records.

use super::{Config, OnUpdate, OutboxConfig, TopicPart};

/// FNV-1a, 64 bits (draft-eastlake-fnv): stable over versions and platforms, which `std`'s hashers do not promise.
pub(super) struct Fnv(u64);

impl Fnv {
    const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    /// The hash of some bytes.
    pub(super) fn of(bytes: &[u8]) -> u64 {
        let mut hash = Self::new();
        hash.write(bytes);
        hash.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    /// A field with its end marked, so that `("ab", "c")` and `("a", "bc")` differ; 0xff is in no UTF-8 text.
    fn field(&mut self, text: &str) {
        self.write(text.as_bytes());
        self.write(&[0xff]);
    }
}

impl Config {
    /// A hash of every setting that decides which rows become which records: tables, columns, topics, headers.
    ///
    /// It is kept in the checkpoint to tell that the mapping changed. Names of outboxes, their order, limits,
    /// addresses and secrets are no part of it.
    pub fn fingerprint(&self) -> String {
        let mut outboxes: Vec<&OutboxConfig> = self.outboxes.iter().collect();
        outboxes.sort_by_key(|outbox| (&outbox.database, &outbox.table));
        let mut hash = Fnv::new();
        for outbox in outboxes {
            write_outbox(&mut hash, outbox);
        }
        format!("{:016x}", hash.0)
    }
}

/// A hash of every setting that decides which rows become records at all: tables, and whether their updates are emitted. As
/// long as it is the same, the ordinals of a source transaction's records are.
pub fn selection(outboxes: &[OutboxConfig]) -> String {
    let mut tables: Vec<_> = outboxes.iter().map(|o| (&o.database, &o.table, o.on_update == OnUpdate::Emit)).collect();
    tables.sort();
    let mut hash = Fnv::new();
    for (database, table, emits) in tables {
        hash.field(database);
        hash.field(table);
        hash.field(if emits { "emit" } else { "" });
    }
    format!("{:016x}", hash.0)
}

fn write_outbox(hash: &mut Fnv, outbox: &OutboxConfig) {
    let columns = [&outbox.database, &outbox.table, &outbox.id, &outbox.aggregate_type, &outbox.aggregate_id];
    columns.into_iter().for_each(|text| hash.field(text));
    hash.field(&outbox.payload);
    hash.field(outbox.event_type.as_deref().unwrap_or_default());
    hash.field(outbox.timestamp.as_deref().unwrap_or_default());
    hash.field(if outbox.source_header { "source" } else { "" });
    for part in &outbox.topic.0 {
        hash.field(match part {
            TopicPart::Literal(text) => text,
            TopicPart::AggregateType => "{aggregate_type}",
            TopicPart::EventType => "{event_type}",
        });
    }
    for (header, column) in &outbox.headers {
        hash.field(header);
        hash.field(column);
    }
    // The end of the outbox: otherwise a header could be read as the next one's schema.
    hash.field("\n");
}

#[cfg(test)]
mod tests {
    use super::Fnv;

    #[test]
    fn the_selection_is_that_of_tables_and_emitted_updates() {
        use crate::config::{selection, testing};
        let of = |pairs: &[&str]| selection(&testing::config(pairs).outboxes);
        let two = of(&["outbox.a.table=s.a", "outbox.b.table=s.b"]);
        assert_eq!(
            two,
            of(&["outbox.b.table=s.b", "outbox.c.table=s.a", "outbox.c.topic=x", "outbox.c.on_update=warn"])
        );
        assert_ne!(two, of(&["outbox.a.table=s.a"]));
        assert_ne!(two, of(&["outbox.a.table=s.a", "outbox.b.table=s.b", "outbox.b.on_update=emit"]));
    }

    #[test]
    fn published_vectors() {
        assert_eq!(Fnv::of(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(Fnv::of(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(Fnv::of(b"foobar"), 0x8594_4171_f739_67e8);
    }
}
