//! Sets of keys: a token names one of our keys and chooses nothing else, and JSON Web Key Sets are read and written.

use keyward_jose::claims::{ClaimError, Expectations};
use keyward_jose::jws::{Error, Limits};
use keyward_jose::{Algorithm, HmacKey, KeyError, KeySet, SetError, VerifyingKey, base64url};
use serde_json::{Value, json};

use crate::own_keys::{own, set, token};
use crate::pairs::{PAIRS, pem};
use crate::support::{CLAIMS, tagged};

const NOW: i64 = 1_700_000_000;

fn refusal(set: &KeySet, token: &str) -> Option<Error> {
    set.verify_signature(token, None, &Limits::default()).err()
}

/// The set of the public key of the P-256 pair, named `ours`.
fn ours() -> KeySet {
    let key = VerifyingKey::from_spki_der(&PAIRS[1].spki(), None).unwrap();
    KeySet::new([key.with_kid("ours").unwrap()]).unwrap()
}

/// A token of the P-256 pair with any header.
fn with_header(header: &str) -> String {
    PAIRS[1].token_with(Algorithm::ES256, header).unwrap()
}

#[test]
fn the_header_names_one_of_our_keys() {
    let (one, several) = (ours(), {
        let keys = set()
            .iter()
            .chain(ours().iter())
            .cloned()
            .collect::<Vec<_>>();
        KeySet::new(keys).unwrap()
    });
    let named = with_header(r#"{"alg":"ES256","kid":"ours"}"#);
    let unnamed = with_header(r#"{"alg":"ES256"}"#);
    let unknown = with_header(r#"{"alg":"ES256","kid":"theirs"}"#);
    let other_case = with_header(r#"{"alg":"ES256","kid":"Ours"}"#);
    let wrong = with_header(r#"{"alg":"ES256","kid":"ES256"}"#);
    assert_eq!(refusal(&one, &named), None);
    assert_eq!(refusal(&several, &named), None);
    // One key needs no name; several do.
    assert_eq!(refusal(&one, &unnamed), None);
    assert_eq!(refusal(&several, &unnamed), Some(Error::NoKeyNamed));
    assert_eq!(
        refusal(&KeySet::default(), &unnamed),
        Some(Error::NoKeyNamed)
    );
    // A single key does not excuse a wrong name.
    for token in [&unknown, &other_case] {
        assert_eq!(refusal(&one, token), Some(Error::UnknownKey));
        assert_eq!(refusal(&several, token), Some(Error::UnknownKey));
    }
    assert_eq!(refusal(&several, &wrong), Some(Error::Signature));
    let mistyped = with_header(r#"{"alg":"ES256","kid":1}"#);
    assert_eq!(refusal(&one, &mistyped), Some(Error::HeaderParameter));
}

#[test]
fn a_set_that_has_verified_one_type_of_tokens_judges_others_alike() {
    let all = set();
    let key = own(Algorithm::ES256);
    let [access, other] = ["at+jwt", "JWT"].map(|typ| {
        let token = key.sign(&key.header(Some(typ)), CLAIMS.as_bytes());
        token.unwrap()
    });
    let verdict = |token: &str, typ: &str| {
        let verified = all.verify_signature(token, Some(typ), &Limits::default());
        verified.map(|_| ())
    };
    // The second time, the header is compared with those that are remembered.
    for _ in 0..2 {
        assert_eq!(verdict(&access, "at+jwt"), Ok(()));
        assert_eq!(verdict(&other, "JWT"), Ok(()));
        assert_eq!(verdict(&other, "jwt"), Ok(()));
        assert_eq!(verdict(&other, "at+jwt"), Err(Error::Type));
        assert_eq!(verdict(&access, "JWT"), Err(Error::Type));
        let (_, rest) = access.split_once('.').unwrap();
        // The header of another key that the set has.
        let foreign = token(own(Algorithm::EdDSA), CLAIMS);
        let mixed = format!("{}.{rest}", foreign.split_once('.').unwrap().0);
        assert_eq!(verdict(&mixed, "at+jwt"), Err(Error::Signature));
    }
}

#[test]
fn the_key_decides_the_algorithm() {
    for signer in Algorithm::ALL.map(own) {
        for claimed in Algorithm::ALL {
            // The header claims one algorithm, the kid names the key of another.
            let header = format!(r#"{{"alg":"{}","kid":"{}"}}"#, claimed.name(), signer.kid());
            let input = format!(
                "{}.{}",
                base64url::encode(header),
                base64url::encode(CLAIMS)
            );
            let good = token(signer, CLAIMS);
            let (_, signature) = good.rsplit_once('.').unwrap();
            let expected = match claimed == signer.algorithm() {
                // The signature is that of another header.
                true => Error::Signature,
                false => Error::Algorithm(signer.algorithm()),
            };
            assert_eq!(
                refusal(&set(), &format!("{input}.{signature}")),
                Some(expected)
            );
        }
    }
    for alg in ["none", "None", "es256", "ES256 ", "", "ES256K"] {
        let token = with_header(&format!(r#"{{"alg":"{alg}","kid":"ours"}}"#));
        let expected = Some(Error::Algorithm(Algorithm::ES256));
        assert_eq!(refusal(&ours(), &token), expected, "{alg}");
        let stripped = &token[..=token.rfind('.').unwrap()];
        assert_eq!(refusal(&ours(), stripped), expected, "{alg}");
    }
}

#[test]
fn a_public_key_is_no_secret_in_any_of_its_forms() {
    for pair in &*PAIRS {
        let all = Algorithm::ALL.into_iter();
        let able = all.filter(|algorithm| pair.token(*algorithm).is_some());
        for algorithm in able {
            let key = VerifyingKey::from_spki_der(&pair.spki(), Some(algorithm)).unwrap();
            let set = KeySet::new([key.clone()]).unwrap();
            let pem = pem("PUBLIC KEY", &pair.spki());
            for secret in [
                pair.spki(),
                pair.raw(),
                pem.trim_end().into(),
                pem.into(),
                pair.jwk("").into(),
                key.to_public_jwk().unwrap().into(),
            ] {
                for hmac in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
                    let kid = key.kid();
                    let header = format!(r#"{{"alg":"{}","kid":"{kid}"}}"#, hmac.name());
                    let input = format!(
                        "{}.{}",
                        base64url::encode(header),
                        base64url::encode(CLAIMS)
                    );
                    let forger = HmacKey::of_any_length(hmac, &secret).unwrap();
                    let forged = tagged(&forger, &input);
                    assert_eq!(refusal(&set, &forged), Some(Error::Algorithm(algorithm)));
                }
            }
        }
    }
}

#[test]
fn keys_and_urls_in_a_header_are_not_used() {
    let theirs = PAIRS[2].jwk("");
    let der = base64_simd::STANDARD.encode_to_string(PAIRS[2].spki());
    for parameter in [
        format!(r#""jwk":{theirs}"#),
        r#""jku":"https://attacker.example/jwks.json""#.to_owned(),
        r#""x5u":"https://attacker.example/chain.pem""#.to_owned(),
        format!(r#""x5c":["{der}"]"#),
    ] {
        // Signed with the key in the header, under our name, under its own and without a name.
        for kid in [r#""kid":"ours","#, r#""kid":"theirs","#, ""] {
            let header = format!(r#"{{"alg":"ES384",{kid}{parameter}}}"#);
            let token = PAIRS[2].token_with(Algorithm::ES384, &header).unwrap();
            assert!(refusal(&ours(), &token).is_some(), "{header}");
        }
        // Signed with our key, the parameter changes nothing.
        let token = with_header(&format!(r#"{{"alg":"ES256","kid":"ours",{parameter}}}"#));
        assert_eq!(refusal(&ours(), &token), None);
    }
}

#[test]
fn critical_extensions_are_refused() {
    for parameter in [
        r#""crit":["exp"],"exp":1"#,
        r#""crit":[]"#,
        r#""crit":null"#,
        r#""b64":true"#,
        r#""b64":false,"crit":["b64"]"#,
    ] {
        let token = with_header(&format!(r#"{{"alg":"ES256","kid":"ours",{parameter}}}"#));
        assert_eq!(
            refusal(&ours(), &token),
            Some(Error::HeaderParameter),
            "{parameter}"
        );
    }
}

#[test]
fn types_are_media_types() {
    let accepted = |typ: &str, expected: &str| {
        let header = json!({"alg": "ES256", "kid": "ours", "typ": typ}).to_string();
        let token = with_header(&header);
        match ours().verify_signature(&token, Some(expected), &Limits::default()) {
            Ok(_) => true,
            Err(error) => {
                assert_eq!(error, Error::Type);
                false
            }
        }
    };
    for typ in [
        "at+jwt",
        "AT+JWT",
        "application/at+jwt",
        "Application/At+Jwt",
    ] {
        assert!(
            accepted(typ, "at+jwt") && accepted(typ, "application/at+jwt"),
            "{typ}"
        );
    }
    for typ in [
        "",
        "JWT",
        "at+jwt ",
        "at+jw",
        "text/at+jwt",
        "application/",
        "application/x/at+jwt",
        "at+jwté",
    ] {
        assert!(
            !accepted(typ, "at+jwt") && !accepted(typ, "application/at+jwt"),
            "{typ}"
        );
    }
    let untyped = with_header(r#"{"alg":"ES256","kid":"ours"}"#);
    let verified = ours().verify_signature(&untyped, Some("at+jwt"), &Limits::default());
    assert_eq!(verified.unwrap_err(), Error::Type);
    assert_eq!(refusal(&ours(), &untyped), None);
}

/// What the set of all keys says of a token of ES256 with these claims. `Err(None)` is a claim of the wrong type.
fn verdict(claims: &Value) -> Result<(), Option<ClaimError>> {
    const EXPECTED: Expectations<'_> = Expectations {
        typ: Some("at+jwt"),
        issuer: Some("https://id.example"),
        audience: Some("api"),
        leeway: 5,
    };
    let token = token(own(Algorithm::ES256), &claims.to_string());
    match set().verify(&token, &EXPECTED, &Limits::default(), NOW) {
        Ok(_) => Ok(()),
        Err(Error::Claims(error)) => Err(Some(error)),
        Err(error) => {
            assert_eq!(error, Error::ClaimType);
            Err(None)
        }
    }
}

fn good_claims() -> Value {
    json!({"iss": "https://id.example", "aud": "api", "exp": NOW + 1, "iat": NOW})
}

#[test]
fn each_claim_is_checked() {
    assert_eq!(verdict(&good_claims()), Ok(()));
    for (name, value, expected) in [
        ("exp", json!(NOW - 4), Ok(())),
        ("exp", json!(NOW - 5), Err(Some(ClaimError::Expired))),
        ("nbf", json!(NOW + 5), Ok(())),
        ("nbf", json!(NOW + 6), Err(Some(ClaimError::NotYetValid))),
        ("iat", json!(NOW + 6), Err(Some(ClaimError::IssuedInFuture))),
        (
            "iss",
            json!("https://id.example/"),
            Err(Some(ClaimError::Issuer)),
        ),
        ("aud", json!(["other", "api"]), Ok(())),
        ("aud", json!(["api"]), Ok(())),
        ("aud", json!([]), Err(Some(ClaimError::Audience))),
        (
            "aud",
            json!(["other", "API"]),
            Err(Some(ClaimError::Audience)),
        ),
        ("aud", json!("apis"), Err(Some(ClaimError::Audience))),
        ("aud", json!({"api": 1}), Err(None)),
        ("aud", json!(["api", 1]), Err(None)),
        ("aud", json!(null), Err(None)),
        ("exp", json!("1"), Err(None)),
        ("exp", json!(null), Err(None)),
        ("exp", json!(1e20), Err(None)),
        ("iss", json!(["https://id.example"]), Err(None)),
        ("sub", json!(1), Err(None)),
    ] {
        let mut claims = good_claims();
        claims[name] = value.clone();
        assert_eq!(verdict(&claims), expected, "{name} {value}");
    }
}

#[test]
fn expected_claims_must_be_present_and_others_need_not() {
    for (name, expected) in [
        ("exp", Err(Some(ClaimError::NoExpiry))),
        ("iss", Err(Some(ClaimError::Issuer))),
        ("aud", Err(Some(ClaimError::Audience))),
        ("iat", Ok(())),
    ] {
        let mut claims = good_claims();
        claims.as_object_mut().unwrap().remove(name);
        assert_eq!(verdict(&claims), expected);
    }
    // Where nothing is expected, nothing but the times is checked.
    let claims = json!({"exp": NOW + 1, "aud": ["a"]}).to_string();
    let token = token(own(Algorithm::ES256), &claims);
    let at = |now| set().verify(&token, &Expectations::default(), &Limits::default(), now);
    assert!(at(NOW).is_ok());
    let late = at(NOW + 1).unwrap_err();
    assert_eq!(late, Error::Claims(ClaimError::Expired));
}

#[test]
fn a_payload_that_is_no_json_object_is_refused() {
    for payload in ["", "[]", "1", "{", r#"{"a":1,"a":2}"#] {
        let token = token(own(Algorithm::EdDSA), payload);
        assert!(refusal(&set(), &token).is_some(), "{payload}");
    }
}

#[test]
fn a_key_set_is_written_without_secrets_and_read_again() {
    let text = set().to_jwks();
    let (read, skipped) = KeySet::from_jwks(&text, None).unwrap();
    assert_eq!(skipped, []);
    let is_public = |key: &&VerifyingKey| !key.algorithm().is_hmac();
    let labels = |key: &VerifyingKey| (key.kid().to_owned(), key.algorithm());
    let written: Vec<_> = set().iter().filter(is_public).map(labels).collect();
    assert_eq!(read.iter().map(labels).collect::<Vec<_>>(), written);
    assert_eq!(written.len(), Algorithm::ALL.len() - 3);
    for key in Algorithm::ALL.map(own) {
        let is_known = !key.algorithm().is_hmac();
        assert_eq!(refusal(&read, &token(key, CLAIMS)).is_none(), is_known);
    }
    assert_eq!(KeySet::default().to_jwks(), r#"{"keys":[]}"#);
}

fn jwks(keys: &[&str]) -> String {
    format!(r#"{{"more":{{}},"keys":[{}]}}"#, keys.join(","))
}

#[test]
fn entries_that_cannot_verify_here_are_skipped() {
    let good = PAIRS[1].jwk(r#","kid":"good","use":"sig""#);
    let rsa = PAIRS[0].jwk(r#","kid":"rsa""#);
    let encrypting = PAIRS[2].jwk(r#","kid":"enc","use":"enc""#);
    let deriving = PAIRS[3].jwk(r#","key_ops":["deriveKey"]"#);
    let unknown = PAIRS[4].jwk(r#","kid":"alg","alg":"FOO""#);
    let text = jwks(&[
        &good,
        &rsa,
        &encrypting,
        &deriving,
        &unknown,
        r#"{"kty":"AKP","kid":"pq","alg":"ML-DSA-44","pub":"AA"}"#,
        r#"{"kty":"EC","kid":"curve","crv":"secp256k1","x":"AA","y":"AA"}"#,
        r#"{"kty":"EC","kid":"short","crv":"P-256","x":"AA","y":"AA"}"#,
        r#"{"kid":"no type"}"#,
    ]);
    let (set, skipped) = KeySet::from_jwks(&text, None).unwrap();
    assert_eq!(
        set.iter().map(VerifyingKey::kid).collect::<Vec<_>>(),
        ["good"]
    );
    let skipped = skipped.iter().map(|key| (key.kid.as_deref(), key.why));
    assert_eq!(
        skipped.collect::<Vec<_>>(),
        [
            (Some("rsa"), KeyError::NoAlgorithm),
            (Some("enc"), KeyError::OtherUse),
            (None, KeyError::OtherUse),
            (Some("alg"), KeyError::OtherUse),
            (Some("pq"), KeyError::OtherUse),
            (Some("curve"), KeyError::Unsupported),
            (Some("short"), KeyError::Malformed),
            (Some("no type"), KeyError::Malformed),
        ]
    );
    // An RSA key without `alg` has the algorithm that was chosen, and other keys are left out.
    let (set, skipped) = KeySet::from_jwks(&text, Some(Algorithm::PS384)).unwrap();
    assert_eq!(set.only().unwrap().algorithm(), Algorithm::PS384);
    assert_eq!(skipped.len(), 8);
}

#[test]
fn a_key_set_with_private_keys_is_refused() {
    for algorithm in Algorithm::ALL {
        let private = own(algorithm).to_jwk().unwrap();
        for text in [jwks(&[&private]), jwks(&[&PAIRS[1].jwk(""), &private])] {
            let refused = KeySet::from_jwks(&text, None);
            assert_eq!(refused.unwrap_err(), SetError::Private, "{algorithm:?}");
        }
    }
}

#[test]
fn two_keys_of_one_name_are_refused() {
    let [first, second] = [1, 2].map(|place| PAIRS[place].jwk(r#","kid":"a""#));
    let refused = KeySet::from_jwks(&jwks(&[&first, &second]), None);
    assert_eq!(refused.unwrap_err(), SetError::DuplicateKid("a".into()));
    let keys = [&first, &second].map(|jwk| VerifyingKey::from_jwk(jwk, None).unwrap());
    let refused = KeySet::new(keys);
    assert_eq!(refused.unwrap_err(), SetError::DuplicateKid("a".into()));
    // The same key twice without a name has one thumbprint.
    let key = PAIRS[1].jwk("");
    assert!(KeySet::from_jwks(&jwks(&[&key, &key]), None).is_err());
    // An encryption key of the same name is not used, and does no harm.
    let encrypting = PAIRS[2].jwk(r#","kid":"a","use":"enc""#);
    assert!(KeySet::from_jwks(&jwks(&[&first, &encrypting]), None).is_ok());
}

#[test]
fn a_key_set_is_bounded_and_strict() {
    let keys = |number| vec![r#"{"kty":"unknown"}"#; number];
    assert!(KeySet::from_jwks(&jwks(&keys(KeySet::MOST)), None).is_ok());
    let refused = KeySet::from_jwks(&jwks(&keys(KeySet::MOST + 1)), None);
    assert_eq!(refused.unwrap_err(), SetError::TooMany);
    let named = |n: usize| {
        let key = own(Algorithm::ES256).verifying_key().clone();
        key.with_kid(&n.to_string()).unwrap()
    };
    assert!(KeySet::new((0..KeySet::MOST).map(named)).is_ok());
    let refused = KeySet::new((0..=KeySet::MOST).map(named));
    assert_eq!(refused.unwrap_err(), SetError::TooMany);

    let padded = |length: usize| " ".repeat(length - jwks(&[]).len()) + &jwks(&[]);
    assert!(KeySet::from_jwks(&padded(KeySet::LONGEST), None).is_ok());
    let refused = KeySet::from_jwks(&padded(KeySet::LONGEST + 1), None);
    assert_eq!(refused.unwrap_err(), SetError::TooLong);
    for text in [
        "",
        "{}",
        "[]",
        r#"{"keys":{}}"#,
        r#"{"keys":[1]}"#,
        r#"{"keys":[[]]}"#,
        r#"{"keys":[],"keys":[]}"#,
        r#"{"keys":[{"kty":"EC","kty":"EC"}]}"#,
    ] {
        let refused = KeySet::from_jwks(text, None);
        assert_eq!(refused.unwrap_err(), SetError::Malformed, "{text}");
    }
}
