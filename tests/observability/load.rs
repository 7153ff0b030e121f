//! A stream with everything in it that panels show: order and disorder, late and broken records, sums out of range, and
//! a partition that falls silent now and then.

use crate::stage::Stage;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tidemill::broker::Headers;
use tidemill::clock::{Clock, SystemClock};
use tidemill::kafka::Loader;

const EVERY: Duration = Duration::from_millis(20);
const RECORDS: u64 = 40;

/// A thread that writes until it is told to stop.
pub struct Load {
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Load {
    pub fn start(stage: &Stage<'_>) -> Self {
        let stopping = Arc::<AtomicBool>::default();
        let mut loader = stage.loader();
        let told = stopping.clone();
        let thread = std::thread::spawn(move || {
            let mut number = 0;
            while !told.load(Ordering::SeqCst) {
                for _ in 0..RECORDS {
                    send(&mut loader, number);
                    number += 1;
                }
                loader.flush(Duration::from_secs(20)).unwrap();
                std::thread::sleep(EVERY);
            }
        });
        Self { stopping, thread: Some(thread) }
    }

    pub fn stop(mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.thread.take().unwrap().join().unwrap();
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
    }
}

fn send(loader: &mut Loader, number: u64) {
    let now_ms = now_ms();
    // For two seconds of every ten nobody writes to the last partition.
    let partition = (number % 4) as i32;
    if partition == 3 && now_ms / 1000 % 10 < 2 {
        return;
    }
    let t = match number % 50 {
        7 => now_ms - 60_000,
        8..20 => now_ms - (number % 13) as i64 * 100,
        _ => now_ms,
    };
    let value = match number % 97 {
        3 => "no JSON".to_owned(),
        4 => r#"{"t":"soon","v":1}"#.to_owned(),
        5 => format!(r#"{{"t":{t},"v":1.7e308}}"#),
        _ => format!(r#"{{"t":{t},"v":{}}}"#, number % 100),
    };
    let key = format!("key-{}", number % 200);
    loader.send(partition, now_ms, Some(key.as_bytes()), Some(value.as_bytes()), Headers::default()).unwrap();
}

pub fn now_ms() -> i64 {
    SystemClock::new().now_ms()
}
