//! Mistakes that the table of keys finds: the file, and exactly what is reported.

use super::*;

/// Checks cases of (file, report).
pub(super) fn check(cases: &[(String, &str)]) {
    for (text, expected) in cases {
        let found = report(try_load(text, &[], &[]));
        assert!(found == expected.trim_matches('\n'), "{text}\n-- found --\n{found}\n-- expected --{expected}");
    }
}

#[test]
fn syntax() {
    check(&[
        (
            with("host", "host = "),
            r#"
t.toml:4:8: error: string values must be quoted, expected literal string
    4 | host =
      |       ^
"#,
        ),
        (
            with("host", "host = \"a"),
            r#"
t.toml:4:10: error: invalid basic string, expected `"`
    4 | host = "a
      |          ^
"#,
        ),
        (
            and("name = 1\n[outbox.orders]\n"),
            r#"
t.toml:12:9: error: duplicate key
   12 | [outbox.orders]
      |         ^^^^^^
"#,
        ),
        (
            with("name", "\"na.me\" = 3"),
            r#"
t.toml:2:1: error: unknown key na.me
    2 | "na.me" = …
      | ^^^^^^^
"#,
        ),
        (
            with("user", "user = \"u\"\nport = 99999999999999999999"),
            r#"
t.toml:6:8: error: the number is too large
    6 | port = …
      |        ^
"#,
        ),
    ]);
}

#[test]
fn unknown_keys() {
    check(&[
        (
            and("[sorce]\nhost = \"x\""),
            r#"
t.toml:11:2: error: unknown table sorce; did you mean source?
   11 | [sorce]
      |  ^^^^^
"#,
        ),
        (
            with("host", "hots = \"x\""),
            r#"
t.toml:3:2: error: source.host is required
    3 | [source]
      |  ^^^^^^
t.toml:4:1: error: unknown key source.hots; did you mean source.host?
    4 | hots = …
      | ^^^^
"#,
        ),
        (
            with("user", "user = \"u\"\ntls = { mod = \"x\" }"),
            r#"
t.toml:6:9: error: unknown key source.tls.mod; did you mean source.tls.mode?
    6 | tls = …
      |        ^
"#,
        ),
        (
            with("name", "name = \"x\"\nhost = \"y\""),
            r#"
t.toml:3:1: error: unknown key host; did you mean source.host?
    3 | host = …
      | ^^^^
"#,
        ),
        (
            with("table", "table = \"s.t\"\nagregate_id = \"y\"\nzzz = 1"),
            r#"
t.toml:11:1: error: unknown key outbox.orders.agregate_id; did you mean outbox.orders.aggregate_id?
   11 | agregate_id = …
      | ^^^^^^^^^^^
t.toml:12:1: error: unknown key outbox.orders.zzz
   12 | zzz = …
      | ^^^
"#,
        ),
        (
            and("[http]\nlisten = { a = 1 }"),
            r#"
t.toml:12:1: error: http.listen takes a value; it is not a table
   12 | listen = …
      | ^^^^^^
"#,
        ),
        (
            with("name", "name = \"x\"\nbatch = 5"),
            r#"
t.toml:3:1: error: batch is a table; its keys go below it
    3 | batch = …
      | ^^^^^
"#,
        ),
    ]);
}

#[test]
fn types_and_units() {
    check(&[
        (
            with("user", "user = 5\nport = \"3306\"\nheartbeat = \"10\"\nserver_id = -1"),
            r#"
t.toml:5:8: error: source.user must be text in quotes, not a number
    5 | user = 5
      |        ^
t.toml:6:8: error: source.port must be a whole number without quotes, not text
    6 | port = "3306"
      |        ^^^^^^
t.toml:7:13: error: source.heartbeat = "10" needs a unit, e.g. "10s"
    7 | heartbeat = "10"
      |             ^^^^
t.toml:8:13: error: source.server_id = -1 must be between 0 and 4294967295
    8 | server_id = -1
      |             ^^
"#,
        ),
        (
            with("user", "user = \"\"\nport = 70000\nheartbeat = 10\nserver_id = 4294967296"),
            r#"
t.toml:5:8: error: source.user = "" is empty
    5 | user = ""
      |        ^^
t.toml:6:8: error: source.port = 70000 must be between 1 and 65535
    6 | port = 70000
      |        ^^^^^
t.toml:7:13: error: source.heartbeat = 10 needs a unit, in quotes, e.g. "10s"
    7 | heartbeat = 10
      |             ^^
t.toml:8:13: error: source.server_id = 4294967296 must be between 0 and 4294967295
    8 | server_id = 4294967296
      |             ^^^^^^^^^^
"#,
        ),
        (
            with("user", "user = \"u\"\nheartbeat = \"10 parsecs\""),
            r#"
t.toml:6:13: error: source.heartbeat = "10 parsecs" is not a duration, e.g. "10s", "500ms" or "1m 30s"
    6 | heartbeat = "10 parsecs"
      |             ^^^^^^^^^^^^
"#,
        ),
        (
            with("user", "user = \"u\"\nheartbeat = \"2h\"\ncolumn_names = \"guess\"\nhosts = [\"a\", \"b:x\"]"),
            r#"
t.toml:6:13: error: source.heartbeat = "2h" must be between 1s and 1h
    6 | heartbeat = "2h"
      |             ^^^^
t.toml:7:16: error: source.column_names = "guess" must be one of metadata, information_schema
    7 | column_names = "guess"
      |                ^^^^^^^
t.toml:8:1: error: set only one of source.host and source.hosts
    8 | hosts = ["a", "b:x"]
      | ^^^^^
"#,
        ),
        (
            and("[batch]\nmax_bytes = 16\nmax_records = 0\nlinger = \"2s\"\noversize = \"spilt\""),
            r#"
t.toml:12:13: error: batch.max_bytes = 16 needs a unit, in quotes, e.g. "16MiB"
   12 | max_bytes = 16
      |             ^^
t.toml:13:15: error: batch.max_records = 0 must be between 1 and 1000000
   13 | max_records = 0
      |               ^
t.toml:14:10: error: batch.linger = "2s" must be between 0s and 1s
   14 | linger = "2s"
      |          ^^^^
t.toml:15:12: error: batch.oversize = "spilt" must be one of stream, split; did you mean "split"?
   15 | oversize = "spilt"
      |            ^^^^^^^
"#,
        ),
        (
            and("[batch]\nmax_bytes = \"16\"\nmax_records = 1.5\nlinger = 0\noversize = \"steam\""),
            r#"
t.toml:12:13: error: batch.max_bytes = "16" needs a unit, e.g. "16MiB"
   12 | max_bytes = "16"
      |             ^^^^
t.toml:13:15: error: batch.max_records must be a whole number without quotes, not a number with a fraction
   13 | max_records = 1.5
      |               ^^^
t.toml:14:10: error: batch.linger = 0 needs a unit, in quotes, e.g. "0s"
   14 | linger = 0
      |          ^
t.toml:15:12: error: batch.oversize = "steam" must be one of stream, split; did you mean "stream"?
   15 | oversize = "steam"
      |            ^^^^^^^
"#,
        ),
        (
            and("[batch]\nmax_bytes = \"1KiB\"\nmax_records = 1000001\nlinger = true\noversize = 1"),
            r#"
t.toml:12:13: error: batch.max_bytes = "1KiB" must be between 1MiB and 1GiB
   12 | max_bytes = "1KiB"
      |             ^^^^^^
t.toml:13:15: error: batch.max_records = 1000001 must be between 1 and 1000000
   13 | max_records = 1000001
      |               ^^^^^^^
t.toml:14:10: error: batch.linger must be a duration in quotes, e.g. "10s", not true or false
   14 | linger = true
      |          ^^^^
t.toml:15:12: error: batch.oversize must be one of stream, split, not a number
   15 | oversize = 1
      |            ^
"#,
        ),
        (
            and("[batch]\nmax_bytes = \"2GiB\""),
            r#"
t.toml:12:13: error: batch.max_bytes = "2GiB" must be between 1MiB and 1GiB
   12 | max_bytes = "2GiB"
      |             ^^^^^^
"#,
        ),
        (
            with("brokers", "brokers = [\"localhost:9092\"]\ndelivery = \"at-least-once\"\n[ha]\nstandby = true"),
            r#"
t.toml:11:11: error: ha.standby = true needs kafka.delivery = "exactly-once": without its fence two instances could write at once
   11 | standby = true
      |           ^^^^
"#,
        ),
        (
            and("[ha]\nstandby = \"true\""),
            r#"
t.toml:12:11: error: ha.standby must be true or false without quotes, not text
   12 | standby = "true"
      |           ^^^^^^
"#,
        ),
    ]);
}

#[test]
fn required_keys() {
    check(&[
        (
            String::new(),
            r#"
t.toml: error: name is required
t.toml: error: source.user is required
t.toml: error: kafka.brokers is required
t.toml: error: source.host is required
t.toml: error: the password is missing: set one of source.password, .password_file, .password_env
t.toml: error: there is no [outbox.NAME] table: nothing to relay
"#,
        ),
        (
            "[source]\n[kafka]\n[outbox.a]\n".into(),
            r#"
t.toml:1:2: error: source.user is required
    1 | [source]
      |  ^^^^^^
t.toml:1:2: error: source.host is required
    1 | [source]
      |  ^^^^^^
t.toml:1:2: error: the password is missing: set one of source.password, .password_file, .password_env
    1 | [source]
      |  ^^^^^^
t.toml:2:2: error: kafka.brokers is required
    2 | [kafka]
      |  ^^^^^
t.toml:3:9: error: outbox.a.table is required
    3 | [outbox.a]
      |         ^
t.toml: error: name is required
"#,
        ),
    ]);
}
