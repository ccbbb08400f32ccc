//! Any text as a JWK of a public and of a private key: nothing panics, and a key that is read is written as the same
//! key.

#![no_main]

use keyward_jose::{Algorithm, SigningKey, VerifyingKey};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for algorithm in [None, Some(Algorithm::PS256), Some(Algorithm::HS256)] {
        if let Ok(key) = VerifyingKey::from_jwk(text, algorithm)
            && let Some(jwk) = key.to_public_jwk()
        {
            let again =
                VerifyingKey::from_jwk(&jwk, None).map(|again| again.thumbprint().to_owned());
            assert_eq!(again.as_deref(), Ok(key.thumbprint()));
        }
        if let Ok(key) = SigningKey::from_jwk(text, algorithm) {
            let jwk = key.to_jwk();
            let again = jwk.and_then(|jwk| SigningKey::from_jwk(&jwk, None));
            assert_eq!(
                again.map(|again| again.kid().to_owned()).as_deref(),
                Ok(key.kid())
            );
        }
    }
});
