//! What the records of an experiment are like, and the one place that makes them: the same seed, the same bytes.

use clap::Args;
use std::io::Write;

/// Event time of the first record: whole for every window, and past, so that no clock calls it the future.
pub(crate) const FIRST_MS: i64 = 1_700_000_000_000;
/// Amounts are multiples of a quarter, so that sums are exact in whatever order they are added.
const QUARTERS: u64 = 400_000;

/// Records, keys and event time.
#[derive(Args, Clone, Debug, serde::Serialize)]
pub(crate) struct Shape {
    /// Records, such as 500k or 20M
    #[arg(long, default_value = "20.3M", value_parser = quantity)]
    pub(crate) records: u64,
    /// Different keys
    #[arg(long, default_value = "100k", value_parser = quantity)]
    pub(crate) keys: u64,
    /// Keys by Zipf's law with exponent 1, instead of uniformly
    #[arg(long)]
    pub(crate) zipf: bool,
    /// Bytes of a value
    #[arg(long, default_value_t = 200)]
    pub(crate) value_bytes: usize,
    /// Partitions of the source topic
    #[arg(long, default_value_t = 4)]
    pub(crate) partitions: i32,
    /// How records are compressed in the topic: none, lz4, zstd, …
    #[arg(long, default_value = "none")]
    pub(crate) codec: String,
    /// Records per second of event time
    #[arg(long, default_value = "100k", value_parser = quantity)]
    pub(crate) event_rate: u64,
}

/// One record before it is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Event {
    pub(crate) key: u32,
    pub(crate) time_ms: i64,
    /// In quarters.
    pub(crate) amount: u32,
}

impl Shape {
    /// All records, in order.
    pub(crate) fn events(&self) -> impl Iterator<Item = Event> + use<> {
        let keys = Keys::new(self.keys, self.zipf);
        let mut random = Random(0x7469_6465);
        let rate = self.event_rate;
        (0..self.records).map(move |number| event(&keys, &mut random, FIRST_MS + (number * 1000 / rate) as i64))
    }

    /// Event time that the input spans, in milliseconds.
    pub(crate) fn span_ms(&self) -> i64 {
        (self.records * 1000 / self.event_rate) as i64
    }
}

/// The next record around `now_ms` of event time: 2 % of them are late by up to 2 s.
pub(crate) fn event(keys: &Keys, random: &mut Random, now_ms: i64) -> Event {
    let late = if random.below(50) == 0 { random.below(2_000) as i64 } else { 0 };
    Event { key: keys.draw(random), time_ms: (now_ms - late).max(FIRST_MS), amount: random.below(QUARTERS) as u32 }
}

/// The key's bytes: eleven of them.
pub(crate) fn write_key(out: &mut Vec<u8>, key: u32) {
    out.clear();
    // Writing into memory cannot fail.
    let _ = write!(out, "k{key:010}");
}

/// The number of a key, or `None` for one that is not ours.
pub(crate) fn read_key(key: &str) -> Option<u32> {
    key.strip_prefix('k')?.parse().ok()
}

/// A JSON object of exactly `bytes` (at least 180), members always in the same order, as one producer writes them.
pub(crate) fn write_value(out: &mut Vec<u8>, event: &Event, bytes: usize) {
    const CURRENCIES: [&str; 4] = ["EUR", "USD", "GBP", "JPY"];
    const CHANNELS: [&str; 4] = ["card", "wire", "cash", "debit"];
    const NOTE: &str = "order placed, paid and shipped; receipt sent by mail; ";
    out.clear();
    let device = Random(u64::from(event.amount) << 32 | u64::from(event.key)).next();
    let pick = (device & 3) as usize;
    let _ = write!(
        out,
        r#"{{"time":{},"account":"k{:010}","amount":{},"price":{}.{:02},"currency":"{}","channel":"{}","device":"{device:016x}","note":""#,
        event.time_ms,
        event.key,
        f64::from(event.amount) / 4.0,
        device % 1_000,
        device % 100,
        CURRENCIES[pick],
        CHANNELS[3 - pick],
    );
    let notes = NOTE.bytes().cycle().take(bytes.saturating_sub(out.len() + 2));
    out.extend(notes);
    out.extend_from_slice(br#""}"#);
}

/// Which key comes next.
pub(crate) struct Keys {
    count: u64,
    /// For Zipf's law: how likely the keys up to each are together.
    cumulative: Vec<f64>,
}

impl Keys {
    /// `count` keys, uniform or by Zipf's law with exponent 1.
    pub(crate) fn new(count: u64, zipf: bool) -> Self {
        let mut sum = 0.0;
        let weights = (1..=if zipf { count } else { 0 }).map(|rank| 1.0 / rank as f64);
        let cumulative: Vec<_> = weights
            .map(|weight| {
                sum += weight;
                sum
            })
            .collect();
        Self { count, cumulative }
    }

    fn draw(&self, random: &mut Random) -> u32 {
        let key = match self.cumulative.last() {
            None => random.below(self.count),
            Some(sum) => {
                let at = (random.next() >> 11) as f64 / (1u64 << 53) as f64 * sum;
                let rank = self.cumulative.partition_point(|cumulative| *cumulative <= at) as u64;
                // Popular keys should not be neighbours.
                rank.wrapping_mul(0x9e37_79b1) % self.count
            }
        };
        key as u32
    }
}

/// SplitMix64: small, and the same everywhere.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// The next number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which must be small beside 2⁶⁴.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }
}

/// Reads `250`, `20k`, `12.3M`.
pub(crate) fn quantity(text: &str) -> Result<u64, String> {
    let (number, unit) = match text.strip_suffix(['k', 'K']) {
        Some(number) => (number, 1e3),
        None => text.strip_suffix('M').map_or((text, 1.0), |number| (number, 1e6)),
    };
    match number.parse::<f64>() {
        Ok(number) if number > 0.0 && number * unit <= u32::MAX.into() => Ok((number * unit).round() as u64),
        _ => Err("a number such as 250, 20k or 12.3M".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(zipf: bool) -> Shape {
        Shape {
            records: 20_000,
            keys: 100,
            zipf,
            value_bytes: 200,
            partitions: 4,
            codec: "none".into(),
            event_rate: 1_000,
        }
    }

    #[test]
    fn the_same_shape_makes_the_same_records_and_values_have_their_size() {
        let (one, two): (Vec<_>, Vec<_>) = (shape(false).events().collect(), shape(false).events().collect());
        assert_eq!(one, two);
        let mut value = Vec::new();
        for event in &one {
            write_value(&mut value, event, 200);
            assert_eq!(value.len(), 200, "{}", String::from_utf8_lossy(&value));
            let read: serde_json::Value = serde_json::from_slice(&value).unwrap();
            assert_eq!(read["amount"].as_f64(), Some(f64::from(event.amount) / 4.0));
            assert_eq!(read["time"].as_i64(), Some(event.time_ms));
        }
    }

    #[test]
    fn two_percent_are_late_and_by_less_than_the_grace() {
        let mut newest = 0;
        let mut late = 0;
        for event in shape(false).events() {
            assert!(event.time_ms > newest - 2_000);
            late += u32::from(event.time_ms < newest);
            newest = newest.max(event.time_ms);
        }
        assert!((300..500).contains(&late), "{late} of 20000");
    }

    #[test]
    fn the_most_popular_key_has_its_share_of_zipf() {
        for (zipf, expected) in [(false, 150..260), (true, 3_600..4_100)] {
            let mut counts = vec![0; 100];
            shape(zipf).events().for_each(|event| counts[event.key as usize] += 1);
            let most = *counts.iter().max().unwrap();
            assert!(expected.contains(&most), "{most}");
        }
    }

    #[test]
    fn quantities_have_units() {
        let read = ["250", "20k", "12.3M", "0", "-1", "5G", ""].map(|text| quantity(text).ok());
        assert_eq!(read, [Some(250), Some(20_000), Some(12_300_000), None, None, None, None]);
    }
}
