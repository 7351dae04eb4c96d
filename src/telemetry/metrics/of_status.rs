//! What metrics copy from the status: it is the truth for them, so the pipeline reports each fact once.

use super::catalogue;
use super::handle::{Gauge, Gauges, Registry, SecondsCounter, SecondsGauge};
use crate::telemetry::status::{State, Status};

/// What [`super::Metrics::observe`] copies from the status, which is the truth for it.
#[derive(Debug)]
pub(super) struct OfStatus {
    state: Gauges,
    connected: Gauge,
    last_contact: SecondsGauge,
    last_event: SecondsGauge,
    lag: SecondsGauge,
    checkpoint_last_success: SecondsGauge,
    buffer_bytes: Gauge,
    buffer_limit: Gauge,
    backpressure: SecondsCounter,
}

impl OfStatus {
    pub(super) fn new(registry: &Registry) -> Self {
        Self {
            state: registry.gauges(&catalogue::STATE),
            connected: registry.gauge(&catalogue::SOURCE_CONNECTED),
            last_contact: registry.seconds_gauge(&catalogue::SOURCE_LAST_CONTACT),
            last_event: registry.seconds_gauge(&catalogue::SOURCE_LAST_EVENT),
            lag: registry.seconds_gauge(&catalogue::LAG),
            checkpoint_last_success: registry.seconds_gauge(&catalogue::CHECKPOINT_LAST_SUCCESS),
            buffer_bytes: registry.gauge(&catalogue::BUFFER_BYTES),
            buffer_limit: registry.gauge(&catalogue::BUFFER_LIMIT_BYTES),
            backpressure: registry.seconds_counter(&catalogue::BACKPRESSURE, &["delivery"]),
        }
    }

    pub(super) fn show_state(&self, present: State) {
        for state in State::ALL {
            self.state.with(&[state.name()]).set(u64::from(state == present));
        }
    }

    pub(super) fn observe(&self, status: &Status) {
        self.show_state(status.state());
        self.connected.set(u64::from(status.is_connected()));
        self.last_contact.set_time(status.last_contact());
        self.last_event.set_time(status.last_event());
        self.lag.set(status.lag());
        self.checkpoint_last_success.set_time(status.last_checkpoint());
        let flow = status.flow();
        self.buffer_bytes.set(flow.in_flight_bytes);
        self.buffer_limit.set(flow.limit_bytes);
        self.backpressure.follow(flow.waited);
    }
}
