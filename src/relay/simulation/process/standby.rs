//! The loop of `relay::lead`: in hot standby a process runs only while the group says that it leads.

use super::{Phase, Process};
use crate::error::Result;
use crate::relay::simulation::MILLI;
use crate::relay::simulation::around::{Around, Input, Wish};

/// A place in the group.
#[derive(Debug, Default)]
pub(super) struct Member {
    /// The group says so.
    leads: bool,
    /// The term is over, and what was read is still being delivered.
    ending: bool,
    /// Another one writes although the group has not said so.
    left: bool,
    /// Its last run has ended.
    over: bool,
}

impl Process {
    /// What the group says. `lost`: another one may write already.
    pub(super) fn hear(&mut self, leads: bool, lost: bool, around: &mut Around<'_>) -> Result<()> {
        let Some(member) = &mut self.member else { return Ok(()) };
        member.leads = leads;
        match &mut self.phase {
            Phase::Gone => {}
            Phase::Standby if leads => self.stand_by(around),
            Phase::Standby => {}
            _ if leads => {}
            Phase::Flying(run) if !lost => {
                run.sender = None;
                member.ending = true;
                return self.fly(around);
            }
            _ => self.stand_by(around),
        }
        Ok(())
    }

    /// Everything that was read is delivered.
    pub(super) fn drained(&mut self, around: &mut Around<'_>) {
        match &self.member {
            Some(member) if member.ending => self.stand_by(around),
            _ => self.phase = Phase::Gone,
        }
    }

    /// Whether an error ends no more than the term.
    pub(super) fn ends_term(&mut self, around: &mut Around<'_>) -> bool {
        let Some(member) = &mut self.member else { return false };
        if self.memory.superseded {
            (member.leads, member.left) = (false, true);
        } else if !member.ending {
            return false;
        }
        self.stand_by(around);
        self.is_over()
    }

    /// Whether a term's last run has ended just now.
    pub(super) fn is_over(&mut self) -> bool {
        self.member.as_mut().is_some_and(|member| std::mem::take(&mut member.over))
    }

    /// Whether it has left the group since it was asked.
    pub(in crate::relay::simulation) fn has_left(&mut self) -> bool {
        self.member.as_mut().is_some_and(|member| std::mem::take(&mut member.left))
    }

    /// Waits for the next term, which may have begun.
    fn stand_by(&mut self, around: &mut Around<'_>) {
        let Some(member) = &mut self.member else { return };
        self.memory.resign();
        self.clients.list.clear();
        (member.ending, member.over) = (false, true);
        // What was sent is sent; nothing else of the run goes on.
        around.wishes.retain(|wish| matches!(wish, Wish::Request { .. }));
        self.phase = match member.leads {
            true => {
                around.after(0..300 * MILLI, Input::Wake);
                Phase::Resting
            }
            false => Phase::Standby,
        };
    }
}
