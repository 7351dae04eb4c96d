//! The producers of an incarnation, which can be made to fail.

use std::rc::Rc;
use std::time::Instant;

use crate::batch::Batch;
use crate::delivery::flight::Producers;
use crate::delivery::transaction::Transaction;
use crate::error::{Code, Error, Result};
use crate::relay::simulation::broker::{CHECKPOINTS, Value};
use crate::relay::simulation::client::Client;
use crate::relay::simulation::source;

/// Both producers of an incarnation.
#[derive(Debug)]
pub(super) struct Clients {
    pub(super) list: Vec<Client>,
    pub(super) now: Instant,
    /// Calls until one fails.
    pub(super) trip: Option<u32>,
    pub(super) tripped: bool,
}

impl Clients {
    pub(super) fn client(&mut self, turn: usize) -> &mut Client {
        let turn = turn % self.list.len();
        &mut self.list[turn]
    }

    pub(super) fn step(&mut self) -> Result<()> {
        match &mut self.trip {
            Some(0) => {
                self.trip = None;
                self.tripped = true;
                Err(Error::new(Code::DeliveryFailed, "injected"))
            }
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl Producers for Clients {
    fn open(&mut self, turn: usize, held: bool) -> Result<()> {
        self.step()?;
        let now = self.now;
        self.client(turn).open(now)?;
        if held { Ok(()) } else { self.release(turn) }
    }

    fn release(&mut self, turn: usize) -> Result<()> {
        self.step()?;
        let now = self.now;
        let client = self.client(turn);
        client.released = true;
        client.hold.release(now)
    }

    fn can_hold(&mut self, turn: usize, records: usize, _: usize) -> bool {
        self.client(turn).hold.fits(records, 0)
    }

    fn enqueue(&mut self, batch: &Batch, transaction: &mut Transaction) -> Result<()> {
        for record in batch.records.iter() {
            self.step()?;
            let (partition, row) = source::place(&record);
            self.client(transaction.turn).enqueue(partition, Value::Row(row))?;
        }
        Ok(())
    }

    fn enqueue_checkpoint(&mut self, turn: usize, _: &str, checkpoint: &[u8]) -> Result<()> {
        self.step()?;
        self.client(turn).enqueue(CHECKPOINTS, Value::Checkpoint(Rc::from(checkpoint)))
    }
}
