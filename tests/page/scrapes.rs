//! Lanes on the embedded broker, while their pages are asked too much and too slowly.

use crate::stage;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tidemill::broker::TopicPartition;
use tidemill::clock::{Clock, SystemClock};
use tidemill::http::Pages;
use tidemill::lane::{Lane, LaneOptions};
use tidemill::logs::Logs;
use tidemill::metrics::Metrics;
use tidemill::sim::{ClientOptions, Cluster};
use tidemill::status::{PartitionState, PartitionStatus, Status};
use tidemill::worker::{Reporter, Shared};

/// Longer between two steps, and health checks begin to matter; idle ones take a millisecond here.
const GAP_MAX: Duration = Duration::from_secs(5);
/// Of 1,000: as many as the door holds at once. With the others it may lose its patience where the machine is busy: 307 were
/// sent away beside a browser on two cores.
const SERVED_MIN: usize = 256;
/// Partitions in an answer that no buffer of a socket takes.
const DEAF_PARTITIONS: i32 = 30_000;

/// One lane on its thread; ends with this value.
struct Running {
    steps: Arc<AtomicU64>,
    /// The longest time from one step to the next so far.
    gap_ms: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Running {
    fn start(shared: &Shared) -> Self {
        let cluster = Cluster::real_time();
        ["flights", "flight-delays", "flights-late", "flights-dead"]
            .into_iter()
            .for_each(|topic| cluster.create_topic(topic, 4));
        let client = cluster.client(ClientOptions::new("flight-delays", "here", &["flights"], "flight-delays"));
        let (config, clock) = (stage::flights(), SystemClock::new());
        let mut lane = Lane::new(config.clone(), LaneOptions::new(0, &config), client, clock);
        let mut reporter = Reporter::new(0, shared.clone(), clock.monotonic());
        let (steps, gap_ms, stop) =
            (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let (counted, longest_ms, stopped) = (steps.clone(), gap_ms.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            let mut last = clock.monotonic();
            while !stopped.load(Ordering::SeqCst) {
                lane.step(Duration::from_millis(1)).unwrap();
                reporter.visit(&mut lane, clock.monotonic());
                counted.fetch_add(1, Ordering::SeqCst);
                let now = clock.monotonic();
                longest_ms.fetch_max((now - last).as_millis() as u64, Ordering::SeqCst);
                last = now;
            }
        });
        Self { steps, gap_ms, stop, thread: Some(thread) }
    }

    fn steps(&self) -> u64 {
        self.steps.load(Ordering::SeqCst)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        drop(self.thread.take().map(std::thread::JoinHandle::join));
    }
}

/// The status code of a GET.
fn get(address: SocketAddr, path: &str) -> Option<u16> {
    let mut stream = TcpStream::connect(address).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.split(' ').nth(1)?.parse().ok()
}

/// Asks for more than sockets buffer, and reads no more than the head of the answer.
fn deaf(address: SocketAddr, status: &Status) -> TcpStream {
    let partitions = (0..DEAF_PARTITIONS).map(|partition| TopicPartition { topic: "deaf".into(), partition });
    let partitions: Vec<_> = partitions.collect();
    for partition in &partitions {
        status.partition(PartitionStatus::new(partition.clone(), PartitionState::Live));
    }
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut head = [0; 1024];
    let read = stream.read(&mut head).unwrap();
    let head = String::from_utf8_lossy(&head[..read]).to_lowercase();
    let length = head.split("content-length: ").nth(1).and_then(|rest| rest.split('\r').next()).unwrap();
    let buffers = limit("tcp_wmem", 2) + 2 * limit("tcp_rmem", 1);
    assert!(length.parse::<usize>().unwrap() > buffers, "{length} bytes fit into buffers of {buffers}");
    partitions.iter().for_each(|partition| status.drop_partition(partition));
    stream
}

/// Bytes of a buffer, as the kernel has them: at least, unless somebody asks, and at most.
fn limit(name: &str, place: usize) -> usize {
    let limits = std::fs::read_to_string(format!("/proc/sys/net/ipv4/{name}")).unwrap();
    limits.split_whitespace().nth(place).unwrap().parse().unwrap()
}

#[test]
fn a_thousand_scrapes_and_slow_peers_do_not_hold_the_lanes_up() {
    let shared = Shared::new(Metrics::new().unwrap());
    let running = Running::start(&shared);
    let (metrics, status, clock) = (shared.metrics.clone(), shared.status.clone(), Arc::new(SystemClock::new()));
    let pages = Pages::new(&stage::flights(), "here", metrics, status, Logs::default(), clock);
    let door = stage::serve(pages);
    // One that asks and does not read its answer, one that never finishes its question.
    let deaf = deaf(door.address, &shared.status);
    let mut slow = TcpStream::connect(door.address).unwrap();
    slow.write_all(b"GET /metr").unwrap();
    let before = running.steps();
    running.gap_ms.store(0, Ordering::SeqCst);
    let paths = ["/metrics", "/v1/status", "/livez", "/"];
    let codes: Vec<_> = std::thread::scope(|scope| {
        let scrape = |number: usize| {
            let (running, address, path) = (&running, door.address, paths[number % paths.len()]);
            scope.spawn(move || (get(address, path), running.steps()))
        };
        let scrapes: Vec<_> = (0..1_000).map(scrape).collect();
        scrapes.into_iter().map(|scrape| scrape.join().unwrap()).collect()
    });
    let served = codes.iter().filter(|(code, _)| *code == Some(200)).count();
    let sent_away = codes.iter().filter(|(code, _)| code.is_none()).count();
    let gap = Duration::from_millis(running.gap_ms.load(Ordering::SeqCst));
    println!("{served} served, {sent_away} sent away, at most {gap:?} between two steps");
    assert!(served >= SERVED_MIN && served + sent_away == 1_000, "{served} served, {sent_away} sent away");
    assert!(gap <= GAP_MAX, "{gap:?} between two steps");
    // Had the lane stood still until the last answer, all scrapes would have seen the same step.
    let seen: std::collections::BTreeSet<_> = codes.iter().map(|(_, steps)| *steps).collect();
    assert!(running.steps() > before && seen.len() > 10, "{before} steps before, seen {seen:?}");
    drop((deaf, slow));
}
