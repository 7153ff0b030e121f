//! A worker whose configuration holds secrets, asked for everything that it has to say.

use crate::process::Worker;
use std::io::{Read, Write};
use std::net::TcpStream;

const PASSWORD: &str = "a-password-that-nobody-may-see";
const TOKEN: &str = "a-token-that-nobody-may-see";

/// Status and text of a request with these headers.
fn ask(worker: &Worker, request: &str, headers: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(worker.address()).unwrap();
    write!(stream, "{request} HTTP/1.1\r\nHost: x\r\n{headers}\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

#[test]
fn no_page_shows_a_secret_and_admin_wants_its_token() {
    let folder = tempfile::tempdir().unwrap();
    for (name, secret) in [("password", PASSWORD), ("token", TOKEN)] {
        std::fs::write(folder.path().join(name), secret).unwrap();
    }
    let flights = include_str!("../../config/flights.yaml");
    let flights =
        flights.lines().filter(|line| !line.trim_start().starts_with("brokers:")).collect::<Vec<_>>().join("\n");
    let flights = flights.replace(
        "\nkafka:\n",
        "\nkafka:\n  brokers: 127.0.0.1:1\n  properties:\n    security.protocol: sasl_plaintext\n    sasl.mechanism: PLAIN\n    \
         sasl.username: tidemill\n    sasl.password: ${file:password}\n",
    );
    let http = "http:\n  listen: 127.0.0.1:0\n  admin:\n    token: ${file:token}\n";
    let file = folder.path().join("pipeline.yaml");
    std::fs::write(&file, format!("{flights}\n{http}")).unwrap();
    let mut worker = Worker::start_with("with secrets", &file, &["--log", "debug"]);
    worker.until_not_ready(&["waiting for broker"]);

    let token = format!("Authorization: Bearer {TOKEN}\r\n");
    assert_eq!(ask(&worker, "GET /admin/log", "").0, 401);
    assert_eq!(ask(&worker, "GET /admin/log", "Authorization: Bearer something-else\r\n").0, 401);
    assert_eq!(ask(&worker, "GET /admin/log", &token), (200, "debug\n".into()));
    assert_eq!(ask(&worker, "POST /admin/log/loud", &token).0, 400);
    assert_eq!(ask(&worker, "POST /admin/log/trace", &token), (200, "trace\n".into()));
    let (code, heap) = ask(&worker, "GET /admin/heap", &token);
    assert_eq!(code, 200, "{heap}");
    assert!(serde_json::from_str::<serde_json::Value>(&heap).is_ok_and(|heap| heap.get("process").is_some()), "{heap}");

    let pages =
        ["/", "/page.css", "/page.js", "/v1/status", "/metrics", "/livez", "/readyz", "/admin/log", "/admin/heap"];
    let mut texts: Vec<_> = pages.map(|path| ask(&worker, &format!("GET {path}"), &token).1).into();
    let status = texts[3].clone();
    assert!(status.contains("admin request refused") && status.contains("log level changed"), "{status}");
    assert_eq!(worker.stop().0, Some(0));
    texts.push(worker.log().join("\n"));
    for text in texts {
        assert!(!text.contains(PASSWORD) && !text.contains(TOKEN), "{text}");
    }
}
