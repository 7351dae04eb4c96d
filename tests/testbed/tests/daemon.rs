//! A daemon can be watched, asked over HTTP, frozen, ended and crashed. A shell plays the daemon.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use anyhow::Result;
use testbed::{Daemon, http_get};

const SOON: Duration = Duration::from_secs(10);

fn shell(script: &str) -> Result<Daemon> {
    Daemon::start_with_env("sh", ["-c", script], [("NAME", "outboxd")])
}

#[test]
fn ends_when_asked() -> Result<()> {
    let mut daemon = shell("trap 'echo bye >&2; exit 3' TERM; echo ready $NAME; while :; do sleep 0.1; done")?;
    assert_eq!(daemon.wait_for_line("ready", SOON)?, "ready outboxd");
    daemon.sigterm()?;
    assert_eq!(daemon.wait_exit(SOON)?.code(), Some(3));
    daemon.wait_for_line("bye", SOON)?;
    assert_eq!(std::fs::read_to_string(daemon.log_file())?, "ready outboxd\nbye\n");
    Ok(())
}

#[test]
fn an_early_end_is_told_at_once() -> Result<()> {
    let mut daemon = shell("echo broken; exit 1")?;
    let error = daemon.wait_for_line("ready", Duration::from_secs(3600)).expect_err("it never is");
    assert!(format!("{error:#}").contains("broken"), "{error:#}");
    Ok(())
}

#[test]
fn can_be_frozen_and_crashed() -> Result<()> {
    let mut daemon = shell("echo ready; exec sleep 1000")?;
    daemon.wait_for_line("ready", SOON)?;
    daemon.pause()?;
    let stat = format!("/proc/{}/stat", daemon.pid());
    testbed::wait::until(SOON, "the daemon to be frozen", || {
        std::fs::read_to_string(&stat).is_ok_and(|stat| stat.contains(") T "))
    })?;
    daemon.resume()?;
    daemon.kill9()?;
    assert_eq!(daemon.wait_exit(SOON)?.signal(), Some(9));
    assert!(daemon.sigterm().is_err());
    Ok(())
}

#[test]
fn http() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    let server = std::thread::spawn(move || -> Result<String> {
        let (mut stream, _) = listener.accept()?;
        let mut request = [0; 512];
        let length = stream.read(&mut request)?;
        stream.write_all(b"HTTP/1.1 503 Service Unavailable\r\nA: b\r\n\r\nnot yet\n")?;
        Ok(String::from_utf8_lossy(&request[..length]).into_owned())
    });
    assert_eq!(http_get(&address, "/readyz")?, (503, "not yet\n".to_owned()));
    let request = server.join().expect("the server thread")?;
    assert!(request.starts_with("GET /readyz HTTP/1.0\r\n"), "{request}");
    Ok(())
}
