//! Two texts of one JSON document.

use serde_json::Value;

/// Whether our text and the server's say the same, piece by piece: white space, the escapes of strings, the digits of
/// doubles, and the texts of values that JSON does not have may differ.
pub(super) fn agree(ours: &str, shown: &str) -> bool {
    let (ours, shown) = (pieces(ours), pieces(shown));
    ours.len() == shown.len() && ours.iter().zip(shown).all(|(ours, shown)| *ours == shown || same(ours, shown))
}

/// Strings, numbers, and single characters of everything else.
fn pieces(text: &str) -> Vec<&str> {
    let (mut rest, mut pieces) = (text.trim_start(), Vec::new());
    while let Some(first) = rest.chars().next() {
        let is_number = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
        let len = match first {
            '"' => string_len(rest),
            _ if is_number(first) => rest.find(|c| !is_number(c)).unwrap_or(rest.len()),
            _ => first.len_utf8(),
        };
        let (piece, behind) = rest.split_at(len);
        pieces.push(piece);
        rest = behind.trim_start();
    }
    pieces
}

fn string_len(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            b'"' if !escaped => return at + 1,
            b'\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    text.len()
}

fn same(ours: &str, shown: &str) -> bool {
    if let (true, true) = (ours.starts_with('"'), shown.starts_with('"')) {
        let strings = [ours, shown].map(serde_json::from_str::<String>);
        return matches!(strings, [Ok(ours), Ok(shown)] if same_string(&ours, &shown));
    }
    let is_double = |piece: &str| piece.contains(['.', 'e', 'E']);
    let number = |piece: &str| piece.parse::<f64>().ok();
    (is_double(ours) || is_double(shown)) && number(ours).is_some() && number(ours) == number(shown)
}

fn same_string(ours: &str, shown: &str) -> bool {
    // The server breaks base64 into lines.
    let base64 = shown.strip_prefix("base64:type").and_then(|rest| rest.split_once(':'));
    if let Some((_, base64)) = base64 {
        return ours == base64.replace('\n', "");
    }
    let is_time = shown.contains(':') && shown.contains('.') && serde_json::from_str::<Value>(shown).is_err();
    ours == shown || is_time && ours == shown.trim_end_matches('0').trim_end_matches('.')
}
