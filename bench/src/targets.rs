//! What tidemill must reach, held against the results that are stored: nothing here is measured, nothing is decided by hand.

use crate::report::{root, table};
use serde_json::Value;
use std::fs;

/// One line of the table.
struct Target {
    what: &'static str,
    /// As people say it.
    says: &'static str,
    limit: Limit,
    reached: fn(&Stored) -> Option<f64>,
    unit: &'static str,
}

enum Limit {
    AtMost(f64),
    AtLeast(f64),
}
use Limit::{AtLeast, AtMost};

const TARGETS: &[Target] = &[
    Target {
        what: "W1: CPU time a record, against Flink",
        says: "≤ 1/5",
        limit: AtMost(1.0 / 5.0),
        reached: |stored| stored.w1_ratio("cpu_ns_per_record", "flink"),
        unit: "×",
    },
    Target {
        what: "W1: CPU time a record, against Kafka Streams",
        says: "≤ 1/25",
        limit: AtMost(1.0 / 25.0),
        reached: |stored| stored.w1_ratio("cpu_ns_per_record", "streams"),
        unit: "×",
    },
    Target {
        what: "W1: peak resident memory, against Flink",
        says: "≤ 1/8",
        limit: AtMost(1.0 / 8.0),
        reached: |stored| stored.w1_ratio("peak_bytes", "flink"),
        unit: "×",
    },
    Target {
        what: "W1: rate on one core",
        says: "≥ 2 M records/s",
        limit: AtLeast(2.0),
        reached: |stored| Some(stored.w1("tidemill", "records_per_s")? / 1e6),
        unit: " M records/s",
    },
    Target {
        what: "W1: CPU time a record, against transport alone",
        says: "≤ 2.5 ×",
        limit: AtMost(2.5),
        reached: |stored| stored.w1_ratio("cpu_ns_per_record", "transport"),
        unit: "×",
    },
    Target {
        what: "1 M keys, against 100 k keys",
        says: "≤ 1.5 ×",
        limit: AtMost(1.5),
        reached: |stored| stored.variant_ratio("1M keys, 2 GiB", "2 GiB"),
        unit: "×",
    },
    Target {
        what: "lz4, against uncompressed",
        says: "≤ 1.3 ×",
        limit: AtMost(1.3),
        reached: |stored| stored.variant_ratio("lz4", "base"),
        unit: "×",
    },
    Target {
        what: "zstd, against uncompressed",
        says: "≤ 1.8 ×",
        limit: AtMost(1.8),
        reached: |stored| stored.variant_ratio("zstd", "base"),
        unit: "×",
    },
    Target {
        what: "100,000 keys closing at once: due to the last key visible, median",
        says: "≤ 200 ms",
        limit: AtMost(200.0),
        reached: |stored| stored.number("burst", "/results/0/last_median_ms"),
        unit: " ms",
    },
    Target {
        what: "1,000 keys, 80 % load, commits every 10 ms: due to the last key visible, p99",
        says: "≤ 30 ms",
        limit: AtMost(30.0),
        reached: |stored| stored.quick_p99_ms(),
        unit: " ms",
    },
    Target {
        what: "A transaction of 100 results on an idle machine, median",
        says: "≤ 6 ms",
        limit: AtMost(6.0),
        reached: |stored| stored.number("commit", "/results/median_ms"),
        unit: " ms",
    },
];

/// The table of targets, as the files in `bench/results` have it.
pub(crate) fn targets() -> String {
    rows(&Stored::read())
}

fn rows(stored: &Stored) -> String {
    let row = |target: &Target| {
        let reached = (target.reached)(stored);
        let says = reached.map_or("not measured".into(), |reached| format!("{}{}", number(reached), target.unit));
        let verdict = reached.map_or(String::new(), |reached| verdict(&target.limit, reached));
        [target.what.to_owned(), target.says.to_owned(), says, verdict]
    };
    table(["", "target", "reached", ""], &TARGETS.iter().map(row).collect::<Vec<_>>())
}

fn verdict(limit: &Limit, reached: f64) -> String {
    let beyond = match limit {
        AtMost(limit) => reached / limit - 1.0,
        AtLeast(limit) => 1.0 - reached / limit,
    };
    if beyond <= 0.0 { "met".into() } else { format!("missed by {:.0} %", (beyond * 100.0).ceil()) }
}

fn number(number: f64) -> String {
    let digits = if number < 0.1 { 3 } else { usize::from(number < 100.0) + usize::from(number < 10.0) };
    format!("{number:.digits$}")
}

/// The files of results.
struct Stored(Vec<(&'static str, Value)>);

impl Stored {
    fn read() -> Self {
        let file = |name| {
            let text = fs::read_to_string(root().join("bench/results").join(format!("{name}.json"))).ok()?;
            Some((name, serde_json::from_str(&text).ok()?))
        };
        Self(["w1", "variants", "latency", "burst", "commit"].into_iter().filter_map(file).collect())
    }

    fn file(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(other, _)| *other == name).map(|(_, value)| value)
    }

    fn number(&self, file: &str, pointer: &str) -> Option<f64> {
        self.file(file)?.pointer(pointer)?.as_f64()
    }

    fn w1(&self, system: &str, member: &str) -> Option<f64> {
        run(self.file("w1")?.pointer("/results/runs")?, system)?.get(member)?.as_f64()
    }

    fn w1_ratio(&self, member: &str, rival: &str) -> Option<f64> {
        Some(self.w1("tidemill", member)? / self.w1(rival, member)?)
    }

    fn variant(&self, name: &str) -> Option<f64> {
        let variants = self.file("variants")?.get("results")?.as_array()?;
        let variant = variants.iter().find(|variant| variant["name"] == name)?;
        run(variant.get("runs")?, "tidemill")?.get("cpu_ns_per_record")?.as_f64()
    }

    fn variant_ratio(&self, name: &str, base: &str) -> Option<f64> {
        Some(self.variant(name)? / self.variant(base)?)
    }

    fn quick_p99_ms(&self) -> Option<f64> {
        let held = self.file("latency")?.pointer("/results/held")?.as_array()?;
        let quick = held.iter().find(|held| held["keys"] == 1_000 && held["load"] == 0.8)?;
        Some(quick.pointer("/last/p99_us")?.as_f64()? / 1000.0)
    }
}

fn run<'a>(runs: &'a Value, system: &str) -> Option<&'a Value> {
    runs.as_array()?.iter().find(|run| run["system"] == system)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_reached_is_computed_and_a_miss_says_by_how_much() {
        let run = |system, cpu: f64| json!({"system": system, "cpu_ns_per_record": cpu, "records_per_s": 1.5e6});
        let w1 = json!({"results": {"runs": [run("tidemill", 500.0), run("flink", 2500.0), run("transport", 190.0)]}});
        let table = rows(&Stored(vec![("w1", w1)]));
        let line = |words: &str| table.lines().find(|line| line.contains(words)).unwrap();
        assert!(line("against Flink").ends_with("| 0.20× | met |"), "{table}");
        assert!(line("transport").ends_with("| 2.63× | missed by 6 % |"), "{table}");
        assert!(line("rate on one core").ends_with("| 1.50 M records/s | missed by 25 % |"), "{table}");
        assert!(line("Kafka Streams").ends_with("| not measured |  |"), "{table}");
    }

    #[test]
    fn numbers_keep_what_matters() {
        assert_eq!([0.0412, 0.2, 2.634, 12.34, 123.4].map(number), ["0.041", "0.20", "2.63", "12.3", "123"]);
    }
}
