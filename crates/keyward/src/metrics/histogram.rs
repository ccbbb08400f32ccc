//! Histograms in buckets with fixed bounds.
//!
//! Invariant: an observation is counted in place. It takes no memory and leaves nothing for later: the exporter's own
//! histograms keep every observation until a timer sorts it into its bucket.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keyward_core::metrics::{Kind, Metric};
use metrics::{HistogramFn, Key};
use metrics_exporter_prometheus::LabelSet;
use metrics_exporter_prometheus::formatting::{
    write_help_line, write_metric_line, write_type_line,
};

/// A number of observations in each bucket, and their sum.
pub(super) struct Histogram {
    bounds: &'static [f64],
    /// One more than bounds.
    counts: Box<[AtomicU64]>,
    /// The bits of a float.
    sum: AtomicU64,
}

impl Histogram {
    pub(super) fn new(bounds: &'static [f64]) -> Self {
        Self {
            bounds,
            counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicU64::new(0),
        }
    }
}

impl HistogramFn for Histogram {
    fn record(&self, value: f64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        let add = |bits| Some((f64::from_bits(bits) + value).to_bits());
        // Never refused.
        let _ = self
            .sum
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }
}

/// All histograms, by name and labels.
#[derive(Default)]
pub(super) struct Histograms(Mutex<BTreeMap<Key, Arc<Histogram>>>);

impl Histograms {
    /// The histogram of `key`, which is one of `metric`.
    pub(super) fn register(&self, metric: &Metric, key: &Key) -> Option<Arc<Histogram>> {
        let Kind::Histogram(bounds) = metric.kind else {
            return None;
        };
        let mut all = self.all();
        let histogram = all
            .entry(key.clone())
            .or_insert_with(|| Arc::new(Histogram::new(bounds)));
        Some(Arc::clone(histogram))
    }

    /// Writes those of `metric` as text.
    pub(super) fn write(&self, metric: &Metric, text: &mut String) {
        let name = metric.name;
        let first = Key::from_static_name(name);
        let all = self.all();
        let mut of_metric = all
            .range(first..)
            .take_while(|(key, _)| key.name() == name)
            .peekable();
        if of_metric.peek().is_none() {
            return;
        }
        write_help_line(text, name, None, None, metric.help);
        write_type_line(text, name, None, None, "histogram");
        for (key, histogram) in of_metric {
            let labels = LabelSet::from_key_and_global(key, &Default::default());
            histogram.write(name, &labels, text);
        }
        text.push('\n');
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<Key, Arc<Histogram>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Histogram {
    fn write(&self, name: &str, labels: &LabelSet, text: &mut String) {
        let mut line =
            |suffix, bound: Option<&dyn std::fmt::Display>, value: &dyn std::fmt::Display| {
                let bound = bound.map(|bound| ("le", bound));
                write_metric_line(text, name, Some(suffix), labels, bound, value, None);
            };
        let mut count = 0;
        for (bucket, number) in self.counts.iter().enumerate() {
            count += number.load(Ordering::Relaxed);
            match self.bounds.get(bucket) {
                Some(bound) => line("bucket", Some(bound), &count),
                None => line("bucket", Some(&"+Inf"), &count),
            }
        }
        let sum = f64::from_bits(self.sum.load(Ordering::Relaxed));
        line("sum", None, &sum);
        line("count", None, &count);
    }
}
