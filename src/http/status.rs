//! `/v1/status`: everything that a person wants to see of the process, as one JSON object.

use super::Pages;
use crate::logs;
use crate::status::View;
use crate::status::view::Line;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

pub(super) async fn status(State(pages): State<Pages>) -> Response {
    let mut view = View::of(&pages.status, &pages.about, pages.clock.monotonic(), pages.clock.now_ms());
    view.log = pages.logs.recent.lines().into_iter().map(line).collect();
    match serde_json::to_string(&view) {
        Ok(text) => {
            let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
            (headers, text).into_response()
        }
        Err(error) => {
            (StatusCode::INTERNAL_SERVER_ERROR, format!("cannot write the status: {error}\n")).into_response()
        }
    }
}

fn line(line: logs::Line) -> Line {
    Line { at_ms: line.at_ms, level: line.level.to_string(), target: line.target, text: line.text }
}
