//! Signs tokens, in one pass and one allocation.

use super::{EncodedHeader, LONGEST_TAG};
use crate::{HmacKey, base64url};

/// Signs claims, byte for byte as given, with an encoded header.
///
/// The algorithm of the header must be that of the key, or the token never verifies.
pub fn sign(key: &HmacKey, header: &EncodedHeader, claims_json: &[u8]) -> String {
    debug_assert_eq!(
        key.algorithm(),
        header.algorithm(),
        "header of another algorithm"
    );
    let mut token = signing_input(header, claims_json, LONGEST_TAG);
    let tag = key.sign(token.as_bytes());
    token.push('.');
    base64url::encode_onto(&mut token, tag.as_ref());
    token
}

/// The JWS Signing Input (RFC 7515 §5.1), with room for a signature of so many bytes.
pub(crate) fn signing_input(header: &EncodedHeader, payload: &[u8], signature: usize) -> String {
    let header = header.segment();
    let length = header.len() + (payload.len() + signature) * 4 / 3 + 6;
    let mut token = String::with_capacity(length);
    token.push_str(header);
    token.push('.');
    base64url::encode_onto(&mut token, payload);
    token
}
