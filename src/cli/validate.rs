//! `outboxd validate`: all mistakes of configuration files, offline.

use super::{ConfigArguments, show_mistakes};
use clap::Args;
use outboxd::config::{self, Sources};
use outboxd::error::exit;
use std::path::PathBuf;

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// Files to check, each for itself; by default the one that `run` would use
    #[arg(value_name = "FILE", conflicts_with = "config")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    config: ConfigArguments,
    /// Count warnings as mistakes
    #[arg(short, long)]
    deny_warnings: bool,
}

/// Prints the mistakes, or `ok`.
pub(super) fn validate(arguments: &Arguments) -> u8 {
    let mut usable = true;
    for sources in each(arguments) {
        usable &= check(&sources, arguments.deny_warnings);
    }
    if usable { exit::OK } else { exit::CONFIG }
}

fn each(arguments: &Arguments) -> Vec<Sources> {
    if arguments.files.is_empty() {
        return vec![arguments.config.sources()];
    }
    let files = arguments.files.iter().cloned();
    files.map(|file| Sources::of_process(Some(file), arguments.config.set.clone())).collect()
}

fn check(sources: &Sources, deny_warnings: bool) -> bool {
    let name = sources.file.as_ref().map_or_else(|| "configuration".to_owned(), |file| file.display().to_string());
    match config::load(sources) {
        Err(mistakes) => {
            show_mistakes(&mistakes, sources);
            false
        }
        Ok(loaded) => {
            for warning in &loaded.warnings {
                eprintln!("{warning}");
            }
            let denied = deny_warnings && !loaded.warnings.is_empty();
            match denied {
                true => eprintln!("{name}: refused because of its warnings (--deny-warnings)"),
                false => println!("{name}: ok"),
            }
            !denied
        }
    }
}
