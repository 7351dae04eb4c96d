//! What the simulation leaves out: time.

use futures_util::FutureExt;

use super::*;
use crate::batch::Batcher;
use crate::channel::{Sender, channel};
use crate::checkpoint::CheckpointId;
use crate::checkpoint::tests::checkpoint;
use crate::config::testing;
use crate::delivery::Delivery;
use crate::error::Code;
use crate::outbox::{Large, Part};

/// Counts checkpoints.
#[derive(Default)]
struct Willing(usize);

impl Producers for Willing {
    fn open(&mut self, _: usize, _: bool) -> Result<()> {
        Ok(())
    }

    fn release(&mut self, _: usize) -> Result<()> {
        Ok(())
    }

    fn can_hold(&mut self, _: usize, _: usize, _: usize) -> bool {
        true
    }

    fn enqueue(&mut self, _: &Batch, _: &mut Transaction) -> Result<()> {
        Ok(())
    }

    fn enqueue_checkpoint(&mut self, _: usize, _: &str, _: &[u8]) -> Result<()> {
        self.0 += 1;
        Ok(())
    }
}

/// A part of one record of a large source transaction.
fn part(split: bool) -> Batch {
    let large = Large::new(3, 9, split).into();
    let mut batcher = Batcher::new(checkpoint().place());
    batcher.records().push(0, b"row");
    batcher.add_part(&Part { rows: Vec::new(), committed_at_us: 0, before: 0, records: 1, published: 0, large });
    batcher.close().unwrap()
}

fn in_flight(sender: &mut Sender<Batch>, batch: Batch) {
    assert!(sender.send(batch, 1).now_or_never().unwrap().is_ok());
}

/// Takes a part, which is acknowledged at once; answers with what is due after so long, and the number of checkpoints.
fn due_after(time: Duration, split: bool) -> Result<(Due, usize)> {
    let id = CheckpointId { sequence: 41, crc32: 1 };
    let chain = Chain::new(Delivery { checkpoint: checkpoint(), id });
    let limits = testing::config(&["outbox.a.table=s.a"]).batch;
    let mut flight = Flight::new(chain, (0, 2), limits).within(Duration::from_secs(100));
    let (mut sender, mut receiver) = channel(1 << 20);
    let (mut producers, began) = (Willing::default(), Instant::now());
    in_flight(&mut sender, part(split));
    let (batch, permit) = receiver.try_recv().unwrap();
    flight.take(batch, permit, began, &mut producers)?;
    assert_eq!(flight.advance(began, || None, &mut producers)?, Due { send: Some(0), commit: None });
    flight.sent(Ok(()))?;
    let at = began + time;
    assert!(flight.wake(began).is_some_and(|wake| wake <= began + Duration::from_secs(90)), "it wakes by itself");
    let due = flight.advance(at, || None, &mut producers)?;
    Ok((due, producers.0))
}

#[test]
fn a_split_source_transaction_is_committed_where_it_is_before_its_time_is_up() {
    let nothing = Due::default();
    assert_eq!(due_after(Duration::from_secs(44), true).unwrap(), (nothing, 0));
    assert_eq!(due_after(Duration::from_secs(45), true).unwrap(), (Due { send: Some(0), commit: None }, 1));
    assert_eq!(due_after(Duration::from_secs(45), false).unwrap(), (nothing, 0));
    assert_eq!(due_after(Duration::from_secs(90), false).unwrap_err().code(), Code::TransactionTooLong);
}
