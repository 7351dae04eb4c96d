//! What has happened in schedules, so that none of it is left out.

/// How often what happened.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    pub(super) schedules: u64,
    pub(super) events: u64,
    pub(super) commits: u64,
    pub(super) pieces: u64,
    pub(super) broken_requests: u64,
    pub(super) late_requests: u64,
    pub(super) kills: u64,
    pub(super) failures: u64,
    pub(super) pauses: u64,
    pub(super) drains: u64,
    pub(super) rivals: u64,
    pub(super) foreigners: u64,
    pub(super) successors: u64,
    pub(super) elections: u64,
}

impl Seen {
    pub(super) fn add(&mut self, mut other: Self) {
        for (mine, theirs) in self.counters().into_iter().zip(other.counters()) {
            *mine += *theirs;
        }
    }

    pub(super) fn all_occurred(&mut self) -> bool {
        self.counters().into_iter().all(|count| *count > 0)
    }

    fn counters(&mut self) -> [&mut u64; 14] {
        let Self {
            schedules,
            events,
            commits,
            pieces,
            broken_requests: broken,
            late_requests: late,
            kills,
            failures,
            pauses,
            drains,
            rivals,
            foreigners,
            successors,
            elections,
        } = self;
        [
            schedules, events, commits, pieces, broken, late, kills, failures, pauses, drains, rivals, foreigners,
            successors, elections,
        ]
    }
}
