//! One relay carries several outboxes with layouts of their own, in one transaction; and a configuration with mistakes is
//! told all of them.

use crate::support::ending::end;
use crate::support::{BINARY, Outbox};
use testbed::{Observed, shared};

const SECOND: &str = r#"
[outbox.second]
table = "several.messages"
id = "message_id"
aggregate_type = "topic"
aggregate_id = "routing_key"
event_type = "kind"
payload = "body"
topic = "several.{event_type}.{aggregate_type}"
timestamp = "happened_at"
source_header = true

[outbox.second.headers]
number = "number"
amount = "amount"
note = "note"
"#;

const MESSAGES: &str = "CREATE TABLE several.messages (body VARBINARY(100), topic VARCHAR(50) NOT NULL, \
     message_id BINARY(16) NOT NULL PRIMARY KEY, kind ENUM('command', 'event'), number BIGINT UNSIGNED, \
     amount DECIMAL(10, 2), note TEXT CHARACTER SET latin1, routing_key VARCHAR(20), happened_at DATETIME(3))";

fn header(record: &Observed, name: &str) -> Option<Vec<u8>> {
    record.headers.iter().find(|(key, _)| key == name).unwrap().1.clone()
}

#[test]
fn two_tables_of_different_layout_share_a_transaction() {
    let servers = shared().unwrap();
    let mut outbox = Outbox::new("several", &servers.mysql, &servers.kafka);
    outbox.extra = SECOND.to_owned();
    outbox.mysql.sql(MESSAGES).unwrap();
    let relay = outbox.stream();
    outbox
        .mysql
        .sql(
            "USE several; BEGIN; INSERT INTO outbox VALUES ('a', 'Order', 'o-1', 'Happened', '[1]'); \
             INSERT INTO messages VALUES \
             (x'00ff80', 'mail', x'000102030405060708090a0b0c0d0e0f', 'command', 18446744073709551615, -1.50, 'Größe', 'r', \
             '2024-02-29 12:00:00.123'), \
             (NULL, 'mail', x'ffffffffffffffffffffffffffffffff', 'event', NULL, NULL, NULL, NULL, NULL); \
             INSERT INTO outbox VALUES ('b', 'Order', 'o-1', 'Happened', NULL); COMMIT;",
        )
        .unwrap();
    outbox.wait_delivered(4);
    end(relay);

    let records = outbox.records();
    let of = |topic: &str| records.iter().filter(|record| record.topic == topic).collect::<Vec<_>>();
    let (orders, commands, events) = (of("several.Order"), of("several.command.mail"), of("several.event.mail"));
    assert_eq!((orders.len(), commands.len(), events.len()), (2, 1, 1));
    assert_eq!(orders[0].value.as_deref(), Some(b"[1]".as_slice()));
    assert_eq!((orders[1].key.as_deref(), orders[1].value.as_deref()), (Some(b"o-1".as_slice()), None));

    let command = commands[0];
    assert_eq!(command.key.as_deref(), Some(b"r".as_slice()));
    assert_eq!(command.value.as_deref(), Some(b"\x00\xff\x80".as_slice()));
    assert_eq!(command.timestamp, Some(1_709_208_000_123));
    let names: Vec<&str> = command.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["id", "number", "amount", "note", "outboxd-source"]);
    assert_eq!(header(command, "amount").as_deref(), Some(b"-1.50".as_slice()));
    assert_eq!(header(command, "note").as_deref(), Some("Größe".as_bytes()));
    let event = events[0];
    assert_eq!((event.key.as_deref(), event.value.as_deref()), (None, None));
    assert!(event.timestamp.is_some_and(|time| time > 1_709_208_000_123));
    for name in ["number", "amount", "note"] {
        assert_eq!(header(event, name), None, "{name}");
    }
    // One transaction: the same position, and all four ordinals of four.
    let mut places: Vec<&str> = records.iter().map(|record| record.header("outboxd-source").unwrap()).collect();
    places.sort_unstable();
    let (position, _) = places[0].split_once('#').unwrap();
    let expected: Vec<String> = (1..=4).map(|ordinal| format!("{position}#{ordinal}/4")).collect();
    assert_eq!(places, expected);
}

#[test]
fn every_mistake_of_a_configuration_is_shown_in_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wrong.toml");
    let text = "name = \"shop\"\nsource.host = \"db.example\"\nsource.prot = 3306\nsource.user = \"u\"\n\
                source.password = \"hidden-canary\"\nsource.heartbeat = 10\nsource.tls.mode = \"disabled\"\n\
                kafka.brokers = [\"kafka\"]\n[outbox.main]\ntable = \"outbox\"\ntopic = \"x.{typ}\"\n";
    std::fs::write(&path, text).unwrap();
    let output = std::process::Command::new(BINARY).arg("validate").arg(&path).output().unwrap();
    let shown = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(78), "{shown}");
    for (line, words) in [
        (3, "source.prot"),
        (6, "needs a unit"),
        (7, "refusing plaintext to db.example"),
        (8, "is not host:port"),
        (10, "outbox.main.table"),
        (11, "{typ}"),
    ] {
        assert!(shown.contains(&format!("wrong.toml:{line}:")) && shown.contains(words), "{line} {words}:\n{shown}");
    }
    assert!(shown.matches('^').count() >= 6, "{shown}");
    assert!(!shown.contains("hidden-canary"), "{shown}");
}
