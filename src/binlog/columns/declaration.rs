//! A column's declaration, as `information_schema.COLUMNS.COLUMN_TYPE` prints it, to what it is stored as.

use super::{Charset, ColumnKind, Labels};

/// None for a type that this version does not know. `octets` is `CHARACTER_OCTET_LENGTH`, which tells CHAR(1) of
/// utf8mb4 from CHAR(4) of latin1.
pub(super) fn kind(declaration: &str, charset: Charset, octets: Option<u64>) -> Option<ColumnKind> {
    let end = declaration.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(declaration.len());
    let (word, rest) = declaration.split_at(end);
    let unsigned = Some(rest.split(' ').any(|part| part == "unsigned"));
    let number = |default: u8| arguments(rest).first().map_or(Some(default), |text| text.parse().ok());
    let length = || octets.and_then(|octets| u16::try_from(octets).ok());
    // MariaDB prints this attribute in a comment of its own kind.
    if rest.contains(" /*M!") && rest.ends_with("COMPRESSED*/") {
        return None;
    }
    Some(match word {
        "tinyint" => ColumnKind::TinyInt { unsigned },
        "smallint" => ColumnKind::SmallInt { unsigned },
        "mediumint" => ColumnKind::MediumInt { unsigned },
        "int" => ColumnKind::Int { unsigned },
        "bigint" => ColumnKind::BigInt { unsigned },
        "float" => ColumnKind::Float,
        "double" => ColumnKind::Double,
        "decimal" => match arguments(rest)[..] {
            [precision, scale] => {
                ColumnKind::Decimal { precision: precision.parse().ok()?, scale: scale.parse().ok()? }
            }
            _ => return None,
        },
        "bit" => ColumnKind::Bit { bits: number(1)? },
        "year" => ColumnKind::Year,
        "date" => ColumnKind::Date,
        "time" => ColumnKind::Time { fsp: number(0)? },
        "datetime" => ColumnKind::DateTime { fsp: number(0)? },
        "timestamp" => ColumnKind::Timestamp { fsp: number(0)? },
        "char" => ColumnKind::Char { max_bytes: length()?, charset },
        "varchar" => ColumnKind::VarChar { max_bytes: length()?, charset },
        "binary" => ColumnKind::Binary { len: length()? },
        "varbinary" => ColumnKind::VarBinary { len: length()? },
        "tinytext" => ColumnKind::Text { length_bytes: 1, charset },
        "text" => ColumnKind::Text { length_bytes: 2, charset },
        "mediumtext" => ColumnKind::Text { length_bytes: 3, charset },
        "longtext" => ColumnKind::Text { length_bytes: 4, charset },
        "tinyblob" => ColumnKind::Blob { length_bytes: 1 },
        "blob" => ColumnKind::Blob { length_bytes: 2 },
        "mediumblob" => ColumnKind::Blob { length_bytes: 3 },
        "longblob" => ColumnKind::Blob { length_bytes: 4 },
        "enum" => {
            let labels = labels(rest)?;
            ColumnKind::Enum { bytes: if count(&labels) < 256 { 1 } else { 2 }, labels }
        }
        "set" => {
            let labels = labels(rest)?;
            let bytes = count(&labels).div_ceil(8);
            ColumnKind::Set { bytes: if bytes > 4 { 8 } else { u8::try_from(bytes).ok()? }, labels }
        }
        "json" => ColumnKind::Json { length_bytes: 4 },
        "vector" => ColumnKind::Vector { length_bytes: 4 },
        "geometry" | "point" | "linestring" | "polygon" | "multipoint" | "multilinestring" | "multipolygon"
        | "geomcollection" | "geometrycollection" => ColumnKind::Geometry { length_bytes: 4 },
        "uuid" => ColumnKind::Uuid,
        "inet4" => ColumnKind::Inet4,
        "inet6" => ColumnKind::Inet6,
        _ => return None,
    })
}

/// What stands in the brackets, if it is numbers.
fn arguments(rest: &str) -> Vec<&str> {
    let inner = rest.strip_prefix('(').and_then(|rest| rest.split_once(')'));
    inner.map(|(inner, _)| inner.split(',').map(str::trim).collect()).unwrap_or_default()
}

fn count(labels: &Labels) -> usize {
    labels.names.as_ref().map_or(0, |names| names.len())
}

/// `('a','it''s')`; the server escapes some characters with a backslash.
fn labels(rest: &str) -> Option<Labels> {
    let mut names: Vec<Box<[u8]>> = Vec::new();
    let mut rest = rest.strip_prefix('(')?;
    loop {
        let (label, behind) = label(rest.strip_prefix('\'')?)?;
        names.push(label.into_bytes().into());
        match behind.split_at_checked(1)? {
            (",", next) => rest = next,
            (")", _) => return Some(Labels { charset: Charset::Utf8, names: Some(names.into()) }),
            _ => return None,
        }
    }
}

/// The text up to its closing quote, and what stands behind that.
fn label(text: &str) -> Option<(String, &str)> {
    let mut label = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\'' if text.get(at + 1..)?.starts_with('\'') => {
                chars.next();
                label.push('\'');
            }
            '\'' => return Some((label, text.get(at + 1..)?)),
            '\\' => label.push(match chars.next()?.1 {
                '0' => '\0',
                'n' => '\n',
                'r' => '\r',
                other => other,
            }),
            _ => label.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declarations_are_read_as_the_server_prints_them() {
        let plain = |declaration: &str| kind(declaration, Charset::Unknown, None);
        assert_eq!(plain("int unsigned zerofill"), Some(ColumnKind::Int { unsigned: Some(true) }));
        assert_eq!(plain("tinyint(1)"), Some(ColumnKind::TinyInt { unsigned: Some(false) }));
        assert_eq!(plain("decimal(65,30)"), Some(ColumnKind::Decimal { precision: 65, scale: 30 }));
        assert_eq!(plain("datetime"), Some(ColumnKind::DateTime { fsp: 0 }));
        assert_eq!(plain("time(6)"), Some(ColumnKind::Time { fsp: 6 }));
        assert_eq!(plain("point"), Some(ColumnKind::Geometry { length_bytes: 4 }));
        assert_eq!(["uuid", "inet6"].map(plain), [Some(ColumnKind::Uuid), Some(ColumnKind::Inet6)]);
        assert_eq!(plain("xml"), None);
        assert_eq!(plain("blob /*M!100301 COMPRESSED*/"), None);
        let char36 = ColumnKind::Char { max_bytes: 144, charset: Charset::Utf8 };
        assert_eq!(kind("char(36)", Charset::Utf8, Some(144)), Some(char36));
        assert_eq!(kind("binary(16)", Charset::Unknown, Some(16)), Some(ColumnKind::Binary { len: 16 }));
        let Some(ColumnKind::Set { bytes: 1, labels }) = plain(r"set('a','it''s','b\\)','ü(')") else { panic!() };
        let names = [&b"a"[..], b"it's", b"b\\)", "ü(".as_bytes()].map(Box::from);
        assert_eq!(labels.names, Some(Box::from(names)));
        assert_eq!(plain("enum('a"), None);
    }
}
