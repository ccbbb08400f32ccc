//! Traces: the spans of requests, sent to a collector over OTLP/HTTP.
//!
//! Invariant: neither a request nor a stop waits for the collector. Spans wait in a bounded queue. Spans that find it full,
//! and spans that the collector does not take, are counted and dropped.

mod queue;
mod sampling;

use std::collections::HashMap;
use std::time::Duration;

use anyhow::Context as _;
use keyward_core::metrics::{Kind, Metric};
use keyward_core::random::{SystemRandom, hex};
use keyward_core::span;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanExporter as _};
use reqwest::Client;
use reqwest::redirect::Policy;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::registry::LookupSpan;

use self::queue::{Exporter, Queue};
use self::sampling::Sampling;
use crate::settings::Traces as Settings;

const SPANS: Metric = Metric::new(
    "keyward_spans_total",
    Kind::Counter,
    &["result"],
    "Spans of traces: exported, dropped because the queue was full, or failed because the collector did not take them.",
);

/// What is counted here.
pub(crate) const METRICS: &[&Metric] = &[&SPANS];

/// How long the collector may take for one batch, with all repetitions.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a stop waits for the last batches.
const LAST_WAIT: Duration = Duration::from_secs(2);

/// Traces that are to be exported.
pub(crate) struct Traces {
    provider: SdkTracerProvider,
    exporter: Exporter,
}

impl Traces {
    /// Prepares the export. Spans wait until it is started.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub(crate) fn prepare(settings: &Settings) -> anyhow::Result<Self> {
        let resource = Resource::builder_empty()
            .with_attributes([
                KeyValue::new("service.name", settings.service_name.clone()),
                KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
                KeyValue::new("service.instance.id", instance()),
            ])
            .build();
        let client = Client::builder()
            .timeout(PATIENCE)
            .redirect(Policy::none())
            .build()
            .context("the client for traces.otlp_endpoint cannot be made")?;
        let header = settings.header.iter();
        let headers: HashMap<_, _> = header
            .map(|(name, value)| (name.clone(), value.expose().to_owned()))
            .collect();
        let mut exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(client)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(&settings.endpoint)
            .with_timeout(PATIENCE)
            .with_headers(headers)
            .build()
            .context("traces.otlp_endpoint cannot be used")?;
        exporter.set_resource(&resource);
        let (queue, spans) = Queue::new();
        let exporter = Exporter::new(exporter, spans, &queue, settings.endpoint.clone());
        let provider = SdkTracerProvider::builder()
            .with_span_processor(queue)
            .with_sampler(Sampling::new(settings.sampling))
            .with_resource(resource)
            .build();
        Ok(Self { provider, exporter })
    }

    /// The layer of the subscriber that takes the spans.
    pub(crate) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: tracing::Subscriber + for<'s> LookupSpan<'s>,
    {
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer("keyward"))
            .with_location(false)
            .with_tracked_inactivity(false)
            .with_threads(false)
            .with_target(false)
            .with_context_activation(false)
            .with_filter(
                Targets::new()
                    .with_default(LevelFilter::OFF)
                    .with_target(span::TARGET, Level::INFO),
            )
    }

    /// Exports the spans from now on.
    pub(crate) fn start(self) -> Export {
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(self.exporter.run(stopped));
        Export { stop, task }
    }
}

/// A random id of this process, by which the traces of several servers are told apart.
fn instance() -> String {
    hex::<16>(&SystemRandom)
}

/// A running export.
pub(crate) struct Export {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Export {
    /// Exports the waiting spans, for as long as a stop may wait.
    pub(crate) async fn stop(self) {
        drop(self.stop);
        let mut task = self.task;
        if timeout(LAST_WAIT, &mut task).await.is_err() {
            task.abort();
            tracing::warn!(
                "the last spans were not exported: the collector did not take them in time"
            );
        }
    }
}
