use super::*;
use crate::config::DeliveryMode;
use crate::error::Code;
use tokio::time::{advance, sleep};

fn error(code: Code) -> Error {
    Error::new(code, "db:3306 does not answer").caused_by("connection refused")
}

fn stalled(status: &Status) -> Blocked {
    status.stalled(&error(Code::SourceUnavailable));
    status.blocked().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_pipeline_that_does_not_tick_is_dead() {
    let status = Status::new("orders");
    advance(TICK_LIMIT).await;
    assert_eq!(status.dead(), None);
    advance(Duration::from_secs(1)).await;
    assert_eq!(status.dead().unwrap(), "the pipeline has not moved for 31 s");
    status.tick();
    assert_eq!(status.dead(), None);
}

#[tokio::test(start_paused = true)]
async fn a_bounded_wait_ticks() {
    let status = Status::new("orders");
    assert_eq!(status.ticking(async { sleep(TICK_LIMIT * 3).await }).await, ());
    assert_eq!(status.dead(), None);
}

#[test]
fn a_panicked_task_is_dead_until_it_streams_again() {
    let status = Status::new("orders");
    status.panicked("source");
    status.tick();
    assert_eq!(status.dead().unwrap(), "the task source panicked");
    status.streaming();
    assert_eq!(status.dead(), None);
}

#[test]
fn a_stall_keeps_its_beginning_until_it_streams() {
    let status = Status::new("orders");
    let first = stalled(&status);
    status.starting("connecting");
    assert_eq!(status.state(), State::Stalled, "trying again is still a stall");
    status.stalled(&error(Code::SourceLost));
    let second = status.blocked().unwrap();
    assert_eq!((second.code, second.since), (Code::SourceLost, first.since));
    status.streaming();
    assert!(status.blocked().is_none() && status.state() == State::Streaming);
    assert!(status.unready().is_none());
}

#[test]
fn unready_says_what_to_do() {
    let status = Status::new("orders");
    status.starting("reading the checkpoint");
    let starting = status.unready().unwrap();
    assert_eq!((&starting["state"], &starting["detail"]), (&"starting".into(), &"reading the checkpoint".into()));
    stalled(&status);
    let body = status.unready().unwrap();
    assert_eq!((&body["code"], &body["state"]), (&"OBX-2001".into(), &"stalled".into()));
    assert_eq!(body["detail"], "db:3306 does not answer: connection refused");
    assert_eq!(body["fix"], Code::SourceUnavailable.fix());
    assert!(body["since"].as_str().unwrap().ends_with('Z'));
    status.stopping();
    assert_eq!(status.unready().unwrap()["state"], "stopping");
}

#[test]
fn lag_grows_while_nothing_moves() {
    let ago = |seconds| Some(SystemTime::now() - Duration::from_secs(seconds));
    let status = Status::new("orders");
    assert_eq!(status.lag(), Duration::ZERO);
    status.last_contact.set(ago(100));
    assert!(status.lag() >= Duration::from_secs(100), "disconnected: at least since the last contact");
    status.connected.store(true, Ordering::Relaxed);
    assert_eq!(status.lag(), Duration::ZERO);
    status.set_oldest_undelivered(ago(50));
    assert!(status.lag() >= Duration::from_secs(50));
    status.set_oldest_undelivered(Some(SystemTime::now() + Duration::from_secs(50)));
    assert_eq!(status.lag(), Duration::ZERO, "MySQL's clock may be ahead");
    status.set_oldest_undelivered(None);
    assert_eq!(status.lag(), Duration::ZERO);
}

#[test]
fn the_snapshot_has_everything_and_no_account() {
    let status = Status::new("orders");
    let position = FilePosition { file: "mysql-bin.000031".into(), offset: 887 };
    status.source_connected(SourceFacts {
        host: "outboxd:hunter2@db:3306".into(),
        version: "8.4.6".into(),
        server_uuid: "3e11fa47-71ca-11e1-9e33-c80aa9429562".into(),
        mode: crate::position::PositionMode::Gtid,
    });
    status.reading(position.clone());
    status.resumed("checkpoint 41");
    status.sink(SinkFacts {
        brokers: vec!["user:hunter2@k:9092".into(), "k2:9092".into()],
        cluster_id: Some("c".into()),
        transactional_ids: vec!["outboxd.orders.0".into()],
        delivery: DeliveryMode::ExactlyOnce,
    });
    status.checkpoint(CheckpointFacts {
        topic: "outboxd.checkpoints".into(),
        partition: 3,
        sequence: 42,
        time: SystemTime::UNIX_EPOCH + Duration::from_micros(1_000_001),
        position: Some(position),
        executed: Some("3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5:7".parse().unwrap()),
    });
    status.delivered(5, 6, 2);
    status.streaming();
    let snapshot = status.snapshot();
    assert_eq!(snapshot["source"]["host"], "db:3306");
    assert_eq!(snapshot["source"]["offset"], 887);
    assert_eq!(snapshot["sink"]["brokers"], serde_json::json!(["k:9092", "k2:9092"]));
    assert_eq!(snapshot["checkpoint"]["executed"], "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5:7");
    assert_eq!(snapshot["checkpoint"]["time"], "1970-01-01T00:00:01.000001Z");
    assert_eq!(snapshot["delivered"]["records"], 6);
    assert_eq!((&snapshot["state"], &snapshot["resume_reason"]), (&"streaming".into(), &"checkpoint 41".into()));
    assert!(!snapshot.to_string().contains("hunter2"));
}

#[test]
fn a_standby_is_ready_and_leaves_the_lag_to_the_leader() {
    let status = Status::new("orders");
    assert_eq!(status.snapshot()["role"], "leader", "without hot standby");
    status.joining();
    assert_eq!(status.unready().unwrap()["role"], "standby");
    status.last_contact.set(Some(SystemTime::now() - Duration::from_secs(100)));
    status.standing_by();
    assert!(status.ready().is_some() && status.started());
    assert_eq!(status.lag(), Duration::ZERO);
    status.leading();
    assert_eq!((status.state(), status.unready().unwrap()["role"].as_str()), (State::Starting, Some("leader")));
    status.streaming();
    status.joining();
    assert_eq!((status.state(), status.snapshot()["role"].as_str()), (State::Starting, Some("standby")));
}
