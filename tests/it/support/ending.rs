//! How a relay ends: with status 0 when asked, or with the code of an error.

use super::{Outbox, PATIENCE, reader};
use testbed::{Daemon, Observed};

/// A relay that has ended by itself.
pub(crate) struct Stopped {
    /// Its last line, which tells why.
    pub(crate) line: String,
    status: Option<i32>,
}

/// Waits until the relay ends by itself.
pub(crate) fn stopped(mut daemon: Daemon) -> Stopped {
    let is_last = |line: &str| line.contains("ERROR") && line.contains("stopped code=OBX-");
    let line = daemon.wait_for("the line that tells why it stopped", PATIENCE, is_last).unwrap();
    let status = daemon.wait_exit(PATIENCE).unwrap().code();
    Stopped { line, status }
}

impl Stopped {
    /// Asserts why: the code, the exit status, words of the message, and words of the way to mend it.
    #[track_caller]
    pub(crate) fn because(&self, code: &str, status: i32, words: &[&str], fix: &str) {
        let (message, mend) = self.line.split_once(" fix=").unwrap();
        assert!(message.contains(&format!("code={code} ")), "{code}: {}", self.line);
        assert_eq!(self.status, Some(status), "{}", self.line);
        for word in words {
            assert!(message.contains(word), "{word}: {}", self.line);
        }
        assert!(mend.contains(fix), "{fix}: {}", self.line);
    }
}

/// Ends a relay in good order.
pub(crate) fn end(mut daemon: Daemon) {
    daemon.sigterm().unwrap();
    let status = daemon.wait_exit(PATIENCE).unwrap();
    assert!(status.success(), "{status}: {:?}", daemon.lines());
}

/// The `id` headers of records, in the order of topic, partition and offset.
pub(crate) fn ids(records: &[Observed]) -> Vec<&str> {
    records.iter().filter_map(|record| record.header("id")).collect()
}

/// The same, sorted.
pub(crate) fn sorted_ids(records: &[Observed]) -> Vec<String> {
    let mut ids: Vec<String> = ids(records).into_iter().map(str::to_owned).collect();
    ids.sort();
    ids
}

impl Outbox<'_> {
    /// Everything in this outbox's topics.
    pub(crate) fn records(&self) -> Vec<Observed> {
        reader::read(self.kafka, &format!("{}.", self.name))
    }

    /// The ids of everything in this outbox's topics, sorted.
    pub(crate) fn sorted_ids(&self) -> Vec<String> {
        sorted_ids(&self.records())
    }
}
