//! Of Kafka, and of the properties that are handed to librdkafka.

use super::*;

#[test]
fn kafka() {
    check(&[
        (
            with("brokers", "brokers = [\"a:1\", \"b\", \"PLAINTEXT://c:1\", \"d:99999\"]"),
            r#"
t.toml:8:19: error: kafka.brokers: "b" is not host:port
    8 | brokers = ["a:1", "b", "PLAINTEXT://c:1", "d:99999"]
      |                   ^^^
t.toml:8:24: error: kafka.brokers: "PLAINTEXT://c:1" is not host:port; the protocol is security.protocol in [kafka.librdkafka]
    8 | brokers = ["a:1", "b", "PLAINTEXT://c:1", "d:99999"]
      |                        ^^^^^^^^^^^^^^^^^
t.toml:8:43: error: kafka.brokers: "d:99999" is not host:port
    8 | brokers = ["a:1", "b", "PLAINTEXT://c:1", "d:99999"]
      |                                           ^^^^^^^^^
"#,
        ),
        (
            with("brokers", "brokers = \"a:1\""),
            r#"
t.toml:8:11: error: kafka.brokers must be a list of texts, e.g. ["a", "b"], not text
    8 | brokers = "a:1"
      |           ^^^^^
"#,
        ),
        (
            with("brokers", "brokers = []"),
            r#"
t.toml:8:11: error: kafka.brokers names no broker
    8 | brokers = []
      |           ^^
"#,
        ),
        (
            with("brokers", "brokers = [\"a:1\", 2]"),
            r#"
t.toml:8:11: error: kafka.brokers must be a list of texts, not of a number
    8 | brokers = ["a:1", 2]
      |           ^^^^^^^^^^
"#,
        ),
        (
            with(
                "brokers",
                "brokers = [\"a:1\"]\nreplication_factor = 0\npartitions = 0\ncheckpoint_topic = \"a b\"\ncheckpoint_partition = -1\ndelivery = \"exactly_once\"",
            ),
            r#"
t.toml:9:22: error: kafka.replication_factor = 0 must be -1 (the broker's default) or at least 1
    9 | replication_factor = 0
      |                      ^
t.toml:10:14: error: kafka.partitions = 0 must be between 1 and 100000
   10 | partitions = 0
      |              ^
t.toml:11:20: error: kafka.checkpoint_topic = "a b" has the character ' '; Kafka allows letters, digits, `.`, `_` and `-` in a topic name
   11 | checkpoint_topic = "a b"
      |                    ^^^^^
t.toml:12:24: error: kafka.checkpoint_partition = -1 must be between 0 and 2147483647
   12 | checkpoint_partition = -1
      |                        ^^
t.toml:13:12: error: kafka.delivery = "exactly_once" must be one of exactly-once, at-least-once; did you mean "exactly-once"?
   13 | delivery = "exactly_once"
      |            ^^^^^^^^^^^^^^
"#,
        ),
    ]);
}

#[test]
fn librdkafka_properties() {
    let props = "acks = 1\nrequest.required.acks = 1\ntransactional.id = \"x\"\npartitioner = \"random\"\nplugin.library.paths = \"x\"\ndebug = \"all\"\nsasl.oauthbearer.method = \"oidc\"\nretries = 1";
    check(&[
        (
            and(&format!("[kafka.librdkafka]\n{props}")),
            r#"
t.toml:12:1: error: acks is outboxd's to set: a record must be on all in-sync replicas before the checkpoint covers it
   12 | acks = 1
      | ^^^^
t.toml:13:18: error: request.required.acks is outboxd's to set: a record must be on all in-sync replicas before the checkpoint covers it
   13 | request.required.acks = 1
      |                  ^^^^
t.toml:14:15: error: transactional.id is outboxd's to set: it is the relay's identity; set `name`
   14 | transactional.id = "x"
      |               ^^
t.toml:15:1: error: partitioner is outboxd's to set: records with one key must stay in one partition, whatever the client
   15 | partitioner = "random"
      | ^^^^^^^^^^^
t.toml:16:16: error: plugin.library.paths is refused: it loads code into outboxd
   16 | plugin.library.paths = "x"
      |                ^^^^^
t.toml:17:9: warning: debug = all: librdkafka's debug output is large and may hold keys and values
   17 | debug = "all"
      |         ^^^^^
t.toml:18:27: error: sasl.oauthbearer.method = "oidc" is refused: it makes outboxd call a token address
   18 | sasl.oauthbearer.method = "oidc"
      |                           ^^^^^^
t.toml:19:1: error: retries is outboxd's to set: outboxd retries until the Kafka transaction times out
   19 | retries = 1
      | ^^^^^^^
"#,
        ),
        (
            and(
                "[kafka.librdkafka]\ntransaction.timeout.ms = 30000\nmessage.timeout.ms = 30001\nsocket.timeout.ms = 30101\nretry.backoff.ms = 2000",
            ),
            r#"
t.toml:13:22: error: message.timeout.ms = 30001 must not exceed transaction.timeout.ms = 30000
   13 | message.timeout.ms = 30001
      |                      ^^^^^
t.toml:14:21: error: socket.timeout.ms = 30101 must not exceed transaction.timeout.ms + 100 = 30100
   14 | socket.timeout.ms = 30101
      |                     ^^^^^
t.toml:15:20: error: retry.backoff.ms = 2000 must not exceed retry.backoff.max.ms = 1000
   15 | retry.backoff.ms = 2000
      |                    ^^^^
"#,
        ),
        (
            and("[kafka.librdkafka]\nmessage.timeout.ms = \"soon\""),
            r#"
t.toml:12:22: error: message.timeout.ms must be a whole number of milliseconds
   12 | message.timeout.ms = "soon"
      |                      ^^^^^^
"#,
        ),
        (
            and("[kafka.librdkafka]\n\"compression.type\" = \"lz4\"\ncompression.type = \"lz4\""),
            r#"
t.toml:13:13: error: kafka.librdkafka.compression.type is set twice
   13 | compression.type = …
      |             ^^^^
"#,
        ),
    ]);
}
