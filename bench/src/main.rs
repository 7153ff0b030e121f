//! The bench, one subcommand for each question. It measures and writes; only the gate judges.

use clap::{Parser, Subcommand};
use tidemill_bench::{
    allocations, burst, commit, gate, latency, memory, restore, scale, tiers, transport, variants, w1,
};

/// Measures tidemill, and its rivals on the same input
#[derive(Parser)]
#[command(version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    question: Question,
    /// Write the answer of a question on Kafka to bench/results and docs/performance.md
    #[arg(long, global = true)]
    write: bool,
}

#[derive(Subcommand)]
enum Question {
    Gate(gate::Args),
    Memory(memory::Args),
    Tiers(tiers::Args),
    /// Windows of 10 s over many keys, exactly once: tidemill and its rivals on one core
    W1(w1::Arguments),
    /// W1 with other codecs, keys, windows, aggregates and sizes
    Variants(variants::Arguments),
    /// From the record that closes a window being due to its results being visible
    Latency(latency::Arguments),
    /// Many keys whose windows close at once
    Burst(burst::Arguments),
    /// The shortest transaction
    Commit(commit::Arguments),
    /// From SIGKILL to live
    Restore(restore::Arguments),
    /// Partitions, lanes and keys
    Scale(scale::Arguments),
    /// Heap allocations of a worker on Kafka, Rust and C apart
    Allocations(allocations::Arguments),
    /// The worker's client without the worker, as a process of its own
    #[command(hide = true)]
    Transport(transport::Arguments),
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let answer = match arguments.question {
        Question::Gate(args) => return gate::run(&args),
        Question::Memory(args) => return memory::run(&args),
        Question::Tiers(args) => return tiers::run(&args),
        Question::W1(args) => w1::run(&args),
        Question::Variants(args) => variants::run(&args),
        Question::Latency(args) => latency::run(&args),
        Question::Burst(args) => burst::run(&args),
        Question::Commit(args) => commit::run(&args),
        Question::Restore(args) => restore::run(&args),
        Question::Scale(args) => scale::run(&args),
        Question::Allocations(args) => allocations::run(&args),
        Question::Transport(args) => return transport::run(&args),
    }?;
    println!("{}", answer.section());
    if arguments.write { answer.write() } else { Ok(()) }
}
