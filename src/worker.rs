//! The process: lanes on threads of their own, HTTP and signals beside them, and an orderly end.
//!
//! Knows nothing of records. A lane that fails or panics takes the process down with it: half a worker would hold its
//! partitions and look alive.

mod headroom;
mod minutes;
mod report;
mod sampler;
mod signals;

pub use report::{Reporter, partition_status};
pub use sampler::sample;
pub use signals::on_signals;

use crate::broker::Broker;
use crate::budget::Memory;
use crate::clock::Clock;
use crate::lane::{Lane, Progress, Stop};
use crate::logs::Logs;
use crate::metrics::{LaneCounts, Metrics};
use crate::pool::Pool;
use crate::recent::Desk;
use crate::status::Status;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

/// Longest wait for records in one step: bounds how late a signal is seen.
const WAIT: Duration = Duration::from_millis(50);
/// Between two looks at a broker's answer that is not there yet.
const ANSWER_WAIT: Duration = Duration::from_millis(1);

/// What the threads of a worker share. Records never pass through it.
#[derive(Clone, Debug)]
pub struct Shared {
    /// What `/metrics` shows.
    pub metrics: Metrics,
    /// What health checks and people see.
    pub status: Status,
    /// The log: what of it people see on the pages.
    pub logs: Logs,
    memory: Arc<OnceLock<Memory>>,
    retention: Arc<OnceLock<BTreeMap<String, i64>>>,
    /// Where questions about windows are answered.
    pub desk: Desk,
    stopping: Arc<AtomicBool>,
}

impl Shared {
    /// Nothing counted yet.
    pub fn new(metrics: Metrics) -> Self {
        Self {
            metrics,
            status: Status::new(),
            logs: Logs::default(),
            memory: Arc::default(),
            retention: Arc::default(),
            desk: Desk::default(),
            stopping: Arc::default(),
        }
    }

    /// Asks all lanes to commit what is closed and leave.
    pub fn stop(&self) {
        self.status.drain();
        self.stopping.store(true, Ordering::SeqCst);
    }

    /// True once [`Self::stop`] was called.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// The memory of the process, from here on to be seen in metrics.
    ///
    /// # Errors
    /// It was shown before.
    pub fn show(&self, memory: &Memory) -> Result<(), prometheus::Error> {
        self.metrics.show_memory(memory)?;
        self.memory.get_or_init(|| memory.clone());
        Ok(())
    }

    /// The memory of the process; `None` until it is divided.
    pub fn memory(&self) -> Option<&Memory> {
        self.memory.get()
    }

    /// A copy of everything counted so far.
    pub fn totals(&self) -> LaneCounts {
        self.metrics.totals()
    }

    /// How long source topics keep their records, in ms; those without a limit are left out. Said once.
    pub fn know_retention(&self, retention_ms: BTreeMap<String, i64>) {
        self.retention.get_or_init(|| retention_ms);
    }

    /// What is known about one topic.
    pub fn retention_ms(&self, topic: &str) -> Option<i64> {
        self.retention.get()?.get(topic).copied()
    }
}

/// Running lanes.
#[derive(Debug)]
pub struct Lanes {
    threads: Vec<JoinHandle<()>>,
    ended: Receiver<(usize, Result<(), Stop>)>,
    /// The one that all lanes share.
    pool: Option<Pool>,
}

/// Starts one thread for each lane; they begin to leave when `shared` is told to stop, and are gone
/// `shutdown_timeout` later.
///
/// # Errors
/// The system has no thread to give.
pub fn start<B, C>(
    lanes: Vec<Lane<B, C>>,
    clock: C,
    shared: &Shared,
    shutdown_timeout: Duration,
) -> std::io::Result<Lanes>
where
    B: Broker + Send + 'static,
    C: Clock + Clone + Send + 'static,
{
    let (sender, ended) = channel();
    let pool = lanes.first().map(|lane| lane.pool().clone());
    let mut threads = Vec::new();
    for (number, lane) in lanes.into_iter().enumerate() {
        let reporter = Reporter::new(number, shared.clone(), clock.monotonic());
        let dart = Dart { number, sender: sender.clone(), outcome: None };
        let clock = clock.clone();
        let thread = std::thread::Builder::new().name(format!("lane-{number}"));
        threads.push(thread.spawn(move || run(lane, &clock, reporter, dart, shutdown_timeout))?);
    }
    Ok(Lanes { threads, ended, pool })
}

impl Lanes {
    /// Waits at most `timeout` for a lane to end. `None`: all that were running still are.
    pub fn wait(&self, timeout: Duration) -> Option<(usize, Result<(), Stop>)> {
        self.ended.recv_timeout(timeout).ok()
    }

    /// Number of lanes that were started.
    pub fn len(&self) -> usize {
        self.threads.len()
    }

    /// True if no lane was started.
    pub fn is_empty(&self) -> bool {
        self.threads.is_empty()
    }

    /// Waits for the threads that have ended; call it only when all have said so.
    pub fn join(self) {
        for thread in self.threads {
            // A panic has been reported by the dart already.
            let _ = thread.join();
        }
        if let Some(Err(away)) = self.pool.map(|pool| pool.all_home()) {
            tracing::error!("{away}, though all lanes have ended: this is a defect of tidemill, please report it");
            debug_assert!(false, "{away}");
        }
    }
}

/// Reports the end of a lane's thread, also when it unwinds.
struct Dart {
    number: usize,
    sender: Sender<(usize, Result<(), Stop>)>,
    outcome: Option<Result<(), Stop>>,
}

impl Drop for Dart {
    fn drop(&mut self) {
        let outcome = self.outcome.take().unwrap_or_else(|| {
            Err(Stop(format!(
                "lane {} panicked: this is a defect of tidemill, please report it with the log",
                self.number
            )))
        });
        // Nobody listens any more: the process is on its way out.
        let _ = self.sender.send((self.number, outcome));
    }
}

fn run<B: Broker, C: Clock>(
    mut lane: Lane<B, C>,
    clock: &C,
    mut reporter: Reporter,
    mut dart: Dart,
    shutdown_timeout: Duration,
) {
    let mut deadline = None;
    let outcome = loop {
        if reporter.shared().is_stopping() {
            let deadline = *deadline.get_or_insert_with(|| {
                lane.shut_down();
                clock.monotonic() + shutdown_timeout.mul_f64(0.7)
            });
            if clock.monotonic() >= deadline {
                tracing::warn!(
                    lane = dart.number,
                    "leaving without a last commit: shutdown.timeout is nearly over. \
                    Nothing is lost: the next owner reads again from the last commit"
                );
                lane.leave();
            }
        }
        match lane.step(WAIT) {
            Ok(Progress::Closed) => break Ok(()),
            Ok(Progress::Waiting) => std::thread::sleep(ANSWER_WAIT),
            Ok(Progress::Busy | Progress::Idle) => {}
            Err(stop) => {
                lane.leave();
                break Err(stop);
            }
        }
        reporter.visit(&mut lane, clock.monotonic());
    };
    reporter.finish(&mut lane, clock.monotonic());
    dart.outcome = Some(outcome);
}
