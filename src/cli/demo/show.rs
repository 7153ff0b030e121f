//! What the demo shows: progress, some windows as they close, the summary, and every result in a file if asked for.

use super::flights;
use crate::fate::Fate;
use crate::metrics::{LaneCounts, peak_resident_bytes};
use anyhow::{Context, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Duration;

/// One of so many windows is shown.
const SHOWN_EVERY: u64 = 6_000;

/// Progress, samples, and the file of results.
pub(super) struct Show {
    bar: ProgressBar,
    samples: bool,
    file: Option<BufWriter<File>>,
    json: bool,
    results: u64,
    /// From the start of the worker until every record was read and what it closed was visible; without the silence
    /// that closes the last windows.
    took: Option<Duration>,
}

#[derive(Serialize)]
struct Summary {
    records: u64,
    merged: u64,
    late: u64,
    dead: u64,
    ignored: u64,
    windows: u64,
    windows_by_watermark: u64,
    windows_by_idle: u64,
    seconds: f64,
    records_per_second: u64,
    peak_resident_bytes: Option<u64>,
}

#[derive(Deserialize)]
struct Sample {
    key: String,
    window_start: i64,
    flights: u64,
    mean_delay: Option<f64>,
    worst_delay: Option<f64>,
}

impl Show {
    pub(super) fn new(json: bool, results: Option<&Path>) -> anyhow::Result<Self> {
        let style = "{bar:40} {percent:>3} %  {human_pos} of {human_len} records";
        let bar = ProgressBar::new(flights::COUNT).with_style(ProgressStyle::with_template(style)?);
        let create = |path: &Path| File::create(path).with_context(|| format!("cannot write {}", path.display()));
        let file = results.map(create).transpose()?.map(BufWriter::new);
        Ok(Self { bar, samples: !json, file, json, results: 0, took: None })
    }

    /// So much has been counted by now, `since` the worker was started. True once all that was committed is visible.
    pub(super) fn progress(&mut self, counts: &LaneCounts, since: Duration) -> bool {
        self.bar.set_position(counts.fates.read);
        let all = counts.fates.read == flights::COUNT;
        let visible = all && self.results == counts.closed_by_watermark + counts.closed_by_idle;
        if visible && counts.closed_by_watermark > 0 {
            self.took.get_or_insert(since);
        }
        visible
    }

    /// A line for people, above the bar.
    pub(super) fn say(&self, line: &str) {
        if self.bar.is_hidden() {
            eprintln!("{line}");
        } else {
            self.bar.println(line);
        }
    }

    /// A result has become visible.
    pub(super) fn result(&mut self, value: &[u8]) -> anyhow::Result<()> {
        if let Some(file) = &mut self.file {
            file.write_all(value)?;
            file.write_all(b"\n")?;
        }
        if self.samples && self.results.is_multiple_of(SHOWN_EVERY) {
            let sample: Sample = serde_json::from_slice(value).context("a result of the demo")?;
            let hour = jiff::Timestamp::from_millisecond(sample.window_start)?.strftime("%Y-%m-%d %H:%M").to_string();
            let minutes = |delay: Option<f64>| delay.map_or("-".to_owned(), |delay| format!("{delay:.1}"));
            self.say(&format!(
                "{hour} UTC  {}  flights {:>3}  mean delay {:>6} min  worst {:>6} min",
                sample.key,
                sample.flights,
                minutes(sample.mean_delay),
                minutes(sample.worst_delay)
            ));
        }
        self.results += 1;
        Ok(())
    }

    /// Prints the summary; fails if what was seen is not what was counted.
    pub(super) fn summary(&mut self, counts: &LaneCounts, out: &mut dyn Write) -> anyhow::Result<()> {
        self.bar.finish_and_clear();
        if let Some(file) = &mut self.file {
            file.flush()?;
        }
        let fates = &counts.fates;
        let seconds = self.took.unwrap_or_default().as_secs_f64();
        let summary = Summary {
            records: fates.read,
            merged: fates.merged,
            late: fates.fate(Fate::Late),
            dead: fates.fate(Fate::Dead),
            ignored: fates.fate(Fate::Ignored),
            windows: self.results,
            windows_by_watermark: counts.closed_by_watermark,
            windows_by_idle: counts.closed_by_idle,
            seconds,
            records_per_second: (fates.read as f64 / seconds) as u64,
            peak_resident_bytes: peak_resident_bytes(),
        };
        ensure!(fates.balanced(), "the fates do not add up: {fates:?}");
        ensure!(
            self.results == counts.closed_by_watermark + counts.closed_by_idle,
            "{} results are visible, {} were committed",
            self.results,
            counts.closed_by_watermark + counts.closed_by_idle
        );
        if self.json {
            serde_json::to_writer(&mut *out, &summary)?;
            writeln!(out)?;
        } else {
            summary.table(out)?;
        }
        Ok(())
    }
}

impl Summary {
    fn table(&self, out: &mut dyn Write) -> std::io::Result<()> {
        let n = indicatif::HumanCount;
        writeln!(
            out,
            "records   {:>9}   {} merged, {} late, {} dead",
            n(self.records).to_string(),
            n(self.merged),
            n(self.late),
            n(self.dead)
        )?;
        writeln!(
            out,
            "windows   {:>9}   {} closed by the watermark, {} by silence",
            n(self.windows).to_string(),
            n(self.windows_by_watermark),
            n(self.windows_by_idle)
        )?;
        writeln!(
            out,
            "rate      {:>9}   records/s, for {:.2} s",
            n(self.records_per_second).to_string(),
            self.seconds
        )?;
        if let Some(bytes) = self.peak_resident_bytes {
            writeln!(
                out,
                "memory    {:>9}   at its peak, the loaded input included",
                bytesize::ByteSize(bytes).to_string()
            )?;
        }
        Ok(())
    }
}
