//! How long to wait before the next run: exponential with jitter, so that relays do not come back in step.

use std::time::Duration;

/// Delays that double from `initial` to `max`, each drawn from its upper half ("equal jitter").
///
/// [`Backoff::reset`] is the caller's business: call it on *progress* (a committed Kafka transaction), not on a mere
/// connection, or a source that accepts and drops connections would be hammered.
#[derive(Clone, Debug)]
pub struct Backoff {
    initial: Duration,
    max: Duration,
    ceiling: Duration,
}

impl Backoff {
    /// Starts at `initial`; no delay is ever longer than `max`.
    pub fn new(initial: Duration, max: Duration) -> Self {
        let initial = initial.min(max);
        Self { initial, max, ceiling: initial }
    }

    /// The next delay. Half of it is certain: full jitter could draw zero many times in a row.
    pub fn next_delay(&mut self) -> Duration {
        let ceiling = self.ceiling;
        self.ceiling = ceiling.saturating_mul(2).min(self.max);
        rand::random_range(ceiling / 2..=ceiling)
    }

    /// Starts over at `initial`.
    pub fn reset(&mut self) {
        self.ceiling = self.initial;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn doubles_up_to_the_maximum_within_the_upper_half() {
        let mut backoff = Backoff::new(ms(100), ms(1000));
        for ceiling in [100, 200, 400, 800, 1000, 1000] {
            let delay = backoff.next_delay();
            assert!(delay >= ms(ceiling / 2) && delay <= ms(ceiling), "{delay:?} of {ceiling} ms");
        }
    }

    #[test]
    fn starts_over_after_progress() {
        let mut backoff = Backoff::new(ms(100), ms(60_000));
        for _ in 0..8 {
            backoff.next_delay();
        }
        backoff.reset();
        assert!(backoff.next_delay() <= ms(100));
    }

    #[test]
    fn extremes_do_not_overflow() {
        let mut zero = Backoff::new(Duration::ZERO, Duration::ZERO);
        assert_eq!(zero.next_delay(), Duration::ZERO);
        let mut endless = Backoff::new(Duration::MAX, Duration::MAX);
        (0..3).for_each(|_| assert!(endless.next_delay() >= Duration::MAX / 2));
        let mut crossed = Backoff::new(ms(500), ms(100));
        assert!(crossed.next_delay() <= ms(100));
    }
}
