//! The corpus of MariaDB alone.

use super::form::Form;
use super::{Case, common, mysql};

/// JSON, UUID, INET4, INET6, and every character set that MariaDB has, with all its characters.
pub(crate) fn corpus() -> Vec<Case> {
    [types(), charsets()].into_iter().flatten().collect()
}

fn types() -> Vec<Case> {
    let quoted = |values: &[&str]| values.iter().map(|value| format!("'{value}'")).collect::<Vec<_>>();
    let uuids = [
        "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
        "6ccd780c-baba-1026-9564-5b8c656024db",
        "123e4567-e89b-42d3-a456-426614174000",
        "01890a5d-ac96-774b-bcce-b302099a8057",
        "1ec9414c-232a-6b00-b3c8-9e6bdeced846",
        "00112233-4455-6677-8899-aabbccddee00",
    ];
    let inet4 = ["0.0.0.0", "255.255.255.255", "192.168.1.10", "10.0.0.0", "1.2.3.4"];
    let inet6 = [
        "::",
        "::1",
        "1::",
        "::1.2.3.4",
        "::ffff:192.168.1.10",
        "::ffff:0:0",
        "::1:2:3",
        "::fffe:1.2.3.4",
        "2001:db8::1",
        "2001:db8:0:1:1:1:1:1",
        "2001:0:0:1:0:0:0:1",
        "1:0:0:2:3:0:0:4",
        "0:1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:0",
        "64:ff9b::c000:221",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        "fe80::abcd:ef01:2345:6789",
    ];
    let documents = [r#"{"b": 1,  "a": [2.50, null]}"#, "null", "\"Größe 😀\"", "{\"a\": 1, \"a\": 2}"];
    vec![
        Case::new("UUID", Form::Text, quoted(&uuids)),
        Case::new("UUID NOT NULL", Form::Text, quoted(&uuids)),
        Case::new("INET4", Form::Text, quoted(&inet4)),
        Case::new("INET6", Form::Text, quoted(&inet6)),
        Case::new("JSON", Form::Text, quoted(&documents)),
    ]
}

fn charsets() -> Vec<Case> {
    // What MySQL has and MariaDB has not.
    let known = mysql::CHARSETS.iter().filter(|charset| **charset != "gb18030");
    let mut cases: Vec<_> = known.map(|charset| common::every_code_of(charset, "''")).collect();
    cases.extend(["ujis", "eucjpms"].map(|charset| common::every_code_of(charset, "x'8F'")));
    cases.push(common::every_code_of("ujis", "''"));
    cases.extend(mysql::UNICODE.map(common::every_character_in));
    cases
}
