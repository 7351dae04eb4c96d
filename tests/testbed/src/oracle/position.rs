//! Places in a log: does a checkpoint's position cover a transaction?

use serde_json::Value;

/// Whether the position in a checkpoint lies behind a transaction: by GTID if the checkpoint has them, else by `end`, which is
/// `file:end_pos`. None if one of the three cannot be read.
pub(super) fn covers(checkpoint: &Value, transaction: &str, end: &str) -> Option<bool> {
    let Some(executed) = checkpoint.get("executed") else {
        let (name, offset) = end.rsplit_once(':')?;
        let reached = (checkpoint.get("file")?.as_str()?, checkpoint.get("offset")?.as_u64()?);
        return Some((name, offset.parse::<u64>().ok()?) <= reached);
    };
    let executed = executed.as_str()?;
    if !transaction.contains(':') {
        return reaches(executed, transaction);
    }
    let (name, number) = transaction.rsplit_once(':')?;
    Some(contains(executed, name, number.parse().ok()?))
}

/// The same for a MariaDB's `domain-server-number`, where the numbers of a domain rise.
fn reaches(executed: &str, transaction: &str) -> Option<bool> {
    let parts = |gtid: &str| {
        let mut numbers = gtid.trim().split('-').map(|part| part.parse::<u64>().ok());
        Some((numbers.next()??, numbers.next()??, numbers.next()??))
    };
    let (domain, _, number) = parts(transaction)?;
    Some(executed.split(',').filter_map(parts).any(|(of, _, last)| of == domain && number <= last))
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
            assert_eq!(covers(&checkpoint, transaction, ""), Some(expected), "{transaction}");
        }
    }

    #[test]
    fn positions_of_domains_reach_up_to_their_last_number() {
        let checkpoint = serde_json::json!({"executed": "0-1-33,7-1-2"});
        for (transaction, expected) in [("0-1-33", true), ("0-2-34", false), ("9-1-1", false)] {
            assert_eq!(covers(&checkpoint, transaction, ""), Some(expected), "{transaction}");
        }
    }

    #[test]
    fn file_positions_are_ordered_by_file_then_offset() {
        let checkpoint = serde_json::json!({"file": "bin.000002", "offset": 500});
        for (end, expected) in [("bin.000001:900", true), ("bin.000002:500", true), ("bin.000002:501", false)] {
            for transaction in [end, "0-1-33"] {
                assert_eq!(covers(&checkpoint, transaction, end), Some(expected), "{end}");
            }
        }
    }
}
