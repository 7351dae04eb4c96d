//! The relay's named places, and what can be done to it there.

use rand::Rng;
use rand::rngs::StdRng;
use testbed::Daemon;

/// What happens at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Action {
    /// The process is gone.
    Kill,
    /// The process stands still for a moment, then goes on.
    Stop,
    /// The place fails; the run ends and another one begins.
    Error,
}

impl Action {
    pub(crate) const ALL: [Self; 3] = [Self::Kill, Self::Stop, Self::Error];

    /// Whether it has been done at `place` more than `before` times to this process, which goes on if it stands still.
    pub(crate) fn is_done(self, relay: &mut Daemon, place: &str, before: usize) -> bool {
        let ended = relay.exited().unwrap();
        if ended.is_none() && is_stopped(relay) {
            relay.resume().unwrap();
        }
        let said = |words: &str| {
            let words = format!("failpoint {place}{words}");
            relay.lines().iter().filter(|line| line.contains(&words)).count() > before
        };
        match self {
            Self::Kill => ended.is_some_and(is_crash),
            Self::Error => said(" fails"),
            Self::Stop => said(" goes on"),
        }
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Stop => "stop",
            Self::Error => "error",
        }
    }
}

/// When a relay passes a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// When the process starts.
    ProcessStart,
    /// Once in every run.
    RunStart,
    /// When a run has failed.
    AfterError,
    /// All the time, under load.
    Load,
    /// Under load, but not in every transaction.
    NowAndThen,
    /// When the server begins a new log.
    Rotation,
    /// While nothing but other tables change.
    Quiet,
    /// When it is told to end, or a run ends by itself.
    Shutdown,
}

/// Every named place of the relay, in the order in which they are passed.
pub(crate) const PLACES: [(&str, When); 34] = [
    ("config_loaded", When::ProcessStart),
    ("reconnecting", When::AfterError),
    ("producer_created", When::RunStart),
    ("init_done", When::RunStart),
    ("hw_sampled", When::RunStart),
    ("checkpoint_read_partial", When::RunStart),
    ("checkpoint_read", When::RunStart),
    ("source_connected", When::RunStart),
    ("identity_checked", When::RunStart),
    ("dump_sent", When::RunStart),
    ("fde_seen", When::RunStart),
    ("rewind_event_seen", When::RunStart),
    ("gtid_seen", When::Load),
    ("row_first", When::Load),
    ("row_mid", When::Load),
    ("savepoint_rollback", When::NowAndThen),
    ("xa_prepare", When::NowAndThen),
    ("xa_commit", When::NowAndThen),
    ("terminator_seen", When::Load),
    ("rotate_seen", When::Rotation),
    ("batch_closed", When::Load),
    ("txn_begun", When::Load),
    ("first_produced", When::Load),
    ("mid_produced", When::Load),
    ("all_produced", When::Load),
    ("checkpoint_produced", When::Load),
    ("flushed", When::Load),
    ("checkpoint_acked", When::Load),
    ("endtxn_before_send", When::Load),
    ("commit_ok", When::Load),
    ("position_advanced", When::Load),
    ("heartbeat_checkpoint", When::Quiet),
    ("shutdown_begin", When::Shutdown),
    ("producer_dropped", When::Shutdown),
];

/// Further ones in hot standby, which `tests/it/takes_over.rs` disturbs.
pub(crate) const STANDBY_PLACES: [&str; 3] = ["group_joined", "revoke_begin", "revoke_done"];

/// Places that a relay which delivers at least once does not pass.
pub(super) const TRANSACTIONAL: [&str; 4] =
    ["txn_begun", "heartbeat_checkpoint", "checkpoint_acked", "endtxn_before_send"];

/// MySQL takes the rows behind a savepoint out of its log; MariaDB logs the rollback.
pub(super) const MARIADB_ONLY: &str = "savepoint_rollback";

/// One thing that is done to a relay.
#[derive(Clone, Copy, Debug)]
pub(super) struct Injection {
    pub(super) place: &'static str,
    pub(super) when: When,
    pub(super) action: Action,
    hit: u32,
}

impl Injection {
    pub(super) fn of((place, when): (&'static str, When), action: Action, rng: &mut StdRng) -> Self {
        // Most often late enough to be in the middle of something.
        let hit = match when {
            When::Load => rng.random_range(1..12),
            When::NowAndThen => rng.random_range(1..3),
            _ => 1,
        };
        Self { place, when, action, hit }
    }

    /// Whether it can follow what has been done to the same process so far.
    pub(super) fn can_follow(&self, before: Option<&Self>) -> bool {
        let failed = before.is_some_and(|before| before.action == Action::Error);
        match self.when {
            When::ProcessStart => before.is_none(),
            When::RunStart => before.is_none() || failed,
            When::AfterError => failed,
            When::Load | When::NowAndThen | When::Rotation | When::Quiet | When::Shutdown => true,
        }
    }

    /// As an element of `OUTBOXD_FAILPOINT`.
    pub(super) fn armed(&self) -> String {
        format!("{}:{}={}", self.place, self.hit, self.action.word())
    }

    pub(super) fn ends_process(&self) -> bool {
        self.action == Action::Kill || self.when == When::Shutdown
    }
}

fn is_crash(status: std::process::ExitStatus) -> bool {
    std::os::unix::process::ExitStatusExt::signal(&status).is_some()
}

/// Whether a process is stopped by a signal. One that is gone is not.
pub(crate) fn is_stopped(process: &Daemon) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.pid())).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
}
