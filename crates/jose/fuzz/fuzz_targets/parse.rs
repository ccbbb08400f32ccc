//! Any text as a token, a key and JSON: nothing panics, and what is accepted is what it says.

#![no_main]

use keyward_jose::jws::{Compact, Envelope, Limits};
use keyward_jose::{SuppliedKey, base64url, json};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let checked = json::check(bytes, 16);
    let Ok(text) = std::str::from_utf8(bytes) else {
        assert!(matches!(checked, Err(json::Error::Utf8 { .. })));
        return;
    };
    let is_json = serde_json::from_str::<Box<serde_json::value::RawValue>>(text);
    if checked.is_ok() {
        assert!(is_json.is_ok());
    }

    let limits = Limits::default();
    if let Ok(envelope) = Envelope::parse(text, &limits) {
        let segments = [
            envelope.header_json().as_bytes(),
            envelope.payload(),
            envelope.signature(),
        ];
        assert_eq!(segments.map(base64url::encode).join("."), text);
        let _header = envelope.header();
        if let Ok(key) = SuppliedKey::parse("a secret") {
            let _verdict = key.verifies(&envelope);
        }
    }
    if let Ok(compact) = Compact::parse(text, &limits) {
        assert!(json::check(compact.payload_json().as_bytes(), limits.depth).is_ok());
    }
    let _key = SuppliedKey::parse(text);
});
