//! Compact JSON Web Signatures (RFC 7515), parsed strictly.
//!
//! [`SigningKey`] signs, and [`KeySet::verify`] verifies with a set of [`VerifyingKey`]s: these are keys of our own.
//! [`SuppliedKey`] verifies what others sent together with their key. [`jws::verify`] verifies with one secret.
//!
//! No I/O, no clock, no environment; only a new key draws randomness. A key is bound to its algorithms when it is made; nothing in a token chooses how
//! the token is verified. Each token has exactly one accepted spelling.

mod algorithm;
pub mod base64url;
pub mod claims;
pub mod json;
pub mod jws;
mod key;

pub use algorithm::Algorithm;
pub use key::KeyError;
pub use key::hmac::{self, HmacKey};
pub use key::public::PublicKey;
pub use key::set::{KeySet, SetError, Skipped};
pub use key::signing::{RsaSize, SignError, SigningKey};
pub use key::supplied::{Secret, SuppliedKey};
pub use key::verifying::VerifyingKey;
