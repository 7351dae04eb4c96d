//! How values of a column are shown: by SELECT in the form that we publish, and in the one that other decoders print.

use super::json;

/// Digits after the decimal point of the second.
type Decimals = usize;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Integer {
        bits: u32,
        unsigned: bool,
    },
    Decimal,
    Float,
    Double,
    Bit(usize),
    Year,
    Date,
    Time,
    DateTime(Decimals),
    Timestamp(Decimals),
    Text,
    Enum,
    /// With so many labels.
    Set(usize),
    Json,
    Binary,
}

impl Form {
    /// SQL for what is shown in our form.
    pub(super) fn shown(self, nullable: bool) -> String {
        let zero = |zero: &str| if nullable { "NULL".to_owned() } else { zero.to_owned() };
        let since_1970 = "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', v)";
        match self {
            Form::Integer { .. } | Form::Decimal => "CAST(v AS CHAR)".into(),
            // YEAR counts from 1900, and shows its first value as 0000.
            Form::Year => "IF(v = 0, '1900', CAST(v AS CHAR))".into(),
            Form::Float | Form::Double => "CAST(v + 0e0 AS CHAR)".into(),
            Form::Bit(1) => "IF(v IS NULL, NULL, IF(v, 'true', 'false'))".into(),
            Form::Bit(bits) => {
                let bytes: Vec<_> = (0..bits.div_ceil(8)).map(|i| format!("CHAR((v >> {}) & 255)", 8 * i)).collect();
                format!("IF(v IS NULL, NULL, CONCAT({}))", bytes.join(", "))
            }
            // The year 0000 is a zero date, too.
            Form::Date => {
                format!("CAST(IF(YEAR(v) * MONTH(v) * DAY(v) = 0, {}, DATEDIFF(v, '1970-01-01')) AS CHAR)", zero("0"))
            }
            // MariaDB counts seconds with their fraction.
            Form::Time => {
                "CAST(CAST((FLOOR(ABS(TIME_TO_SEC(v))) * 1000000 + MICROSECOND(v)) * IF(v < 0, -1, 1) AS SIGNED) AS CHAR)"
                    .into()
            }
            Form::DateTime(0..=3) => format!("CAST(IFNULL({since_1970} DIV 1000, {}) AS CHAR)", zero("0")),
            Form::DateTime(_) => format!("CAST(IFNULL({since_1970}, {}) AS CHAR)", zero("0")),
            Form::Timestamp(decimals) => {
                let places = if decimals > 0 { decimals + 1 } else { 0 };
                let iso =
                    format!("CONCAT(DATE_FORMAT(v, '%Y-%m-%dT%H:%i:%s'), LEFT(DATE_FORMAT(v, '.%f'), {places}), 'Z')");
                let zeros = if decimals > 0 { format!(".{}", "0".repeat(decimals)) } else { String::new() };
                format!("IF(v + 0 = 0, {}, {iso})", zero(&format!("'1970-01-01T00:00:00{zeros}Z'")))
            }
            Form::Text | Form::Enum | Form::Set(_) | Form::Json => "CONVERT(CAST(v AS CHAR) USING utf8mb4)".into(),
            Form::Binary => "v".into(),
        }
    }

    /// SQL for what other decoders print.
    pub(super) fn plain(self) -> String {
        match self {
            Form::Bit(bits) => format!("LPAD(BIN(v + 0), {bits}, '0')"),
            Form::Date => "DATE_FORMAT(v, '%Y:%m:%d')".into(),
            Form::Timestamp(_) => "CAST(UNIX_TIMESTAMP(v) AS CHAR)".into(),
            Form::Time | Form::DateTime(_) => "CAST(v AS CHAR)".into(),
            Form::Enum => "CAST(v + 0 AS CHAR)".into(),
            Form::Set(labels) => {
                let bytes = match labels.div_ceil(8) {
                    bytes @ ..=4 => bytes,
                    _ => 8,
                };
                format!("LPAD(BIN(CAST(v AS UNSIGNED)), {}, '0')", 8 * bytes)
            }
            Form::Text | Form::Binary => "v".into(),
            _ => self.shown(true),
        }
    }

    /// Whether headers hold base64.
    pub(super) fn is_binary(self) -> bool {
        matches!(self, Form::Binary) || matches!(self, Form::Bit(bits) if bits > 1)
    }

    /// Whether our text says the same as the server's.
    pub(super) fn agrees(self, ours: &[u8], shown: &[u8]) -> bool {
        match self {
            // Java's text is another one; the number must be the same.
            Form::Double => number(ours) == number(shown),
            // The server shows the float as a double.
            #[expect(clippy::cast_possible_truncation, reason = "back to the float that is stored")]
            Form::Float => text(ours).parse::<f32>().unwrap() == number(shown) as f32,
            Form::Decimal => plain_decimal(text(ours)) == text(shown),
            Form::Json => json::agree(text(ours), text(shown)),
            _ => ours == shown,
        }
    }
}

pub(super) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

pub(super) fn number(bytes: &[u8]) -> f64 {
    text(bytes).parse().unwrap()
}

/// `BigDecimal.toString` to `BigDecimal.toPlainString`.
fn plain_decimal(text: &str) -> String {
    let Some((digits, exponent)) = text.split_once("E-") else { return text.to_owned() };
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |digits| ("-", digits));
    let zeros = "0".repeat(exponent.parse::<usize>().unwrap() - 1);
    format!("{sign}0.{zeros}{}", digits.replace('.', ""))
}
