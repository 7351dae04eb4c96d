//! Text with units → durations and sizes. A bare number is refused: nobody can tell its unit a year later.

use std::time::Duration;

const SIZES: &[(&str, u64)] = &[
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("KB", 1_000),
    ("B", 1),
];

/// Parses a duration such as `10s`; the error completes the sentence "KEY = VALUE …".
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    if is_number(text) {
        return Err(format!("needs a unit, e.g. \"{text}s\""));
    }
    humantime::parse_duration(text).map_err(|_| "is not a duration, e.g. \"10s\", \"500ms\" or \"1m 30s\"".to_owned())
}

/// Parses a size such as `16MiB`; the error completes the sentence "KEY = VALUE …".
pub(super) fn parse_size(text: &str) -> Result<u64, String> {
    let text = text.trim();
    if is_number(text) {
        return Err(format!("needs a unit, e.g. \"{text}MiB\""));
    }
    let wrong = || "is not a size, e.g. \"16MiB\" (B, KiB, MiB, GiB, kB, MB, GB)".to_owned();
    let split = |(unit, factor): &(&str, u64)| Some((text.strip_suffix(unit)?.trim_end(), *factor));
    let (number, factor) = SIZES.iter().find_map(split).ok_or_else(wrong)?;
    number.parse::<u64>().ok().filter(|_| is_number(number)).and_then(|n| n.checked_mul(factor)).ok_or_else(wrong)
}

/// Milliseconds as a person writes them.
pub(super) fn show_duration(milliseconds: u64) -> String {
    humantime::format_duration(Duration::from_millis(milliseconds)).to_string()
}

/// Bytes as a person writes them.
pub(super) fn show_size(bytes: u64) -> String {
    let fits = SIZES.iter().take(3).find(|(_, factor)| bytes >= *factor && bytes.is_multiple_of(*factor));
    fits.map_or_else(|| format!("{bytes}B"), |(unit, factor)| format!("{}{unit}", bytes / factor))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        assert_eq!(parse_duration("1m 30s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("0ms"), Ok(Duration::ZERO));
        assert_eq!(parse_duration("10"), Err("needs a unit, e.g. \"10s\"".into()));
        for wrong in ["", "s", "10 parsecs", "-1s", "99999999999999999999s"] {
            assert!(parse_duration(wrong).unwrap_err().starts_with("is not a duration"), "{wrong}");
        }
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(parse_size("16MiB"), Ok(16 << 20));
        assert_eq!(parse_size("1 GB"), Ok(1_000_000_000));
        assert_eq!(parse_size("7B"), Ok(7));
        assert_eq!(parse_size("16"), Err("needs a unit, e.g. \"16MiB\"".into()));
        for wrong in ["", "MiB", "16M", "1.5GiB", "-1B", "16777216GiBGiB", "99999999999GiB"] {
            assert!(parse_size(wrong).unwrap_err().starts_with("is not a size"), "{wrong}");
        }
        assert_eq!(show_size(1 << 30), "1GiB");
        assert_eq!(show_size(1_500), "1500B");
    }
}
