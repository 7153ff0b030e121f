//! The table, the plot and the JSON of the experiment.

use super::{Args, DECODE, NAIVE, NONE, Outcome, Variant, WINDOW_RECORDS};
use crate::plot::{Bars, short};
use crate::report;
use std::fmt::Write;

const COMMAND: &str = "cargo run -p tidemill-bench -- memory";

pub(super) fn tell(outcomes: &[Outcome], args: &Args) -> anyhow::Result<()> {
    let mut page = String::new();
    for &keys in &args.keys {
        let of_keys: Vec<_> = outcomes.iter().filter(|outcome| outcome.keys == keys).copied().collect();
        // Writing into memory cannot fail.
        let _ = writeln!(page, "**{} keys**\n\n{}", grouped(keys), table(&of_keys));
    }
    print!("{page}");
    if args.dry {
        return Ok(());
    }
    let machine = report::Machine::this();
    let _ = writeln!(
        page,
        "Medians of {} rounds of {} records each, on {} ({} cores), {}; written by `{COMMAND}`.\n\n\
         ![Throughput, latency and allocations of each variant](images/memory.svg)",
        args.rounds,
        grouped(args.windows * WINDOW_RECORDS),
        machine.processor,
        machine.cores,
        report::Versions::this().rustc
    );
    report::write_json("memory", COMMAND, &outcomes)?;
    report::write(&report::root().join("docs/images/memory.svg"), &plot(outcomes))?;
    report::splice("docs/memory.md", "memory", &page)
}

fn table(outcomes: &[Outcome]) -> String {
    let rate = |variant: Variant| {
        outcomes.iter().find(|it| it.variant == variant).map_or(f64::NAN, |it| it.median.records_per_s)
    };
    let (naive, none) = (rate(NAIVE), rate(NONE));
    let rows: Vec<_> = outcomes
        .iter()
        .map(|Outcome { variant, median, .. }| {
            let is_path = *variant != DECODE;
            let ratio = |to: f64| if is_path { format!("{:.2}×", median.records_per_s / to) } else { String::new() };
            [
                variant.1.to_owned(),
                short(median.records_per_s),
                ratio(naive),
                ratio(none),
                format!("{:.0}", median.p50_us),
                format!("{:.0}", median.p99_us),
                format!("{:.0}", median.p999_us),
                format!("{:.3}", median.allocations_per_record),
                format!("{:.1}", median.allocated_bytes_per_record),
                format!("{:.1}", median.peak_resident_bytes / f64::from(1 << 20)),
                format!("{:.2}", median.faults_per_1000_records),
            ]
        })
        .collect();
    let head = [
        "",
        "records/s",
        "to naive",
        "to none",
        "p50 µs",
        "p99 µs",
        "p99.9 µs",
        "allocations/record",
        "bytes/record",
        "peak MiB",
        "faults/1000 records",
    ];
    report::table(head, &rows)
}

fn plot(outcomes: &[Outcome]) -> String {
    let name = |it: &Outcome| format!("{}, {} keys", it.variant.1, grouped(it.keys));
    let panel = |number: fn(&Outcome) -> f64| outcomes.iter().map(number).collect();
    Bars {
        title: "Strategies of memory, alone and together",
        variants: outcomes.iter().map(name).collect(),
        panels: vec![
            ("records a second", panel(|it| it.median.records_per_s)),
            ("p99 of a step of 1,000 records, µs", panel(|it| it.median.p99_us)),
            ("bytes allocated for each record", panel(|it| it.median.allocated_bytes_per_record)),
        ],
    }
    .svg()
}

/// With commas between thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_grouped() {
        for (number, expected) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), expected);
        }
    }
}
