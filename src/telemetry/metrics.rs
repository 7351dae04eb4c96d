//! Every metric: name, unit, labels.

/// All metrics of one relay.
#[derive(Debug)]
pub struct Metrics {}
