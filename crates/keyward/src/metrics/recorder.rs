//! The recorder behind the `metrics` facade: counters and gauges of the exporter, histograms of our own.

use std::collections::HashMap;
use std::sync::Arc;

use keyward_core::metrics::{Kind, Metric};
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, SharedString, Unit};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use super::histogram::Histograms;

/// Where all handles of metrics lead.
pub(super) struct Recorder {
    exporter: PrometheusRecorder,
    histograms: Arc<Histograms>,
    metrics: HashMap<&'static str, &'static Metric>,
}

/// Writes what a recorder has recorded.
#[derive(Clone)]
pub(super) struct Renderer {
    exporter: PrometheusHandle,
    histograms: Arc<Histograms>,
    metrics: Arc<[&'static Metric]>,
}

impl Recorder {
    /// A recorder of these metrics.
    pub(super) fn new(metrics: impl IntoIterator<Item = &'static Metric>) -> (Self, Renderer) {
        let metrics: Arc<[_]> = metrics.into_iter().collect();
        let recorder = Self {
            exporter: PrometheusBuilder::new().build_recorder(),
            histograms: Arc::default(),
            metrics: metrics
                .iter()
                .map(|metric| (metric.name, *metric))
                .collect(),
        };
        for metric in metrics.iter() {
            let (name, help) = (metric.name.into(), metric.help.into());
            match metric.kind {
                Kind::Counter => metrics::Recorder::describe_counter(&recorder, name, None, help),
                Kind::Gauge => metrics::Recorder::describe_gauge(&recorder, name, None, help),
                Kind::Histogram(_) => {}
            }
        }
        let renderer = Renderer {
            exporter: recorder.exporter.handle(),
            histograms: Arc::clone(&recorder.histograms),
            metrics,
        };
        (recorder, renderer)
    }
}

impl Renderer {
    /// Everything recorded so far, in Prometheus's text format.
    pub(super) fn render(&self) -> String {
        let mut text = self.exporter.render();
        for metric in self.metrics.iter() {
            self.histograms.write(metric, &mut text);
        }
        text
    }
}

impl metrics::Recorder for Recorder {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.exporter.describe_counter(name, unit, help);
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.exporter.describe_gauge(name, unit, help);
    }

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {
        // They are described by their metric.
    }

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        self.exporter.register_counter(key, metadata)
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        self.exporter.register_gauge(key, metadata)
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        let metric = self.metrics.get(key.name());
        metric
            .and_then(|metric| self.histograms.register(metric, key))
            .map_or_else(Histogram::noop, Histogram::from_arc)
    }
}
