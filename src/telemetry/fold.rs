//! Folding of repeated messages: one unreachable broker makes librdkafka say the same thing many times a second.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Keys remembered at once; beyond it, the ones whose period is over are forgotten, and then all.
const MAX_KEYS: usize = 256;

/// Says which occurrence of a message to log: the first at once, then one a period, with the count of those left out.
///
/// ```
/// # use outboxd::telemetry::fold::Repeats;
/// # use std::time::Duration;
/// let repeats = Repeats::new(Duration::from_secs(30));
/// if let Some(folded) = repeats.admit("FAIL") {
///     tracing::warn!(folded, "a broker cannot be reached");
/// }
/// ```
#[derive(Debug)]
pub struct Repeats {
    period: Duration,
    seen: Mutex<HashMap<String, Seen>>,
}

#[derive(Debug)]
struct Seen {
    logged: Instant,
    folded: u64,
}

impl Repeats {
    /// At most one message of a kind in each `period`.
    pub fn new(period: Duration) -> Self {
        Self { period, seen: Mutex::default() }
    }

    /// Whether to log this occurrence: `Some(n)` is yes, and `n` occurrences before it were left out.
    ///
    /// `key` is what makes two messages the same, e.g. librdkafka's facility and error code. Not the whole text, in
    /// which times and counts differ.
    pub fn admit(&self, key: &str) -> Option<u64> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if let Some(before) = seen.get_mut(key) {
            if now.duration_since(before.logged) < self.period {
                before.folded += 1;
                return None;
            }
            before.logged = now;
            return Some(std::mem::take(&mut before.folded));
        }
        self.make_room(&mut seen, now);
        seen.insert(key.to_owned(), Seen { logged: now, folded: 0 });
        Some(0)
    }

    fn make_room(&self, seen: &mut HashMap<String, Seen>, now: Instant) {
        if seen.len() >= MAX_KEYS {
            seen.retain(|_, before| now.duration_since(before.logged) < self.period);
        }
        if seen.len() >= MAX_KEYS {
            seen.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    const PERIOD: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn logs_the_first_and_then_one_a_period_with_the_count() {
        let repeats = Repeats::new(PERIOD);
        assert_eq!(repeats.admit("FAIL"), Some(0));
        assert_eq!(repeats.admit("FAIL"), None);
        assert_eq!(repeats.admit("other"), Some(0));
        advance(PERIOD / 2).await;
        assert_eq!(repeats.admit("FAIL"), None);
        advance(PERIOD / 2).await;
        assert_eq!(repeats.admit("FAIL"), Some(2));
        assert_eq!(repeats.admit("FAIL"), None);
        advance(PERIOD).await;
        assert_eq!(repeats.admit("FAIL"), Some(1));
    }

    #[tokio::test(start_paused = true)]
    async fn remembers_a_bounded_number_of_keys() {
        let repeats = Repeats::new(PERIOD);
        for n in 0..MAX_KEYS * 3 {
            assert_eq!(repeats.admit(&n.to_string()), Some(0));
        }
        assert!(repeats.seen.lock().unwrap().len() <= MAX_KEYS);
    }
}
