//! Any text as a PEM, and any bytes in one, as a public and as a private key: nothing panics, and a public key is never
//! read as a private one.

#![no_main]

use keyward_jose::{Algorithm, KeyError, PublicKey, SigningKey, VerifyingKey};
use libfuzzer_sys::fuzz_target;

const LABELS: [&str; 6] = [
    "PUBLIC KEY",
    "RSA PUBLIC KEY",
    "CERTIFICATE",
    "PRIVATE KEY",
    "RSA PRIVATE KEY",
    "EC PRIVATE KEY",
];

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        read(text);
    }
    let base64 = base64_simd::STANDARD.encode_to_string(bytes);
    for label in LABELS {
        let key = read(&format!(
            "-----BEGIN {label}-----\n{base64}\n-----END {label}-----\n"
        ));
        assert!(!key || label.ends_with("PRIVATE KEY"));
    }
    let _key = PublicKey::from_spki_der(bytes);
});

/// Whether the text is a private key.
fn read(text: &str) -> bool {
    let _key = VerifyingKey::from_pem(text, Some(Algorithm::RS256));
    let private = SigningKey::from_pem(text, None);
    if private.is_ok() {
        assert_eq!(PublicKey::from_pem(text).err(), Some(KeyError::Private));
    }
    private.is_ok()
}
