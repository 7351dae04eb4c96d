mod large;
mod split;
mod xa;

use super::*;
use crate::binlog::event::OutboxId;
use crate::binlog::rows::Images;
use crate::binlog::testing::{at, group_start, inserted, rows, terminator, xid};
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

/// What events make of a machine, up to an error.
fn steps(transactions: &mut Transactions, events: Vec<BinlogEvent>) -> Result<Vec<Step>> {
    events.into_iter().filter_map(|event| transactions.apply(event, &mut Seen::default()).transpose()).collect()
}

/// A row event with so many rows.
fn event(count: usize) -> BinlogEvent {
    BinlogEvent::Rows(rows(&vec![[Some("r"), None, None, None, None]; count]))
}

/// Its bytes.
fn size(count: usize) -> usize {
    12 + 3 * count
}

/// Before, records and bytes of each part; the end is a group without rows.
fn parts(mut steps: Vec<Step>) -> Vec<(u64, u64, usize)> {
    assert!(matches!(steps.pop(), Some(Step::Group(group)) if group.rows.is_empty()));
    let part = |step| match step {
        Step::Part(part) => part,
        other => panic!("{other:?}"),
    };
    let bytes = |part: &Part| part.rows.iter().map(|rows| rows.event.data().len()).sum();
    steps.into_iter().map(part).map(|part| (part.before, part.records, bytes(&part))).collect()
}

fn prepare(number: u64, inside: Vec<BinlogEvent>, id: u64) -> Vec<BinlogEvent> {
    group(number, inside, GroupEnd::Prepare(xid(id)))
}

fn decision(number: u64, end: GroupEnd) -> Vec<BinlogEvent> {
    vec![group_start(number), terminator(number, end)]
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
