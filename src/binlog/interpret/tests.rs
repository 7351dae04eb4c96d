use super::cursor::low32;
use super::*;
use mysql_common::proto::MySerialize as _;

use crate::binlog::testing::{FILE, UUID, at, gtid, query, raw, read};

const GTID: u8 = 33;
const TAGGED_GTID: u8 = 42;
const QUERY: u8 = 2;
const XID: u8 = 16;

fn interpreter(contiguity: Contiguity, offset: u64) -> Interpreter {
    let filter = TableFilter::new([("shop".to_owned(), "outbox".to_owned())]);
    Interpreter::new(filter, contiguity, at(offset))
}

/// Lays events end to end from `offset`; the header carries the low 32 bits of each end.
fn lay(interpreter: &mut Interpreter, events: &[(u8, u16, Vec<u8>)]) -> Result<Vec<BinlogEvent>> {
    events
        .iter()
        .map(|(kind, flags, data)| {
            let end = interpreter.position().offset + 19 + data.len() as u64 + 4;
            interpreter.interpret(read(&raw(*kind, *flags, data, low32(end))))
        })
        .collect()
}

#[test]
fn a_group_is_its_gtid_its_begin_and_its_terminator() {
    let mut interpreter = interpreter(Contiguity::Exact, 4);
    let events =
        lay(&mut interpreter, &[(GTID, 0, gtid(5)), (QUERY, 0, query("shop", "BEGIN")), (XID, 0, vec![1; 8])]).unwrap();
    let [BinlogEvent::GroupStart(start), BinlogEvent::Begin, BinlogEvent::Terminator(end)] = events.as_slice() else {
        panic!("{events:?}");
    };
    assert_eq!(start.gtid.as_ref().map(ToString::to_string), Some(format!("{UUID}:5")));
    assert_eq!(start.start, at(4));
    assert_eq!(end.end, GroupEnd::Commit);
    assert_eq!(end.fingerprint.gtid, start.gtid);
    assert_eq!(end.fingerprint.end, interpreter.position().offset);
    assert_eq!(end.fingerprint.end - end.fingerprint.start, u64::from(end.fingerprint.size));
    assert!(!interpreter.in_group());
}

#[test]
fn a_tag_belongs_to_the_gtid() {
    let tag = mysql_common::packets::Tag::new("billing".to_owned()).unwrap();
    let mut body = Vec::new();
    GtidEvent::new_tagged(Uuid::parse_str(UUID).unwrap().into_bytes(), tag, 5).serialize(&mut body);
    let events = lay(&mut interpreter(Contiguity::Exact, 4), &[(TAGGED_GTID, 0, body), (XID, 0, vec![1; 8])]).unwrap();
    let BinlogEvent::GroupStart(start) = &events[0] else { panic!("{events:?}") };
    assert_eq!(start.gtid.as_ref().map(ToString::to_string), Some(format!("{UUID}:billing:5")));
}

#[test]
fn offsets_go_on_beyond_four_gibibytes() {
    let start = (1 << 32) - 20;
    let mut interpreter = interpreter(Contiguity::Exact, start);
    let events = lay(&mut interpreter, &[(GTID, 0, gtid(5)), (XID, 0, vec![1; 8])]).unwrap();
    let BinlogEvent::Terminator(end) = &events[1] else { panic!("{events:?}") };
    assert!(end.fingerprint.start > 1 << 32);
    assert_eq!(end.fingerprint.end, start + 19 + 42 + 4 + 19 + 8 + 4);
}

#[test]
fn a_gap_is_damage_in_file_mode_and_usual_in_gtid_mode() {
    let far = || read(&raw(GTID, 0, &gtid(5), 9000));
    let refused = interpreter(Contiguity::Exact, 4).interpret(far()).unwrap_err();
    assert_eq!(refused.code(), Code::EventCorrupt);
    let mut gaps = interpreter(Contiguity::Gaps, 4);
    gaps.interpret(far()).unwrap();
    assert_eq!(gaps.position(), &at(9000));
}

#[test]
fn a_flipped_bit_is_found_wherever_it_is() {
    let good = raw(XID, 0, &[1; 8], 4 + 31);
    // The size field decides how much is read, so it is not flipped here.
    for byte in (0..good.len()).filter(|byte| !(9..13).contains(byte)) {
        for bit in 0..8 {
            let mut bad = good.clone();
            bad[byte] ^= 1 << bit;
            let refused = interpreter(Contiguity::Exact, 4).interpret(read(&bad)).unwrap_err();
            assert_eq!(refused.code(), Code::EventCorrupt, "byte {byte}, bit {bit}");
        }
    }
}

#[test]
fn an_unknown_event_stops_the_relay_unless_it_may_be_ignored() {
    let ignorable = EventFlags::LOG_EVENT_IGNORABLE_F.bits();
    for kind in [99_u8, 3 + 100] {
        let refused = lay(&mut interpreter(Contiguity::Exact, 4), &[(kind, 0, vec![0; 4])]).unwrap_err();
        assert_eq!(refused.code(), Code::EventUnsupported);
        let passed = lay(&mut interpreter(Contiguity::Exact, 4), &[(kind, ignorable, vec![0; 4])]).unwrap();
        assert!(matches!(passed[0], BinlogEvent::Passed));
    }
}

#[test]
fn an_incident_stops_the_relay_whatever_its_flags_say() {
    for flags in [0, EventFlags::LOG_EVENT_IGNORABLE_F.bits()] {
        let refused = lay(&mut interpreter(Contiguity::Exact, 4), &[(26, flags, vec![1, 0, 0])]).unwrap_err();
        assert_eq!(refused.code(), Code::EventUnsupported);
        assert!(refused.message().contains("could not log all changes"), "{refused}");
    }
}

#[test]
fn a_group_may_not_begin_inside_another() {
    let events = [(GTID, 0, gtid(5)), (QUERY, 0, query("shop", "BEGIN")), (GTID, 0, gtid(6))];
    let refused = lay(&mut interpreter(Contiguity::Exact, 4), &events).unwrap_err();
    assert_eq!(refused.code(), Code::EventUndecodable);
}

#[test]
fn statements_inside_transactions_are_judged_and_ddl_is_a_group_of_its_own() {
    let logged = "INSERT INTO outbox VALUES (1)";
    let inside = [(GTID, 0, gtid(5)), (QUERY, 0, query("shop", "BEGIN")), (QUERY, 0, query("shop", logged))];
    let events = lay(&mut interpreter(Contiguity::Exact, 4), &inside).unwrap();
    assert!(matches!(&events[2], BinlogEvent::Statement { table, .. } if table == "shop.outbox"));
    let ddl = [(GTID, 0, gtid(5)), (QUERY, 0, query("shop", "CREATE TABLE x (a INT)"))];
    let events = lay(&mut interpreter(Contiguity::Exact, 4), &ddl).unwrap();
    assert!(matches!(&events[1], BinlogEvent::Terminator(t) if t.end == GroupEnd::Standalone));
}

#[test]
fn an_artificial_rotate_sets_the_position_and_a_real_one_is_reported() {
    let rotate = |name: &str| [4_u64.to_le_bytes().as_slice(), name.as_bytes()].concat();
    let mut interpreter = interpreter(Contiguity::Gaps, 4);
    let first = interpreter.interpret(read(&raw(4, 0x20, &rotate("mysql-bin.000007"), 0))).unwrap();
    assert!(matches!(first, BinlogEvent::Passed));
    assert_eq!(interpreter.position().to_string(), "mysql-bin.000007:4");
    let real = interpreter.interpret(read(&raw(4, 0, &rotate("mysql-bin.000008"), 777))).unwrap();
    assert!(matches!(real, BinlogEvent::Rotated));
    assert_eq!(interpreter.position().to_string(), "mysql-bin.000008:4");
}

/// The beginning of a zstd frame with a window of `1 << (10 + log)` bytes; what follows does not matter here.
fn frame(log: u8) -> Vec<u8> {
    vec![0x28, 0xb5, 0x2f, 0xfd, 0, log << 3]
}

/// A payload event that declares `declared` bytes.
fn payload_of(declared: u64, content: &[u8]) -> Vec<u8> {
    let mut body = vec![2, 1, 0, 3, 9, 254];
    body.extend_from_slice(&declared.to_le_bytes());
    body.extend_from_slice(&[1, 1, u8::try_from(content.len()).unwrap(), 0]);
    body.extend_from_slice(content);
    body
}

fn payload(declared: u64) -> Vec<u8> {
    payload_of(declared, &frame(11))
}

#[test]
fn a_payload_that_does_not_add_up_stops_the_relay() {
    let most = 6 * (1 << 15);
    for claim in [
        payload(0),
        payload(most + 1),
        payload(u64::MAX),
        payload_of(300, &frame(18)),
        payload_of(300, b"no frame"),
        payload_of(300, b""),
    ] {
        let refused = lay(&mut interpreter(Contiguity::Exact, 4), &[(GTID, 0, gtid(5)), (40, 0, claim.clone())]);
        assert_eq!(refused.unwrap_err().code(), Code::CompressedPayload, "{claim:?}");
    }
    lay(&mut interpreter(Contiguity::Exact, 4), &[(GTID, 0, gtid(5)), (40, 0, payload(most))]).unwrap();
    // It was not decompressed: the next outer event follows at once.
    for next in [(GTID, 0, gtid(6)), (27, 0, FILE.as_bytes().to_vec()), (QUERY, 0, query("", &"x".repeat(500)))] {
        let mut interpreter = interpreter(Contiguity::Exact, 4);
        lay(&mut interpreter, &[(GTID, 0, gtid(5)), (40, 0, payload(300))]).unwrap();
        let refused = lay(&mut interpreter, &[next]).unwrap_err();
        assert_eq!(refused.code(), Code::CompressedPayload);
    }
    // It goes on behind its terminator.
    let events = [(GTID, 0, gtid(5)), (40, 0, payload(300)), (XID, 0, vec![1; 8])];
    let refused = lay(&mut interpreter(Contiguity::Exact, 4), &events).unwrap_err();
    assert_eq!(refused.code(), Code::CompressedPayload);
    // It ends without a terminator.
    let mut interpreter = interpreter(Contiguity::Exact, 4);
    let begin = query("shop", "BEGIN");
    lay(&mut interpreter, &[(GTID, 0, gtid(5)), (40, 0, payload(19 + begin.len() as u64 + 4))]).unwrap();
    assert_eq!(lay(&mut interpreter, &[(QUERY, 0, begin)]).unwrap_err().code(), Code::CompressedPayload);
}

#[test]
fn a_payload_is_one_group_whose_terminator_is_the_outer_event() {
    let mut interpreter = interpreter(Contiguity::Exact, 4);
    let begin = query("shop", "BEGIN");
    let size = (19 + begin.len() as u64 + 4) + (19 + 8 + 4);
    lay(&mut interpreter, &[(GTID, 0, gtid(5)), (40, 0, payload(size))]).unwrap();
    let end = interpreter.position().clone();
    let inner = lay(&mut interpreter, &[(QUERY, 0, begin), (XID, 0, vec![1; 8])]).unwrap();
    let BinlogEvent::Terminator(terminator) = &inner[1] else { panic!("{inner:?}") };
    assert_eq!(interpreter.position(), &end);
    assert_eq!((terminator.fingerprint.event_type, terminator.fingerprint.end), (40, end.offset));
}

const MARIADB_GTID: u8 = 162;
const WRITE_ROWS_V1: u8 = 23;

/// Body of a MariaDB's GTID event.
fn domain_gtid(domain: u32, sequence: u64, flags: u8) -> Vec<u8> {
    [&sequence.to_le_bytes()[..], &domain.to_le_bytes(), &[flags], &[0; 6]].concat()
}

fn describe(events: &[BinlogEvent]) -> Vec<String> {
    let describe = |event: &BinlogEvent| match event {
        BinlogEvent::GroupStart(start) => start.gtid.as_ref().map(ToString::to_string).unwrap_or_default(),
        BinlogEvent::Terminator(end) => {
            format!("{:?} after {}", end.end, end.fingerprint.previous.as_ref().map_or("-".into(), ToString::to_string))
        }
        other => format!("{other:?}").split(['(', ' ']).next().unwrap_or_default().to_owned(),
    };
    events.iter().map(describe).collect()
}

#[test]
fn on_mariadb_a_gtid_begins_a_transaction_or_stands_for_one_statement() {
    let behind: GtidState = "0-1-4".parse().unwrap();
    let mut interpreter = interpreter(Contiguity::Gaps, 4);
    interpreter.stand_behind(&behind);
    let events = lay(
        &mut interpreter,
        &[
            (MARIADB_GTID, 0, domain_gtid(0, 5, 4)),
            (160, 0, b"INSERT".to_vec()),
            (XID, 0, vec![1; 8]),
            (MARIADB_GTID, 0, domain_gtid(7, 1, 1 | 32)),
            (QUERY, 0, query("shop", "ALTER TABLE x ADD y INT")),
            // CREATE TABLE … SELECT: a statement in the outbox's schema, and then rows.
            (MARIADB_GTID, 0, domain_gtid(0, 6, 4 | 32)),
            (QUERY, 0, query("shop", "CREATE TABLE y (a INT)")),
            (XID, 0, vec![1; 8]),
            (MARIADB_GTID, 0, domain_gtid(0, 7, 0)),
            (QUERY, 0, query("shop", "INSERT INTO outbox VALUES (1)")),
            (QUERY, 0, query("shop", "COMMIT")),
        ],
    )
    .unwrap();
    let expected = [
        "0-1-5",
        "Passed",
        "Commit after 0-1-4",
        "7-1-1",
        "Standalone after -",
        "0-1-6",
        "Passed",
        "Commit after 0-1-5",
        "0-1-7",
        "Statement",
        "Commit after 0-1-6",
    ];
    assert_eq!(describe(&events), expected);
    let refused =
        lay(&mut interpreter, &[(MARIADB_GTID, 0, domain_gtid(0, 8, 4)), (MARIADB_GTID, 0, domain_gtid(0, 9, 4))]);
    assert_eq!(refused.unwrap_err().code(), Code::EventUndecodable);
}

/// MariaDB 11.4 does not say where an event inside a group ends.
#[test]
fn an_event_without_a_position_ends_where_its_size_says() {
    let mut interpreter = interpreter(Contiguity::WholeGroups, 4);
    let mut event = |kind: u8, data: &[u8], end: u32| interpreter.interpret(read(&raw(kind, 0, data, end))).unwrap();
    event(MARIADB_GTID, &domain_gtid(0, 5, 4), 4 + 42);
    event(QUERY, &query("", "SAVEPOINT `x`"), 0);
    let size = 23 + query("", "SAVEPOINT `x`").len() as u64;
    let BinlogEvent::Terminator(end) = event(XID, &[1; 8], 0) else { panic!() };
    assert_eq!((end.fingerprint.start, end.fingerprint.end), (46 + size, 46 + size + 31));
    assert_eq!(interpreter.position(), &at(46 + size + 31));
}

#[test]
fn compressed_rows_of_other_tables_are_not_touched_and_broken_ones_of_an_outbox_stop_the_relay() {
    let mut of_other = interpreter(Contiguity::Gaps, 4);
    let rows = [7, 0, 0, 0, 0, 0, 1, 0, 1, 1, 0x81, 9, 9].to_vec();
    let events = lay(&mut of_other, &[(MARIADB_GTID, 0, domain_gtid(0, 5, 4)), (166, 0, rows.clone())]).unwrap();
    assert_eq!(describe(&events), ["0-1-5", "Passed"]);
    let mut of_outbox = interpreter(Contiguity::Gaps, 4);
    let map = [&[7, 0, 0, 0, 0, 0, 1, 0, 4][..], b"shop\0\x06outbox\0", &[1, 3, 0, 0]].concat();
    let group = [(MARIADB_GTID, 0, domain_gtid(0, 5, 4)), (19, 0, map)];
    lay(&mut of_outbox, &group).unwrap();
    assert_eq!(lay(&mut of_outbox, &[(166, 0, rows)]).unwrap_err().code(), Code::CompressedPayload);
    let mut plain = interpreter(Contiguity::Gaps, 4);
    lay(&mut plain, &group).unwrap();
    assert_eq!(
        describe(&lay(&mut plain, &[(WRITE_ROWS_V1, 0, vec![7, 0, 0, 0, 0, 0, 1, 0, 1, 1])]).unwrap()),
        ["Rows"]
    );
}

/// MariaDB gives its first event a checksum before it has said that it will.
#[test]
fn the_first_file_name_is_read_with_and_without_a_checksum_behind_it() {
    use mysql_async::binlog::BinlogVersion;
    use mysql_async::binlog::events::FormatDescriptionEvent;
    let silent = FormatDescriptionEvent::new(BinlogVersion::Version4);
    let body = [&77_u64.to_le_bytes()[..], b"mysql-bin.000009"].concat();
    let with = raw(4, 0x20, &body, 0);
    let mut without = with[..with.len() - 4].to_vec();
    without[9] -= 4;
    for bytes in [with, without] {
        let mut interpreter = interpreter(Contiguity::Gaps, 4);
        interpreter.interpret(Event::read(&silent, bytes.as_slice()).unwrap()).unwrap();
        assert_eq!(interpreter.position().to_string(), "mysql-bin.000009:77");
    }
}

/// The body of a format description; `created` is 0 but in the first file of a server's life.
fn format(created: u32) -> Vec<u8> {
    let mut body = b"\x04\x009.7.0".to_vec();
    body.resize(52, 0);
    body.extend_from_slice(&created.to_le_bytes());
    body.push(19);
    // Lengths of the headers of 40 types, then CRC32.
    body.extend_from_slice(&[8; 40]);
    body.push(1);
    body
}

#[test]
fn a_file_begins_with_its_head_unless_that_is_made_up() {
    let head = |interpreter: &mut Interpreter, end| interpreter.interpret(read(&raw(15, 0, &format(0), end))).unwrap();
    let length = u32::try_from(19 + format(0).len() + 4).unwrap();
    let mut at_head = interpreter(Contiguity::Exact, 4);
    let BinlogEvent::FileHead(found) = head(&mut at_head, 4 + length) else { panic!("no head") };
    assert_eq!((found.start, found.end, found.gtid.is_none()), (4, u64::from(4 + length), true));
    assert!(found.is_file_head());
    let mut inside = interpreter(Contiguity::Exact, 500);
    assert!(matches!(head(&mut inside, 0), BinlogEvent::Passed));
    assert!(matches!(head(&mut interpreter(Contiguity::Gaps, 4), 0), BinlogEvent::Passed));
}

#[test]
fn a_group_is_lost_with_the_server_if_the_next_file_says_so() {
    let next = [8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0];
    let group = |number: u8| {
        let mut body = next;
        body[0] = number;
        (162, 0, body.to_vec())
    };
    let lost = |created| {
        let mut interpreter = interpreter(Contiguity::Gaps, 4);
        lay(&mut interpreter, &[group(7), (XID, 0, vec![1; 8]), group(8)]).unwrap();
        let rotate = [4_u64.to_le_bytes().as_slice(), b"mysql-bin.000002"].concat();
        interpreter.interpret(read(&raw(4, 0x20, &rotate, 0))).unwrap();
        lay(&mut interpreter, &[(15, 0, format(created))]).map(|_| interpreter)
    };
    assert_eq!(lost(0).unwrap_err().code(), Code::EventUndecodable);
    let mut interpreter = lost(1_700_000_000).unwrap();
    assert!(!interpreter.in_group());
    let events = lay(&mut interpreter, &[group(8), (XID, 0, vec![1; 8])]).unwrap();
    let BinlogEvent::Terminator(end) = &events[1] else { panic!("{events:?}") };
    let gtid = |gtid: &Option<Gtid>| gtid.as_ref().map(ToString::to_string);
    assert_eq!(gtid(&end.fingerprint.gtid).unwrap(), "0-1-8");
    assert_eq!(gtid(&end.fingerprint.previous).unwrap(), "0-1-7", "the lost group's number is given again");
}
