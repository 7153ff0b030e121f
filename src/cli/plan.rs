//! `tidemill plan FILE`: what a pipeline will need, before a worker runs it.
//!
//! From numbers that somebody gives, or from records of the real topic; it joins no group and changes nothing.

mod at_start;
mod connect;

pub(super) use at_start::foresee;

use super::sizing;
use crate::config::Config;
use crate::plan::{self, Given, Load, Place};
use connect::Bounds;
use std::io::{self, Write};
use std::path::PathBuf;

/// What `tidemill plan` takes.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The pipeline
    file: PathBuf,
    /// Look at the last records of each source partition, without joining the group
    #[arg(long, conflicts_with_all = ["keys", "rate", "key_bytes", "value_bytes", "partitions", "skew"])]
    connect: bool,
    /// With --connect: read at most so many records, and 30 s
    #[arg(long, value_name = "NUMBER", value_parser = number, default_value = "2M", requires = "connect")]
    sample: f64,
    /// Distinct keys (1M, 20k); unless given, the declared ones
    #[arg(long, value_name = "NUMBER", value_parser = number)]
    keys: Option<f64>,
    /// Records per second, all partitions together
    #[arg(long, value_name = "NUMBER", value_parser = number)]
    rate: Option<f64>,
    /// Mean length of a key in bytes
    #[arg(long, value_name = "BYTES", value_parser = number, default_value = "16")]
    key_bytes: f64,
    /// Mean length of a value in bytes
    #[arg(long, value_name = "BYTES", value_parser = number, default_value = "200")]
    value_bytes: f64,
    /// Partitions of the source
    #[arg(long, value_name = "NUMBER", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    partitions: u32,
    /// Exponent of Zipf's law by which keys come: 0 is uniform, 1 is a usual skew
    #[arg(long, value_name = "EXPONENT", value_parser = number, default_value = "0")]
    skew: f64,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// Prints the plan. Returns the exit code: 0 if it is possible, 2 if it is not, or if the file or what is asked for
/// cannot be used.
///
/// # Errors
/// The brokers do not answer, or hold nothing to look at.
pub fn plan(arguments: &Arguments, out: &mut dyn Write) -> anyhow::Result<u8> {
    let Some(config) = super::load(&arguments.file)? else { return Ok(2) };
    let (load, retention_ms) = if arguments.connect {
        connect::look(&config, &Bounds::patient(arguments.sample as u64))?
    } else if let Some(given) = given(arguments, &config) {
        (Load::given(&given), None)
    } else {
        writeln!(io::stderr(), "error: a plan needs to know the stream: --connect, or --keys 1M --rate 200k")?;
        return Ok(2);
    };
    let plan = plan::judge(&config, load, place(&config, retention_ms));
    match arguments.json {
        true => writeln!(out, "{:#}", plan.json())?,
        false => write!(out, "{plan}")?,
    }
    Ok(if plan.is_possible() { 0 } else { 2 })
}

fn given(arguments: &Arguments, config: &Config) -> Option<Given> {
    let declared = config.pipeline.keys.as_ref().map(|keys| keys.len() as u64);
    Some(Given {
        keys: arguments.keys.map(|keys| keys as u64).or(declared)?,
        rate: arguments.rate?,
        key_bytes: arguments.key_bytes,
        value_bytes: arguments.value_bytes,
        partitions: arguments.partitions as usize,
        skew: arguments.skew,
    })
}

/// This machine, as if the worker ran on it.
fn place(config: &Config, retention_ms: Option<i64>) -> Place {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let total = sizing::total(config);
    let budget_from = config.memory.budget_bytes.is_none().then_some(total.from);
    Place { cores, budget_bytes: total.bytes, budget_from, retention_ms }
}

/// A number as people write it: `1500`, `200k`, `1.5M`.
fn number(text: &str) -> Result<f64, String> {
    let units = [("k", 1e3), ("K", 1e3), ("M", 1e6), ("G", 1e9), ("", 1.0)];
    let known = units.into_iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)));
    let (digits, factor) = known.unwrap_or((text, 1.0));
    let number = digits.parse::<f64>().ok().filter(|number| (0.0..1e12).contains(number));
    number.map(|number| number * factor).ok_or_else(|| "a number such as 1500, 200k or 1.5M is wanted".to_owned())
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn numbers_are_read_as_people_write_them() {
        for (text, expected) in [
            ("0", Some(0.0)),
            ("1500", Some(1500.0)),
            ("200k", Some(200_000.0)),
            ("1.5M", Some(1_500_000.0)),
            ("2G", Some(2e9)),
            ("", None),
            ("k", None),
            ("-1", None),
            ("1kk", None),
            ("NaN", None),
            ("inf", None),
        ] {
            assert_eq!(number(text).ok(), expected, "{text}");
        }
    }
}
