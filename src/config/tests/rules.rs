//! Mistakes that the rules of each section find: the file, and exactly what is reported.

use super::mistakes::check;
use super::*;

#[test]
fn password_sources() {
    check(&[
        (
            with("password_env", ""),
            r#"
t.toml:3:2: error: the password is missing: set one of source.password, .password_file, .password_env
    3 | [source]
      |  ^^^^^^
"#,
        ),
        (
            with("password_env", "password_env = \"PW\"\npassword = \"x\""),
            r#"
t.toml:6:1: error: set only one of source.password, source.password_file, source.password_env
    6 | password_env = "PW"
      | ^^^^^^^^^^^^
t.toml:7:1: error: set only one of source.password, source.password_file, source.password_env
    7 | password = …
      | ^^^^^^^^
"#,
        ),
        (
            with("password_env", "password_env = \"NOT_SET\""),
            r#"
t.toml:6:16: error: the environment variable NOT_SET is not set
    6 | password_env = "NOT_SET"
      |                ^^^^^^^^^
"#,
        ),
        (
            with("password_env", "password_file = \"/nowhere/pw\""),
            r#"
t.toml:6:17: error: source.password_file /nowhere/pw: there is no such file
    6 | password_file = "/nowhere/pw"
      |                 ^^^^^^^^^^^^^
"#,
        ),
    ]);
}

#[test]
fn name_and_host() {
    check(&[
        (
            with("name", "name = \"a b\""),
            r#"
t.toml:2:8: error: name = "a b" must be 1 to 100 letters, digits, `.`, `_` or `-`: it becomes Kafka's transactional id
    2 | name = "a b"
      |        ^^^^^
"#,
        ),
        (
            with("name", &format!("name = \"{}\"", "x".repeat(101))),
            r#"
t.toml:2:8: error: name = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"… must be 1 to 100 letters, digits, `.`, `_` or `-`: it becomes Kafka's transactional id
    2 | name = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
      |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
"#,
        ),
        (
            with("host", "host = \"db:3306\""),
            r#"
t.toml:4:8: error: source.host = "db:3306" is not a host name or address; the port goes into source.port
    4 | host = "db:3306"
      |        ^^^^^^^^^
"#,
        ),
        (
            with("host", "host = \"mysql://db\""),
            r#"
t.toml:4:8: error: source.host = "mysql://db" is not a host name or address
    4 | host = "mysql://db"
      |        ^^^^^^^^^^^^
"#,
        ),
    ]);
}

#[test]
fn start_position() {
    check(&[
        (
            with("user", "user = \"u\"\nstart = \"snapshot\""),
            r#"
t.toml:6:9: error: source.start = "snapshot" comes in a later version; use now, earliest, gtid:SET or file:NAME:POSITION
    6 | start = "snapshot"
      |         ^^^^^^^^^^
"#,
        ),
        (
            with("user", "user = \"u\"\nstart = \"gtid:nonsense\""),
            r#"
t.toml:6:9: error: source.start = "gtid:nonsense" is not a GTID set: "nonsense" is not a server UUID
    6 | start = "gtid:nonsense"
      |         ^^^^^^^^^^^^^^^
"#,
        ),
        (
            with("user", "user = \"u\"\nstart = \"file:bin.1\""),
            r#"
t.toml:6:9: error: source.start = "file:bin.1" must be file:NAME:POSITION, e.g. "file:binlog.000031:4"
    6 | start = "file:bin.1"
      |         ^^^^^^^^^^^^
"#,
        ),
        (
            with("user", "user = \"u\"\nstart = \"file:bin.1:3\""),
            r#"
t.toml:6:9: error: source.start = "file:bin.1:3" is before the first event of a binlog file, which is at 4
    6 | start = "file:bin.1:3"
      |         ^^^^^^^^^^^^^^
"#,
        ),
        (
            with("user", "user = \"u\"\nstart = \"later\""),
            r#"
t.toml:6:9: error: source.start = "later" must be now, earliest, gtid:SET or file:NAME:POSITION
    6 | start = "later"
      |         ^^^^^^^
"#,
        ),
    ]);
}

#[test]
fn tls() {
    check(&[
        (
            with("host", "host = \"db.example\"\ntls.mode = \"disabled\""),
            r#"
t.toml:5:12: error: refusing plaintext to db.example: anyone on the path could read every change of every table; use "verify-identity", or set source.tls.allow_plaintext = true
    5 | tls.mode = "disabled"
      |            ^^^^^^^^^^
"#,
        ),
        (
            with("host", "host = \"db.example\"\ntls.mode = \"required\""),
            r#"
t.toml:5:12: warning: source.tls.mode = "required" does not verify the server: anyone on the path can pose as it
    5 | tls.mode = "required"
      |            ^^^^^^^^^^
"#,
        ),
        (
            with("host", "host = \"db.example\"\ntls.mode = \"verify\""),
            r#"
t.toml:5:12: error: source.tls.mode = "verify" must be one of disabled, required, verify-ca, verify-identity; did you mean "verify-ca"?
    5 | tls.mode = "verify"
      |            ^^^^^^^^
"#,
        ),
        (
            with("host", "host = \"db.example\"\ntls.ca = \"/nowhere/ca.pem\""),
            r#"
t.toml:5:10: error: source.tls.ca /nowhere/ca.pem: there is no such file
    5 | tls.ca = "/nowhere/ca.pem"
      |          ^^^^^^^^^^^^^^^^^
"#,
        ),
    ]);
}

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
fn outboxes() {
    check(&[
        (
            BASE.split("[outbox").next().unwrap().to_owned(),
            r#"
t.toml: error: there is no [outbox.NAME] table: nothing to relay
"#,
        ),
        (
            and("[outbox.other]\ntable = \"shop.outbox\""),
            r#"
t.toml:12:9: error: shop.outbox is already the table of [outbox.orders]
   12 | table = "shop.outbox"
      |         ^^^^^^^^^^^^^
"#,
        ),
        (
            and("[outbox.\"a.b\"]\ntable = \"s.t\""),
            r#"
t.toml:11:9: error: the outbox name "a.b" must be 1 to 64 letters, digits, `_` or `-`
   11 | [outbox."a.b"]
      |         ^^^^^
"#,
        ),
        (
            with("table", "table = \"outbox\""),
            r#"
t.toml:10:9: error: outbox.orders.table = "outbox" must be schema.table
   10 | table = "outbox"
      |         ^^^^^^^^
"#,
        ),
        (
            with("table", "table = \"shop.%\""),
            r#"
t.toml:10:9: error: outbox.orders.table = "shop.%" has the wildcard '%'; patterns also match the copies of a schema change: name the table exactly
   10 | table = "shop.%"
      |         ^^^^^^^^
"#,
        ),
        (
            with("table", "table = \"`shop`.`outbox`\""),
            r#"
t.toml:10:9: error: outbox.orders.table = "`shop`.`outbox`" must be schema.table without quotes
   10 | table = "`shop`.`outbox`"
      |         ^^^^^^^^^^^^^^^^^
"#,
        ),
        (
            and("topic = \"{typ}\""),
            r#"
t.toml:11:9: error: outbox.orders.topic = "{typ}" uses the unknown field {typ}; the fields are {aggregate_type} and {event_type}
   11 | topic = "{typ}"
      |         ^^^^^^^
"#,
        ),
        (
            and("topic = \"a b\""),
            r#"
t.toml:11:9: error: outbox.orders.topic = "a b" has the character ' '; Kafka allows letters, digits, `.`, `_` and `-` in a topic name
   11 | topic = "a b"
      |         ^^^^^
"#,
        ),
        (
            and(&format!("topic = \"{}\"", "x".repeat(250))),
            r#"
t.toml:11:9: error: outbox.orders.topic = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"… is 250 characters long; Kafka allows 249
   11 | topic = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
      |         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
"#,
        ),
        (
            and("topic = \"{event_type}\""),
            r#"
t.toml:11:9: error: outbox.orders.topic uses {event_type}, but outbox.orders.event_type is not set
   11 | topic = "{event_type}"
      |         ^^^^^^^^^^^^^^
"#,
        ),
        (
            and("topic = \"outboxd.checkpoints\""),
            r#"
t.toml:11:9: error: outbox.orders.topic = "outboxd.checkpoints" is the checkpoint topic: records would overwrite checkpoints
   11 | topic = "outboxd.checkpoints"
      |         ^^^^^^^^^^^^^^^^^^^^^
"#,
        ),
        (
            and("on_update = \"publish\"\nid = \"\"\nsource_header = 1"),
            r#"
t.toml:11:13: error: outbox.orders.on_update = "publish" must be one of stop, warn, emit
   11 | on_update = "publish"
      |             ^^^^^^^^^
t.toml:12:6: error: outbox.orders.id = "" is empty
   12 | id = ""
      |      ^^
t.toml:13:17: error: outbox.orders.source_header must be true or false without quotes, not a number
   13 | source_header = 1
      |                 ^
"#,
        ),
        (
            and("[outbox.orders.headers]\nid = \"id\"\nx = \"\"\ny = 3"),
            r#"
t.toml:12:1: error: the header "id" is written by outboxd itself
   12 | id = "id"
      | ^^
t.toml:13:5: error: outbox.orders.headers.x = "" is empty; it names the column of the header
   13 | x = ""
      |     ^^
t.toml:14:5: error: outbox.orders.headers.y must be text in quotes, not a number
   14 | y = 3
      |     ^
"#,
        ),
    ]);
}

#[test]
fn http_and_log() {
    check(&[
        (
            and("[http]\nlisten = \"localhost:80\""),
            r#"
t.toml:12:10: error: http.listen = "localhost:80" must be ip:port, e.g. "127.0.0.1:9464", or "off"
   12 | listen = "localhost:80"
      |          ^^^^^^^^^^^^^^
"#,
        ),
        (
            and("[http]\nlisten = \"0.0.0.0:9464\""),
            r#"
t.toml:12:10: warning: health and metrics can be read by everyone who reaches this address: they carry no password
   12 | listen = "0.0.0.0:9464"
      |          ^^^^^^^^^^^^^^
"#,
        ),
        (
            and("[log]\nlevel = \"inf\"\nformat = \"jsn\""),
            r#"
t.toml:12:9: error: log.level = "inf" must be a level (off, error, warn, info, debug, trace) or TARGET=LEVEL; did you mean "info"?
   12 | level = "inf"
      |         ^^^^^
t.toml:13:10: error: log.format = "jsn" must be one of auto, text, json; did you mean "json"?
   13 | format = "jsn"
      |          ^^^^^
"#,
        ),
        (
            and("[log]\nlevel = \"outboxd=loud\""),
            r#"
t.toml:12:9: error: log.level = "outboxd=loud" is not a list of filter directives, e.g. "outboxd=debug,info"
   12 | level = "outboxd=loud"
      |         ^^^^^^^^^^^^^^
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
