//! Distributed transactions: held from their PREPARE to their decision, or read twice.

use super::*;
use crate::binlog::testing::{fingerprint, prepared};

#[test]
fn i9_prepared_rows_leave_with_the_group_that_commits_them_and_not_if_it_rolls_back() {
    let events = [
        prepare(1, vec![inserted(1), savepoint("a"), inserted(2), rollback_to("a")], 7),
        prepare(2, vec![inserted(3)], 8),
        group(3, vec![inserted(4)], GroupEnd::Commit),
        prepare(4, vec![], 9),
        decision(5, GroupEnd::XaRollback(xid(8))),
        decision(6, GroupEnd::XaCommit(xid(9))),
        decision(7, GroupEnd::XaCommit(xid(7))),
        prepare(8, vec![inserted(5)], 7),
        decision(9, GroupEnd::XaCommit(xid(7))),
        // Prepared before everything that was read.
        decision(10, GroupEnd::XaCommit(xid(99))),
    ];
    let published = marks(events.concat_events()).unwrap();
    assert_eq!(published, [vec![], vec![], vec![4], vec![], vec![], vec![], vec![1], vec![], vec![5], vec![]]);
}

#[test]
fn prepares_and_decisions_are_steps_of_the_checkpoint() {
    let mut transactions = machine();
    let mut steps = Vec::new();
    for event in [prepare(1, vec![inserted(1)], 1), prepare(2, vec![], 2), decision(3, GroupEnd::XaCommit(xid(1)))]
        .concat_events()
    {
        let step = transactions.apply(event, &mut Seen::default()).unwrap();
        if let Some(step) = decided(step).and_then(|decided| decided.xa) {
            steps.push(step);
        }
    }
    let expected = [XaStep::Prepared(prepared(1, true)), XaStep::Prepared(prepared(2, false)), XaStep::Decided(xid(1))];
    assert_eq!(steps, expected);
}

#[test]
fn prepared_groups_that_are_read_again_give_their_rows_but_are_no_news() {
    let undecided = || vec![prepared(1, true), prepared(2, false)];
    let resumed = || {
        Transactions::new(
            [outbox(OnUpdate::Stop)].into(),
            LIMITS,
            Before { prepared: undecided(), ..Before::default() },
        )
    };
    let run = |transactions: &mut Transactions, events: Vec<BinlogEvent>| -> Result<Vec<Vec<u8>>> {
        let mut out = Vec::new();
        for event in events {
            if let Some(decided) = decided(transactions.apply(event, &mut Seen::default())?) {
                out.push(decided.rows.iter().map(|rows| rows.event.data()[0]).collect());
            }
        }
        Ok(out)
    };
    let mut again = resumed();
    assert_eq!(run(&mut again, prepare(1, vec![inserted(5)], 1)).unwrap(), Vec::<Vec<u8>>::new());
    assert_eq!(run(&mut again, decision(10, GroupEnd::XaCommit(xid(2)))).unwrap(), [vec![0; 0]]);
    assert_eq!(run(&mut again, decision(11, GroupEnd::XaCommit(xid(1)))).unwrap(), [vec![5]]);
    // Decided, or another one prepared, before its rows came.
    let unread = run(&mut resumed(), decision(11, GroupEnd::XaCommit(xid(1)))).unwrap_err();
    assert_eq!(unread.code(), Code::EventUndecodable);
    let other = run(&mut resumed(), prepare(1, vec![inserted(5)], 3)).unwrap_err();
    assert_eq!(other.code(), Code::EventUndecodable);
    let twice = run(&mut again, [prepare(20, vec![], 4), prepare(21, vec![], 4)].concat_events()).unwrap_err();
    assert_eq!(twice.code(), Code::EventUndecodable);
}

/// Holds groups up to 100 bytes, and undecided ones up to 150.
const FEW: Limits = Limits { held: 100, prepared: 150, ..LIMITS };

fn reader(limits: Limits, before: Before) -> Transactions {
    Transactions::new([outbox(OnUpdate::Stop)].into(), limits, before)
}

/// Committed at another time than it was prepared.
fn commit(number: u64, id: u64) -> Vec<BinlogEvent> {
    let start = GroupStart { committed_at_us: 9_000_000, ..started(number) };
    vec![BinlogEvent::GroupStart(start), terminator(number, GroupEnd::XaCommit(xid(id)))]
}

fn started(number: u64) -> GroupStart {
    match group_start(number) {
        BinlogEvent::GroupStart(start) => start,
        other => panic!("{other:?}"),
    }
}

/// Of what survives, 20 and 30 rows.
fn inside() -> Vec<BinlogEvent> {
    vec![event(20), savepoint("s"), event(40), rollback_to("s"), event(30)]
}

/// What commits a transaction that group 1 prepared, behind another group.
fn first_reading(limits: Limits) -> Result<Large> {
    let events = [prepare(1, inside(), 7), group(2, vec![event(1)], GroupEnd::Commit), commit(3, 7)];
    match steps(&mut reader(limits, Before::default()), events.concat_events())?.pop() {
        Some(Step::Again(large)) => Ok(large),
        other => panic!("{other:?}"),
    }
}

/// The next run, whose checkpoint is behind group 2.
fn second_reading(rows: Vec<BinlogEvent>, then: Vec<BinlogEvent>) -> Result<Vec<Step>> {
    let undecided = PreparedXa { xid: xid(7), ..prepared(1, true) };
    let large = Some(Arc::new(first_reading(FEW).unwrap()));
    let before = Before { prepared: vec![undecided], large, ..Before::default() };
    steps(&mut reader(FEW, before), [prepare(1, rows, 7), then].concat_events())
}

#[test]
fn i6_a_large_distributed_transaction_is_read_again_where_it_was_prepared_when_it_is_committed() {
    let large = first_reading(FEW).unwrap();
    assert!(large.is_prepared() && large.records == 50 && large.bytes == (size(20) + size(30)) as u64);
    assert_eq!((large.begins(), large.ends()), (&at(100), at(400)));
    let again = second_reading(inside(), commit(3, 7)).unwrap();
    let times = again.iter().filter_map(|step| match step {
        Step::Part(part) => Some(part.committed_at_us),
        _ => None,
    });
    assert!(times.eq([9_000_000; 2]));
    let Some(Step::Group(end)) = again.last() else { panic!("{again:?}") };
    assert_eq!((&end.group, &end.xa), (&large.group, &Some(XaStep::Decided(xid(7)))));
    assert_eq!(parts(again), [(0, 20, size(20)), (20, 30, size(30))]);
}

#[test]
fn i9_a_large_distributed_transaction_that_is_rolled_back_is_not_read_again() {
    let events = [prepare(1, inside(), 7), decision(2, GroupEnd::XaRollback(xid(7)))].concat_events();
    let steps = steps(&mut reader(FEW, Before::default()), events).unwrap();
    assert!(steps.iter().all(|step| matches!(step, Step::Group(group) if group.rows.is_empty())), "{steps:?}");
}

#[test]
fn i6_rows_of_undecided_transactions_are_held_up_to_a_limit() {
    // Each of 87 bytes, so the second one is above it.
    let events = || [prepare(1, vec![event(25)], 1), prepare(2, vec![event(25)], 2)].concat_events();
    let decided = |id| {
        let mut reader = reader(FEW, Before::default());
        assert_eq!(steps(&mut reader, events()).unwrap().len(), 2);
        steps(&mut reader, decision(3, GroupEnd::XaCommit(xid(id)))).unwrap()
    };
    assert!(matches!(&decided(1)[..], [Step::Group(group)] if group.rows.len() == 1));
    assert!(matches!(&decided(2)[..], [Step::Again(large)] if large.records == 25));
    // What is decided makes room.
    let mut reader = reader(FEW, Before::default());
    let first = [prepare(1, vec![event(25)], 1), decision(2, GroupEnd::XaRollback(xid(1)))].concat_events();
    let second = [prepare(3, vec![event(25)], 2), decision(4, GroupEnd::XaCommit(xid(2)))].concat_events();
    assert_eq!(steps(&mut reader, first).unwrap().len(), 2);
    assert!(matches!(&steps(&mut reader, second).unwrap()[..], [_, Step::Group(group)] if group.rows.len() == 1));
}

#[test]
fn a_large_distributed_transaction_that_is_another_one_at_its_second_reading_stops_the_relay() {
    let refused = |rows, then| second_reading(rows, then).unwrap_err();
    assert_eq!(refused(vec![event(20), event(31)], Vec::new()).code(), Code::EventUndecodable);
    let between = refused(inside(), group(4, vec![event(1)], GroupEnd::Commit));
    assert_eq!(between.code(), Code::HistoryChanged);
    assert!(between.message().contains("expected the commit of XA transaction X'07'"), "{between}");
    let mut elsewhere = commit(3, 7);
    elsewhere[1] = BinlogEvent::Terminator(Terminator {
        end: GroupEnd::XaCommit(xid(7)),
        fingerprint: Fingerprint { crc32: 43, ..fingerprint(3) },
        emptied: Vec::new(),
    });
    assert_eq!(refused(inside(), elsewhere).code(), Code::HistoryChanged);
    // It is rolled back now.
    assert_eq!(refused(inside(), decision(3, GroupEnd::XaRollback(xid(7)))).code(), Code::HistoryChanged);
}

#[test]
fn a_distributed_transaction_is_never_split() {
    for split in [false, true] {
        let refused = first_reading(Limits { large: 150, split, ..FEW }).unwrap_err();
        assert_eq!(refused.code(), Code::SourceTransactionTooLarge);
        assert!(refused.message().contains("in one distributed transaction, at most 150"), "{refused}");
    }
}

#[test]
fn its_second_reading_begins_right_before_the_group_that_commits_it_or_not_at_all() {
    let mut large = first_reading(FEW).unwrap();
    large.behind = 2;
    assert!(large.can_follow(2, true) && !large.can_follow(2, false) && !large.can_follow(1, true));
    let plain = Large::new(3, 9, false);
    assert!(!plain.is_prepared() && plain.can_follow(7, false));
}
