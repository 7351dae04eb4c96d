//! Where `setup.sh` put the servers, and the folders in which they run.

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The programs of a MySQL or MariaDB server.
#[derive(Debug, Clone, Hash)]
pub struct Programs {
    /// `mysqld` or `mariadbd`.
    pub server: PathBuf,
    /// The `mysql` or `mariadb` client.
    pub client: PathBuf,
    /// `mysqlbinlog` or `mariadb-binlog`.
    pub binlog: PathBuf,
    /// What to give the server as `--basedir`; none for a server that knows its own.
    pub basedir: Option<PathBuf>,
    /// Such as `9.7.4`.
    pub version: String,
}

/// The programs that `setup.sh` found or fetched.
#[derive(Debug, Clone)]
pub struct Servers {
    /// MySQL.
    pub mysql: Programs,
    /// MariaDB.
    pub mariadb: Programs,
    /// The folder of Kafka's jars.
    pub kafka_libs: PathBuf,
    /// Such as `4.3.1`.
    pub kafka_version: String,
}

impl Servers {
    /// Reads what `setup.sh` wrote; the error says to run it.
    pub fn find() -> Result<Self> {
        let folder = folder();
        let path = folder.join("servers.env");
        let text = fs::read_to_string(&path)
            .with_context(|| format!("no servers at {}: run tests/testbed/setup.sh first", path.display()))?;
        let entries: HashMap<&str, &str> = text.lines().filter_map(|line| line.split_once('=')).collect();
        let get = |key: &str| {
            entries
                .get(key)
                .copied()
                .with_context(|| format!("{} has no {key}: run tests/testbed/setup.sh again", path.display()))
        };
        let file = |key: &str| get(key).map(|value| folder.join(value));
        let programs = |[server, client, binlog, basedir, version]: [&str; 5]| {
            Ok::<_, anyhow::Error>(Programs {
                server: file(server)?,
                client: file(client)?,
                binlog: file(binlog)?,
                basedir: Some(get(basedir)?).filter(|value| !value.is_empty()).map(|value| folder.join(value)),
                version: get(version)?.to_owned(),
            })
        };
        Ok(Self {
            mysql: programs(["mysqld", "mysql", "mysqlbinlog", "mysql_basedir", "mysql_version"])?,
            mariadb: programs(["mariadbd", "mariadb", "mariadb_binlog", "mariadb_basedir", "mariadb_version"])?,
            kafka_libs: file("kafka_libs")?,
            kafka_version: get("kafka_version")?.to_owned(),
        })
    }
}

/// `$OUTBOXD_CACHE`, or `.cache` in the repository.
#[must_use]
pub fn folder() -> PathBuf {
    std::env::var_os("OUTBOXD_CACHE").map_or_else(|| repository().join(".cache"), PathBuf::from)
}

/// `$OUTBOXD_TESTBED_DIR`, or `run` in the cache: holds the data of running servers.
pub fn run_folder() -> Result<PathBuf> {
    let path = std::env::var_os("OUTBOXD_TESTBED_DIR").map_or_else(|| folder().join("run"), PathBuf::from);
    fs::create_dir_all(&path).with_context(|| format!("creating {}", path.display()))?;
    path.canonicalize().with_context(|| format!("resolving {}", path.display()))
}

/// The root of the source tree.
#[must_use]
pub fn repository() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_path_buf()
}

/// A folder for one server's files. Removed when dropped, unless `OUTBOXD_KEEP=1` is set or the thread is
/// panicking: then its path is printed instead.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
    // Held as long as the process lives: tells a folder in use from one whose owner was killed.
    _owner: File,
}

const OWNER: &str = ".owner";
const KEEP: &str = ".keep";

impl RunDir {
    /// A new folder whose name starts with `kind`. Clears those away that killed processes left.
    pub fn new(kind: &str) -> Result<Self> {
        let parent = run_folder()?;
        remove_abandoned(&parent);
        let path = tempfile::Builder::new()
            .prefix(&format!("{kind}-"))
            .tempdir_in(&parent)
            .with_context(|| format!("creating a folder in {}", parent.display()))?
            .keep();
        let owner = own(&path).with_context(|| format!("locking {}", path.display()))?;
        Ok(Self { path, _owner: owner })
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for RunDir {
    fn drop(&mut self) {
        let asked = std::env::var_os("OUTBOXD_KEEP").is_some_and(|value| value == "1");
        if asked || std::thread::panicking() {
            let _ = File::create(self.path.join(KEEP));
            eprintln!("testbed: kept {}", self.path.display());
        } else if let Err(error) = fs::remove_dir_all(&self.path) {
            eprintln!("testbed: cannot remove {}: {error}", self.path.display());
        }
    }
}

/// The file gets its name when it is locked: seen unlocked, its owner is dead.
fn own(path: &Path) -> std::io::Result<File> {
    let unnamed = path.join(".owner.new");
    let owner = File::create(&unnamed)?;
    owner.try_lock()?;
    fs::rename(unnamed, path.join(OWNER))?;
    Ok(owner)
}

fn remove_abandoned(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let path = entry.path();
        let Ok(owner) = File::open(path.join(OWNER)) else {
            continue;
        };
        if !path.join(KEEP).exists() && owner.try_lock().is_ok() {
            let _ = fs::remove_dir_all(&path);
        }
    }
}
