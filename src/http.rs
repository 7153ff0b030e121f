//! Metrics, health and status over HTTP: `/`, `/v1/status`, `/metrics`, `/livez`, `/readyz`, and `/admin/…` for who may.
//!
//! Reads what lanes say about themselves ([`Status`]) and counts ([`Metrics`]); never waits for a lane, never sees a
//! record, never answers with anything secret.

mod admin;
mod door;
mod page;
mod status;
mod windows;

use crate::clock::Clock;
use crate::config::{Admin, Config};
use crate::logs::Logs;
use crate::metrics::Metrics;
use crate::recent::Desk;
use crate::status::{About, NotReady, Status};
use admin::Peer;
use anyhow::Context;
use axum::Router;
use axum::extract::connect_info::IntoMakeServiceWithConnectInfo;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use door::Door;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;

/// A request line with more bytes, or headers with more in total, are refused: a scrape needs some hundred.
const HEADERS_BYTES_MAX: usize = 8 << 10;

/// What the pages are made of.
#[derive(Clone)]
pub struct Pages {
    metrics: Metrics,
    status: Status,
    logs: Logs,
    about: About,
    admin: Admin,
    clock: Arc<dyn Clock + Send + Sync>,
    desk: Desk,
}

impl Pages {
    /// Pages over these; `clock` is the one whose monotonic time the lanes write into `status`.
    pub fn new(
        config: &Config,
        instance: &str,
        metrics: Metrics,
        status: Status,
        logs: Logs,
        clock: Arc<dyn Clock + Send + Sync>,
    ) -> Self {
        let admin = config.http.as_ref().map_or(Admin::Off, |http| http.admin.clone());
        Self { metrics, status, logs, about: About::new(config, instance), admin, clock, desk: Desk::default() }
    }

    /// The same with questions about windows answered at this desk.
    pub fn with_desk(self, desk: Desk) -> Self {
        Self { desk, ..self }
    }
}

/// Takes the address; port 0 takes any free one (see [`TcpListener::local_addr`]).
///
/// # Errors
/// The address is taken or not ours, with what to do next.
pub async fn bind(listen: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(listen)
        .await
        .with_context(|| format!("cannot listen on {listen}: set http.listen to a free address, or to off"))
}

/// Answers until `shutdown` is ready, then until the last answer is taken: wait for that as long as you can afford.
///
/// # Errors
/// The listener is lost.
pub async fn serve(
    listener: TcpListener,
    pages: Pages,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    axum::serve(Door::new(listener), service(pages)).with_graceful_shutdown(shutdown).await.context("HTTP server")
}

fn service(pages: Pages) -> IntoMakeServiceWithConnectInfo<Router, Peer> {
    router(pages).into_make_service_with_connect_info()
}

fn router(pages: Pages) -> Router {
    let admin = Router::new()
        .route("/heap", get(admin::heap))
        .route("/log", get(admin::level))
        .route("/log/{level}", post(admin::set_level))
        .layer(from_fn_with_state(pages.clone(), admin::guard));
    Router::new()
        .nest("/admin", admin)
        .route("/", get(page::index))
        .route("/page.css", get(page::style))
        .route("/page.js", get(page::script))
        .merge(windows::router(pages.desk.clone()))
        .route("/metrics", get(metrics))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/v1/status", get(status::status))
        .layer(from_fn(within_limits))
        .layer(map_response(one_request_each))
        .with_state(pages)
}

async fn metrics(State(pages): State<Pages>) -> Response {
    match pages.metrics.text() {
        Ok(text) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("cannot gather metrics: {error}\n")).into_response(),
    }
}

/// Fails only when a lane is stuck: a restart would help. Never because Kafka is away: a restart would not.
async fn livez(State(pages): State<Pages>) -> Response {
    lines(pages.status.stuck(pages.clock.monotonic(), pages.about.step_max))
}

async fn readyz(State(pages): State<Pages>) -> Response {
    lines(pages.status.not_ready(pages.clock.monotonic(), pages.about.step_max))
}

/// 200 without complaints, else 503 with one on each line.
fn lines(complaints: Vec<NotReady>) -> Response {
    let text: String = complaints.iter().map(|line| line.to_string().replace(['\n', '\r'], " ") + "\n").collect();
    if text.is_empty() { "ok\n".into_response() } else { (StatusCode::SERVICE_UNAVAILABLE, text).into_response() }
}

/// No page reads a body, so one that announces a body is refused before it comes.
async fn within_limits(request: Request, next: Next) -> Response {
    let headers = request.headers();
    let bytes = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum::<usize>();
    if bytes + request.uri().path().len() > HEADERS_BYTES_MAX {
        return (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "headers too large\n").into_response();
    }
    let announced = headers.get(header::CONTENT_LENGTH).is_some_and(|length| length != "0");
    if announced || headers.contains_key(header::TRANSFER_ENCODING) {
        return (StatusCode::PAYLOAD_TOO_LARGE, "no page here takes a body\n").into_response();
    }
    next.run(request).await
}

/// An idle connection would keep a place from a health check; connecting again costs nothing on these pages.
async fn one_request_each(mut response: Response) -> Response {
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

#[cfg(test)]
mod tests;
