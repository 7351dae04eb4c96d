//! Whole loads: text in, configuration or report out.

use super::*;
use std::io::Write as _;

mod mistakes;
mod places;
mod rules;
mod secrets;

/// The smallest file without mistakes; the password comes from the environment.
const BASE: &str = r#"
name = "orders"
[source]
host = "127.0.0.1"
user = "outboxd"
password_env = "PW"
[kafka]
brokers = ["localhost:9092"]
[outbox.orders]
table = "shop.outbox"
"#;

/// Loads `text` as `t.toml` would be, with more variables and flags.
fn try_load(text: &str, env: &[(&str, &str)], set: &[&str]) -> Result<Loaded, Mistakes> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.toml");
    write_private(&path, text);
    let env = [("PW", "hunter2")].iter().chain(env).map(|(n, v)| (n.to_string(), v.to_string())).collect();
    load(&Sources { file: Some(path), env, set: set.iter().map(|s| s.to_string()).collect() })
}

fn write_private(path: &std::path::Path, text: &str) {
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// The report, with the folder of the file left out.
fn report(result: Result<Loaded, Mistakes>) -> String {
    let mistakes = match result {
        Ok(loaded) => loaded.warnings,
        Err(mistakes) => mistakes.into_inner(),
    };
    let lines: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
    without_folder(&lines.join("\n"))
}

fn without_folder(text: &str) -> String {
    let cut = |line: &str| {
        line.find("t.toml").filter(|_| line.starts_with('/')).map_or(line.to_owned(), |i| line[i..].to_owned())
    };
    text.lines().map(cut).collect::<Vec<_>>().join("\n")
}

/// `BASE` with the line that begins with `old` replaced.
fn with(old: &str, new: &str) -> String {
    let found = BASE.lines().filter(|line| line.starts_with(old)).count();
    assert_eq!(found, 1, "{old}");
    BASE.lines().map(|line| if line.starts_with(old) { new } else { line }).collect::<Vec<_>>().join("\n")
}

/// `BASE` with more lines at its end.
fn and(more: &str) -> String {
    format!("{BASE}{more}\n")
}

fn loaded(text: &str) -> Config {
    try_load(text, &[], &[]).map_err(|mistakes| mistakes.to_string()).unwrap().config
}

#[test]
fn defaults() {
    let config = loaded(BASE);
    assert_eq!(config.name, "orders");
    assert_eq!(config.shutdown_timeout, Duration::from_secs(20));
    assert_eq!((config.source.hosts[0].port, config.source.heartbeat), (3306, Duration::from_secs(10)));
    assert_eq!(config.source.start, StartPosition::Now);
    assert_eq!(config.source.password.expose(), "hunter2");
    assert_eq!(config.source.tls.mode, TlsMode::Disabled);
    assert_eq!(config.kafka.delivery, DeliveryMode::ExactlyOnce);
    assert_eq!(config.kafka.checkpoint_topic, "outboxd.checkpoints");
    assert_eq!((config.kafka.partitions, config.kafka.replication_factor), (6, -1));
    assert_eq!((config.batch.max_bytes, config.batch.max_records), (16 << 20, 50_000));
    assert_eq!(config.batch.linger, Duration::ZERO);
    assert_eq!(config.http.listen, Some("127.0.0.1:9464".parse().unwrap()));
    assert_eq!((config.log.format, config.log.level.as_str()), (LogFormat::Auto, "info"));
    let outbox = &config.outboxes[0];
    assert_eq!((outbox.database.as_str(), outbox.table.as_str()), ("shop", "outbox"));
    assert_eq!((outbox.aggregate_id.as_str(), outbox.payload.as_str()), ("aggregateid", "payload"));
    assert_eq!((outbox.source_header, outbox.on_update), (true, OnUpdate::Stop));
}

#[test]
fn later_layers_win() {
    let text = with("user", "user = \"outboxd\"\nport = 1\nheartbeat = \"1s\"");
    let env = [
        ("OUTBOXD__SOURCE__PORT", "2"),
        ("OUTBOXD__SOURCE__HEARTBEAT", "2s"),
        ("OUTBOXD__KAFKA__BROKERS", "a:1, b:2"),
        ("OUTBOXD__KAFKA__CREATE_TOPICS", "true"),
        ("OUTBOXD__SOURCE__USER", "007"),
    ];
    let config = try_load(&text, &env, &["source.port=3", "kafka.librdkafka.compression.type=lz4"]).unwrap().config;
    assert_eq!((config.source.hosts[0].port, config.source.heartbeat), (3, Duration::from_secs(2)));
    assert_eq!(config.kafka.brokers, ["a:1", "b:2"]);
    assert_eq!(config.source.user, "007", "text that looks like a number stays text");
    assert!(config.kafka.create_topics);
    assert_eq!(config.kafka.librdkafka, [("compression.type".to_owned(), "lz4".to_owned())]);
}

#[test]
fn properties_in_both_spellings_and_types() {
    let text =
        and("[kafka.librdkafka]\n\"compression.type\" = \"lz4\"\nbatch.size = 7\n\"socket.keepalive.enable\" = true");
    let env = [("OUTBOXD__KAFKA__LIBRDKAFKA__COMPRESSION__TYPE", "zstd")];
    let config = try_load(&text, &env, &[]).unwrap().config;
    let expected = [("compression.type", "zstd"), ("batch.size", "7"), ("socket.keepalive.enable", "true")];
    let mut found: Vec<_> = config.kafka.librdkafka.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    found.sort_unstable_by_key(|(name, _)| expected.iter().position(|(n, _)| n == name));
    assert_eq!(found, expected);
}

#[test]
fn everything_without_a_file() {
    let set = ["name=x", "source.host=::1", "source.user=u", "kafka.brokers=[::1]:9092", "outbox.a.table=s.t"];
    let sources = Sources {
        file: None,
        env: vec![("OUTBOXD__SOURCE__PASSWORD".into(), "12345".into())],
        set: set.map(str::to_owned).to_vec(),
    };
    let config = load(&sources).unwrap().config;
    assert_eq!(config.source.password.expose(), "12345");
    assert_eq!(config.kafka.brokers, ["[::1]:9092"]);
}

#[test]
fn order_of_the_file_is_kept() {
    let text = and(
        "[outbox.zebra]\ntable = \"s.z\"\n[outbox.zebra.headers]\nz = \"1\"\na = \"2\"\n[outbox.ant]\ntable = \"s.a\"",
    );
    let config = loaded(&text);
    let names: Vec<&str> = config.outboxes.iter().map(|outbox| outbox.name.as_str()).collect();
    assert_eq!(names, ["orders", "zebra", "ant"]);
    assert_eq!(config.outboxes[1].headers, [("z".into(), "1".into()), ("a".into(), "2".into())]);
}

#[test]
fn start_positions() {
    let start = |text: &str| loaded(&with("user", &format!("user = \"u\"\nstart = \"{text}\""))).source.start;
    assert_eq!(start("earliest"), StartPosition::Earliest);
    assert_eq!(start("file:bin.000031:4"), StartPosition::File { name: "bin.000031".into(), offset: 4 });
    let set = "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5";
    assert_eq!(start(&format!("gtid:{set}")), StartPosition::Gtid(set.parse().unwrap()));
}

#[test]
fn tls_by_default_depends_on_the_host() {
    let mode = |host: &str| loaded(&with("host", &format!("host = \"{host}\""))).source.tls.mode;
    assert_eq!(mode("db.example"), TlsMode::VerifyIdentity);
    assert_eq!(mode("10.0.0.1"), TlsMode::VerifyIdentity);
    assert_eq!(mode("localhost"), TlsMode::Disabled);
    assert_eq!(mode("127.8.9.1"), TlsMode::Disabled);
    let plain = with("host", "host = \"db.example\"\ntls = { mode = \"disabled\", allow_plaintext = true }");
    assert_eq!(loaded(&plain).source.tls.mode, TlsMode::Disabled);
}

#[test]
fn authority_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    let text = |host: &str| with("host", &format!("host = {host:?}\ntls.ca = {path:?}"));
    std::fs::write(&path, "nothing").unwrap();
    assert!(report(try_load(&text("db.example"), &[], &[])).contains("holds no PEM certificate"));
    std::fs::write(&path, "-----BEGIN CERTIFICATE-----").unwrap();
    assert_eq!(loaded(&text("db.example")).source.tls.ca.as_ref(), Some(&path));
    let unused = report(try_load(&text("localhost"), &[], &[]));
    assert!(unused.starts_with("t.toml:5:10: warning: source.tls.ca is not used"), "{unused}");
}

#[test]
fn timeouts_of_a_transaction_bind_only_with_one() {
    let text = and("[kafka.librdkafka]\nmessage.timeout.ms = 300000");
    assert!(try_load(&text, &[], &[]).is_err());
    assert!(try_load(&text, &[], &["kafka.delivery=at-least-once"]).is_ok());
}

#[test]
fn no_http() {
    assert_eq!(loaded(&and("[http]\nlisten = \"off\"")).http.listen, None);
}

#[test]
fn server_id_is_stable_for_a_name() {
    // Never change these: a relay would come back under another id.
    assert_eq!(derive_server_id("orders"), loaded(BASE).source.server_id);
    assert_eq!([derive_server_id("orders"), derive_server_id("demo")], [2_646_821_900, 254_606_422]);
    let given = with("user", "user = \"u\"\nserver_id = 4294967295");
    assert_eq!(loaded(&given).source.server_id, u32::MAX);
}

#[test]
fn fingerprint_follows_the_mapping_only() {
    let base = loaded(BASE).fingerprint();
    assert_eq!(base, "ddcce28159684a40", "kept in checkpoints: never change how it is computed");
    for same in [with("host", "host = \"localhost\""), with("name", "name = \"x\""), with("[outbox", "[outbox.other]")]
    {
        assert_eq!(loaded(&same).fingerprint(), base);
    }
    for more in
        ["id = \"x\"", "event_type = \"id\"", "topic = \"t\"", "source_header = false", "headers = { a = \"b\" }"]
    {
        assert_ne!(loaded(&and(more)).fingerprint(), base, "{more}");
    }
}

#[test]
fn shipped_files_load() {
    let file = |name: &str| Some(PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/config")).join(name));
    let env = |name: &str| vec![(name.to_owned(), "hunter2".to_owned())];
    let example = load(&Sources { file: file("example.toml"), env: env("OUTBOX_DB_PASSWORD"), set: Vec::new() });
    let demo = load(&Sources { file: file("demo.toml"), env: env("OUTBOXD__SOURCE__PASSWORD"), set: Vec::new() });
    assert_eq!(example.unwrap().warnings, []);
    let demo = demo.unwrap();
    assert_eq!(demo.warnings, []);
    assert!(demo.config.kafka.create_topics);
    assert_eq!(demo.config.outboxes[0].headers, [("eventType".into(), "type".into())]);
}

#[test]
fn the_example_names_every_key_with_its_default() {
    let text = include_str!("../../config/example.toml");
    for key in keys::KEYS.iter().filter(|key| !key.path.ends_with('*')) {
        let name = key.path.rsplit('.').next().unwrap();
        assert!(text.contains(&format!("{name} = ")) || name.starts_with("password"), "{}", key.path);
        if let keys::Presence::Default(default) = key.presence {
            let written = [format!("# {name} = {default}"), format!("# {name} = \"{default}\"")];
            assert!(written.iter().any(|line| text.contains(line.as_str())), "{}", key.path);
        }
    }
}

proptest::proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in "\\PC{0,200}", value in "\\PC{0,20}") {
        let _ = try_load(&text, &[("OUTBOXD__NAME", &value)], &[&value]);
    }

    #[test]
    fn arbitrary_toml_never_panics(
        key in "(name|source|kafka|outbox|batch|\"[^\"\\\\]*\"|[a-z.]{1,12})",
        rest in "(\\.(host|table|orders|librdkafka|\"[^\"\\\\]*\")){0,3}",
        value in "(\"[^\"\\\\]*\"|[0-9]{1,30}|1e[0-9]{1,4}|\\[.{0,9}\\]|\\{.{0,9}\\}|true|1979-05-27)",
    ) {
        let _ = try_load(&and(&format!("[{key}{rest}]")), &[], &[]);
        let _ = try_load(&format!("{key}{rest} = {value}\n{BASE}"), &[], &[&format!("{key}{rest}={value}")]);
    }
}
