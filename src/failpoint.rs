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
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    use crate::error::{Code, Error, Result};

    /// `NAME[:HIT]=kill|error|stop`: what to do when the place called NAME is passed for the HITth time (default 1).
    const VARIABLE: &str = "OUTBOXD_FAILPOINT";

    #[derive(Debug, PartialEq, Eq)]
    struct Armed {
        name: String,
        hit: u64,
        action: Action,
    }

    #[derive(Debug, PartialEq, Eq)]
    enum Action {
        Kill,
        Error,
        Stop,
    }

    /// The relay passes the place called `name`.
    ///
    /// # Errors
    /// `DeliveryFailed` if the place is armed with `error`.
    ///
    /// # Panics
    /// If the variable cannot be read: a test with a misspelt place would prove nothing.
    pub fn hit(name: &'static str) -> Result<()> {
        static ARMED: OnceLock<Option<Armed>> = OnceLock::new();
        static HITS: AtomicU64 = AtomicU64::new(0);
        let armed = ARMED.get_or_init(|| std::env::var(VARIABLE).ok().map(|text| parse(&text)));
        let Some(armed) = armed.as_ref().filter(|armed| armed.name == name) else { return Ok(()) };
        if HITS.fetch_add(1, Ordering::Relaxed) + 1 != armed.hit {
            return Ok(());
        }
        match armed.action {
            // No destructor and no exit handler runs: for the servers it is a crash.
            Action::Kill => std::process::abort(),
            Action::Error => Err(Error::new(Code::DeliveryFailed, format!("failpoint {name}"))),
            Action::Stop => {
                // The signal stops every thread of this process, this one before the child has ended.
                let own = std::process::id().to_string();
                let sent = std::process::Command::new("kill").args(["-STOP", &own]).status();
                assert!(sent.is_ok_and(|status| status.success()), "kill -STOP");
                Ok(())
            }
        }
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
        #[should_panic(expected = "not NAME")]
        fn refuses_what_it_cannot_read() {
            parse("a=explode");
        }
    }
}
