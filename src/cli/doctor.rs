//! `outboxd doctor`: what would keep a relay from working, on both sides, with the way to mend it.

use super::{ConfigArguments, show_mistakes};
use clap::Args;
use outboxd::config::{self, Config};
use outboxd::error::exit;
use outboxd::findings::{Finding, Level};
use outboxd::relay::doctor::{self, Diagnosis};
use serde_json::{Value, json};

#[derive(Args, Debug)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// As one JSON object
    #[arg(long)]
    json: bool,
}

/// Prints every finding; the status is that of the first one that is wrong.
pub(super) fn doctor(arguments: &Arguments) -> u8 {
    let sources = arguments.config.sources();
    let config = match config::load(&sources) {
        Ok(loaded) => loaded.config,
        Err(mistakes) => {
            show_mistakes(&mistakes, &sources);
            return exit::CONFIG;
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("the runtime cannot start: {error}");
            return exit::BUG;
        }
    };
    let diagnosis = runtime.block_on(doctor::diagnose(&config));
    // A call into librdkafka may still wait for a broker; nothing depends on it.
    runtime.shutdown_background();
    let status = status(&diagnosis);
    match arguments.json {
        true => println!("{}", as_json(&config, &diagnosis, status)),
        false => print(&diagnosis),
    }
    status
}

fn status(diagnosis: &Diagnosis) -> u8 {
    diagnosis.all().find_map(|finding| finding.code).map_or(exit::OK, |code| code.exit_code())
}

fn print(diagnosis: &Diagnosis) {
    for (side, findings) in [("Kafka", &diagnosis.kafka), ("MySQL", &diagnosis.mysql)] {
        println!("{side}");
        for finding in findings {
            println!("{}", line(finding));
        }
    }
    let count = |level| diagnosis.all().filter(|finding| finding.level == level).count();
    println!("{} good, {} to know, {} wrong", count(Level::Good), count(Level::Warning), count(Level::Wrong));
}

fn line(finding: &Finding) -> String {
    let sign = match finding.level {
        Level::Good => '✓',
        Level::Warning => '!',
        Level::Wrong => '✗',
    };
    let code = finding.code.map(|code| format!(" [{code}]")).unwrap_or_default();
    let mut line = format!("  {sign} {}: {}{code}", finding.check, finding.what);
    if finding.level != Level::Good && !finding.fix.is_empty() {
        line.push_str(&format!("\n      fix: {}", finding.fix));
    }
    line
}

fn as_json(config: &Config, diagnosis: &Diagnosis, status: u8) -> Value {
    let findings = |findings: &[Finding]| findings.iter().map(of).collect::<Vec<_>>();
    json!({
        "name": config.name,
        "status": status,
        "kafka": findings(&diagnosis.kafka),
        "mysql": findings(&diagnosis.mysql),
    })
}

fn of(finding: &Finding) -> Value {
    json!({
        "check": finding.check,
        "level": finding.level.name(),
        "code": finding.code.map(|code| code.to_string()),
        "what": finding.what,
        "fix": finding.fix,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use outboxd::error::Code;

    #[test]
    fn a_finding_is_a_line_and_its_fix_another() {
        assert_eq!(line(&Finding::good("log_bin", "ON")), "  ✓ log_bin: ON");
        let odd = Finding::warning("clock", "ahead", "NTP");
        assert_eq!(line(&odd), "  ! clock: ahead\n      fix: NTP");
        let wrong = Finding::wrong(Code::SourceSettings, "log_bin", "OFF", "start");
        assert_eq!(line(&wrong), "  ✗ log_bin: OFF [OBX-2101]\n      fix: start");
    }

    #[test]
    fn the_first_wrong_finding_gives_the_status() {
        let wrong = |code| Finding::wrong(code, "x", "", "");
        let mut diagnosis =
            Diagnosis { kafka: vec![Finding::good("x", "")], mysql: vec![Finding::warning("x", "", "")] };
        assert_eq!(status(&diagnosis), 0);
        diagnosis.mysql.extend([wrong(Code::SourcePrivilege), wrong(Code::SourceSettings)]);
        assert_eq!(status(&diagnosis), 77);
        diagnosis.kafka.push(wrong(Code::KafkaUnavailable));
        assert_eq!(status(&diagnosis), 69);
    }
}
