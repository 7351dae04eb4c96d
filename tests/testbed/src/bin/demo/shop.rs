//! A small shop. Each till is one `mysql` client that writes orders, and their events into the outbox, in the same
//! transactions: the pattern that outboxd exists for.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::Stdio;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use testbed::Mysql;
use testbed::process::{self, Process};

/// The tables. Rows of the outbox stay in it, so that they can be counted in the end.
const TABLES: &str = "
CREATE DATABASE shop;
CREATE TABLE shop.orders (
  id    VARCHAR(32) NOT NULL PRIMARY KEY,
  state VARCHAR(16) NOT NULL,
  cents INT         NOT NULL
);
CREATE TABLE shop.outbox (
  id            CHAR(36)     NOT NULL PRIMARY KEY,
  aggregatetype VARCHAR(255) NOT NULL,
  aggregateid   VARCHAR(255) NOT NULL,
  type          VARCHAR(255) NOT NULL,
  payload       JSON
);";

/// Each order goes through these, one event for each.
const STATES: [(&str, &str); 4] =
    [("placed", "OrderPlaced"), ("paid", "OrderPaid"), ("packed", "OrderPacked"), ("shipped", "OrderShipped")];

/// How many orders a till has in hand.
const OPEN_ORDERS: usize = 8;

/// More than a till needs for what it has still to send when the shop closes.
const CLOSING: Duration = Duration::from_secs(60);

/// Creates the shop's tables.
pub(crate) fn create_tables(mysql: &Mysql) -> Result<()> {
    mysql.sql(TABLES).map(drop)
}

/// An open shop; closed when dropped.
#[derive(Debug)]
pub(crate) struct Shop {
    tills: Vec<(mpsc::Sender<()>, JoinHandle<Result<()>>)>,
}

impl Shop {
    /// Opens `tills`, each pausing so long between two transactions. Orders of one opening have names of their own.
    pub(crate) fn open(mysql: &Mysql, opening: &str, tills: u64, pause: Duration) -> Result<Self> {
        let till = |number| {
            let mut command = mysql.client();
            process::log_to(&mut command, &mysql.log_file())?;
            command.stdin(Stdio::piped()).stdout(Stdio::null());
            let client = process::spawn(command)?;
            let (close, closed) = mpsc::channel();
            let mut till = Till::new(format!("{opening}{number}"), number);
            Ok((close, std::thread::spawn(move || till.serve(client, &closed, pause))))
        };
        Ok(Self { tills: (1..=tills).map(till).collect::<Result<_>>()? })
    }

    /// An error if a till has stopped by itself.
    pub(crate) fn ensure_open(&mut self) -> Result<()> {
        match self.tills.iter().position(|(_, till)| till.is_finished()) {
            None => Ok(()),
            Some(broken) => join(self.tills.swap_remove(broken).1).and(Err(anyhow!("a till closed by itself"))),
        }
    }

    /// Lets every till finish its transaction.
    pub(crate) fn close(self) -> Result<()> {
        let (closers, tills): (Vec<_>, Vec<_>) = self.tills.into_iter().unzip();
        drop(closers);
        tills.into_iter().try_for_each(join)
    }
}

fn join(till: JoinHandle<Result<()>>) -> Result<()> {
    till.join().map_err(|_| anyhow!("a till panicked"))?
}

struct Till {
    name: String,
    opened: u64,
    orders: Vec<Order>,
    dice: Dice,
}

struct Order {
    id: String,
    /// Events of this order that are committed.
    events: usize,
    cents: u64,
}

impl Till {
    fn new(name: String, seed: u64) -> Self {
        Self { name, opened: 0, orders: Vec::new(), dice: Dice(seed) }
    }

    fn serve(&mut self, mut client: Process, closed: &mpsc::Receiver<()>, pause: Duration) -> Result<()> {
        let mut input = client.child_mut().stdin.take().context("the client has no input")?;
        while closed.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
            let transaction = self.transaction();
            input.write_all(transaction.as_bytes()).context("a till's client has ended; see MySQL's log")?;
        }
        drop(input);
        let status = client.wait(CLOSING)?;
        ensure!(status.success(), "a till's client failed ({status}); see MySQL's log");
        Ok(())
    }

    /// The next event of one to three orders, in one transaction; some are rolled back, whole or in part.
    fn transaction(&mut self) -> String {
        let fate = self.dice.roll(10);
        let mut sql = "START TRANSACTION;\n".to_owned();
        let mut chosen: Vec<usize> = Vec::new();
        for _ in 0..=self.dice.roll(3) {
            let order = self.choose();
            if !chosen.contains(&order) {
                chosen.push(order);
            }
        }
        if fate == 0 {
            chosen.iter().for_each(|order| self.orders[*order].write_next(true, &mut sql));
            return sql + "ROLLBACK;\n";
        }
        for order in &chosen {
            self.orders[*order].write_next(false, &mut sql);
            self.orders[*order].events += 1;
        }
        if fate == 1 {
            sql += "SAVEPOINT gift;\n";
            let gift = Order { id: format!("gift-{}-{}", self.name, self.opened), events: 0, cents: 0 };
            gift.write_next(true, &mut sql);
            sql += "ROLLBACK TO SAVEPOINT gift;\n";
        }
        self.orders.retain(|order| order.events < STATES.len());
        sql + "COMMIT;\n"
    }

    fn choose(&mut self) -> usize {
        if self.orders.len() < OPEN_ORDERS {
            self.opened += 1;
            let id = format!("order-{}-{}", self.name, self.opened);
            self.orders.push(Order { id, events: 0, cents: 100 + self.dice.roll(9_900) });
            return self.orders.len() - 1;
        }
        usize::try_from(self.dice.roll(OPEN_ORDERS as u64)).unwrap_or_default()
    }
}

impl Order {
    /// `marked`: will be rolled back, and whoever sees it shall know.
    fn write_next(&self, marked: bool, sql: &mut String) {
        let Self { id, events, cents } = self;
        let (state, event) = STATES[*events];
        let mark = if marked { r#","rolled_back":true"# } else { "" };
        let payload = format!(r#"{{"seq":{},"state":"{state}","cents":{cents}{mark}}}"#, events + 1);
        // Plain statements by primary key take no gap locks: tills never wait for each other.
        let write_order = match events {
            0 => format!("INSERT INTO shop.orders VALUES ('{id}', '{state}', {cents});"),
            _ => format!("UPDATE shop.orders SET state = '{state}' WHERE id = '{id}';"),
        };
        // A string takes whatever is written.
        let _ = write!(
            sql,
            "{write_order}\nINSERT INTO shop.outbox VALUES (UUID(), 'Order', '{id}', '{event}', '{payload}');\n"
        );
    }
}

/// The same numbers in every run (SplitMix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rolled_back_rows_are_marked_and_no_others() {
        let mut till = Till::new("t".to_owned(), 1);
        let (mut whole, mut partly) = (0, 0);
        for _ in 0..500 {
            let sql = till.transaction();
            let (kept, undone) = match sql.split_once("SAVEPOINT gift;") {
                _ if sql.ends_with("ROLLBACK;\n") => ("", sql.as_str()),
                Some((kept, undone)) => (kept, undone),
                None => (sql.as_str(), ""),
            };
            whole += usize::from(kept.is_empty());
            partly += usize::from(!kept.is_empty() && !undone.is_empty());
            assert!(!kept.contains("rolled_back"), "{sql}");
            assert_eq!(undone.matches("rolled_back").count(), undone.matches("shop.outbox").count(), "{sql}");
        }
        assert!(whole > 20 && partly > 20, "{whole} and {partly}");
    }

    #[test]
    fn committed_events_of_an_order_count_up() {
        let mut till = Till::new("t".to_owned(), 2);
        let mut last = std::collections::HashMap::new();
        for sql in (0..500).map(|_| till.transaction()).filter(|sql| sql.ends_with("COMMIT;\n")) {
            for line in sql.lines().filter(|line| line.contains("shop.outbox") && !line.contains("rolled_back")) {
                let id = line.split('\'').nth(3).unwrap().to_owned();
                let (_, rest) = line.split_once("\"seq\":").unwrap();
                let seq: u32 = rest.split(',').next().unwrap().parse().unwrap();
                let before = last.insert(id, seq).unwrap_or_default();
                assert_eq!(seq, before + 1, "{line}");
            }
        }
        assert!(last.len() > 100);
    }
}
