//! Bytes at rest, apart from the rows that name them.

mod local;

pub(crate) use self::local::path_of;
pub use local::LocalBlobs;
