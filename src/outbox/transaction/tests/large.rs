//! Groups that are too large to be held.

use super::*;

fn machine(large: Option<Arc<Large>>) -> Transactions {
    let limits = Limits { held: 100, ..LIMITS };
    Transactions::new([outbox(OnUpdate::Stop)].into(), limits, Before { large, ..Before::default() })
}

/// Reads a group that is large above 100 bytes, and if need be again; answers with its parts.
fn twice(inside: impl Fn() -> Vec<BinlogEvent>, end: GroupEnd) -> Option<Vec<(u64, u64, usize)>> {
    let events = || group(5, inside(), end.clone());
    let large = match <[Step; 1]>::try_from(steps(&mut machine(None), events()).unwrap()).unwrap() {
        [Step::Again(large)] => large,
        [Step::Group(group)] => {
            assert!(group.rows.is_empty());
            return None;
        }
        other => panic!("{other:?}"),
    };
    let records = large.records;
    let parts = parts(steps(&mut machine(Some(Arc::new(large))), events()).unwrap());
    assert_eq!(parts.iter().map(|(_, records, _)| records).sum::<u64>(), records);
    Some(parts)
}

#[test]
fn i6_a_large_group_is_not_held_but_read_twice() {
    let inside = || vec![event(20), event(30), event(1)];
    let published = twice(inside, GroupEnd::Commit).unwrap();
    assert_eq!(published, [(0, 20, size(20)), (20, 30, size(30)), (50, 1, size(1))]);
    assert_eq!(twice(inside, GroupEnd::Rollback), None);
}

#[test]
fn i9_what_was_rolled_back_in_a_large_group_does_not_leave_at_the_second_reading() {
    let inside = || {
        vec![
            event(3),
            savepoint("held"),
            event(4),
            savepoint("a"),
            event(50),
            savepoint("b"),
            event(5),
            savepoint("c"),
            event(6),
            rollback_to("c"),
            event(7),
            rollback_to("b"),
            event(8),
            rollback_to("a"),
            event(9),
        ]
    };
    let published = twice(inside, GroupEnd::Commit).unwrap();
    assert_eq!(published, [(0, 3, size(3)), (3, 4, size(4)), (7, 9, size(9))]);
    let held = || [inside(), vec![rollback_to("held"), event(2)]].concat_events();
    assert_eq!(twice(held, GroupEnd::Commit).unwrap(), [(0, 3, size(3)), (3, 2, size(2))]);
    let nothing = || [vec![savepoint("s")], inside(), vec![rollback_to("s")]].concat_events();
    assert_eq!(twice(nothing, GroupEnd::Commit), None);
}

#[test]
fn a_large_group_that_is_another_one_at_its_second_reading_stops_the_relay() {
    let read =
        |transactions: &mut Transactions, number, inside| steps(transactions, group(number, inside, GroupEnd::Commit));
    let large = || match read(&mut machine(None), 5, vec![event(50)]).unwrap().remove(0) {
        Step::Again(large) => Some(Arc::new(large)),
        other => panic!("{other:?}"),
    };
    for other in [vec![event(50), event(1)], vec![event(49)], vec![]] {
        let refused = read(&mut machine(large()), 5, other).unwrap_err();
        assert_eq!(refused.code(), Code::EventUndecodable);
    }
    // Another group is none of its business.
    assert!(matches!(read(&mut machine(large()), 6, vec![event(50)]).unwrap()[..], [Step::Again(_)]));
}

#[test]
fn a_group_that_no_kafka_transaction_may_carry_is_refused_when_it_is_committed() {
    let limits = Limits { held: 100, large: 150, prepared: 100, split: false };
    let mut transactions = Transactions::new([outbox(OnUpdate::Stop)].into(), limits, Before::default());
    let mut read = |inside| steps(&mut transactions, group(5, inside, GroupEnd::Commit));
    assert_eq!(read(vec![event(50)]).unwrap_err().code(), Code::SourceTransactionTooLarge);
    let rolled_back = vec![event(20), savepoint("a"), event(50), rollback_to("a"), event(10)];
    assert!(matches!(read(rolled_back).unwrap()[..], [Step::Again(_)]));
}
