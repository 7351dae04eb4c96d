//! The corpus for every server: each type with its edge values, and the character sets that all servers have.

use super::form::Form;
use super::{Case, Values};

/// Every type that MySQL and MariaDB share.
pub(crate) fn corpus() -> Vec<Case> {
    [integers(), fractions(), bits(), dates(), moments(), texts(), binaries(), labels()].into_iter().flatten().collect()
}

fn integers() -> Vec<Case> {
    let sizes = [("TINYINT", 8), ("SMALLINT", 16), ("MEDIUMINT", 24), ("INT", 32), ("BIGINT", 64)];
    let mut cases = Vec::new();
    for (name, bits) in sizes {
        let top = 1_i128 << (bits - 1);
        let form = |unsigned| Form::Integer { bits, unsigned };
        let signed = [0, 1, -1, 100, -100, top - 1, -top].map(|n| n.to_string());
        cases.push(Case::new(name, form(false), signed));
        let unsigned = [0, 1, top - 1, top, 2 * top - 1].map(|n| n.to_string());
        cases.push(Case::new(format!("{name} UNSIGNED"), form(true), unsigned));
        cases.push(Case::new(format!("{name}(3) ZEROFILL"), form(true), ["0", "7", "255"]));
    }
    // ZEROFILL is shown with zeros, and published without.
    cases.retain(|case| !case.declaration.contains("ZEROFILL"));
    cases.push(Case::new("BOOLEAN", Form::Integer { bits: 8, unsigned: false }, ["TRUE", "FALSE", "2"]));
    cases.push(Case::new("YEAR", Form::Year, ["1901", "2024", "2155", "1970", "0"]));
    cases
}

fn fractions() -> Vec<Case> {
    let mut cases = Vec::new();
    for (precision, scale) in
        [(1, 0), (5, 2), (9, 0), (9, 9), (10, 9), (18, 9), (19, 1), (20, 6), (30, 30), (38, 10), (65, 0), (65, 30)]
    {
        let whole = "9".repeat(precision - scale);
        let top = if scale > 0 { format!("{whole}.{}", "9".repeat(scale)) } else { whole };
        let least = if scale > 0 { format!("0.{}1", "0".repeat(scale - 1)) } else { "1".to_owned() };
        let values = ["0".to_owned(), format!("-{top}"), format!("-{least}"), top, least];
        cases.push(Case::new(format!("DECIMAL({precision},{scale})"), Form::Decimal, values));
    }
    cases.push(Case::new("DECIMAL(30,2) UNSIGNED", Form::Decimal, ["1234567890123456789012345678.05", "0.10"]));
    let floats = ["0", "-0.0", "1", "-1.5", "0.1", "3.4028234e38", "1e-10", "1.4e-45", "16777217", "1e7", "12345.678"];
    cases.push(Case::new("FLOAT", Form::Float, floats));
    let doubles = [
        "0",
        "-0.0",
        "1",
        "-1.5",
        "0.1",
        "1e300",
        "5e-324",
        "12345678.9",
        "1e7",
        "1e-3",
        "9.999e-4",
        "1e22",
        "1e23",
        "2e-3",
        "1.7976931348623157e308",
        "0.30000000000000004",
        "123456789012345680",
    ];
    cases.push(Case::new("DOUBLE", Form::Double, doubles));
    cases
}

fn bits() -> Vec<Case> {
    let case = |bits: usize| {
        let top = 1_u128 << bits;
        let values = [0, 1, top - 1, top / 2, top / 3].map(|value| value.to_string());
        Case::new(format!("BIT({bits})"), Form::Bit(bits), values)
    };
    [1, 2, 7, 8, 9, 20, 31, 33, 63, 64].map(case).into()
}

fn dates() -> Vec<Case> {
    let days = [
        "1970-01-01",
        "1969-12-31",
        "2000-02-29",
        "1900-03-01",
        "9999-12-31",
        "1000-01-01",
        "0001-01-01",
        "2024-12-31",
    ];
    let zeros = ["0000-00-00", "2019-00-10", "2019-02-00", "0000-01-01"];
    let quoted = |values: &[&str]| values.iter().map(|value| format!("'{value}'")).collect::<Vec<_>>();
    let all = [&days[..], &zeros].concat();
    vec![Case::new("DATE", Form::Date, quoted(&all)), Case::new("DATE NOT NULL", Form::Date, quoted(&all))]
}

fn moments() -> Vec<Case> {
    let mut cases = Vec::new();
    for decimals in 0..=6 {
        let fraction = |digits: &str| if decimals > 0 { format!(".{}", &digits[..decimals]) } else { String::new() };
        let (some, nines, least) = (fraction("123456"), fraction("999999"), fraction("000001"));
        let time = |t: &str, f: &str| format!("'{t}{f}'");
        let times = [
            time("00:00:00", ""),
            time("20:52:59", &some),
            time("-20:52:59", &some),
            time("838:59:59", ""),
            time("-838:59:59", ""),
            time("838:59:58", &nines),
            time("-00:00:00", &nines),
            time("00:00:00", &least),
            time("-00:00:01", &least),
        ];
        cases.push(Case::new(format!("TIME({decimals})"), Form::Time, times));
        let moments = [
            time("1970-01-01 00:00:00", &least),
            time("2019-03-24 20:52:59", &some),
            time("9999-12-31 23:59:59", &nines),
            time("1000-01-01 00:00:00", &some),
            time("1969-12-31 23:59:59", &nines),
            time("2024-02-29 12:00:00", &nines),
            time("0000-00-00 00:00:00", ""),
        ];
        cases.push(Case::new(format!("DATETIME({decimals})"), Form::DateTime(decimals), moments.clone()));
        cases.push(Case::new(format!("DATETIME({decimals}) NOT NULL"), Form::DateTime(decimals), moments));
        let stamps = [
            time("1970-01-01 00:00:01", &least),
            time("2019-03-24 20:52:59", &some),
            time("2038-01-19 03:14:07", ""),
            time("2000-02-29 23:59:59", &nines),
            "0".to_owned(),
        ];
        cases.push(Case::new(format!("TIMESTAMP({decimals}) NULL"), Form::Timestamp(decimals), stamps.clone()));
        cases.push(Case::new(format!("TIMESTAMP({decimals}) NOT NULL"), Form::Timestamp(decimals), stamps));
    }
    cases
}

fn texts() -> Vec<Case> {
    let texts =
        ["''", "'a'", "'ab  '", "'Größe 😀 日本'", "REPEAT('x', 60)", "'quote '' back \\\\ slash'", "'a\\nb\\tc\\0d'"];
    let types = [
        "CHAR(64)",
        "CHAR(250)",
        "VARCHAR(64)",
        "VARCHAR(250)",
        "VARCHAR(16000)",
        "TINYTEXT",
        "TEXT",
        "MEDIUMTEXT",
        "LONGTEXT",
    ];
    let utf8mb4 = |name: &str| Case::new(format!("{name} CHARACTER SET utf8mb4"), Form::Text, texts);
    let mut cases: Vec<_> = types.iter().map(|name| utf8mb4(name)).collect();
    cases.push(Case::new("CHAR(200) CHARACTER SET utf8mb3", Form::Text, ["'é日'", "''"]));
    cases.push(Case::new("CHAR(20) CHARACTER SET ascii", Form::Text, ["'plain'", "''"]));
    cases.push(Case::new("CHAR(9) CHARACTER SET utf16", Form::Text, ["'é  '", "'😀'", "''"]));
    cases.push(Case::new("LONGTEXT CHARACTER SET utf8mb4", Form::Text, ["REPEAT('é', 100000)", "REPEAT('x', 255)"]));
    cases
}

fn binaries() -> Vec<Case> {
    let values = ["x'00'", "x'01FF'", "x'0000FFFE80'", "''", "x'610000'"];
    let types = [
        "BINARY(6)",
        "BINARY(255)",
        "VARBINARY(6)",
        "VARBINARY(300)",
        "TINYBLOB",
        "BLOB",
        "MEDIUMBLOB",
        "LONGBLOB",
        "CHAR(6) CHARACTER SET binary",
    ];
    let mut cases: Vec<_> = types.iter().map(|name| Case::new(*name, Form::Binary, values)).collect();
    let uuids = ["UNHEX('00112233445566778899AABBCCDDEE00')", "UNHEX('FFEEDDCCBBAA99887766554433221100')"];
    cases.push(Case::new("BINARY(16)", Form::Binary, uuids));
    cases.push(Case::new(
        "GEOMETRY",
        Form::Binary,
        ["ST_GeomFromText('POINT(1 2.5)')", "ST_GeomFromText('LINESTRING(0 0,1 1)')"],
    ));
    cases.push(Case::new("POLYGON", Form::Binary, ["ST_GeomFromText('POLYGON((0 0,0 1,1 1,0 0))')"]));
    cases
}

fn labels() -> Vec<Case> {
    let many = |count: usize| (0..count).map(|i| format!("'e{i}'")).collect::<Vec<_>>().join(",");
    let mut cases = vec![
        Case::new("ENUM('small','Größe','') CHARACTER SET utf8mb4", Form::Enum, ["1", "2", "3", "0", "'none'"]),
        Case::new("ENUM('é','y') CHARACTER SET latin1", Form::Enum, ["1", "2"]),
        Case::new("ENUM('it''s','a,b','(c)')", Form::Enum, ["1", "2", "3"]),
        Case::new(format!("ENUM({})", many(300)), Form::Enum, ["1", "255", "256", "257", "300"]),
        Case::new("SET('é','y') CHARACTER SET latin1", Form::Set(2), ["0", "1", "2", "3"]),
    ];
    for count in [3, 8, 9, 17, 25, 33, 64] {
        let all = if count == 64 { u64::MAX } else { (1 << count) - 1 };
        let values = [0, 1, 5, all, 1 << (count - 1)].map(|value: u64| value.to_string());
        cases.push(Case::new(format!("SET({})", many(count)), Form::Set(count), values));
    }
    cases
}

/// All characters of a character set of one to three bytes a character, 256 codes to a value. Codes for which the server
/// itself has no character are left out: they stop the relay.
pub(crate) fn every_code_of(charset: &str, prefix: &str) -> Case {
    let bytes = format!("CONCAT({prefix}, IF(i < 256, CHAR(i), CHAR(i DIV 256, i % 256)))");
    let has_character = "CHAR_LENGTH(c) = 1 AND CONVERT(c USING utf32) NOT IN (_utf32 x'0000FFFD', _utf32 x'00000000') \
         AND (CONVERT(c USING utf32) <> _utf32 x'0000003F' OR b = x'3F')";
    queried(
        charset,
        &format!("SELECT i, {bytes} AS b, CONVERT({bytes} USING {charset}) AS c FROM numbers"),
        has_character,
    )
}

/// All characters of Unicode's first plane, and some beyond, in a character set that can hold them.
pub(crate) fn every_character_in(charset: &str) -> Case {
    let code = "IF(i < 2048 OR i BETWEEN 55296 AND 57343, 65536 + i, i)";
    let code = if matches!(charset, "ucs2" | "utf8mb3") { "i" } else { code };
    let utf32 = format!("CONVERT(UNHEX(LPAD(HEX({code}), 8, '0')) USING utf32)");
    let known = "i NOT BETWEEN 55296 AND 57343 AND i > 0";
    let known = if code == "i" { known } else { "i > 0" };
    queried(charset, &format!("SELECT i, CONVERT({utf32} USING {charset}) AS c FROM numbers WHERE {known}"), "TRUE")
}

fn queried(charset: &str, codes: &str, wanted: &str) -> Case {
    let query = format!(
        "SELECT i DIV 256 AS n, GROUP_CONCAT(c ORDER BY i SEPARATOR '') AS v FROM ({codes}) AS codes \
         WHERE c IS NOT NULL AND {wanted} GROUP BY i DIV 256"
    );
    let declaration = format!("TEXT CHARACTER SET {charset}");
    Case { declaration, form: Form::Text, values: Values::Queried(query) }
}
