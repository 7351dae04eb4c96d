//! What stands between this configuration and a stream, without starting one: the checks of the start, Kafka's settings,
//! the checkpoint, and whether the source still has what comes behind it. It changes nothing, and disturbs no relay.

use std::sync::Arc;

use super::start::Beginning;
use crate::binlog::preflight::{self, Facts};
use crate::binlog::server::Server;
use crate::binlog::{connect, history};
use crate::checkpoint::Checkpoint;
use crate::checkpoint::store::Store;
use crate::config::{Config, Host};
use crate::delivery::survey;
use crate::error::Result;
use crate::findings::Finding;
use crate::telemetry::Metrics;
use crate::telemetry::metrics::BuildInfo;

/// The findings of each side, in the order in which a start would meet them.
#[derive(Debug)]
pub struct Diagnosis {
    /// Kafka: brokers, topics, checkpoint.
    pub kafka: Vec<Finding>,
    /// MySQL: privileges, settings, tables, history.
    pub mysql: Vec<Finding>,
}

impl Diagnosis {
    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Finding> {
        self.kafka.iter().chain(&self.mysql)
    }
}

/// Looks at everything, whatever is wrong on the way.
pub async fn diagnose(config: &Config) -> Diagnosis {
    let metrics = Arc::new(Metrics::new(&config.name, &BuildInfo::current(), std::iter::empty()));
    let mut kafka = Vec::new();
    let checkpoint = match survey::read(config, Arc::clone(&metrics)).await {
        Err(error) => {
            kafka.push(Finding::failed("brokers", &error));
            None
        }
        Ok(cluster) => {
            kafka.extend(survey::inspect(&cluster, config));
            let (checkpoint, finding) = checkpoint(config, metrics).await;
            kafka.push(finding);
            checkpoint
        }
    };
    let mut mysql = Vec::new();
    for host in &config.source.hosts {
        match source(config, host, checkpoint.as_ref()).await {
            Ok(found) => mysql.extend(found),
            Err(error) => mysql.push(Finding::failed("connection", &error)),
        }
    }
    Diagnosis { kafka, mysql }
}

/// The newest checkpoint as it is now; a relay may be writing the next one.
async fn checkpoint(config: &Config, metrics: Arc<Metrics>) -> (Option<Checkpoint>, Finding) {
    const CHECK: &str = "checkpoint";
    let looked = async {
        let Some(store) = Store::existing(config, metrics).await? else { return Ok(None) };
        let Some((checkpoint, _)) = store.peek().await? else { return Ok(None) };
        Beginning::ensure_cluster(&checkpoint, store.cluster_id())?;
        Result::Ok(Some(checkpoint))
    };
    match looked.await {
        Err(error) => (None, Finding::failed(CHECK, &error)),
        Ok(None) => (
            None,
            Finding::good(CHECK, format!("none: the first start begins at source.start, {:?}", config.source.start)),
        ),
        Ok(Some(checkpoint)) => {
            let begun = checkpoint.begun.as_ref().map(|begun| format!("; then {begun}")).unwrap_or_default();
            let what = format!(
                "number {} of {}, at {}, {} records so far{begun}",
                checkpoint.sequence, checkpoint.owner, checkpoint.position, checkpoint.counters.records
            );
            (Some(checkpoint), Finding::good(CHECK, what))
        }
    }
}

async fn source(config: &Config, host: &Host, checkpoint: Option<&Checkpoint>) -> Result<Vec<Finding>> {
    let mut conn = connect::connect(&config.source, host).await?;
    let server = connect::within("reading its settings", Server::read(&mut conn)).await??;
    let server = history::choose_mode(server, config.source.positions)?;
    let reading = preflight::tables::read(&mut conn, &config.outboxes);
    let tables = connect::within("looking for the outbox tables", reading).await??;
    let mut found =
        vec![Finding::good("connection", format!("{} {} at {host}", server.flavour().as_str(), server.version))];
    let facts = Facts { server: &server, tables: &tables, config, resuming: checkpoint.is_some() };
    found.extend(preflight::inspect(&facts));
    if server.refused.is_empty() {
        found.push(position(config, checkpoint, &server));
    }
    Ok(found)
}

/// The log itself is compared only when the relay reads it again.
fn position(config: &Config, checkpoint: Option<&Checkpoint>, server: &Server) -> Finding {
    const CHECK: &str = "position";
    let answer = match checkpoint {
        Some(checkpoint) => history::resume(&checkpoint.processed(), server).map(|_| checkpoint.position.clone()),
        None => history::first_start(&config.source.start, server).map(|(position, _)| position),
    };
    match answer {
        Ok(position) => Finding::good(CHECK, format!("the server has what comes behind {position}")),
        Err(error) => Finding::failed(CHECK, &error),
    }
}
