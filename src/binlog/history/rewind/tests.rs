use super::*;
use crate::binlog::event::{GroupEnd, Terminator};
use crate::binlog::testing::{FILE, file_head, fingerprint, group_start, prepared, terminator};

fn rewind(expected: Fingerprint) -> Rewind {
    Rewind::new(expected, Vec::new())
}

fn by_file(number: u64, held: &[u64]) -> Rewind {
    let expected = Fingerprint { gtid: None, ..fingerprint(number) };
    Rewind::new(expected, held.iter().map(|number| prepared(*number, true)).collect())
}

const DROPPED: Rewound = Rewound { verified: false, held: false };
const HELD: Rewound = Rewound { verified: false, held: true };
const VERIFIED: Rewound = Rewound { verified: true, held: false };

/// What becomes of the start and the end of a group.
fn group(rewind: &mut Rewind, number: u64) -> Result<[Rewound; 2]> {
    Ok([rewind.check(&group_start(number))?, rewind.check(&terminator(number, GroupEnd::Commit))?])
}

#[test]
fn the_rewound_group_is_dropped_and_verified() {
    let mut rewind = rewind(fingerprint(9));
    for event in [BinlogEvent::Passed, group_start(9), BinlogEvent::Begin, BinlogEvent::Heartbeat] {
        assert_eq!(rewind.check(&event).unwrap(), DROPPED);
    }
    assert_eq!(rewind.check(&terminator(9, GroupEnd::Commit)).unwrap(), VERIFIED);
}

#[test]
fn any_difference_in_the_terminator_is_another_history() {
    let differences: [fn(&mut Fingerprint); 8] = [
        |f| f.file = "mysql-bin.000002".into(),
        |f| f.start += 1,
        |f| f.end += 1,
        |f| f.event_type = 2,
        |f| f.timestamp += 1,
        |f| f.server_id += 1,
        |f| f.size += 1,
        |f| f.crc32 ^= 1,
    ];
    for change in differences {
        let mut expected = fingerprint(9);
        change(&mut expected);
        assert_eq!(group(&mut rewind(expected), 9).unwrap_err().code(), Code::HistoryChanged);
    }
    let other_group = rewind(fingerprint(9)).check(&group_start(10)).unwrap_err();
    assert_eq!(other_group.code(), Code::HistoryChanged);
}

#[test]
fn with_gtids_prepared_groups_come_first_and_are_handed_on() {
    let mut rewind = Rewind::new(fingerprint(9), vec![prepared(3, true), prepared(9, true)]);
    assert_eq!(group(&mut rewind, 3).unwrap(), [HELD, HELD]);
    assert_eq!(rewind.check(&BinlogEvent::Passed).unwrap(), DROPPED);
    assert_eq!(rewind.clone().check(&group_start(4)).unwrap_err().code(), Code::HistoryChanged);
    assert_eq!(group(&mut rewind, 9).unwrap(), [HELD, Rewound { verified: true, held: true }]);
}

#[test]
fn by_position_everything_up_to_the_last_group_is_dropped_but_prepared_groups() {
    let mut rewind = by_file(9, &[3]);
    assert_eq!(group(&mut rewind, 3).unwrap(), [HELD, HELD]);
    assert_eq!(group(&mut rewind, 4).unwrap(), [DROPPED, DROPPED]);
    assert_eq!(group(&mut rewind.clone(), 9).unwrap(), [DROPPED, VERIFIED]);
    // The place is passed without a match: too far in the file, or in the next one.
    assert_eq!(group(&mut rewind.clone(), 10).unwrap_err().code(), Code::HistoryChanged);
    let elsewhere = Fingerprint { file: "mysql-bin.000002".into(), ..fingerprint(1) };
    let elsewhere =
        BinlogEvent::Terminator(Terminator { end: GroupEnd::Commit, fingerprint: elsewhere, emptied: Vec::new() });
    assert_eq!(rewind.check(&elsewhere).unwrap_err().code(), Code::HistoryChanged);
    assert_eq!(by_file(9, &[]).check(&elsewhere).unwrap_err().code(), Code::HistoryChanged);
}

#[test]
fn by_position_a_prepared_group_may_stand_in_an_earlier_file() {
    let expected = Fingerprint { gtid: None, file: "mysql-bin.000002".into(), ..fingerprint(2) };
    let mut rewind = Rewind::new(expected.clone(), vec![prepared(3, true)]);
    assert_eq!(group(&mut rewind, 3).unwrap(), [HELD, HELD]);
    assert_eq!(group(&mut rewind, 7).unwrap(), [DROPPED, DROPPED]);
    let last =
        BinlogEvent::Terminator(Terminator { end: GroupEnd::Commit, fingerprint: expected, emptied: Vec::new() });
    assert_eq!(rewind.check(&last).unwrap(), VERIFIED);
}

#[test]
fn damage_is_another_history_only_by_position_and_if_it_is_met_again() {
    let code = |rewind: &Rewind, code, met_again| rewind.explain(Error::new(code, "x"), met_again).code();
    let by_file = by_file(9, &[]);
    assert_eq!(code(&by_file, Code::EventCorrupt, false), Code::EventCorrupt);
    assert_eq!(code(&by_file, Code::EventCorrupt, true), Code::HistoryChanged);
    assert_eq!(code(&by_file, Code::EventUndecodable, false), Code::HistoryChanged);
    assert_eq!(code(&by_file, Code::SourceLost, true), Code::SourceLost);
    assert_eq!(code(&rewind(fingerprint(9)), Code::EventCorrupt, true), Code::EventCorrupt);
}

#[test]
fn by_position_the_head_of_a_file_is_compared_like_a_terminator() {
    let next = "mysql-bin.000002";
    let head = |file: &str, seconds| BinlogEvent::FileHead(file_head(file, seconds));
    let code = |result: Result<Rewound>| result.unwrap_err().code();
    let at_head = rewind(file_head(next, 7));
    assert_eq!(at_head.clone().check(&head(next, 7)).unwrap(), VERIFIED);
    assert_eq!(code(at_head.clone().check(&head(next, 8))), Code::HistoryChanged);
    assert_eq!(code(group(&mut at_head.clone(), 9).map(|[_, end]| end)), Code::HistoryChanged);
    // Behind prepared groups in an earlier file, whose head is none of its business.
    let mut held = Rewind::new(file_head(next, 7), vec![prepared(3, true)]);
    assert_eq!(held.check(&head(FILE, 1)).unwrap(), DROPPED);
    assert_eq!(group(&mut held, 3).unwrap(), [HELD, HELD]);
    assert_eq!(held.clone().check(&head(next, 7)).unwrap(), VERIFIED);
    assert_eq!(code(held.check(&head(next, 8))), Code::HistoryChanged);
    // A file that ends before the last group's place, though it was reached.
    let mut by_file = by_file(9, &[]);
    assert_eq!(by_file.check(&head(FILE, 1)).unwrap(), DROPPED);
    assert_eq!(code(by_file.check(&head(next, 7))), Code::HistoryChanged);
    // By GTID a dump may begin in any file.
    assert_eq!(rewind(fingerprint(9)).check(&head(next, 7)).unwrap(), DROPPED);
}
