//! What a topic of results holds, as a number of records and a sum over them that no order changes: comparable without
//! keeping ten million windows.

use std::hash::{DefaultHasher, Hash, Hasher};

/// A multiset of results; equal sums are equal sets but for one chance in 2^64.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    pub results: u64,
    sum: u64,
}

impl Sum {
    /// Adds the result of one key and window.
    pub fn add(&mut self, key: &[u8], start_ms: i64, records: u64) {
        let mut hasher = DefaultHasher::new();
        (key, start_ms, records).hash(&mut hasher);
        self.results += 1;
        self.sum = self.sum.wrapping_add(hasher.finish());
    }

    /// Adds a record of the sink.
    pub fn read(&mut self, key: &[u8], value: &[u8]) {
        let result: serde_json::Value = serde_json::from_slice(value).unwrap();
        let number = |name: &str| result[name].as_i64().unwrap_or_else(|| panic!("no {name} in {result}"));
        self.add(key, number("window_start"), number("n").unsigned_abs());
    }
}
