//! Attacks on token verification, all of which the codec must refuse.

use keyward_jose::jws::{Compact, EncodedHeader, Envelope, Error, Limits, peek, sign, verify};
use keyward_jose::{Algorithm, HmacKey, SuppliedKey, base64url};

use crate::support::{CLAIMS, HEADER, SECRET, WIDE, file, header, key, signed, tagged, verifies};

fn refusal(token: &str) -> Option<Error> {
    verify(token, &key(), &header(), &Limits::default()).err()
}

/// Whether the text of [`SECRET`], as a supplied key, verifies the token.
fn supplied_verdict(token: &str) -> bool {
    verifies(
        &SuppliedKey::parse(std::str::from_utf8(SECRET).unwrap()).unwrap(),
        token,
    )
}

#[test]
fn the_token_under_attack_is_good() {
    let token = signed(HEADER, CLAIMS);
    assert_eq!(token, sign(&key(), &header(), CLAIMS.as_bytes()));
    assert_eq!(
        verify(&token, &key(), &header(), &Limits::default())
            .unwrap()
            .json(),
        CLAIMS
    );
    // A header with the same members in another spelling is accepted.
    let respelled = signed(r#"{ "alg":"HS256", "typ":"at\u002bjwt" }"#, CLAIMS);
    assert_eq!(refusal(&respelled), None);
    assert!(supplied_verdict(&token) && supplied_verdict(&respelled));
}

#[test]
fn alg_none_in_any_spelling_is_refused() {
    for alg in [
        "\"none\"",
        "\"None\"",
        "\"NONE\"",
        "\"nOnE\"",
        "\"none \"",
        "\"\"",
        "null",
        "[]",
    ] {
        let head = format!(r#"{{"typ":"at+jwt","alg":{alg}}}"#);
        let token = signed(&head, CLAIMS);
        let stripped = &token[..=token.rfind('.').unwrap()];
        for token in [&*token, stripped] {
            assert!(
                refusal(token).is_some() && !supplied_verdict(token),
                "{alg}"
            );
            assert!(Compact::parse(token, &WIDE).is_ok(), "{alg} is well-formed");
        }
    }
    let without = signed(r#"{"typ":"at+jwt"}"#, CLAIMS);
    assert_eq!(refusal(&without), Some(Error::Algorithm(Algorithm::HS256)));
    assert!(!supplied_verdict(&without));
}

#[test]
fn a_stripped_or_cut_signature_is_refused() {
    let token = signed(HEADER, CLAIMS);
    let at = token.rfind('.').unwrap();
    assert_eq!(refusal(&token[..=at]), Some(Error::Signature));
    assert_eq!(refusal(&token[..at]), Some(Error::Segments));
    for cut in at + 1..token.len() {
        assert!(refusal(&token[..cut]).is_some() && !supplied_verdict(&token[..cut]));
    }
}

#[test]
fn alg_is_compared_byte_for_byte_and_never_chooses_the_key() {
    for alg in [
        "hs256", "HS256 ", "HS384", "HS512", "RS256", "ES256", "EdDSA", "HS1",
    ] {
        let token = signed(&format!(r#"{{"typ":"at+jwt","alg":"{alg}"}}"#), CLAIMS);
        assert_eq!(
            refusal(&token),
            Some(Error::Algorithm(Algorithm::HS256)),
            "{alg}"
        );
        assert!(!supplied_verdict(&token), "{alg}");
    }
}

#[test]
fn an_expected_header_of_another_algorithm_does_not_skip_the_check() {
    let expected = EncodedHeader::new(r#"{"alg":"HS512"}"#).unwrap();
    let token = signed(r#"{"alg":"HS512"}"#, CLAIMS);
    let refused = verify(&token, &key(), &expected, &Limits::default()).unwrap_err();
    assert_eq!(refused, Error::Algorithm(Algorithm::HS256));
}

#[test]
fn the_debug_form_of_a_verified_token_has_none_of_its_claims() {
    let token = signed(HEADER, CLAIMS);
    let verified = verify(&token, &key(), &header(), &Limits::default()).unwrap();
    assert_eq!(format!("{verified:?}"), "Verified { .. }");
}

#[test]
fn a_kid_is_only_ever_a_text() {
    for kid in [
        "../../etc/passwd",
        "' OR 1=1 --",
        "$(id)",
        "a\\u0000b",
        "a\\r\\nb",
        "",
    ] {
        let token = signed(
            &format!(r#"{{"typ":"at+jwt","alg":"HS256","kid":"{kid}"}}"#),
            CLAIMS,
        );
        assert_eq!(refusal(&token), None, "{kid}");
        let seen = peek(&token, &WIDE, |header| header.kid.is_some());
        assert_eq!(seen, Ok(true));
    }
    for kid in ["1", "null", "{}", "[\"k1\"]", "true"] {
        let token = signed(
            &format!(r#"{{"typ":"at+jwt","alg":"HS256","kid":{kid}}}"#),
            CLAIMS,
        );
        assert_eq!(refusal(&token), Some(Error::HeaderParameter), "{kid}");
        assert!(!supplied_verdict(&token), "{kid}");
    }
    let long = format!(
        r#"{{"typ":"at+jwt","alg":"HS256","kid":"{}"}}"#,
        "k".repeat(100_000)
    );
    assert_eq!(
        refusal(&signed(&long, CLAIMS)),
        Some(Error::TooLong { limit: 8192 })
    );
}

#[test]
fn keys_and_addresses_in_the_header_are_not_used() {
    let foreign = HmacKey::new(Algorithm::HS256, b"the attacker's own key, embedded").unwrap();
    let k = base64url::encode("the attacker's own key, embedded");
    for member in [
        format!(r#""jwk":{{"kty":"oct","k":"{k}"}}"#),
        r#""jku":"https://attacker.test/jwks.json""#.to_owned(),
        r#""x5u":"https://attacker.test/x.pem""#.to_owned(),
        r#""x5c":["AAAA"]"#.to_owned(),
    ] {
        let head = format!(r#"{{"typ":"at+jwt","alg":"HS256",{member}}}"#);
        let input = format!("{}.{}", base64url::encode(head), base64url::encode(CLAIMS));
        let token = tagged(&foreign, &input);
        assert_eq!(refusal(&token), Some(Error::Signature), "{member}");
        assert!(!supplied_verdict(&token), "{member}");
    }
}

#[test]
fn crit_and_b64_are_refused_whatever_they_say() {
    for member in [
        r#""crit":["exp"],"exp":1"#,
        r#""crit":["unknown"]"#,
        r#""crit":["alg"]"#,
        r#""crit":["b64"],"b64":true"#,
        r#""crit":[]"#,
        r#""crit":["b64","b64"],"b64":false"#,
        r#""crit":"exp""#,
        r#""crit":null"#,
        r#""b64":false"#,
        r#""b64":true"#,
        r#""\u0062\u0036\u0034":false"#,
    ] {
        let token = signed(
            &format!(r#"{{"typ":"at+jwt","alg":"HS256",{member}}}"#),
            CLAIMS,
        );
        assert_eq!(refusal(&token), Some(Error::HeaderParameter), "{member}");
        assert!(!supplied_verdict(&token), "{member}");
        assert!(
            Compact::parse(&token, &WIDE).unwrap().header().critical,
            "{member}"
        );
    }
}

#[test]
fn duplicate_members_are_refused_also_through_escapes() {
    for head in [
        r#"{"typ":"at+jwt","alg":"HS256","alg":"HS256"}"#,
        r#"{"typ":"at+jwt","alg":"none","\u0061lg":"HS256"}"#,
        r#"{"typ":"at+jwt","alg":"HS256","x":{"a":1,"a":1}}"#,
    ] {
        let token = signed(head, CLAIMS);
        assert!(
            matches!(refusal(&token), Some(Error::HeaderJson(_))),
            "{head}"
        );
        assert!(
            matches!(Compact::parse(&token, &WIDE), Err(Error::HeaderJson(_))),
            "{head}"
        );
    }
    for claims in [
        r#"{"sub":"1","sub":"2"}"#,
        r#"{"sub":"1","s\u0075b":"2"}"#,
        r#"{"a":[{"b":1,"b":1}]}"#,
    ] {
        let token = signed(HEADER, claims);
        assert!(
            matches!(refusal(&token), Some(Error::PayloadJson(_))),
            "{claims}"
        );
        assert!(
            matches!(Compact::parse(&token, &WIDE), Err(Error::PayloadJson(_))),
            "{claims}"
        );
    }
}

#[test]
fn a_token_has_one_spelling() {
    // One byte of payload over a multiple of three, so that the segment has spare bits.
    let token = signed(HEADER, r#"{"a":1 }"#);
    assert_eq!(refusal(&token), None);
    let parts: Vec<_> = token.split('.').collect();
    for place in 0..3 {
        let part = parts[place];
        let (start, last) = part.split_at(part.len() - 1);
        let next = char::from(last.as_bytes()[0] + 1);
        for respelled in [
            format!("{part}="),
            format!("{part}=="),
            format!("{part}\n"),
            format!(" {part}"),
            format!("{start}\u{200b}{last}"),
            format!("{start}Ａ"),
            format!("{start}+"),
            format!("{start}/"),
            format!("{start}%41"),
            format!("{start}{next}"),
        ] {
            let mut parts = parts.clone();
            parts[place] = &respelled;
            let token = parts.join(".");
            assert!(
                refusal(&token).is_some() && !supplied_verdict(&token),
                "{token}"
            );
        }
        // Trailing bits are refused even where the tag covers them.
        let mut respelled = parts.clone();
        let changed = format!("{start}{next}");
        respelled[place] = &changed;
        let token = tagged(&key(), &respelled[..2].join("."));
        let has_spare_bits = !part.len().is_multiple_of(4);
        if place < 2 && has_spare_bits {
            assert!(matches!(refusal(&token), Some(Error::Base64(_))), "{token}");
        }
    }
}

#[test]
fn other_serializations_are_refused() {
    let token = signed(HEADER, CLAIMS);
    let parts: Vec<_> = token.split('.').collect();
    let json = format!(
        r#"{{"protected":"{}","payload":"{}","signature":"{}"}}"#,
        parts[0], parts[1], parts[2]
    );
    for token in [
        "",
        ".",
        "..",
        "...",
        parts[0],
        &format!("{token}."),
        &format!(".{token}"),
        &format!("{token}.{}", parts[2]),
        &format!("{token}.AAAA.AAAA"),
        &format!("{}..{}", parts[0], parts[2]),
        &format!(".{}.{}", parts[1], parts[2]),
        &json,
    ] {
        assert!(
            refusal(token).is_some() && !supplied_verdict(token),
            "{token}"
        );
        assert!(Compact::parse(token, &WIDE).is_err(), "{token}");
    }
}

#[test]
fn an_oversized_token_is_refused_before_anything_else() {
    let limits = Limits::default();
    let too_long = Some(Error::TooLong { limit: 8192 });
    for token in [".".repeat(10_000), "A".repeat(64 << 20), "é".repeat(5_000)] {
        assert_eq!(refusal(&token), too_long);
        assert_eq!(Envelope::parse(&token, &limits).err(), too_long);
        assert_eq!(peek(&token, &limits, |_| ()).err(), too_long);
    }
    let filler = |length| format!(r#"{{"a":"{}"}}"#, "a".repeat(length));
    let longest = (6_000..).map(|length| signed(HEADER, &filler(length)));
    let longest: Vec<_> = longest.take_while(|token| token.len() <= 8192).collect();
    assert_eq!(refusal(longest.last().unwrap()), None);
    assert_eq!(refusal(&".".repeat(8_192)), Some(Error::Segments));
}

#[test]
fn deep_nesting_is_refused_before_the_signature_and_without_recursion() {
    let limits = Limits {
        token: 1 << 24,
        depth: 16,
    };
    let deep = format!(
        r#"{{"alg":"HS256","x":{}{}}}"#,
        "[".repeat(1_000_000),
        "]".repeat(1_000_000)
    );
    let token = format!("{}.e30.AAAA", base64url::encode(deep));
    let refused = verify(&token, &key(), &header(), &limits).unwrap_err();
    let offset = r#"{"alg":"HS256","x":"#.len() + 15;
    assert_eq!(
        refused,
        Error::HeaderJson(keyward_jose::json::Error::TooDeep { offset })
    );
}

#[test]
fn another_typ_is_refused_exactly() {
    for typ in [
        "\"JWT\"",
        "\"AT+JWT\"",
        "\"at+jwt \"",
        "\"application/at+jwt\"",
        "\"rt+jwt\"",
    ] {
        let token = signed(&format!(r#"{{"typ":{typ},"alg":"HS256"}}"#), CLAIMS);
        assert_eq!(refusal(&token), Some(Error::Type), "{typ}");
    }
    assert_eq!(
        refusal(&signed(r#"{"alg":"HS256"}"#, CLAIMS)),
        Some(Error::Type)
    );
    for typ in ["null", "1", "[\"at+jwt\"]", "{}"] {
        let token = signed(&format!(r#"{{"typ":{typ},"alg":"HS256"}}"#), CLAIMS);
        assert_eq!(refusal(&token), Some(Error::HeaderParameter), "{typ}");
    }
}

#[test]
fn a_payload_that_is_no_object_is_refused_though_signed() {
    for payload in [
        "",
        "[]",
        "1",
        "null",
        "\"a\"",
        "{",
        "{}{}",
        "\u{feff}{}",
        "{\"a\":\"\\ud800\"}",
    ] {
        let token = signed(HEADER, payload);
        assert!(refusal(&token).is_some(), "{payload}");
        assert!(Compact::parse(&token, &WIDE).is_err(), "{payload}");
        assert!(
            supplied_verdict(&token),
            "{payload}: an envelope may hold anything"
        );
    }
}

#[test]
fn the_payload_is_not_looked_at_before_the_signature() {
    let good = signed(HEADER, CLAIMS);
    let tag = &good[good.rfind('.').unwrap()..];
    let head = base64url::encode(HEADER);
    for payload in ["", "!!!", "AB", &base64url::encode("{")] {
        assert_eq!(
            refusal(&format!("{head}.{payload}{tag}")),
            Some(Error::Signature)
        );
    }
}

#[test]
fn signatures_on_p_256_have_one_form() {
    let key = SuppliedKey::parse(&file("ec.pem")).unwrap();
    let token = file("ES256.token");
    let (input, signature) = token.trim_end().rsplit_once('.').unwrap();
    let good = base64url::decode(signature).unwrap();
    let with =
        |signature: &[u8]| verifies(&key, &format!("{input}.{}", base64url::encode(signature)));
    assert!(with(&good));
    assert!(!with(&[0; 64]));
    assert!(!with(&[&[0; 32], &good[32..]].concat()));
    assert!(!with(&[&good[..32], &[0; 32]].concat()));
    assert!(!with(&[&good[..], &[0]].concat()));
    assert!(!with(&[&[0], &good[..]].concat()));
    assert!(!with(&good[..63]));
    // The same numbers as DER: a sequence of two integers.
    let integer = |number: &[u8]| [&[2, 33, 0], number].concat();
    let der = [
        &[0x30, 70][..],
        &integer(&good[..32]),
        &integer(&good[32..]),
    ]
    .concat();
    assert!(!with(&der));
}

#[test]
fn signatures_on_ed25519_have_one_form() {
    /// The order of the group, little-endian (RFC 8032 §5.1).
    const ORDER: [u8; 32] = {
        let mut order = [0; 32];
        let low = 27_742_317_777_372_353_535_851_937_790_883_648_493_u128.to_le_bytes();
        let mut at = 0;
        while at < 16 {
            order[at] = low[at];
            at += 1;
        }
        order[31] = 0x10;
        order
    };
    let key = SuppliedKey::parse(&file("ed.pem")).unwrap();
    let token = file("EdDSA.token");
    let (input, signature) = token.trim_end().rsplit_once('.').unwrap();
    let mut signature = base64url::decode(signature).unwrap();
    let with =
        |signature: &[u8]| verifies(&key, &format!("{input}.{}", base64url::encode(signature)));
    assert!(with(&signature));
    // S + L signs the same in a verifier that does not check the range of S.
    let mut carry = 0;
    for (digit, order) in signature[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*digit) + u16::from(order) + carry;
        *digit = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
    assert!(!with(&signature));
    // R is the neutral element, S is zero.
    let mut small = [0; 64];
    small[0] = 1;
    assert!(!with(&small));
    assert!(!with(&[]));
}

#[test]
fn errors_tell_nothing_of_the_token() {
    let token = signed(
        r#"{"typ":"hidden","alg":"HS256"}"#,
        r#"{"sub":"hidden","sub":1}"#,
    );
    let errors = [
        refusal(&token).unwrap(),
        Compact::parse(&token, &WIDE).unwrap_err(),
    ];
    for error in errors {
        assert!(!format!("{error} {error:?}").contains("hidden"));
    }
    let envelope = Envelope::parse(&token, &WIDE).unwrap();
    assert!(!format!("{envelope:?}").contains("hidden"));
}
