//! A row of many packets arrives whole, or the relay says which limit it meets.

use crate::support::Outbox;
use crate::support::ending::{end, ids, stopped};
use testbed::shared;

#[test]
fn a_row_of_20_mb_stops_the_relay_until_its_topic_may_hold_it_and_then_arrives_intact() {
    let servers = shared().unwrap();
    let outbox = Outbox::new("large", &servers.mysql, &servers.kafka);
    let relay = outbox.stream();
    outbox.insert("before", "Order", "1", "{}");
    let sql = |statement: &str| servers.mysql.sql(statement).unwrap();
    // Sessions that begin later may send and build as much.
    sql("SET GLOBAL max_allowed_packet = 64 * 1024 * 1024; ALTER TABLE large.outbox MODIFY payload LONGBLOB");
    sql("INSERT INTO large.outbox VALUES ('large', 'Order', '1', 'Happened', \
         CONCAT('<', REPEAT(x'00FF0A27', 5000000), '>'))");
    outbox.insert("after", "Order", "1", "{}");
    let words = ["a record of 2000", "max.message.bytes = 1048588", "large.Order"];
    stopped(relay).because("OBX-3007", 65, &words, "Raise `max.message.bytes`");
    assert_eq!(outbox.sorted_ids(), ["before"]);

    servers.kafka.alter_configs("large.Order", &[("max.message.bytes", "21000000")]).unwrap();
    let relay = outbox.stream();
    outbox.wait_delivered(2);
    end(relay);
    let records = outbox.records();
    assert_eq!(ids(&records), ["before", "large", "after"]);
    let value = records[1].value.as_deref().unwrap();
    let inner = value.strip_prefix(b"<").and_then(|value| value.strip_suffix(b">")).unwrap();
    assert_eq!(inner.len(), 20_000_000);
    assert!(inner.chunks(4).all(|part| part == b"\x00\xff\x0a\x27"));
}
