//! Keys: HMAC secrets, public keys, and keys that a caller supplies as a text.
//!
//! Invariant: a key is bound to its algorithms when it is read, and a public key is never an HMAC secret.

pub mod hmac;
mod jwk;
mod pem;
pub(crate) mod public;
mod public_spelling;
mod rsa;
pub(crate) mod supplied;

/// Why a text is not a public key that can verify signatures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It holds a private key, which must not be sent to anybody.
    #[error("the key is a private key")]
    Private,
    /// It is not a key in a form that can be read.
    #[error("the key cannot be read")]
    Malformed,
    /// It is a key of a kind or on a curve that is not supported.
    #[error("keys of this kind are not supported")]
    Unsupported,
    /// Its own `use`, `key_ops` or `alg` does not allow it to verify signatures.
    #[error("the key is not meant to verify signatures of this kind")]
    OtherUse,
    /// An RSA key under 2048 bits, with an exponent under 65537, or from a generator known to be broken.
    #[error("the RSA key is too weak")]
    WeakRsa,
}
