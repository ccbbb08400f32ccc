//! Any text as a JSON Web Key Set: nothing panics, names are unique, and a set that is read is written as the same set.

#![no_main]

use std::collections::HashSet;

use keyward_jose::{Algorithm, KeySet, VerifyingKey};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for algorithm in [None, Some(Algorithm::RS256)] {
        let Ok((set, skipped)) = KeySet::from_jwks(text, algorithm) else {
            continue;
        };
        assert!(set.iter().len() + skipped.len() <= KeySet::MOST);
        let names: HashSet<_> = set.iter().map(VerifyingKey::kid).collect();
        assert_eq!(names.len(), set.iter().len());
        assert!(set.iter().all(|key| !key.algorithm().is_hmac()));
        let written = set.to_jwks();
        let (again, skipped) = KeySet::from_jwks(&written, None).unwrap_or_default();
        assert!(skipped.is_empty());
        assert_eq!(again.to_jwks(), written);
    }
});
