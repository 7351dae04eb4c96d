//! Which table ids of the present event group are outbox tables, and their table maps.

use std::collections::HashMap;
use std::sync::Arc;

use crate::binlog::bytes::DecodeError;
use crate::binlog::event::OutboxId;
use crate::binlog::table::{self, TableMap};

/// The configured outbox tables, looked up by name at each table map.
#[derive(Clone, Debug)]
pub struct TableFilter {
    tables: Arc<[(String, String)]>,
}

impl TableFilter {
    /// `tables`: (schema, table) in configuration order.
    pub fn new(tables: impl IntoIterator<Item = (String, String)>) -> Self {
        Self { tables: tables.into_iter().collect() }
    }

    fn find(&self, database: &[u8], table: &[u8]) -> Option<OutboxId> {
        self.tables.iter().position(|(d, t)| d.as_bytes() == database && t.as_bytes() == table).map(OutboxId)
    }

    /// (schema, table) pairs in configuration order.
    pub fn tables(&self) -> &[(String, String)] {
        &self.tables
    }
}

/// The table maps of the present group.
#[derive(Debug)]
pub(super) struct GroupTables {
    filter: TableFilter,
    decode: fn(&[u8]) -> Result<TableMap, DecodeError>,
    by_id: HashMap<u64, (OutboxId, Arc<TableMap>)>,
    /// The last table map of each outbox, raw and decoded: most groups repeat it byte for byte.
    decoded: HashMap<OutboxId, (Box<[u8]>, Arc<TableMap>)>,
}

impl GroupTables {
    pub(super) fn new(filter: TableFilter) -> Self {
        Self { filter, decode: TableMap::decode, by_id: HashMap::new(), decoded: HashMap::new() }
    }

    /// The table maps to come are a MariaDB's.
    pub(super) fn of_mariadb(&mut self) {
        self.decode = TableMap::decode_of_mariadb;
    }

    /// (schema, table) pairs in configuration order.
    pub(super) fn configured(&self) -> &[(String, String)] {
        self.filter.tables()
    }

    /// Table ids mean nothing in the next group.
    pub(super) fn forget_ids(&mut self) {
        self.by_id.clear();
    }

    /// Takes in the body of a table map event.
    pub(super) fn add(&mut self, body: &[u8]) -> Result<(), DecodeError> {
        let (id, database, name) = table::table_id_and_name(body)?;
        let Some(outbox) = self.filter.find(database, name) else {
            self.by_id.remove(&id);
            return Ok(());
        };
        let map = match self.decoded.get(&outbox) {
            Some((raw, map)) if **raw == *body => Arc::clone(map),
            _ => {
                let map = Arc::new((self.decode)(body)?);
                self.decoded.insert(outbox, (body.into(), Arc::clone(&map)));
                map
            }
        };
        self.by_id.insert(id, (outbox, map));
        Ok(())
    }

    /// The outbox table that a table id stands for, if it does for one.
    pub(super) fn find(&self, id: u64) -> Option<(OutboxId, &Arc<TableMap>)> {
        self.by_id.get(&id).map(|(outbox, map)| (*outbox, map))
    }
}
