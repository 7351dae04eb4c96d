//! Groups that travel in several Kafka transactions.

use super::*;

/// A machine that splits above 150 bytes.
fn splitting(policy: OnUpdate, before: Before) -> Transactions {
    let limits = Limits { held: 100, large: 150, prepared: 100, split: true };
    Transactions::new([outbox(policy)].into(), limits, before)
}

/// What a committed group makes of a machine, up to an error.
fn read(transactions: &mut Transactions, number: u64, inside: Vec<BinlogEvent>) -> Result<Vec<Step>> {
    steps(transactions, group(number, inside, GroupEnd::Commit))
}

fn first_reading(before: Before, number: u64, inside: Vec<BinlogEvent>) -> Result<Large> {
    match read(&mut splitting(OnUpdate::Stop, before), number, inside)?.pop() {
        Some(Step::Again(large)) => Ok(large),
        other => panic!("{other:?}"),
    }
}

#[test]
fn only_a_group_above_the_limit_is_split() {
    let split = |count| first_reading(Before::default(), 5, vec![event(count)]).unwrap().split;
    assert_eq!((split(30), split(50)), (false, true));
}

fn published(records: u64) -> Before {
    let large = first_reading(Before::default(), 5, vec![event(20), event(30), event(10)]).unwrap();
    assert_eq!((large.begun(7).unwrap().published, large.records), (7, 60));
    Before { begun: large.begun(records), same_log: true, ..Before::default() }
}

#[test]
fn what_is_published_of_a_group_is_stepped_over() {
    let inside = || vec![event(20), event(30), event(10)];
    for (records, expected) in [
        (20, vec![(20, 30, 0), (50, 10, 0)]),
        (50, vec![(50, 10, 0)]),
        // The events of another server may hold other numbers of rows.
        (25, vec![(20, 30, 5), (50, 10, 0)]),
    ] {
        let large = first_reading(published(records), 5, inside()).unwrap();
        let mut again = splitting(OnUpdate::Stop, Before { large: Some(Arc::new(large)), ..published(records) });
        let mut steps = read(&mut again, 5, inside()).unwrap();
        assert!(matches!(steps.pop(), Some(Step::Group(group)) if group.rows.is_empty()));
        let parts: Vec<_> = steps
            .iter()
            .map(|step| match step {
                Step::Part(part) => (part.before, part.records, part.published),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(parts, expected);
        // The next group is as any other.
        assert!(matches!(read(&mut again, 6, vec![event(1)]).unwrap()[..], [Step::Group(_)]));
    }
}

#[test]
fn another_group_in_place_of_one_that_is_published_in_part_stops_the_relay() {
    // Group 5 with other rows, with none, and another group; small or large.
    for (number, inside) in
        [(5, vec![event(20), event(30), event(9)]), (5, vec![]), (6, vec![event(1)]), (6, vec![event(50)])]
    {
        let refused = read(&mut splitting(OnUpdate::Stop, published(20)), number, inside).unwrap_err();
        assert_eq!(refused.code(), Code::HistoryChanged, "{refused}");
        assert!(refused.message().contains("20 of 60 records published"), "{refused}");
    }
    let inside = || vec![event(20), event(30), event(10)];
    let other_rows = read(&mut splitting(OnUpdate::Emit, published(20)), 5, inside()).unwrap_err();
    assert_eq!(other_rows.code(), Code::SplitSelection);
    // A large group that was known before the checkpoint was read anew.
    let large = Some(Arc::new(first_reading(Before::default(), 5, vec![event(59)]).unwrap()));
    let known = read(&mut splitting(OnUpdate::Stop, Before { large, ..published(20) }), 5, inside()).unwrap_err();
    assert_eq!(known.code(), Code::HistoryChanged);
    // It need not be large any more, if the limit was raised.
    assert!(matches!(first_reading(published(20), 5, inside()), Ok(large) if large.split));
    let raised = Transactions::new([outbox(OnUpdate::Stop)].into(), LIMITS, published(20));
    let raised = read(&mut { raised }, 5, inside()).unwrap();
    assert!(matches!(&raised[..], [Step::Again(large)] if !large.split));
}

#[test]
fn an_update_that_stops_the_relay_does_so_before_any_row_of_a_large_group_is_published() {
    let first = |inside| read(&mut splitting(OnUpdate::Stop, Before::default()), 5, inside);
    assert_eq!(first(vec![event(50), updated(1)]).unwrap_err().code(), Code::RowUpdated);
    let rolled_back = vec![event(50), savepoint("s"), updated(1), updated(2), rollback_to("s"), event(1)];
    assert!(matches!(first(rolled_back).unwrap()[..], [Step::Again(_)]));
    let kept = vec![updated(1), event(50), savepoint("s"), updated(2), rollback_to("s")];
    assert_eq!(first(kept).unwrap_err().code(), Code::RowUpdated);
}
