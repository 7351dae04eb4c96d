use super::*;
use crate::binlog::event::OutboxId;
use crate::binlog::rows::Images;
use crate::binlog::testing::{at, group_start, inserted, prepared, rows, terminator, xid};
use crate::config::{OnUpdate, OutboxConfig, TopicPart, TopicTemplate};

fn outbox(on_update: OnUpdate) -> OutboxConfig {
    OutboxConfig {
        name: "main".into(),
        database: "shop".into(),
        table: "outbox".into(),
        id: "id".into(),
        aggregate_type: "aggregatetype".into(),
        aggregate_id: "aggregateid".into(),
        event_type: None,
        payload: "payload".into(),
        topic: TopicTemplate(vec![TopicPart::Literal("t".into())]),
        timestamp: None,
        source_header: true,
        on_update,
        headers: Vec::new(),
    }
}

#[derive(Default)]
struct Seen(Vec<Ignored>);

impl Observer for Seen {
    fn ignored(&mut self, _outbox: usize, change: Ignored) {
        self.0.push(change);
    }
}

const LIMITS: Limits = Limits { held: 1000, prepared: 1000, large: 1 << 20, split: false };

fn machine() -> Transactions {
    Transactions::new([outbox(OnUpdate::Stop)].into(), LIMITS, Before::default())
}

/// A decided group, if there is one; no part of a large group is expected.
fn decided(step: Option<Step>) -> Option<SourceTransaction> {
    match step? {
        Step::Group(transaction) => Some(transaction),
        other => panic!("{other:?}"),
    }
}

/// Feeds events; answers with the marks of the rows of each decided group.
fn marks(events: Vec<BinlogEvent>) -> Result<Vec<Vec<u8>>> {
    let mut transactions = machine();
    let mut out = Vec::new();
    for event in events {
        if let Some(decided) = decided(transactions.apply(event, &mut Seen::default())?) {
            out.push(decided.rows.iter().map(|rows| rows.event.data()[0]).collect());
        }
    }
    Ok(out)
}

fn group(number: u64, inside: Vec<BinlogEvent>, end: GroupEnd) -> Vec<BinlogEvent> {
    let mut events = vec![group_start(number), BinlogEvent::Begin];
    events.extend(inside);
    events.push(terminator(number, end));
    events
}

fn savepoint(name: &str) -> BinlogEvent {
    BinlogEvent::Savepoint(name.into())
}

fn rollback_to(name: &str) -> BinlogEvent {
    BinlogEvent::RollbackTo(name.into())
}

#[test]
fn i9_rows_leave_at_commit_in_log_order_and_not_at_rollback() {
    let mut events = group(1, vec![inserted(1), inserted(2)], GroupEnd::Commit);
    events.extend(group(2, vec![inserted(3)], GroupEnd::Rollback));
    events.extend(group(3, vec![inserted(4)], GroupEnd::Commit));
    assert_eq!(marks(events).unwrap(), [vec![1, 2], vec![], vec![4]]);
}

#[test]
fn rollback_to_a_savepoint_drops_what_came_behind_it() {
    let inside = vec![
        inserted(1),
        savepoint("a"),
        inserted(2),
        savepoint("b"),
        inserted(3),
        rollback_to("a"),
        inserted(4),
        rollback_to("a"),
        inserted(5),
    ];
    assert_eq!(marks(group(1, inside, GroupEnd::Commit)).unwrap(), [vec![1, 5]]);
}

#[test]
fn a_repeated_savepoint_name_moves_the_savepoint() {
    let inside = vec![savepoint("a"), inserted(1), savepoint("a"), inserted(2), rollback_to("a")];
    assert_eq!(marks(group(1, inside, GroupEnd::Commit)).unwrap(), [vec![1]]);
}

#[test]
fn an_unknown_savepoint_stops_the_relay() {
    let inside = vec![savepoint("a"), savepoint("b"), rollback_to("a"), rollback_to("b")];
    assert_eq!(marks(group(1, inside, GroupEnd::Commit)).unwrap_err().code(), Code::EventUndecodable);
}

fn prepare(number: u64, inside: Vec<BinlogEvent>, id: u64) -> Vec<BinlogEvent> {
    let mut events = group(number, inside, GroupEnd::Prepare(xid(id)));
    events[1] = BinlogEvent::XaStart;
    events
}

fn decision(number: u64, end: GroupEnd) -> Vec<BinlogEvent> {
    vec![group_start(number), terminator(number, end)]
}

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

/// Events cannot be cloned, so slices of them do not concatenate.
trait ConcatEvents {
    fn concat_events(self) -> Vec<BinlogEvent>;
}

impl<const N: usize> ConcatEvents for [Vec<BinlogEvent>; N] {
    fn concat_events(self) -> Vec<BinlogEvent> {
        self.into_iter().flatten().collect()
    }
}

#[test]
fn i6_rows_of_undecided_transactions_count() {
    let rows = |number, count| prepare(number, (0..count).map(|_| inserted(1)).collect(), number);
    let refused = marks([rows(1, 50), rows(2, 60)].concat_events()).unwrap_err();
    assert_eq!(refused.code(), Code::SourceTransactionTooLarge);
    let decided = [rows(1, 50), decision(2, GroupEnd::XaRollback(xid(1))), rows(3, 60)].concat_events();
    assert_eq!(marks(decided).unwrap().len(), 3);
}

#[test]
fn a_logged_statement_stops_the_relay_and_is_named() {
    let statement = BinlogEvent::Statement { table: "shop.outbox".into(), thread_id: 9, at: at(77) };
    let stopped = marks(group(1, vec![statement], GroupEnd::Commit)).unwrap_err();
    assert_eq!(stopped.code(), Code::StatementLogged);
    assert!(stopped.message().contains("mysql-bin.000001:77") && stopped.message().contains('9'), "{stopped}");
}

fn updated(mark: u8) -> BinlogEvent {
    match inserted(mark) {
        BinlogEvent::Rows(rows) => BinlogEvent::Rows(OutboxRows { images: Images::Updated, ..rows }),
        other => other,
    }
}

/// The marks of the rows of one group under a policy, and what was passed over.
fn under(policy: OnUpdate, events: Vec<BinlogEvent>) -> Result<(Vec<u8>, Vec<Ignored>)> {
    let mut transactions = Transactions::new([outbox(policy)].into(), LIMITS, Before::default());
    let (mut seen, mut marks) = (Seen::default(), Vec::new());
    for event in events {
        if let Some(decided) = decided(transactions.apply(event, &mut seen)?) {
            marks.extend(decided.rows.iter().map(|rows| rows.event.data()[0]));
        }
    }
    Ok((marks, seen.0))
}

#[test]
fn a_committed_update_stops_warns_or_is_emitted_and_a_delete_is_counted() {
    let inside = || vec![updated(1), inserted(2), BinlogEvent::Deleted(OutboxId(0))];
    let stopped = under(OnUpdate::Stop, group(1, inside(), GroupEnd::Commit)).unwrap_err();
    assert_eq!(stopped.code(), Code::RowUpdated);
    let (marks, ignored) = under(OnUpdate::Warn, group(1, inside(), GroupEnd::Commit)).unwrap();
    assert_eq!((marks, ignored), (vec![2], vec![Ignored::Delete, Ignored::Update]));
    let (marks, ignored) = under(OnUpdate::Emit, group(1, inside(), GroupEnd::Commit)).unwrap();
    assert_eq!((marks, ignored), (vec![1, 2], vec![Ignored::Delete]));
}

#[test]
fn an_update_that_is_rolled_back_stops_nothing() {
    let inside = || vec![savepoint("a"), updated(1), rollback_to("a"), inserted(2)];
    assert_eq!(under(OnUpdate::Stop, group(1, inside(), GroupEnd::Commit)).unwrap().0, [2]);
    assert!(under(OnUpdate::Stop, group(1, vec![updated(1)], GroupEnd::Rollback)).is_ok());
    let rolled_back = [prepare(1, vec![updated(1)], 1), decision(2, GroupEnd::XaRollback(xid(1)))].concat_events();
    assert!(under(OnUpdate::Stop, rolled_back).is_ok());
}

#[test]
fn a_table_that_is_emptied_is_counted() {
    let mut end = terminator(1, GroupEnd::Standalone);
    if let BinlogEvent::Terminator(end) = &mut end {
        end.emptied.push(OutboxId(0));
    }
    assert_eq!(under(OnUpdate::Stop, vec![group_start(1), end]).unwrap().1, [Ignored::Truncate]);
}

#[test]
fn a_new_group_forgets_the_half_read_one() {
    let mut events = vec![group_start(1), BinlogEvent::Begin, savepoint("a"), inserted(1)];
    events.extend(group(2, vec![inserted(2)], GroupEnd::Commit));
    assert_eq!(marks(events).unwrap(), [vec![2]]);
}

/// A row event with so many rows, of 12 bytes and 4 for each.
fn event(count: usize) -> BinlogEvent {
    BinlogEvent::Rows(rows(&vec![[Some("r"), None, None, None, None]; count]))
}

/// Reads a group that is large above 100 bytes, and if need be again; answers with the rows of each row event that is
/// published, by its place among the group's records, and with how many there are to be.
fn twice(inside: impl Fn() -> Vec<BinlogEvent>, end: GroupEnd) -> Option<(u64, Vec<(u64, usize)>)> {
    let limits = Limits { held: 100, ..LIMITS };
    let machine =
        |large| Transactions::new([outbox(OnUpdate::Stop)].into(), limits, Before { large, ..Before::default() });
    let events = || group(5, inside(), end.clone());
    let steps = |transactions: &mut Transactions| -> Vec<Step> {
        events().into_iter().filter_map(|event| transactions.apply(event, &mut Seen::default()).unwrap()).collect()
    };
    let large = match <[Step; 1]>::try_from(steps(&mut machine(None))).unwrap() {
        [Step::Again(large)] => large,
        [Step::Group(group)] => {
            assert!(group.rows.is_empty());
            return None;
        }
        other => panic!("{other:?}"),
    };
    let records = large.records;
    let mut parts = Vec::new();
    let mut again = steps(&mut machine(Some(Arc::new(large))));
    let Some(Step::Group(group)) = again.pop() else { panic!("no end") };
    assert!(group.rows.is_empty());
    for step in again {
        let Step::Part(part) = step else { panic!("{step:?}") };
        assert_eq!(part.large.records, records);
        parts.push((part.before, part.rows.iter().map(|rows| rows.event.data().len()).sum()));
    }
    Some((records, parts))
}

/// Bytes of an event with so many rows.
fn size(count: usize) -> usize {
    12 + 3 * count
}

#[test]
fn i6_a_large_group_is_not_held_but_read_twice() {
    let inside = || vec![event(20), event(30), event(1)];
    let published = twice(inside, GroupEnd::Commit).unwrap();
    assert_eq!(published, (51, vec![(0, size(20)), (20, size(30)), (50, size(1))]));
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
    assert_eq!(published, (16, vec![(0, size(3)), (3, size(4)), (7, size(9))]));
    let held = || [inside(), vec![rollback_to("held"), event(2)]].concat_events();
    assert_eq!(twice(held, GroupEnd::Commit).unwrap(), (5, vec![(0, size(3)), (3, size(2))]));
    let nothing = || [vec![savepoint("s")], inside(), vec![rollback_to("s")]].concat_events();
    assert_eq!(twice(nothing, GroupEnd::Commit), None);
}

#[test]
fn a_large_group_that_is_another_one_at_its_second_reading_stops_the_relay() {
    let limits = Limits { held: 100, ..LIMITS };
    let machine =
        |large| Transactions::new([outbox(OnUpdate::Stop)].into(), limits, Before { large, ..Before::default() });
    let read = |transactions: &mut Transactions, number, inside| {
        let steps = group(number, inside, GroupEnd::Commit).into_iter();
        steps
            .filter_map(|event| transactions.apply(event, &mut Seen::default()).transpose())
            .collect::<Result<Vec<_>>>()
    };
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
    let mut read = |inside| {
        let steps = group(5, inside, GroupEnd::Commit).into_iter();
        steps
            .filter_map(|event| transactions.apply(event, &mut Seen::default()).transpose())
            .collect::<Result<Vec<_>>>()
    };
    assert_eq!(read(vec![event(50)]).unwrap_err().code(), Code::SourceTransactionTooLarge);
    let rolled_back = vec![event(20), savepoint("a"), event(50), rollback_to("a"), event(10)];
    assert!(matches!(read(rolled_back).unwrap()[..], [Step::Again(_)]));
}

/// A machine that splits above 150 bytes.
fn splitting(policy: OnUpdate, before: Before) -> Transactions {
    let limits = Limits { held: 100, large: 150, prepared: 100, split: true };
    Transactions::new([outbox(policy)].into(), limits, before)
}

/// What a group makes of a machine, up to an error.
fn steps(transactions: &mut Transactions, number: u64, inside: Vec<BinlogEvent>) -> Result<Vec<Step>> {
    let events = group(number, inside, GroupEnd::Commit).into_iter();
    events.filter_map(|event| transactions.apply(event, &mut Seen::default()).transpose()).collect()
}

fn first_reading(before: Before, number: u64, inside: Vec<BinlogEvent>) -> Result<Large> {
    match steps(&mut splitting(OnUpdate::Stop, before), number, inside)?.pop() {
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
        let mut steps = steps(&mut again, 5, inside()).unwrap();
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
        assert!(matches!(self::steps(&mut again, 6, vec![event(1)]).unwrap()[..], [Step::Group(_)]));
    }
}

#[test]
fn another_group_in_place_of_one_that_is_published_in_part_stops_the_relay() {
    // Group 5 with other rows, with none, and another group; small or large.
    for (number, inside) in
        [(5, vec![event(20), event(30), event(9)]), (5, vec![]), (6, vec![event(1)]), (6, vec![event(50)])]
    {
        let refused = steps(&mut splitting(OnUpdate::Stop, published(20)), number, inside).unwrap_err();
        assert_eq!(refused.code(), Code::HistoryChanged, "{refused}");
        assert!(refused.message().contains("20 of 60 records published"), "{refused}");
    }
    let inside = || vec![event(20), event(30), event(10)];
    let other_rows = steps(&mut splitting(OnUpdate::Emit, published(20)), 5, inside()).unwrap_err();
    assert_eq!(other_rows.code(), Code::SplitSelection);
    // A large group that was known before the checkpoint was read anew.
    let large = Some(Arc::new(first_reading(Before::default(), 5, vec![event(59)]).unwrap()));
    let known = steps(&mut splitting(OnUpdate::Stop, Before { large, ..published(20) }), 5, inside()).unwrap_err();
    assert_eq!(known.code(), Code::HistoryChanged);
    // It need not be large any more, if the limit was raised.
    assert!(matches!(first_reading(published(20), 5, inside()), Ok(large) if large.split));
    let raised = Transactions::new([outbox(OnUpdate::Stop)].into(), LIMITS, published(20));
    let raised = steps(&mut { raised }, 5, inside()).unwrap();
    assert!(matches!(&raised[..], [Step::Again(large)] if !large.split));
}

#[test]
fn an_update_that_stops_the_relay_does_so_before_any_row_of_a_large_group_is_published() {
    let first = |inside| steps(&mut splitting(OnUpdate::Stop, Before::default()), 5, inside);
    assert_eq!(first(vec![event(50), updated(1)]).unwrap_err().code(), Code::RowUpdated);
    let rolled_back = vec![event(50), savepoint("s"), updated(1), updated(2), rollback_to("s"), event(1)];
    assert!(matches!(first(rolled_back).unwrap()[..], [Step::Again(_)]));
    let kept = vec![updated(1), event(50), savepoint("s"), updated(2), rollback_to("s")];
    assert_eq!(first(kept).unwrap_err().code(), Code::RowUpdated);
}
