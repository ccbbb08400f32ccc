//! Keyward at rest: the store traits of `keyward-core` on SQLite, PostgreSQL and the local disk. No HTTP here.
//!
//! Invariant: what a method has answered for is on disk.

pub mod backup;
pub mod blobs;
mod disk;
pub mod folder;
pub mod key_files;
pub mod postgres;
pub mod sqlite;
