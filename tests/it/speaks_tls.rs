//! The change stream of all tables travels encrypted, from a server that is who it should be.

use crate::support::Outbox;
use crate::support::ending::{end, stopped};
use testbed::{Mysql, MysqlOptions, shared};

#[test]
fn a_server_is_verified_by_its_authority_and_another_authority_is_refused() {
    let servers = shared().unwrap();
    let outbox = Outbox::new("tls", &servers.mysql, &servers.kafka);
    let sql = |statement: &str| servers.mysql.sql(statement).unwrap();
    sql(
        "CREATE USER secure IDENTIFIED BY 'secure' REQUIRE SSL; GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO secure",
    );
    let start = |mode: &str, ca: Option<&std::path::Path>| {
        let mut set =
            vec![format!("source.tls.mode={mode}"), "source.user=secure".into(), "source.password=secure".into()];
        set.extend(ca.map(|path| format!("source.tls.ca={}", path.display())));
        let arguments: Vec<&str> = set.iter().flat_map(|key| ["--set", key]).collect();
        outbox.start_with(&arguments)
    };
    let ours = servers.mysql.ca_file();

    let relay = start("verify-ca", Some(&ours));
    outbox.wait_ready();
    outbox.insert("a", "Order", "1", "{}");
    outbox.wait_delivered(1);
    end(relay);

    // The authority of a server whose data folder was made for itself.
    let different = vec!["--lower-case-table-names=1".to_owned()];
    let options = MysqlOptions { initialize: different.clone(), extra: different, ..MysqlOptions::default() };
    let other = Mysql::start(options).unwrap();
    let theirs = other.ca_file();
    assert_ne!(std::fs::read(&ours).unwrap(), std::fs::read(&theirs).unwrap());
    stopped(start("verify-ca", Some(&theirs))).because(
        "OBX-2006",
        78,
        &["TLS to MySQL at 127.0.0.1"],
        "`source.tls.ca`",
    );
    // The bundled authorities do not know it either, nor does its certificate name the address.
    stopped(start("verify-identity", None)).because("OBX-2006", 78, &[], "`source.tls.ca`");
    stopped(start("verify-identity", Some(&ours))).because("OBX-2006", 78, &[], "`source.tls.mode`");

    // MySQL does not tell a missing TLS from a wrong password.
    stopped(start("disabled", None)).because("OBX-2004", 77, &["MySQL error 1045"], "REQUIRE SSL");
    sql("ALTER USER secure REQUIRE NONE");
    outbox.insert("b", "Order", "1", "{}");
    let relay = start("required", None);
    outbox.wait_ready();
    outbox.wait_delivered(1);
    end(relay);
    assert_eq!(outbox.sorted_ids(), ["a", "b"]);
}
