//! Making a data folder takes seconds; copying one does not. So it is made once for each version and set of
//! options, kept in the cache, and copied for each server.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use anyhow::{Context, Result};

use super::server_command;
use crate::cache::{self, Servers};
use crate::process;

const INIT: &str = include_str!("init.sql");

pub(super) fn copy_to(servers: &Servers, initialize: &[String], data: &Path) -> Result<()> {
    let mut hasher = DefaultHasher::new();
    (&servers.mysqld, &servers.mysql_version, initialize, INIT).hash(&mut hasher);
    let template = cache::folder().join(format!("mysql-template-{:016x}", hasher.finish()));
    if !template.exists() {
        make(servers, initialize, &template)?;
    }
    let mut command = process::command("cp");
    command.args(["--archive", "--reflink=auto", "--sparse=always"]).args([&template, data]);
    process::output(command)?;
    Ok(())
}

fn make(servers: &Servers, initialize: &[String], template: &Path) -> Result<()> {
    // In the cache, not in the folder of running servers: a rename must not cross file systems.
    let work = tempfile::Builder::new()
        .prefix("mysql-template-")
        .suffix(".partial")
        .tempdir_in(cache::folder())
        .context("making a folder in the cache")?;
    let init = work.path().join("init.sql");
    fs::write(&init, INIT).with_context(|| format!("writing {}", init.display()))?;
    let data = work.path().join("data");
    let mut command = server_command(servers, &data);
    command
        .args(["--initialize-insecure", "--skip-log-bin"])
        .args(["--innodb-redo-log-capacity=64M", "--performance-schema=OFF"])
        .arg(format!("--init-file={}", init.display()))
        .args(initialize);
    process::output(command).context("making MySQL's data folder")?;
    // It holds the server's UUID, and each server needs its own.
    let identity = data.join("auto.cnf");
    if identity.exists() {
        fs::remove_file(&identity).with_context(|| format!("removing {}", identity.display()))?;
    }
    match fs::rename(&data, template) {
        // Another process was faster, and its template is as good.
        Err(_) if template.exists() => Ok(()),
        result => result.with_context(|| format!("renaming to {}", template.display())),
    }
}
