//! Keys: HMAC secrets, public keys, supplied keys, and our own signing and verifying keys with their sets.
//!
//! Invariant: a key is bound to its algorithms when it is parsed, and a public key is never used as an HMAC secret.

pub mod hmac;
mod jwk;
mod pem;
mod private;
pub(crate) mod public;
mod public_spelling;
mod rsa;
pub(crate) mod set;
pub(crate) mod signing;
pub(crate) mod supplied;
mod text;
pub(crate) mod verifying;

/// The reason why a key cannot be used.
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
    /// The Ed25519 key is a point of small order, for which everybody can sign.
    #[error("the Ed25519 key is too weak")]
    WeakPoint,
    /// The secret is shorter than the hash of its algorithm (RFC 7518 §3.2).
    #[error("the secret is shorter than the hash of its algorithm")]
    WeakSecret,
    /// The key suits several algorithms, and none of them was chosen.
    #[error("the key names no algorithm, and its type has several: name one")]
    NoAlgorithm,
    /// A private key is needed, and this is a public one.
    #[error("the key is a public key, which cannot sign")]
    NotPrivate,
    /// The text is a set of keys, and one key is needed.
    #[error("this is a set of keys, and one key is needed")]
    IsSet,
    /// The `kid` is not a text of 1 to 256 bytes.
    #[error("the kid of the key is not a text of 1 to 256 bytes")]
    Kid,
    /// The cryptographic library could not make a key.
    #[error("no key could be generated")]
    NotGenerated,
}

impl From<hmac::Error> for KeyError {
    fn from(error: hmac::Error) -> Self {
        match error {
            hmac::Error::WeakKey { .. } => Self::WeakSecret,
            hmac::Error::NotHmac(_) => Self::OtherUse,
        }
    }
}
