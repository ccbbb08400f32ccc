//! The types of metrics. Each metric is a [`Metric`], and its handles use the `metrics` facade, as log lines use
//! `tracing`. A handle does nothing unless the program has installed a recorder before.
//!
//! Invariant: the values of labels are texts of the program, never of a request, so no client can raise the number of
//! series.

use std::time::Instant;

use metrics::{
    Counter, Gauge, Histogram, Key, Label, Level, Metadata, SharedString, with_recorder,
};

/// Bounds of histograms of requests and of other work that may wait, in seconds.
pub const WAITS: &[f64] = &[
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
    1.0, 2.5, 10.0, 60.0,
];
/// Bounds of histograms of computations, in seconds.
pub const COMPUTATIONS: &[f64] = &[
    0.000_002_5,
    0.000_005,
    0.000_01,
    0.000_025,
    0.000_05,
    0.000_1,
    0.000_25,
    0.001,
    0.01,
    0.1,
    1.0,
];
/// Bounds of histograms of counts.
pub const NUMBERS: &[f64] = &[
    1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0,
];

/// How a metric is measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// A number that only grows while the process lives.
    Counter,
    /// A number that goes up and down.
    Gauge,
    /// Observations, counted in buckets with these upper bounds.
    Histogram(&'static [f64]),
}

/// A measurement of this program.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name, by the conventions of Prometheus.
    pub name: &'static str,
    /// How it is measured.
    pub kind: Kind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// Its help text, one sentence.
    pub help: &'static str,
}

/// A counter.
#[must_use]
pub const fn counter(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric::new(name, Kind::Counter, labels, help)
}

/// A gauge.
#[must_use]
pub const fn gauge(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric::new(name, Kind::Gauge, labels, help)
}

/// A histogram with buckets of these upper bounds.
#[must_use]
pub const fn histogram(
    name: &'static str,
    bounds: &'static [f64],
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric::new(name, Kind::Histogram(bounds), labels, help)
}

const METADATA: Metadata<'static> = Metadata::new("keyward", Level::INFO, None);

impl Metric {
    /// A metric.
    #[must_use]
    pub const fn new(
        name: &'static str,
        kind: Kind,
        labels: &'static [&'static str],
        help: &'static str,
    ) -> Self {
        Self {
            name,
            kind,
            labels,
            help,
        }
    }

    /// The counter with these values of its labels.
    pub fn counter<const N: usize>(&self, values: [&'static str; N]) -> Counter {
        let key = self.key(values.map(SharedString::from));
        with_recorder(|recorder| recorder.register_counter(&key, &METADATA))
    }

    /// The gauge with these values of its labels.
    pub fn gauge<const N: usize>(&self, values: [&'static str; N]) -> Gauge {
        let key = self.key(values.map(SharedString::from));
        with_recorder(|recorder| recorder.register_gauge(&key, &METADATA))
    }

    /// The histogram with these values of its labels. The values may come from a table that the program builds once,
    /// such as that of its routes.
    pub fn histogram<const N: usize>(&self, values: [SharedString; N]) -> Histogram {
        let key = self.key(values);
        with_recorder(|recorder| recorder.register_histogram(&key, &METADATA))
    }

    fn key<const N: usize>(&self, values: [SharedString; N]) -> Key {
        debug_assert_eq!(self.labels.len(), N, "{}", self.name);
        let labels = self.labels.iter().zip(values);
        let labels: Vec<_> = labels
            .map(|(name, value)| Label::new(*name, value))
            .collect();
        Key::from_parts(self.name, labels)
    }
}

/// Measures how long something takes. No rule depends on it, so it needs no clock that a test can set.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts the stopwatch.
    #[must_use]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Adds the time since the start to `histogram`.
    pub fn record(self, histogram: &Histogram) {
        histogram.record(self.0.elapsed());
    }
}
