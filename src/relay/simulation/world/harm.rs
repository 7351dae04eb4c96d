//! What goes wrong: requests that get lost or late, processes that are killed, fail, pause or end, rivals, foreigners.

use rand::Rng;

use super::{What, World};
use crate::relay::simulation::around::Input;
use crate::relay::simulation::broker::Request;
use crate::relay::simulation::truth::Violation;
use crate::relay::simulation::{MILLI, SECOND};

impl World<'_> {
    /// A request goes its way, or not.
    pub(super) fn transmit(&mut self, whose: (usize, u64), client: usize, epoch: u64, number: u64, request: Request) {
        let (slot, run) = whose;
        let mut after = self.delay();
        let mut answered = true;
        if self.harm > 0 && self.chance.random_bool(self.odds) {
            self.harm -= 1;
            let quiet = match self.chance.random_range(0..6) {
                0 => self.chance.random_range(0..70 * SECOND),
                _ => self.chance.random_range(0..5 * MILLI),
            };
            match self.chance.random_range(0..4) {
                // Slow, nothing else.
                0 => after = self.up_to(&[2 * SECOND, 50 * SECOND, 100 * SECOND]),
                // The request never arrives.
                1 => {
                    self.seen.broken_requests += 1;
                    let input = Input::Answer { client, number, answer: None };
                    self.at(quiet, What::Happens { slot, run, input });
                    return;
                }
                // It arrives, now or late, and nobody waits for the answer any more.
                late => {
                    self.seen.late_requests += 1;
                    answered = false;
                    if late == 2 {
                        after = self.up_to(&[20 * MILLI, 3 * SECOND, 15 * SECOND]);
                    }
                    let input = Input::Answer { client, number, answer: None };
                    self.at(quiet, What::Happens { slot, run, input });
                }
            }
        }
        self.at(after, What::Arrives { slot, run, client, epoch, number, request, answered });
    }

    pub(super) fn kill(&mut self, slot: usize) {
        self.seen.kills += 1;
        self.slots[slot].process = None;
        self.slots[slot].run += 1;
        self.abandon(slot);
        let after = self.up_to(&[MILLI, SECOND, 5 * SECOND]);
        self.at(after, What::Starts(slot));
    }

    pub(super) fn do_harm(&mut self) -> Result<(), Violation> {
        let slot = usize::from(self.slots[1].process.is_some() && self.chance.random_bool(0.5));
        let Some(process) = &mut self.slots[slot].process else { return Ok(()) };
        match self.chance.random_range(0..7) {
            0 => self.kill(slot),
            1 | 2 => {
                self.seen.failures += 1;
                process.trip(self.chance.random_range(0..30));
                self.slots[slot].dies = self.chance.random_bool(0.5);
            }
            3 => {
                self.seen.pauses += 1;
                let time = self.up_to(&[30 * MILLI, 3 * SECOND, 90 * SECOND]);
                self.slots[slot].paused = self.now + time;
            }
            4 => {
                self.seen.drains += 1;
                self.input(slot, Input::Drain)?;
            }
            5 => {
                self.seen.foreigners += 1;
                self.broker.open_foreign();
                let after = self.up_to(&[SECOND, 60 * SECOND]);
                self.at(after, What::ForeignEnds);
            }
            _ => {
                self.seen.rivals += 1;
                self.start(1 - slot)?;
            }
        }
        Ok(())
    }
}
