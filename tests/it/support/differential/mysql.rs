//! The corpus of MySQL alone.

use super::form::Form;
use super::{Case, common};

/// JSON, VECTOR, and every character set that MySQL has, with all its characters.
pub(crate) fn corpus() -> Vec<Case> {
    [json(), charsets()].into_iter().flatten().chain([vector()]).collect()
}

fn vector() -> Case {
    Case::new("VECTOR(3)", Form::Binary, ["STRING_TO_VECTOR('[1,2.5,-3]')", "STRING_TO_VECTOR('[0]')"])
}

/// Documents, and every type of SQL inside one.
fn json() -> Vec<Case> {
    let documents = [
        "null",
        "true",
        "0",
        "-1",
        "1.5",
        "\"\"",
        "[]",
        "{}",
        "[[], {}, [{}]]",
        "{\"\": 1}",
        "{\"b\": 1, \"a\": 2, \"ccc\": 3, \"bb\": 4, \"Größe\": 5}",
        "[127, 128, -129, 32767, 32768, -32769, 65535, 65536, 2147483647, 2147483648, -2147483649, 4294967296]",
        "[9223372036854775807, 9223372036854775808, 18446744073709551615, -9223372036854775808]",
        "[1e0, 1e-3, 1e-4, 1e7, 9999999.5, 1e22, 1e23, 5e-324, 1.7976931348623157e308, -0.0, 0.30000000000000004, 1e300]",
        r#""\u0000\u0001\b\t\n\u000b\f\r\u001f \" \\ / \u007f é \u2028 😀 <>&""#,
    ];
    let quoted = |text: &str| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"));
    let mut values: Vec<_> = documents.iter().map(|text| quoted(text)).collect();
    for length in [127, 128, 16383, 16384, 70000] {
        values.push(format!("JSON_QUOTE(REPEAT('é', {length}))"));
    }
    let inside = [
        "CAST('1234.50' AS DECIMAL(10,2))",
        "CAST('-0.000001' AS DECIMAL(65,30))",
        "CAST('0' AS DECIMAL(5,2))",
        "18446744073709551616",
        "CAST('2019-03-24' AS DATE)",
        "TIMESTAMP'2019-03-24 20:52:59'",
        "TIMESTAMP'2019-03-24 20:52:59.5'",
        "TIMESTAMP'9999-12-31 23:59:59.999999'",
        "TIME'20:52:59'",
        "TIME'-838:59:59'",
        "TIME'-00:00:00.000001'",
        "TIME'838:59:58.5'",
        "CAST(x'00ff80' AS BINARY(3))",
        "b'10000001'",
        "x''",
        "CAST(2024 AS YEAR)",
        "REPEAT(x'00ff80', 60)",
        "ST_GeomFromText('POINT(1 2)')",
        "CAST('abc' AS CHAR CHARACTER SET latin1)",
        "1e0",
        "TRUE",
        "CAST('{\"a\": [1]}' AS JSON)",
        "NULL",
    ];
    for value in inside {
        values.push(format!("JSON_OBJECT('v', {value})"));
        values.push(format!("JSON_ARRAY({value}, JSON_ARRAY({value}))"));
    }
    vec![Case::new("JSON", Form::Json, values)]
}

/// The server's own list is checked against this one by the test.
pub(crate) const CHARSETS: [&str; 33] = [
    "armscii8", "ascii", "big5", "cp1250", "cp1251", "cp1256", "cp1257", "cp850", "cp852", "cp866", "cp932", "dec8",
    "eucjpms", "euckr", "gb18030", "gb2312", "gbk", "geostd8", "greek", "hebrew", "hp8", "keybcs2", "koi8r", "koi8u",
    "latin1", "latin2", "latin5", "latin7", "macce", "macroman", "sjis", "swe7", "tis620",
];

/// Character sets that hold Unicode.
pub(crate) const UNICODE: [&str; 6] = ["ucs2", "utf16", "utf16le", "utf32", "utf8mb3", "utf8mb4"];

fn charsets() -> Vec<Case> {
    let mut cases: Vec<_> = CHARSETS.iter().map(|charset| common::every_code_of(charset, "''")).collect();
    cases.push(common::every_code_of("ujis", "''"));
    // Three bytes, and the four of gb18030 for what its two bytes lack.
    cases.extend(["ujis", "eucjpms"].map(|charset| common::every_code_of(charset, "x'8F'")));
    cases.push(common::every_character_in("gb18030"));
    cases.extend(UNICODE.map(common::every_character_in));
    cases
}
