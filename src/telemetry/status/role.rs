//! Hot standby: whether this instance leads. Without it, it always does.

use super::{Ordering, State, Status};

impl Status {
    /// In hot standby: on the way into the relay's group, or into it again.
    pub fn joining(&self) {
        self.source_disconnected();
        self.starting("joining the relay's group");
        self.leads.store(false, Ordering::Relaxed);
        let mut facts = self.facts();
        if facts.state == State::Standby {
            facts.state = State::Starting;
        }
    }

    /// In hot standby: another instance leads.
    pub fn standing_by(&self) {
        self.tick();
        self.set_started();
        self.leads.store(false, Ordering::Relaxed);
        let mut facts = self.facts();
        facts.state = State::Standby;
        facts.blocked = None;
        facts.panicked = None;
    }

    /// In hot standby: this instance leads.
    pub fn leading(&self) {
        self.tick();
        self.leads.store(true, Ordering::Relaxed);
        self.facts().state = State::Starting;
    }

    /// As it is shown.
    pub(super) fn role(&self) -> &'static str {
        if self.leads.load(Ordering::Relaxed) { "leader" } else { "standby" }
    }
}
