//! Mistakes outside the file, many at once, and files that cannot be read.

use super::*;

fn outside(env: &[(&str, &str)], set: &[&str]) -> String {
    report(try_load(BASE, env, set))
}

#[test]
fn variables_are_named() {
    for (name, value, expected) in [
        ("OUTBOXD__SOURCE__PORT", "x", "error: source.port = \"x\" is not a whole number"),
        ("OUTBOXD__SOURCE__PORT", "0", "error: source.port = 0 must be between 1 and 65535"),
        ("OUTBOXD__SOURCE__HEARTBEAT", "10", "error: source.heartbeat = \"10\" needs a unit, e.g. \"10s\""),
        ("OUTBOXD__KAFKA__CREATE_TOPICS", "yes", "error: kafka.create_topics = \"yes\" is neither true nor false"),
        ("OUTBOXD__KAFKA__BROKERS", "a:1,b", "error: kafka.brokers: \"b\" is not host:port"),
        ("OUTBOXD__SOURCE__HOTS", "x", "error: unknown key source.hots; did you mean source.host?"),
        ("OUTBOXD__SOURCE", "x", "error: source is a table; its keys go below it"),
        ("OUTBOXD__NAME__X", "x", "error: name takes a value; it is not a table"),
        ("Outboxd__Source__Hots", "x", "error: unknown key source.hots; did you mean source.host?"),
        ("OUTBOXD_SOURCE_HOST", "x", "warning: this variable is not used; did you mean OUTBOXD__SOURCE__HOST?"),
        ("OUTBOXD_LOG_LEVEL", "x", "warning: this variable is not used; did you mean OUTBOXD__LOG__LEVEL?"),
        (
            "OUTBOXD_TIMEOUT",
            "x",
            "warning: this variable is not used; did you mean OUTBOXD__ and two underscores between levels?",
        ),
    ] {
        let found = outside(&[(name, value)], &[]);
        assert!(found.lines().any(|line| line == format!("{name}: {expected}")), "{found}");
    }
}

#[test]
fn variables_of_others_are_left_alone() {
    let others = ["OUTBOXD_CONFIG", "OUTBOXD_PORT", "OUTBOXD_PORT_9464_TCP", "OUTBOXD_SERVICE_HOST", "OUTBOXD_CACHE"];
    for name in others.into_iter().chain(["OUTBOXDX", "PATH"]) {
        assert_eq!(outside(&[(name, "x")], &[]), "");
    }
}

#[test]
fn the_variable_of_the_password_is_used() {
    let text = with("password_env", "password_env = \"OUTBOXD_PASSWORD\"");
    assert_eq!(report(try_load(&text, &[("OUTBOXD_PASSWORD", "x")], &[])), "");
}

#[test]
fn flags_are_named() {
    for (flag, expected) in [
        ("source.port=x", "--set source.port: error: source.port = \"x\" is not a whole number"),
        ("source.hots=x", "--set source.hots: error: unknown key source.hots; did you mean source.host?"),
        ("source.port", "--set: error: expected KEY=VALUE"),
        ("a b=1", "--set a b: error: is not a key; expected names with dots between them, e.g. source.host"),
        (
            "kafka.brokers[9999999999]=1",
            "--set kafka.brokers[9999999999]: error: is not a key; expected names with dots between them, e.g. source.host",
        ),
        (
            "source.password_file=/x",
            "--set source.password_file: error: set only one of source.password, source.password_file, source.password_env",
        ),
    ] {
        let found = outside(&[], &[flag]);
        assert!(found.lines().any(|line| line == expected), "{found}");
    }
    let in_arguments = try_load(&with("password_env", ""), &[], &["source.password=x"]);
    let expected =
        "--set source.password: warning: a password in the arguments can be read by every user of the machine";
    assert_eq!(report(in_arguments), expected);
}

#[test]
fn all_at_once() {
    let text = r#"
name = "a b"
[source]
host = "db.example"
user = 5
heartbeat = "10"
tls.mode = "disabled"
[kafka]
broker = ["a:1"]
[batch]
max_bytes = "1KiB"
[outbox.orders]
table = "shop.%"
"#;
    let mistakes = try_load(text, &[], &["http.listen=here"]).unwrap_err();
    let found = without_folder(&mistakes.to_string());
    let places: Vec<&str> =
        found.lines().filter_map(|line| line.split(" error: ").nth(1).and(line.split(": error").next())).collect();
    let expected = [
        "t.toml:2:8",
        "t.toml:3:2",
        "t.toml:5:8",
        "t.toml:6:13",
        "t.toml:7:12",
        "t.toml:8:2",
        "t.toml:9:1",
        "t.toml:11:13",
        "t.toml:13:9",
        "--set http.listen",
    ];
    assert_eq!(places, expected);
    assert!(found.ends_with("OBX-1001: 10 mistakes"), "{found}");
    assert_eq!(mistakes.errors(), 10);
}

#[test]
fn warnings_are_counted_apart() {
    let text = with("host", "host = \"db.example\"\ntls.mode = \"required\"\nx = 1");
    let found = try_load(&text, &[], &[]).unwrap_err().to_string();
    assert!(found.ends_with("OBX-1001: 1 mistake, 1 warning"), "{found}");
}

#[test]
fn files_that_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| {
        let sources = Sources { file: Some(folder.path().join(name)), ..Sources::default() };
        without_folder(&load(&sources).unwrap_err().all()[0].to_string())
    };
    assert_eq!(at("t.toml"), "t.toml: error: the file cannot be read: there is no such file");
    std::fs::write(folder.path().join("t.toml"), b"name = \"\xff\"").unwrap();
    assert_eq!(at("t.toml"), "t.toml: error: the file is not UTF-8 text");
}

#[test]
fn long_and_odd_lines() {
    let text = with("name", &format!("name =\t\"é\u{1b}[31m{}\"", "x".repeat(5000)));
    let found = report(try_load(&text, &[], &[]));
    assert!(found.lines().all(|line| line.chars().count() < 200) && !found.contains('\u{1b}'), "{found}");
    let windows = BASE.replace('\n', "\r\n").replace("\"127.0.0.1\"", "1");
    let expected =
        "t.toml:4:8: error: source.host must be text in quotes, not a number\n    4 | host = 1\n      |        ^";
    assert_eq!(report(try_load(&windows, &[], &[])), expected);
}
