//! The bench, one subcommand for each question. It measures and writes; it never judges.

use clap::{Parser, Subcommand};

/// Measures tidemill, and its rivals on the same input
#[derive(Parser)]
#[command(version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    question: Question,
}

#[derive(Subcommand)]
enum Question {}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().question {}
}
