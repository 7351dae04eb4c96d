//! How often a proof is repeated: a few times in `make test`, in full in `make test-crash`.

/// Set to `full` by `make test-crash`.
const VARIABLE: &str = "OUTBOXD_PROOF";

/// Relays that a full proof keeps busy at once: most of their time they wait for the next attempt of a request.
pub(crate) const LANES: usize = 6;

/// Whether this is a full proof.
pub(crate) fn is_full() -> bool {
    std::env::var(VARIABLE).is_ok_and(|value| value == "full")
}

/// `quick` times, or `full` times in a full proof.
pub(crate) fn times(quick: usize, full: usize) -> usize {
    if is_full() { full } else { quick }
}

#[cfg(feature = "failpoints")]
/// Crash injections of a full proof; `make soak-crash N=…` asks for more.
pub(crate) fn injections() -> usize {
    std::env::var("OUTBOXD_INJECTIONS").map_or(1_000, |count| count.parse().unwrap())
}

#[cfg(feature = "failpoints")]
/// Runs of the search for leaks.
pub(crate) fn incarnations() -> usize {
    std::env::var("OUTBOXD_INCARNATIONS").map_or(1_000, |count| count.parse().unwrap())
}

/// Splits so many tries over at most so many lanes of a full proof; one lane in a quick one.
pub(crate) fn lanes(tries: usize, most: usize) -> Vec<usize> {
    let lanes = times(1, most).min(tries.max(1));
    (0..lanes).map(|lane| tries / lanes + usize::from(lane < tries % lanes)).collect()
}

/// Shares so many tries among threads as [`lanes`] says; each gets a name of its own.
pub(crate) fn share(name: &str, tries: usize, most: usize, work: impl Fn(&str, usize) + Sync) {
    std::thread::scope(|scope| {
        for (number, share) in lanes(tries, most).into_iter().enumerate() {
            let work = &work;
            scope.spawn(move || work(&format!("{name}_{number}"), share));
        }
    });
}
