//! The JOSE and primitive vectors of C2SP/wycheproof, judged as a strict RFC 7515 verifier.

use keyward_jose::{Algorithm, HmacKey, KeyError, PublicKey, SuppliedKey};
use serde_json::Value;

use crate::support::{hex, list, shared, text, verifies};

/// The key that a group of JWS tests is verified with.
fn key_of(group: &Value) -> String {
    group
        .get("public")
        .unwrap_or_else(|| &group["private"])
        .to_string()
}

#[test]
fn every_jws_case_is_judged_as_expected() {
    let Some(file) = shared("vectors/wycheproof/json_web_signature_test.json") else {
        return;
    };
    let Some(overrides) = shared("vectors/wycheproof/overrides.json") else {
        return;
    };
    let corrected = |case: &Value| {
        let entry = list(&overrides, "overrides")
            .iter()
            .find(|o| o["tcId"] == case["tcId"])?;
        Some(text(entry, "expect").to_owned())
    };
    let mut ran = 0;
    for group in list(&file, "testGroups") {
        let key = SuppliedKey::parse(&key_of(group)).unwrap();
        for case in list(group, "tests") {
            let expected = corrected(case).unwrap_or_else(|| text(case, "result").to_owned());
            let got = verifies(&key, text(case, "jws"));
            assert_eq!(got, expected == "valid", "{case}");
            ran += 1;
        }
    }
    assert_eq!(ran, file["numberOfTests"]);
    eprintln!("{ran} JWS cases");
}

#[test]
fn every_jwk_case_is_judged_as_expected() {
    let Some(file) = shared("vectors/wycheproof/json_web_key_test.json") else {
        return;
    };
    let mut ran = 0;
    for group in list(&file, "testGroups") {
        let set: Value = serde_json::from_str(&key_of(group)).unwrap();
        // A key set verifies nothing, or is refused because it contains a private key.
        for case in list(group, "tests") {
            match SuppliedKey::parse(&set.to_string()) {
                Ok(key) => assert!(!verifies(&key, text(case, "jws")), "{case}"),
                Err(error) => assert_eq!(error, KeyError::Private),
            }
        }
        let [key] = list(&set, "keys") else { continue };
        let key_text = key.to_string();
        for case in list(group, "tests") {
            // A short secret may verify the tokens of others, but is refused as a signing key.
            let is_short = text(case, "comment") == "key_too_short";
            let expected = is_short || text(case, "result") == "valid";
            let key = SuppliedKey::parse(&key_text).unwrap();
            assert_eq!(verifies(&key, text(case, "jws")), expected, "{case}");
            ran += 1;
        }
        if text(&group["tests"][0], "comment") == "key_too_short" {
            let algorithm = Algorithm::from_name(text(key, "alg")).unwrap();
            let secret = keyward_jose::base64url::decode(text(key, "k")).unwrap();
            assert!(HmacKey::new(algorithm, &secret).is_err());
        }
    }
    assert_eq!(ran, 22);
    eprintln!("{ran} JWK cases");
}

#[test]
fn a_private_jwk_is_told_as_such() {
    let Some(file) = shared("vectors/wycheproof/json_web_key_test.json") else {
        return;
    };
    let mut ran = 0;
    for group in list(&file, "testGroups")
        .iter()
        .filter(|group| group.get("public").is_some())
    {
        let private = &group["private"];
        for text in [private.to_string(), private["keys"][0].to_string()] {
            assert_eq!(SuppliedKey::parse(&text).unwrap_err(), KeyError::Private);
            ran += 1;
        }
    }
    assert!(ran > 20);
}

#[test]
fn hmac_verifies_whole_tags_only() {
    for (algorithm, bits) in [
        (Algorithm::HS256, 256),
        (Algorithm::HS384, 384),
        (Algorithm::HS512, 512),
    ] {
        let path = format!("vectors/wycheproof/primitives/hmac_sha{bits}_test.json");
        let Some(file) = shared(&path) else { return };
        let mut ran = 0;
        for group in list(&file, "testGroups") {
            let is_whole = group["tagSize"] == bits;
            for case in list(group, "tests") {
                let key = HmacKey::of_any_length(algorithm, &hex(case, "key")).unwrap();
                let got = key.verifies(&hex(case, "msg"), &hex(case, "tag"));
                assert_eq!(got, is_whole && text(case, "result") == "valid", "{case}");
                ran += 1;
            }
        }
        assert_eq!(ran, file["numberOfTests"]);
        eprintln!("{ran} HMAC-SHA-{bits} cases");
    }
}

#[test]
fn signatures_verify_with_keys_from_pem_der_and_jwk() {
    for (algorithm, name) in [
        (Algorithm::RS256, "rsa_signature_2048_sha256"),
        (Algorithm::RS384, "rsa_signature_2048_sha384"),
        (Algorithm::RS512, "rsa_signature_2048_sha512"),
        (Algorithm::PS256, "rsa_pss_2048_sha256_mgf1_32"),
        (Algorithm::PS384, "rsa_pss_4096_sha384_mgf1_48"),
        (Algorithm::PS512, "rsa_pss_4096_sha512_mgf1_64"),
        (Algorithm::ES256, "ecdsa_secp256r1_sha256_p1363"),
        (Algorithm::ES384, "ecdsa_secp384r1_sha384_p1363"),
        (Algorithm::ES512, "ecdsa_secp521r1_sha512_p1363"),
        (Algorithm::EdDSA, "ed25519"),
    ] {
        let Some(file) = shared(&format!("vectors/wycheproof/primitives/{name}_test.json")) else {
            return;
        };
        let mut ran = 0;
        for group in list(&file, "testGroups")
            .iter()
            .filter(|group| !has_small_exponent(group))
        {
            let keys = keys_of(group);
            for case in list(group, "tests")
                .iter()
                .filter(|case| case["result"] != "acceptable")
            {
                for key in &keys {
                    let got = key.verifies(algorithm, &hex(case, "msg"), &hex(case, "sig"));
                    assert_eq!(got, case["result"] == "valid", "{name} {case}");
                }
                ran += 1;
            }
        }
        assert!(ran > 80);
        eprintln!("{ran} {} cases", algorithm.name());
    }
}

/// Whether the key is an RSA key that is refused for its exponent.
fn has_small_exponent(group: &Value) -> bool {
    let exponent = group["publicKey"].get("publicExponent");
    let is_small = exponent.is_some_and(|exponent| exponent != "010001");
    if is_small {
        let refused = PublicKey::from_pem(text(group, "publicKeyPem"));
        assert_eq!(refused.unwrap_err(), KeyError::WeakRsa);
    }
    is_small
}

/// The key of a group, in each form that the vectors contain.
fn keys_of(group: &Value) -> Vec<PublicKey> {
    let pem = PublicKey::from_pem(text(group, "publicKeyPem")).unwrap();
    let der = PublicKey::from_spki_der(&hex(group, "publicKeyDer")).unwrap();
    let jwk = group.get("publicKeyJwk").or(group.get("keyJwk"));
    let jwk = jwk.map(|jwk| PublicKey::from_jwk(&jwk.to_string()).unwrap());
    [Some(pem), Some(der), jwk].into_iter().flatten().collect()
}

#[test]
fn other_curves_are_refused() {
    for name in ["ecdsa_secp256k1_sha256_p1363", "ed448"] {
        let Some(file) = shared(&format!("vectors/wycheproof/primitives/{name}_test.json")) else {
            return;
        };
        for group in list(&file, "testGroups") {
            let pem = PublicKey::from_pem(text(group, "publicKeyPem"));
            assert_eq!(pem.unwrap_err(), KeyError::Unsupported);
            if let Some(jwk) = group.get("publicKeyJwk") {
                assert!(PublicKey::from_jwk(&jwk.to_string()).is_err());
            }
        }
    }
}
