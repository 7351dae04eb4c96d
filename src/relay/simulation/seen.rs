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
}

impl Seen {
    pub(super) fn add(&mut self, other: &Self) {
        self.schedules += other.schedules;
        self.events += other.events;
        self.commits += other.commits;
        self.pieces += other.pieces;
        self.broken_requests += other.broken_requests;
        self.late_requests += other.late_requests;
        self.kills += other.kills;
        self.failures += other.failures;
        self.pauses += other.pauses;
        self.drains += other.drains;
        self.rivals += other.rivals;
        self.foreigners += other.foreigners;
        self.successors += other.successors;
    }

    pub(super) fn all_occurred(&self) -> bool {
        let network = self.broken_requests.min(self.late_requests);
        let process = self.kills.min(self.failures).min(self.pauses).min(self.drains);
        self.schedules
            .min(self.commits)
            .min(self.pieces)
            .min(network)
            .min(process)
            .min(self.rivals)
            .min(self.successors)
            .min(self.foreigners)
            > 0
    }
}
