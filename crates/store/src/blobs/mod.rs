//! The bytes of files, stored apart from the rows that name them.

mod local;
pub mod s3;

pub(crate) use self::local::path_of;
pub use local::{LocalBlobs, size_of, stored_in};
pub use s3::S3Blobs;
