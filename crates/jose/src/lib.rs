//! Compact JSON Web Signatures (RFC 7515), strictly read.
//!
//! No I/O, no clock, no environment. A key is bound to its algorithms when it is made; nothing in
//! a token ever chooses how that token is verified. Each token has exactly one accepted spelling.

mod algorithm;
pub mod base64url;
pub mod claims;
mod foreign_key;
pub mod hmac;
pub mod json;
mod jwk;
pub mod jws;
mod public_key;
mod rsa;

pub use algorithm::Algorithm;
pub use foreign_key::{ForeignKey, Secret};
pub use hmac::HmacKey;
pub use public_key::{KeyError, PublicKey};
