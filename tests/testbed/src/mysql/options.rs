//! How a server is set up.

use super::LOG_NAME;

/// Whose server it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Product {
    /// MySQL.
    Mysql,
    /// MariaDB.
    Mariadb,
}

impl Product {
    /// Its name in lower case.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Mysql => "mysql",
            Self::Mariadb => "mariadb",
        }
    }
}

/// How a server is set up. The default is a MySQL with a production server's binlog (ROW, FULL image, FULL metadata,
/// GTIDs) on fast, small storage.
#[derive(Debug, Clone)]
pub struct MysqlOptions {
    /// MySQL or MariaDB.
    pub product: Product,
    /// `gtid_mode` and `enforce_gtid_consistency`. A MariaDB always has GTIDs.
    pub gtid: bool,
    /// `server_id`.
    pub server_id: u32,
    /// More options of the server, such as `--binlog-row-image=MINIMAL`; they win over the ones set here.
    pub extra: Vec<String>,
    /// Options that must be given when the data folder is made, such as `--lower-case-table-names=1`.
    pub initialize: Vec<String>,
}

impl Default for MysqlOptions {
    fn default() -> Self {
        Self { product: Product::Mysql, gtid: true, server_id: 1, extra: Vec::new(), initialize: Vec::new() }
    }
}

impl MysqlOptions {
    /// The default with more options of the server.
    pub fn with<S: Into<String>>(extra: impl IntoIterator<Item = S>) -> Self {
        Self { extra: extra.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    /// The same for a MariaDB.
    #[must_use]
    pub fn mariadb() -> Self {
        Self { product: Product::Mariadb, ..Self::default() }
    }

    pub(super) fn arguments(&self) -> Vec<String> {
        let mut arguments = vec![
            format!("--server-id={}", self.server_id),
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
        if self.product == Product::Mysql {
            let gtid = if self.gtid { "ON" } else { "OFF" };
            arguments.push(format!("--gtid-mode={gtid}"));
            arguments.push(format!("--enforce-gtid-consistency={gtid}"));
            arguments.push("--mysqlx=OFF".to_owned());
        }
        arguments.extend(self.extra.iter().cloned());
        arguments
    }
}
