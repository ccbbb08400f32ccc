//! Compact JSON Web Signatures (RFC 7515), parsed strictly.
//!
//! No I/O, no clock, no environment. A key is bound to its algorithms when it is made; nothing in a token chooses how
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
pub use key::supplied::{Secret, SuppliedKey};
