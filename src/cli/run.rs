//! `outboxd run`: the daemon.

use super::{RunArguments, show_mistakes};
use outboxd::config::{self, Loaded};
use outboxd::error::{Code, Error, Result, exit};
use outboxd::relay::Orders;
use outboxd::shutdown::Shutdown;
use outboxd::{relay, telemetry};

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
    if let Err(error) = telemetry::logging::init(loaded.config.log.format, &loaded.config.log.level) {
        // There is no log to write it to.
        eprintln!("{}", error.report());
        return error.exit_code();
    }
    let orders = Orders { first_start: arguments.first_start, take_over: arguments.take_over };
    match relay(loaded, orders) {
        Ok(()) => exit::OK,
        Err(error) => {
            tracing::error!(code = %error.code(), error = error.chain(), why = error.code().why(), fix = error.fix(), "stopped");
            error.exit_code()
        }
    }
}

fn relay(loaded: Loaded, orders: Orders) -> Result<()> {
    let Loaded { config, warnings } = loaded;
    for warning in &warnings {
        tracing::warn!(place = %warning.place(), "{}", warning.message());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("outboxd").build();
    let runtime = runtime.map_err(|error| Error::new(Code::Internal, "the runtime cannot start").caused_by(error))?;
    let result = runtime.block_on(async {
        let (shutdown, _signals) = Shutdown::on_signals(config.shutdown_timeout)?;
        relay::supervise(config, orders, shutdown).await
    });
    // A blocking call into librdkafka may still wait for a broker; nothing depends on it any more.
    runtime.shutdown_background();
    result
}
