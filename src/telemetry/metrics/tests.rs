use super::*;
use crate::telemetry::status::{SourceFacts, Status};
use catalogue::{ALL, Family, Kind};
use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

fn metrics() -> Metrics {
    Metrics::new("orders", &BuildInfo::current(), ["shop.outbox"])
}

/// Value of the series that begins with `start`, labels without `relay`.
fn value(metrics: &Metrics, series: &str) -> Option<f64> {
    let text = metrics.encode().replace(",relay=\"orders\"", "");
    let text = text.replace("{relay=\"orders\"}", "");
    let line = text.lines().find(|line| line.strip_prefix(series).is_some_and(|rest| rest.starts_with(' ')))?;
    line.rsplit(' ').next()?.parse().ok()
}

#[test]
fn every_declared_metric_is_exposed_from_the_start_and_nothing_else() {
    let text = metrics().encode();
    let exposed: BTreeSet<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .filter_map(|line| line.split_once(' '))
        .filter(|(name, _)| name.starts_with("outboxd_"))
        .collect();
    let kind = |family: &Family| match family.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram(_) => "histogram",
    };
    assert_eq!(exposed, ALL.iter().map(|family| (family.name, kind(family))).collect());
    assert!(text.contains("process_resident_memory_bytes{relay=\"orders\"}"));
}

#[test]
fn names_follow_the_rules() {
    for family in ALL {
        let total = family.name.ends_with("_total");
        assert_eq!(total, family.kind == Kind::Counter, "{}", family.name);
        assert!(family.name.starts_with("outboxd_") && family.help.ends_with('.'), "{}", family.name);
        assert!(!family.labels.contains(&"relay"));
    }
    let names: BTreeSet<_> = ALL.iter().map(|family| family.name).collect();
    assert_eq!(names.len(), ALL.len(), "a name is used twice");
}

#[test]
fn every_series_carries_the_relays_name() {
    let text = metrics().encode();
    let mut series = text.lines().filter(|line| !line.starts_with('#'));
    assert!(series.all(|line| line.contains("relay=\"orders\"")));
}

#[test]
fn known_series_start_at_zero() {
    let metrics = metrics();
    let zero = [
        "outboxd_errors_total{code=\"OBX-2001\"}",
        "outboxd_outbox_events_total{table=\"shop.outbox\"}",
        "outboxd_outbox_ignored_total{reason=\"truncate\",table=\"shop.outbox\"}",
        "outboxd_outbox_invalid_total{reason=\"topic_name\",table=\"shop.outbox\"}",
        "outboxd_source_events_total{type=\"write_rows\"}",
        "outboxd_source_events_total{type=\"other\"}",
        "outboxd_source_transactions_total{compressed=\"true\"}",
        "outboxd_source_reconnects_total{reason=\"lost\"}",
        "outboxd_kafka_transactions_total{result=\"uncertain\"}",
        "outboxd_kafka_records_total{topic=\"_other\"}",
        "outboxd_kafka_errors_total{class=\"retriable\",code=\"AllBrokersDown\"}",
        "outboxd_tasks_panicked_total{task=\"delivery\"}",
        "outboxd_backpressure_seconds_total{stage=\"delivery\"}",
        "outboxd_state{state=\"streaming\"}",
        "outboxd_lag_seconds",
        "outboxd_source_xa_undecided",
        "outboxd_end_to_end_latency_seconds_count",
    ];
    for series in zero {
        assert_eq!(value(&metrics, series), Some(0.0), "{series}");
    }
    assert_eq!(value(&metrics, "outboxd_state{state=\"starting\"}"), Some(1.0));
}

#[test]
fn handles_count() {
    let metrics = metrics();
    let table = metrics.table("shop.outbox");
    table.events.add(3);
    table.invalid(Code::RecordTooLarge);
    table.invalid(Code::Internal);
    metrics.topic("a").bytes.add(10);
    metrics.source_events.inc(30);
    metrics.source_events.inc(23);
    metrics.source_events.inc(255);
    metrics.error(Code::SourceLost);
    metrics.source_reconnect(Code::SourceLost);
    metrics.kafka_error("UnknownTopic", ErrorClass::Abortable);
    metrics.kafka_transaction_bytes.observe(usize::MAX);
    let expected = [
        ("outboxd_outbox_events_total{table=\"shop.outbox\"}", 3.0),
        ("outboxd_outbox_invalid_total{reason=\"record_too_large\",table=\"shop.outbox\"}", 1.0),
        ("outboxd_kafka_bytes_total{topic=\"a\"}", 10.0),
        ("outboxd_source_events_total{type=\"write_rows\"}", 2.0),
        ("outboxd_source_events_total{type=\"other\"}", 1.0),
        ("outboxd_errors_total{code=\"OBX-2002\"}", 1.0),
        ("outboxd_source_reconnects_total{reason=\"lost\"}", 1.0),
        ("outboxd_kafka_errors_total{class=\"abortable\",code=\"UnknownTopic\"}", 1.0),
        ("outboxd_kafka_transaction_bytes_count", 1.0),
    ];
    for (series, count) in expected {
        assert_eq!(value(&metrics, series), Some(count), "{series}");
    }
}

#[test]
fn topics_beyond_the_limit_share_a_label() {
    let metrics = metrics();
    for n in 0..MAX_TOPIC_LABELS + 5 {
        metrics.topic(&format!("t{n}")).records.inc();
    }
    metrics.topic("t0").records.inc();
    assert_eq!(value(&metrics, "outboxd_kafka_records_total{topic=\"t0\"}"), Some(2.0));
    assert_eq!(value(&metrics, "outboxd_kafka_records_total{topic=\"_other\"}"), Some(5.0));
    assert_eq!(value(&metrics, "outboxd_kafka_records_total{topic=\"t200\"}"), None);
}

#[tokio::test(start_paused = true)]
async fn the_status_shows_in_the_metrics() {
    let metrics = metrics();
    let status = Status::new("orders");
    status.source_connected(SourceFacts {
        host: "db:3306".into(),
        version: "8.4.0".into(),
        server_uuid: String::new(),
        mode: crate::position::PositionMode::Gtid,
    });
    status.streaming();
    let hour_ago = SystemTime::now() - Duration::from_secs(3600);
    status.set_oldest_undelivered(Some(hour_ago));
    let (mut sender, _receiver) = crate::channel::channel(100);
    status.attach(sender.gauge());
    sender.send((), 100).await.unwrap();
    assert!(tokio::time::timeout(Duration::from_secs(5), sender.send((), 1)).await.is_err());
    metrics.observe(&status);
    assert_eq!(value(&metrics, "outboxd_state{state=\"streaming\"}"), Some(1.0));
    assert_eq!(value(&metrics, "outboxd_state{state=\"starting\"}"), Some(0.0));
    assert_eq!(value(&metrics, "outboxd_source_connected"), Some(1.0));
    assert_eq!(value(&metrics, "outboxd_buffer_bytes"), Some(100.0));
    assert_eq!(value(&metrics, "outboxd_buffer_limit_bytes"), Some(100.0));
    assert!(value(&metrics, "outboxd_lag_seconds").unwrap() >= 3600.0);
    assert!(value(&metrics, "outboxd_source_last_contact_timestamp_seconds").unwrap() > 1.7e9);

    let waited = "outboxd_backpressure_seconds_total{stage=\"delivery\"}";
    assert_eq!(value(&metrics, waited), Some(5.0));
    status.attach(crate::channel::channel::<()>(100).0.gauge());
    metrics.observe(&status);
    assert_eq!(value(&metrics, waited), Some(5.0), "a new run's channel starts over, the counter does not");
}
