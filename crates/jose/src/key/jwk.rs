//! JSON Web Keys (RFC 7517), parsed strictly, with the restrictions that `use`, `key_ops` and `alg` put on a key.
//!
//! Invariant: however many members a text has, only those in [`MEMBERS`] are stored.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::KeyError;
use crate::json::{self, Shape};
use crate::{Algorithm, base64url};

/// How deep a JWK may nest.
const DEPTH: usize = 16;

/// The members that are stored.
const MEMBERS: [&str; 19] = [
    "kty", "use", "key_ops", "alg", "crv", "x", "y", "n", "e", "k", "keys", "d", "p", "q", "dp",
    "dq", "qi", "oth", "kid",
];

/// The members of private RSA, EC and OKP keys (RFC 7518 §6.2.2, §6.3.2).
const PRIVATE_MEMBERS: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "oth"];

/// The operations that RFC 7517 §4.3 registers.
const OPERATIONS: [&str; 8] = [
    "sign",
    "verify",
    "encrypt",
    "decrypt",
    "wrapKey",
    "unwrapKey",
    "deriveKey",
    "deriveBits",
];

/// A JWK whose members have not been decoded.
pub(crate) struct Jwk<'t> {
    /// The JSON texts of the values of [`MEMBERS`].
    values: [Option<&'t str>; MEMBERS.len()],
}

impl<'t> Jwk<'t> {
    /// Parses a JSON object with unique member names.
    pub(crate) fn parse(text: &'t str) -> Result<Self, KeyError> {
        let mut values = [None; MEMBERS.len()];
        let shape = json::visit_members(text, DEPTH, |name, value| {
            if let Some(index) = MEMBERS.iter().position(|member| *member == name) {
                values[index] = Some(value);
            }
        });
        match shape {
            Ok(Shape::Object) => Ok(Self { values }),
            _ => Err(KeyError::Malformed),
        }
    }

    /// Whether the members are those of a key or a key set, complete or not.
    pub(crate) fn is_key(&self) -> bool {
        let has = |name| self.has(name);
        has("kty") || has("keys") || has("crv") || has("n") && has("e")
    }

    /// Whether this is a private key, which a key of type `oct` is not.
    pub(crate) fn is_private(&self) -> bool {
        !self.is("kty", "oct") && PRIVATE_MEMBERS.iter().any(|name| self.has(name))
    }

    /// Whether this is a key set that contains a private key.
    pub(crate) fn has_private_key_in_set(&self) -> bool {
        let keys = self.value("keys");
        let keys = keys.and_then(|keys| serde_json::from_str(keys).ok());
        let keys: Vec<&RawValue> = keys.unwrap_or_default();
        keys.iter()
            .any(|key| Self::parse(key.get()).is_ok_and(|key| key.is_private()))
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    pub(crate) fn is(&self, name: &str, value: &str) -> bool {
        self.text(name).is_ok_and(|text| text == value)
    }

    pub(crate) fn text(&self, name: &str) -> Result<Cow<'t, str>, KeyError> {
        let value = self.value(name).ok_or(KeyError::Malformed)?;
        json::string(value).ok_or(KeyError::Malformed)
    }

    /// The bytes of a base64url member.
    pub(crate) fn bytes(&self, name: &str) -> Result<Vec<u8>, KeyError> {
        base64url::decode(self.text(name)?.as_bytes()).map_err(|_| KeyError::Malformed)
    }

    /// The algorithm in `alg`, if present, after checking that the key may verify signatures (RFC 7517 §4.2–§4.4). An
    /// unknown value is refused.
    pub(crate) fn bound_algorithm(&self) -> Result<Option<Algorithm>, KeyError> {
        self.algorithm_for("verify")
    }

    /// The algorithm in `alg`, if present, after checking that the key may do this operation.
    pub(crate) fn algorithm_for(&self, operation: &str) -> Result<Option<Algorithm>, KeyError> {
        if self.has("use") && !self.is("use", "sig") {
            return Err(KeyError::OtherUse);
        }
        if let Some(operations) = self.value("key_ops") {
            let operations: Vec<Cow<'_, str>> =
                serde_json::from_str(operations).map_err(|_| KeyError::Malformed)?;
            let known = operations
                .iter()
                .all(|allowed| OPERATIONS.contains(&&**allowed));
            if !known || !operations.iter().any(|allowed| allowed == operation) {
                return Err(KeyError::OtherUse);
            }
        }
        if !self.has("alg") {
            return Ok(None);
        }
        Algorithm::from_name(&self.text("alg")?)
            .map(Some)
            .ok_or(KeyError::OtherUse)
    }

    /// Whether this is a key of Ed25519 (RFC 8037 §2).
    pub(crate) fn is_ed25519(&self) -> bool {
        self.is("kty", "OKP") && self.is("crv", "Ed25519")
    }

    /// The algorithm of the curve of a key of type `EC` (RFC 7518 §6.2.1.1).
    pub(crate) fn curve_algorithm(&self) -> Result<Algorithm, KeyError> {
        if !self.is("kty", "EC") {
            return Err(KeyError::Unsupported);
        }
        let crv = self.text("crv")?;
        let of_curve =
            |algorithm: &Algorithm| algorithm.curve().is_some_and(|(name, _)| name == crv);
        let mut all = Algorithm::ALL.into_iter();
        all.find(of_curve).ok_or(KeyError::Unsupported)
    }

    /// The point in `x` and `y`, in the uncompressed form of SEC 1 §2.3.3.
    pub(crate) fn point(&self, algorithm: Algorithm) -> Result<Vec<u8>, KeyError> {
        let (_, length) = algorithm.curve().ok_or(KeyError::Unsupported)?;
        let (x, y) = (self.bytes("x")?, self.bytes("y")?);
        if x.len() != length || y.len() != length {
            return Err(KeyError::Malformed);
        }
        Ok([&[4], &x[..], &y[..]].concat())
    }

    /// The key's name in `kid`, if present.
    pub(crate) fn kid(&self) -> Result<Option<Cow<'t, str>>, KeyError> {
        if self.has("kid") {
            self.text("kid").map(Some)
        } else {
            Ok(None)
        }
    }

    pub(crate) fn value(&self, name: &str) -> Option<&'t str> {
        let index = MEMBERS.iter().position(|member| *member == name)?;
        self.values[index]
    }
}
