//! (empty yet)
pub mod partition;
