//! Named places where a test may kill, stop or fail the relay. Without the feature `failpoints` a hit is an empty inline
//! function, and the binary does not even know the variable's name (`tests/it/holds_no_failpoint.rs` looks).

/// Nothing.
///
/// # Errors
/// Never.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub fn hit(_name: &'static str) -> crate::error::Result<()> {
    Ok(())
}

#[cfg(feature = "failpoints")]
pub use armed::hit;

#[cfg(feature = "failpoints")]
mod armed {
    use std::sync::{Mutex, PoisonError};

    use crate::error::{Code, Error, Result};

    /// `NAME[:HIT]=kill|error|stop`, or a list of such, separated by commas: what to do when the place called NAME is passed
    /// for the HITth time (default 1). The next one of a list is armed when the one before it has been done.
    const VARIABLE: &str = "OUTBOXD_FAILPOINT";

    #[derive(Debug, PartialEq, Eq)]
    struct Armed {
        name: String,
        /// Passes that are left before it is done.
        hit: u64,
        action: Action,
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Action {
        Kill,
        Error,
        Stop,
    }

    /// The first is armed; read from the environment at the first hit.
    static ARMED: Mutex<Option<Vec<Armed>>> = Mutex::new(None);

    /// The relay passes the place called `name`.
    ///
    /// # Errors
    /// `DeliveryFailed` if the place is armed with `error`.
    ///
    /// # Panics
    /// If the variable cannot be read: a test with a misspelt place would prove nothing.
    pub fn hit(name: &'static str) -> Result<()> {
        // Held until the action is done: another thread may pass the next place of the list meanwhile.
        let mut armed = ARMED.lock().unwrap_or_else(PoisonError::into_inner);
        let armed =
            armed.get_or_insert_with(|| std::env::var(VARIABLE).map(|text| parse_all(&text)).unwrap_or_default());
        match pass(armed, name) {
            None => Ok(()),
            // No destructor and no exit handler runs: for the servers it is a crash.
            Some(Action::Kill) => std::process::abort(),
            Some(Action::Error) => {
                // Said here: before the error is logged, another thread may meet the next place, which kills.
                tracing::warn!("failpoint {name} fails");
                Err(Error::new(Code::DeliveryFailed, format!("failpoint {name}")))
            }
            Some(Action::Stop) => {
                tracing::warn!("failpoint {name} stops");
                // Sent to this very thread, which therefore goes no further; the others stop with it.
                let sent = signal_hook::low_level::raise(signal_hook::consts::SIGSTOP);
                assert!(sent.is_ok(), "SIGSTOP");
                tracing::warn!("failpoint {name} goes on");
                Ok(())
            }
        }
    }

    /// What is due when this place is passed.
    fn pass(armed: &mut Vec<Armed>, name: &str) -> Option<Action> {
        let first = armed.first_mut().filter(|first| first.name == name)?;
        first.hit = first.hit.saturating_sub(1);
        (first.hit == 0).then(|| armed.remove(0).action)
    }

    fn parse_all(text: &str) -> Vec<Armed> {
        text.split(',').map(parse).collect()
    }

    fn parse(text: &str) -> Armed {
        let read = || {
            let (place, action) = text.split_once('=')?;
            let (name, hit) = place.split_once(':').unwrap_or((place, "1"));
            let action = match action {
                "kill" => Action::Kill,
                "error" => Action::Error,
                "stop" => Action::Stop,
                _ => return None,
            };
            Some(Armed { name: name.to_owned(), hit: hit.parse().ok()?, action })
        };
        read().unwrap_or_else(|| panic!("{VARIABLE}={text}: not NAME[:HIT]=kill|error|stop"))
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn reads_name_hit_and_action() {
            assert_eq!(parse("a=kill"), Armed { name: "a".into(), hit: 1, action: Action::Kill });
            assert_eq!(parse("a_b:12=error"), Armed { name: "a_b".into(), hit: 12, action: Action::Error });
        }

        #[test]
        fn the_next_of_a_list_is_armed_when_the_one_before_is_done() {
            let mut armed = parse_all("a:2=stop,b=error,a=kill");
            let passed = ["b", "a", "c", "a", "a", "b", "a", "a"].map(|name| pass(&mut armed, name));
            let expected = [None, None, None, Some(Action::Stop), None, Some(Action::Error), Some(Action::Kill), None];
            assert_eq!(passed, expected);
        }

        #[test]
        #[should_panic(expected = "not NAME")]
        fn refuses_what_it_cannot_read() {
            parse("a=explode");
        }
    }
}
