//! `/v1/windows`: what is open on this worker; `/v1/windows/{key}`: what a key has in recent and in open windows.
//!
//! Lanes are asked by mail and answer between two steps; one that does not answer in time is named as busy.

use crate::recent::{Answer, Answers, Desk, Mailbox, OpenWindow, Question};
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

const PREFIX: &str = "/v1/windows/";
/// A lane looks at its mail after each step, and a step waits for records for 50 ms at most.
const PATIENCE: Duration = Duration::from_secs(1);

pub(super) fn router<S: Clone + Send + Sync + 'static>(desk: Desk) -> Router<S> {
    Router::new()
        .route("/v1/windows", get(open))
        .route("/v1/windows/", get(of_key))
        .route("/v1/windows/{*key}", get(of_key))
        .with_state(desk)
}

async fn open(State(desk): State<Desk>) -> Response {
    let Some((recent, mailboxes)) = desk.get() else { return starting() };
    let (answers, busy) = ask(mailboxes, &Question::Open).await;
    let windows = answers.into_iter().flat_map(|answers| match answers {
        Answers::Open(windows) => windows,
        Answers::Key(_) => Vec::new(),
    });
    let windows: Vec<_> = windows.map(|window| window_json(&window)).collect();
    let recent = json!({ "kept": recent.is_on(), "bytes": recent.bytes() });
    text(json!({ "open": windows, "recent": recent, "busy_lanes": busy }).to_string())
}

fn window_json(window: &OpenWindow) -> serde_json::Value {
    json!({
        "topic": *window.partition.topic,
        "partition": window.partition.partition,
        "window_start": window.start_ms,
        "window_end": window.end_ms,
        "keys": window.keys,
        "closes_at_watermark": window.closes_at_ms,
        "watermark": window.watermark_ms,
    })
}

async fn of_key(State(desk): State<Desk>, uri: Uri) -> Response {
    let Some((recent, mailboxes)) = desk.get() else { return starting() };
    let Some(key) = key_of(&uri) else {
        return (StatusCode::BAD_REQUEST, "the key is not percent-encoded, or not base64\n").into_response();
    };
    let (answers, busy) = ask(mailboxes, &Question::Key(key.clone())).await;
    let live: Vec<_> = answers
        .into_iter()
        .flat_map(|answers| match answers {
            Answers::Key(answers) => answers,
            Answers::Open(_) => Vec::new(),
        })
        .collect();
    let name = match std::str::from_utf8(&key) {
        Ok(key) => format!("\"key\":{}", json!(key)),
        Err(_) => format!("\"key_base64\":\"{}\"", STANDARD.encode(&key)),
    };
    let (live, recent) = (results(&live), results(&recent.results(&key)));
    text(format!("{{{name},\"live\":[{live}],\"recent\":[{recent}],\"busy_lanes\":{}}}", json!(busy)))
}

/// The results stand as they are: numbers keep their text.
fn results(answers: &[Answer]) -> String {
    let one = |answer: &Answer| {
        let (topic, partition) = (json!(*answer.partition.topic), answer.partition.partition);
        let result = std::str::from_utf8(&answer.result).unwrap_or("null");
        format!("{{\"topic\":{topic},\"partition\":{partition},\"result\":{result}}}")
    };
    answers.iter().map(one).collect::<Vec<_>>().join(",")
}

/// Asks all lanes at once; the numbers of those that did not answer in time.
async fn ask(mailboxes: &[Mailbox], question: &Question) -> (Vec<Answers>, Vec<usize>) {
    let deadline = Instant::now() + PATIENCE;
    let asked: Vec<_> = mailboxes.iter().map(|mailbox| mailbox.ask(question.clone())).collect();
    let (mut answers, mut busy) = (Vec::new(), Vec::new());
    for (lane, receiver) in asked.into_iter().enumerate() {
        let answer = match receiver {
            Some(receiver) => timeout_at(deadline, receiver).await.ok().and_then(Result::ok),
            None => None,
        };
        match answer {
            Some(answer) => answers.push(answer),
            None => busy.push(lane),
        }
    }
    (answers, busy)
}

/// The bytes of the key: percent-decoded; with `?base64` decoded once more.
fn key_of(uri: &Uri) -> Option<Vec<u8>> {
    let key = percent_decoded(uri.path().strip_prefix(PREFIX)?)?;
    match uri.query() {
        Some("base64") => STANDARD.decode(key).ok(),
        _ => Some(key),
    }
}

fn percent_decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let digits = [bytes.next()?, bytes.next()?];
                let digits = std::str::from_utf8(&digits).ok().filter(|digits| !digits.starts_with('+'))?;
                u8::from_str_radix(digits, 16).ok()?
            }
            byte => byte,
        });
    }
    Some(decoded)
}

fn starting() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, "starting: no lane runs yet\n").into_response()
}

fn text(json: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], json + "\n").into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::TopicPartition;
    use crate::recent::Recent;

    /// A page, while a lane answers as long as it is asked, and another one never does.
    fn page(desk: &Desk, path: &str) -> (StatusCode, String) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let mailbox = desk.get().map(|(_, mailboxes)| mailboxes[0].clone());
            let lane = async {
                loop {
                    if let Some(mailbox) = &mailbox {
                        mailbox.answer(answer);
                    }
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            };
            let uri: Uri = path.parse().unwrap();
            let page = async {
                match path == "/v1/windows" {
                    true => open(State(desk.clone())).await,
                    false => of_key(State(desk.clone()), uri).await,
                }
            };
            let response = tokio::select! { response = page => response, () = lane => unreachable!() };
            let status = response.status();
            let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
            (status, String::from_utf8(body.to_vec()).unwrap())
        })
    }

    fn answer(question: &Question) -> Answers {
        let partition = TopicPartition { topic: "in".into(), partition: 3 };
        match question {
            Question::Open => Answers::Open(vec![OpenWindow {
                partition,
                start_ms: 10,
                end_ms: 20,
                keys: 7,
                closes_at_ms: 25,
                watermark_ms: None,
            }]),
            Question::Key(key) => {
                assert_eq!(key, b"a b");
                Answers::Key(vec![Answer { partition, end_ms: 20, result: br#"{"n":1.0e5}"#.to_vec() }])
            }
        }
    }

    #[test]
    fn pages_show_what_lanes_answer_and_which_lanes_do_not() {
        let desk = Desk::default();
        assert_eq!(page(&desk, "/v1/windows").0, StatusCode::SERVICE_UNAVAILABLE);
        desk.open(Recent::off(), vec![Mailbox::default(), Mailbox::default()]);
        let (status, text) = page(&desk, "/v1/windows/a%20b");
        assert_eq!(status, StatusCode::OK);
        let expected =
            r#"{"key":"a b","live":[{"topic":"in","partition":3,"result":{"n":1.0e5}}],"recent":[],"busy_lanes":[1]}"#;
        assert_eq!(text.trim_end(), expected);
        let (_, text) = page(&desk, "/v1/windows");
        let open: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(open["open"][0]["closes_at_watermark"], 25);
        assert_eq!((&open["busy_lanes"], &open["recent"]["kept"]), (&json!([1]), &json!(false)));
        assert_eq!(page(&desk, "/v1/windows/%").0, StatusCode::BAD_REQUEST);
    }

    #[test]
    fn keys_are_bytes_whatever_the_path_says_they_are() {
        for (path, expected) in [
            ("/v1/windows/UA", Some(&b"UA"[..])),
            ("/v1/windows/", Some(b"")),
            ("/v1/windows/a%2Fb/c", Some(b"a/b/c")),
            ("/v1/windows/%ff%00", Some(b"\xff\0")),
            ("/v1/windows/%e4%bd%a0", Some("你".as_bytes())),
            ("/v1/windows/%f", None),
            ("/v1/windows/%+f", None),
            ("/v1/windows/%zz", None),
            ("/v1/windows//wA=?base64", Some(b"\xff\0")),
            ("/v1/windows/_wA=?base64", None),
            ("/v1/windows/VUE=?other", Some(b"VUE=")),
        ] {
            assert_eq!(key_of(&path.parse().unwrap()).as_deref(), expected, "{path}");
        }
    }
}
