//! Making a data folder takes seconds; copying one does not. So it is made once for each version and set of
//! options, kept in the cache, and copied for each server.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use anyhow::{Context, Result};

use super::{MysqlOptions, Product, server_command};
use crate::cache::{self, Programs};
use crate::process;

const MYSQL_INIT: &str = include_str!("init.sql");
const MARIADB_INIT: &str = include_str!("init_mariadb.sql");

pub(super) fn copy_to(programs: &Programs, options: &MysqlOptions, data: &Path) -> Result<()> {
    let mut hasher = DefaultHasher::new();
    (programs, &options.initialize, MYSQL_INIT, MARIADB_INIT).hash(&mut hasher);
    let name = format!("{}-template-", options.product.name());
    let template = cache::folder().join(format!("{name}{:016x}", hasher.finish()));
    if !template.exists() {
        make(programs, options, &name, &template)?;
    }
    let mut command = process::command("cp");
    command.args(["--archive", "--reflink=auto", "--sparse=always"]).args([&template, data]);
    process::output(command)?;
    Ok(())
}

fn make(programs: &Programs, options: &MysqlOptions, name: &str, template: &Path) -> Result<()> {
    // In the cache, not in the folder of running servers: a rename must not cross file systems.
    let work = tempfile::Builder::new()
        .prefix(name)
        .suffix(".partial")
        .tempdir_in(cache::folder())
        .context("making a folder in the cache")?;
    let data = work.path().join("data");
    match options.product {
        Product::Mysql => initialize_mysql(programs, &options.initialize, work.path(), &data)?,
        Product::Mariadb => initialize_mariadb(programs, &options.initialize, &data)?,
    }
    match fs::rename(&data, template) {
        // Another process was faster, and its template is as good.
        Err(_) if template.exists() => Ok(()),
        result => result.with_context(|| format!("renaming to {}", template.display())),
    }
}

fn initialize_mysql(programs: &Programs, options: &[String], work: &Path, data: &Path) -> Result<()> {
    let init = work.join("init.sql");
    fs::write(&init, MYSQL_INIT).with_context(|| format!("writing {}", init.display()))?;
    let mut command = server_command(programs, data);
    command
        .args(["--initialize-insecure", "--skip-log-bin"])
        .args(["--innodb-redo-log-capacity=64M", "--performance-schema=OFF"])
        .arg(format!("--init-file={}", init.display()))
        .args(options);
    process::output(command).context("making MySQL's data folder")?;
    // It holds the server's UUID, and each server needs its own.
    let identity = data.join("auto.cnf");
    if identity.exists() {
        fs::remove_file(&identity).with_context(|| format!("removing {}", identity.display()))?;
    }
    Ok(())
}

/// What `mariadb-install-db` does, without its needs of a shell.
fn initialize_mariadb(programs: &Programs, options: &[String], data: &Path) -> Result<()> {
    fs::create_dir(data).with_context(|| format!("creating {}", data.display()))?;
    let share = programs.basedir.as_ref().context("MariaDB's basedir is not known")?.join("share");
    let share = [share.join("mysql"), share.join("mariadb")].into_iter().find(|folder| folder.exists());
    let share = share.context("MariaDB's system tables are not in its basedir")?;
    let mut statements = "create database mysql;\nuse mysql;\nset @auth_root_socket=NULL;\n".to_owned();
    for script in ["mysql_system_tables.sql", "mysql_system_tables_data.sql"] {
        let path = share.join(script);
        statements += &fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    }
    statements += MARIADB_INIT;
    let mut command = server_command(programs, data);
    command
        .args(["--bootstrap", "--skip-grant-tables", "--innodb-log-file-size=16M", "--performance-schema=OFF"])
        .args(options);
    process::output_with(command, statements.as_bytes()).context("making MariaDB's data folder")?;
    Ok(())
}
