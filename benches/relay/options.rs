//! What can be asked for on the command line.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// Throughput, CPU and latency of the relay between a real MySQL and a real Kafka; Markdown on standard output.
#[derive(Debug, Parser)]
#[command(name = "cargo bench --bench relay --")]
pub(crate) struct Options {
    /// Only these parts; may be given more than once.
    #[arg(long, value_enum)]
    only: Vec<Part>,
    /// Rounds of each case; the table shows medians.
    #[arg(long, default_value_t = 3)]
    pub(crate) rounds: u32,
    /// Rows of each bulk workload [default: 500000 in W1, W3 and W6, 200000 in W2, 2000000 in W13].
    #[arg(long)]
    rows: Option<u64>,
    /// Seconds at each rate of W7.
    #[arg(long, default_value_t = 15)]
    pub(crate) seconds: u64,
    /// Another `outboxd` to measure; by default the one built with this bench.
    #[arg(long, default_value = env!("CARGO_BIN_EXE_outboxd"), hide_default_value = true)]
    pub(crate) outboxd: PathBuf,
    /// Given by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

/// A part of the bench.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// Catching up with 25 rows a source transaction.
    W1,
    /// Catching up with one row a source transaction.
    W2,
    /// Catching up where nine of ten rows belong to another table.
    W3,
    /// Catching up with compressed transactions.
    W6,
    /// Latency at 200 and 1,000 rows a second.
    W7,
    /// Catching up with one huge transaction.
    W13,
    /// Reader without a sink; producer from memory.
    Ceilings,
}

impl Options {
    pub(crate) fn wants(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }

    pub(crate) fn wants_backlogs(&self) -> bool {
        Part::value_variants().iter().any(|part| *part != Part::W7 && self.wants(*part))
    }

    /// Rows of a bulk workload that has `usual` by default.
    pub(crate) fn rows_or(&self, usual: u64) -> u64 {
        self.rows.unwrap_or(usual)
    }
}
