//! Keys, tokens and vectors that the tests share.

use std::io::Write;
use std::path::Path;

use keyward_jose::jws::{EncodedHeader, Envelope, Limits};
use keyward_jose::{Algorithm, HmacKey, SuppliedKey, base64url};
use serde_json::Value;

/// The header of the login tokens in these tests.
pub(crate) const HEADER: &str = r#"{"typ":"at+jwt","alg":"HS256","kid":"k1"}"#;

/// Claims that are a strict JSON object.
pub(crate) const CLAIMS: &str = r#"{"iss":"keyward","sub":"42","exp":4102444800}"#;

/// Room for any token of the vectors.
pub(crate) const WIDE: Limits = Limits {
    token: 1 << 20,
    depth: 16,
};

/// The secret behind [`key`].
pub(crate) const SECRET: &[u8; 32] = b"thirty-two bytes, as HS256 needs";

/// The key of the login tokens in these tests.
pub(crate) fn key() -> HmacKey {
    HmacKey::new(Algorithm::HS256, SECRET).unwrap()
}

/// [`HEADER`], prepared.
pub(crate) fn header() -> EncodedHeader {
    EncodedHeader::new(HEADER).unwrap()
}

/// A token of any header and payload text with the right HS256 tag of [`key`].
pub(crate) fn signed(header: &str, payload: &str) -> String {
    let input = format!(
        "{}.{}",
        base64url::encode(header),
        base64url::encode(payload)
    );
    tagged(&key(), &input)
}

/// The signing input with the tag that a key gives it.
pub(crate) fn tagged(key: &HmacKey, input: &str) -> String {
    format!("{input}.{}", base64url::encode(key.sign(input.as_bytes())))
}

/// Whether a token is well-formed and the key signed it.
pub(crate) fn verifies(key: &SuppliedKey, token: &str) -> bool {
    Envelope::parse(token, &WIDE).is_ok_and(|envelope| key.verifies(&envelope))
}

/// A file of `tests/jose/keys`, all of which are of pairs whose private halves are gone.
pub(crate) fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/jose/keys")
        .join(name);
    std::fs::read_to_string(path).unwrap()
}

/// A JSON file of the folder that `KEYWARD_SHARED` names. Without the variable, prints `skipped:` and returns `None`.
#[expect(
    clippy::disallowed_methods,
    reason = "vectors are found by the environment, in tests"
)]
pub(crate) fn shared(path: &str) -> Option<Value> {
    let Ok(folder) = std::env::var("KEYWARD_SHARED") else {
        // Written to stderr directly, since the test runner captures `eprintln!`.
        let mut stderr = std::io::stderr();
        writeln!(stderr, "skipped: {path}: KEYWARD_SHARED is not set").unwrap();
        return None;
    };
    let text = std::fs::read_to_string(Path::new(&folder).join(path)).unwrap();
    Some(serde_json::from_str(&text).unwrap())
}

/// The elements of an array member.
pub(crate) fn list<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    value[name].as_array().unwrap()
}

/// A string member.
pub(crate) fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap()
}

/// The bytes of a member in hexadecimal.
pub(crate) fn hex(value: &Value, name: &str) -> Vec<u8> {
    let digits = text(value, name).as_bytes();
    let pairs = digits
        .chunks(2)
        .map(|pair| std::str::from_utf8(pair).unwrap());
    pairs
        .map(|pair| u8::from_str_radix(pair, 16).unwrap())
        .collect()
}
