//! A committed insert becomes one record with the row's key, payload and headers; a rolled-back one becomes none.

use crate::support::Outbox;
use testbed::shared;

#[test]
fn a_committed_row_becomes_one_record_and_a_rolled_back_one_none() {
    let servers = shared().unwrap();
    let outbox = Outbox::new("delivers", &servers.mysql, &servers.kafka);
    let relay = outbox.stream();
    outbox.insert("a", "Order", "order-1", r#"{"b": [1, 2], "a": "ü"}"#);
    outbox
        .mysql
        .sql("BEGIN; INSERT INTO delivers.outbox VALUES ('x', 'Order', 'order-1', 'Happened', '{}'); ROLLBACK;")
        .unwrap();
    outbox.insert("b", "Order", "order-1", "{}");
    outbox.wait_delivered(2);
    let seen = outbox.seen(&["Order"]);
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].key.as_deref(), Some(b"order-1".as_slice()));
    assert_eq!(seen[0].value.as_deref(), Some(r#"{"a":"ü","b":[1,2]}"#.as_bytes()));
    assert_eq!(seen[0].header("id"), Some("a"));
    assert_eq!(seen[0].header("eventType"), Some("Happened"));
    let source = seen[1].header("outboxd-source").unwrap();
    assert!(source.ends_with("#1/1"), "{source}");
    assert_eq!(seen[1].header("id"), Some("b"));
    drop(relay);
}
