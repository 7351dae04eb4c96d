//! Orchestrators, dashboards and people learn over HTTP what the relay does, and nobody learns a secret.

use crate::support::ending::end;
use crate::support::{Outbox, PATIENCE};
use serde_json::Value;
use testbed::{shared, wait};

/// Stands in the password, and must not stand anywhere else.
const CANARY: &str = "canary-7f3a";

const PATHS: [&str; 6] = ["/", "/livez", "/readyz?verbose", "/startupz", "/metrics", "/status"];

fn code(outbox: &Outbox<'_>, path: &str) -> u16 {
    outbox.get(path).map_or(0, |(code, _)| code)
}

fn json(outbox: &Outbox<'_>, path: &str) -> Value {
    outbox.get(path).and_then(|(_, body)| serde_json::from_str(&body).ok()).unwrap_or_default()
}

fn wait_for(what: &str, condition: impl FnMut() -> bool) {
    wait::until(PATIENCE, what, condition).unwrap();
}

/// The value of a series, whose labels hold `labels`.
fn metric(outbox: &Outbox<'_>, name: &str, labels: &str) -> f64 {
    let text = outbox.get("/metrics").map_or_else(String::new, |(_, body)| body);
    let is_it =
        |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{'])) && line.contains(labels);
    text.lines().filter(is_it).filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
}

fn assert_no_canary(outbox: &Outbox<'_>) {
    for path in PATHS {
        let (_, body) = outbox.get(path).unwrap();
        assert!(!body.contains(CANARY), "{path}: {body}");
    }
}

#[test]
fn while_kafka_is_away_it_lives_but_is_not_ready() {
    let servers = shared().unwrap();
    let outbox = Outbox::new("http_starting", &servers.mysql, &servers.kafka);
    let nowhere = format!("kafka.brokers=127.0.0.1:{}", testbed::ports::free().unwrap());
    let mut relay = outbox.start_with(&["--set", &nowhere]);
    wait_for("an answer", || code(&outbox, "/livez") == 200);
    assert_eq!((code(&outbox, "/readyz"), code(&outbox, "/startupz")), (503, 503));
    wait_for("the reason", || json(&outbox, "/readyz")["code"] == "OBX-4001");
    let status = json(&outbox, "/status");
    assert!(["starting", "stalled"].contains(&status["state"].as_str().unwrap()), "{status}");
    assert_eq!(status["blocked"]["code"], "OBX-4001");
    assert_eq!((code(&outbox, "/livez"), code(&outbox, "/nothing")), (200, 404));
    relay.sigterm().unwrap();
    relay.wait_exit(PATIENCE).unwrap();
}

#[test]
fn it_tells_when_rows_flow_when_they_do_not_and_never_a_secret() {
    let servers = shared().unwrap();
    let mut outbox = Outbox::new("http_flow", &servers.mysql, &servers.kafka);
    outbox.extra = "log.level = \"trace,librdkafka=trace,rdkafka=trace,mysql_async=trace,hyper=trace\"".to_owned();
    servers
        .mysql
        .sql(&format!(
            "CREATE USER canary IDENTIFIED BY '{CANARY}'; GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO canary"
        ))
        .unwrap();
    servers.kafka.create_topic("http_flow.Known", 3, &[]).unwrap();
    let password = format!("source.password={CANARY}");
    let relay =
        outbox.start_with(&["--set", "source.user=canary", "--set", &password, "--set", "kafka.create_topics=false"]);
    outbox.wait_ready();
    assert_eq!((code(&outbox, "/livez"), code(&outbox, "/startupz")), (200, 200));
    outbox.insert("a", "Known", "1", r#"{"secret": "row-canary"}"#);
    outbox.wait_delivered(1);
    let status = json(&outbox, "/status");
    assert_eq!((status["state"].as_str(), status["delivered"]["records"].as_u64()), (Some("streaming"), Some(1)));
    assert_eq!(status["source"]["connected"], true);
    assert!(metric(&outbox, "outboxd_outbox_events_total", "http_flow.outbox") >= 1.0);
    let (events, bytes) =
        (metric(&outbox, "outboxd_source_events_total", ""), metric(&outbox, "outboxd_source_bytes_total", ""));
    assert!(events > 3.0 && bytes > 100.0, "{events} {bytes}");
    assert_no_canary(&outbox);

    outbox.insert("b", "Unknown", "1", "{}");
    wait_for("the stall", || code(&outbox, "/readyz") == 503);
    let blocked = json(&outbox, "/status");
    assert_eq!((blocked["state"].as_str(), blocked["blocked"]["code"].as_str()), (Some("stalled"), Some("OBX-4101")));
    assert!(
        blocked["blocked"]["detail"].as_str().is_some_and(|detail| detail.contains("http_flow.Unknown")),
        "{blocked}"
    );
    assert!(blocked["blocked"]["fix"].as_str().is_some_and(|fix| fix.contains("Create the topic")), "{blocked}");
    assert_eq!((code(&outbox, "/livez"), code(&outbox, "/startupz")), (200, 200));
    assert_no_canary(&outbox);

    servers.kafka.create_topic("http_flow.Unknown", 3, &[]).unwrap();
    outbox.wait_delivered(2);
    outbox.wait_ready();
    assert!(metric(&outbox, "outboxd_source_events_total", "") > events);
    assert!(
        relay.lines().iter().any(|line| line.contains("TRACE") || line.contains("DEBUG")),
        "the log does not tell everything"
    );
    assert!(relay.lines().iter().all(|line| !line.contains(CANARY) && !line.contains("row-canary")));
    end(relay);
}
