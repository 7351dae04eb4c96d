//! What the relay is doing now.

/// State of the relay.
#[derive(Debug)]
pub enum State {}
/// Why it does not stream.
#[derive(Debug)]
pub struct Blocked {}
/// Shared state, written by the relay and read by the endpoints.
#[derive(Debug)]
pub struct Status {}
