//! Whatever became of a commit request and whatever the relay saw of it: the checkpoint behind the next fence tells what
//! happened, and nothing is lost, repeated or torn. The rows are those of the table in `docs/reliability.md`.

use std::time::Duration;

use testbed::kafka_proxy::{Api, AtBroker, AtClient, Moment, Script, Scripted};
use testbed::{Mysql, MysqlOptions};

use crate::support::ending::stopped;
use crate::support::proof;
use crate::support::proxied::{Lane, in_lanes, proxied};

/// INVALID_PRODUCER_EPOCH and PRODUCER_FENCED.
const FENCED: [i16; 2] = [47, 90];

/// UNKNOWN_SERVER_ERROR, which brokers send when they do not know themselves; librdkafka gives the transaction up.
const UNKNOWN: AtClient = AtClient::Told(-1);

/// The coordinator ends a transaction after this; the lowest that librdkafka takes is a second.
const SHORT_TIMEOUTS: &str = "kafka.librdkafka.\"transaction.timeout.ms\" = 1000\n\
                              kafka.librdkafka.\"message.timeout.ms\" = 1000\n\
                              kafka.librdkafka.\"socket.timeout.ms\" = 1000\n";

/// A commit that takes so long is a slow one.
const TOO_LATE: Duration = Duration::from_millis(1_500);

/// The client sends a request again when it has waited for [`SHORT_TIMEOUTS`]; so much later the coordinator has looked.
const LOOKED: Duration = Duration::from_millis(900);

const SENT_AGAIN: &str = "was not committed; sending it again";
const COMMITTED: &str = "the Kafka transaction in doubt was committed";
const RENEWED: &str = "OBX-4202";
const FENCE: &str = "OBX-4203";

/// A row: what happens to a commit, and what the relay then says.
struct Row {
    name: &'static str,
    scripts: fn(Script) -> Vec<Script>,
    says: &'static str,
    late: Late,
}

/// What becomes of a request that is kept back.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Late {
    None,
    Applied,
    Fenced,
}

/// Each row on one relay, one after the other.
const ROWS: [Row; 6] = [
    Row {
        name: "never arrived; an error",
        scripts: |on| vec![on.until_init().at_broker(AtBroker::Never).at_client(UNKNOWN)],
        says: SENT_AGAIN,
        late: Late::None,
    },
    Row {
        name: "applied, answer lost; an error",
        scripts: |on| vec![on.until_init().at_client(UNKNOWN)],
        says: COMMITTED,
        late: Late::None,
    },
    Row {
        name: "applied, answer lost; sent again by librdkafka",
        scripts: |on| vec![on.at_client(AtClient::Cut)],
        says: RENEWED,
        late: Late::None,
    },
    Row {
        name: "applied late; an answer after a second and a half",
        scripts: |on| vec![on.at_broker(AtBroker::Delayed(TOO_LATE))],
        says: RENEWED,
        late: Late::None,
    },
    Row {
        name: "applied after the error, before the new fence",
        scripts: |on| vec![on.until_init().at_broker(AtBroker::Late(Moment::BeforeInit)).at_client(UNKNOWN)],
        says: COMMITTED,
        late: Late::Applied,
    },
    Row {
        name: "arrives behind the new fence",
        scripts: |on| vec![on.until_init().at_broker(AtBroker::Late(Moment::AfterInit)).at_client(UNKNOWN)],
        says: SENT_AGAIN,
        late: Late::Fenced,
    },
];

const TIMED_OUT: Row = Row {
    name: "the coordinator gave it up",
    scripts: |on| {
        let lost = on.clone().at_broker(AtBroker::Never).at_client(AtClient::Silence);
        vec![lost, on.at_broker(AtBroker::Delayed(LOOKED))]
    },
    says: SENT_AGAIN,
    late: Late::None,
};

#[test]
fn the_checkpoint_decides_whatever_became_of_a_commit() {
    show("outcomes", "", &ROWS);
}

#[test]
fn a_transaction_that_the_coordinator_gave_up_is_sent_again() {
    show("given_up", SHORT_TIMEOUTS, &[TIMED_OUT]);
}

fn show(name: &str, extra: &str, rows: &[Row]) {
    let tries = proof::times(1, 100);
    in_lanes(name, &proof::lanes(tries, proof::LANES), extra, |lane: &Lane<'_>, tries| {
        for row in rows {
            for _ in 0..tries {
                once(lane, row);
            }
        }
    });
    for row in rows {
        println!("{}: {tries} tries", row.name);
    }
}

fn once(lane: &Lane<'_>, row: &Row) {
    let before = lane.said(row.says);
    let on_commit = Script::on(Api::EndTxn).of(&lane.transactional_id());
    let armed: Vec<Scripted> =
        (row.scripts)(on_commit).into_iter().map(|script| lane.servers.proxy.arm(script)).collect();
    lane.wait(row.name, || lane.said(row.says) > before);
    if row.late != Late::None {
        lane.wait("the late request to arrive", || !armed[0].late_answers().is_empty());
        assert_eq!(is_fenced(&armed[0]), row.late == Late::Fenced, "{}: {:?}", row.name, armed[0].late_answers());
    }
    let delivered = lane.instance.delivered();
    lane.wait("the relay to go on", || lane.instance.delivered() > delivered);
}

fn is_fenced(scripted: &Scripted) -> bool {
    scripted.late_answers().iter().all(|code| FENCED.contains(code))
}

/// The commit of the older instance arrives when a newer one has taken over.
#[test]
fn a_commit_that_a_rival_overtakes_is_refused_and_the_older_instance_ends() {
    let mysql = Mysql::start(MysqlOptions::default()).unwrap();
    let mut lane = Lane::start(proxied(), "rival", &mysql, "");
    let tries = proof::times(1, 100);
    for _ in 0..tries {
        let late = Script::on(Api::EndTxn).of(&lane.transactional_id()).at_broker(AtBroker::Late(Moment::AfterInit));
        let scripted = lane.servers.proxy.arm(late.at_client(AtClient::Silence));
        lane.wait("the commit to be kept back", || scripted.hits() > 0);
        let older = lane.succeed();
        lane.wait("the newer instance to deliver", || lane.instance.delivered() > 0);
        assert_eq!(scripted.late_answers().len(), 1);
        assert!(is_fenced(&scripted), "{:?}", scripted.late_answers());
        // Its own request is still open; cut, it is sent again and refused.
        lane.servers.proxy.cut_all();
        stopped(older).because(FENCE, 3, &["took over"], "");
    }
    println!("a rival took over: {tries} tries");
    lane.rest().assert_exactly_once(&mysql);
}
