//! An open loop: records go out when they are due, whatever the system does, and each window's closing record is known
//! by the instant at which it was due.

use crate::apache::Apache;
use crate::expected::Windows;
use crate::shape::{Event, FIRST_MS, Keys, Random, Shape, event, write_key, write_value};
use std::collections::HashMap;
use std::time::{Duration, Instant};
use tidemill::broker::Headers;
use tidemill::kafka::Loader;
use tidemill::partitioner;

/// Between two looks at what is due: how coarse the loop may be.
const LOOK: Duration = Duration::from_micros(500);
const WRITTEN_WITHIN: Duration = Duration::from_secs(60);

/// A window of one partition.
pub(crate) type Place = (i32, i64);

/// What the feed did.
pub(crate) struct Fed {
    /// When the record that closed each window was due, by partition and end of the window.
    pub(crate) due: HashMap<Place, Instant>,
    /// How far behind its schedule the last record was when it was written.
    pub(crate) behind: Duration,
    pub(crate) records: u64,
}

/// Sends records of `shape` at `rate` per second for so long.
pub(crate) fn feed(
    apache: &Apache,
    topic: &str,
    shape: &Shape,
    windows: Windows,
    (rate, time): (u64, Duration),
) -> anyhow::Result<Fed> {
    let mut config = apache.config("");
    // What waits for company is late already.
    config.producer_properties.insert("linger.ms".into(), "1".into());
    let mut loader = Loader::open(&config, topic)?;
    let (keys, mut random) = (Keys::new(shape.keys, shape.zipf), Random(0x6665_6564));
    let mut closing = Closing::new(shape.partitions, windows);
    let (mut key, mut value) = (Vec::new(), Vec::new());
    let mut due = HashMap::new();
    let (begun, total) = (Instant::now(), (rate as f64 * time.as_secs_f64()) as u64);
    let at = |number: u64| begun + Duration::from_secs_f64(number as f64 / rate as f64);
    let mut sent = 0;
    while sent < total {
        let until = ((begun.elapsed().as_secs_f64() * rate as f64) as u64).min(total);
        for number in sent..until {
            let event: Event = event(&keys, &mut random, FIRST_MS + (number * 1000 / shape.event_rate) as i64);
            write_key(&mut key, event.key);
            write_value(&mut value, &event, shape.value_bytes);
            let partition = partitioner::partition(Some(&key), 0, shape.partitions);
            loader.send(partition, event.time_ms, Some(&key), Some(&value), Headers::default())?;
            closing.saw(partition, event.time_ms, |place| {
                due.insert(place, at(number));
            });
        }
        sent = until;
        std::thread::sleep(LOOK);
    }
    loader.flush(WRITTEN_WITHIN)?;
    let behind = Instant::now().saturating_duration_since(at(sent));
    Ok(Fed { due, behind, records: sent })
}

/// Which window each partition's next record may close.
struct Closing {
    windows: Windows,
    /// End of the next window to close.
    ends: Vec<i64>,
}

impl Closing {
    fn new(partitions: i32, windows: Windows) -> Self {
        Self { windows, ends: vec![FIRST_MS + windows.every_ms; partitions.unsigned_abs() as usize] }
    }

    fn saw(&mut self, partition: i32, time_ms: i64, mut closed: impl FnMut(Place)) {
        let Some(end) = self.ends.get_mut(partition.unsigned_abs() as usize) else { return };
        while time_ms >= *end + self.windows.grace_ms {
            closed((partition, *end));
            *end += self.windows.every_ms;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expected::TUMBLING;

    #[test]
    fn a_window_is_closed_by_the_first_record_at_its_end_and_grace() {
        let mut closing = Closing::new(2, TUMBLING);
        let mut closed = Vec::new();
        for (partition, ms) in [(0, 11_999), (0, 12_000), (0, 12_000), (1, 35_000)] {
            closing.saw(partition, FIRST_MS + ms, |place| closed.push((place.0, place.1 - FIRST_MS)));
        }
        assert_eq!(closed, [(0, 10_000), (1, 10_000), (1, 20_000), (1, 30_000)]);
    }
}
