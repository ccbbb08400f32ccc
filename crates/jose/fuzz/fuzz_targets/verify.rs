//! Any header and payload, rightly signed: only strict JSON objects under the expected header
//! come through, and a token made of anything else verifies nowhere.

#![no_main]

use keyward_jose::jws::{EncodedHeader, Limits, verify};
use keyward_jose::{Algorithm, HmacKey, base64url, json};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|parts: (String, Vec<u8>)| {
    let (head, payload) = parts;
    let Ok(key) = HmacKey::new(Algorithm::HS256, &[7; 32]) else {
        return;
    };
    let Ok(expected) = EncodedHeader::new(r#"{"typ":"at+jwt","alg":"HS256"}"#) else {
        return;
    };
    let limits = Limits::default();

    let input = format!(
        "{}.{}",
        base64url::encode(&head),
        base64url::encode(&payload)
    );
    let tag = base64url::encode(key.sign(input.as_bytes()));
    if let Ok(verified) = verify(&format!("{input}.{tag}"), &key, &expected, &limits) {
        assert_eq!(verified.json().as_bytes(), payload);
        assert_eq!(json::check(&payload, limits.depth), Ok(json::Shape::Object));
        assert!(head.contains("HS256") || head.contains('\\'));
    }
    assert!(
        verify(
            &format!("{input}.{}", base64url::encode([0; 32])),
            &key,
            &expected,
            &limits
        )
        .is_err()
    );
});
