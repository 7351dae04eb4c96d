use super::*;
use crate::telemetry::metrics::BuildInfo;
use serde_json::Value;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

struct Server {
    address: SocketAddr,
    status: Arc<Status>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

async fn server() -> Server {
    let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let status = Arc::new(Status::new("<orders>"));
    let metrics = Arc::new(Metrics::new("<orders>", &BuildInfo::current(), ["shop.outbox"]));
    let stop = CancellationToken::new();
    let task = tokio::spawn(serve(listener, Arc::clone(&status), metrics, stop.clone()));
    Server { address, status, stop, task }
}

impl Server {
    /// Sends `request` as it is; the whole answer.
    async fn raw(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    /// Status, headers and body.
    async fn ask(&self, method: &str, path: &str) -> (u16, String, String) {
        let request = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let answer = self.raw(&request).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let code = head.split(' ').nth(1).unwrap().parse().unwrap();
        (code, head.to_ascii_lowercase(), body.to_owned())
    }

    async fn get(&self, path: &str) -> (u16, String) {
        let (code, _, body) = self.ask("GET", path).await;
        (code, body)
    }

    async fn json(&self, path: &str) -> (u16, Value) {
        let (code, body) = self.get(path).await;
        (code, serde_json::from_str(&body).unwrap())
    }

    fn stall(&self) {
        self.status.stalled(&Error::new(Code::KafkaUnavailable, "k:9092 <b>does not answer"));
    }
}

#[tokio::test]
async fn liveness_asks_neither_mysql_nor_kafka() {
    let server = server().await;
    server.stall();
    assert_eq!(server.get("/livez").await, (200, "ok\n".into()));
    assert_eq!(server.get("/healthz").await.0, 200);
    server.status.panicked("delivery");
    assert_eq!(server.get("/livez").await, (503, "the task delivery panicked\n".into()));
    server.status.streaming();
    assert_eq!(server.get("/livez").await.0, 200);
}

#[tokio::test]
async fn readiness_says_what_to_do() {
    let server = server().await;
    server.status.starting("reading the checkpoint");
    let (code, body) = server.json("/readyz").await;
    assert_eq!((code, &body["state"], &body["detail"]), (503, &"starting".into(), &"reading the checkpoint".into()));
    server.stall();
    let (code, body) = server.json("/readyz").await;
    assert_eq!((code, &body["code"], &body["state"]), (503, &"OBX-4001".into(), &"stalled".into()));
    assert_eq!(body["fix"], Code::KafkaUnavailable.fix());
    assert!(body["since"].is_string() && body["status"].is_null());
    server.status.streaming();
    assert_eq!(server.json("/readyz").await, (200, serde_json::json!({ "state": "streaming", "role": "leader" })));
    server.status.standing_by();
    assert_eq!(server.json("/readyz").await, (200, serde_json::json!({ "state": "standby", "role": "standby" })));
    assert_eq!(server.json("/readyz?verbose").await.1["status"]["name"], "<orders>");
    server.status.stopping();
    assert_eq!(server.json("/readyz").await.0, 503);
}

#[tokio::test]
async fn startup_is_once() {
    let server = server().await;
    assert_eq!(server.get("/startupz").await.0, 503);
    server.status.set_started();
    server.stall();
    assert_eq!(server.get("/startupz").await.0, 200);
}

#[tokio::test]
async fn metrics_are_prometheus_text_of_now() {
    let server = server().await;
    server.status.streaming();
    let (code, head, body) = server.ask("GET", "/metrics").await;
    assert_eq!(code, 200);
    assert!(head.contains("content-type: text/plain; version=0.0.4"), "{head}");
    assert!(body.contains("outboxd_state{state=\"streaming\",relay=\"<orders>\"} 1"), "{body}");
}

#[tokio::test]
async fn status_is_json_and_the_index_escapes() {
    let server = server().await;
    server.stall();
    let (code, head, _) = server.ask("GET", "/status").await;
    assert!(code == 200 && head.contains("application/json") && head.contains("no-store"));
    assert_eq!(server.json("/status").await.1["blocked"]["code"], "OBX-4001");
    let (code, page) = server.get("/").await;
    assert_eq!(code, 200);
    assert!(page.contains("&lt;orders&gt;") && page.contains("<b>stalled</b>") && page.contains("&lt;b&gt;does not"));
    for path in ["/livez", "/readyz", "/startupz", "/metrics", "/status"] {
        assert!(page.contains(path), "{path}");
    }
}

#[tokio::test]
async fn nothing_but_get_and_known_paths() {
    let server = server().await;
    assert_eq!(server.get("/secrets").await.0, 404);
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        let (code, head, _) = server.ask(method, "/status").await;
        assert!(code == 405 && head.contains("allow: get, head"), "{method}: {head}");
    }
    assert_eq!(server.ask("HEAD", "/livez").await.0, 200);
    let long = format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "x".repeat(100_000));
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let _ = stream.write_all(long.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP/1.1 200"));
    assert_eq!(server.get("/livez").await.0, 200);
}

#[tokio::test]
async fn stops_in_spite_of_an_idle_connection() {
    let server = server().await;
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    idle.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut first = [0; 12];
    idle.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    server.stop.cancel();
    tokio::time::timeout(Duration::from_secs(10), server.task).await.unwrap().unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn a_taken_address_is_named() {
    let server = server().await;
    let error = bind(server.address).await.unwrap_err();
    assert_eq!((error.code(), error.exit_code()), (Code::HttpListen, 78));
    assert!(error.message().contains(&server.address.to_string()));
}

/// Time is paused and jumps ahead whenever everything waits, so the limits pass at once.
#[tokio::test(start_paused = true)]
async fn clients_that_trickle_are_cut_and_make_room() {
    let server = server().await;
    let start = tokio::time::Instant::now();
    let mut slow = Vec::new();
    for _ in 0..connections::MAX_CONNECTIONS {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(b"GET /livez HTTP/1.1\r\nHost:").await.unwrap();
        slow.push(stream);
    }
    server.status.streaming();
    assert!(server.raw("GET /readyz HTTP/1.0\r\n\r\n").await.contains(" 200 "));
    let mut rest = Vec::new();
    slow[0].read_to_end(&mut rest).await.unwrap();
    assert!(start.elapsed() < connections::MAX_AGE, "{:?}", start.elapsed());
}
