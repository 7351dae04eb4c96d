//! Hot standby: the group gives the partition to one of its members. What a member hears of it comes late or not at all in
//! time, so two may believe at once that they lead.

use rand::Rng;

use super::{What, World, pick};
use crate::relay::simulation::around::Input;
use crate::relay::simulation::{MILLI, SECOND};

/// What the group says.
#[derive(Debug, Default)]
pub(super) struct Group {
    leader: Option<usize>,
}

impl World<'_> {
    /// One of the members leads from now on; maybe the one that does.
    pub(super) fn elect(&mut self) {
        let members: Vec<usize> = (0..self.slots.len()).filter(|slot| self.slots[*slot].process.is_some()).collect();
        let Some(group) = &mut self.group else { return };
        if members.is_empty() {
            return self.at(SECOND, What::Election);
        }
        let next = *pick(&members, &mut self.chance);
        if group.leader == Some(next) {
            return;
        }
        self.seen.elections += 1;
        if let Some(slot) = group.leader.replace(next) {
            let lost = self.chance.random_bool(0.5);
            let after = if lost { self.up_to(&[SECOND, 90 * SECOND]) } else { self.delay() };
            self.at(after, What::Hears { slot, lost });
        }
        let after = self.up_to(&[20 * MILLI, 2 * SECOND]);
        self.at(after, What::Hears { slot: next, lost: false });
    }

    /// What a member hears is what holds now.
    pub(super) fn heard(&mut self, slot: usize, lost: bool) -> Option<Input> {
        let paused = self.slots[slot].paused;
        if self.now < paused {
            self.at(paused - self.now, What::Hears { slot, lost });
            return None;
        }
        let leads = self.group.as_ref().is_some_and(|group| group.leader == Some(slot));
        Some(if leads { Input::Leads } else { Input::Follows { lost } })
    }

    /// A member is gone or has left. If it led, the group learns of it in time.
    pub(super) fn abandon(&mut self, slot: usize) {
        if let Some(group) = self.group.as_mut().filter(|group| group.leader == Some(slot)) {
            group.leader = None;
            let after = self.up_to(&[20 * MILLI, SECOND, 45 * SECOND]);
            self.at(after, What::Election);
        }
    }
}
