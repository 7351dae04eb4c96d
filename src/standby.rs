//! Hot standby: which of several instances leads. They are members of a consumer group on the checkpoint topic, and the
//! owner of its last partition leads.
//!
//! The group is the relay's own, so any partition would do. When a member joins, `cooperative-sticky` gives it the lower ones of
//! another member's and leaves the last one where it is: joining interrupts nobody.
//!
//! The group says who should write, and may be wrong for a while: a paused member learns late that it has lost its
//! partition. That only one *can* write is the fence's business. So nothing of what the group says is needed for a guarantee.
//!
//! ```text
//! join ─▶ Joined ─▶ Leads(term) ─▶ the partition goes to another member: drain ─▶ the term is over ─▶ it is released
//!                                └▶ it was lost: the run is cut short
//! ```

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::TopicPartitionList;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::config::Config;
use crate::error::{Code, Error, Result};
use crate::kafka::{self, Call, LogContext};
use crate::shutdown::Shutdown;
use crate::telemetry::Metrics;

/// How long a poll of the group may take, hence leaving it.
const POLL: Duration = Duration::from_millis(50);

/// `heartbeat.interval.ms` at most: by its next heartbeat a member learns that another one has left.
const HEARTBEAT: Duration = Duration::from_millis(200);

/// `topic.metadata.refresh.interval.ms`. librdkafka sends no two joins within a second, and a member that has just joined
/// needs another one or two when the leader goes. An answer with metadata ends that pause
/// (`rd_kafka_parse_Metadata` in `rdkafka_metadata.c`).
const REFRESH: Duration = Duration::from_millis(200);

/// librdkafka's `max.poll.interval.ms`; a release may take as long as a drain.
const POLL_INTERVAL: Duration = Duration::from_secs(300);

/// What the group says.
#[derive(Debug)]
pub enum News {
    /// This is a member now, and some other one leads.
    Joined,
    /// This member leads.
    Leads(Term),
    /// The membership ended; librdkafka joins again by itself.
    Lost,
}

/// The time for which this member leads. It is over for the group when this is dropped, so drop it when nothing more can
/// be written.
#[derive(Debug)]
pub struct Term {
    /// Cancelled when another member shall lead, or when the process stops.
    pub end: Shutdown,
    _over: DropGuard,
}

/// A member of the group, which it leaves when this is dropped.
#[derive(Debug)]
pub struct Membership {
    news: UnboundedReceiver<News>,
    leave: DropGuard,
    polling: Call<()>,
}

impl Membership {
    /// Joins the group of the relay on the checkpoint topic, of which the last partition is named. `process` ends every
    /// term.
    ///
    /// # Errors
    /// `KafkaConfig`.
    pub fn join(
        config: &Config,
        (topic, partition): (&str, i32),
        process: &Shutdown,
        metrics: Arc<Metrics>,
    ) -> Result<Self> {
        let (sender, news) = unbounded_channel();
        let group = Group {
            log: LogContext::new(metrics),
            topic: topic.to_owned(),
            partition,
            drain: config.shutdown_timeout,
            process: process.clone(),
            news: sender,
            leading: Mutex::default(),
        };
        let millis = |time: Duration| time.as_millis().to_string();
        let session = config.ha.session_timeout;
        let consumer: BaseConsumer<Group> = kafka::base_config(&config.kafka)
            .set("group.id", format!("outboxd.{}", config.name))
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("session.timeout.ms", millis(session))
            .set("heartbeat.interval.ms", millis(HEARTBEAT.min(session / 4)))
            .set("topic.metadata.refresh.interval.ms", millis(REFRESH))
            .set("max.poll.interval.ms", millis(POLL_INTERVAL + config.shutdown_timeout))
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "latest")
            .create_with_context(group)
            .map_err(|e| kafka::error(&e, "creating a Kafka consumer"))?;
        consumer.subscribe(&[topic]).map_err(|e| kafka::error(&e, "joining the relay's group"))?;
        let leave = CancellationToken::new();
        let left = leave.clone();
        Ok(Self { news, leave: leave.drop_guard(), polling: kafka::start(move || poll(&consumer, &left)) })
    }

    /// The next news.
    ///
    /// # Errors
    /// `KafkaAcl`, `KafkaAuth`, `SessionTimeout` if the group takes no such member.
    pub async fn next(&mut self) -> Result<News> {
        match self.news.recv().await {
            Some(news) => Ok(news),
            None => {
                (&mut self.polling).await?;
                Err(Error::new(Code::KafkaUnavailable, "the relay's group is closed"))
            }
        }
    }

    /// Leaves the group, so that it need not wait for the session to end. A term must be over.
    ///
    /// # Errors
    /// As [`Membership::next`].
    pub async fn leave(self) -> Result<()> {
        drop(self.news);
        drop(self.leave);
        self.polling.await
    }
}

/// Takes part in the group until told to leave. The consumer is closed by its drop, which leaves the group.
fn poll(consumer: &BaseConsumer<Group>, leave: &CancellationToken) -> Result<()> {
    while !leave.is_cancelled() {
        // Records do not come: every partition is paused.
        if let Some(Err(error)) = consumer.poll(POLL) {
            let refused = |code| Err(Error::new(code, "joining the relay's group").caused_by(error.to_string()));
            match error.rdkafka_error_code() {
                Some(RDKafkaErrorCode::InvalidSessionTimeout) => return refused(Code::SessionTimeout),
                // What passes by itself; the client has logged it.
                _ if kafka::code(&error) == Code::KafkaUnavailable => {}
                _ => return refused(kafka::code(&error)),
            }
        }
    }
    Ok(())
}

/// What the member does when partitions come and go. Its methods run in the thread that polls.
struct Group {
    log: LogContext,
    topic: String,
    partition: i32,
    /// How long the last run of a term may take to drain.
    drain: Duration,
    process: Shutdown,
    news: UnboundedSender<News>,
    leading: Mutex<Option<Leading>>,
}

/// The present term, as the group sees it.
struct Leading {
    end: Shutdown,
    over: CancellationToken,
}

impl Group {
    fn is_ours(&self, partitions: &TopicPartitionList) -> bool {
        partitions.find_partition(&self.topic, self.partition).is_some()
    }

    /// Nobody listens any more when the member is about to leave.
    fn tell(&self, news: News) {
        if self.news.send(news).is_err() {
            tracing::debug!("news of the relay's group came too late");
        }
    }

    fn leading(&self) -> std::sync::MutexGuard<'_, Option<Leading>> {
        self.leading.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self) {
        let end = Shutdown { drain: self.process.drain.child_token(), abort: self.process.abort.child_token() };
        let over = CancellationToken::new();
        let term = Term { end: end.clone(), _over: over.clone().drop_guard() };
        *self.leading() = Some(Leading { end, over });
        self.tell(News::Leads(term));
    }

    /// Waits until nothing more can be written: only then another member may get the partition. Heartbeats go on
    /// meanwhile. A member that has lost it already only makes haste.
    fn end(&self, lost: bool) {
        let Some(Leading { end, over }) = self.leading().take() else { return };
        end.drain.cancel();
        Handle::current().block_on(async {
            if lost || tokio::time::timeout(self.drain, over.cancelled()).await.is_err() {
                end.abort.cancel();
                over.cancelled().await;
            }
        });
    }
}

impl ConsumerContext for Group {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(_) => {}
            Rebalance::Revoke(partitions) => {
                let lost = consumer.assignment_lost();
                if lost || self.is_ours(partitions) {
                    self.end(lost);
                }
                if lost {
                    self.tell(News::Lost);
                }
            }
            Rebalance::Error(_) => self.end(true),
        }
    }

    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let Rebalance::Assign(partitions) = rebalance else { return };
        // Membership is all that is wanted of them.
        if let Err(error) = consumer.pause(partitions) {
            tracing::debug!(%error, "the partitions of the relay's group are read in vain");
        }
        match self.is_ours(partitions) {
            true => self.begin(),
            false => self.tell(News::Joined),
        }
    }
}

impl ClientContext for Group {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.log.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.log.error(error, reason);
    }
}
