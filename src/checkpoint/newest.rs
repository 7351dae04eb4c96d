//! Which record of the checkpoint's partition counts. Pure.

/// Looks for a relay's newest checkpoint in the order of offsets, never by time: clocks differ.
#[derive(Debug)]
pub(crate) struct Newest<'a> {
    relay: &'a str,
    /// Sampled behind the fence.
    end: i64,
    found: Option<Vec<u8>>,
}

impl<'a> Newest<'a> {
    /// Of `relay`, among the offsets below `end`.
    pub(crate) fn new(relay: &'a str, end: i64) -> Self {
        Self { relay, end, found: None }
    }

    /// Whether everything below `end` is decided, so that no checkpoint is overlooked.
    pub(crate) fn is_decided(&self, last_stable: i64) -> bool {
        last_stable >= self.end
    }

    /// The next committed record.
    pub(crate) fn see(&mut self, offset: i64, key: Option<&[u8]>, value: Option<&[u8]>) {
        if offset < self.end && key == Some(self.relay.as_bytes()) {
            self.found = value.map(<[u8]>::to_vec);
        }
    }

    /// Its encoded form.
    pub(crate) fn found(self) -> Option<Vec<u8>> {
        self.found
    }
}
