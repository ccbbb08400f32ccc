//! What holds for every input: nothing panics, nothing altered verifies, and the JSON check agrees
//! with another reader about what is JSON.

use std::collections::HashSet;

use keyward_jose::json::{self, Error};
use keyward_jose::jws::{Compact, Envelope, Limits, peek, sign, verify};
use keyward_jose::{Algorithm, KeySet, SigningKey, SuppliedKey, VerifyingKey, base64url};
use proptest::collection::{hash_map, vec};
use proptest::prelude::*;
use proptest::sample::select;

use crate::own_keys::{own, set, token};
use crate::support::{CLAIMS, HEADER, WIDE, header, key, signed, tagged};

const PIECES: [&str; 34] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\"a\"",
    "\"b\"",
    "\"\\u0061\"",
    "\"a\":",
    "\"b\":",
    "0",
    "-",
    "1",
    "12",
    ".5",
    "e",
    "E+",
    "01",
    "true",
    "false",
    "null",
    "nul",
    " ",
    "\n",
    "\t",
    "\\",
    "\\n",
    "\\ud83d\\ude00",
    "\\u12",
    "é",
    "\u{1}",
    "{\"a\":[1,{}]}",
];

/// Text made of pieces of JSON: often almost JSON, sometimes JSON.
fn almost_json() -> impl Strategy<Value = String> {
    vec(select(&PIECES[..]), 0..12).prop_map(|pieces| pieces.concat())
}

/// JSON of any structure, with few names, so that some of it has duplicates.
fn some_json() -> impl Strategy<Value = String> {
    let leaf = select(vec![
        "1",
        "-0.5e-7",
        "\"a\"",
        "\"\\ud800\"",
        "\"\\\"\"",
        "null",
        "true",
        "",
    ]);
    leaf.prop_map(str::to_owned)
        .prop_recursive(6, 40, 6, |inner| {
            let member = (
                select(vec!["a", "\\u0061", "b", "\\ud83d\\ude00", "😀"]),
                inner.clone(),
            );
            prop_oneof![
                vec(inner, 0..5).prop_map(|items| format!("[ {} ]", items.join(" ,"))),
                vec(member, 0..5).prop_map(|members| {
                    let members: Vec<_> = members
                        .iter()
                        .map(|(name, value)| format!("\"{name}\": {value}"))
                        .collect();
                    format!("{{{}}}", members.join(",\n"))
                }),
            ]
        })
}

fn assert_agreement(text: &str) {
    let other = serde_json::from_str::<serde::de::IgnoredAny>(text);
    match json::check(text.as_bytes(), 100) {
        Ok(_) => assert!(other.is_ok(), "{text:?}"),
        Err(Error::Syntax { .. }) => assert!(other.is_err(), "{text:?}"),
        Err(Error::LoneSurrogate { .. }) => assert!(text.contains("\\u")),
        Err(Error::DuplicateMember { .. } | Error::TooDeep { .. }) => {}
        Err(Error::Utf8 { .. }) => panic!("a str is UTF-8"),
    }
}

proptest! {
    #[test]
    fn what_our_own_keys_sign_verifies_and_is_unchanged(
        algorithm in select(&Algorithm::ALL[..]),
        kid in "\\PC{1,60}",
        typ in proptest::option::of("\\PC{0,20}"),
        claims in hash_map(".{0,20}", ".{0,60}", 0..12),
    ) {
        let key = SigningKey::from_jwk(&own(algorithm).to_jwk().unwrap(), None).unwrap();
        let key = key.with_kid(&kid).unwrap();
        let claims = serde_json::to_string(&claims).unwrap();
        let token = key.sign(&key.header(typ.as_deref()), claims.as_bytes()).unwrap();
        let other = own(Algorithm::ES512).verifying_key().clone();
        let set = KeySet::new([key.verifying_key().clone(), other]).unwrap();
        let verified = set.verify_signature(&token, typ.as_deref(), &WIDE).unwrap();
        prop_assert_eq!(verified.json(), claims);
        let mut claimed = peek(&token, &WIDE, |header| {
            [&header.kid, &header.typ].map(|text| text.as_deref().map(str::to_owned))
        }).unwrap();
        prop_assert_eq!(claimed[1].take(), typ);
        prop_assert_eq!(claimed[0].take(), Some(kid));
    }

    #[test]
    fn no_single_change_of_a_token_goes_through(
        algorithm in select(&Algorithm::ALL[..]),
        at in any::<prop::sample::Index>(),
        byte in select(&b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."[..]),
    ) {
        let mut changed = token(own(algorithm), CLAIMS).into_bytes();
        let at = at.index(changed.len());
        prop_assume!(changed[at] != byte);
        changed[at] = byte;
        let changed = String::from_utf8(changed).unwrap();
        prop_assert!(set().verify_signature(&changed, None, &WIDE).is_err());
    }

    #[test]
    fn a_jwk_of_any_members_is_read_or_refused(members in vec((
        select(vec!["kty", "crv", "alg", "use", "key_ops", "kid", "x", "y", "n", "e", "d", "k", "x5c"]),
        select(vec![
            "\"EC\"", "\"RSA\"", "\"OKP\"", "\"oct\"", "\"P-256\"", "\"Ed25519\"", "\"ES256\"", "\"sig\"",
            "\"AQAB\"", "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"", "[\"verify\"]", "[]", "1", "null", "\"\"",
        ]),
    ), 0..9)) {
        let members: Vec<_> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        let jwk = format!("{{{}}}", members.join(","));
        for algorithm in [None, Some(Algorithm::RS256), Some(Algorithm::HS256)] {
            if let Ok(key) = VerifyingKey::from_jwk(&jwk, algorithm) {
                // What is read is written so that it is read as the same key.
                if let Some(public) = key.to_public_jwk() {
                    let again = VerifyingKey::from_jwk(&public, None).unwrap();
                    prop_assert_eq!(again.thumbprint(), key.thumbprint());
                }
            }
            let _ = SigningKey::from_jwk(&jwk, algorithm);
        }
        let _ = KeySet::from_jwks(&format!("{{\"keys\":[{jwk}]}}"), None);
    }

    #[test]
    fn what_is_signed_verifies_and_is_unchanged(claims in hash_map(".{0,20}", ".{0,60}", 0..12)) {
        let claims = serde_json::to_string(&claims).unwrap();
        let token = sign(&key(), &header(), claims.as_bytes());
        let verified = verify(&token, &key(), &header(), &WIDE).unwrap();
        prop_assert_eq!(verified.json(), &claims);
        let compact = Compact::parse(&token, &WIDE).unwrap();
        prop_assert_eq!(compact.payload_json(), claims);
        prop_assert_eq!(compact.header_json(), HEADER);
    }

    #[test]
    fn a_changed_character_is_refused(at in any::<prop::sample::Index>(), new in any::<char>()) {
        let token = signed(HEADER, CLAIMS);
        let at = at.index(token.len());
        prop_assume!(token.as_bytes()[at] != new as u8 || !new.is_ascii());
        let changed = format!("{}{new}{}", &token[..at], &token[at + 1..]);
        prop_assert!(verify(&changed, &key(), &header(), &WIDE).is_err());
    }

    #[test]
    fn an_inserted_or_removed_character_is_refused(
        at in any::<prop::sample::Index>(),
        new in any::<char>(),
    ) {
        let token = signed(HEADER, CLAIMS);
        let at = at.index(token.len());
        let inserted = format!("{}{new}{}", &token[..at], &token[at..]);
        prop_assert!(verify(&inserted, &key(), &header(), &WIDE).is_err());
        let removed = format!("{}{}", &token[..at], &token[at + 1..]);
        prop_assert!(verify(&removed, &key(), &header(), &WIDE).is_err());
    }

    #[test]
    fn arbitrary_text_never_panics(text in ".{0,300}", key_text in ".{0,100}") {
        let _ = Envelope::parse(&text, &Limits::default());
        let _ = verify(&text, &key(), &header(), &Limits::default());
        let _ = peek(&text, &Limits::default(), |_| ());
        let _ = SuppliedKey::parse(&key_text);
        let _ = SuppliedKey::parse(&format!("-----BEGIN {key_text}"));
        let _ = SuppliedKey::parse(&format!("{{\"kty\":{key_text}"));
    }

    #[test]
    fn arbitrary_segments_never_panic(
        head in almost_json(),
        payload in vec(any::<u8>(), 0..100),
        tag in vec(any::<u8>(), 0..100),
    ) {
        let input = format!("{}.{}", base64url::encode(head), base64url::encode(payload));
        let token = format!("{input}.{}", base64url::encode(tag));
        if let Ok(envelope) = Envelope::parse(&token, &WIDE) {
            let _ = (envelope.header(), envelope.header_json(), envelope.payload());
            prop_assert!(!SuppliedKey::parse("a secret").unwrap().verifies(&envelope));
        }
        prop_assert!(verify(&token, &key(), &header(), &WIDE).is_err());
        let _ = verify(&tagged(&key(), &input), &key(), &header(), &WIDE);
    }

    #[test]
    fn arbitrary_bytes_never_panic_the_check(bytes in vec(any::<u8>(), 0..200), depth in 0..5_usize) {
        let _ = json::check(&bytes, depth);
    }

    #[test]
    fn the_check_agrees_about_almost_json(text in almost_json()) {
        assert_agreement(&text);
    }

    #[test]
    fn the_check_agrees_about_json(text in some_json()) {
        assert_agreement(&text);
    }

    #[test]
    fn a_duplicate_is_found_exactly_where_there_is_one(names in vec("[abc]{0,3}", 0..40)) {
        let escaped = |name: &str, at: usize| -> String {
            let spell = |(place, letter): (usize, char)| match (place + at) % 2 {
                0 => letter.to_string(),
                _ => format!("\\u{:04X}", u32::from(letter)),
            };
            name.chars().enumerate().map(spell).collect()
        };
        let members = names.iter().enumerate();
        let members: Vec<_> =
            members.map(|(at, name)| format!("\"{}\":{at}", escaped(name, at))).collect();
        let text = format!("{{{}}}", members.join(","));
        let distinct: HashSet<_> = names.iter().collect();
        let result = json::check(text.as_bytes(), 4);
        if distinct.len() == names.len() {
            prop_assert!(result.is_ok());
        } else {
            let is_duplicate = matches!(result, Err(Error::DuplicateMember { .. }));
            prop_assert!(is_duplicate);
        }
    }

    #[test]
    fn base64url_has_one_spelling(bytes in vec(any::<u8>(), 0..200), text in "[A-Za-z0-9_-]{0,40}") {
        prop_assert_eq!(base64url::decode(base64url::encode(&bytes)), Ok(bytes));
        if let Ok(decoded) = base64url::decode(&text) {
            prop_assert_eq!(base64url::encode(decoded), text);
        }
    }
}
