//! A JSON payload is printed as MySQL itself prints the stored value, but for white space and listed differences, which
//! are Debezium's.

use std::fmt::Write as _;

use crate::support::Outbox;
use crate::support::ending::end;
use testbed::shared;

/// SQL expressions of values whose text MySQL keeps as it is or in another form; the rest is made in [`values`].
const FIXED: &[&str] = &[
    "'null'",
    "'true'",
    "'false'",
    "'[]'",
    "'{}'",
    "'\"\"'",
    "'[[], {}, [{}], {\"\": {}}]'",
    "'{\"\": \"\"}'",
    r#"'{"b": 1, "a": 2, "aa": 3, "B": 4, "é": 5, "10": 6, "9": 7}'"#,
    r#"'{"a": 1, "a": 2, "a": {"a": 3}}'"#,
    r#"'[1, "1", 1.0, true, null, [null], {"n": null}]'"#,
    r#"'"\\u0000\\u0001\\b\\t\\n\\u000b\\f\\r\\u001f\\u007f"'"#,
    r#"'"\\"\\\\\\/"'"#,
    r#"'"\\ud83d\\ude00 😀 ü ß 日本語 \\u2028"'"#,
    r#"'{"key \\" \\\\ \\n": "v"}'"#,
    "JSON_QUOTE('it''s')",
    "JSON_ARRAY('a', 1, NULL, TRUE, 1.5)",
    // Opaque values: the types that JSON does not have.
    "JSON_ARRAY(CAST(1.50 AS DECIMAL(10, 2)))",
    "JSON_ARRAY(CAST(-0.000001 AS DECIMAL(20, 6)))",
    "JSON_ARRAY(CAST('12345678901234567890123456789012345.678' AS DECIMAL(65, 3)))",
    "JSON_ARRAY(CAST(0 AS DECIMAL(5, 0)))",
    "JSON_ARRAY(DATE '2024-02-29')",
    "JSON_ARRAY(DATE '1000-01-01')",
    "JSON_ARRAY(DATE '9999-12-31')",
    "JSON_ARRAY(TIME '11:22:33')",
    "JSON_ARRAY(TIME '838:59:59')",
    "JSON_ARRAY(TIME '00:00:00.000001')",
    "JSON_ARRAY(TIMESTAMP '2024-02-29 23:59:59')",
    "JSON_ARRAY(TIMESTAMP '2024-02-29 23:59:59.123456')",
    "JSON_ARRAY(CAST(x'00FF80' AS BINARY(3)))",
    "JSON_ARRAY(x'')",
    "JSON_ARRAY(b'10000001')",
    "JSON_ARRAY(CAST(2024 AS YEAR))",
    "JSON_OBJECT('t', CAST('a' AS CHAR CHARACTER SET latin1))",
];

/// Numbers at which the stored form changes, strings at which the length of a length changes, deep and wide documents.
fn values() -> Vec<String> {
    let mut all: Vec<String> = FIXED.iter().map(|&value| value.to_owned()).collect();
    for bits in [7, 8, 15, 16, 31, 32, 53, 62, 63] {
        let edge = 1_i128 << bits;
        for number in [edge - 1, edge, edge + 1, -edge + 1, -edge, -edge - 1] {
            all.push(format!("'{{\"n\": [{number}, {{\"n\": {number}}}]}}'"));
        }
    }
    all.push("'[18446744073709551615, 18446744073709551616, -9223372036854775809]'".into());
    for double in [
        "0.0",
        "-0.0",
        "0.1",
        "1.0",
        "-1.5",
        "3.141592653589793",
        "1e7",
        "12345678.9",
        "1e15",
        "1e16",
        "1e17",
        "1e21",
        "1e22",
        "1e23",
        "123456789012345680.0",
        "1e300",
        "1.7976931348623157e308",
        "5e-324",
        "2.2250738585072014e-308",
        "1e-5",
        "0.001",
        "0.0001",
        "1.5e-7",
        "4.35",
        "0.30000000000000004",
        "100.0",
        "9007199254740993.0",
        "8.41e21",
        "2e-3",
    ] {
        all.push(format!("'{double}'"));
        all.push(format!("'{{\"d\": [{double}, -{}]}}'", double.trim_start_matches('-')));
    }
    for length in [1, 63, 64, 127, 128, 129, 255, 256, 16_383, 16_384, 65_535, 65_536, 70_000] {
        all.push(format!("JSON_ARRAY(REPEAT('x', {length}), REPEAT('ü', {length}))"));
        all.push(format!("JSON_OBJECT(REPEAT('k', {}), {length})", length.min(65_535)));
    }
    for depth in [2, 10, 99] {
        all.push(format!("'{}{}'", "[".repeat(depth), "]".repeat(depth)));
        all.push(format!("'{}1{}'", "{\"a\": ".repeat(depth), "}".repeat(depth)));
    }
    for width in [10, 1_000, 20_000] {
        let numbers: Vec<String> = (0..width).map(|n: i64| (n * 1_000_003).to_string()).collect();
        all.push(format!("'[{}]'", numbers.join(", ")));
        let members: Vec<String> = (0..width / 2).map(|n| format!("\"k{n}\": \"{n}\"")).collect();
        all.push(format!("'{{{}}}'", members.join(", ")));
    }
    all
}

/// The tokens of a JSON text: white space only counts inside strings.
fn tokens(text: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' => string_length(rest),
            '[' | ']' | '{' | '}' | ',' | ':' => 1,
            _ => rest.find([' ', ',', ']', '}', ':']).unwrap_or(rest.len()),
        };
        let (token, after) = rest.split_at(length);
        tokens.push(token);
        rest = after.trim_start_matches(' ');
    }
    tokens
}

fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Equal, or different in a way that is Debezium's: doubles are written without exponent, bytes as bare base64, times
/// without zeros at the end of their fraction, control characters with capital digits.
fn is_same(ours: &str, mysqls: &str) -> bool {
    let number = |text: &str| text.parse::<f64>().ok();
    let is_same_time = |time: &str| {
        let (whole, fraction) = time.trim_end_matches('"').split_once('.')?;
        let fraction = fraction.trim_end_matches('0');
        Some(if fraction.is_empty() { format!("{whole}\"") } else { format!("{whole}.{fraction}\"") })
    };
    ours == mysqls
        || (ours.contains("\\u00") && ours.eq_ignore_ascii_case(mysqls))
        || (number(ours).is_some() && number(ours) == number(mysqls))
        || mysqls
            .strip_prefix("\"base64:type")
            .and_then(|rest| rest.split_once(':'))
            .is_some_and(|(_, bytes)| ours[1..] == *bytes)
        || (mysqls.contains(':') && is_same_time(mysqls).as_deref() == Some(ours))
}

#[test]
fn every_json_value_is_printed_as_the_server_prints_it() {
    let servers = shared().unwrap();
    let outbox = Outbox::new("json", &servers.mysql, &servers.kafka);
    let values = values();
    assert!(values.len() >= 150);
    let relay = outbox.stream();
    let mut sql = String::from("USE json; ");
    for (id, value) in values.iter().enumerate() {
        writeln!(sql, "INSERT INTO outbox VALUES ('{id}', 'Any', '{id}', 'x', {value});").unwrap();
    }
    servers.mysql.sql(&sql).unwrap();
    outbox.wait_delivered(values.len() as u64);
    end(relay);
    let stored = servers.mysql.sql("SELECT id, HEX(CAST(payload AS CHAR)) FROM json.outbox").unwrap();
    let mut printed: Vec<Option<String>> = vec![None; values.len()];
    for line in stored.lines() {
        let (id, text) = line.split_once('\t').unwrap();
        let bytes = (0..text.len() / 2).map(|at| u8::from_str_radix(&text[at * 2..at * 2 + 2], 16).unwrap()).collect();
        printed[id.parse::<usize>().unwrap()] = Some(String::from_utf8(bytes).unwrap());
    }
    let mut wrong = Vec::new();
    for record in outbox.records() {
        let id: usize = record.header("id").unwrap().parse().unwrap();
        let mysqls = printed[id].take().unwrap();
        let ours = String::from_utf8(record.value.unwrap()).unwrap();
        let (ours, mysqls) = (tokens(&ours), tokens(&mysqls));
        if ours.len() != mysqls.len() {
            wrong.push(format!("{}: {} tokens, not {}", values[id], ours.len(), mysqls.len()));
        } else if let Some((ours, mysqls)) = ours.iter().zip(&mysqls).find(|(ours, mysqls)| !is_same(ours, mysqls)) {
            wrong.push(format!("{:.80}: {ours:.80} is not {mysqls:.80}", values[id]));
        }
    }
    assert!(printed.iter().all(Option::is_none), "values without a record");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
