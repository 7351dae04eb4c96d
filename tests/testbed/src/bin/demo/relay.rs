//! `outboxd run`, started, killed and started again.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use testbed::{Daemon, Kafka, Mysql, http_get, ports, process, wait};

use crate::interrupt;

/// Where outboxd serves HTTP by default; another port if somebody has it.
const HTTP_PORT: u16 = 9464;
const PATIENCE: Duration = Duration::from_secs(60);

/// How outboxd is started here, and the running one.
#[derive(Debug)]
pub(crate) struct Relay {
    binary: PathBuf,
    config: PathBuf,
    environment: Vec<(&'static str, String)>,
    http: String,
    daemon: Option<Daemon>,
}

impl Relay {
    /// `binary` with the file `config` between these servers; not yet started.
    pub(crate) fn new(binary: &Path, config: &Path, mysql: &Mysql, kafka: &Kafka) -> Result<Self> {
        let port = if ports::is_free(HTTP_PORT) { HTTP_PORT } else { ports::free()? };
        let http = format!("127.0.0.1:{port}");
        let environment = vec![
            ("OUTBOXD__SOURCE__HOST", "127.0.0.1".to_owned()),
            ("OUTBOXD__SOURCE__PORT", mysql.port().to_string()),
            ("OUTBOXD__SOURCE__USER", "outboxd".to_owned()),
            ("OUTBOXD__SOURCE__PASSWORD", "outboxd".to_owned()),
            ("OUTBOXD__KAFKA__BROKERS", kafka.bootstrap()),
            ("OUTBOXD__HTTP__LISTEN", http.clone()),
        ];
        Ok(Self { binary: binary.to_owned(), config: config.to_owned(), environment, http, daemon: None })
    }

    /// `HOST:PORT` of its HTTP endpoints.
    pub(crate) fn http(&self) -> &str {
        &self.http
    }

    /// Starts it and waits until rows flow; how long that took.
    pub(crate) fn start(&mut self) -> Result<Duration> {
        let environment = self.environment.iter().map(|(name, value)| (*name, value.as_str()));
        let arguments = ["run".as_ref(), "--config".as_ref(), self.config.as_os_str(), "--log-format=text".as_ref()];
        let started = Instant::now();
        let mut daemon = Daemon::start_with_env(&self.binary, arguments, environment)?;
        wait::until_some(PATIENCE, "outboxd to be ready", || {
            match (daemon.exited(), http_get(&self.http, "/readyz")) {
                _ if interrupt::asked() => Some(interrupt::ensure_not_asked()),
                (_, Ok((200, _))) => Some(Ok(())),
                (Ok(None), _) => None,
                (Ok(Some(status)), _) => Some(Err(anyhow::anyhow!("outboxd ended ({status})"))),
                (Err(error), _) => Some(Err(error)),
            }
        })
        .and_then(|result| result)
        .with_context(|| format!("outboxd said:\n{}", process::tail(daemon.log_file())))?;
        self.daemon = Some(daemon);
        Ok(started.elapsed())
    }

    /// An error, with what it said, if it has ended by itself.
    pub(crate) fn ensure_running(&mut self) -> Result<()> {
        let Some(daemon) = &mut self.daemon else { return Ok(()) };
        match daemon.exited()? {
            None => Ok(()),
            Some(status) => {
                bail!("outboxd ended by itself ({status}); it said:\n{}", process::tail(daemon.log_file()))
            }
        }
    }

    /// SIGKILL: no warning, no tidying up. Its process id.
    pub(crate) fn kill(&mut self) -> Result<u32> {
        let mut daemon = self.daemon.take().context("outboxd does not run")?;
        let pid = daemon.pid();
        daemon.kill9()?;
        Ok(pid)
    }

    /// SIGTERM, as service managers stop it.
    pub(crate) fn stop(&mut self) -> Result<()> {
        let mut daemon = self.daemon.take().context("outboxd does not run")?;
        daemon.sigterm()?;
        let status = daemon.wait_exit(PATIENCE)?;
        ensure!(status.success(), "outboxd did not stop well ({status}):\n{}", process::tail(daemon.log_file()));
        Ok(())
    }
}
