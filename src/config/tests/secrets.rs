//! Passwords: where they come from, and that they are never shown.

use super::*;
use std::os::unix::fs::PermissionsExt;

/// Every way in which a password and a mistake can meet.
#[test]
fn never_shown() {
    let variants = [
        with("host", "host = \"mysql://u:hunter2@db\""),
        with("brokers", "brokers = [\"u:hunter2@kafka:1\"]"),
        with("password_env", "password = \"hunter2\"\nhost = 1"),
        with("password_env", "password = \"hunter2\"\npassword_env = \"PW\""),
        with("password_env", "password = \"hunter2"),
        with("password_env", "password = \"\"\"hun\nhunter2 \\q\"\"\""),
        with("password_env", "pasword = \"hunter2\""),
        with("password_env", "pword = \"hunter2\""),
        with("password_env", "password = [\"hunter2\"]"),
        with("password_env", "password = { a = \"hunter2\" }"),
        with("user", "user = \"u\"\ntls = { ca = 1, pword = \"hunter2\" }"),
        "source = { pword = \"hunter2\" }".to_owned(),
        "source = {\n pword = \"hunter2\", host = 1 }".to_owned(),
        "source = { password = \"hunter2\", password_env = \"PW\" }".to_owned(),
        with("password_env", "tls = { password = \"hunter2\" }"),
        and("[kafka.librdkafka]\n\"sasl.password\" = \"hunter2\"\n\"sasl.password\" = \"hunter2\""),
        and("[kafka.librdkafka]\n\"sasl.password\" = [\"hunter2\"]"),
        and("[kafka.librdkafka]\n\"ssl.key.pem\" = \"hunter2\"\n\"plugin.library.paths\" = \"x\""),
        and("[kafka.librdkafka]\nsasl.oauthbearer.client.secret = \"hunter2\"\nacks = 1"),
    ];
    for text in &variants {
        let result = try_load(text, &[], &["source.password=hunter2", "kafka.librdkafka.acks=hunter2", "hunter2"]);
        let error = crate::error::Error::from(result.clone().unwrap_err());
        for shown in [format!("{result:?}"), report(result), error.report()] {
            assert!(!shown.contains("hunter2"), "{text}\n--\n{shown}");
        }
    }
    let good = try_load(&and("[kafka.librdkafka]\n\"sasl.password\" = \"hunter2\""), &[], &[]);
    assert!(good.is_ok() && !format!("{good:?}").contains("hunter2"));
    let sources = Sources { set: vec!["source.password=hunter2".into()], ..Sources::of_process(None, vec![]) };
    assert!(!format!("{sources:?}").contains("hunter2"));
}

fn password_file(content: &str, mode: u32) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pw");
    write_private(&path, content);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    let text = with("password_env", &format!("password_file = {path:?}"));
    (folder, text)
}

#[test]
fn from_a_file() {
    for (content, password) in [("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), (" a ", " a ")] {
        let (_folder, text) = password_file(content, 0o600);
        assert_eq!(loaded(&text).source.password.expose(), password);
    }
    let (folder, text) = password_file("a", 0o640);
    let report = report(try_load(&text, &[], &[]));
    let expected = format!(
        "warning: source.password_file {}/pw can be read by group or others; use chmod 600",
        folder.path().display()
    );
    assert!(report.starts_with(&format!("t.toml:6:17: {expected}\n")), "{report}");
}

#[test]
fn file_mistakes() {
    let (folder, text) = password_file("\n", 0o600);
    assert!(report(try_load(&text, &[], &[])).contains("/pw is empty"));
    std::fs::remove_file(folder.path().join("pw")).unwrap();
    assert!(report(try_load(&text, &[], &[])).contains("/pw: there is no such file"));
    std::fs::create_dir(folder.path().join("pw")).unwrap();
    assert!(report(try_load(&text, &[], &[])).contains("/pw: is a directory"));
}

#[test]
fn denied_names_the_user() {
    let error = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
    let text = super::super::secret::explain(&error);
    assert!(text.starts_with("permission denied (uid ") || text == "permission denied", "{text}");
}

#[test]
fn inline_in_a_file_that_others_can_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.toml");
    write_private(&path, &with("password_env", "password = \"hunter2\""));
    let load = || report(load(&Sources { file: Some(path.clone()), ..Sources::default() }));
    assert_eq!(load(), "");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let found = load();
    assert!(
        found.starts_with(
            "t.toml:6:12: warning: the password can be read by others; use source.password_file, or chmod 600 "
        ),
        "{found}"
    );
    assert!(found.ends_with("    6 | password = …\n      |            ^"), "{found}");
}
