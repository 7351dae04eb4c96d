//! What becomes of updated outbox rows, by `on_update`.

use std::sync::Arc;

use super::large::Survivors;
use super::transaction::{Ignored, Observer};
use crate::binlog::event::OutboxRows;
use crate::binlog::rows::{Images, WriteRows};
use crate::config::{OnUpdate, OutboxConfig};
use crate::error::{Code, Error, Result};

/// The policies of all outboxes.
#[derive(Debug)]
pub(super) struct Updates(pub(super) Arc<[OutboxConfig]>);

impl Updates {
    /// Takes out committed updates that are passed over.
    ///
    /// # Errors
    /// `RowUpdated`.
    pub(super) fn judge(&self, rows: &mut Vec<OutboxRows>, observer: &mut impl Observer) -> Result<()> {
        if let Some(refusal) = rows.iter().find_map(|rows| self.refusal(rows)) {
            return Err(refusal);
        }
        rows.retain(|rows| match self.policy(rows) {
            Some((OnUpdate::Warn, config)) => {
                let table = format!("{}.{}", config.database, config.table);
                tracing::warn!(table, at = %rows.at, "outbox row updated; nothing is published for it");
                observer.ignored(rows.outbox.0, Ignored::Update);
                false
            }
            _ => true,
        });
        Ok(())
    }

    /// Adds the next row event of a group that is not held.
    ///
    /// # Errors
    /// `EventUndecodable`.
    pub(super) fn count(&self, rows: &OutboxRows, survivors: &mut Survivors) -> Result<()> {
        if let Some(refusal) = self.refusal(rows) {
            survivors.refuse(refusal);
        }
        survivors.add(rows, self.records(rows)?);
        Ok(())
    }

    /// The error that a row event means if it is committed.
    fn refusal(&self, rows: &OutboxRows) -> Option<Error> {
        let (OnUpdate::Stop, config) = self.policy(rows)? else { return None };
        let what = format!("{}: a row of {}.{} was updated", rows.at, config.database, config.table);
        Some(Error::new(Code::RowUpdated, what))
    }

    /// How many records a row event becomes if it is committed and [`Updates::judge`] lets it pass.
    ///
    /// # Errors
    /// `EventUndecodable`.
    pub(super) fn records(&self, rows: &OutboxRows) -> Result<u64> {
        if matches!(self.policy(rows), Some((OnUpdate::Stop | OnUpdate::Warn, _))) {
            return Ok(0);
        }
        let event = WriteRows::decode_images(rows.event.data(), rows.version, rows.images, &rows.table);
        let count = event.and_then(|event| event.count_rows());
        let count = count.map_err(|e| Error::new(Code::EventUndecodable, format!("{}: row event: {e}", rows.at)))?;
        Ok(count as u64)
    }

    /// Of updated rows.
    fn policy(&self, rows: &OutboxRows) -> Option<(OnUpdate, &OutboxConfig)> {
        let config = self.0.get(rows.outbox.0).filter(|_| rows.images != Images::Inserted)?;
        Some((config.on_update, config))
    }
}
