//! The status as JSON, for `GET /status` and `outboxd status`. Field names are an interface.

use super::{Blocked, CheckpointFacts, SinkFacts, SourceFacts, State, Status, SystemTime};
use crate::config::DeliveryMode;
use crate::telemetry::metrics::BuildInfo;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering};

impl Status {
    /// Everything, as JSON. Times are RFC 3339, UTC.
    pub fn snapshot(&self) -> Value {
        let facts = self.facts();
        let flow = facts.flow();
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut source = facts.source.as_ref().map_or_else(|| json!({}), of_source);
        source["connected"] = json!(self.is_connected());
        source["last_contact"] = json!(self.last_contact().map(rfc3339));
        source["last_event"] = json!(self.last_event().map(rfc3339));
        source["file"] = json!(facts.reading.as_ref().map(|position| &*position.file));
        source["offset"] = json!(facts.reading.as_ref().map(|position| position.offset));
        let delivered = &self.delivered;
        json!({
            "name": self.name,
            "version": env!("CARGO_PKG_VERSION"),
            "librdkafka": BuildInfo::current().librdkafka,
            "started_at": rfc3339(self.started_at),
            "uptime_seconds": self.started_at.elapsed().map_or(0, |age| age.as_secs()),
            "state": facts.state.name(),
            "role": self.role(),
            "phase": (facts.state == State::Starting || facts.state == State::Stalled).then_some(facts.phase),
            "blocked": facts.blocked.as_ref().map(of_blocked),
            "resume_reason": facts.resume_reason,
            "lag_seconds": self.lag().as_secs_f64(),
            "source": source,
            "sink": facts.sink.as_ref().map(of_sink),
            "checkpoint": facts.checkpoint.as_ref().map(of_checkpoint),
            "delivered": {
                "rows": load(&delivered.rows),
                "records": load(&delivered.records),
                "source_transactions": load(&delivered.transactions),
                "kafka_transactions": load(&delivered.kafka_transactions),
            },
            "in_flight": { "bytes": flow.in_flight_bytes, "limit_bytes": flow.limit_bytes },
        })
    }

    /// What `GET /readyz` answers when the relay is ready: it streams, or stands by.
    pub fn ready(&self) -> Option<Value> {
        let facts = self.facts();
        let ready = matches!(facts.state, State::Streaming | State::Standby);
        ready.then(|| json!({ "state": facts.state.name(), "role": self.role() }))
    }

    /// Why the relay is not ready, as JSON; `None` when it is.
    pub fn unready(&self) -> Option<Value> {
        if self.ready().is_some() {
            return None;
        }
        let facts = self.facts();
        let mut body = facts.blocked.as_ref().map_or_else(
            || json!({ "code": null, "since": rfc3339(self.started_at), "detail": facts.phase, "fix": null }),
            of_blocked,
        );
        body["state"] = json!(facts.state.name());
        body["role"] = json!(self.role());
        Some(body)
    }
}

fn of_blocked(blocked: &Blocked) -> Value {
    let Blocked { code, since, detail, fix } = blocked;
    json!({ "code": code.to_string(), "since": rfc3339(*since), "detail": detail, "fix": fix })
}

fn of_source(source: &SourceFacts) -> Value {
    let mode = source.mode.as_str();
    let host = without_userinfo(&source.host);
    json!({ "host": host, "version": source.version, "server_uuid": source.server_uuid, "mode": mode })
}

fn of_sink(sink: &SinkFacts) -> Value {
    let delivery = match sink.delivery {
        DeliveryMode::ExactlyOnce => "exactly-once",
        DeliveryMode::AtLeastOnce => "at-least-once",
    };
    let brokers: Vec<_> = sink.brokers.iter().map(|broker| without_userinfo(broker)).collect();
    json!({
        "brokers": brokers,
        "cluster_id": sink.cluster_id,
        "transactional_ids": sink.transactional_ids,
        "delivery": delivery,
    })
}

fn of_checkpoint(checkpoint: &CheckpointFacts) -> Value {
    json!({
        "topic": &*checkpoint.topic,
        "partition": checkpoint.partition,
        "sequence": checkpoint.sequence,
        "time": rfc3339(checkpoint.time),
        "file": checkpoint.position.as_ref().map(|position| &*position.file),
        "offset": checkpoint.position.as_ref().map(|position| position.offset),
        "executed": checkpoint.executed.as_ref().map(ToString::to_string),
    })
}

/// An address is not the place for an account, but a DSN pasted into one would show it.
fn without_userinfo(address: &str) -> &str {
    address.rsplit_once('@').map_or(address, |(_, host)| host)
}

fn rfc3339(time: SystemTime) -> String {
    humantime::format_rfc3339_micros(time).to_string()
}
