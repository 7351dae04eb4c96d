//! Binlog events by type: the type code of an event is the index of its counter.

use super::handle::{Counter, Counters};

/// Type codes that get a label (MySQL's `Log_event_type`; 160 and above are MariaDB's), the rest are `other`.
const TYPES: [(u8, &str); 43] = [
    (2, "query"),
    (3, "stop"),
    (4, "rotate"),
    (5, "intvar"),
    (13, "rand"),
    (14, "user_var"),
    (15, "format_description"),
    (16, "xid"),
    (17, "begin_load_query"),
    (18, "execute_load_query"),
    (19, "table_map"),
    (23, "write_rows"),
    (24, "update_rows"),
    (25, "delete_rows"),
    (26, "incident"),
    (27, "heartbeat"),
    (28, "ignorable"),
    (29, "rows_query"),
    (30, "write_rows"),
    (31, "update_rows"),
    (32, "delete_rows"),
    (33, "gtid"),
    (34, "anonymous_gtid"),
    (35, "previous_gtids"),
    (36, "transaction_context"),
    (37, "view_change"),
    (38, "xa_prepare"),
    (39, "partial_update_rows"),
    (40, "transaction_payload"),
    (41, "heartbeat"),
    (42, "gtid"),
    (160, "annotate_rows"),
    (161, "binlog_checkpoint"),
    (162, "gtid"),
    (163, "gtid_list"),
    (164, "start_encryption"),
    (165, "query"),
    (166, "write_rows"),
    (167, "update_rows"),
    (168, "delete_rows"),
    (169, "write_rows"),
    (170, "update_rows"),
    (171, "delete_rows"),
];

/// One resolved counter per event type.
#[derive(Debug)]
pub struct SourceEvents {
    counters: Vec<Counter>,
    /// Index in `counters` for each type code; 0 is `other`.
    index: [u8; 256],
}

impl SourceEvents {
    pub(super) fn new(family: &Counters) -> Self {
        let mut counters = vec![family.with(&["other"])];
        let mut index = [0; 256];
        for (position, (code, label)) in (1..).zip(TYPES) {
            counters.push(family.with(&[label]));
            index[usize::from(code)] = position;
        }
        Self { counters, index }
    }

    /// One more event with this type code.
    pub fn inc(&self, type_code: u8) {
        let position = usize::from(self.index[usize::from(type_code)]);
        if let Some(counter) = self.counters.get(position) {
            counter.inc();
        }
    }
}
