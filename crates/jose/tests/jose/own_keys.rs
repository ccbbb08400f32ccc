//! Our own keys: each signs and verifies under one algorithm, is written and read without loss, and is refused where it
//! is weak or not what it should be.

use std::sync::LazyLock;

use keyward_jose::jws::{EncodedHeader, Limits, peek};
use keyward_jose::{
    Algorithm, KeyError, KeySet, RsaSize, SignError, SigningKey, VerifyingKey, base64url,
};
use serde_json::Value;

use crate::pairs::{PAIRS, Pair, pem};
use crate::support::{CLAIMS, file, list, shared, text};

/// One key for each algorithm, named by it.
static KEYS: LazyLock<Vec<SigningKey>> = LazyLock::new(|| {
    let key = |algorithm: Algorithm| {
        let key = SigningKey::generate(algorithm).unwrap();
        key.with_kid(algorithm.name()).unwrap()
    };
    Algorithm::ALL.map(key).into()
});

/// The key of an algorithm.
pub(crate) fn own(algorithm: Algorithm) -> &'static SigningKey {
    let mut keys = KEYS.iter();
    keys.find(|key| key.algorithm() == algorithm).unwrap()
}

/// The keys of all algorithms.
pub(crate) fn set() -> KeySet {
    KeySet::new(KEYS.iter().map(|key| key.verifying_key().clone())).unwrap()
}

/// A token of a key.
pub(crate) fn token(key: &SigningKey, claims: &str) -> String {
    let header = key.header(Some("at+jwt"));
    key.sign(&header, claims.as_bytes()).unwrap()
}

fn verifies(key: &VerifyingKey, token: &str) -> bool {
    let set = KeySet::new([key.clone()]).unwrap();
    set.verify_signature(token, None, &Limits::default())
        .is_ok()
}

#[test]
fn each_algorithm_signs_what_its_own_key_alone_verifies() {
    for signer in &*KEYS {
        let token = token(signer, CLAIMS);
        let verified = set().verify_signature(&token, Some("at+jwt"), &Limits::default());
        assert_eq!(verified.unwrap().json(), CLAIMS);
        for key in &*KEYS {
            // Under the signer's name, so that nothing but the key decides.
            let named = key.verifying_key().clone().with_kid(signer.kid()).unwrap();
            let is_own = std::ptr::eq(key, signer);
            assert_eq!(verifies(&named, &token), is_own, "{key:?} {signer:?}");
        }
    }
}

#[test]
fn a_header_names_algorithm_type_and_key() {
    for key in &*KEYS {
        let token = token(key, CLAIMS);
        let name = key.algorithm().name();
        peek(&token, &Limits::default(), |header| {
            assert_eq!(header.alg.as_deref(), Some(name));
            assert_eq!(header.typ.as_deref(), Some("at+jwt"));
            assert_eq!(header.kid.as_deref(), Some(name));
        })
        .unwrap();
    }
    let quoted = SigningKey::generate(Algorithm::ES256)
        .unwrap()
        .with_kid("a \"key\" \\ é\n")
        .unwrap();
    let header = quoted.header(None);
    assert_eq!(header.kid(), Some(quoted.kid()));
    let token = quoted.sign(&header, CLAIMS.as_bytes()).unwrap();
    assert!(verifies(quoted.verifying_key(), &token));
}

#[test]
fn a_header_of_another_key_or_algorithm_is_not_signed() {
    let key = own(Algorithm::ES256);
    let foreign = own(Algorithm::ES384).header(None);
    let other_name = own(Algorithm::ES256).header(None);
    let renamed = SigningKey::generate(Algorithm::ES256).unwrap();
    let other_algorithm = EncodedHeader::new(r#"{"alg":"ES384","kid":"ES256"}"#).unwrap();
    for (key, header) in [
        (key, &foreign),
        (&renamed, &other_name),
        (key, &other_algorithm),
    ] {
        assert_eq!(key.sign(header, b"{}"), Err(SignError::Header));
    }
    let unnamed = EncodedHeader::new(r#"{"alg":"ES256"}"#).unwrap();
    let token = key.sign(&unnamed, b"{}").unwrap();
    assert!(verifies(key.verifying_key(), &token));
}

#[test]
fn a_key_survives_being_stored_and_written_as_a_jwk() {
    for key in &*KEYS {
        let algorithm = key.algorithm();
        let bytes = key.private_bytes().unwrap();
        let stored = SigningKey::from_private_bytes(algorithm, &bytes).unwrap();
        assert_eq!(stored.private_bytes().unwrap(), bytes);
        let jwk = key.to_jwk().unwrap();
        let of_jwk = SigningKey::from_jwk(&jwk, None).unwrap();
        assert_eq!(of_jwk.to_jwk().unwrap(), jwk);
        assert_eq!(of_jwk.kid(), key.kid());
        for copy in [stored, of_jwk] {
            let thumbprint = key.verifying_key().thumbprint();
            assert_eq!(copy.verifying_key().thumbprint(), thumbprint);
            let copy = copy.with_kid(key.kid()).unwrap();
            assert!(verifies(key.verifying_key(), &token(&copy, CLAIMS)));
            assert!(verifies(copy.verifying_key(), &token(key, CLAIMS)));
        }
    }
}

#[test]
fn a_key_without_a_name_is_named_by_its_thumbprint() {
    let key = SigningKey::generate(Algorithm::EdDSA).unwrap();
    assert_eq!(key.kid(), key.verifying_key().thumbprint());
    let mut jwk: Value = serde_json::from_str(&key.to_jwk().unwrap()).unwrap();
    jwk.as_object_mut().unwrap().remove("kid");
    let read = SigningKey::from_jwk(&jwk.to_string(), None).unwrap();
    assert_eq!(read.kid(), key.kid());
}

#[test]
fn a_public_jwk_has_the_public_numbers_and_labels_and_nothing_else() {
    for key in &*KEYS {
        let public = key.verifying_key().to_public_jwk();
        if key.algorithm().is_hmac() {
            assert_eq!(public, None);
            continue;
        }
        let public = public.unwrap();
        let jwk: Value = serde_json::from_str(&public).unwrap();
        let mut names: Vec<_> = jwk
            .as_object()
            .unwrap()
            .keys()
            .map(|name| &**name)
            .collect();
        names.sort_unstable();
        let expected: &[&str] = match text(&jwk, "kty") {
            "RSA" => &["alg", "e", "kid", "kty", "n", "use"],
            "EC" => &["alg", "crv", "kid", "kty", "use", "x", "y"],
            _ => &["alg", "crv", "kid", "kty", "use", "x"],
        };
        assert_eq!(names, expected);
        assert_eq!(text(&jwk, "use"), "sig");
        assert_eq!(text(&jwk, "alg"), key.algorithm().name());
        let read = VerifyingKey::from_jwk(&public, None).unwrap();
        assert_eq!(read.kid(), key.kid());
        assert!(verifies(&read, &token(key, CLAIMS)));
    }
}

#[test]
fn public_keys_are_read_from_der_and_pem_and_verify_the_chosen_algorithm_alone() {
    for pair in &*PAIRS {
        let able = || {
            let all = Algorithm::ALL.into_iter();
            all.filter(|algorithm| pair.token(*algorithm).is_some())
        };
        let (der, pem) = (pair.spki(), pem("PUBLIC KEY", &pair.spki()));
        for bound in able() {
            let keys = [
                VerifyingKey::from_spki_der(&der, Some(bound)).unwrap(),
                VerifyingKey::from_pem(&pem, Some(bound)).unwrap(),
                VerifyingKey::from_jwk(&pair.jwk(""), Some(bound)).unwrap(),
            ];
            for key in keys {
                for algorithm in able() {
                    let token = pair.token(algorithm).unwrap();
                    assert_eq!(verifies(&key, &token), algorithm == bound, "{key:?}");
                }
            }
        }
        let unbound = VerifyingKey::from_spki_der(&der, None);
        match pair {
            Pair::Rsa(_) => assert_eq!(unbound.unwrap_err(), KeyError::NoAlgorithm),
            Pair::Curve(_, own) => assert_eq!(unbound.unwrap().algorithm(), *own),
            Pair::Edwards(_) => assert_eq!(unbound.unwrap().algorithm(), Algorithm::EdDSA),
        }
        for other in Algorithm::ALL {
            if pair.token(other).is_none() {
                let refused = VerifyingKey::from_spki_der(&der, Some(other));
                assert_eq!(refused.unwrap_err(), KeyError::OtherUse, "{other:?}");
            }
        }
    }
}

#[test]
fn private_keys_are_read_from_pem_under_the_algorithms_of_their_type() {
    for key in &*KEYS {
        let algorithm = key.algorithm();
        if algorithm.is_hmac() {
            continue;
        }
        let private = pem("PRIVATE KEY", &key.private_bytes().unwrap());
        let text =
            format!("-----BEGIN EC PARAMETERS-----\nAA==\n-----END EC PARAMETERS-----\n{private}");
        let read = SigningKey::from_pem(&text, Some(algorithm)).unwrap();
        assert_eq!(read.kid(), key.verifying_key().thumbprint());
        assert_eq!(
            VerifyingKey::from_pem(&private, None).unwrap_err(),
            KeyError::Private
        );
        for other in Algorithm::ALL {
            let family = |algorithm: Algorithm| match algorithm {
                Algorithm::EdDSA | Algorithm::Ed25519 => "Ed",
                other if other.name().starts_with("ES") => other.name(),
                other if other.is_hmac() => "HS",
                _ => "RSA",
            };
            let read = SigningKey::from_pem(&private, Some(other));
            assert_eq!(
                read.is_ok(),
                family(algorithm) == family(other),
                "{other:?}"
            );
        }
        let unbound = SigningKey::from_pem(&private, None);
        match key.to_jwk().unwrap().contains("\"RSA\"") {
            true => assert_eq!(unbound.unwrap_err(), KeyError::NoAlgorithm),
            false => assert!(unbound.is_ok()),
        }
        let encrypted = pem("ENCRYPTED PRIVATE KEY", b"anything");
        let refused = SigningKey::from_pem(&encrypted, Some(algorithm));
        assert_eq!(refused.unwrap_err(), KeyError::Unsupported);
    }
    let public = pem("PUBLIC KEY", &PAIRS[1].spki());
    let refused = SigningKey::from_pem(&public, None);
    assert_eq!(refused.unwrap_err(), KeyError::NotPrivate);
}

#[test]
fn a_larger_rsa_key_is_made_on_request() {
    let key = SigningKey::generate_sized(Algorithm::PS256, RsaSize::Bits3072).unwrap();
    let jwk: Value = serde_json::from_str(&key.verifying_key().to_public_jwk().unwrap()).unwrap();
    assert_eq!(base64url::decode(text(&jwk, "n")).unwrap().len(), 3072 / 8);
}

#[test]
fn the_numbers_of_a_private_jwk_must_belong_together() {
    let fresh = |algorithm| SigningKey::generate(algorithm).unwrap().to_jwk().unwrap();
    for (algorithm, private) in [
        (Algorithm::ES256, &["d"][..]),
        (Algorithm::ES512, &["d"]),
        (Algorithm::EdDSA, &["d"]),
        (Algorithm::RS256, &["d", "p", "q", "dp", "dq", "qi"]),
    ] {
        let [jwk, other] = [fresh(algorithm), fresh(algorithm)].map(|jwk| {
            let jwk: Value = serde_json::from_str(&jwk).unwrap();
            jwk
        });
        for name in private {
            let mut mixed = jwk.clone();
            mixed[name] = other[name].clone();
            let refused = SigningKey::from_jwk(&mixed.to_string(), None);
            assert_eq!(refused.unwrap_err(), KeyError::Malformed, "{name}");
        }
        let mut public = jwk.clone();
        public
            .as_object_mut()
            .unwrap()
            .retain(|name, _| !private.contains(&&**name));
        let refused = SigningKey::from_jwk(&public.to_string(), None);
        assert_eq!(refused.unwrap_err(), KeyError::NotPrivate);
        // A number with a leading zero, which is not the curve's length.
        let mut long = jwk;
        let mut d = base64url::decode(text(&long, "d")).unwrap();
        d.insert(0, 0);
        long["d"] = base64url::encode(d).into();
        let read = SigningKey::from_jwk(&long.to_string(), None);
        assert_eq!(read.is_ok(), algorithm == Algorithm::RS256, "{algorithm:?}");
    }
}

#[test]
fn weak_keys_are_refused_when_they_are_loaded() {
    for (algorithm, least) in [
        (Algorithm::HS256, 32),
        (Algorithm::HS384, 48),
        (Algorithm::HS512, 64),
    ] {
        let jwk = |length| {
            let k = base64url::encode(vec![7; length]);
            format!(r#"{{"kty":"oct","k":"{k}","alg":"{}"}}"#, algorithm.name())
        };
        assert!(SigningKey::from_jwk(&jwk(least), None).is_ok());
        for short in [0, 1, least - 1] {
            let refused = SigningKey::from_jwk(&jwk(short), None).unwrap_err();
            assert_eq!(refused, KeyError::WeakSecret);
            let refused = VerifyingKey::from_jwk(&jwk(short), None).unwrap_err();
            assert_eq!(refused, KeyError::WeakSecret);
        }
    }
    let weak = VerifyingKey::from_pem(&file("weak.pem"), Some(Algorithm::RS256));
    assert_eq!(weak.unwrap_err(), KeyError::WeakRsa);
    // The neutral point, the point of order two, and one that is not canonical, each with either sign.
    for (first, rest, last) in [(1, 0, 0), (0xEC, 0xFF, 0x7F), (0xEE, 0xFF, 0x7F)] {
        for sign in [0, 0x80] {
            let mut point = [rest; 32];
            (point[0], point[31]) = (first, last | sign);
            let x = base64url::encode(point);
            let jwk = format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}"}}"#);
            let refused = VerifyingKey::from_jwk(&jwk, None).unwrap_err();
            assert_eq!(refused, KeyError::WeakPoint);
        }
    }
}

#[test]
fn a_weak_private_rsa_key_is_called_weak() {
    let Some(file) = shared("vectors/wycheproof/json_web_key_test.json") else {
        return;
    };
    let mut ran = 0;
    for group in list(&file, "testGroups") {
        let comment = text(group, "comment");
        if ["keysize_too_small", "exponentOne", "jws_rsa_roca_key"].contains(&comment) {
            let [private, public] =
                ["private", "public"].map(|half| group[half]["keys"][0].to_string());
            let refused = SigningKey::from_jwk(&private, None).unwrap_err();
            assert_eq!(refused, KeyError::WeakRsa, "{comment}");
            let refused = VerifyingKey::from_jwk(&public, None).unwrap_err();
            assert_eq!(refused, KeyError::WeakRsa, "{comment}");
            ran += 1;
        }
    }
    assert_eq!(ran, 3);
}

#[test]
fn the_operations_of_a_jwk_are_heeded() {
    let jwk = own(Algorithm::ES256).to_jwk().unwrap();
    for (operations, signs) in [
        (r#"["sign"]"#, true),
        (r#"["verify","sign"]"#, true),
        (r#"["verify"]"#, false),
        (r#"["sign","other"]"#, false),
        ("[]", false),
        ("\"sign\"", false),
    ] {
        let jwk = jwk.replacen('{', &format!(r#"{{"key_ops":{operations},"#), 1);
        let read = SigningKey::from_jwk(&jwk, None);
        assert_eq!(read.is_ok(), signs, "{operations}");
    }
    let public = PAIRS[1].jwk(r#","key_ops":["sign"]"#);
    let refused = VerifyingKey::from_jwk(&public, None).unwrap_err();
    assert_eq!(refused, KeyError::OtherUse);
}

#[test]
fn a_text_is_a_key_or_a_secret_and_no_key_is_a_secret() {
    let hs256 = Some(Algorithm::HS256);
    let secret = "a secret of at least thirty-two characters";
    let of_text = SigningKey::from_text(secret, hs256).unwrap();
    assert_eq!(&**of_text.private_bytes().unwrap(), secret.as_bytes());
    let verifying = VerifyingKey::from_text(secret, hs256).unwrap();
    assert_eq!(verifying.kid(), of_text.kid());
    let refused = SigningKey::from_text(secret, None).unwrap_err();
    assert_eq!(refused, KeyError::NoAlgorithm);
    for key in KEYS.iter().filter(|key| !key.algorithm().is_hmac()) {
        let (jwk, bytes) = (key.to_jwk().unwrap(), key.private_bytes().unwrap());
        let base64 = base64_simd::STANDARD.encode_to_string(&*bytes);
        let algorithm = Some(key.algorithm());
        for text in [&*jwk, &pem("PRIVATE KEY", &bytes)] {
            let read = SigningKey::from_text(text, algorithm).unwrap();
            let thumbprint = key.verifying_key().thumbprint();
            assert_eq!(read.verifying_key().thumbprint(), thumbprint);
            let public = VerifyingKey::from_text(text, algorithm).unwrap();
            assert_eq!(public.thumbprint(), thumbprint);
        }
        let public = key.verifying_key().to_public_jwk().unwrap();
        let quoted = Value::from(&*public).to_string();
        let set = format!(r#"{{"keys":[{public}]}}"#);
        for text in [&*jwk, &*base64, &*public, &*quoted, &*set] {
            assert!(SigningKey::from_text(text, hs256).is_err(), "{text}");
            assert!(VerifyingKey::from_text(text, hs256).is_err(), "{text}");
        }
        let refused = VerifyingKey::from_text(&set, None).unwrap_err();
        assert_eq!(refused, KeyError::IsSet);
    }
}

#[test]
fn a_point_off_its_curve_is_refused() {
    for (place, algorithm) in [
        (1, Algorithm::ES256),
        (2, Algorithm::ES384),
        (3, Algorithm::ES512),
    ] {
        let mut jwk: Value = serde_json::from_str(&PAIRS[place].jwk("")).unwrap();
        let mut y = base64url::decode(text(&jwk, "y")).unwrap();
        *y.last_mut().unwrap() ^= 1;
        jwk["y"] = base64url::encode(y).into();
        let refused = VerifyingKey::from_jwk(&jwk.to_string(), Some(algorithm));
        assert_eq!(refused.unwrap_err(), KeyError::Malformed);
    }
}

#[test]
fn the_name_of_a_key_has_1_to_256_bytes() {
    let key = own(Algorithm::ES256).verifying_key();
    for (length, is_good) in [(0, false), (1, true), (256, true), (257, false)] {
        let kid = "k".repeat(length);
        assert_eq!(key.clone().with_kid(&kid).is_ok(), is_good);
        let jwk = PAIRS[1].jwk(&format!(r#","kid":"{kid}""#));
        assert_eq!(VerifyingKey::from_jwk(&jwk, None).is_ok(), is_good);
    }
    let jwk = PAIRS[1].jwk(r#","kid":1"#);
    assert!(VerifyingKey::from_jwk(&jwk, None).is_err());
}

#[test]
fn debug_shows_no_secret() {
    for key in &*KEYS {
        let name = key.algorithm().name();
        let labels = format!("{{ algorithm: {name}, kid: \"{name}\", .. }}");
        assert_eq!(format!("{key:?}"), format!("SigningKey {labels}"));
        assert_eq!(
            format!("{:?}", key.verifying_key()),
            format!("VerifyingKey {labels}")
        );
    }
}

#[test]
fn thumbprints_are_those_of_the_rfcs() {
    let Some(file) = shared("vectors/rfc/rfc_examples.json") else {
        return;
    };
    let mut ran = 0;
    for example in list(&file, "examples") {
        let Some(thumbprint) = example["thumbprint"].as_str() else {
            continue;
        };
        // The key of RFC 7517 is for encryption, which no thumbprint contains.
        let mut jwk = example["jwk"].clone();
        jwk.as_object_mut().unwrap().remove("use");
        let jwk = jwk.to_string();
        let rsa = jwk.contains("\"RSA\"").then_some(Algorithm::RS256);
        let key = VerifyingKey::from_jwk(&jwk, rsa).unwrap();
        assert_eq!(key.thumbprint(), thumbprint, "{example}");
        ran += 1;
    }
    assert_eq!(ran, 3);
    // RFC 7638 prints no secret. Its §3.2 lists `k` and `kty`; the hash was computed with Python's hashlib.
    let key = SigningKey::from_secret(Algorithm::HS256, &[7; 32]).unwrap();
    let thumbprint = "X7ZeXWu3bq09ofncmqKiVAjOnOY7Pqoi80PIsv-egCI";
    assert_eq!(key.verifying_key().thumbprint(), thumbprint);
}
