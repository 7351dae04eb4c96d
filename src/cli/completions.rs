//! `outboxd completions SHELL`.

use clap::{Args, CommandFactory};
use outboxd::error::exit;
use std::io::Write;

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The shell
    shell: clap_complete::Shell,
}

/// Writes the script to standard output.
pub(super) fn completions(arguments: &Arguments) -> u8 {
    // Generated in memory: the generator panics if its output is closed early, e.g. by `head`.
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut super::Arguments::command(), "outboxd", &mut script);
    match std::io::stdout().write_all(&script) {
        Ok(()) => exit::OK,
        Err(_) => exit::UNAVAILABLE,
    }
}
