//! Who else writes under this relay's name: looked at before the fence, and behind it.

use std::time::Duration;

use super::Relay;
use super::read::PROGRESS_INTERVAL;
use crate::checkpoint::store::Store;
use crate::checkpoint::{Checkpoint, CheckpointId};
use crate::delivery::Memory;
use crate::delivery::classify::{self, Resolution};
use crate::error::{Code, Error, Result};

/// How long a fenced process waits for its successor's first checkpoint, which follows the fence within moments.
const SUCCESSOR_WAIT: Duration = Duration::from_secs(10);

/// How long a newcomer waits that is fenced before its own first checkpoint. If it was by the instance that it is about to
/// replace, which renewed its producer at that moment, that one waits longer.
const RIVAL_WAIT: Duration = Duration::from_secs(2);

/// How long a successor may be silent before it counts as gone: it writes a checkpoint every [`PROGRESS_INTERVAL`] at least.
const SUCCESSOR_SILENCE: Duration = PROGRESS_INTERVAL.saturating_mul(3);

/// How often a look is taken meanwhile.
const SUCCESSOR_LOOK: Duration = Duration::from_millis(200);

/// Before a process fences again, it looks whether another one has taken over since: fencing the successor in turn would
/// be a ping-pong without end.
pub(super) async fn ensure_no_successor(relay: &Relay, store: &Store, memory: &mut Memory) -> Result<()> {
    let fenced = std::mem::take(&mut memory.fenced);
    if !memory.owned && !fenced {
        return ensure_not_replaced(relay, store).await;
    }
    let deadline = tokio::time::Instant::now() + if memory.owned { SUCCESSOR_WAIT } else { RIVAL_WAIT };
    let mut retry = tokio::time::interval(Duration::from_millis(200));
    loop {
        retry.tick().await;
        ensure_no_newer(relay, memory, store.peek().await?.as_ref().map(|(newest, _)| newest))?;
        if !fenced || tokio::time::Instant::now() > deadline {
            return Ok(());
        }
        relay.status.tick();
    }
}

/// A process that was replaced and is started again by its supervisor is not the newest one: taking over would end its
/// successor, which would be started again in turn, without end. It may take over when the successor is silent, though.
async fn ensure_not_replaced(relay: &Relay, store: &Store) -> Result<()> {
    let place = &relay.owner.place;
    let replaced = |newest: &Checkpoint| newest.has_replaced(place) && !relay.orders.take_over;
    let Some((seen, _)) = store.peek().await?.filter(|(newest, _)| replaced(newest)) else { return Ok(()) };
    tracing::info!(
        successor = %seen.owner, at_most = ?SUCCESSOR_SILENCE,
        "an instance elsewhere replaced the one that ran here; waiting to see whether it still works"
    );
    let deadline = tokio::time::Instant::now() + SUCCESSOR_SILENCE;
    let mut retry = tokio::time::interval(SUCCESSOR_LOOK);
    while tokio::time::Instant::now() < deadline {
        retry.tick().await;
        match store.peek().await? {
            Some((newest, _)) if !replaced(&newest) => return Ok(()),
            Some((newest, _)) if newest.sequence > seen.sequence => {
                let what = format!("{} replaced the instance at \"{place}\" and still works", newest.owner);
                return Err(Error::new(Code::Replaced, what));
            }
            _ => relay.status.tick(),
        }
    }
    tracing::warn!(successor = %seen.owner, "the successor is silent; taking over from it");
    Ok(())
}

/// The newest checkpoint is not one that another process has written since this one looked.
pub(super) fn ensure_no_newer(relay: &Relay, memory: &mut Memory, newest: Option<&Checkpoint>) -> Result<()> {
    match newest {
        Some(newest)
            if newest.owner.instance != relay.owner.instance
                && (memory.owned || memory.predecessor.as_ref() != Some(&newest.owner.instance)) =>
        {
            Err(superseded(relay, memory, newest))
        }
        _ => Ok(()),
    }
}

fn superseded(relay: &Relay, memory: &mut Memory, newest: &Checkpoint) -> Error {
    memory.superseded = true;
    Error::new(Code::Fenced, format!("{} took over \"{}\"", newest.owner, relay.config.name))
}

/// Nobody else wrote between the look at the checkpoint and our fence, and the Kafka transaction that the last run left
/// in doubt is decided.
pub(super) fn ensure_still_ours(
    relay: &Relay,
    memory: &mut Memory,
    found: Option<&(Checkpoint, CheckpointId)>,
) -> Result<()> {
    if !memory.owned {
        let writer = found.map(|(checkpoint, _)| checkpoint.owner.instance.clone());
        if writer.is_some() && writer == memory.predecessor {
            // The one that is about to be replaced has fenced this one and gone on: the take-over was not committed.
            memory.in_doubt = None;
        }
        memory.predecessor = writer;
    } else {
        match found {
            // We have fenced it, but it goes on: a fenced owner looks who writes, and finds that it is still itself.
            Some((newest, _)) if newest.owner.instance != relay.owner.instance => {
                return Err(superseded(relay, memory, newest));
            }
            None => return Err(Error::new(Code::CheckpointMissing, "our own checkpoint is gone")),
            Some(_) => {}
        }
    }
    let unsettled = memory.unsettled.take();
    let Some(in_doubt) = memory.in_doubt.take() else { return Ok(()) };
    let id = found.map(|(_, id)| id);
    match classify::resolve(&in_doubt, id) {
        Resolution::Committed => {
            tracing::info!("the Kafka transaction in doubt was committed");
            if let Some(unsettled) = unsettled {
                memory.delivered += 1;
                unsettled.committed(&relay.metrics, &relay.status);
            }
        }
        Resolution::NotCommitted => {
            tracing::info!("the Kafka transaction in doubt was not committed; sending it again")
        }
        Resolution::AnotherWriter => {
            let who = found.map_or_else(|| "nobody".to_owned(), |(checkpoint, _)| checkpoint.owner.to_string());
            memory.superseded = true;
            return Err(Error::new(Code::Fenced, format!("the newest checkpoint is not ours but from {who}")));
        }
    }
    Ok(())
}
