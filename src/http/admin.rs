//! What an operator may do to a running process: see its heap, change which log lines it writes.
//!
//! Off unless `http.admin` says otherwise. Then for callers on this machine, or with a token for whoever shows it.

use super::Pages;
use crate::config::Admin;
use crate::heap;
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::hint::black_box;
use std::net::SocketAddr;

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) SocketAddr);

/// Lets through who may.
pub(super) async fn guard(State(pages): State<Pages>, request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<Peer>>().map(|peer| peer.0.0);
    match refusal(&pages.admin, peer, request.headers()) {
        None => next.run(request).await,
        Some((status, why)) => {
            if pages.admin != Admin::Off {
                tracing::warn!(?peer, path = request.uri().path(), why, "admin request refused");
            }
            (status, format!("{why}\n")).into_response()
        }
    }
}

fn refusal(admin: &Admin, peer: Option<SocketAddr>, headers: &HeaderMap) -> Option<(StatusCode, &'static str)> {
    match admin {
        Admin::Off => Some((StatusCode::NOT_FOUND, "off: set http.admin")),
        Admin::Loopback if !peer.is_some_and(|peer| peer.ip().to_canonical().is_loopback()) => {
            Some((StatusCode::FORBIDDEN, "only from this machine: set http.admin.token for others"))
        }
        // Any web page may make a browser on this machine ask; but then the browser says so.
        Admin::Loopback if headers.contains_key(header::ORIGIN) || headers.contains_key("sec-fetch-site") => {
            Some((StatusCode::FORBIDDEN, "not from a browser"))
        }
        Admin::Loopback => None,
        Admin::Token(token) => {
            let given = headers.get(header::AUTHORIZATION).map(|value| value.as_bytes());
            let given = given.and_then(|value| value.strip_prefix(b"Bearer ")).unwrap_or_default();
            (!is_same(given, token.as_bytes()))
                .then_some((StatusCode::UNAUTHORIZED, "show the token: `Authorization: Bearer …`"))
        }
    }
}

/// Compares in a time that depends on the lengths alone.
fn is_same(given: &[u8], expected: &[u8]) -> bool {
    let differences = given.iter().zip(expected).fold(0, |found, (a, b)| black_box(found | (a ^ b)));
    given.len() == expected.len() && differences == 0
}

pub(super) async fn level(State(pages): State<Pages>) -> String {
    pages.logs.level() + "\n"
}

pub(super) async fn set_level(State(pages): State<Pages>, Path(level): Path<String>) -> Response {
    let before = pages.logs.level();
    match pages.logs.set_level(&level) {
        Ok(()) => {
            tracing::warn!(from = before, to = level, "log level changed");
            format!("{}\n", pages.logs.level()).into_response()
        }
        Err(error) => (StatusCode::BAD_REQUEST, format!("{error:#}\n")).into_response(),
    }
}

pub(super) async fn heap() -> Response {
    match heap::statistics() {
        Some(text) => ([(header::CONTENT_TYPE, "application/json")], text).into_response(),
        None => (StatusCode::INTERNAL_SERVER_ERROR, "the allocator says nothing\n").into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_gets_in_but_who_was_meant() {
        let token = || Admin::Token("a-token-of-some-length".into());
        let (here, there) = (Some("127.0.0.1:5"), Some("192.0.2.1:5"));
        let bearer = |token: &'static str| Some(("authorization", token));
        for (admin, peer, header, expected) in [
            (Admin::Off, here, None, 404),
            (Admin::Off, here, bearer("Bearer "), 404),
            (Admin::Loopback, here, None, 200),
            (Admin::Loopback, Some("[::1]:5"), None, 200),
            (Admin::Loopback, Some("[::ffff:127.0.0.1]:5"), None, 200),
            (Admin::Loopback, there, None, 403),
            (Admin::Loopback, None, None, 403),
            (Admin::Loopback, here, Some(("origin", "http://example.org")), 403),
            (Admin::Loopback, here, Some(("sec-fetch-site", "cross-site")), 403),
            (token(), there, bearer("Bearer a-token-of-some-length"), 200),
            (token(), here, None, 401),
            (token(), here, bearer("Bearer "), 401),
            (token(), here, bearer("a-token-of-some-length"), 401),
            (token(), here, bearer("Bearer a-token-of-some-lengtH"), 401),
            (token(), here, bearer("Bearer a-token-of-some-length-and-more"), 401),
            (token(), here, bearer("Bearer a-token-of-some"), 401),
        ] {
            let headers: HeaderMap = header
                .into_iter()
                .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
                .collect::<Vec<(axum::http::HeaderName, axum::http::HeaderValue)>>()
                .into_iter()
                .collect();
            let refused = refusal(&admin, peer.map(|peer| peer.parse().unwrap()), &headers);
            let code = refused.map_or(200, |(status, _)| status.as_u16());
            assert_eq!(code, expected, "{admin:?} {peer:?} {header:?}");
        }
    }
}
