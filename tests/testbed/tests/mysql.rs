//! A MySQL server keeps committed rows through a restart and a crash, and its log can be read.

use std::io::Read;

use anyhow::Result;
use testbed::{Mysql, MysqlOptions};

#[test]
fn committed_rows_survive_restart_and_crash() -> Result<()> {
    let mut mysql = Mysql::start(MysqlOptions::default())?;
    let port = mysql.port();
    mysql.sql("CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY, s VARCHAR(20))")?;
    mysql.sql("INSERT INTO shop.t VALUES (1, 'first')")?;

    mysql.restart()?;
    mysql.sql("INSERT INTO shop.t VALUES (2, 'second')")?;
    let pid = mysql.pid()?;
    mysql.kill9()?;
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    mysql.restart_with(MysqlOptions::with(["--max-connections=50"]))?;

    assert_eq!(mysql.port(), port);
    assert_eq!(mysql.sql("SELECT * FROM shop.t ORDER BY id")?, "1\tfirst\n2\tsecond\n");
    assert_eq!(mysql.sql("SELECT @@max_connections, @@gtid_mode")?, "50\tON\n");
    let mut text = String::new();
    mysql.mysqlbinlog_v()?.read_to_string(&mut text)?;
    assert!(text.contains("###   @2='first'") && text.contains("###   @2='second'"), "{text}");
    assert_eq!(mysql.binlogs()?.len(), 3);
    assert!(mysql.ca_file().exists());

    let folder = mysql.data_dir();
    drop(mysql);
    assert!(!folder.exists());
    Ok(())
}

#[test]
fn a_mariadb_does_the_same() -> Result<()> {
    let mut mariadb = Mysql::start(MysqlOptions::mariadb())?;
    mariadb.sql("CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY, s VARCHAR(20))")?;
    mariadb.sql("INSERT INTO shop.t VALUES (1, 'first')")?;
    mariadb.kill9()?;
    mariadb.restart()?;
    assert_eq!(mariadb.sql("SELECT * FROM shop.t ORDER BY id")?, "1\tfirst\n");
    assert!(mariadb.sql("SELECT VERSION()")?.contains("MariaDB"));
    let mut text = String::new();
    mariadb.mysqlbinlog_v()?.read_to_string(&mut text)?;
    assert!(text.contains("###   @2='first'") && text.contains("GTID 0-1-3"), "{text}");
    Ok(())
}
