//! The rules of Keyward, one folder for each capability. This crate has no HTTP, no SQL, no environment and no file
//! system.
//!
//! A capability imports only those to its left: `keys ← accounts ← sessions ← tokens ← notary, files, customers,
//! vectors`.

pub mod accounts;
pub mod clock;
pub mod customers;
pub mod error;
pub mod files;
pub mod health;
pub mod hex;
pub mod id;
pub mod keys;
pub mod memory;
pub mod metrics;
pub mod notary;
pub mod page;
pub mod random;
pub mod rows;
pub mod secret;
pub mod sessions;
pub mod span;
pub mod tokens;
pub mod vectors;

use crate::metrics::Metric;

/// The metrics of this crate.
pub const METRICS: &[&[&Metric]] = &[
    memory::METRICS,
    accounts::passwords::METRICS,
    sessions::METRICS,
    tokens::METRICS,
    files::METRICS,
];
