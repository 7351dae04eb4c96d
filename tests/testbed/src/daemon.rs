//! An `outboxd` process under test.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use crate::cache::RunDir;
use crate::process::{self, Process};
use crate::wait;

const HTTP_TIMEOUT: Duration = Duration::from_secs(10);

/// A running daemon; killed when dropped. Its output is kept in memory and in [`Daemon::log_file`].
#[derive(Debug)]
pub struct Daemon {
    process: Process,
    lines: Arc<Mutex<Vec<String>>>,
    log: PathBuf,
    // Last, so that the process is gone before its folder.
    _dir: RunDir,
}

impl Daemon {
    /// Starts `binary` with `arguments`, such as `["run", "--config", "outboxd.toml"]`.
    pub fn start<S: AsRef<std::ffi::OsStr>>(
        binary: impl AsRef<Path>,
        arguments: impl IntoIterator<Item = S>,
    ) -> Result<Self> {
        Self::start_with_env(binary, arguments, [])
    }

    /// The same with environment variables.
    pub fn start_with_env<'a, S: AsRef<std::ffi::OsStr>>(
        binary: impl AsRef<Path>,
        arguments: impl IntoIterator<Item = S>,
        environment: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self> {
        let dir = RunDir::new("daemon")?;
        let log = dir.path().join("output.log");
        let mut command = process::command(binary.as_ref());
        command.args(arguments).envs(environment).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = process::spawn(command)?;
        let lines = Arc::default();
        let file = File::create(&log).with_context(|| format!("creating {}", log.display()))?;
        let child = process.child_mut();
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        collect(stdout.context("no standard output")?, &lines, file.try_clone()?);
        collect(stderr.context("no standard error")?, &lines, file);
        Ok(Self { process, lines, log, _dir: dir })
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The lines printed so far, of both outputs, as they came.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        lock(&self.lines).clone()
    }

    /// The file that holds the same.
    #[must_use]
    pub fn log_file(&self) -> &Path {
        &self.log
    }

    /// Waits for a line that contains `text`, from the beginning on. Fails early if the daemon ends.
    pub fn wait_for_line(&mut self, text: &str, timeout: Duration) -> Result<String> {
        self.wait_for(&format!("a line with '{text}'"), timeout, |line| line.contains(text))
    }

    /// Waits for a line that `wanted` accepts; `what` says in the error what it was.
    pub fn wait_for(&mut self, what: &str, timeout: Duration, wanted: impl Fn(&str) -> bool) -> Result<String> {
        let mut looked_at = 0;
        let found = wait::until_some(timeout, what, || {
            // Asked first: what it printed before its end is then complete but for the pipe's rest.
            let ended = self.process.exited();
            let lines = lock(&self.lines);
            let found = lines[looked_at..].iter().find(|line| wanted(line)).cloned();
            looked_at = lines.len();
            match (found, ended) {
                (Some(line), _) => Some(Ok(line)),
                (None, Ok(Some(status))) if Arc::strong_count(&self.lines) == 1 => {
                    Some(Err(anyhow::anyhow!("it ended ({status}) without {what}")))
                }
                (None, Err(error)) => Some(Err(error)),
                (None, _) => None,
            }
        });
        found.and_then(|result| result).with_context(|| format!("output so far:\n{}", process::tail(&self.log)))
    }

    /// Crashes it.
    pub fn kill9(&mut self) -> Result<()> {
        self.process.kill9().map(drop)
    }

    /// Asks it to end, as service managers do.
    pub fn sigterm(&mut self) -> Result<()> {
        self.process.signal(Signal::TERM)
    }

    /// Asks it to end, as Ctrl-C does.
    pub fn sigint(&mut self) -> Result<()> {
        self.process.signal(Signal::INT)
    }

    /// Freezes it.
    pub fn pause(&mut self) -> Result<()> {
        self.process.signal(Signal::STOP)
    }

    /// Lets a frozen one go on.
    pub fn resume(&mut self) -> Result<()> {
        self.process.signal(Signal::CONT)
    }

    /// Sends any signal, such as HUP.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        self.process.signal(signal)
    }

    /// How it ended, if it has.
    pub fn exited(&mut self) -> Result<Option<ExitStatus>> {
        self.process.exited()
    }

    /// Waits for its end.
    pub fn wait_exit(&mut self, timeout: Duration) -> Result<ExitStatus> {
        self.process.wait(timeout).with_context(|| format!("output so far:\n{}", process::tail(&self.log)))
    }
}

/// The reader holds the lines as long as the pipe is open: their count of owners tells when all is read.
fn collect(pipe: impl Read + Send + 'static, lines: &Arc<Mutex<Vec<String>>>, mut log: File) {
    let lines = Arc::clone(lines);
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).into_owned();
            let _ = writeln!(log, "{line}");
            lock(&lines).push(line);
        }
    });
}

fn lock(lines: &Mutex<Vec<String>>) -> MutexGuard<'_, Vec<String>> {
    lines.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A plain HTTP/1.0 GET: status and body.
pub fn http_get(address: &str, path: &str) -> Result<(u16, String)> {
    let what = || format!("GET http://{address}{path}");
    let target = address.to_socket_addrs()?.next().with_context(what)?;
    let mut stream = TcpStream::connect_timeout(&target, HTTP_TIMEOUT).with_context(what)?;
    stream.set_read_timeout(Some(HTTP_TIMEOUT))?;
    let host = target.ip();
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n").with_context(what)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).with_context(what)?;
    let (head, body) = answer.split_once("\r\n\r\n").with_context(what)?;
    let Some(status) = head.split(' ').nth(1).and_then(|code| code.parse().ok()) else {
        bail!("{}: no status in {head}", what());
    };
    Ok((status, body.to_owned()))
}
