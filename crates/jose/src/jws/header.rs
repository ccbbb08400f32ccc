//! The protected header: the parameters that Keyward reads, and headers encoded for signing.

use std::borrow::Cow;

use super::Error;
use crate::json::{self, Shape};
use crate::{Algorithm, base64url};

/// The parameters that Keyward reads from a token's header (RFC 7515 §4.1). A key or a URL in the header is never used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header<'h> {
    /// `alg`, if it is a string.
    pub alg: Option<Cow<'h, str>>,
    /// The algorithm that `alg` names, if Keyward knows it.
    pub algorithm: Option<Algorithm>,
    /// `typ`, if it is a string.
    pub typ: Option<Cow<'h, str>>,
    /// `kid`, if it is a string.
    pub kid: Option<Cow<'h, str>>,
    /// Whether `crit` or `b64` is present (RFC 7515 §4.1.11, RFC 7797). Keyward supports no extension, so such a token
    /// never verifies.
    pub critical: bool,
    /// Whether `alg`, `typ` or `kid` is present but not a string. Such a token never verifies.
    pub mistyped: bool,
}

impl<'h> Header<'h> {
    pub(super) fn scan(text: &'h str, depth: usize) -> Result<Self, Error> {
        let mut header = Self::default();
        let shape = json::visit_members(text, depth, |name, value| header.note(name, value));
        match shape {
            Ok(Shape::Object) => Ok(header),
            Ok(_) => Err(Error::HeaderShape),
            Err(error) => Err(Error::HeaderJson(error)),
        }
    }

    /// The algorithm that may verify the token, if any.
    pub fn acceptable_algorithm(&self) -> Option<Algorithm> {
        if self.critical || self.mistyped {
            None
        } else {
            self.algorithm
        }
    }

    fn note(&mut self, name: &str, value: &'h str) {
        let parameter = match name {
            "alg" => &mut self.alg,
            "typ" => &mut self.typ,
            "kid" => &mut self.kid,
            "crit" | "b64" => {
                self.critical = true;
                return;
            }
            _ => return,
        };
        *parameter = json::string(value);
        self.mistyped |= parameter.is_none();
        if name == "alg" {
            self.algorithm = self.alg.as_deref().and_then(Algorithm::from_name);
        }
    }
}

/// A header that is encoded once, for signing tokens and for recognising them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedHeader {
    segment: String,
    algorithm: Algorithm,
    typ: Option<String>,
    kid: Option<String>,
}

impl EncodedHeader {
    /// Encodes a header from its JSON text, which is signed byte for byte as given.
    ///
    /// The text must be a strict JSON object with an `alg` that Keyward knows, and without `crit` and `b64`.
    pub fn new(json_text: &str) -> Result<Self, Error> {
        let header = Header::scan(json_text, super::Limits::default().depth)?;
        Ok(Self {
            segment: base64url::encode(json_text),
            algorithm: header
                .acceptable_algorithm()
                .ok_or(Error::HeaderParameter)?,
            typ: header.typ.map(Cow::into_owned),
            kid: header.kid.map(Cow::into_owned),
        })
    }

    /// The header of a key's tokens: `alg`, `typ` and `kid`.
    pub(crate) fn of_key(algorithm: Algorithm, typ: Option<&str>, kid: &str) -> Self {
        let text = |text: &str| serde_json::Value::from(text).to_string();
        let typ_member = typ.map_or_else(String::new, |typ| format!(r#","typ":{}"#, text(typ)));
        let json = format!(
            r#"{{"alg":"{}"{typ_member},"kid":{}}}"#,
            algorithm.name(),
            text(kid)
        );
        Self {
            segment: base64url::encode(json),
            algorithm,
            typ: typ.map(ToOwned::to_owned),
            kid: Some(kid.to_owned()),
        }
    }

    /// The first segment of every token that has this header.
    pub fn segment(&self) -> &str {
        &self.segment
    }

    /// The algorithm that `alg` names.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The `typ`, if there is one.
    pub fn typ(&self) -> Option<&str> {
        self.typ.as_deref()
    }

    /// The `kid`, if there is one.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }
}
