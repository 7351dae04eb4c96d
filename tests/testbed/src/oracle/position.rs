//! Places in a log: does a checkpoint's position cover a transaction?

use serde_json::Value;

/// Whether the position in a checkpoint lies behind the transaction, which is a GTID or `file:end`. None if the checkpoint
/// has no position of that kind.
pub(super) fn covers(checkpoint: &Value, transaction: &str) -> Option<bool> {
    let (name, number) = transaction.rsplit_once(':')?;
    let number: u64 = number.parse().ok()?;
    match checkpoint.get("executed").and_then(Value::as_str) {
        Some(executed) => Some(contains(executed, name, number)),
        None => Some((name, number) <= (checkpoint.get("file")?.as_str()?, checkpoint.get("offset")?.as_u64()?)),
    }
}

/// Whether a GTID set such as `UUID:1-5:7:tag:1-2,UUID:9` holds number `number` of `UUID` or `UUID:tag`.
fn contains(set: &str, source: &str, number: u64) -> bool {
    set.split(',').any(|part| {
        let mut parts = part.trim().split(':');
        let uuid = parts.next().unwrap_or_default().to_ascii_lowercase();
        let mut owner = uuid.clone();
        parts.any(|part| match interval(part) {
            Some((first, last)) => owner == source && (first..=last).contains(&number),
            None => {
                owner = format!("{uuid}:{part}");
                false
            }
        })
    })
}

fn interval(text: &str) -> Option<(u64, u64)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Some((first.parse().ok()?, last.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gtid_sets_hold_intervals_and_tags() {
        let checkpoint = serde_json::json!({"executed": "a:1-5:7:blue:2-3,\nb:9"});
        for (transaction, expected) in [
            ("a:5", true),
            ("a:6", false),
            ("a:7", true),
            ("a:blue:2", true),
            ("a:blue:1", false),
            ("b:9", true),
            ("c:1", false),
        ] {
            assert_eq!(covers(&checkpoint, transaction), Some(expected), "{transaction}");
        }
    }

    #[test]
    fn file_positions_are_ordered_by_file_then_offset() {
        let checkpoint = serde_json::json!({"file": "bin.000002", "offset": 500});
        for (transaction, expected) in [("bin.000001:900", true), ("bin.000002:500", true), ("bin.000002:501", false)] {
            assert_eq!(covers(&checkpoint, transaction), Some(expected), "{transaction}");
        }
    }
}
