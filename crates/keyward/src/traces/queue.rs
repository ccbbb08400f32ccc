//! The queue of ended spans, and the task that sends them in batches.
//!
//! Invariant: a span is put into the queue without waiting. An idle server is not woken for its traces.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use metrics::Counter;
use opentelemetry::Context;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter as _, SpanProcessor};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use super::SPANS;

/// How many spans wait at most. One takes about a kilobyte.
const LENGTH: usize = 2_048;
/// How many are sent at once.
const BATCH: usize = 512;
/// How long the first span of a batch waits for others.
const GATHER: Duration = Duration::from_secs(1);
/// How often a collector that takes nothing is reported.
const REMINDER: Duration = Duration::from_secs(60);

/// The end of the queue that spans are put into.
#[derive(Debug)]
pub(super) struct Queue {
    spans: Sender<SpanData>,
    dropped: Arc<AtomicU64>,
}

impl Queue {
    /// A queue, and the end that spans are taken from.
    pub(super) fn new() -> (Self, Receiver<SpanData>) {
        let (spans, taken) = channel(LENGTH);
        let dropped = Arc::default();
        (Self { spans, dropped }, taken)
    }
}

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() && self.spans.try_send(span).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// Sends what is in the queue.
pub(super) struct Exporter {
    exporter: SpanExporter,
    spans: Receiver<SpanData>,
    dropped: Arc<AtomicU64>,
    endpoint: String,
}

/// The counters of spans, which are made when the recorder of metrics is there.
struct Counters {
    exported: Counter,
    failed: Counter,
    dropped: Counter,
}

impl Exporter {
    pub(super) fn new(
        exporter: SpanExporter,
        spans: Receiver<SpanData>,
        queue: &Queue,
        endpoint: String,
    ) -> Self {
        let dropped = Arc::clone(&queue.dropped);
        Self {
            exporter,
            spans,
            dropped,
            endpoint,
        }
    }

    /// Sends batches until `stop` ends, and then what is left.
    pub(super) async fn run(mut self, mut stop: oneshot::Receiver<()>) {
        let counters = Counters {
            exported: SPANS.counter(["exported"]),
            failed: SPANS.counter(["failed"]),
            dropped: SPANS.counter(["dropped"]),
        };
        let mut reported = None;
        while let Some(batch) = self.gather(&mut stop).await {
            let count = batch.len() as u64;
            let sent = self.exporter.export(batch).await;
            counters
                .dropped
                .absolute(self.dropped.load(Ordering::Relaxed));
            match sent {
                Ok(()) => {
                    counters.exported.increment(count);
                    if reported.take().is_some() {
                        tracing::info!(endpoint = self.endpoint, "spans are exported again");
                    }
                }
                Err(error) => {
                    counters.failed.increment(count);
                    let is_due = reported.is_none_or(|last: Instant| last.elapsed() > REMINDER);
                    if is_due {
                        reported = Some(Instant::now());
                        tracing::warn!(
                            code = "spans_not_exported",
                            endpoint = self.endpoint,
                            error = error.to_string(),
                            "spans are not exported: check traces.otlp_endpoint, traces.header, and that the collector takes OTLP over HTTP"
                        );
                    }
                }
            }
        }
    }

    /// The next batch; `None` when the export was stopped and nothing is left.
    async fn gather(&mut self, stop: &mut oneshot::Receiver<()>) -> Option<Vec<SpanData>> {
        let mut batch = Vec::new();
        let mut until = None;
        while batch.len() < BATCH {
            let room = BATCH - batch.len();
            let full = async {
                match until {
                    Some(until) => sleep_until(until).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                taken = self.spans.recv_many(&mut batch, room) => match taken {
                    0 => break,
                    _ => until = until.or_else(|| Some(Instant::now() + GATHER)),
                },
                () = full => break,
                // Nothing more is put in; what is there is still taken.
                _ = &mut *stop, if !self.spans.is_closed() => self.spans.close(),
            }
        }
        (!batch.is_empty()).then_some(batch)
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{Span as _, Tracer as _, TracerProvider as _};
    use opentelemetry_sdk::trace::SdkTracerProvider;

    use super::*;

    #[test]
    fn a_span_that_finds_the_queue_full_is_counted_and_dropped() {
        let (queue, mut taken) = Queue::new();
        let dropped = Arc::clone(&queue.dropped);
        let provider = SdkTracerProvider::builder()
            .with_span_processor(queue)
            .build();
        let tracer = provider.tracer("test");
        for _ in 0..LENGTH + 3 {
            tracer.start("span").end();
        }
        assert_eq!(dropped.load(Ordering::Relaxed), 3);
        let mut waiting = 0;
        while taken.try_recv().is_ok() {
            waiting += 1;
        }
        assert_eq!(waiting, LENGTH);
    }
}
