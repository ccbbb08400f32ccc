//! Storage: the store traits of `keyward-core` on SQLite, PostgreSQL, the local disk and S3. This crate contains no
//! HTTP server.
//!
//! Invariant: when a method reports success, its effect is on disk.

pub mod backup;
pub mod blobs;
mod disk;
pub mod folder;
pub mod key_files;
pub mod metrics;
pub mod postgres;
pub mod sqlite;
pub mod tls;
