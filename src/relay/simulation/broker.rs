//! Kafka as far as the protocol can see it: coordinators with epochs, partitions with open, committed and aborted records.
//!
//! Transactions are those of version 1: an EndTxn names a producer epoch and no transaction, so a late copy ends whatever
//! is open (KAFKA-17754).

use std::rc::Rc;

use super::truth::{Truth, Violation};
use super::{Micros, SECOND};

/// Output partitions; the checkpoint's comes behind them.
pub(super) const OUTPUTS: usize = 2;
pub(super) const CHECKPOINTS: usize = OUTPUTS;
pub(super) const PARTITIONS: usize = OUTPUTS + 1;

/// Transactional ids of a relay.
pub(super) const IDS: usize = 2;

/// Somebody else who writes to the checkpoint's partition.
const FOREIGN: usize = IDS;

/// `transaction.timeout.ms`.
const TRANSACTION_TIMEOUT: Micros = 60 * SECOND;

#[derive(Clone, Debug)]
pub(super) enum Value {
    /// A row by its number in the source's log.
    Row(usize),
    Checkpoint(Rc<[u8]>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Open,
    Committed,
    Aborted,
}

#[derive(Debug)]
pub(super) struct Entry {
    /// `None` is a marker.
    pub(super) value: Option<Value>,
    pub(super) fate: Fate,
}

#[derive(Debug, Default)]
pub(super) struct Partition {
    pub(super) entries: Vec<Entry>,
    /// Per id: epoch, and the sequence number that comes next.
    next: [(u64, usize); IDS],
    /// Per id: offsets of what is undecided.
    pub(super) open: [Vec<usize>; IDS + 1],
}

impl Partition {
    fn last_stable(&self) -> usize {
        self.open.iter().filter_map(|open| open.first()).min().copied().unwrap_or(self.entries.len())
    }

    fn append(&mut self, id: usize, value: Value) {
        self.open[id].push(self.entries.len());
        self.entries.push(Entry { value: Some(value), fate: Fate::Open });
    }

    fn mark(&mut self, id: usize, fate: Fate) {
        for offset in self.open[id].drain(..) {
            self.entries[offset].fate = fate;
        }
        self.entries.push(Entry { value: None, fate });
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Empty,
    Ongoing,
    /// Decided; markers are being written.
    Ending(Fate),
    Ended(Fate),
}

#[derive(Debug)]
struct Coordinator {
    epoch: u64,
    state: State,
    joined: [bool; PARTITIONS],
    /// Counts transactions, for timeouts and markers.
    number: u64,
}

#[derive(Clone, Debug)]
pub(super) enum Request {
    /// InitProducerId.
    Init,
    /// AddPartitionsToTxn.
    Join(Vec<usize>),
    Produce {
        partition: usize,
        sequence: usize,
        values: Rc<[Value]>,
    },
    /// EndTxn, with commit.
    Commit,
    /// End of the checkpoint's partition: high watermark.
    End,
    /// The same for `read_committed`.
    LastStable,
    /// Committed checkpoints up to the last stable offset.
    Read,
}

#[derive(Clone, Debug)]
pub(super) enum Answer {
    Done,
    Epoch(u64),
    /// The coordinator is busy with the last transaction.
    Busy,
    /// A newer epoch exists.
    Fenced,
    Refused,
    Offset(usize),
    Checkpoints(Vec<(usize, Rc<[u8]>)>),
}

/// What becomes due by a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    Marker { id: usize, partition: usize, number: u64 },
    Timeout { id: usize, number: u64, after: Micros },
}

#[derive(Debug)]
pub(super) struct Broker {
    pub(super) partitions: [Partition; PARTITIONS],
    coordinators: [Coordinator; IDS],
    pub(super) due: Vec<Due>,
}

impl Broker {
    pub(super) fn new() -> Self {
        let coordinator = || Coordinator { epoch: 0, state: State::Empty, joined: [false; PARTITIONS], number: 0 };
        Self {
            partitions: std::array::from_fn(|_| Partition::default()),
            coordinators: std::array::from_fn(|_| coordinator()),
            due: Vec::new(),
        }
    }

    /// Answers a request of transactional id `id`, made in `epoch`.
    pub(super) fn handle(
        &mut self,
        (id, epoch): (usize, u64),
        request: &Request,
        truth: &mut Truth,
    ) -> Result<Answer, Violation> {
        let checkpoints = &self.partitions[CHECKPOINTS];
        match request {
            Request::End => return Ok(Answer::Offset(checkpoints.entries.len())),
            Request::LastStable => return Ok(Answer::Offset(checkpoints.last_stable())),
            Request::Read => return Ok(Answer::Checkpoints(committed(checkpoints))),
            Request::Init => return Ok(self.init(id)),
            _ => {}
        }
        if self.coordinators[id].epoch != epoch {
            return Ok(Answer::Fenced);
        }
        match request {
            Request::Join(partitions) => Ok(self.join(id, partitions)),
            Request::Produce { partition, sequence, values } => Ok(self.produce(id, *partition, *sequence, values)),
            _ => self.commit(id, truth),
        }
    }

    fn init(&mut self, id: usize) -> Answer {
        match self.coordinators[id].state {
            State::Ending(_) => Answer::Busy,
            State::Ongoing => {
                self.coordinators[id].epoch += 1;
                self.end(id, Fate::Aborted);
                Answer::Busy
            }
            State::Empty | State::Ended(_) => {
                self.coordinators[id].epoch += 1;
                self.coordinators[id].state = State::Empty;
                Answer::Epoch(self.coordinators[id].epoch)
            }
        }
    }

    fn join(&mut self, id: usize, partitions: &[usize]) -> Answer {
        let coordinator = &mut self.coordinators[id];
        match coordinator.state {
            State::Ending(_) => return Answer::Busy,
            State::Ongoing => {}
            State::Empty | State::Ended(_) => {
                coordinator.state = State::Ongoing;
                coordinator.joined = [false; PARTITIONS];
                coordinator.number += 1;
                self.due.push(Due::Timeout { id, number: coordinator.number, after: TRANSACTION_TIMEOUT });
            }
        }
        partitions.iter().for_each(|partition| coordinator.joined[*partition] = true);
        Answer::Done
    }

    fn produce(&mut self, id: usize, partition: usize, sequence: usize, values: &[Value]) -> Answer {
        let coordinator = &self.coordinators[id];
        let log = &mut self.partitions[partition];
        if log.next[id].0 != coordinator.epoch {
            log.next[id] = (coordinator.epoch, 0);
        }
        if sequence < log.next[id].1 {
            return Answer::Done;
        }
        // The leader asks the coordinator whether the partition is in an open transaction (KIP-890).
        if sequence > log.next[id].1 || coordinator.state != State::Ongoing || !coordinator.joined[partition] {
            return Answer::Refused;
        }
        values.iter().for_each(|value| log.append(id, value.clone()));
        log.next[id].1 += values.len();
        Answer::Done
    }

    fn commit(&mut self, id: usize, truth: &mut Truth) -> Result<Answer, Violation> {
        match self.coordinators[id].state {
            State::Ongoing => {
                truth.decide(id, &self.partitions)?;
                self.end(id, Fate::Committed);
                Ok(Answer::Done)
            }
            State::Ending(Fate::Committed) => Ok(Answer::Busy),
            State::Ended(Fate::Committed) => Ok(Answer::Done),
            State::Empty | State::Ending(_) | State::Ended(_) => Ok(Answer::Refused),
        }
    }

    fn end(&mut self, id: usize, fate: Fate) {
        let coordinator = &mut self.coordinators[id];
        coordinator.state = State::Ending(fate);
        let number = coordinator.number;
        let joined = coordinator.joined;
        let markers = (0..PARTITIONS).filter(|partition| joined[*partition]);
        self.due.extend(markers.map(|partition| Due::Marker { id, partition, number }));
    }

    /// A marker is written.
    pub(super) fn mark(&mut self, id: usize, partition: usize) {
        let coordinator = &mut self.coordinators[id];
        let State::Ending(fate) = coordinator.state else { return };
        coordinator.joined[partition] = false;
        if coordinator.joined == [false; PARTITIONS] {
            coordinator.state = State::Ended(fate);
        }
        self.partitions[partition].mark(id, fate);
    }

    /// A foreign transaction begins in the checkpoint's partition, and the last stable offset stays there.
    pub(super) fn open_foreign(&mut self) {
        let log = &mut self.partitions[CHECKPOINTS];
        log.open[FOREIGN].push(log.entries.len());
        log.entries.push(Entry { value: None, fate: Fate::Open });
    }

    pub(super) fn close_foreign(&mut self) {
        self.partitions[CHECKPOINTS].mark(FOREIGN, Fate::Aborted);
    }

    /// The coordinator gives a transaction up and fences its producer.
    pub(super) fn time_out(&mut self, id: usize, number: u64) {
        let coordinator = &mut self.coordinators[id];
        if coordinator.number == number && coordinator.state == State::Ongoing {
            coordinator.epoch += 1;
            self.end(id, Fate::Aborted);
        }
    }
}

fn committed(log: &Partition) -> Vec<(usize, Rc<[u8]>)> {
    let stable = log.entries[..log.last_stable()].iter().enumerate();
    let checkpoints =
        stable.filter(|(_, entry)| entry.fate == Fate::Committed).map(|(offset, entry)| match &entry.value {
            Some(Value::Checkpoint(bytes)) => Some((offset, Rc::clone(bytes))),
            _ => None,
        });
    checkpoints.flatten().collect()
}
