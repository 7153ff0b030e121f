//! The pages as a scraper and as a rude peer see them, over a real loopback socket.

use super::*;
use crate::broker::TopicPartition;
use crate::clock::ManualClock;
use crate::status::{PartitionState, PartitionStatus, Phase, View};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

struct Server {
    address: SocketAddr,
    status: Status,
    clock: ManualClock,
}

/// A server on a thread of its own, which ends with the test process.
fn server(connections: usize, patience: Duration) -> Server {
    let (status, clock) = (Status::new(), ManualClock::at(0));
    let metrics = Metrics::new().unwrap();
    let pages = Pages::new(&flights(), "here", metrics, status.clone(), Logs::default(), Arc::new(clock.clone()));
    let (address_tx, address_rx) = mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
            address_tx.send(listener.local_addr().unwrap()).unwrap();
            axum::serve(Door::with_limits(listener, connections, patience), service(pages)).await.unwrap();
        });
    });
    Server { address: address_rx.recv().unwrap(), status, clock }
}

/// A pipeline with `commit.timeout: 30s` and windows of an hour with as much grace.
fn flights() -> Config {
    let text = include_str!("../../config/flights.yaml");
    crate::config::parse("flights.yaml", text, std::path::Path::new("."), &|_| None).unwrap().config
}

fn calm_server() -> Server {
    server(8, Duration::from_secs(20))
}

impl Server {
    fn send(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Status code and body of a GET.
    fn get(&self, path: &str) -> (u16, String) {
        let answer = self.send(&format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"));
        let code = answer.split(' ').nth(1).unwrap().parse().unwrap();
        (code, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
    }
}

#[test]
fn metrics_are_in_the_text_format() {
    let server = calm_server();
    let answer = server.send("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert!(answer.contains("content-type: text/plain; version=0.0.4"), "{answer}");
    assert!(answer.contains("\ntidemill_poll_records_total 0\n"), "{answer}");
    assert_eq!(server.get("/nothing").0, 404);
}

#[test]
fn readiness_gives_each_reason_a_line() {
    let server = calm_server();
    assert_eq!(server.get("/readyz"), (503, "starting\n".into()));
    server.status.lane(0, Duration::ZERO, Phase::Running);
    assert_eq!(server.get("/readyz"), (200, "ok\n".into()));
    let partition = TopicPartition { topic: "flights".into(), partition: 2 };
    let held_because = Some("two\nlines".into());
    let held = PartitionStatus { held_because, ..PartitionStatus::new(partition, PartitionState::Held) };
    server.status.partition(held);
    server.status.drain();
    assert_eq!(server.get("/readyz"), (503, "draining\nheld flights[2] because two lines\n".into()));
}

#[test]
fn liveness_fails_only_for_a_lane_without_steps() {
    let server = calm_server();
    assert_eq!(server.get("/livez").0, 200);
    server.status.lane(3, Duration::ZERO, Phase::Waiting("no broker".into()));
    server.clock.advance(Duration::from_secs(60));
    assert_eq!(server.get("/livez").0, 200);
    server.clock.advance(Duration::from_secs(1));
    assert_eq!(server.get("/livez"), (503, "lane 3 stuck: no step for 61 s\n".into()));
    assert_eq!(server.get("/readyz"), (503, "lane 3 stuck: no step for 61 s\nwaiting for broker: no broker\n".into()));
    let view: View = serde_json::from_str(&server.get("/v1/status").1).unwrap();
    assert!(view.lanes[0].stuck && view.not_ready[0].contains("stuck"), "{view:?}");
}

#[test]
fn the_status_says_what_each_partition_waits_for() {
    let server = calm_server();
    server.status.lane(0, Duration::ZERO, Phase::Running);
    let partition = TopicPartition { topic: "flights".into(), partition: 2 };
    let live = PartitionStatus { lag: Some(3), ..PartitionStatus::new(partition, PartitionState::Live) };
    server.status.partition(live);
    server.clock.advance(Duration::from_secs(2));
    let (code, text) = server.get("/v1/status");
    let view: View = serde_json::from_str(&text).unwrap();
    assert_eq!((code, view.name.as_str(), view.instance.as_str(), view.now_ms), (200, "flight-delays", "here", 2000));
    let lane = &view.lanes[0];
    assert_eq!((lane.phase.as_str(), lane.silent_ms, lane.partitions), ("running", 2000, 1));
    let partition = &view.partitions[0];
    assert_eq!((partition.partition, partition.lag, partition.waits_for.as_str()), (2, Some(3), "record"));
    assert_eq!(partition.sentence, "nothing is open: no record has been merged yet");
}

#[test]
fn bodies_and_giant_headers_are_refused() {
    let server = calm_server();
    let body = "GET /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n";
    assert!(server.send(body).starts_with("HTTP/1.1 413"));
    let header = format!("GET /livez HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "x".repeat(9 << 10));
    assert!(server.send(&header).starts_with("HTTP/1.1 431"));
    assert_eq!(server.get("/livez").0, 200);
}

#[test]
fn a_peer_that_dawdles_loses_its_place() {
    let server = server(1, Duration::from_millis(300));
    let mut slow = TcpStream::connect(server.address).unwrap();
    let trickle = thread::spawn(move || {
        for byte in b"GET /livez HTTP/1.1\r\nHost: x\r\nX: 1234567890123456789012345678901234567890\r\n\r\n" {
            if slow.write_all(&[*byte]).is_err() {
                break;
            }
            thread::sleep(Duration::from_millis(50));
        }
        let mut answer = Vec::new();
        drop(slow.read_to_end(&mut answer));
        answer
    });
    let asked = Instant::now();
    assert_eq!(server.get("/livez").0, 200);
    assert!(asked.elapsed() < Duration::from_secs(3), "the place must be free before the slow request is whole");
    assert!(!trickle.join().unwrap().starts_with(b"HTTP/1.1 200"));
}

#[test]
fn many_scrapers_at_once_are_all_answered() {
    let server = server(4, Duration::from_secs(20));
    thread::scope(|scope| {
        for _ in 0..50 {
            scope.spawn(|| assert_eq!(server.get("/metrics").0, 200));
        }
    });
}

#[test]
fn a_taken_address_is_refused_with_what_to_do() {
    let server = calm_server();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let refusal = runtime.block_on(bind(server.address)).unwrap_err().to_string();
    assert!(refusal.contains("set http.listen"), "{refusal}");
}
