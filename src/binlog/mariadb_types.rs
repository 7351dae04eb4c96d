//! MariaDB's UUID, INET4 and INET6 to the texts that it shows. The log has them in the order of their text (`pack` in
//! MariaDB's `sql_type_uuid.h`), without the zero bytes at their end.
#![deny(clippy::indexing_slicing)]

use std::io::Write as _;
use std::net::Ipv4Addr;
use std::ops::Range;

use super::bytes::DecodeError;
use super::debezium::put;

/// Eight, four, four, four and twelve digits in lower case.
pub(super) fn write_uuid(raw: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    put!(out, "{}", uuid::Uuid::from_bytes(padded(raw, "UUID value")?).as_hyphenated());
    Ok(())
}

/// Four numbers with dots.
pub(super) fn write_inet4(raw: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    put!(out, "{}", Ipv4Addr::from(padded(raw, "INET4 value")?));
    Ok(())
}

/// Groups of hexadecimal digits; `::` for the longest run of zero groups, the first of equal ones, and be it a single
/// group, which RFC 5952 would write out. Addresses that carry an IPv4 address show it.
pub(super) fn write_inet6(raw: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let bits = u128::from_be_bytes(padded(raw, "INET6 value")?);
    let groups = std::net::Ipv6Addr::from(bits).segments();
    let gap = longest_zeros(&groups);
    let carries_ipv4 =
        matches!((&gap, bits >> 32 & 0xFFFF), (Range { start: 0, end: 6 }, _) | (Range { start: 0, end: 5 }, 0xFFFF));
    for (nth, group) in groups.iter().enumerate() {
        if nth == gap.start && !gap.is_empty() {
            out.extend_from_slice(b"::");
        }
        if gap.contains(&nth) {
            continue;
        }
        if carries_ipv4 && nth == 6 {
            let [.., a, b, c, d] = bits.to_be_bytes();
            put!(out, "{}{}", if gap.end == 6 { "" } else { ":" }, Ipv4Addr::new(a, b, c, d));
            return Ok(());
        }
        put!(out, "{}{group:x}", if nth == 0 || nth == gap.end { "" } else { ":" });
    }
    Ok(())
}

fn longest_zeros(groups: &[u16; 8]) -> Range<usize> {
    let mut longest = 0..0;
    let mut start = 0;
    for (nth, group) in groups.iter().enumerate() {
        if *group != 0 {
            start = nth + 1;
        } else if nth + 1 - start > longest.len() {
            longest = start..nth + 1;
        }
    }
    longest
}

fn padded<const N: usize>(raw: &[u8], what: &'static str) -> Result<[u8; N], DecodeError> {
    let mut bytes = [0; N];
    let logged = bytes.get_mut(..raw.len()).ok_or(DecodeError::Malformed { what, offset: 0 })?;
    logged.copy_from_slice(raw);
    Ok(bytes)
}
