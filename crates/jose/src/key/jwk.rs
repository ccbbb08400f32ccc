//! JSON Web Keys (RFC 7517): members read strictly, and the uses a key limits itself to.
//!
//! Invariant: of however many members, only those named here are kept.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::KeyError;
use crate::json::{self, Shape};
use crate::{Algorithm, base64url};

/// How deep a JWK may nest.
const DEPTH: usize = 16;

/// The members that are read.
const MEMBERS: [&str; 18] = [
    "kty", "use", "key_ops", "alg", "crv", "x", "y", "n", "e", "k", "keys", "d", "p", "q", "dp",
    "dq", "qi", "oth",
];

/// The members that hold private numbers of RSA, EC and OKP keys (RFC 7518 §6.2.2, §6.3.2).
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

/// One key, still as JSON.
pub(crate) struct Jwk<'t> {
    /// The values of [`MEMBERS`], as they are spelled.
    values: [Option<&'t str>; MEMBERS.len()],
}

impl<'t> Jwk<'t> {
    /// Reads one JSON object with unique members.
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

    /// Whether its members are those of a key or a set of keys, complete or not.
    pub(crate) fn is_key(&self) -> bool {
        let has = |name| self.has(name);
        has("kty") || has("keys") || has("crv") || has("n") && has("e")
    }

    /// Whether this is anything but a secret and holds private numbers.
    pub(crate) fn is_private(&self) -> bool {
        !self.is("kty", "oct") && PRIVATE_MEMBERS.iter().any(|name| self.has(name))
    }

    /// Whether this is a key set in which some key holds private numbers.
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

    /// The bytes that a member spells in base64url.
    pub(crate) fn bytes(&self, name: &str) -> Result<Vec<u8>, KeyError> {
        base64url::decode(self.text(name)?.as_bytes()).map_err(|_| KeyError::Malformed)
    }

    /// The one algorithm the key names, if it names any, after making sure that the key is for
    /// verifying signatures (RFC 7517 §4.2–§4.4). What is not known refuses.
    pub(crate) fn bound_algorithm(&self) -> Result<Option<Algorithm>, KeyError> {
        if self.has("use") && !self.is("use", "sig") {
            return Err(KeyError::OtherUse);
        }
        if let Some(operations) = self.value("key_ops") {
            let operations: Vec<Cow<'_, str>> =
                serde_json::from_str(operations).map_err(|_| KeyError::Malformed)?;
            let known = operations
                .iter()
                .all(|operation| OPERATIONS.contains(&&**operation));
            if !known || !operations.iter().any(|operation| operation == "verify") {
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

    fn value(&self, name: &str) -> Option<&'t str> {
        let index = MEMBERS.iter().position(|member| *member == name)?;
        self.values[index]
    }
}
