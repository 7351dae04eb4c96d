//! Of the source: its password, address, start position and TLS.

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
