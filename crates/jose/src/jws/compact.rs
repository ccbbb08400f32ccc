//! Tokens that are parsed and well formed, but whose signature has not been verified.

use std::fmt;
use std::ops::Deref;

use super::{Error, Header, Limits, Segments};
use crate::json::{self, Shape};
use crate::{Algorithm, base64url};

/// A compact JWS with any payload: three canonical segments, of which the first is a strict JSON object.
///
/// Its algorithm may be `none` or unknown.
pub struct Envelope<'t> {
    signing_input: &'t str,
    /// The decoded header, payload and signature, one after the other.
    decoded: Vec<u8>,
    payload_at: usize,
    signature_at: usize,
    depth: usize,
    algorithm: Option<Algorithm>,
}

impl<'t> Envelope<'t> {
    /// Parses a token. A token that is too long is refused before anything is decoded.
    pub fn parse(token: &'t str, limits: &Limits) -> Result<Self, Error> {
        let segments = Segments::split(token, limits)?;
        let mut decoded = Vec::with_capacity(token.len());
        base64url::decode_onto(&mut decoded, segments.header.as_bytes())?;
        let payload_at = decoded.len();
        base64url::decode_onto(&mut decoded, segments.payload.as_bytes())?;
        let signature_at = decoded.len();
        base64url::decode_onto(&mut decoded, segments.signature.as_bytes())?;

        let header = json::utf8(&decoded[..payload_at]).map_err(Error::HeaderJson)?;
        let algorithm = Header::scan(header, limits.depth)?.acceptable_algorithm();
        let signing_input = segments.signing_input;
        let depth = limits.depth;
        Ok(Self {
            signing_input,
            decoded,
            payload_at,
            signature_at,
            depth,
            algorithm,
        })
    }

    /// The header parameters that Keyward reads. Each call scans the header again.
    pub fn header(&self) -> Header<'_> {
        Header::scan(self.header_json(), self.depth).unwrap_or_default()
    }

    /// The JSON text of the header, unchanged.
    pub fn header_json(&self) -> &str {
        json::utf8(&self.decoded[..self.payload_at]).unwrap_or_default()
    }

    /// The bytes of the payload.
    pub fn payload(&self) -> &[u8] {
        &self.decoded[self.payload_at..self.signature_at]
    }

    /// The bytes of the signature, which may be empty.
    pub fn signature(&self) -> &[u8] {
        &self.decoded[self.signature_at..]
    }

    /// The JWS Signing Input (RFC 7515 §5.1).
    pub fn signing_input(&self) -> &'t str {
        self.signing_input
    }

    /// The only algorithm that may verify this token. `None` if `alg` is missing or unknown, if a header parameter has
    /// the wrong type, or if `crit` or `b64` is present.
    pub fn acceptable_algorithm(&self) -> Option<Algorithm> {
        self.algorithm
    }
}

impl fmt::Debug for Envelope<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Envelope")
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

/// A compact JWS whose payload is also a strict JSON object: a JWT (RFC 7519 §7.2).
#[derive(Debug)]
pub struct Compact<'t>(Envelope<'t>);

impl<'t> Compact<'t> {
    /// Parses a token. A token that is too long is refused before anything is decoded.
    pub fn parse(token: &'t str, limits: &Limits) -> Result<Self, Error> {
        let envelope = Envelope::parse(token, limits)?;
        match json::check(envelope.payload(), limits.depth) {
            Ok(Shape::Object) => Ok(Self(envelope)),
            Ok(_) => Err(Error::PayloadShape),
            Err(error) => Err(Error::PayloadJson(error)),
        }
    }

    /// The JSON text of the payload, unchanged.
    pub fn payload_json(&self) -> &str {
        json::utf8(self.payload()).unwrap_or_default()
    }
}

impl<'t> Deref for Compact<'t> {
    type Target = Envelope<'t>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}
