//! `make demo`: the main job on real servers, two crashes included, and a proof in the end.
//!
//! A shop writes into a real MySQL, outboxd relays, Kafka's own console consumer reads. outboxd is a process like any
//! other here: no code is shared with it. Exit status 1 if the proof does not hold.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use testbed::{Mysql, Shared};

mod interrupt;
mod proof;
mod relay;
mod screen;
mod shop;
mod watch;

use proof::Proof;
use relay::Relay;
use screen::{bold, say, section};
use shop::Shop;
use watch::{Watch, committed};

/// Where outboxd's default template sends aggregates of the type `Order`.
const TOPIC: &str = "outbox.event.Order";

const USAGE: &str = "usage: demo OUTBOXD CONFIG [--stay]
Shows the binary OUTBOXD with the file CONFIG at work between a real MySQL and a real Kafka. --stay leaves all of it up until Ctrl-C.
Needs what tests/testbed/setup.sh fetches; `make demo` does that.";

/// A shop that is busy, but leaves a small machine room for everything else.
const TILLS: u64 = 4;
const PAUSE: Duration = Duration::from_millis(15);
/// The same while somebody looks around.
const LOOKING_AROUND: Duration = Duration::from_secs(2);

/// Records before each crash.
const FLOW: u64 = 800;
/// Rows that are written while outboxd is down.
const BACKLOG: u64 = 500;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(binary), Some(config), stay) = (arguments.next(), arguments.next(), arguments.next()) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let stay = stay.is_some_and(|word| word == "--stay");
    match interrupt::watch().and_then(|()| show(binary.as_ref(), config.as_ref(), stay)) {
        _ if interrupt::asked() => {
            println!("\nstopped; everything that the demo started is gone");
            ExitCode::from(interrupt::STATUS)
        }
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("\n{} {error:#}", screen::bad("the demo failed:"));
            ExitCode::FAILURE
        }
    }
}

/// Whether the proof holds.
fn show(binary: &Path, config: &Path, stay: bool) -> Result<bool> {
    ensure!(binary.exists(), "no outboxd at {}", binary.display());
    let began = Instant::now();
    section("A real MySQL and a real Kafka, on free ports of this machine");
    let Shared { mysql, kafka } = Shared::start()?;
    interrupt::ensure_not_asked()?;
    say(format!("MySQL  {}   {}", mysql.root_url(), mysql.sql("SELECT VERSION()")?.trim()));
    say(format!("Kafka  {}", kafka.bootstrap()));
    shop::create_tables(&mysql)?;
    say("created the tables shop.orders and shop.outbox");

    section(&format!("outboxd run -c {}", config.display()));
    let mut relay = Relay::new(binary, config, &mysql, &kafka)?;
    let took = relay.start()?;
    say(format!("ready after {:.1} s", took.as_secs_f64()));
    say(format!("state http://{0}/   status http://{0}/status   metrics http://{0}/metrics", relay.http()));

    section("A shop opens: each transaction writes orders and their events; about one in ten is rolled back");
    let mut shop = Some(Shop::open(&mysql, "a", TILLS, PAUSE)?);
    say("Kafka's own console consumer starts, with isolation.level=read_committed; the first records it prints:");
    let mut watch = Watch::start(&kafka)?;
    watch.show(3, &mut relay)?;
    say(format!("({:.0} s after the demo's start) the rest is counted:", began.elapsed().as_secs_f64()));
    watch.count_until(&mysql, &mut relay, &mut shop, |seen| Ok(seen >= FLOW))?;

    section("First crash: kill -9 while rows flow");
    crash(&mysql, &mut relay, &mut watch, &mut shop)?;
    section("Second crash: kill -9 while it works through what it missed");
    crash(&mysql, &mut relay, &mut watch, &mut shop)?;
    let end = watch.seen() + FLOW;
    watch.count_until(&mysql, &mut relay, &mut shop, |seen| Ok(seen >= end))?;

    section("The shop closes");
    shop.take().map_or(Ok(()), Shop::close)?;
    let all = committed(&mysql)?;
    watch.count_until(&mysql, &mut relay, &mut shop, |seen| Ok(seen >= all))?;
    relay.stop()?;
    say("the consumer has caught up; outboxd got SIGTERM and exited with status 0");

    section("The proof: a new consumer reads the topic from its beginning; its records against MySQL's rows");
    say(transactions(&mysql)?);
    let proof = Proof::of(&proof::rows(&mysql)?, &proof::records(&kafka)?);
    proof.show();
    println!();
    if proof.holds() {
        println!("{}", screen::good("outboxd delivered each committed row exactly once"));
    } else {
        println!("{}", screen::bad("outboxd did NOT deliver each committed row exactly once"));
    }
    if stay {
        look_around(&mysql, &mut relay, &mut watch)?;
    }
    // The servers are killed as they go out of scope: nobody needs their data, and MySQL's orderly end takes seconds.
    Ok(proof.holds())
}

/// Kills outboxd, lets the shop write on, and starts outboxd again until its first new record.
fn crash(mysql: &Mysql, relay: &mut Relay, watch: &mut Watch, shop: &mut Option<Shop>) -> Result<()> {
    let pid = relay.kill()?;
    let (rows, seen) = (committed(mysql)?, watch.seen());
    say(bold(&format!("kill -9 {pid}, with {rows} rows committed and {seen} records seen")));
    say(format!("the shop does not notice: {BACKLOG} more rows while outboxd is down"));
    watch.count_until(mysql, relay, shop, |_| Ok(committed(mysql)? >= rows + BACKLOG))?;
    let took = relay.start()?;
    say(format!("started again: ready after {:.1} s, from the checkpoint that Kafka holds", took.as_secs_f64()));
    let seen = watch.seen();
    watch.count_until(mysql, relay, shop, |now| Ok(now > seen))
}

/// What MySQL itself counted.
fn transactions(mysql: &Mysql) -> Result<String> {
    let text = mysql
        .sql("SHOW GLOBAL STATUS WHERE Variable_name IN ('Com_commit', 'Com_rollback', 'Com_rollback_to_savepoint')")?;
    let counts: Vec<&str> = text.lines().filter_map(|line| Some(line.split_once('\t')?.1)).collect();
    let [commits, rollbacks, partial] = counts[..] else { bail!("cannot read MySQL's counters: {text}") };
    Ok(format!(
        "MySQL counted {commits} transactions committed, {partial} of them rolled back in part, and {rollbacks} rolled back"
    ))
}

/// Everything stays up, and the shop goes on slowly.
fn look_around(mysql: &Mysql, relay: &mut Relay, watch: &mut Watch) -> Result<()> {
    section("Look around; Ctrl-C stops everything");
    relay.start()?;
    say(format!("state    http://{}/", relay.http()));
    say(format!("MySQL    {} --table", client(mysql)));
    say("write    INSERT INTO shop.outbox VALUES (UUID(), 'Order', 'mine', 'Hello', '{\"seq\":1}');");
    let shop = Shop::open(mysql, "b", 1, LOOKING_AROUND)?;
    watch.show_all(relay)?;
    drop(shop);
    Ok(())
}

/// The command line, for a person's shell.
fn client(mysql: &Mysql) -> String {
    let command = mysql.client();
    let arguments: Vec<_> = command.get_args().map(|argument| argument.to_string_lossy()).collect();
    let own = arguments.iter().position(|argument| argument == "--").map_or(0, |at| at + 1);
    let batch = ["--batch", "--skip-column-names"];
    arguments[own..]
        .iter()
        .filter(|argument| !batch.contains(&argument.as_ref()))
        .map(AsRef::as_ref)
        .collect::<Vec<_>>()
        .join(" ")
}
