//! Spans: the parts of a request whose durations are exported as a trace (OpenTelemetry), made with `tracing` as log lines are.
//!
//! Invariant: where no traces are exported, nothing takes spans of [`TARGET`], so that they are never made.

/// The target of every span. The log leaves it out, whatever its filter says.
pub const TARGET: &str = "keyward::span";
