use super::*;
use crate::binlog::event::OutboxId;
use crate::binlog::testing::{at, group_start, inserted, prepared, terminator, xid};
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

fn machine() -> Transactions {
    Transactions::new([outbox(OnUpdate::Stop)].into(), 1000, Vec::new())
}

/// Feeds events; answers with the marks of the rows of each decided group.
fn marks(events: Vec<BinlogEvent>) -> Result<Vec<Vec<u8>>> {
    let mut transactions = machine();
    let mut out = Vec::new();
    for event in events {
        if let Some(decided) = transactions.apply(event, &mut Seen::default())? {
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
    group(number, inside, GroupEnd::Prepare(xid(id)))
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
        if let Some(step) = transactions.apply(event, &mut Seen::default()).unwrap().and_then(|decided| decided.xa) {
            steps.push(step);
        }
    }
    let expected = [XaStep::Prepared(prepared(1, true)), XaStep::Prepared(prepared(2, false)), XaStep::Decided(xid(1))];
    assert_eq!(steps, expected);
}

#[test]
fn prepared_groups_that_are_read_again_give_their_rows_but_are_no_news() {
    let resumed =
        || Transactions::new([outbox(OnUpdate::Stop)].into(), 1000, vec![prepared(1, true), prepared(2, false)]);
    let run = |transactions: &mut Transactions, events: Vec<BinlogEvent>| -> Result<Vec<Vec<u8>>> {
        let mut out = Vec::new();
        for event in events {
            if let Some(decided) = transactions.apply(event, &mut Seen::default())? {
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
    let fifty = |number| prepare(number, (0..50).map(|_| inserted(1)).collect(), number);
    let sixty = || group(9, (0..60).map(|_| inserted(1)).collect(), GroupEnd::Commit);
    let refused = marks([fifty(1), sixty()].concat_events()).unwrap_err();
    assert_eq!(refused.code(), Code::SourceTransactionTooLarge);
    let decided = [fifty(1), decision(2, GroupEnd::XaRollback(xid(1))), sixty()].concat_events();
    assert_eq!(marks(decided).unwrap().last().unwrap().len(), 60);
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
    let mut transactions = Transactions::new([outbox(policy)].into(), 1000, Vec::new());
    let (mut seen, mut marks) = (Seen::default(), Vec::new());
    for event in events {
        if let Some(decided) = transactions.apply(event, &mut seen)? {
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
fn i6_a_source_transaction_above_the_limit_is_refused() {
    let many = (0..101).map(|_| inserted(1)).collect();
    assert_eq!(marks(group(1, many, GroupEnd::Commit)).unwrap_err().code(), Code::SourceTransactionTooLarge);
    let dropped = (0..60).map(|_| inserted(1));
    let inside = std::iter::once(savepoint("a"))
        .chain(dropped)
        .chain([rollback_to("a")])
        .chain((0..60).map(|_| inserted(2)))
        .collect();
    assert_eq!(marks(group(1, inside, GroupEnd::Commit)).unwrap()[0].len(), 60);
}

#[test]
fn a_new_group_forgets_the_half_read_one() {
    let mut events = vec![group_start(1), BinlogEvent::Begin, savepoint("a"), inserted(1)];
    events.extend(group(2, vec![inserted(2)], GroupEnd::Commit));
    assert_eq!(marks(events).unwrap(), [vec![2]]);
}
