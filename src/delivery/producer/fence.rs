//! The fence, raised as fast as the brokers allow: twice librdkafka would wait for a timer of 500 ms.

use std::time::{Duration, Instant};

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::MetadataTopic;
use rdkafka::producer::Producer as _;

use super::{Events, NativeError, NativeProducer};
use crate::error::{Error, Result};
use crate::kafka::{self, REQUEST_TIMEOUT};

/// How long the fence may take before the run ends, which says why.
const LIMIT: Duration = Duration::from_secs(10);

/// How often the coordinator is asked whether it has decided what an older producer left open.
const STEP: Duration = Duration::from_millis(50);

/// librdkafka's own time between two such questions. An answer that takes as long gains nothing.
const PAUSE: Duration = Duration::from_millis(500);

/// Gets the producer its id and epoch: fences every older producer of its transactional id and decides what that one left
/// open. `topic` must exist. Blocks.
///
/// While the coordinator decides, it answers `CONCURRENT_TRANSACTIONS`, after which librdkafka pauses
/// (`rd_kafka_idemp_pid_timer_restart` in `rdkafka_idempotence.c`). An answer with metadata ends the pause
/// (`rd_kafka_parse_Metadata` in `rdkafka_metadata.c`).
///
/// # Errors
/// `KafkaUnavailable` when the brokers do not answer in time, `KafkaAcl`, `KafkaAuth`, `TransactionTimeout`.
pub(super) fn raise(native: &NativeProducer<Events>, topic: &str) -> Result<()> {
    connect(native, topic)?;
    let deadline = Instant::now() + LIMIT;
    loop {
        match native.init_transactions(STEP) {
            Ok(()) => return Ok(()),
            Err(error) if !error.retriable || Instant::now() > deadline => return Err(init_error(&error)),
            Err(error) if error.code == RDKafkaErrorCode::ConcurrentTransactions => {
                if let Err(error) = native.wrapper().client().fetch_metadata(Some(topic), PAUSE) {
                    tracing::debug!(%error, "asking for metadata; the client asks the coordinator again by itself");
                }
            }
            Err(_) => {}
        }
    }
}

/// Connects to a broker by its own name. Without one at hand librdkafka looks for the coordinator again only after 500 ms,
/// and a bootstrap address does not do: its connection ends as soon as the brokers' names are known.
fn connect(native: &NativeProducer<Events>, topic: &str) -> Result<()> {
    let client = native.wrapper().client();
    let failed = |e: KafkaError| kafka::error(&e, "connecting the Kafka producer");
    let metadata = client.fetch_metadata(Some(topic), REQUEST_TIMEOUT).map_err(failed)?;
    let led = |topic: &MetadataTopic| topic.partitions().iter().find(|p| p.leader() >= 0).map(|p| p.id());
    if let Some(partition) = metadata.topics().first().and_then(led) {
        client.fetch_watermarks(topic, partition, REQUEST_TIMEOUT).map_err(failed)?;
    }
    Ok(())
}

fn init_error(error: &NativeError) -> Error {
    Error::new(kafka::code_of(error.code), "fencing older producers of this relay").caused_by(error.to_string())
}
