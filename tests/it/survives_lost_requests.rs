//! Any request of a start and of a run may be lost, answered to nobody, doubled or late: nothing is lost, repeated or torn.

use std::time::Duration;

use testbed::Mysql;
use testbed::MysqlOptions;
use testbed::kafka_proxy::{Api, AtBroker, AtClient, Script, Scripted};

use crate::support::proof;
use crate::support::proxied::{Lane, Proxied};

/// So that a client waits for a second only.
const SHORT_TIMEOUT: &str = "kafka.librdkafka.\"socket.timeout.ms\" = 1000\n";

/// The client has given the request up by then.
const TOO_LATE: Duration = Duration::from_millis(1_500);

/// Each is met by every start behind a checkpoint, and its first Kafka transactions.
const APIS: [Api; 7] = [
    Api::Metadata,
    Api::FindCoordinator,
    Api::InitProducerId,
    Api::Fetch,
    Api::AddPartitionsToTxn,
    Api::Produce,
    Api::EndTxn,
];

/// What becomes of a request.
const WAYS: [(&str, AtBroker, AtClient); 6] = [
    ("lost, and nothing said", AtBroker::Never, AtClient::Silence),
    ("lost with its connection", AtBroker::Never, AtClient::Cut),
    ("served, and nothing said", AtBroker::Arrives, AtClient::Silence),
    ("served, the answer lost with its connection", AtBroker::Arrives, AtClient::Cut),
    ("served twice", AtBroker::Twice, AtClient::Answer),
    ("served when the client waits no more", AtBroker::Delayed(TOO_LATE), AtClient::Answer),
];

/// In a full proof also the second of its kind.
#[test]
fn whatever_request_goes_astray_nothing_is_lost() {
    let (servers, mysql) = (Proxied::start(), Mysql::start(MysqlOptions::default()).unwrap());
    let mut lane = Lane::start(&servers, "astray", &mysql, SHORT_TIMEOUT);
    let all = APIS.iter().flat_map(|api| WAYS.map(|way| (*api, way)));
    // Five at a time pass over every request and every way.
    let chosen: Vec<_> = all.step_by(proof::times(5, 1)).collect();
    for nth in 1..=proof::times(1, 2) {
        for (api, (what, at_broker, at_client)) in &chosen {
            let script = Script::on(*api).nth(nth).at_broker(*at_broker).at_client(*at_client);
            start_again(&mut lane, script, &format!("{api:?} number {nth} {what}"));
        }
    }
    println!("{} requests went astray", chosen.len() * proof::times(1, 2));
    lane.rest().assert_exactly_once(&mysql);
}

/// The relay is killed; the next one's request goes astray, and it delivers nevertheless.
fn start_again(lane: &mut Lane<'_>, script: Script, what: &str) {
    lane.relay.kill9().unwrap();
    let scripted: Scripted = lane.servers.proxy.arm(script);
    lane.relay = lane.instance.start();
    lane.wait(what, || scripted.hits() > 0);
    let delivered = lane.instance.delivered();
    lane.wait(&format!("records behind {what}"), || lane.instance.delivered() > delivered);
}
