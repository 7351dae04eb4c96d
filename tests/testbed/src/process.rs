//! Child processes that cannot outlive the harness.
//!
//! The harness itself ends with the cargo that runs it.
//!
//! Each child is started by `setpriv --pdeathsig KILL`, so it dies with the harness even if that is killed.
//! The kernel sends that signal when the *thread* that made the child ends, and test threads end early:
//! hence one thread that never ends starts all of them.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{OnceLock, mpsc};
use std::time::Duration;

use anyhow::{Context, Result, bail};
pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process, set_parent_process_death_signal};

use crate::wait;

type Job = (Command, mpsc::Sender<io::Result<Child>>);

/// A command that is killed when the harness ends in whatever way.
#[must_use]
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command.stdin(Stdio::null());
    command
}

/// Starts a command made by [`command`].
pub fn spawn(command: Command) -> Result<Process> {
    let what = format!("{command:?}");
    let child = spawn_child(command).with_context(|| format!("starting {what}"))?;
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("a process id out of range")?;
    Ok(Process { child, pid })
}

/// Runs a command made by [`command`] to its end; its standard output, or an error with what it printed.
pub fn output(command: Command) -> Result<Vec<u8>> {
    output_with(command, &[])
}

/// The same with `input` on its standard input.
pub fn output_with(mut command: Command, input: &[u8]) -> Result<Vec<u8>> {
    command.stdout(Stdio::piped());
    output_of(command, input)
}

fn output_of(mut command: Command, input: &[u8]) -> Result<Vec<u8>> {
    let what = format!("{command:?}");
    command.stderr(Stdio::piped());
    if !input.is_empty() {
        command.stdin(Stdio::piped());
    }
    let mut child = spawn_child(command).with_context(|| format!("starting {what}"))?;
    let stdin = child.stdin.take();
    let output = std::thread::scope(|scope| {
        scope.spawn(|| stdin.map(|mut stdin| io::Write::write_all(&mut stdin, input)));
        child.wait_with_output()
    });
    let Output { status, stdout, stderr } = output.with_context(|| format!("running {what}"))?;
    if !status.success() {
        bail!("{what} failed ({status}): {}{}", String::from_utf8_lossy(&stderr), String::from_utf8_lossy(&stdout));
    }
    Ok(stdout)
}

/// Runs a command made by [`command`] to its end, its standard output going to a file.
pub fn output_to(mut command: Command, file: File) -> Result<()> {
    command.stdout(file);
    output_of(command, &[]).map(drop)
}

fn spawn_child(command: Command) -> io::Result<Child> {
    static SPAWNER: OnceLock<mpsc::Sender<Job>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (sender, jobs) = mpsc::channel::<Job>();
        std::thread::spawn(move || {
            end_with_cargo();
            for (mut command, reply) in jobs {
                let _ = reply.send(command.spawn());
            }
        });
        sender
    });
    let (reply, answer) = mpsc::channel();
    let gone = |_| io::Error::other("the spawner thread is gone");
    spawner.send((command, reply)).map_err(|_| gone(()))?;
    answer.recv().map_err(|_| gone(()))?
}

/// Cargo may be interrupted alone, by a signal to its process; what it runs would go on, and so would the servers.
fn end_with_cargo() {
    if std::env::var_os("CARGO").is_some() {
        // Without it everything works as well, but for that end.
        let _ = set_parent_process_death_signal(Some(Signal::KILL));
    }
}

/// A running child; killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    pid: Pid,
}

impl Process {
    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The child's pipes, as far as the command asked for them.
    pub fn child_mut(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Sends a signal.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        // A child that was waited for has given its id back: it may be another process's by now.
        if let Some(status) = self.exited()? {
            bail!("process {} has ended already ({status})", self.pid());
        }
        kill_process(self.pid, signal).with_context(|| format!("sending {signal:?} to process {}", self.pid()))
    }

    /// How it ended, if it has.
    pub fn exited(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().with_context(|| format!("asking for process {}", self.child.id()))
    }

    /// Waits for its end.
    pub fn wait(&mut self, timeout: Duration) -> Result<ExitStatus> {
        let what = format!("the end of process {}", self.pid());
        let mut status = Ok(None);
        wait::until(timeout, &what, || {
            status = self.exited();
            !matches!(status, Ok(None))
        })?;
        status?.context(what)
    }

    /// Ends it at once, as a crash would, and waits until it is gone.
    pub fn kill9(&mut self) -> Result<ExitStatus> {
        self.child.kill().context("killing a child")?;
        self.child.wait().context("waiting for a killed child")
    }

    /// Asks it to end (SIGTERM) and waits.
    pub fn terminate(&mut self, timeout: Duration) -> Result<ExitStatus> {
        if let Some(status) = self.exited()? {
            return Ok(status);
        }
        self.signal(Signal::TERM)?;
        self.wait(timeout)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.kill9();
    }
}

/// Opens a log file for appending as a child's standard output and error.
pub fn log_to(command: &mut Command, path: &Path) -> Result<()> {
    let file =
        File::options().create(true).append(true).open(path).with_context(|| format!("opening {}", path.display()))?;
    let copy = file.try_clone().with_context(|| format!("opening {}", path.display()))?;
    command.stdout(file).stderr(copy);
    Ok(())
}

/// The last lines of a log, to be shown in an error.
#[must_use]
pub fn tail(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
