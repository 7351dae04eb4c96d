//! A server whose history changes under its relay.

use std::path::Path;
use std::process::Command;

use testbed::{Kafka, Mysql, MysqlOptions, Product, shared};

use super::ending::{end, sorted_ids, stopped};
use super::proxy::Proxy;
use super::{Instance, Outbox, reader};

/// Which server, and how positions are kept.
#[derive(Clone, Copy)]
pub(crate) struct Kind {
    pub(crate) product: Product,
    pub(crate) gtid: bool,
}

pub(crate) const MYSQL_GTID: Kind = Kind { product: Product::Mysql, gtid: true };
pub(crate) const MYSQL_FILE: Kind = Kind { product: Product::Mysql, gtid: false };
pub(crate) const MARIADB_GTID: Kind = Kind { product: Product::Mariadb, gtid: true };
pub(crate) const MARIADB_FILE: Kind = Kind { product: Product::Mariadb, gtid: false };

impl Kind {
    pub(crate) fn options(self) -> MysqlOptions {
        MysqlOptions { product: self.product, gtid: self.gtid, ..MysqlOptions::default() }
    }
}

/// A server of its own with an outbox, whose relay reads it through a proxy.
pub(crate) struct Source {
    pub(crate) kind: Kind,
    pub(crate) mysql: Mysql,
    pub(crate) proxy: Proxy,
    pub(crate) relay: Instance,
}

impl Source {
    pub(crate) fn new(name: &str, kind: Kind) -> Self {
        let mysql = Mysql::start(kind.options()).unwrap();
        let proxy = Proxy::start(mysql.port());
        let relay = Self::outbox(name, kind, &mysql, &proxy);
        Self { kind, mysql, proxy, relay }
    }

    fn outbox(name: &str, kind: Kind, mysql: &Mysql, proxy: &Proxy) -> Instance {
        mysql.sql(&format!("CREATE DATABASE `{name}`; {}", Outbox::table(name, "outbox"))).unwrap();
        let mut relay = Instance::new(name, proxy.port, &kafka().bootstrap());
        // A MySQL has its mode; a MariaDB always has GTIDs.
        if kind.product == Product::Mariadb && !kind.gtid {
            relay.extra = "source.positions = \"file\"\n".to_owned();
        }
        relay
    }

    /// The same server with another outbox and relay.
    pub(crate) fn anew(&mut self, name: &str) {
        self.relay = Self::outbox(name, self.kind, &self.mysql, &self.proxy);
    }

    pub(crate) fn insert(&self, ids: &[&str]) {
        for id in ids {
            self.mysql.sql(&Outbox::row(&self.relay.name, id, "Order", "1", "{}")).unwrap();
        }
    }

    /// Inserts rows, and delivers these and none more.
    pub(crate) fn deliver(&self, ids: &[&str]) {
        let relay = self.relay.stream();
        self.insert(ids);
        self.relay.wait_delivered(ids.len() as u64);
        end(relay);
    }

    pub(crate) fn ids(&self) -> Vec<String> {
        sorted_ids(&reader::read(kafka(), &format!("{}.", self.relay.name)))
    }

    pub(crate) fn refuses(&self, code: &str, status: i32, words: &[&str], fix: &str) {
        let before = self.ids();
        stopped(self.relay.start()).because(code, status, words, fix);
        assert_eq!(self.ids(), before);
    }
}

pub(crate) fn kafka() -> &'static Kafka {
    &shared().unwrap().kafka
}

/// Copies a stopped server's data.
pub(crate) fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("--archive").args([from, to]).status().unwrap();
    assert!(copied.success());
}
