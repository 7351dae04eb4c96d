//! `testbed up`: MySQL and Kafka for a developer's manual runs, until Ctrl-C.

use std::process::ExitCode;

use anyhow::{Context, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use testbed::Shared;

const USAGE: &str = "usage: testbed up
Starts MySQL and Kafka on free loopback ports, prints their addresses and stops them on Ctrl-C.
Needs what tests/testbed/setup.sh fetches. OUTBOXD_KEEP=1 keeps their data.";

fn main() -> Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments != ["up"] {
        eprintln!("{USAGE}");
        return Ok(ExitCode::from(2));
    }
    up()?;
    Ok(ExitCode::SUCCESS)
}

fn up() -> Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).context("catching signals")?;
    let Shared { mut mysql, kafka } = Shared::start()?;
    println!("mysql  {}", mysql.url("shop"));
    println!("mysql  {}  (replication only)", mysql.url("outboxd"));
    println!("kafka  {}", kafka.bootstrap());
    println!("socket {}", mysql.socket().display());
    println!("ca {}", mysql.ca_file().display());
    println!("processes {} {}", mysql.pid()?, kafka.pid(0)?);
    println!("Ctrl-C stops both and removes their data");
    signals.forever().next();
    mysql.stop()?;
    drop(kafka);
    Ok(())
}
