//! The notary's names on the wire.

use keyward_core::notary::Verdict;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::extract::member::Member;

/// The text to sign.
#[derive(Deserialize, ToSchema)]
pub(super) struct GenerateRequest {
    /// At most 64 KiB.
    #[serde(default)]
    #[schema(value_type = String, required = true, example = "this is test")]
    pub(super) user_data: Member,
}

/// The signed token.
#[derive(ToSchema)]
#[expect(dead_code, reason = "`generate_response` writes it; this describes it")]
pub(super) struct GenerateResponse {
    /// A compact JWS, HS512.
    #[schema(rename = "JWT Token")]
    token: String,
}

/// [`GenerateResponse`] as text. A compact JWS needs no escapes, and a serializer would check every byte for them.
pub(super) fn generate_response(token: &str) -> String {
    [r#"{"JWT Token":""#, token, r#""}"#].concat()
}

/// The token to verify, and the key to verify it with.
#[derive(Deserialize, ToSchema)]
pub(super) struct VerifyRequest {
    /// A compact JWS.
    #[serde(default, rename = "Token")]
    #[schema(value_type = Option<String>)]
    pub(super) token: Member,
    /// An HMAC secret, or a public key as PEM or JWK.
    #[serde(default, rename = "Signing_key")]
    #[schema(value_type = Option<String>)]
    pub(super) signing_key: Member,
}

/// The header and the claims of the token, unchanged, and whether the key verifies its signature.
#[derive(ToSchema)]
#[expect(dead_code, reason = "`verify_response` writes it; this describes it")]
pub(super) struct VerifyResponse {
    /// The token's header.
    #[schema(rename = "Header", value_type = Object)]
    header: (),
    /// The token's claims.
    #[schema(rename = "Claims", value_type = Object)]
    claims: (),
    /// Whether the key verifies the signature.
    #[schema(rename = "Signature Verification")]
    verified: bool,
}

/// [`VerifyResponse`] as text. Header and claims were checked when the token was parsed, so they are copied. A serializer
/// would parse both again.
pub(super) fn verify_response(verdict: &Verdict) -> String {
    let verified = if verdict.verified { "true" } else { "false" };
    [
        r#"{"Header":"#,
        &verdict.header,
        r#","Claims":"#,
        &verdict.claims,
        r#","Signature Verification":"#,
        verified,
        "}",
    ]
    .concat()
}

/// An error, which may have a status in the 2xx range.
#[derive(Serialize, ToSchema)]
pub(crate) struct ErrorResponse {
    /// The HTTP status.
    #[schema(example = 202)]
    pub(super) status: u16,
    /// What is wrong.
    #[schema(example = "Invalid content type")]
    pub(super) description: String,
}
