//! Records of one partition, made up as they are read and always the same: 200-byte JSON values, uniform keys.

use crate::broker::RecordBatch;
use crate::mix;
use std::io::Write;

/// Records of one step.
pub(super) const STEP_RECORDS: u64 = 1_000;
/// Steps whose records fall into one window.
pub(super) const WINDOW_STEPS: u64 = 50;
/// Event time from one record to the next.
const RECORD_MS: i64 = 1;
/// Length of a window in event time.
pub(super) const WINDOW_MS: i64 = (STEP_RECORDS * WINDOW_STEPS) as i64 * RECORD_MS;
const FROM_MS: i64 = 1_700_000_000_000 / WINDOW_MS * WINDOW_MS;

/// The stream, at its next record.
pub(super) struct Feed {
    keys: u64,
    next: u64,
    key: Vec<u8>,
    value: Vec<u8>,
}

impl Feed {
    /// From the beginning, with so many keys.
    pub(super) fn new(keys: u64) -> Self {
        Self { keys, next: 0, key: Vec::new(), value: Vec::new() }
    }

    /// Every key there is.
    pub(super) fn keys(keys: u64) -> Vec<Box<[u8]>> {
        (0..keys).map(|number| name(number).into_bytes().into()).collect()
    }

    /// The records of one step, instead of what was in the batch.
    pub(super) fn fill(&mut self, batch: &mut RecordBatch) {
        batch.clear();
        for _ in 0..STEP_RECORDS {
            let random = mix(self.next);
            let time_ms = FROM_MS + self.next as i64 * RECORD_MS;
            let number = (random >> 40) as f64 / 16.0;
            self.key.clear();
            self.value.clear();
            // Writing into memory cannot fail.
            let _ = write!(self.key, "device-{:06}", random % self.keys);
            let _ = write!(
                self.value,
                "{{\"time\":{time_ms},\"value\":{number},\"place\":\"hall seven, north\",\"ok\":true,\"note\":\"{:x<110}\"}}",
                ""
            );
            batch.push(0, self.next as i64, time_ms, Some(&self.key), Some(&self.value), |_| ());
            self.next += 1;
        }
    }
}

fn name(number: u64) -> String {
    format!("device-{number:06}")
}
