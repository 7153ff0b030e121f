//! Three workers while the flights stream in: killed, frozen, told to leave, joined by others, at random. Every window
//! must come once, every late record once, and nobody may end that was not told to.

use crate::flights::{flights, send, setup};
use crate::judge::Truth;
use crate::process::{LOOK, PATIENCE, Worker, until};
use crate::read_back::Tail;
use crate::stage::{Setup, Stage, key_of};
use crate::support::generate::Random;
use crate::support::kafka::Kafka;
use std::time::{Duration, Instant};
use tidemill::clock::{Clock, SystemClock};

/// How long the flights take to come in.
const STREAM: Duration = Duration::from_secs(40);
const CHUNKS: u32 = 1_000;
/// Places in the deployment.
const PLACES: [&str; 4] = ["a", "b", "c", "d"];

/// What `Setup::kafka` needs for rebalances that tests can wait for.
pub fn short_session() -> Vec<String> {
    vec!["consumer_properties: { session.timeout.ms: 6000, heartbeat.interval.ms: 500 }".into()]
}

/// Appends to every partition a record so far ahead that it closes every window but its own.
pub fn close_all(stage: &Stage<'_>, time: &str) {
    const FAR_MS: i64 = 4_000_000_000_000;
    let keys = (0..stage.setup.partitions).map(|partition| key_of(partition, stage.setup.partitions));
    stage.load(keys.map(|key| (key, format!(r#"{{"{time}":{FAR_MS}}}"#))));
}

/// A worker in its place, and until when it is frozen.
struct Running {
    worker: Worker,
    frozen_until: Option<Instant>,
}

struct Storm<'a> {
    stage: &'a Stage<'a>,
    random: Random,
    places: [Option<Running>; 4],
    done: Vec<String>,
}

impl Storm<'_> {
    fn start(&mut self, place: usize) {
        let worker = self.stage.worker(PLACES[place]);
        self.places[place] = Some(Running { worker, frozen_until: None });
    }

    fn note(&mut self, began: Instant, what: &str, place: usize) {
        self.done.push(format!("{:.1} s {what} {}", began.elapsed().as_secs_f64(), PLACES[place]));
    }

    /// One blow at one place.
    fn strike(&mut self, began: Instant) {
        let place = self.random.between(0, 3) as usize;
        let awake = self.places.iter().flatten().filter(|it| it.frozen_until.is_none()).count();
        let blow = self.random.between(1, 10);
        match &mut self.places[place] {
            None => {
                self.note(began, "start", place);
                self.start(place);
            }
            Some(running) if running.frozen_until.is_some() => {}
            Some(running) if blow <= 4 => {
                running.worker.kill();
                self.places[place] = None;
                self.note(began, "kill", place);
                if blow <= 2 || awake == 1 {
                    self.start(place);
                }
            }
            Some(running) if blow <= 8 => {
                running.worker.signal("STOP");
                // Shorter than the session, longer than it, longer than the transaction.
                let frozen = Duration::from_secs(self.random.pick(&[1, 3, 8]));
                running.frozen_until = Some(Instant::now() + frozen);
                self.note(began, &format!("freeze for {frozen:?}"), place);
            }
            Some(running) if awake > 1 => {
                let (code, took) = running.worker.stop();
                assert_eq!(code, Some(0), "a worker that was told to leave");
                assert!(took < Duration::from_secs(5), "leaving took {took:?}");
                self.places[place] = None;
                self.note(began, &format!("leave, which took {took:?},"), place);
            }
            Some(_) => {}
        }
    }

    /// Thaws whoever is due, and looks whether somebody has ended by itself.
    fn tend(&mut self, all: bool) {
        for running in self.places.iter_mut().flatten() {
            if running.frozen_until.is_some_and(|at| all || Instant::now() >= at) {
                running.worker.signal("CONT");
                running.frozen_until = None;
            }
            assert!(running.worker.is_running(), "a worker has ended by itself");
        }
    }
}

fn storm(hint: &str, more: Setup) {
    let seed = std::env::var("TIDEMILL_SEED").ok().and_then(|seed| seed.parse().ok());
    let now = SystemClock::new().now_ms().unsigned_abs();
    let seed: u64 = seed.unwrap_or(now % 1_000_000);
    println!("{hint}: TIDEMILL_SEED={seed}");
    let stage = &Stage::new(Kafka::shared(), hint, more);
    let mut storm = Storm { stage, random: Random::new(seed), places: [const { None }; 4], done: Vec::new() };
    (0..3).for_each(|place| storm.start(place));
    let began = Instant::now();
    let mut next_at = began + Duration::from_secs(4);
    std::thread::scope(|scope| {
        let streaming = scope.spawn(|| stream(stage, began));
        while !streaming.is_finished() {
            storm.tend(false);
            if Instant::now() >= next_at {
                storm.strike(began);
                next_at = Instant::now() + Duration::from_millis(storm.random.between(200, 2_500) as u64);
            }
            std::thread::sleep(LOOK);
        }
    });
    println!("{hint}: {}", storm.done.join(", "));
    let calm = Instant::now();
    storm.tend(true);
    for place in 0..3 {
        if storm.places[place].is_none() {
            storm.start(place);
        }
    }
    close_all(stage, "scheduled");
    let truth = Truth::of(stage, false);
    let (mut results, mut late) = (Tail::new(stage.kafka, &stage.sink, 4), Tail::new(stage.kafka, &stage.late, 4));
    until("everything is visible", || {
        results.read();
        late.read();
        storm.tend(false);
        results.records.len() >= truth.windows() && late.records.len() >= truth.late()
    });
    println!("{hint}: {} windows, all visible {:?} after the storm", truth.windows(), calm.elapsed());
    for running in storm.places.into_iter().flatten() {
        running.worker.stop_well();
    }
    truth.hold(stage);
}

fn stream(stage: &Stage<'_>, began: Instant) {
    let flights = flights();
    let mut loader = stage.loader();
    for (number, chunk) in (0..).zip(flights.chunks(flights.len() / CHUNKS as usize + 1)) {
        let at = began + STREAM * number / CHUNKS;
        std::thread::sleep(at.saturating_duration_since(Instant::now()));
        chunk.iter().for_each(|flight| send(&mut loader, flight, Some(&flight.carrier)));
    }
    loader.flush(PATIENCE).unwrap();
}

#[test]
fn workers_are_killed_frozen_and_join_and_leave_while_flights_stream() {
    let mut setup = setup("tumbling: 1h, grace: 1h, idle: off");
    setup.source += ", max_ahead: off";
    setup.kafka = short_session();
    setup.rest = "commit: { timeout: 6s }\n".into();
    storm("storm", setup);
}
