//! What each path answers.

use crate::telemetry::{Metrics, Status, metrics};
use axum::Router;
use axum::extract::{self, Query};
use axum::http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{Method, Request, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;

#[derive(Clone)]
struct Shared {
    status: Arc<Status>,
    metrics: Arc<Metrics>,
}

pub(super) fn router(status: Arc<Status>, metrics: Arc<Metrics>) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/livez", get(live))
        .route("/healthz", get(live))
        .route("/readyz", get(ready))
        .route("/startupz", get(started))
        .route("/metrics", get(exposition))
        .route("/status", get(status_json))
        .fallback(|| async { (StatusCode::NOT_FOUND, "not found; GET / lists the endpoints\n") })
        .layer(middleware::from_fn(read_only))
        .with_state(Shared { status, metrics })
}

/// GET and HEAD only, on every path; and no answer is worth keeping.
async fn read_only(request: Request<axum::body::Body>, next: Next) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return (StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, "GET, HEAD")]).into_response();
    }
    ([(CACHE_CONTROL, "no-store")], next.run(request).await).into_response()
}

async fn live(extract::State(shared): extract::State<Shared>) -> Response {
    match shared.status.dead() {
        None => (StatusCode::OK, "ok\n").into_response(),
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response(),
    }
}

/// `verbose` adds the whole status to either answer.
async fn ready(
    extract::State(shared): extract::State<Shared>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let (code, mut body) = match shared.status.ready() {
        Some(body) => (StatusCode::OK, body),
        None => (StatusCode::SERVICE_UNAVAILABLE, shared.status.unready().unwrap_or_default()),
    };
    if query.contains_key("verbose") {
        body["status"] = shared.status.snapshot();
    }
    of_json(code, &body)
}

async fn started(extract::State(shared): extract::State<Shared>) -> Response {
    if shared.status.started() {
        return (StatusCode::OK, "ok\n").into_response();
    }
    of_json(StatusCode::SERVICE_UNAVAILABLE, &shared.status.unready().unwrap_or_default())
}

async fn exposition(extract::State(shared): extract::State<Shared>) -> Response {
    shared.metrics.observe(&shared.status);
    ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], shared.metrics.encode()).into_response()
}

async fn status_json(extract::State(shared): extract::State<Shared>) -> Response {
    of_json(StatusCode::OK, &shared.status.snapshot())
}

async fn index(extract::State(shared): extract::State<Shared>) -> Html<String> {
    let status = &shared.status;
    let why = status.blocked().map_or_else(String::new, |blocked| {
        let detail = format!("{}: {}", blocked.code, blocked.detail);
        format!("<p>{}</p>\n<p>{}</p>\n", escaped(&detail), escaped(&blocked.fix))
    });
    Html(format!(
        "<!doctype html>\n<title>outboxd {name}</title>\n<h1>outboxd {name}</h1>\n<p>State: <b>{state}</b>, lag {lag:.1} s</p>\n\
         {why}<ul>\n\
         <li><a href=\"/status\">/status</a> everything, as JSON</li>\n\
         <li><a href=\"/metrics\">/metrics</a> for Prometheus</li>\n\
         <li><a href=\"/readyz?verbose\">/readyz</a> do rows flow now?</li>\n\
         <li><a href=\"/livez\">/livez</a> does the process itself work?</li>\n\
         <li><a href=\"/startupz\">/startupz</a> did it ever connect?</li>\n</ul>\n",
        name = escaped(status.name()),
        state = status.state().name(),
        lag = status.lag().as_secs_f64(),
    ))
}

fn of_json(code: StatusCode, body: &Value) -> Response {
    (code, [(CONTENT_TYPE, "application/json")], format!("{body:#}\n")).into_response()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
