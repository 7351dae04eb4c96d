//! A commit request that arrives late, inside the next Kafka transaction, commits half of it: KAFKA-17754. The same script
//! of the proxy tears a plain loop and does nothing to outboxd (`docs/adr/0003`).

use testbed::kafka_proxy::{Api, AtBroker, AtClient, Moment, Script};

use crate::support::plain_loop::{self, PlainLoop};
use crate::support::proxied::{Lane, in_lanes, proxied};
use crate::support::{proof, reader};

/// INVALID_PRODUCER_EPOCH and PRODUCER_FENCED: the late request found a newer epoch.
const FENCED: [i16; 2] = [47, 90];

/// The commit request is kept back and its connection cut, so that the client sends it again by itself; the first copy
/// arrives inside the producer's next transaction.
fn stray(transactional_id: &str) -> Script {
    Script::on(Api::EndTxn)
        .of(transactional_id)
        .at_broker(AtBroker::Late(Moment::NextTransaction))
        .at_client(AtClient::Cut)
}

#[test]
fn a_stray_commit_tears_the_transactions_of_a_plain_loop() {
    const TOPIC: &str = "plain_loop";
    let servers = proxied();
    servers.kafka.create_topic(TOPIC, 1, &[]).unwrap();
    let tries = proof::times(3, 200);
    for attempt in 0..tries {
        let transactional_id = format!("plain-{attempt}");
        let producer = PlainLoop::start(&servers.kafka.bootstrap(), &transactional_id, TOPIC);
        let scripted = servers.proxy.arm(stray(&transactional_id));
        producer.transact(&format!("{attempt}-first")).unwrap();
        assert_eq!(scripted.hits(), 1);
        // Whatever it returns: what counts is what others see.
        let _ = producer.transact(&format!("{attempt}-second"));
        assert_eq!(scripted.late_answers().len(), 1);
    }
    let seen = reader::read(&servers.kafka, TOPIC);
    let torn = plain_loop::torn(&seen).len();
    println!("plain loop: {tries} stray commits, {torn} torn transactions");
    assert!(torn > 0, "the script does not show the defect");
    // The same is seen at the last stable offsets, but for the last transaction, which no record follows.
    let when_stable = plain_loop::torn_when_stable(&seen, &servers.kafka.stable_offsets(TOPIC).unwrap()[&0]);
    assert!(when_stable > 0 && when_stable + 1 >= torn, "{when_stable} torn at a last stable offset");
}

#[test]
fn a_stray_commit_does_nothing_to_the_relay() {
    let tries = proof::lanes(proof::times(3, 1_000), proof::LANES);
    in_lanes("stray", &tries, "", |lane: &Lane<'_>, tries| {
        let mut answers = Vec::new();
        for _ in 0..tries {
            let scripted = lane.servers.proxy.arm(stray(&lane.transactional_id()));
            lane.wait("the stray commit to arrive", || !scripted.late_answers().is_empty());
            answers.extend(scripted.late_answers());
        }
        let fenced = answers.iter().filter(|code| FENCED.contains(code)).count();
        println!("outboxd: {tries} stray commits, {fenced} of them fenced");
        assert_eq!(fenced, tries, "{answers:?}");
    });
}
