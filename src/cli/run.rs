//! `outboxd run`: the daemon.

use super::{RunArguments, show_mistakes};
use outboxd::config::{self, Loaded};
use outboxd::error::{Code, Error, Result, exit};

/// Loads the configuration and relays until told to stop.
pub(super) fn run(arguments: &RunArguments) -> u8 {
    let sources = arguments.sources();
    let loaded = match config::load(&sources) {
        Ok(loaded) => loaded,
        Err(mistakes) => {
            show_mistakes(&mistakes, &sources);
            return exit::CONFIG;
        }
    };
    match relay(loaded) {
        Ok(()) => exit::OK,
        Err(error) => {
            eprintln!("{}", error.report());
            error.exit_code()
        }
    }
}

/// The runtime that everything runs on: its start is the last thing that can fail before the relay.
fn relay(loaded: Loaded) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("outboxd").build();
    let runtime = runtime.map_err(|error| Error::new(Code::Internal, "the runtime cannot start").caused_by(error))?;
    runtime.block_on(supervise(loaded))
}

/// Placeholder for `outboxd::relay::supervise(config)`. The lead also sets up logging here and logs the warnings.
async fn supervise(loaded: Loaded) -> Result<()> {
    let Loaded { config, warnings } = loaded;
    for warning in &warnings {
        eprintln!("{warning}");
    }
    std::future::ready(Err(Error::new(Code::Internal, format!("this build has no relay for {:?}", config.name)))).await
}
