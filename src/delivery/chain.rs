//! The checkpoints of a run, each a step behind the one before it. Pure.

use super::Delivery;
use super::flight::Producers;
use super::transaction::Transaction;
use crate::checkpoint::{Owner, SourceIdentity, codec};
use crate::error::{Code, Error, Result};
use crate::failpoint;

/// The newest checkpoints of a run.
#[derive(Clone, Debug)]
pub(crate) struct Chain {
    /// Behind the last clean commit.
    last: Delivery,
    /// The newest one that was handed to a producer.
    tip: Delivery,
}

impl Chain {
    /// Begins with the checkpoint that Kafka holds.
    pub(crate) fn new(first: Delivery) -> Self {
        Self { tip: first.clone(), last: first }
    }

    /// Behind the last clean commit: what Kafka holds.
    pub(crate) fn last(&self) -> &Delivery {
        &self.last
    }

    /// The newest one that was handed to a producer.
    pub(crate) fn tip(&self) -> &Delivery {
        &self.tip
    }

    /// The source was found to be this one, read by this owner's present incarnation, with the configuration of this hash:
    /// the next checkpoint says so.
    pub(crate) fn adopt(&mut self, source: SourceIdentity, owner: Owner, config: &str) {
        for delivery in [&mut self.last, &mut self.tip] {
            delivery.checkpoint.source = source.clone();
            delivery.checkpoint.owner = owner.clone();
            config.clone_into(&mut delivery.checkpoint.config);
        }
    }

    /// Hands the checkpoint over what came since the transaction's last one to the same producer, unless it is too large
    /// to be held back now, or the transaction ends within a source transaction; it is the tip from now on.
    pub(crate) fn record(&mut self, transaction: &mut Transaction, producers: &mut impl Producers) -> Result<()> {
        let Some(delta) = transaction.unrecorded.as_ref().filter(|_| !transaction.open) else { return Ok(()) };
        let checkpoint = self.tip.checkpoint.advance(&self.tip.id, delta)?;
        let (bytes, id) = codec::encode(&checkpoint)?;
        if !producers.can_hold(transaction.turn, 1, checkpoint.relay.len() + bytes.len()) {
            return Ok(());
        }
        producers.enqueue_checkpoint(transaction.turn, &checkpoint.relay, &bytes)?;
        self.tip = Delivery { checkpoint, id };
        transaction.unrecorded = None;
        transaction.checkpoint = Some(self.tip.clone());
        failpoint::hit("checkpoint_produced")
    }

    /// The transaction is committed for good, and its last checkpoint with it.
    pub(crate) fn committed(&mut self, transaction: &mut Transaction) -> Result<()> {
        let checkpoint = transaction.checkpoint.take();
        self.last = checkpoint.ok_or_else(|| Error::new(Code::Internal, "I4: no checkpoint was sent"))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::CheckpointId;
    use crate::checkpoint::tests::checkpoint;

    #[test]
    fn the_next_checkpoint_says_who_reads_what_and_how() {
        let id = CheckpointId { sequence: 41, crc32: 1 };
        let mut chain = Chain::new(Delivery { checkpoint: checkpoint(), id: id.clone() });
        let (mut source, mut owner) = (checkpoint().source, checkpoint().owner);
        (source.server_version, owner.incarnation) = ("10.0".into(), 7);
        chain.adopt(source.clone(), owner.clone(), "another mapping");
        for delivery in [chain.last(), chain.tip()] {
            let Delivery { checkpoint, id: unchanged } = delivery;
            assert_eq!((&checkpoint.source, &checkpoint.owner, unchanged), (&source, &owner, &id));
            assert_eq!(checkpoint.config, "another mapping");
        }
    }
}
