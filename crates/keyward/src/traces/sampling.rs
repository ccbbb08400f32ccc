//! Which requests are exported as traces.

use opentelemetry::trace::{
    Link, SpanContext, SpanKind, TraceContextExt as _, TraceId, TraceState,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{Sampler, SamplingDecision, SamplingResult, ShouldSample};

/// A share of the traces, which is chosen by their ids. The parts of a request follow the request. A client whose own
/// span is not recorded keeps the request out; one whose span is recorded changes nothing, because anybody can say so.
#[derive(Clone, Debug)]
pub(super) struct Sampling(Sampler);

impl Sampling {
    pub(super) fn new(share: f64) -> Self {
        Self(Sampler::TraceIdRatioBased(share))
    }
}

impl ShouldSample for Sampling {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let parent = parent.map(|context| context.span().span_context().clone());
        let decision = match parent.filter(SpanContext::is_valid) {
            Some(parent) if !parent.is_sampled() => SamplingDecision::Drop,
            Some(parent) if !parent.is_remote() => SamplingDecision::RecordAndSample,
            Some(_) | None => {
                let chosen = self
                    .0
                    .should_sample(None, trace, name, kind, attributes, links);
                chosen.decision
            }
        };
        SamplingResult {
            decision,
            attributes: Vec::new(),
            trace_state: TraceState::NONE,
        }
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{SpanId, TraceFlags};

    use super::*;

    /// The decision for a trace whose id says nothing in favour of it.
    fn decide(share: f64, parent: Option<(bool, bool)>) -> bool {
        let trace = TraceId::from_bytes([0xff; 16]);
        let parent = parent.map(|(is_remote, is_sampled)| {
            let flags = TraceFlags::default().with_sampled(is_sampled);
            let span = SpanId::from_bytes([1; 8]);
            let parent = SpanContext::new(trace, span, flags, is_remote, TraceState::NONE);
            Context::new().with_remote_span_context(parent)
        });
        let result = Sampling::new(share).should_sample(
            parent.as_ref(),
            trace,
            "",
            &SpanKind::Server,
            &[],
            &[],
        );
        result.decision == SamplingDecision::RecordAndSample
    }

    #[test]
    fn a_client_can_keep_its_request_out_and_cannot_have_it_exported() {
        let (remote, local) = (true, false);
        for (share, parent, expected) in [
            (1.0, None, true),
            (1.0, Some((remote, true)), true),
            (1.0, Some((remote, false)), false),
            (0.5, None, false),
            (0.5, Some((remote, true)), false),
            (0.0, Some((local, true)), true),
            (1.0, Some((local, false)), false),
        ] {
            assert_eq!(decide(share, parent), expected, "{share} {parent:?}");
        }
    }
}
