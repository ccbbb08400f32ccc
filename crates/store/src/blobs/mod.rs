//! Bytes at rest, apart from the rows that name them.

mod local;

pub use local::LocalBlobs;
