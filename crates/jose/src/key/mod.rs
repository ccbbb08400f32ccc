//! Keys: HMAC secrets, public keys, and supplied keys.
//!
//! Invariant: a key is bound to its algorithms when it is parsed, and a public key is never used as an HMAC secret.

pub mod hmac;
mod jwk;
mod pem;
pub(crate) mod public;
mod public_spelling;
mod rsa;
pub(crate) mod supplied;

/// The reason why a text is not a public key that can verify signatures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The text is a private key, which must not be sent to anybody.
    #[error("the key is a private key")]
    Private,
    /// The text is not a well-formed key.
    #[error("the key cannot be read")]
    Malformed,
    /// The type or the curve of the key is not supported.
    #[error("keys of this kind are not supported")]
    Unsupported,
    /// The `use`, `key_ops` or `alg` of the key does not allow verifying signatures.
    #[error("the key is not meant to verify signatures of this kind")]
    OtherUse,
    /// The RSA key has fewer than 2048 bits or an exponent below 65537, or comes from a generator known to be broken.
    #[error("the RSA key is too weak")]
    WeakRsa,
}
