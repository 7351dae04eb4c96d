//! Compressed events of MariaDB (`log_bin_compress`): the text of a query event, or the rows of a row event, as a zlib
//! stream behind its length. Nothing is believed: the output has a limit, the ratio has zlib's, the window is zlib's 32 KiB,
//! and the stream must yield exactly the declared bytes and end exactly with the event.
//!
//! Source: `binlog_buf_compress` and `Rows_log_event` in MariaDB's `log_event.cc`; zlib: RFC 1950.
#![deny(clippy::indexing_slicing)]

use flate2::{Decompress, FlushDecompress, Status};

use crate::binlog::bytes::{DecodeError, Reader, uint_be};

/// Bytes that one event may yield: `max_allowed_packet`, at most 1 GiB, bounds a statement.
const MAX_OUTPUT: u64 = 1 << 30;

/// What one byte of a deflate stream can yield at most.
const MAX_RATIO: u64 = 1032;

const WHAT: &str = "compressed event";

/// The body of a row event (`version_2`: of type 30 to 32) whose rows are compressed, with plain rows. `images`: bitmaps
/// of columns before the rows, two in updates.
pub(super) fn rows_body(body: &[u8], version_2: bool, images: usize) -> Result<Vec<u8>, DecodeError> {
    let mut r = Reader::new(body);
    r.take(8, WHAT)?;
    if version_2 {
        // The length counts its own two bytes.
        let len = usize::try_from(r.uint(2, WHAT)?).ok().and_then(|n| n.checked_sub(2)).ok_or(r.malformed(WHAT))?;
        r.take(len, WHAT)?;
    }
    let columns = usize::try_from(r.packed(WHAT)?).unwrap_or(usize::MAX);
    r.take(columns.div_ceil(8).saturating_mul(images), WHAT)?;
    join(body, r.rest())
}

/// The body of a query event whose text is compressed, with plain text.
pub(super) fn query_body(body: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let mut r = Reader::new(body);
    r.take(8, WHAT)?;
    let schema = usize::from(r.u8(WHAT)?);
    r.take(2, WHAT)?;
    let variables = usize::try_from(r.uint(2, WHAT)?).unwrap_or(usize::MAX);
    r.take(variables.saturating_add(schema).saturating_add(1), WHAT)?;
    join(body, r.rest())
}

/// `body` with the compressed record at its end replaced by what it holds.
fn join(body: &[u8], record: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let head = body.len().checked_sub(record.len()).and_then(|len| body.get(..len)).unwrap_or_default();
    let mut whole = head.to_vec();
    inflate(record, &mut whole)?;
    Ok(whole)
}

/// A byte of 0x80 and the count of length bytes, the length with its highest byte first, the stream.
fn inflate(record: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let malformed = |what| DecodeError::Malformed { what, offset: 0 };
    let mut r = Reader::new(record);
    let head = r.u8(WHAT)?;
    let length_bytes = usize::from(head & 7);
    // Bits 4 to 6 name the algorithm; 0 is zlib, and there is no other.
    if head & 0xf8 != 0x80 || !(1..=4).contains(&length_bytes) {
        return Err(malformed("header of a compressed event"));
    }
    let declared = uint_be(r.take(length_bytes, WHAT)?);
    let stream = r.rest();
    if declared > MAX_OUTPUT.min((stream.len() as u64).saturating_mul(MAX_RATIO)) {
        return Err(malformed("declared length of a compressed event"));
    }
    let declared = usize::try_from(declared).map_err(|_| malformed("declared length of a compressed event"))?;
    let before = out.len();
    out.try_reserve_exact(declared).map_err(|_| malformed("declared length of a compressed event"))?;
    out.resize(before + declared, 0);
    let mut inflater = Decompress::new(true);
    let status = inflater.decompress(stream, out.get_mut(before..).unwrap_or_default(), FlushDecompress::Finish);
    let exact = inflater.total_out() == declared as u64 && inflater.total_in() == stream.len() as u64;
    if !matches!(status, Ok(Status::StreamEnd)) || !exact {
        return Err(malformed("stream of a compressed event"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn deflated(plain: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    fn record(declared: usize, stream: &[u8]) -> Vec<u8> {
        let length = u32::try_from(declared).unwrap().to_be_bytes();
        [&[0x84][..], &length, stream].concat()
    }

    fn plain(record: &[u8]) -> Result<Vec<u8>, DecodeError> {
        let mut out = b"head".to_vec();
        inflate(record, &mut out).map(|()| out.split_off(4))
    }

    #[test]
    fn a_record_yields_exactly_what_it_declares() {
        let text = b"abc".repeat(1000);
        let stream = deflated(&text);
        assert_eq!(plain(&record(text.len(), &stream)), Ok(text.clone()));
        let short = [&[0x82][..], &3000_u16.to_be_bytes(), &stream].concat();
        assert_eq!(plain(&short), Ok(text.clone()));
        for declared in [text.len() - 1, text.len() + 1, 0, 1 << 30] {
            assert!(plain(&record(declared, &stream)).is_err(), "{declared}");
        }
        assert!(plain(&record(text.len(), &[&stream[..], &[0]].concat())).is_err(), "bytes behind the stream");
        for cut in 0..stream.len() {
            assert!(plain(&record(text.len(), &stream[..cut])).is_err(), "{cut}");
        }
        let mut flipped = stream.clone();
        *flipped.last_mut().unwrap() ^= 1;
        assert!(plain(&record(text.len(), &flipped)).is_err(), "zlib's own checksum");
    }

    #[test]
    fn other_algorithms_and_lengths_are_refused() {
        let stream = deflated(b"x");
        for head in [0x00, 0x80, 0x85, 0x91, 0xc1] {
            assert!(plain(&[&[head, 1][..], &stream].concat()).is_err(), "{head:x}");
        }
        assert!(plain(&[]).is_err() && plain(&[0x84, 0, 0]).is_err());
    }

    #[test]
    fn the_record_begins_behind_the_heads() {
        let record = record(3, &deflated(b"abc"));
        // Table id, flags, nine columns, one bitmap of two bytes.
        let head = [7, 0, 0, 0, 0, 0, 1, 0, 9, 0xff, 1];
        assert_eq!(rows_body(&[&head[..], &record].concat(), false, 1), Ok([&head[..], b"abc"].concat()));
        let update = [&head[..], &[0xff, 1]].concat();
        assert_eq!(rows_body(&[&update[..], &record].concat(), false, 2), Ok([&update[..], b"abc"].concat()));
        let version_2 = [7, 0, 0, 0, 0, 0, 1, 0, 4, 0, 8, 8, 1, 0xff];
        assert_eq!(rows_body(&[&version_2[..], &record].concat(), true, 1), Ok([&version_2[..], b"abc"].concat()));
        // Four bytes each of thread and time, schema of two bytes, error code, three bytes of variables.
        let query = [&[0; 8][..], &[2, 0, 0, 3, 0, 1, 2, 3], b"db\0"].concat();
        assert_eq!(query_body(&[&query[..], &record].concat()), Ok([&query[..], b"abc"].concat()));
        assert!(query_body(&query[..10]).is_err() && rows_body(&head[..8], false, 1).is_err());
    }
}
