//! A plan for people: a paragraph for each question, a bar for each holder, no line over 100 columns.

use super::load::{Origin, Sampled};
use super::{Plan, speed};
use crate::budget::Mib;
use crate::config::Window;
use std::fmt;
use std::time::Duration;

/// Columns of the longest bar.
const BAR: f64 = 50.0;

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.stream(f)?;
        self.windows(f)?;
        self.memory(f)?;
        self.times(f)?;
        for problem in &self.problems {
            writeln!(f, "\n{problem}")?;
        }
        Ok(())
    }
}

impl Plan {
    fn stream(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let load = &self.load;
        let (rate, partitions) = (count(load.rate), plural(load.partitions, "partition"));
        write!(f, "{}: {rate} records/s in {partitions}, ", self.name)?;
        match load.origin {
            Origin::Given => writeln!(f, "as given")?,
            Origin::Sampled(Sampled { records, span_ms, late, dead, disorder_ms }) => {
                writeln!(f, "by a sample of {} records", count(records as f64))?;
                writeln!(
                    f,
                    "            over {} of event time; {} late, {} dead, out of order by up to {}",
                    span(span_ms),
                    percent(late),
                    percent(dead),
                    span(disorder_ms)
                )?;
            }
        }
        let keys = &load.keys;
        writeln!(
            f,
            "keys        {} distinct, entropy {:.2}; hottest key {}, hottest partition {}",
            count(keys.distinct()),
            keys.entropy(),
            percent(keys.hottest()),
            percent(load.hottest_partition)
        )
    }

    fn windows(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = &self.state;
        let (open, panes) = (plural(state.open as usize, "window"), plural(state.panes as usize, "pane"));
        let open = if state.panes == state.open { open } else { format!("{open} of {panes}") };
        let of_one = if self.scale.workers > 1 { ", on one worker" } else { "" };
        writeln!(f, "windows     {}: {open} open at once{of_one}", self.window)?;
        let seen = self.load.rows.map_or(String::new(), |rows| format!(", the largest of {} seen", rows.windows));
        writeln!(f, "            one has {} rows and {}{seen}", count(state.window_rows.max), mib(state.window_bytes))?;
        writeln!(f, "            together, at a close: {} rows and {}", count(state.rows), mib(state.bytes))
    }

    fn memory(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let from = self.place.budget_from.as_ref().map_or(String::new(), |from| format!(" ({from})"));
        writeln!(
            f,
            "memory      {} expected at most, of {}{from}",
            mib(self.peak_bytes()),
            Mib(self.place.budget_bytes)
        )?;
        let most = self.shares.iter().map(|share| share.bound_bytes).max().unwrap_or(1).max(1) as f64;
        for share in &self.shares {
            let columns = |bytes: f64| (bytes / most * BAR).round() as usize;
            let full = columns(share.expected_bytes);
            let empty = columns(share.bound_bytes as f64).saturating_sub(full);
            let line = format!(
                "  {:<16}{:>11} {:>11}  {}{}",
                share.holder.as_str(),
                mib(share.expected_bytes),
                Mib(share.bound_bytes).to_string(),
                "#".repeat(full),
                ".".repeat(empty)
            );
            writeln!(f, "{}", line.trim_end())?;
        }
        writeln!(f, "            # expected while catching up, . what the budget lets it have")
    }

    fn times(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (burst, restore, scale) = (&self.burst, &self.restore, &self.scale);
        writeln!(
            f,
            "burst       {} results ({}) at a window's end, committed after {}",
            count(burst.results),
            mib(burst.bytes),
            seconds(burst.seconds)
        )?;
        writeln!(
            f,
            "            the largest partition's take {} of the {} of commit.timeout",
            seconds(burst.partition_seconds),
            seconds(burst.timeout.as_secs_f64())
        )?;
        writeln!(
            f,
            "restart     reads up to {} again: {} records, live after {}",
            span(restore.span_ms),
            count(restore.records),
            seconds(restore.seconds)
        )?;
        let kept = self.place.retention_ms.map_or("not known, or for ever".to_owned(), span);
        writeln!(f, "retention   {} needed, and the longest outage; the source keeps: {kept}", span(restore.span_ms))?;
        let (lanes, workers) = (plural(scale.lanes, "lane"), plural(scale.workers, "worker"));
        writeln!(
            f,
            "lanes       {:.2} needed = {:.2} load x {:.2} skew: {lanes}, {workers} with up to {}",
            scale.load_factor * scale.skew_factor,
            scale.load_factor,
            scale.skew_factor,
            scale.lanes_per_worker
        )?;
        writeln!(
            f,
            "            a lane: {} records/s ({} when restoring), {} results/s,",
            count(speed::RECORDS),
            count(speed::RESTORED_RECORDS),
            count(speed::RESULTS)
        )?;
        writeln!(f, "            {}; planned to {}", speed::SOURCE, percent(speed::LOAD_SHARE))?;
        match (self.is_possible(), self.enough_bytes) {
            (true, Some(enough)) => writeln!(f, "verdict     it fits; memory.budget could be {}", Mib(enough)),
            (true, None) => writeln!(f, "verdict     it fits"),
            (false, _) => writeln!(f, "verdict     impossible"),
        }
    }
}

/// A window in the words of its configuration.
pub(super) fn window(window: &Window) -> String {
    let grace = span(window.grace_ms);
    match window.size_ms == window.every_ms {
        true => format!("tumbling {}, grace {grace}", span(window.size_ms)),
        false => format!("hopping {} every {}, grace {grace}", span(window.size_ms), span(window.every_ms)),
    }
}

/// A number of things, with a comma for thousands.
pub(super) fn count(number: f64) -> String {
    let digits = format!("{:.0}", number.clamp(0.0, 1e18));
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Seconds as people say them.
pub(super) fn seconds(seconds: f64) -> String {
    match seconds {
        ..0.001 => "less than 1 ms".to_owned(),
        ..1.0 => format!("{:.0} ms", seconds * 1000.0),
        ..120.0 => format!("{seconds:.1} s"),
        _ => humantime::format_duration(Duration::from_secs(seconds.min(1e12) as u64)).to_string(),
    }
}

fn span(ms: i64) -> String {
    humantime::format_duration(Duration::from_millis(ms.unsigned_abs())).to_string()
}

fn mib(bytes: f64) -> String {
    Mib(bytes as u64).to_string()
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

fn plural(number: usize, noun: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{} {noun}{ending}", count(number as f64))
}
