//! What operators see: metrics, the relay's state, logs. An interface: names, units and labels live here and in
//! `docs/metrics.md`, nowhere else.

pub mod fold;
pub mod logging;
pub mod metrics;
pub mod status;

pub use metrics::Metrics;
pub use status::{Blocked, State, Status};
