//! One cell of the matrix: a load against a budget, to one of its three ends.

use super::cgroup::Cgroup;
use super::load::{Load, PARTITIONS};
use super::sum::Sum;
use super::trouble::{Cluster, Trouble};
use crate::process::{Worker, wait};
use crate::stage::{Setup, Stage};
use crate::support::kafka::Kafka;
use std::process::Command;
use std::time::Duration;
use tidemill::broker::{Event, RecordBatch};
use tidemill::kafka::Reader;

const MIB: u64 = 1 << 20;
/// What an unoptimised build has resident of its own code beyond the optimised one that the budget counts with.
const UNOPTIMISED: u64 = if cfg!(debug_assertions) { 16 * MIB } else { 0 };
/// Longest time that one worker may take to come to an end of a cell.
const PATIENCE: Duration = Duration::from_secs(300);

/// How a worker under a budget ended up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Everything came out, once, and right.
    Equal,
    /// It did not start, and said what would do.
    Refused,
    /// It stands still and says so; nothing is lost.
    Held,
}

/// What was seen of one worker.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    pub end: End,
    pub peak_bytes: u64,
}

/// Runs a load under a budget; whatever does not come out under it must come out under the one that `plan` names.
pub fn run(cluster: &Cluster<'_>, load: Load, budget_mib: u64) -> Seen {
    let brokers = cluster.proxy.as_ref().map(|(_, address)| address.clone());
    let setup = |budget_mib| Setup { brokers: brokers.clone(), ..load.setup(budget_mib) };
    let mut stage = Stage::without_topics(cluster.kafka, &format!("{}-{budget_mib}", load.name()), setup(budget_mib));
    load.write(&stage);
    let expected = load.expected();
    let first = attempt(cluster, &stage, load, budget_mib, expected);
    println!("{:<24} {budget_mib:>4} MiB: {:?}, peak {:.1} MiB", load.name(), first.end, mib(first.peak_bytes));
    if first.end != End::Equal {
        let enough_mib = planned(&stage, load);
        stage.setup = setup(enough_mib);
        let again = attempt(cluster, &stage, load, enough_mib, expected);
        println!("{:<24} {enough_mib:>4} MiB, as planned: {:?}, peak {:.1} MiB", "", again.end, mib(again.peak_bytes));
        assert_eq!(again.end, End::Equal, "{}: what `plan` names does not suffice", load.name());
    }
    first
}

/// The budget that `plan` names, in MiB.
pub fn planned(stage: &Stage<'_>, load: Load) -> u64 {
    let (keys, rate) = load.told();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidemill"));
    command.arg("plan").arg(stage.file("one")).args(["--json", "--partitions", &PARTITIONS.to_string()]);
    command.args(["--keys", &keys.to_string(), "--rate", &rate.to_string()]);
    let output = command.output().unwrap();
    let plan: serde_json::Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|why| panic!("{why}: {output:?}"));
    plan["memory"]["smallest_budget_bytes"].as_u64().unwrap_or_else(|| panic!("no budget in {plan}")).div_ceil(MIB)
}

/// One worker under a budget, until it comes to an end.
pub fn attempt(cluster: &Cluster<'_>, stage: &Stage<'_>, load: Load, budget_mib: u64, expected: Sum) -> Seen {
    // The kernel ends whatever is a tenth beyond its budget. (A bomb is unpacked beyond it: docs/memory.md.)
    let limited = !matches!(load, Load::Bomb { .. });
    let group = limited.then(|| Cgroup::new((budget_mib * MIB + UNOPTIMISED) * 11 / 10)).flatten();
    let name = format!("{} with {budget_mib} MiB", load.name());
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidemill"));
    command.arg("run").arg(stage.file("one")).env_remove("TIDEMILL_LOG");
    let command = match &group {
        Some(group) => group.enclose(command),
        None => command,
    };
    let mut worker = Worker::spawn(&name, command);
    let mut sink = Sink::open(stage.kafka, &stage.sink);
    let mut trouble = Trouble::new(cluster, load);
    let mut peak_bytes = 0;
    let end = wait(&format!("an end of {name}"), PATIENCE, || {
        peak_bytes = worker.peak_bytes().unwrap_or(peak_bytes);
        // One batch at a time: a quick worker would be through before the trouble begins.
        sink.look();
        trouble.step(sink.sum.results);
        if !worker.is_running() {
            let (code, _) = worker.ended();
            let refused = code == Some(2) && worker.said(&["give it", "memory.budget"]);
            assert!(refused, "{name} ended with {code:?}, {:.1} MiB were resident", mib(peak_bytes));
            return Some(End::Refused);
        }
        if sink.sum.results >= expected.results {
            assert_eq!(sink.sum, expected, "{name}");
            assert!(trouble.is_over(), "{name}: the trouble came too late");
            return Some(End::Equal);
        }
        let (status, why) = worker.page("/readyz")?;
        (status == 503 && why.contains("no memory is left")).then_some(End::Held)
    });
    if end != End::Refused {
        let (code, _) = worker.stop();
        assert_eq!(code, Some(0), "{name} did not stop well");
        sink.read();
        assert!(sink.sum.results <= expected.results, "{name}: more came out than went in");
    }
    drop(worker);
    if limited {
        assert!(peak_bytes <= budget_mib * MIB + UNOPTIMISED, "{name}: {:.1} MiB were resident", mib(peak_bytes));
    }
    Seen { end, peak_bytes }
}

pub fn mib(bytes: u64) -> f64 {
    bytes as f64 / MIB as f64
}

/// The results as they become visible.
struct Sink {
    reader: Reader,
    batch: RecordBatch,
    events: Vec<Event>,
    sum: Sum,
}

impl Sink {
    fn open(kafka: &Kafka, topic: &str) -> Self {
        let reader = Reader::open(&kafka.config(""), topic, 0..PARTITIONS).unwrap();
        Self { reader, batch: RecordBatch::new(4 << 20, 20_000), events: Vec::new(), sum: Sum::default() }
    }

    /// Reads all that is there.
    fn read(&mut self) {
        while self.look() {}
    }

    /// Reads a batch; false if nothing is there.
    fn look(&mut self) -> bool {
        self.batch.clear();
        self.reader.poll(&mut self.batch, &mut self.events, Duration::from_millis(20)).unwrap();
        self.events.clear();
        for record in self.batch.iter() {
            self.sum.read(record.key.unwrap_or_default(), record.value.unwrap_or_default());
        }
        !self.batch.is_empty()
    }
}
