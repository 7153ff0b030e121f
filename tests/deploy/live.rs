//! What the containers of docker-compose.yml run, as processes on this machine: Kafka with the properties of its service,
//! three workers and the producer with the commands and files of theirs. Other than there are addresses, the producer's
//! pace, and how long the input must be silent until its last windows close.

use crate::process::{Worker, until};
use crate::support::kafka::{Kafka, free_ports};
use crate::{compose, image, read, text, texts};
use regex::{Captures, Regex};
use serde_json::Value;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;
use tidemill::broker::RecordBatch;
use tidemill::kafka::{NewTopic, Reader};

const WORKERS: usize = 3;
const FLIGHTS: f64 = 336_776.0;

/// The broker as its image starts it: `KAFKA_NODE_ID` is `node.id`. Its listeners are on loopback, at free ports.
fn broker(service: &Value) -> Kafka {
    let [inside, host, controller] = free_ports();
    let address = Regex::new(r"(//|@)[a-z]*:([0-9]+)").unwrap();
    let moved = |found: &Captures<'_>| {
        let port = match &found[2] {
            "19092" => inside,
            "9092" => host,
            "9093" => controller,
            other => panic!("port {other} is nobody's"),
        };
        format!("{}127.0.0.1:{port}", &found[1])
    };
    let variables = service["environment"].as_object().unwrap();
    let properties = variables.iter().map(|(name, value)| {
        let name = name.strip_prefix("KAFKA_").unwrap().to_lowercase().replace('_', ".");
        (name, address.replace_all(&text(value), moved).into_owned())
    });
    Kafka::start_as(inside, &properties.collect::<Vec<_>>())
}

/// What the service `topics` creates.
fn create_topics(kafka: &Kafka) {
    let created = compose::created();
    let retention = vec![("retention.ms".to_owned(), created.retention_ms)];
    let topic =
        |name: String| NewTopic { name, partitions: created.partitions, replication: 1, config: retention.clone() };
    kafka.admin("").create_topics(&created.names.into_iter().map(topic).collect::<Vec<_>>()).unwrap();
}

/// The health check of the image, asked of a worker that listens elsewhere.
fn is_healthy(address: SocketAddr) -> bool {
    let mut check = image::health_check();
    let script = check.pop().unwrap().replace("127.0.0.1/9640", &format!("127.0.0.1/{}", address.port()));
    let asked = Command::new(&check[0]).args(&check[1..]).arg(script).output().unwrap();
    asked.status.success()
}

/// What is committed in the sink so far: results, their keys with the beginnings of their windows, the flights in them.
struct Results {
    reader: Reader,
    read: usize,
    windows: BTreeSet<(String, i64)>,
    flights: u64,
}

impl Results {
    fn of(kafka: &Kafka) -> Self {
        let (topic, partitions) = (compose::config().sink.topic, 0..compose::created().partitions);
        let reader = Reader::open(&kafka.config(""), &topic, partitions).unwrap();
        Self { reader, read: 0, windows: BTreeSet::new(), flights: 0 }
    }

    /// True if there was nothing new.
    fn read_on(&mut self) -> bool {
        let (mut batch, mut events) = (RecordBatch::new(1 << 20, 8192), Vec::new());
        self.reader.poll(&mut batch, &mut events, Duration::from_millis(50)).unwrap();
        for record in batch.iter() {
            let result: Value = serde_json::from_slice(record.value.unwrap()).unwrap();
            self.read += 1;
            self.windows.insert((text(&result["key"]), result["window_start"].as_i64().unwrap()));
            self.flights += result["flights"].as_u64().unwrap();
        }
        batch.is_empty()
    }
}

#[test]
fn three_workers_of_the_compose_file_share_its_topics_and_write_each_window_once() {
    let file = compose::file();
    let services = &file["services"];
    let kafka = broker(&services["kafka"]);
    create_topics(&kafka);
    let folder = tempfile::tempdir().unwrap();
    let pipeline = folder.path().join("flights.yaml");
    let mut written = read(compose::CONFIG);
    for (there, here) in
        [("kafka:19092", &*kafka.brokers()), ("0.0.0.0:9640", "127.0.0.1:0"), ("after: 30s", "after: 2s")]
    {
        assert!(written.contains(there), "{there} is not in {}", compose::CONFIG);
        written = written.replace(there, here);
    }
    std::fs::write(&pipeline, written).unwrap();
    let command = texts(&services["worker"]["command"]);
    assert_eq!(command[0], "run");
    let workers: Vec<_> = (0..WORKERS).map(|number| Worker::start(&format!("worker {number}"), &pipeline)).collect();
    let partitions = usize::try_from(compose::created().partitions).unwrap();
    for worker in &workers {
        worker.until_live(partitions / WORKERS);
        assert!(is_healthy(worker.address()));
    }
    let places: BTreeSet<_> = workers.iter().map(place).collect();
    assert_eq!(places.len(), WORKERS, "places of the workers, and so their transactional ids: {places:?}");

    let command = texts(&services["producer"]["command"]).join(" ");
    let command = command.replace("kafka:19092", &kafka.brokers()).replace("--rate 1000", "--rate 100000");
    let mut producer = Command::new(env!("CARGO_BIN_EXE_tidemill"));
    producer.args(command.split(' '));
    let mut producer = Worker::spawn("producer", producer);
    assert_eq!(producer.ended().0, Some(0));

    let sum = |metric: &str, labels: &[&str]| workers.iter().map(|worker| worker.sum(metric, labels)).sum::<f64>();
    let mut results = Results::of(&kafka);
    until("every flight is judged and every window of theirs is read back", || {
        results.read_on()
            && sum("tidemill_merge_records_total", &[]) == FLIGHTS
            && sum("tidemill_close_open_panes", &[]) == 0.0
            && sum("tidemill_close_uncommitted_windows", &[]) == 0.0
            && results.read as f64 == sum("tidemill_close_windows_total", &[])
    });
    assert_eq!(results.windows.len(), results.read, "a window came twice");
    let merged = sum("tidemill_merge_records_total", &["fate=\"merged\""]);
    assert_eq!(results.flights as f64, merged, "the flights in all results");
    assert_eq!(merged + sum("tidemill_merge_records_total", &["fate=\"late\""]), FLIGHTS);
    for worker in &workers {
        assert!(worker.sum("tidemill_poll_records_total", &[]) > 0.0, "a worker had nothing to do");
    }
    let addresses: Vec<_> = workers.iter().map(Worker::address).collect();
    workers.into_iter().for_each(Worker::stop_well);
    assert!(!addresses.into_iter().any(is_healthy), "the health check finds a worker that has ended");
}

/// The name that a worker has in its transactional ids, from its log.
fn place(worker: &Worker) -> String {
    let log = worker.log();
    let line = log.iter().find(|line| line.contains("\"starting\"")).expect("it says that it starts");
    text(&serde_json::from_str::<Value>(line).unwrap()["instance"])
}
