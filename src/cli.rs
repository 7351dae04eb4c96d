//! Arguments → verb → exit status; one file a verb. Statuses are those of [`outboxd::error::exit`].

use clap::{Args, Parser, Subcommand, ValueEnum};
use outboxd::config::{Mistakes, Sources};
use outboxd::error::exit;
use std::path::{Path, PathBuf};

mod completions;
mod doctor;
mod health;
mod run;
mod validate;
mod version;

/// Where packages put the file.
const DEFAULT_FILE: &str = "/etc/outboxd/outboxd.toml";
const FILE_VARIABLE: &str = "OUTBOXD_CONFIG";

/// Carries committed MySQL outbox rows to Kafka exactly once.
#[derive(Debug, Parser)]
#[command(name = "outboxd", version, args_conflicts_with_subcommands = true, after_help = AFTER)]
struct Arguments {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    run: RunArguments,
}

const AFTER: &str = "\
Without a verb: run.
Exit statuses: 0 clean stop, 3 another instance took over, 65 source data or history, 69 MySQL or Kafka unavailable,
70 defect, 75 start again, 77 permission, 78 configuration.";

#[derive(Debug, Subcommand)]
enum Verb {
    /// Relay until SIGTERM (the default)
    Run(RunArguments),
    /// Check configuration files without connecting anywhere
    #[command(alias = "check")]
    Validate(validate::Arguments),
    /// Look at MySQL and Kafka: what would keep a relay from working, and how to mend it
    Doctor(doctor::Arguments),
    /// Show the version of outboxd and of librdkafka
    Version(version::Arguments),
    /// Probe a running relay: status 0 if it answers that it is well, else 1
    Health(health::Arguments),
    /// Write a completion script for a shell
    Completions(completions::Arguments),
}

/// Where the configuration comes from.
#[derive(Args, Debug, Default)]
struct ConfigArguments {
    /// Configuration file [env: OUTBOXD_CONFIG] [default: /etc/outboxd/outboxd.toml]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Override a key, e.g. --set source.host=db1; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
}

#[derive(Args, Debug)]
struct RunArguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// Override log.format
    #[arg(long, value_enum)]
    log_format: Option<LogFormat>,
    /// Begin at source.start although the output topics hold records of this source: rows may be skipped or repeated
    #[arg(long)]
    first_start: bool,
    /// Take over although an instance that replaced the one at this place still works
    #[arg(long)]
    take_over: bool,
    /// Override log.level
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogFormat {
    Auto,
    Text,
    Json,
}

impl LogFormat {
    fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

impl ConfigArguments {
    /// The file given, else that of the environment, else the default place if there is one: a relay can be configured
    /// by variables alone.
    fn file(&self) -> Option<PathBuf> {
        let given = self.config.clone().or_else(|| std::env::var_os(FILE_VARIABLE).map(PathBuf::from));
        given.or_else(|| Path::new(DEFAULT_FILE).exists().then(|| DEFAULT_FILE.into()))
    }

    fn sources(&self) -> Sources {
        Sources::of_process(self.file(), self.set.clone())
    }
}

impl RunArguments {
    fn sources(&self) -> Sources {
        let mut sources = self.config.sources();
        sources.set.extend(self.log_format.map(|format| format!("log.format={}", format.name())));
        sources.set.extend(self.log_level.as_ref().map(|level| format!("log.level={level}")));
        sources
    }
}

/// Reads the arguments and does what they ask for; the answer is the exit status.
pub(crate) fn start() -> u8 {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return report(&error),
    };
    match arguments.verb {
        None => run::run(&arguments.run),
        Some(Verb::Run(arguments)) => run::run(&arguments),
        Some(Verb::Validate(arguments)) => validate::validate(&arguments),
        Some(Verb::Doctor(arguments)) => doctor::doctor(&arguments),
        Some(Verb::Version(arguments)) => version::version(&arguments),
        Some(Verb::Health(arguments)) => health::health(&arguments),
        Some(Verb::Completions(arguments)) => completions::completions(&arguments),
    }
}

/// Shows why a configuration cannot be used, and where a file was looked for in vain.
fn show_mistakes(mistakes: &Mistakes, sources: &Sources) {
    eprintln!("{mistakes}");
    if sources.file.is_none() {
        eprintln!("note: no file was read: {DEFAULT_FILE} does not exist; name one with -c FILE");
    }
}

/// clap's own status for wrong arguments is 2; a service manager knows what 78 means.
fn report(error: &clap::Error) -> u8 {
    // Nothing is left to do if the terminal is gone.
    let _ = error.print();
    if error.use_stderr() { exit::CONFIG } else { exit::OK }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn arguments_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn run_is_the_default_verb() {
        let arguments = Arguments::try_parse_from(["outboxd", "-c", "x.toml", "--set", "a=b", "--set", "c=d"]).unwrap();
        assert!(arguments.verb.is_none());
        assert_eq!(arguments.run.config.file(), Some("x.toml".into()));
        assert_eq!(arguments.run.config.set, ["a=b", "c=d"]);
    }

    #[test]
    fn log_flags_become_overrides() {
        let parsed =
            Arguments::try_parse_from(["outboxd", "run", "--log-format", "json", "--log-level", "debug"]).unwrap();
        let Some(Verb::Run(arguments)) = parsed.verb else { panic!("not run") };
        assert_eq!(arguments.sources().set, ["log.format=json", "log.level=debug"]);
    }

    #[test]
    fn wrong_arguments_are_a_configuration_mistake() {
        let error = Arguments::try_parse_from(["outboxd", "--nonsense"]).unwrap_err();
        assert_eq!(report(&error), exit::CONFIG);
    }
}
