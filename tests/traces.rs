//! Spans of transactions as an OTLP receiver on loopback gets them: from a lane on the in-memory broker, and from a
//! worker on Apache Kafka. `cargo test --features traces --test traces`.

#![cfg(feature = "traces")]
#![allow(unreachable_pub)] // A test exports nothing; `pub` says what its modules offer each other.

#[path = "support"]
mod support {
    pub mod kafka;
    pub mod model;
    pub mod rig;
}

#[path = "traces/lines.rs"]
mod lines;
#[path = "worker/process.rs"]
mod process;
#[allow(dead_code)]
#[path = "worker/read_back.rs"]
mod read_back;
#[path = "traces/receiver.rs"]
mod receiver;
#[allow(dead_code)]
#[path = "worker/stage.rs"]
mod stage;

use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use process::{Worker, until};
use receiver::{Receiver, attribute, ids};
use serde_json::Value;
use stage::{Setup, Stage, key_of};
use std::collections::BTreeSet;
use std::time::Duration;
use support::kafka::Kafka;
use support::rig::{DEAD, EVENTS, LATE, Rig, SINK};
use tidemill::clock::SystemClock;
use tidemill::config::{self, Aggregate, AggregateKind, Idle, Pipeline, StartAt, TimeFormat, TimeSource, Window};
use tidemill::logs::Ids;
use tidemill::metrics::{SpanCounts, SpanResult};
use tidemill::sim::{Call, Fault};
use tidemill::traces::{Exporter, Origin};

const WALL_MS: i64 = 1_700_000_000_000;
/// Longer than a request may take.
const FOREVER: Duration = Duration::from_secs(60);

/// Windows of 10 ms without grace that count.
fn pipeline() -> Pipeline {
    Pipeline {
        start: StartAt::Earliest,
        time: TimeSource::Field { path: "t".into(), format: TimeFormat::UnixMs },
        max_record_bytes: 10_000,
        max_key_bytes: 100,
        max_ahead_ms: None,
        keys: None,
        window: Window { size_ms: 10, every_ms: 10, offset_ms: 0, grace_ms: 0, idle: Idle::Close { after_ms: 1000 } },
        aggregates: vec![Aggregate { name: "n".into(), kind: AggregateKind::Count, path: None }],
    }
}

/// A lane on the in-memory broker whose spans go somewhere.
struct Traced {
    rig: Rig,
    exporter: Option<Exporter>,
    counts: SpanCounts,
}

impl Traced {
    fn new(url: &str) -> Self {
        lines::keep();
        let counts = SpanCounts::default();
        let to = config::Traces { url: format!("{url}/v1/traces") };
        let origin = Origin { pipeline: "flights".into(), instance: "place-7".into() };
        let exporter = Exporter::start(Some(&to), &origin, &counts, SystemClock::new()).unwrap();
        let mut rig = Rig::new(&pipeline(), (2, 2), WALL_MS);
        rig.start(100, |_, options| (options.lane, options.traces) = (3, exporter.traces()));
        Self { rig, exporter: Some(exporter), counts }
    }

    /// A record of this time on partition 1.
    fn record(&self, t: i64) {
        let value = format!(r#"{{"t":{t}}}"#);
        self.rig.cluster.append(EVENTS, 1, 1, Some(b"UA"), Some(value.as_bytes()), &[]);
    }

    fn run(&mut self, time: Duration) {
        self.rig.run(time).unwrap();
    }

    /// The lane leaves, and the last spans are sent; how many transactions there were by result.
    fn end(&mut self) -> [u64; 3] {
        self.leave();
        self.exporter.take().unwrap().finish(FOREVER);
        self.transactions()
    }

    fn leave(&mut self) {
        self.rig.lane.as_mut().unwrap().leave();
        self.rig.lane = None;
    }

    fn transactions(&self) -> [u64; 3] {
        let counts = &self.rig.counts;
        [counts.committed.count(), counts.aborted.count(), counts.unknown.count()]
    }

    /// Exported, dropped, failed.
    fn spans(&self) -> [u64; 3] {
        SpanResult::ALL.map(|result| self.counts.of(result))
    }

    fn written(&self, topic: &str) -> usize {
        self.rig.read(topic).iter().flatten().count()
    }
}

fn number(span: &Span, key: &str) -> usize {
    attribute(&span.attributes, &format!("tidemill.{key}")).parse().unwrap()
}

fn result(span: &Span) -> String {
    attribute(&span.attributes, "tidemill.result")
}

/// Name by name, in the order of time, all within the span.
fn events(span: &Span) -> Vec<&str> {
    let times: Vec<_> = span.events.iter().map(|event| event.time_unix_nano).collect();
    let bounds = span.start_time_unix_nano..=span.end_time_unix_nano;
    assert!(times.is_sorted() && times.iter().all(|time| bounds.contains(time)), "{span:?}");
    span.events.iter().map(|event| event.name.as_str()).collect()
}

#[test]
fn every_committed_transaction_is_one_span_with_the_ids_of_its_lines() {
    let receiver = Receiver::start();
    let mut traced = Traced::new(&receiver.url);
    for t in (100..200).step_by(5) {
        traced.record(t);
        traced.run(Duration::from_millis(250));
    }
    traced.record(20); // late
    traced.record(-1); // dead
    traced.run(Duration::from_secs(30));
    let [committed, aborted, unknown] = traced.end();
    assert!(committed > 8 && aborted + unknown == 0, "{committed} {aborted} {unknown}");
    let spans = receiver.spans();
    assert_eq!((spans.len() as u64, traced.spans()), (committed, [committed, 0, 0]));

    let different: BTreeSet<_> = spans.iter().map(ids).collect();
    assert_eq!(different.len(), spans.len());
    for span in &spans {
        let said = lines::carrying(ids(span));
        let line = said.iter().find(|line| line.contains("tide committed")).unwrap_or_else(|| panic!("{said:?}"));
        let results = number(span, "results");
        assert!(line.contains("lane=3") && line.contains(&format!("results={results} ")), "{line}");
        assert_eq!((span.name.as_str(), result(span).as_str(), number(span, "lane")), ("tide", "committed", 3));
        assert_eq!(span.status.as_ref().unwrap().code(), StatusCode::Ok);
        assert_eq!(events(span), ["begun", "produced", "positions sent", "commit answered"]);
        assert_eq!(span.start_time_unix_nano / 1_000_000, WALL_MS as u64);
        let all = results + number(span, "late") + number(span, "dead_letters");
        assert_eq!((number(span, "records"), number(span, "bytes") > 0), (all, results > 0));
        assert_eq!(number(span, "windows"), results, "one key");
    }
    let sum = |key: &str| spans.iter().map(|span| number(span, key)).sum::<usize>();
    let written = [SINK, LATE, DEAD].map(|topic| traced.written(topic));
    assert_eq!((["results", "late", "dead_letters"].map(sum), written), ([10, 1, 1], [10, 1, 1]));
    let with_results: Vec<_> = spans.iter().filter(|span| number(span, "results") > 0).collect();
    assert!(with_results.iter().any(|span| number(span, "watermark_ms") == 110), "{spans:?}");
    for span in with_results {
        let names = attribute(&span.attributes, "tidemill.partition_names");
        assert!(names.split(' ').any(|name| name == "events[1]"), "{names}");
        assert_eq!(number(span, "partitions"), names.split(' ').count());
    }

    for request in receiver.requests() {
        let resource = request.resource.unwrap().attributes;
        let keys = ["service.name", "service.version", "service.instance.id", "tidemill.pipeline"];
        let expected = ["tidemill", env!("CARGO_PKG_VERSION"), "place-7", "flights"];
        assert_eq!(keys.map(|key| attribute(&resource, key)), expected);
    }
}

#[test]
fn a_transaction_that_is_aborted_or_unknown_is_an_error_with_its_reason() {
    let lost = |happened| Fault::AnswerLost { happened };
    for (call, fault, expected, why, line, visible) in [
        (Call::Commit, Fault::Abort, "aborted", "committing: ", "transaction is aborted", 0),
        (Call::SendOffsets, Fault::Abort, "aborted", "sending positions: ", "transaction is aborted", 0),
        (Call::Produce, Fault::Fatal, "aborted", "producing: ", "producer is replaced", 0),
        (Call::Commit, lost(true), "unknown", "committing: ", "transaction of unknown outcome is settled", 1),
        (Call::Commit, lost(false), "unknown", "committing: ", "transaction of unknown outcome is settled", 0),
    ] {
        let receiver = Receiver::start();
        let mut traced = Traced::new(&receiver.url);
        traced.run(Duration::from_secs(10));
        traced.rig.lane.as_mut().unwrap().broker_mut().injector().fail_next(call, fault);
        traced.record(100);
        traced.record(110);
        traced.run(Duration::from_secs(60));
        let transactions = traced.end();
        let spans = receiver.spans();
        assert_eq!(spans.len() as u64, transactions.iter().sum::<u64>(), "{fault:?}: {transactions:?}");
        let bad: Vec<_> = spans.iter().filter(|span| result(span) != "committed").collect();
        assert_eq!(bad.len(), 1, "{fault:?}: {spans:?}");
        let (span, status) = (bad[0], bad[0].status.as_ref().unwrap());
        assert_eq!((result(span).as_str(), status.code()), (expected, StatusCode::Error), "{fault:?}");
        assert!(status.message.starts_with(why) && status.message.len() > why.len(), "{:?}", status.message);
        assert_eq!(number(span, "results"), visible, "{fault:?}");
        events(span);
        let said = lines::carrying(ids(span));
        assert!(said.iter().any(|it| it.contains(line)), "{fault:?}: {said:?}");
        // Nothing is lost by it, and nothing else has its ids.
        assert_eq!(traced.written(SINK), 2, "{fault:?}");
        assert!(!said.iter().any(|it| it.contains("tide committed")), "{fault:?}: {said:?}");
    }
}

#[test]
fn a_lane_that_leaves_says_so_of_what_is_under_way() {
    let receiver = Receiver::start();
    let mut traced = Traced::new(&receiver.url);
    traced.run(Duration::from_secs(10));
    let injector = traced.rig.lane.as_mut().unwrap().broker_mut().injector();
    injector.fail_next(Call::Commit, Fault::AnswerLost { happened: false });
    traced.record(100);
    let open = loop {
        traced.rig.lane.as_mut().unwrap().step(Duration::ZERO).unwrap();
        traced.rig.clock.advance(Duration::from_millis(100));
        if let Some(open) = Ids::carried() {
            break open;
        }
    };
    traced.end();
    assert_eq!(Ids::carried(), None);
    let spans = receiver.spans();
    let left = spans.iter().find(|span| ids(span) == (open.trace, open.span)).unwrap();
    let status = left.status.as_ref().unwrap();
    assert_eq!((status.code(), status.message.as_str()), (StatusCode::Error, "the lane has left"));
    assert_eq!(result(left), "unknown");
}

#[test]
fn a_receiver_that_does_not_answer_costs_spans_and_nothing_else() {
    const TIDES: usize = 3000;
    let receiver = Receiver::closed();
    let mut traced = Traced::new(&receiver.url);
    for t in 0..TIDES as i64 {
        traced.record(t * 10);
        traced.run(Duration::from_millis(250));
    }
    traced.run(Duration::from_secs(10));
    traced.leave();
    // All of that while nobody has got an answer.
    let tides = traced.transactions()[0];
    let [exported, dropped, _] = traced.spans();
    assert!(tides >= TIDES as u64 && exported == 0 && dropped > 0, "{tides} {:?}", traced.spans());
    assert_eq!(traced.written(SINK), TIDES);
    receiver.open();
    traced.exporter.take().unwrap().finish(FOREVER);
    assert_eq!(traced.spans().iter().sum::<u64>(), tides);
    assert!(traced.spans()[0] > 0, "{:?}", traced.spans());
}

#[test]
fn a_receiver_that_is_away_is_one_line() {
    let url = {
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", nobody.local_addr().unwrap())
    };
    let mut traced = Traced::new(&url);
    for t in 0..5 {
        traced.record(t * 10);
        traced.run(Duration::from_millis(250));
        // More than one request.
        std::thread::sleep(Duration::from_millis(500));
    }
    traced.run(Duration::from_secs(10));
    let [committed, ..] = traced.end();
    assert_eq!((traced.spans(), traced.written(SINK)), ([0, 0, committed], 5));
    let said = lines::saying(&url);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].text.contains("spans could not be sent") && said[0].text.contains("refused"), "{said:?}");
    assert_eq!(said[0].ids, None);
}

#[test]
fn spans_that_a_receiver_refuses_are_not_counted_as_sent() {
    let receiver = Receiver::picky(1);
    let mut traced = Traced::new(&receiver.url);
    traced.record(0);
    traced.run(Duration::from_secs(10));
    let [committed, ..] = traced.end();
    let requests = receiver.requests().len() as u64;
    assert_eq!(traced.spans(), [committed - requests, 0, requests]);
    assert!(lines::saying(&receiver.url)[0].text.contains("too many for today"));
}

#[test]
fn a_worker_on_kafka_logs_the_ids_of_its_spans() {
    let receiver = Receiver::start();
    // A busy machine must have time for the last spans.
    let rest = format!("lanes: 2\ntraces: {{ otlp: {} }}\nshutdown: {{ timeout: 1m }}", receiver.url);
    let stage = Stage::new(Kafka::shared(), "traces", Setup { rest, partitions: 2, ..Setup::default() });
    stage.load((0..20).flat_map(|second| {
        let value = format!(r#"{{"t":{},"v":1}}"#, second * 5_000);
        (0..2).map(move |partition| (key_of(partition, 2), value.clone()))
    }));
    let arguments = ["--log", "info,tidemill=debug", "--log-format", "json"];
    let mut worker = Worker::start_with("traced worker", &stage.file("place-1"), &arguments);
    worker.until_live(2);
    until("windows are written", || stage.has(&stage.sink, 18));
    until("spans are counted", || worker.sum("tidemill_commit_spans_total", &[r#"result="exported""#]) > 0.0);
    assert_eq!(worker.stop().0, Some(0));

    let spans = receiver.spans();
    let sent: BTreeSet<_> = spans.iter().filter(|span| result(span) == "committed").map(ids).collect();
    let lines: Vec<Value> = worker.log().iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let hex = |line: &Value, key: &str| u128::from_str_radix(line[key].as_str().unwrap(), 16).unwrap();
    let committed = lines.iter().filter(|line| line["message"] == "tide committed");
    let said: BTreeSet<_> =
        committed.map(|line| (hex(line, "trace_id"), u64::try_from(hex(line, "span_id")).unwrap())).collect();
    assert!(said.len() > 1, "{said:?}");
    assert_eq!(said, sent, "the last ones are sent before the process ends");
    let without = lines.iter().filter(|line| line["message"] == "lanes start" || line["message"] == "stopped");
    assert!(without.clone().count() == 2 && without.clone().all(|line| line.get("trace_id").is_none()));
    let results: usize = spans.iter().map(|span| number(span, "results")).sum();
    assert_eq!(results, 18, "of two keys, nine windows are closed by the records");
    let resource = receiver.requests()[0].resource.clone().unwrap().attributes;
    assert_eq!(attribute(&resource, "service.instance.id"), "place-1");
    assert_eq!(attribute(&resource, "tidemill.pipeline"), stage.group);
}
