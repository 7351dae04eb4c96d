//! Rows of a distributed transaction are published when it is committed, wherever its PREPARE stands, and not when it is
//! rolled back: over kills of the relay, new log files and restarts of the server.

use crate::support::ending::{end, stopped};
use crate::support::verdict::wait_caught_up;
use crate::support::{Outbox, PATIENCE};
use testbed::oracle::{Rules, judge, truth};
use testbed::{Isolation, Mysql, MysqlOptions, Observer, Product, shared};

/// Statements that prepare a transaction with these rows.
fn prepare(xid: &str, ids: &[&str]) -> String {
    let rows: Vec<String> = ids.iter().map(|id| format!("('{id}', 'Order', '1', 'Happened', '{{}}')")).collect();
    let insert = if rows.is_empty() {
        "INSERT INTO other VALUES (1)".to_owned()
    } else {
        format!("INSERT INTO outbox VALUES {}", rows.join(", "))
    };
    format!("XA START {xid}; {insert}; XA END {xid}; XA PREPARE {xid};")
}

/// On MariaDB a session that has prepared a transaction can do nothing else: each prepare gets one of its own.
fn run(outbox: &Outbox<'_>, statements: &str) {
    if outbox.mysql.product() == Product::Mysql {
        outbox.mysql.sql(&format!("USE {}; {statements}", outbox.name)).unwrap();
        return;
    }
    let statements = statements.replace("SESSION binlog_transaction_compression", "GLOBAL log_bin_compress");
    let mut session = String::new();
    for statement in statements.split_inclusive(';') {
        session += statement;
        if statement.trim_start().starts_with("XA PREPARE") {
            outbox.mysql.sql(&format!("USE {}; {}", outbox.name, std::mem::take(&mut session))).unwrap();
        }
    }
    outbox.mysql.sql(&format!("USE {}; {session}", outbox.name)).unwrap();
}

/// Kills the relay when its checkpoint is past everything that was written. The row that tells is published, too.
fn kill_past(outbox: &Outbox<'_>, mut relay: testbed::Daemon) {
    wait_caught_up(outbox.mysql, outbox);
    relay.kill9().unwrap();
}

/// The ids of all records, those of [`wait_caught_up`] left out.
fn ids(outbox: &Outbox<'_>) -> Vec<String> {
    outbox.sorted_ids().into_iter().filter(|id| !id.starts_with("last-")).collect()
}

fn exactly_once(name: &str, options: MysqlOptions, extra: &str) {
    let mut mysql = Mysql::start(options).unwrap();
    let mut outbox = Outbox::new(name, &mysql, &shared().unwrap().kafka);
    outbox.extra = extra.to_owned();
    run(&outbox, "CREATE TABLE other (n INT);");
    interleaved(&outbox);
    decided_after_a_kill(&outbox);
    let relay = outbox.stream();
    run(&outbox, &[prepare("'s1'", &["s1"]), prepare("'s2'", &["s2-dropped"])].concat());
    kill_past(&outbox, relay);
    let instance = outbox.into_instance();
    restart_and_decide(&mut mysql, name);
    let outbox = Outbox::of(instance, &mysql, &shared().unwrap().kafka);
    let relay = outbox.stream();
    outbox.wait_delivered(1);
    kill_past(&outbox, relay);
    let mut expected = vec!["a1", "a2", "b1", "c1", "k1", "k2", "k4", "o1", "p1", "p3", "s1", "z1"];
    if mysql.product() == Product::Mariadb && extra.is_empty() {
        in_domains(&outbox);
        expected.splice(11..11, ["y1", "y2", "y3", "y4"]);
    }
    assert_eq!(ids(&outbox), expected);
    judged(&outbox);
    // A MariaDB keeps the logs of undecided transactions.
    if mysql.product() == Product::Mysql {
        purged(&outbox);
    }
}

/// The server crashes while two transactions are prepared.
fn restart_and_decide(mysql: &mut Mysql, name: &str) {
    mysql.kill9().unwrap();
    mysql.restart().unwrap();
    let recovered = mysql.sql("XA RECOVER").unwrap();
    assert_eq!(recovered.lines().count(), 2, "{recovered}");
    mysql.sql(&format!("USE {name}; XA COMMIT 's1'; XA ROLLBACK 's2';")).unwrap();
}

/// Several at once, in all orders, compressed or not, with and without outbox rows; a plain row tells when it is over.
fn interleaved(outbox: &Outbox<'_>) {
    let relay = outbox.stream();
    run(
        outbox,
        &[
            &prepare("'a'", &["a1", "a2"]),
            &prepare("'b','x',7", &["b1"]),
            &prepare("'n'", &[]),
            "SET SESSION binlog_transaction_compression = ON;",
            &prepare("'c'", &["c1"]),
            "SET SESSION binlog_transaction_compression = OFF;",
            &prepare("'r'", &["r1-dropped"]),
            "INSERT INTO outbox VALUES ('p1', 'Order', '1', 'Happened', '{}');",
            "XA COMMIT 'b','x',7; XA ROLLBACK 'r'; XA COMMIT 'c'; XA COMMIT 'n'; XA COMMIT 'a';",
            // Never prepared, so never logged; committed in one phase; the id is used again.
            "XA START 'r'; INSERT INTO outbox VALUES ('r2-dropped', 'Order', '1', 'Happened', '{}'); XA END 'r'; XA ROLLBACK 'r';",
            "XA START 'o'; INSERT INTO outbox VALUES ('o1', 'Order', '1', 'Happened', '{}'); XA END 'o'; XA COMMIT 'o' ONE PHASE;",
            "XA START 'a'; INSERT INTO outbox VALUES ('p3', 'Order', '1', 'Happened', '{}'); SAVEPOINT s; \
             INSERT INTO outbox VALUES ('p4-dropped', 'Order', '1', 'Happened', '{}'); ROLLBACK TO s; XA END 'a'; \
             XA PREPARE 'a'; XA COMMIT 'a';",
        ]
        .concat(),
    );
    outbox.wait_delivered(7);
    end(relay);
}

/// The checkpoint is past the prepares when the relay dies; one decision comes while it is down, others later.
fn decided_after_a_kill(outbox: &Outbox<'_>) {
    let relay = outbox.stream();
    let prepares = [prepare("'k1'", &["k1"]), prepare("'k2'", &["k2"]), prepare("'k3'", &["k3-dropped"])].concat();
    run(outbox, &format!("{prepares} FLUSH BINARY LOGS; {} FLUSH BINARY LOGS;", prepare("'k4'", &["k4"])));
    kill_past(outbox, relay);
    run(outbox, "XA COMMIT 'k2'; FLUSH BINARY LOGS;");
    let relay = outbox.stream();
    outbox.wait_delivered(1);
    let undecided = format!("outboxd_source_xa_undecided{{relay=\"{}\"}} 3", outbox.name);
    let (_, metrics) = outbox.get("/metrics").unwrap();
    assert!(metrics.lines().any(|line| line == undecided), "{undecided}");
    // Nothing is repeated by a start that only reads the undecided ones again.
    kill_past(outbox, relay);
    kill_past(outbox, outbox.stream());
    let relay = outbox.stream();
    run(outbox, "XA COMMIT 'k4'; XA ROLLBACK 'k3'; XA COMMIT 'k1';");
    run(outbox, "INSERT INTO outbox VALUES ('z1', 'Order', '1', 'Happened', '{}');");
    outbox.wait_delivered(3);
    kill_past(outbox, relay);
}

/// While one is undecided, a start reads a MariaDB by file. The last transaction of a domain that is not read again is known
/// nevertheless: without it the next group of that domain could not be found by the start behind it.
fn in_domains(outbox: &Outbox<'_>) {
    let elsewhere = |id: &str| {
        let row = format!("INSERT INTO outbox VALUES ('{id}', 'Order', '1', 'Happened', '{{}}');");
        run(outbox, &format!("SET SESSION gtid_domain_id = 7; {row}"));
    };
    let relay = outbox.stream();
    elsewhere("y1");
    run(outbox, &prepare("'domain'", &["y2"]));
    kill_past(outbox, relay);
    let relay = outbox.stream();
    run(outbox, "XA COMMIT 'domain';");
    elsewhere("y3");
    outbox.wait_delivered(2);
    end(relay);
    let mut relay = outbox.stream();
    relay.wait_for_line("the source's history is the one of the checkpoint", PATIENCE).unwrap();
    elsewhere("y4");
    outbox.wait_delivered(1);
    end(relay);
}

/// Compares all that was published with a naive reading of `mysqlbinlog`'s text: the group that commits is the one that
/// the source header names.
fn judged(outbox: &Outbox<'_>) {
    let table = truth::Table::usual(&outbox.name, "outbox");
    let rows = truth::read(outbox.mysql.mysqlbinlog_v().unwrap(), &[table]).unwrap();
    let seen = Observer::read_all(outbox.kafka, &[&outbox.topic("Order")], Isolation::ReadCommitted).unwrap();
    let verdict = judge(&rows, &seen, &Rules { topic_prefix: format!("{}.", outbox.name), ..Rules::default() });
    assert!(verdict.is_clean() && verdict.committed > 0, "{verdict}");
}

/// The log of an undecided prepare is gone: its rows cannot be had any more.
fn purged(outbox: &Outbox<'_>) {
    let relay = outbox.stream();
    run(outbox, &prepare("'old'", &["old"]));
    wait_caught_up(outbox.mysql, outbox);
    run(outbox, "FLUSH BINARY LOGS;");
    wait_caught_up(outbox.mysql, outbox);
    end(relay);
    let logs = outbox.mysql.sql("SHOW BINARY LOGS").unwrap();
    let last = logs.lines().last().and_then(|line| line.split('\t').next()).unwrap();
    run(outbox, &format!("PURGE BINARY LOGS TO '{last}'; XA COMMIT 'old';"));
    let words = ["needed and purged: XA transaction X'6f6c64',X'',1, prepared at mysql-bin."];
    stopped(outbox.start()).because("OBX-2203", 65, &words, "XA RECOVER");
}

#[test]
fn with_gtids_prepared_rows_are_published_when_they_are_committed() {
    exactly_once("xa_gtid", MysqlOptions::default(), "");
}

#[test]
fn by_file_and_position_prepared_rows_are_published_when_they_are_committed() {
    exactly_once("xa_file", MysqlOptions { gtid: false, ..MysqlOptions::default() }, "");
}

#[test]
fn on_mariadb_prepared_rows_are_published_when_they_are_committed() {
    exactly_once("xa_maria_gtid", MysqlOptions::mariadb(), "");
    exactly_once("xa_maria_file", MysqlOptions::mariadb(), "source.positions = \"file\"\n");
}
