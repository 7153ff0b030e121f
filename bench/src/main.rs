//! The bench, one subcommand for each question. It measures and writes; only the gate judges.

use clap::{Parser, Subcommand};
use tidemill_bench::{gate, memory};

/// Measures tidemill, and its rivals on the same input
#[derive(Parser)]
#[command(version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    question: Question,
}

#[derive(Subcommand)]
enum Question {
    Gate(gate::Args),
    Memory(memory::Args),
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().question {
        Question::Gate(args) => gate::run(&args),
        Question::Memory(args) => memory::run(&args),
    }
}
