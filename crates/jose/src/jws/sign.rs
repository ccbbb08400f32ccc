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
    let header = header.segment();
    let length = header.len() + (claims_json.len() + LONGEST_TAG) * 4 / 3 + 6;
    let mut token = String::with_capacity(length);
    token.push_str(header);
    token.push('.');
    base64url::encode_onto(&mut token, claims_json);
    let tag = key.sign(token.as_bytes());
    token.push('.');
    base64url::encode_onto(&mut token, tag.as_ref());
    token
}
