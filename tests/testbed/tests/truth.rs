//! The truth that is read from a real log agrees with the tables, whatever way the rows were committed.

use anyhow::Result;
use testbed::oracle::truth::{self, Row, Table};
use testbed::{Mysql, MysqlOptions};

const SCHEMA: &str = "CREATE DATABASE shop; USE shop; CREATE TABLE outbox (id VARCHAR(36) PRIMARY KEY,
    aggregatetype VARCHAR(255) NOT NULL, aggregateid VARCHAR(255), type VARCHAR(255), payload JSON);
    CREATE TABLE other LIKE outbox;";

const WORKLOAD: &str = r#"USE shop;
    INSERT INTO outbox VALUES ('plain', 'order', 'it''s \\ \n', 'T', '{"a": "\\"q\\" \\n \\\\x0a é"}');
    INSERT INTO other VALUES ('other', 'order', 'k', 'T', '{}');
    BEGIN; INSERT INTO outbox(id, aggregatetype) VALUES ('rolled back', ''); ROLLBACK;
    BEGIN; INSERT INTO outbox(id, aggregatetype) VALUES ('s1', '');
        SAVEPOINT `a b`; INSERT INTO outbox(id, aggregatetype) VALUES ('dropped', '');
        SAVEPOINT c; INSERT INTO outbox(id, aggregatetype) VALUES ('dropped too', '');
        ROLLBACK TO `a b`; INSERT INTO outbox(id, aggregatetype) VALUES ('s2', ''), ('s3', ''); COMMIT;
    SET SESSION binlog_transaction_compression = ON;
    BEGIN; INSERT INTO outbox(id, aggregatetype) VALUES ('z1', ''); UPDATE outbox SET type = 'U';
        INSERT INTO outbox(id, aggregatetype) VALUES ('z2', ''); COMMIT;
    SET SESSION binlog_transaction_compression = OFF;
    FLUSH BINARY LOGS;
    CREATE PROCEDURE p() BEGIN
    COMMIT;
    END;
    XA START 'x'; INSERT INTO outbox(id, aggregatetype) VALUES ('xa', ''); XA END 'x'; XA PREPARE 'x';"#;

const AFTER_PREPARE: &str = "USE shop; INSERT INTO outbox(id, aggregatetype) VALUES ('between', '');
    XA COMMIT 'x';
    XA START 'y'; INSERT INTO outbox(id, aggregatetype) VALUES ('one phase', ''); XA END 'y'; XA COMMIT 'y' ONE PHASE;
    XA START 'z'; INSERT INTO outbox(id, aggregatetype) VALUES ('never', ''); XA END 'z'; XA PREPARE 'z';";

const EXPECTED: [&str; 9] = ["plain", "s1", "s2", "s3", "z1", "z2", "between", "xa", "one phase"];

fn run(gtid: bool) -> Result<Vec<Row>> {
    let mut mysql = Mysql::start(MysqlOptions { gtid, ..MysqlOptions::default() })?;
    mysql.sql(SCHEMA)?;
    mysql.sql(
        &WORKLOAD.replace("CREATE PROCEDURE", "DELIMITER //\nCREATE PROCEDURE").replace("END;", "END//\nDELIMITER ;"),
    )?;
    mysql.sql(AFTER_PREPARE)?;
    mysql.sql("XA ROLLBACK 'z'")?;
    mysql.kill9()?;
    mysql.restart()?;

    let outbox = Table::usual("shop", "outbox");
    let rows = truth::read(mysql.mysqlbinlog_v()?, std::slice::from_ref(&outbox))?;
    truth::cross_check(&mysql, &outbox, "id", &rows)?;
    let ids: Vec<_> = rows.iter().map(|row| String::from_utf8_lossy(&row.id)).collect();
    assert_eq!(ids, EXPECTED);
    let ordinals: Vec<usize> = rows.iter().map(|row| row.ordinal).collect();
    assert_eq!(ordinals, [0, 0, 1, 2, 0, 1, 0, 0, 0]);
    assert_eq!(rows[0].key.as_deref(), Some(&b"it's \\ \n"[..]));
    let payload: serde_json::Value = serde_json::from_slice(rows[0].payload.as_deref().unwrap_or_default())?;
    assert_eq!(payload, serde_json::json!({"a": "\"q\" \n \\x0a é"}));
    assert_eq!((&rows[1].transaction, &rows[4].transaction), (&rows[3].transaction, &rows[5].transaction));

    mysql.sql("DELETE FROM shop.outbox WHERE id = 'plain'")?;
    assert!(truth::cross_check(&mysql, &outbox, "id", &rows).is_err());
    Ok(rows)
}

#[test]
fn with_gtids() -> Result<()> {
    let rows = run(true)?;
    let (uuid, number) = rows[0].transaction.split_once(':').expect("a GTID");
    assert_eq!((uuid.len(), number.parse::<u64>().is_ok()), (36, true));
    Ok(())
}

#[test]
fn without_gtids() -> Result<()> {
    let rows = run(false)?;
    assert!(rows[0].transaction.starts_with("mysql-bin.000001:"));
    assert!(rows[8].transaction.starts_with("mysql-bin.000002:"));
    Ok(())
}
