//! What this crate measures.

use keyward_core::metrics::Metric;

use crate::{postgres, sqlite};

/// Everything that this crate measures.
pub const METRICS: &[&[&Metric]] = &[sqlite::METRICS, postgres::METRICS];
