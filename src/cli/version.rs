//! `outboxd version`.

use clap::Args;
use outboxd::error::exit;

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// As one JSON object
    #[arg(long)]
    json: bool,
}

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Set by the build, if it knows.
const REVISION: Option<&str> = option_env!("OUTBOXD_REVISION");

/// Prints the versions that a report of a problem needs.
pub(super) fn version(arguments: &Arguments) -> u8 {
    let (_, librdkafka) = rdkafka::util::get_rdkafka_version();
    if arguments.json {
        println!("{}", serde_json::json!({ "version": VERSION, "revision": REVISION, "librdkafka": librdkafka }));
    } else {
        println!("outboxd {VERSION} ({}), librdkafka {librdkafka}", REVISION.unwrap_or("unknown revision"));
    }
    exit::OK
}
