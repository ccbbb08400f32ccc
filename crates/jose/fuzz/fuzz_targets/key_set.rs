//! Any text as a token, and any header and payload, rightly signed: a set of keys accepts only strict JSON objects under
//! a header that names the key and its algorithm, and only what was signed.

#![no_main]

use std::sync::LazyLock;

use keyward_jose::jws::{Limits, peek};
use keyward_jose::{Algorithm, HmacKey, KeySet, SigningKey, base64url, json};
use libfuzzer_sys::fuzz_target;

const SECRET: [u8; 32] = [7; 32];

static KEYS: LazyLock<Option<(KeySet, HmacKey)>> = LazyLock::new(|| {
    let secret = SigningKey::from_secret(Algorithm::HS256, &SECRET).ok()?;
    let secret = secret.with_kid("a").ok()?.verifying_key().clone();
    let public = SigningKey::generate(Algorithm::ES256).ok()?;
    let public = public.with_kid("b").ok()?.verifying_key().clone();
    let set = KeySet::new([secret, public]).ok()?;
    Some((set, HmacKey::new(Algorithm::HS256, &SECRET).ok()?))
});

fuzz_target!(|parts: (String, Vec<u8>, String)| {
    let (head, payload, text) = parts;
    let Some((set, secret)) = &*KEYS else {
        return;
    };
    let limits = Limits::default();
    assert!(set.verify_signature(&text, None, &limits).is_err());

    let [head_part, payload_part] = [head.as_bytes(), &payload].map(base64url::encode);
    let input = format!("{head_part}.{payload_part}");
    let tag = base64url::encode(secret.sign(input.as_bytes()));
    let token = format!("{input}.{tag}");
    if let Ok(verified) = set.verify_signature(&token, None, &limits) {
        assert_eq!(verified.json().as_bytes(), payload);
        assert_eq!(json::check(&payload, limits.depth), Ok(json::Shape::Object));
        let named = peek(&token, &limits, |header| {
            assert_eq!(header.algorithm, Some(Algorithm::HS256));
            header.kid.as_deref() == Some("a") && !header.critical && !header.mistyped
        });
        assert_eq!(named, Ok(true));
    }
    let unsigned = format!("{input}.{}", base64url::encode([0; 32]));
    assert!(set.verify_signature(&unsigned, None, &limits).is_err());
});
