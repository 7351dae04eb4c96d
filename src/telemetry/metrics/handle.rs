//! Typed handles: each knows its unit, none needs a label look-up. The only file that names the `prometheus` crate.

use super::catalogue::{Family, Kind};
use prometheus::core::{
    AtomicF64, AtomicU64, Collector, GenericCounter, GenericCounterVec, GenericGauge, GenericGaugeVec,
};
use prometheus::process_collector::ProcessCollector;
use prometheus::{HistogramOpts, HistogramVec, Opts, TextEncoder};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// Media type of [`Registry::encode`].
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Counts things or bytes.
#[derive(Clone, Debug)]
pub struct Counter(GenericCounter<AtomicU64>);

impl Counter {
    /// One more.
    pub fn inc(&self) {
        self.0.inc();
    }

    /// `n` more.
    pub fn add(&self, n: u64) {
        self.0.inc_by(n);
    }

    /// The present count.
    pub fn get(&self) -> u64 {
        self.0.get()
    }
}

/// Sums up seconds.
#[derive(Clone, Debug)]
pub struct SecondsCounter {
    counter: GenericCounter<AtomicF64>,
    followed: Arc<Mutex<Duration>>,
}

impl SecondsCounter {
    /// This much more.
    pub fn add(&self, time: Duration) {
        self.counter.inc_by(time.as_secs_f64());
    }

    /// Catches up with a total that is kept elsewhere and never shrinks.
    pub fn follow(&self, total: Duration) {
        let mut followed = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        self.add(total.saturating_sub(*followed));
        *followed = total.max(*followed);
    }
}

/// A number of things or bytes.
#[derive(Clone, Debug)]
pub struct Gauge(GenericGauge<AtomicU64>);

impl Gauge {
    /// Replaces the value.
    pub fn set(&self, value: impl TryInto<u64>) {
        self.0.set(value.try_into().unwrap_or(u64::MAX));
    }
}

/// A duration or a point in time, in seconds.
#[derive(Clone, Debug)]
pub struct SecondsGauge(GenericGauge<AtomicF64>);

impl SecondsGauge {
    /// A duration.
    pub fn set(&self, time: Duration) {
        self.0.set(time.as_secs_f64());
    }

    /// A point in time, as Unix time; `None` is 0.
    pub fn set_time(&self, time: Option<SystemTime>) {
        let since_epoch = time.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
        self.set(since_epoch.unwrap_or_default());
    }
}

/// A distribution of durations.
#[derive(Clone, Debug)]
pub struct SecondsHistogram(prometheus::Histogram);

impl SecondsHistogram {
    /// One more observation.
    pub fn observe(&self, time: Duration) {
        self.0.observe(time.as_secs_f64());
    }
}

/// A distribution of sizes.
#[derive(Clone, Debug)]
pub struct SizeHistogram(prometheus::Histogram);

impl SizeHistogram {
    /// One more observation; sizes beyond 4 Gi count as that.
    pub fn observe(&self, size: usize) {
        self.0.observe(f64::from(u32::try_from(size).unwrap_or(u32::MAX)));
    }
}

/// A family of counters that differ in labels. Look a member up once and keep it.
#[derive(Clone, Debug)]
pub(super) struct Counters(GenericCounterVec<AtomicU64>);

impl Counters {
    /// The member with these label values, in the order of the declaration; made at 0 if it is new.
    pub(super) fn with(&self, labels: &[&str]) -> Counter {
        Counter(self.0.with_label_values(labels))
    }
}

/// A family of gauges that differ in labels.
#[derive(Clone, Debug)]
pub(super) struct Gauges(GenericGaugeVec<AtomicU64>);

impl Gauges {
    /// The member with these label values.
    pub(super) fn with(&self, labels: &[&str]) -> Gauge {
        Gauge(self.0.with_label_values(labels))
    }
}

/// Where families are registered.
#[derive(Debug)]
pub(super) struct Registry(prometheus::Registry);

impl Registry {
    /// `labels` go on every series.
    pub(super) fn new(labels: HashMap<String, String>) -> Self {
        let registry =
            Self(prometheus::Registry::new_custom(None, Some(labels)).expect("no prefix that could be empty"));
        registry.register(ProcessCollector::for_self());
        registry
    }

    pub(super) fn counters(&self, family: &Family) -> Counters {
        debug_assert_eq!(family.kind, Kind::Counter);
        Counters(self.registered(GenericCounterVec::new(options(family), family.labels)))
    }

    pub(super) fn counter(&self, family: &Family) -> Counter {
        self.counters(family).with(&[])
    }

    pub(super) fn seconds_counter(&self, family: &Family, labels: &[&str]) -> SecondsCounter {
        debug_assert_eq!(family.kind, Kind::Counter);
        let counters = self.registered(GenericCounterVec::new(options(family), family.labels));
        SecondsCounter { counter: counters.with_label_values(labels), followed: Arc::default() }
    }

    pub(super) fn gauges(&self, family: &Family) -> Gauges {
        debug_assert_eq!(family.kind, Kind::Gauge);
        Gauges(self.registered(GenericGaugeVec::new(options(family), family.labels)))
    }

    pub(super) fn gauge(&self, family: &Family) -> Gauge {
        self.gauges(family).with(&[])
    }

    pub(super) fn seconds_gauge(&self, family: &Family) -> SecondsGauge {
        debug_assert_eq!(family.kind, Kind::Gauge);
        SecondsGauge(self.registered(GenericGauge::with_opts(options(family))))
    }

    pub(super) fn seconds_histogram(&self, family: &Family) -> SecondsHistogram {
        SecondsHistogram(self.histogram(family))
    }

    pub(super) fn size_histogram(&self, family: &Family) -> SizeHistogram {
        SizeHistogram(self.histogram(family))
    }

    fn histogram(&self, family: &Family) -> prometheus::Histogram {
        let Kind::Histogram(buckets) = family.kind else { unreachable!("{} is declared as a histogram", family.name) };
        let options = HistogramOpts::from(options(family)).buckets(buckets.to_vec());
        self.registered(HistogramVec::new(options, family.labels)).with_label_values::<&str>(&[])
    }

    fn registered<C: Collector + Clone + 'static>(&self, collector: prometheus::Result<C>) -> C {
        let collector = collector.expect("names, labels and buckets are constants");
        self.register(collector.clone());
        collector
    }

    fn register(&self, collector: impl Collector + 'static) {
        self.0.register(Box::new(collector)).expect("each family is registered once");
    }

    /// Prometheus' text format, version 0.0.4.
    pub(super) fn encode(&self) -> String {
        // It can only fail on a family without a name or a series; the declarations are constants, with tests.
        TextEncoder::new().encode_to_string(&self.0.gather()).unwrap_or_default()
    }
}

fn options(family: &Family) -> Opts {
    Opts::new(family.name, family.help)
}
