//! A real MySQL or MariaDB server with a data folder and a loopback port of its own.

use std::fs::{self, File};
use std::io::{BufReader, Seek, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use crate::cache::{Programs, RunDir, Servers};
use crate::process::{self, Process};
use crate::{ports, wait};

mod options;
mod template;

pub use options::{MysqlOptions, Product};

const START_TIMEOUT: Duration = Duration::from_secs(60);
const STOP_TIMEOUT: Duration = Duration::from_secs(60);
const LOG_NAME: &str = "mysql-bin";

/// A running (or stopped) MySQL or MariaDB server. Users: `root` without password, `outboxd` (password `outboxd`) with
/// `REPLICATION SLAVE` and the right to ask for the log's state, `shop` (password `shop`) with all rights. Ends when
/// dropped.
#[derive(Debug)]
pub struct Mysql {
    process: Option<Process>,
    programs: Programs,
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
        let programs = match options.product {
            Product::Mysql => servers.mysql,
            Product::Mariadb => servers.mariadb,
        };
        let dir = RunDir::new(options.product.name())?;
        template::copy_to(&programs, &options, &dir.path().join("data"))?;
        let (socket, socket_dir) = socket_path(dir.path())?;
        let mut mysql =
            Self { process: None, programs, options, port: ports::free()?, socket, _socket_dir: socket_dir, dir };
        mysql.launch()?;
        Ok(mysql)
    }

    fn launch(&mut self) -> Result<()> {
        // A client of the killed server may keep the port busy for a moment.
        wait::until(START_TIMEOUT, "the server's port to be free", || ports::is_free(self.port))?;
        let mut command = server_command(&self.programs, &self.data_dir());
        command
            .args(self.options.arguments())
            .arg("--bind-address=127.0.0.1")
            .arg("--secure-file-priv=")
            .arg(format!("--port={}", self.port))
            .arg(format!("--socket={}", self.socket.display()))
            .arg(format!("--pid-file={}", self.dir.path().join("pid").display()));
        process::log_to(&mut command, &self.log_file())?;
        let mut started = process::spawn(command)?;
        let mut ended = None;
        wait::until(START_TIMEOUT, "the server to answer", || {
            ended = started.exited().ok().flatten();
            ended.is_some() || (self.listens() && self.sql("SELECT 1").is_ok())
        })
        .with_context(|| process::tail(&self.log_file()))?;
        if let Some(status) = ended {
            bail!("the server ended ({status}):\n{}", process::tail(&self.log_file()));
        }
        self.process = Some(started);
        Ok(())
    }

    fn listens(&self) -> bool {
        TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok()
    }

    /// Whose server it is.
    #[must_use]
    pub fn product(&self) -> Product {
        self.options.product
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
        let mut command = process::command(&self.programs.client);
        command
            .args(["--no-defaults", "--batch", "--skip-column-names"])
            .args(["--default-character-set=utf8mb4", "--user=root"])
            .arg(format!("--socket={}", self.socket.display()));
        command
    }

    /// The server's process id.
    pub fn pid(&self) -> Result<u32> {
        let process = self.process.as_ref().context("the server is stopped")?;
        Ok(process.pid())
    }

    /// Sends a signal, such as STOP and CONT.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        let process = self.process.as_mut().context("the server is stopped")?;
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
                bail!("the server ended ({status}):\n{}", process::tail(&self.log_file()));
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

    /// The certificate of the CA that a MySQL server made for itself.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        self.data_dir().join("ca.pem")
    }

    /// File and offset of the log's end.
    pub fn log_end(&self) -> Result<(String, String)> {
        let status = self.sql(match self.options.product {
            Product::Mysql => "SHOW BINARY LOG STATUS",
            Product::Mariadb => "SHOW BINLOG STATUS",
        })?;
        let mut columns = status.trim_end().split('\t').map(str::to_owned);
        columns.next().zip(columns.next()).context("the server keeps no log")
    }

    /// The binlog files, oldest first; works while the server is down.
    pub fn binlogs(&self) -> Result<Vec<PathBuf>> {
        let index = self.data_dir().join(format!("{LOG_NAME}.index"));
        let text = fs::read_to_string(&index).with_context(|| format!("reading {}", index.display()))?;
        Ok(text.lines().map(|line| self.data_dir().join(line)).collect())
    }

    /// What the server's own `mysqlbinlog -v` prints of the complete log. Before each file's text stands a line
    /// `#file NAME`, which `mysqlbinlog` itself does not tell. Writers must be at rest: the end of a file that is
    /// being written may be half an event.
    pub fn mysqlbinlog_v(&self) -> Result<BufReader<File>> {
        let mut text = tempfile::tempfile_in(self.dir.path()).context("making a temporary file")?;
        for path in self.binlogs()? {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            writeln!(text, "#file {name}").context("writing a temporary file")?;
            let mut command = process::command(&self.programs.binlog);
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

fn server_command(programs: &Programs, data: &Path) -> Command {
    let mut command = process::command(&programs.server);
    command.arg("--no-defaults");
    if rustix::process::geteuid().is_root() {
        command.arg("--user=root");
    }
    if let Some(base) = &programs.basedir {
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
