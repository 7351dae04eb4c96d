use std::sync::Arc;

use super::*;
use crate::binlog::testing::{at, file_head, fingerprint};
use crate::outbox::Large;
use crate::position::GroupPosition;

fn transaction(number: u64) -> SourceTransaction {
    let fingerprint = fingerprint(number);
    SourceTransaction {
        group: GroupPosition::File(at(fingerprint.end)),
        gtid: fingerprint.gtid.clone(),
        end: at(fingerprint.end),
        fingerprint,
        committed_at_us: i64::try_from(number).unwrap(),
        rows: Vec::new(),
        xa: None,
    }
}

#[test]
fn a_batch_carries_the_step_over_exactly_its_groups() {
    let mut batcher = Batcher::new(Place::between(10));
    assert!(batcher.close().is_none());
    batcher.add(&transaction(1)).unwrap();
    batcher.add(&transaction(2)).unwrap();
    let first = batcher.close().unwrap().delta;
    assert_eq!((first.from, first.to, first.records), (Place::between(10), Place::between(12), 0));
    assert!(first.gtids.unwrap().to_string().ends_with(":1-2"));
    assert_eq!((first.end, first.terminator), (at(300), fingerprint(2)));
    assert_eq!(first.committed_at_us, 2);
    batcher.add(&transaction(3)).unwrap();
    let second = batcher.close().unwrap().delta;
    assert_eq!((second.from, second.to), (Place::between(12), Place::between(13)));
    assert!(second.gtids.unwrap().to_string().ends_with(":3"));
    assert!(!batcher.has_records() && !batcher.is_full());
}

#[test]
fn a_beat_stays_where_the_last_batch_ended() {
    let mut batcher = Batcher::new(Place::between(10));
    batcher.beat();
    assert!(batcher.close().is_none(), "nobody asked for beats");
    batcher.rest_at(&Checkpoint { terminator: Some(fingerprint(1)), ..crate::checkpoint::tests::checkpoint() });
    let beat = |batcher: &mut Batcher| {
        batcher.beat();
        batcher.close().unwrap().delta
    };
    let first = beat(&mut batcher);
    assert_eq!((first.from.groups, first.to.groups, first.records, first.gtids), (10, 10, 0, None));
    assert_eq!(first.terminator, fingerprint(1));
    assert_eq!(beat(&mut batcher).terminator, fingerprint(1), "one sign of life after another");
    batcher.add(&transaction(2)).unwrap();
    assert_eq!(beat(&mut batcher).to.groups, 11, "a group is sign enough");
    let last = beat(&mut batcher);
    assert_eq!((last.from.groups, last.to.groups, last.end, last.terminator), (11, 11, at(300), fingerprint(2)));
}

#[test]
fn a_part_moves_no_position_and_says_how_far_its_group_is_published() {
    let large = |split| Arc::new(Large::new(3, 7, split));
    let part = |before, large: &Arc<Large>| Part {
        rows: Vec::new(),
        committed_at_us: 5,
        before,
        records: 2,
        published: 0,
        large: Arc::clone(large),
    };
    for split in [false, true] {
        let large = large(split);
        let mut batcher = Batcher::new(Place { groups: 10, records: 1 });
        batcher.add_part(&part(1, &large));
        batcher.add_part(&part(3, &large));
        let open = batcher.close().unwrap();
        assert!(open.open);
        assert_eq!((open.delta.from.records, open.delta.to), (1, Place { groups: 10, records: 5 }));
        assert_eq!(open.delta.begun, large.begun(5));
        assert_eq!(open.delta.begun.is_some(), split);
        batcher.add_part(&part(5, &large));
        batcher.add(&transaction(3)).unwrap();
        let last = batcher.close().unwrap();
        assert_eq!((last.open, last.delta.from.records, last.delta.to), (false, 5, Place::between(11)));
        assert_eq!(last.delta.begun, None);
    }
}

#[test]
fn a_file_that_begins_is_a_step_over_nothing_or_ends_the_one_before() {
    let (mut batcher, head) = (Batcher::new(Place::between(10)), file_head("mysql-bin.000002", 0));
    let end = FilePosition { file: "mysql-bin.000002".into(), offset: 126 };
    batcher.begin_file(&head);
    let idle = batcher.close().unwrap().delta;
    assert_eq!((idle.from, idle.to, idle.records), (Place::between(10), Place::between(10), 0));
    assert_eq!((&idle.end, &idle.terminator), (&end, &head));
    batcher.add(&transaction(1)).unwrap();
    batcher.begin_file(&head);
    let busy = batcher.close().unwrap().delta;
    assert_eq!((busy.from, busy.to, busy.committed_at_us), (Place::between(10), Place::between(11), 1));
    assert_eq!((busy.end, busy.terminator), (end, head.clone()));
    batcher.begin_file(&head);
    batcher.add(&transaction(2)).unwrap();
    assert_eq!(batcher.close().unwrap().delta.terminator, fingerprint(2));
    // In front of a group that is published in part, it stays so.
    let begun = Large::new(3, 9, true).begun(4);
    let mut batcher = Batcher::new(Place { groups: 10, records: 4 }).within(begun.clone());
    batcher.begin_file(&head);
    assert_eq!(batcher.close().unwrap().delta.begun, begun);
}
