use super::*;
use crate::binlog::testing::{file_head, prepared, xid};
use crate::position::{Flavour, Gtid};

fn owner(instance: &str) -> Owner {
    owner_at("", instance)
}

fn owner_at(place: &str, instance: &str) -> Owner {
    Owner {
        instance: instance.into(),
        host: "db-relay-1".into(),
        pid: 4711,
        incarnation: 2,
        started_at: 1_700_000_000,
        place: place.into(),
    }
}

pub(super) fn gtid(text: &str) -> Gtid {
    text.parse().unwrap()
}

pub(super) fn fingerprint(start: u64, gtid_text: &str) -> Fingerprint {
    Fingerprint {
        file: "mysql-bin.000031".into(),
        start,
        end: start + 31,
        event_type: 16,
        timestamp: 1_700_000_001,
        server_id: 1,
        size: 31,
        crc32: 0x5fb4_928f,
        gtid: Some(gtid(gtid_text)),
        previous: None,
    }
}

pub(crate) fn checkpoint() -> Checkpoint {
    Checkpoint {
        relay: "orders".into(),
        owner: owner("7d7f4b36-9d5c-4c53-9d4e-0e6a3f1f0001"),
        taken_over_from: Some(owner("7d7f4b36-9d5c-4c53-9d4e-0e6a3f1f0000")),
        replaced: Vec::new(),
        sequence: 41,
        previous: 3_405_691_582,
        cluster_id: "5L6g3nShT-eMCtK--X86sw".into(),
        source: SourceIdentity {
            flavour: Flavour::Mysql,
            server_uuid: "37c4df8a-e6bc-11f1-b392-02fc00000001".into(),
            server_version: "9.7.4".into(),
        },
        position: FilePosition { file: "mysql-bin.000031".into(), offset: 5_000_000_000 },
        executed: Some(
            "37c4df8a-e6bc-11f1-b392-02fc00000001:1-7:9,37c4df8a-e6bc-11f1-b392-02fc00000001:blue:1-3".parse().unwrap(),
        ),
        terminator: Some(fingerprint(4_999_999_969, "37c4df8a-e6bc-11f1-b392-02fc00000001:9")),
        xa_pending: Vec::new(),
        begun: None,
        committed_at_us: 1_700_000_001_123_456,
        counters: Counters { groups: 12, records: 34 },
        config: "0123456789abcdef".into(),
    }
}

fn delta(from: u64, to: u64, gtids: &str) -> CheckpointDelta {
    CheckpointDelta {
        from: Place::between(from),
        to: Place::between(to),
        gtids: Some(gtids.parse().unwrap()),
        end: FilePosition { file: "mysql-bin.000032".into(), offset: 200 },
        terminator: fingerprint(169, "37c4df8a-e6bc-11f1-b392-02fc00000001:10"),
        xa: Vec::new(),
        committed_at_us: 1_700_000_002_000_000,
        records: 5,
        begun: None,
    }
}

/// Never edit a golden file: it is what a released version has stored.
#[test]
fn format_1_stays_readable() {
    let golden = include_bytes!("golden/format-1.json");
    let (read, id) = codec::decode(golden).unwrap();
    assert_eq!(read, checkpoint());
    assert_eq!(id.sequence, 41);
    let (written, _) = codec::encode(&read).unwrap();
    assert_eq!(String::from_utf8(written).unwrap(), String::from_utf8_lossy(golden).trim_end());
}

/// With undecided distributed transactions: what a reader of format 1 would lose.
fn pending() -> Checkpoint {
    let mut gtid_less = prepared(4, false);
    gtid_less.gtid = None;
    Checkpoint { xa_pending: vec![prepared(3, true), gtid_less], ..checkpoint() }
}

#[test]
fn format_2_stays_readable() {
    let golden = include_bytes!("golden/format-2.json");
    let (read, _) = codec::decode(golden).unwrap();
    assert_eq!(read, pending());
    let (written, _) = codec::encode(&read).unwrap();
    assert_eq!(String::from_utf8(written).unwrap(), String::from_utf8_lossy(golden).trim_end());
}

/// By file position, at the head of a file: what a reader of format 2 would look for among the terminators.
#[test]
fn format_3_stays_readable() {
    let golden = include_bytes!("golden/format-3.json");
    let (read, _) = codec::decode(golden).unwrap();
    let terminator = Some(file_head("mysql-bin.000031", 9));
    let position = FilePosition { file: "mysql-bin.000031".into(), offset: 126 };
    assert_eq!(read, Checkpoint { executed: None, position, terminator, ..checkpoint() });
    let (written, _) = codec::encode(&read).unwrap();
    assert_eq!(String::from_utf8(written).unwrap(), String::from_utf8_lossy(golden).trim_end());
}

/// A step over no group moves the place, and nothing else.
#[test]
fn the_head_of_a_file_moves_the_checkpoint_alone_and_behind_groups() {
    let id = CheckpointId { sequence: 41, crc32: 7 };
    let head = file_head("mysql-bin.000033", 9);
    let end = FilePosition { file: "mysql-bin.000033".into(), offset: 126 };
    let at_head = |from| CheckpointDelta {
        gtids: None,
        end: end.clone(),
        terminator: head.clone(),
        records: 0,
        ..delta(from, from, "")
    };
    let before = checkpoint();
    let moved = before.advance(&id, &at_head(12)).unwrap();
    assert_eq!((&moved.position, moved.terminator.as_ref()), (&end, Some(&head)));
    assert_eq!((moved.counters.clone(), moved.committed_at_us), (before.counters.clone(), before.committed_at_us));
    let mut joined = delta(12, 14, "");
    joined.join(at_head(14)).unwrap();
    assert_eq!((joined.to, joined.records, &joined.end, &joined.terminator), (Place::between(14), 5, &end, &head));
    let moved = before.advance(&id, &joined).unwrap();
    assert_eq!((moved.position, moved.counters.groups), (end.clone(), 14));
    let mut first = at_head(12);
    first.join(delta(12, 14, "")).unwrap();
    assert_eq!(first.terminator, delta(12, 14, "").terminator);
}

/// Within a source transaction that is split: what a reader of format 2 would publish twice.
fn split() -> Checkpoint {
    let begun = Begun {
        start: 5_000_000_000,
        terminator: fingerprint(5_000_009_000, "37c4df8a-e6bc-11f1-b392-02fc00000001:10"),
        published: 300,
        records: 7_000,
        selection: "fedcba9876543210".into(),
    };
    Checkpoint { begun: Some(Box::new(begun)), ..pending() }
}

#[test]
fn format_4_stays_readable() {
    let golden = include_bytes!("golden/format-4.json");
    let (read, _) = codec::decode(golden).unwrap();
    assert_eq!(read, split());
    let (written, _) = codec::encode(&read).unwrap();
    assert_eq!(String::from_utf8(written).unwrap(), String::from_utf8_lossy(golden).trim_end());
}

/// A step from `from` records to `to` of the group behind group 12.
fn within(from: u64, to: u64) -> CheckpointDelta {
    let mut step = delta(12, 12, "");
    (step.from.records, step.to.records, step.records) = (from, to, to - from);
    step.begun = Some(Box::new(Begun { published: to, ..*split().begun.unwrap() }));
    step
}

#[test]
fn i1_i2_a_step_within_a_group_moves_no_position() {
    let (before, id) = (checkpoint(), CheckpointId { sequence: 41, crc32: 7 });
    let inside = before.advance(&id, &within(0, 300)).unwrap();
    assert_eq!(
        (&inside.position, &inside.executed, &inside.terminator),
        (&before.position, &before.executed, &before.terminator)
    );
    assert_eq!((inside.place(), inside.counters.records), (Place { groups: 12, records: 300 }, 334));
    assert_eq!(inside.processed().begun, inside.begun);
    // From where the last one ended, in records too.
    for wrong in [within(0, 400), within(200, 400), delta(12, 13, "")] {
        assert_eq!(inside.advance(&id, &wrong).unwrap_err().code(), Code::Internal);
    }
    let mut step = within(300, 400);
    let mut last = delta(12, 14, "37c4df8a-e6bc-11f1-b392-02fc00000001:10");
    last.from.records = 400;
    step.join(last).unwrap();
    let after = inside.advance(&id, &step).unwrap();
    assert_eq!((after.place(), after.begun.as_ref(), after.counters.records), (Place::between(14), None, 439));
    assert_eq!(after.position.to_string(), "mysql-bin.000032:200");
    // No checkpoint inside a group that is not split.
    let whole = CheckpointDelta { begun: None, ..within(0, 300) };
    assert_eq!(before.advance(&id, &whole).unwrap_err().code(), Code::Internal);
    // The head of a file, then a part of the group behind it.
    let head = file_head("mysql-bin.000032", 9);
    let end = FilePosition { file: "mysql-bin.000032".into(), offset: 126 };
    let mut step = CheckpointDelta { end: end.clone(), terminator: head.clone(), records: 0, ..delta(12, 12, "") };
    step.join(within(0, 300)).unwrap();
    let inside = before.advance(&id, &step).unwrap();
    assert_eq!((inside.position.clone(), inside.terminator.clone()), (end.clone(), Some(head)));
    assert_eq!((inside.place(), inside.committed_at_us), (Place { groups: 12, records: 300 }, before.committed_at_us));
    assert_eq!(inside.advance(&id, &within(300, 400)).unwrap().position, end);
    // Whole groups, then a part of the next one.
    let mut step = delta(11, 12, "37c4df8a-e6bc-11f1-b392-02fc00000001:8");
    step.join(within(0, 300)).unwrap();
    assert_eq!(
        (step.to, step.begun.as_ref().map(|begun| begun.published)),
        (Place { groups: 12, records: 300 }, Some(300))
    );
    assert_eq!((step.end.to_string().as_str(), step.records), ("mysql-bin.000032:200", 305));
}

#[test]
fn steps_of_distributed_transactions_change_what_is_pending() {
    let before = pending();
    let (_, id) = codec::encode(&before).unwrap();
    let mut step = delta(12, 15, "");
    step.xa = vec![XaStep::Prepared(prepared(5, true)), XaStep::Decided(xid(3))];
    let mut next = delta(15, 16, "");
    next.xa = vec![XaStep::Decided(xid(5)), XaStep::Prepared(prepared(6, true))];
    step.join(next).unwrap();
    assert_eq!(step.xa, [XaStep::Decided(xid(3)), XaStep::Prepared(prepared(6, true))]);
    let after = before.advance(&id, &step).unwrap();
    let pending: Vec<_> = after.xa_pending.iter().map(|prepared| prepared.xid.clone()).collect();
    assert_eq!(pending, [xid(4), xid(6)]);
    assert_eq!(after.processed().prepared, after.xa_pending);
}

#[test]
fn optional_parts_may_be_absent() {
    let mut bare = checkpoint();
    (bare.taken_over_from, bare.executed, bare.terminator) = (None, None, None);
    let (bytes, id) = codec::encode(&bare).unwrap();
    assert_eq!(codec::decode(&bytes).unwrap(), (bare, id));
}

#[test]
fn a_newer_format_is_refused_and_damage_is_named() {
    let newer = codec::decode(br#"{"format": 5, "whatever": true}"#).unwrap_err();
    assert_eq!(newer.code(), Code::CheckpointUnreadable);
    assert!(newer.message().contains("format 5"), "{newer}");
    for damaged in [b"".as_slice(), b"{}", b"{\"format\":1}", b"\xff\xfe", b"{\"format\":1,"] {
        assert_eq!(codec::decode(damaged).unwrap_err().code(), Code::CheckpointUnreadable);
    }
}

#[test]
fn i1_i2_a_checkpoint_moves_only_on_from_where_it_ended() {
    let before = checkpoint();
    let (_, id) = codec::encode(&before).unwrap();
    let after = before.advance(&id, &delta(12, 15, "37c4df8a-e6bc-11f1-b392-02fc00000001:8:10")).unwrap();
    assert_eq!(after.sequence, 42);
    assert_eq!(after.previous, id.crc32);
    assert_eq!(after.counters, Counters { groups: 15, records: 39 });
    assert_eq!(after.position.to_string(), "mysql-bin.000032:200");
    assert_eq!(
        after.executed.unwrap().to_string(),
        "37c4df8a-e6bc-11f1-b392-02fc00000001:1-10,37c4df8a-e6bc-11f1-b392-02fc00000001:blue:1-3"
            .replace(",37c4df8a-e6bc-11f1-b392-02fc00000001:blue", ":blue")
    );
    for wrong in [delta(11, 15, ""), delta(13, 15, "")] {
        assert_eq!(before.advance(&id, &wrong).unwrap_err().code(), Code::Internal);
    }
}

#[test]
fn i2_steps_join_only_end_to_end() {
    let mut step = delta(12, 15, "37c4df8a-e6bc-11f1-b392-02fc00000001:8");
    step.join(delta(15, 16, "37c4df8a-e6bc-11f1-b392-02fc00000001:10")).unwrap();
    assert_eq!((step.from, step.to, step.records), (Place::between(12), Place::between(16), 10));
    assert_eq!(step.gtids.as_ref().unwrap().to_string(), "37c4df8a-e6bc-11f1-b392-02fc00000001:8:10");
    assert_eq!(step.join(delta(17, 18, "")).unwrap_err().code(), Code::Internal);
}

#[test]
fn a_take_over_keeps_the_position_and_names_the_predecessor() {
    let before = checkpoint();
    let (_, id) = codec::encode(&before).unwrap();
    let after = before.taken_over(&id, owner("new"));
    assert_eq!(after.taken_over_from, Some(before.owner.clone()));
    assert_eq!(
        (after.position, after.executed, after.sequence),
        (before.position.clone(), before.executed.clone(), 42)
    );
    let again = before.taken_over(&id, before.owner.clone());
    assert_eq!(again.taken_over_from, before.taken_over_from);
}

proptest::proptest! {
    #[test]
    fn decoding_never_panics(bytes: Vec<u8>) {
        let _ = codec::decode(&bytes);
    }
}

#[test]
fn a_mariadb_checkpoint_keeps_positions_of_domains() {
    let mut mariadb = checkpoint();
    mariadb.source =
        SourceIdentity { flavour: Flavour::Mariadb, server_uuid: "server_id 1".into(), server_version: "10.11".into() };
    for executed in ["", "0-1-5,7-2-9"] {
        mariadb.executed = Some(GtidState::Mariadb(executed.parse().unwrap()));
        mariadb.terminator = Some(Fingerprint { previous: Some(gtid("0-2-4")), ..fingerprint(4, "0-1-5") });
        let (bytes, _) = codec::encode(&mariadb).unwrap();
        assert_eq!(codec::decode(&bytes).unwrap().0, mariadb);
    }
    let step = CheckpointDelta { gtids: Some("7-1-1,9-1-1".parse().unwrap()), ..delta(12, 14, "0-1-1") };
    let id = CheckpointId { sequence: 41, crc32: 7 };
    assert_eq!(mariadb.advance(&id, &step).unwrap().executed.unwrap().to_string(), "0-1-5,7-1-1,9-1-1");
    assert!(mariadb.advance(&id, &delta(12, 14, "37c4df8a-e6bc-11f1-b392-02fc00000001:1")).is_err());
}

#[test]
fn a_checkpoint_names_the_places_that_were_replaced_and_forgets_one_that_takes_over() {
    let id = CheckpointId { sequence: 41, crc32: 7 };
    let over = |before: &Checkpoint, place: &str, instance: &str| before.taken_over(&id, owner_at(place, instance));
    let on_a = over(&checkpoint(), "a", "1");
    assert!(on_a.replaced.is_empty(), "an older version names no place");
    let restarted = over(&on_a, "a", "2");
    assert!(restarted.replaced.is_empty(), "a restart replaces nobody");
    let on_b = over(&restarted, "b", "3");
    assert!(on_b.has_replaced("a") && !on_b.has_replaced("b"));
    let (bytes, _) = codec::encode(&on_b).unwrap();
    assert_eq!(codec::decode(&bytes).unwrap().0, on_b);
    let on_c = over(&over(&on_b, "b", "4"), "c", "5");
    assert_eq!(on_c.replaced, ["a", "b"]);
    assert_eq!(over(&on_c, "a", "6").replaced, ["b", "c"]);
    let many = (0..20).fold(on_c, |before, place| over(&before, &place.to_string(), &format!("instance {place}")));
    assert_eq!((many.replaced.len(), many.replaced.last().unwrap().as_str()), (REPLACED, "18"));
}
