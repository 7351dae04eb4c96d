//! A real MySQL server with a data folder and a loopback port of its own.

use std::fs::{self, File};
use std::io::{BufReader, Seek, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use crate::cache::{RunDir, Servers};
use crate::process::{self, Process};
use crate::{ports, wait};

mod template;

const START_TIMEOUT: Duration = Duration::from_secs(60);
const STOP_TIMEOUT: Duration = Duration::from_secs(60);
const LOG_NAME: &str = "mysql-bin";

/// How a server is set up. The default is a production server's binlog (ROW, FULL image, FULL metadata, GTIDs)
/// on fast, small storage.
#[derive(Debug, Clone)]
pub struct MysqlOptions {
    /// `gtid_mode` and `enforce_gtid_consistency`.
    pub gtid: bool,
    /// `server_id`.
    pub server_id: u32,
    /// More options of `mysqld`, such as `--binlog-row-image=MINIMAL`; they win over the ones set here.
    pub extra: Vec<String>,
    /// Options that must be given when the data folder is made, such as `--lower-case-table-names=1`.
    pub initialize: Vec<String>,
}

impl Default for MysqlOptions {
    fn default() -> Self {
        Self { gtid: true, server_id: 1, extra: Vec::new(), initialize: Vec::new() }
    }
}

impl MysqlOptions {
    /// The default with more options of `mysqld`.
    pub fn with<S: Into<String>>(extra: impl IntoIterator<Item = S>) -> Self {
        Self { extra: extra.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    fn arguments(&self) -> Vec<String> {
        let gtid = if self.gtid { "ON" } else { "OFF" };
        let mut arguments = vec![
            format!("--server-id={}", self.server_id),
            format!("--gtid-mode={gtid}"),
            format!("--enforce-gtid-consistency={gtid}"),
            format!("--log-bin={LOG_NAME}"),
            "--binlog-format=ROW".to_owned(),
            "--binlog-row-image=FULL".to_owned(),
            "--binlog-row-metadata=FULL".to_owned(),
            // kill -9 loses nothing that reached the page cache, so the tests need no fsync per commit
            "--sync-binlog=0".to_owned(),
            "--innodb-flush-log-at-trx-commit=2".to_owned(),
            "--innodb-doublewrite=OFF".to_owned(),
            "--innodb-buffer-pool-size=64M".to_owned(),
            "--performance-schema=OFF".to_owned(),
            "--max-connections=200".to_owned(),
        ];
        arguments.extend(self.extra.iter().cloned());
        arguments
    }
}

/// A running (or stopped) MySQL server. Users: `root` without password, `outboxd` (password `outboxd`) with
/// `REPLICATION SLAVE, REPLICATION CLIENT`, `shop` (password `shop`) with all rights. Ends when dropped.
#[derive(Debug)]
pub struct Mysql {
    process: Option<Process>,
    servers: Servers,
    options: MysqlOptions,
    port: u16,
    socket: PathBuf,
    // The socket's folder, where a path inside the data folder would be too long for a socket.
    _socket_dir: Option<tempfile::TempDir>,
    dir: RunDir,
}

impl Mysql {
    /// Makes a data folder, starts the server and waits until it answers.
    pub fn start(options: MysqlOptions) -> Result<Self> {
        let servers = Servers::find()?;
        let dir = RunDir::new("mysql")?;
        template::copy_to(&servers, &options.initialize, &dir.path().join("data"))?;
        let (socket, socket_dir) = socket_path(dir.path())?;
        let mut mysql =
            Self { process: None, servers, options, port: ports::free()?, socket, _socket_dir: socket_dir, dir };
        mysql.launch()?;
        Ok(mysql)
    }

    fn launch(&mut self) -> Result<()> {
        // A client of the killed server may keep the port busy for a moment.
        wait::until(START_TIMEOUT, "the server's port to be free", || ports::is_free(self.port))?;
        let mut command = server_command(&self.servers, &self.data_dir());
        command
            .args(self.options.arguments())
            .arg("--mysqlx=OFF")
            .arg("--bind-address=127.0.0.1")
            .arg("--secure-file-priv=")
            .arg(format!("--port={}", self.port))
            .arg(format!("--socket={}", self.socket.display()))
            .arg(format!("--pid-file={}", self.dir.path().join("pid").display()));
        process::log_to(&mut command, &self.log_file())?;
        let mut started = process::spawn(command)?;
        let mut ended = None;
        wait::until(START_TIMEOUT, "mysqld to answer", || {
            ended = started.exited().ok().flatten();
            ended.is_some() || (self.listens() && self.sql("SELECT 1").is_ok())
        })
        .with_context(|| process::tail(&self.log_file()))?;
        if let Some(status) = ended {
            bail!("mysqld ended ({status}):\n{}", process::tail(&self.log_file()));
        }
        self.process = Some(started);
        Ok(())
    }

    fn listens(&self) -> bool {
        TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok()
    }

    /// The TCP port on 127.0.0.1; the same after each restart.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The Unix socket.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// `mysql://root@127.0.0.1:PORT`.
    #[must_use]
    pub fn root_url(&self) -> String {
        format!("mysql://root@127.0.0.1:{}", self.port)
    }

    /// `mysql://USER:USER@127.0.0.1:PORT`, for the users `outboxd` and `shop`.
    #[must_use]
    pub fn url(&self, user: &str) -> String {
        format!("mysql://{user}:{user}@127.0.0.1:{}", self.port)
    }

    /// Runs statements as root with the `mysql` client; rows as lines of tab-separated columns, no header.
    pub fn sql(&self, statements: &str) -> Result<String> {
        let output = process::output_with(self.client(), statements.as_bytes())?;
        String::from_utf8(output).context("the client's output is not UTF-8; select HEX()")
    }

    /// The `mysql` client as root, to be started by [`process::spawn`]; runs what comes on its standard input.
    #[must_use]
    pub fn client(&self) -> Command {
        let mut command = process::command(&self.servers.mysql);
        command
            .args(["--no-defaults", "--batch", "--skip-column-names"])
            .args(["--default-character-set=utf8mb4", "--user=root"])
            .arg(format!("--socket={}", self.socket.display()));
        command
    }

    /// The server's process id.
    pub fn pid(&self) -> Result<u32> {
        let process = self.process.as_ref().context("mysqld is stopped")?;
        Ok(process.pid())
    }

    /// Sends a signal, such as STOP and CONT.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        let process = self.process.as_mut().context("mysqld is stopped")?;
        process.signal(signal)
    }

    /// Crashes the server.
    pub fn kill9(&mut self) -> Result<()> {
        if let Some(mut process) = self.process.take() {
            process.kill9()?;
        }
        Ok(())
    }

    /// Stops the server in good order.
    pub fn stop(&mut self) -> Result<()> {
        if let Some(mut process) = self.process.take() {
            let status = process.terminate(STOP_TIMEOUT)?;
            if !status.success() {
                bail!("mysqld ended ({status}):\n{}", process::tail(&self.log_file()));
            }
        }
        Ok(())
    }

    /// Starts the server again, after a stop in good order if it runs; same data, same port.
    pub fn restart(&mut self) -> Result<()> {
        self.stop()?;
        self.launch()
    }

    /// The same with other options.
    pub fn restart_with(&mut self, options: MysqlOptions) -> Result<()> {
        self.options = options;
        self.restart()
    }

    /// The data folder.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// The server's error log.
    #[must_use]
    pub fn log_file(&self) -> PathBuf {
        self.dir.path().join("mysqld.log")
    }

    /// The certificate of the CA that the server made for itself.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        self.data_dir().join("ca.pem")
    }

    /// The binlog files, oldest first; works while the server is down.
    pub fn binlogs(&self) -> Result<Vec<PathBuf>> {
        let index = self.data_dir().join(format!("{LOG_NAME}.index"));
        let text = fs::read_to_string(&index).with_context(|| format!("reading {}", index.display()))?;
        Ok(text.lines().map(|line| self.data_dir().join(line)).collect())
    }

    /// What the real `mysqlbinlog -v` prints of the complete log. Before each file's text stands a line
    /// `#file NAME`, which `mysqlbinlog` itself does not tell. Writers must be at rest: the end of a file that is
    /// being written may be half an event.
    pub fn mysqlbinlog_v(&self) -> Result<BufReader<File>> {
        let mut text = tempfile::tempfile_in(self.dir.path()).context("making a temporary file")?;
        for path in self.binlogs()? {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            writeln!(text, "#file {name}").context("writing a temporary file")?;
            let mut command = process::command(&self.servers.mysqlbinlog);
            command
                .args(["--no-defaults", "--verify-binlog-checksum"])
                .args(["--base64-output=DECODE-ROWS", "--verbose"])
                .arg(&path);
            process::output_to(command, text.try_clone().context("copying a file handle")?)?;
        }
        text.rewind().context("rewinding a temporary file")?;
        Ok(BufReader::new(text))
    }
}

fn server_command(servers: &Servers, data: &Path) -> Command {
    let mut command = process::command(&servers.mysqld);
    command.arg("--no-defaults");
    if rustix::process::geteuid().is_root() {
        command.arg("--user=root");
    }
    if let Some(base) = &servers.mysql_basedir {
        command.arg(format!("--basedir={}", base.display()));
        command.arg(format!("--lc-messages-dir={}/share/mysql", base.display()));
    }
    command.arg(format!("--datadir={}", data.display()));
    command
}

/// A socket's path must be shorter than 108 bytes.
fn socket_path(dir: &Path) -> Result<(PathBuf, Option<tempfile::TempDir>)> {
    let inside = dir.join("mysqld.sock");
    if inside.as_os_str().len() < 100 {
        return Ok((inside, None));
    }
    let short = tempfile::Builder::new().prefix("outboxd-").tempdir().context("making a folder for the socket")?;
    Ok((short.path().join("mysqld.sock"), Some(short)))
}
