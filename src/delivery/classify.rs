//! What a commit's answer means (`docs/adr/0003`, epoch hygiene). Pure: the relay and any simulation of it decide here.
//!
//! librdkafka re-sends EndTxn with the same epoch after a timeout or transport error, and a broker applies any EndTxn of
//! the current epoch to whatever transaction is then open (KAFKA-17754). So a producer is only kept after a commit that
//! cannot have been sent twice.

use std::time::Duration;

use crate::checkpoint::CheckpointId;
use crate::error::{Code, Error, Result};

/// What was seen of one `commit_transaction`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitSeen {
    /// What the call returned.
    pub answer: Answer,
    /// How long it took.
    pub elapsed: Duration,
    /// Transport or timeout events of the client since the transaction began.
    pub disturbed: bool,
}

/// What `commit_transaction` returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Success.
    Ok,
    /// The producer's epoch is not the newest one.
    Fenced,
    /// Any other error; librdkafka's "requires abort" included, since the commit may have happened.
    Failed,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Committed, and no copy of the request can be on its way: keep the producer.
    Clean,
    /// Committed, but a late copy of the request may exist: renew the producer.
    Tainted,
    /// Unknown: renew the producer, then the checkpoint tells.
    Uncertain,
    /// A newer producer exists: unknown as well, and perhaps somebody else's.
    Fenced,
}

impl Outcome {
    /// Only a clean commit lets the run go on.
    ///
    /// # Errors
    /// `ProducerRenewed`, `DeliveryFailed`, `Fenced`.
    pub fn ensure_clean(self, seen: CommitSeen) -> Result<()> {
        match self {
            Self::Clean => Ok(()),
            Self::Tainted => {
                let disturbed = if seen.disturbed { ", with connection errors" } else { "" };
                Err(Error::new(Code::ProducerRenewed, format!("a commit took {:?}{disturbed}", seen.elapsed)))
            }
            Self::Uncertain => Err(Error::new(Code::DeliveryFailed, "committing")),
            Self::Fenced => Err(Error::new(Code::Fenced, "committing")),
        }
    }
}

/// Judges a commit. `retry_backoff`: `retry.backoff.ms`, before which librdkafka never sends a request again (minus its
/// jitter of 20 %; half of it is safely below).
pub fn classify(seen: CommitSeen, retry_backoff: Duration) -> Outcome {
    match seen.answer {
        Answer::Ok if seen.elapsed < retry_backoff / 2 && !seen.disturbed => Outcome::Clean,
        Answer::Ok => Outcome::Tainted,
        Answer::Fenced => Outcome::Fenced,
        Answer::Failed => Outcome::Uncertain,
    }
}

/// A Kafka transaction whose outcome is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InDoubt {
    /// The checkpoint before it.
    pub previous: Option<CheckpointId>,
    /// The checkpoint in it, if it was reached.
    pub attempted: Option<CheckpointId>,
}

/// What the checkpoint that Kafka holds says about a transaction in doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// It was committed: go on behind it.
    Committed,
    /// It was not: its rows are read and sent again.
    NotCommitted,
    /// Somebody else has written since.
    AnotherWriter,
}

/// Resolves a transaction in doubt; `found` was read behind a new fence.
pub fn resolve(in_doubt: &InDoubt, found: Option<&CheckpointId>) -> Resolution {
    if found.is_some() && found == in_doubt.attempted.as_ref() {
        Resolution::Committed
    } else if found == in_doubt.previous.as_ref() {
        Resolution::NotCommitted
    } else {
        Resolution::AnotherWriter
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Duration = Duration::from_millis(1000);

    fn judge(answer: Answer, millis: u64, disturbed: bool) -> Outcome {
        classify(CommitSeen { answer, elapsed: Duration::from_millis(millis), disturbed }, BACKOFF)
    }

    #[test]
    fn only_a_fast_undisturbed_success_keeps_the_producer() {
        assert_eq!(judge(Answer::Ok, 3, false), Outcome::Clean);
        assert_eq!(judge(Answer::Ok, 499, false), Outcome::Clean);
        assert_eq!(judge(Answer::Ok, 500, false), Outcome::Tainted);
        assert_eq!(judge(Answer::Ok, 3, true), Outcome::Tainted);
        assert_eq!(judge(Answer::Failed, 3, false), Outcome::Uncertain);
        assert_eq!(judge(Answer::Fenced, 3, false), Outcome::Fenced);
    }

    #[test]
    fn the_checkpoint_decides_a_transaction_in_doubt() {
        let id = |sequence| CheckpointId { sequence, crc32: 7 };
        let doubt = InDoubt { previous: Some(id(4)), attempted: Some(id(5)) };
        assert_eq!(resolve(&doubt, Some(&id(5))), Resolution::Committed);
        assert_eq!(resolve(&doubt, Some(&id(4))), Resolution::NotCommitted);
        assert_eq!(resolve(&doubt, Some(&id(6))), Resolution::AnotherWriter);
        assert_eq!(resolve(&doubt, Some(&CheckpointId { sequence: 5, crc32: 8 })), Resolution::AnotherWriter);
        assert_eq!(resolve(&doubt, None), Resolution::AnotherWriter);
        let first = InDoubt { previous: None, attempted: Some(id(1)) };
        assert_eq!(resolve(&first, None), Resolution::NotCommitted);
        let unreached = InDoubt { previous: Some(id(4)), attempted: None };
        assert_eq!(resolve(&unreached, Some(&id(4))), Resolution::NotCommitted);
        assert_eq!(resolve(&unreached, None), Resolution::AnotherWriter);
    }
}
