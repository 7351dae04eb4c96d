//! The program: arguments → verb → exit status.

use std::process::ExitCode;

mod cli;

/// glibc keeps freed batches in per-thread arenas, so that memory grows with the threads; this one returns them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    ExitCode::from(cli::start())
}
