//! Sets of our own verifying keys, each found by its `kid`, and JSON Web Key Sets (RFC 7517 §5) in and out.
//!
//! Invariant: a set has few keys, and no two of one `kid`.

use std::sync::OnceLock;

use serde_json::value::RawValue;

use super::KeyError;
use super::jwk::Jwk;
use super::verifying::VerifyingKey;
use crate::Algorithm;
use crate::jws::EncodedHeader;

/// The reason why keys are no set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    /// The text is longer than [`KeySet::LONGEST`].
    #[error("the key set is longer than {} bytes", KeySet::LONGEST)]
    TooLong,
    /// There are more than [`KeySet::MOST`] keys.
    #[error("the key set has more than {} keys", KeySet::MOST)]
    TooMany,
    /// The text is not strict JSON with an array of objects in `keys`.
    #[error("the text is not a JSON Web Key Set")]
    Malformed,
    /// The set contains a private key or a secret. Whoever could read it can sign with it.
    #[error("the key set contains a private key or a secret: it is for public keys only")]
    Private,
    /// Two keys have one `kid`.
    #[error("two keys of the set have the kid {0:?}")]
    DuplicateKid(String),
}

/// A key of a JSON Web Key Set that is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Its `kid`, if it has one.
    pub kid: Option<String>,
    /// The reason.
    pub why: KeyError,
}

/// At most [`KeySet::MOST`] verifying keys, each with a `kid` of its own.
#[derive(Clone, Debug, Default)]
pub struct KeySet {
    keys: Vec<VerifyingKey>,
    /// The first type that tokens were verified for, and the encoded header of each key's tokens of this type.
    headers: OnceLock<(String, Vec<String>)>,
}

impl KeySet {
    /// The most keys of a set, those that are skipped included.
    pub const MOST: usize = 64;
    /// The longest JSON Web Key Set that is read, in bytes.
    pub const LONGEST: usize = 256 * 1024;

    /// A set of these keys, in this order.
    pub fn new(keys: impl IntoIterator<Item = VerifyingKey>) -> Result<Self, SetError> {
        let mut set = Self::default();
        for key in keys {
            set.add(key)?;
        }
        Ok(set)
    }

    /// Parses a JSON Web Key Set of public keys.
    ///
    /// Keys that cannot verify here are skipped, as RFC 7517 §5 says: those of another type, curve, `use` or `alg`, those
    /// that are malformed or too weak, and RSA keys without `alg` if `algorithm` is not given. If `algorithm` is given,
    /// all other keys are skipped. A set with a private key or a secret is refused, and one where two keys that are
    /// used have the same `kid`. A key without `kid` is named by its thumbprint.
    pub fn from_jwks(
        text: &str,
        algorithm: Option<Algorithm>,
    ) -> Result<(Self, Vec<Skipped>), SetError> {
        if text.len() > Self::LONGEST {
            return Err(SetError::TooLong);
        }
        let jwks = Jwk::parse(text).map_err(|_| SetError::Malformed)?;
        let keys = jwks.value("keys").ok_or(SetError::Malformed)?;
        let keys: Vec<&RawValue> = serde_json::from_str(keys).map_err(|_| SetError::Malformed)?;
        if keys.len() > Self::MOST {
            return Err(SetError::TooMany);
        }
        let (mut set, mut skipped) = (Self::default(), Vec::new());
        for key in keys {
            let jwk = Jwk::parse(key.get()).map_err(|_| SetError::Malformed)?;
            if jwk.is_private() || jwk.is("kty", "oct") {
                return Err(SetError::Private);
            }
            match VerifyingKey::of_jwk(&jwk, algorithm) {
                Ok(key) => set.add(key)?,
                Err(why) => {
                    let kid = jwk.kid().ok().flatten().map(Into::into);
                    skipped.push(Skipped { kid, why });
                }
            }
        }
        Ok((set, skipped))
    }

    /// The public keys as a JSON Web Key Set in one line. Secrets are left out.
    pub fn to_jwks(&self) -> String {
        let keys = self.keys.iter().filter_map(VerifyingKey::to_public_jwk);
        format!(r#"{{"keys":[{}]}}"#, keys.collect::<Vec<_>>().join(","))
    }

    /// The key of this name.
    pub fn get(&self, kid: &str) -> Option<&VerifyingKey> {
        self.keys.iter().find(|key| key.kid() == kid)
    }

    /// The key whose tokens of this type have exactly this header, as [`SigningKey::header`](crate::SigningKey::header)
    /// makes it. `None` means that the header must be read: a set is mostly used for one type, and remembers the headers
    /// of the first only.
    pub(crate) fn key_with_header(&self, segment: &str, typ: &str) -> Option<&VerifyingKey> {
        let (known, segments) = self.headers.get_or_init(|| {
            let of_key = |key: &VerifyingKey| {
                let header = EncodedHeader::of_key(key.algorithm(), Some(typ), key.kid());
                header.segment().to_owned()
            };
            (typ.to_owned(), self.keys.iter().map(of_key).collect())
        });
        if known != typ {
            return None;
        }
        let index = segments.iter().position(|known| known == segment)?;
        self.keys.get(index)
    }

    /// The key of the set, if it is the only one.
    pub fn only(&self) -> Option<&VerifyingKey> {
        match &*self.keys {
            [only] => Some(only),
            _ => None,
        }
    }

    /// The keys, in their order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &VerifyingKey> {
        self.keys.iter()
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    fn add(&mut self, key: VerifyingKey) -> Result<(), SetError> {
        if self.get(key.kid()).is_some() {
            return Err(SetError::DuplicateKid(key.kid().to_owned()));
        }
        if self.keys.len() == Self::MOST {
            return Err(SetError::TooMany);
        }
        self.keys.push(key);
        Ok(())
    }
}
