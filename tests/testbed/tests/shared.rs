//! Tests of one process use the same servers, from any of their threads.

use anyhow::Result;
use testbed::shared;

/// The thread that starts the servers ends long before the process does: the servers must not end with it.
#[test]
fn servers_outlive_the_thread_that_started_them() -> Result<()> {
    let started = std::thread::spawn(|| shared().map(|servers| servers.mysql.port()));
    let port = started.join().expect("the starting thread")?;
    let servers = shared()?;
    assert_eq!(servers.mysql.port(), port);
    assert_eq!(servers.mysql.sql("SELECT 1")?, "1\n");
    servers.kafka.create_topic("t", 1, &[])?;
    assert_eq!(servers.kafka.end_offsets("t")?, [0]);
    Ok(())
}
