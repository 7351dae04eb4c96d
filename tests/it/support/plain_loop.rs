//! The control: begin, produce, commit, again, on one producer, as a relay would that trusts a commit's success. It must
//! tear what outboxd does not, or the test would prove nothing.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::error::KafkaResult;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use testbed::Observed;
use testbed::oracle::edges;

use super::PATIENCE;

/// Records of one transaction.
pub(crate) const RECORDS: usize = 12;

/// Its second half comes after the first one has been acknowledged.
const HALF: usize = RECORDS / 2;

const TIMEOUT: Duration = PATIENCE;

/// A plain transactional producer.
pub(crate) struct PlainLoop {
    producer: BaseProducer,
    topic: String,
}

impl PlainLoop {
    pub(crate) fn start(brokers: &str, transactional_id: &str, topic: &str) -> Self {
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("transactional.id", transactional_id)
            .create()
            .unwrap();
        producer.init_transactions(TIMEOUT).unwrap();
        Self { producer, topic: topic.to_owned() }
    }

    /// One transaction: half of it, acknowledgements, the other half, commit; at an error abort, as the manual says.
    pub(crate) fn transact(&self, name: &str) -> KafkaResult<()> {
        self.producer.begin_transaction()?;
        let committed = self
            .send(name, 0..HALF)
            .and_then(|()| self.send(name, HALF..RECORDS))
            .and_then(|()| self.producer.commit_transaction(TIMEOUT));
        if committed.is_err() {
            // Its own error says nothing more: the transaction's has been kept.
            let _ = self.producer.abort_transaction(TIMEOUT);
        }
        committed
    }

    fn send(&self, name: &str, ordinals: std::ops::Range<usize>) -> KafkaResult<()> {
        for ordinal in ordinals {
            let place = format!("{name}#{ordinal}/{RECORDS}");
            let headers = OwnedHeaders::new().insert(Header { key: "place", value: Some(&place) });
            let record = BaseRecord::<str, str>::to(&self.topic).key(name).payload(name).headers(headers);
            self.producer.send(record).map_err(|(error, _)| error)?;
        }
        self.producer.flush(TIMEOUT)
    }
}

/// How many ended a partition's visible part before they were whole.
pub(crate) fn torn_when_stable(records: &[Observed], stable: &[i64]) -> usize {
    let records: Vec<&Observed> = records.iter().collect();
    let name = |record: &Observed| record.header("place").unwrap().split_once('#').unwrap().0.to_owned();
    let seen_whole =
        |record: &Observed| record.header("place").unwrap().ends_with(&format!("#{}/{RECORDS}", RECORDS - 1));
    let torn: HashSet<String> =
        edges(&records, stable).map(|(_, last, _)| last).filter(|last| !seen_whole(last)).map(name).collect();
    torn.len()
}

/// The transactions of which some records are visible and some are not.
pub(crate) fn torn(records: &[Observed]) -> Vec<String> {
    let mut visible: HashMap<&str, usize> = HashMap::new();
    for record in records {
        let (name, _) = record.header("place").unwrap().split_once('#').unwrap();
        *visible.entry(name).or_default() += 1;
    }
    visible.into_iter().filter(|(_, count)| *count < RECORDS).map(|(name, _)| name.to_owned()).collect()
}
