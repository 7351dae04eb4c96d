//! Logs: human text on a terminal, one JSON object a line otherwise; to standard error, so that standard output stays
//! for what a verb prints.
//!
//! Levels say who acts: error: data at risk or a human needed; warn: odd, recovering; info: state changes; nothing for
//! each event above trace. Row values and secrets are never logged.

use crate::config::LogFormat;
use crate::error::{Code, Error, Result};
use std::io::{self, IsTerminal};
use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::{MakeWriter, fmt};
use tracing_subscriber::util::SubscriberInitExt;

/// Libraries say at info what the relay says better, or over and over. `log.level` may name a target to hear it all.
const NOISE: &str = "librdkafka=warn,rdkafka=warn,mysql_async=warn,hyper=warn";

/// Sends the process's logs to standard error from now on. `level` is a `tracing` filter such as `info` or
/// `outboxd=debug,info`.
pub fn init(format: LogFormat, level: &str) -> Result<()> {
    let terminal = io::stderr().is_terminal();
    let initialised = match as_json(format, terminal) {
        true => json(level, io::stderr)?.try_init(),
        false => text(level, terminal, io::stderr)?.try_init(),
    };
    initialised.map_err(|e| Error::new(Code::Internal, "logging was set up twice").caused_by(e))
}

fn as_json(format: LogFormat, terminal: bool) -> bool {
    match format {
        LogFormat::Json => true,
        LogFormat::Text => false,
        LogFormat::Auto => !terminal,
    }
}

/// Times are RFC 3339 in UTC to the microsecond, by default of `tracing-subscriber`.
fn json<W>(level: &str, writer: W) -> Result<impl Subscriber + Send + Sync + use<W>>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = fmt().json().flatten_event(true).with_current_span(false).with_span_list(false);
    Ok(lines.with_env_filter(filter(level)?).with_writer(writer).finish())
}

fn text<W>(level: &str, colours: bool, writer: W) -> Result<impl Subscriber + Send + Sync + use<W>>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let colours = colours && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    Ok(fmt().with_ansi(colours).with_env_filter(filter(level)?).with_writer(writer).finish())
}

/// Directives for the same target replace earlier ones, so the operator has the last word.
fn filter(level: &str) -> Result<EnvFilter> {
    EnvFilter::try_new(format!("{NOISE},{level}")).map_err(|e| {
        Error::new(Code::ConfigInvalid, format!("log.level = {level:?} is not a filter"))
            .caused_by(e)
            .with_fix("Use error, warn, info, debug or trace, or directives such as `outboxd=debug,info`.")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};
    use tracing::subscriber::with_default;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Lines {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }

        fn maker(&self) -> impl Fn() -> Lines + Send + Sync + 'static {
            let lines = self.clone();
            move || lines.clone()
        }
    }

    #[test]
    fn a_json_line_has_flat_fields_and_microseconds() {
        let lines = Lines::default();
        with_default(json("info", lines.maker()).unwrap(), || {
            tracing::info!(table = "shop.outbox", attempt = 3, "connected");
            tracing::debug!("not shown");
        });
        let line: serde_json::Value = serde_json::from_str(&lines.text()).unwrap();
        assert_eq!((&line["level"], &line["message"]), (&"INFO".into(), &"connected".into()));
        assert_eq!((&line["table"], &line["attempt"]), (&"shop.outbox".into(), &3.into()));
        assert_eq!(line["target"], module_path!());
        let time = line["timestamp"].as_str().unwrap();
        assert!(time.len() == "2026-01-01T00:00:00.000000Z".len() && time.ends_with('Z'), "{time}");
    }

    #[test]
    fn text_has_no_colours_off_a_terminal() {
        let lines = Lines::default();
        with_default(text("warn", false, lines.maker()).unwrap(), || tracing::warn!(attempt = 3, "odd"));
        assert!(lines.text().contains("WARN") && lines.text().contains("odd attempt=3"), "{}", lines.text());
        assert!(!lines.text().contains('\u{1b}'));
    }

    #[test]
    fn libraries_are_quiet_unless_named() {
        let heard = |level: &str| {
            let lines = Lines::default();
            with_default(json(level, lines.maker()).unwrap(), || {
                tracing::info!(target: "librdkafka", "noise");
                tracing::info!(target: "rdkafka::client", "noise");
                tracing::info!(target: "mysql_async::conn", "noise");
            });
            lines.text().lines().count()
        };
        assert_eq!(heard("debug"), 0);
        assert_eq!(heard("info,librdkafka=info"), 1);
        assert_eq!(heard("info,librdkafka=debug,rdkafka=debug,mysql_async=trace"), 3);
    }

    #[test]
    fn a_wrong_level_is_a_configuration_error() {
        let error = init(LogFormat::Auto, "outboxd=loud").unwrap_err();
        assert_eq!(error.code(), Code::ConfigInvalid);
        assert!(error.to_string().contains("log.level"));
    }

    #[test]
    fn auto_follows_the_terminal() {
        assert!(as_json(LogFormat::Auto, false) && !as_json(LogFormat::Auto, true));
        assert!(as_json(LogFormat::Json, true) && !as_json(LogFormat::Text, false));
    }
}
