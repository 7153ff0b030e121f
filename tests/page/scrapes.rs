//! Lanes on the embedded broker, while their pages are asked too much and too slowly.

use crate::stage;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tidemill::clock::{Clock, SystemClock};
use tidemill::http::Pages;
use tidemill::lane::{Lane, LaneOptions};
use tidemill::logs::Logs;
use tidemill::metrics::Metrics;
use tidemill::sim::{ClientOptions, Cluster};
use tidemill::worker::{Reporter, Shared};

/// One lane on its thread; ends with this value.
struct Running {
    steps: Arc<AtomicU64>,
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
        let (steps, stop) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let (counted, stopped) = (steps.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::SeqCst) {
                lane.step(Duration::from_millis(1)).unwrap();
                reporter.visit(&mut lane, clock.monotonic());
                counted.fetch_add(1, Ordering::SeqCst);
            }
        });
        Self { steps, stop, thread: Some(thread) }
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

#[test]
fn a_thousand_scrapes_and_slow_peers_do_not_hold_the_lanes_up() {
    let shared = Shared::new(Metrics::new().unwrap());
    let running = Running::start(&shared);
    let (metrics, status, clock) = (shared.metrics.clone(), shared.status.clone(), Arc::new(SystemClock::new()));
    let pages = Pages::new(&stage::flights(), "here", metrics, status, Logs::default(), clock);
    let door = stage::serve(pages);
    // One that asks and does not read its answer, one that never finishes its question.
    let mut deaf = TcpStream::connect(door.address).unwrap();
    deaf.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut slow = TcpStream::connect(door.address).unwrap();
    slow.write_all(b"GET /metr").unwrap();
    let before = running.steps();
    let paths = ["/metrics", "/v1/status", "/livez", "/"];
    let codes: Vec<_> = std::thread::scope(|scope| {
        let scrape = |number: usize| {
            let (running, address, path) = (&running, door.address, paths[number % paths.len()]);
            scope.spawn(move || (get(address, path), running.steps()))
        };
        let scrapes: Vec<_> = (0..1_000).map(scrape).collect();
        scrapes.into_iter().map(|scrape| scrape.join().unwrap()).collect()
    });
    // A machine that is busy enough makes the door lose its patience with some: that is what it is for.
    let served = codes.iter().filter(|(code, _)| *code == Some(200)).count();
    let sent_away = codes.iter().filter(|(code, _)| code.is_none()).count();
    assert!(served > 0 && served + sent_away == 1_000, "{served} served, {sent_away} sent away");
    // Had the lane stood still until the last answer, all scrapes would have seen the same step.
    let seen: std::collections::BTreeSet<_> = codes.iter().map(|(_, steps)| *steps).collect();
    assert!(running.steps() > before && seen.len() > 10, "{before} steps before, seen {seen:?}");
    drop((deaf, slow));
}
