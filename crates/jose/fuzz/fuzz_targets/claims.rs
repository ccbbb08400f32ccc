//! Any text as claims: nothing panics, and what is accepted is in time and for the right audience.

#![no_main]

use keyward_jose::claims::{Claims, Expectations, Expected, Registered};
use libfuzzer_sys::fuzz_target;

const NOW: i64 = 1_700_000_000;

fuzz_target!(|text: &str| {
    if let Ok(claims) = serde_json::from_str::<Registered<'_>>(text) {
        let expected = Expected {
            issuer: Some("i"),
            audience: None,
            now: NOW,
            leeway: 5,
        };
        if expected.check(&claims).is_ok() {
            assert!(claims.aud.is_none() && claims.iss.as_deref() == Some("i"));
        }
    }
    if let Ok(claims) = serde_json::from_str::<Claims<'_>>(text) {
        let expected = Expectations {
            audience: Some("a"),
            leeway: 5,
            ..Expectations::default()
        };
        if expected.check(&claims, NOW).is_ok() {
            assert!(claims.exp.is_some_and(|exp| exp > NOW - 5));
            assert!(claims.nbf.is_none_or(|nbf| nbf <= NOW + 5));
            assert!(claims.aud.is_some_and(|aud| aud.contains("a")));
        }
    }
});
