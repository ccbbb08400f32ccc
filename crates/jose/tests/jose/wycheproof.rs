//! The JOSE and primitive vectors of C2SP/wycheproof, judged as a strict RFC 7515 verifier.

use std::collections::BTreeMap;

use keyward_jose::jws::Error;
use keyward_jose::{
    Algorithm, HmacKey, KeyError, KeySet, PublicKey, SigningKey, SuppliedKey, VerifyingKey,
};
use serde_json::{Value, json};

use crate::support::{WIDE, hex, list, shared, text, verifies};

/// The key that a group of JWS tests is verified with.
fn key_of(group: &Value) -> String {
    group
        .get("public")
        .unwrap_or_else(|| &group["private"])
        .to_string()
}

/// The file of JWS cases, with the results that a strict verifier must have.
fn jws_cases() -> Option<Value> {
    let mut file = shared("vectors/wycheproof/json_web_signature_test.json")?;
    let overrides = shared("vectors/wycheproof/overrides.json")?;
    let mut corrected = 0;
    for group in file["testGroups"].as_array_mut().unwrap() {
        for case in group["tests"].as_array_mut().unwrap() {
            let mut entries = list(&overrides, "overrides").iter();
            if let Some(entry) = entries.find(|entry| entry["tcId"] == case["tcId"]) {
                assert_eq!(entry["file_says"], case["result"]);
                case["result"] = entry["expect"].clone();
                corrected += 1;
            }
        }
    }
    assert_eq!(corrected, list(&overrides, "overrides").len());
    Some(file)
}

/// Asserts that every case of a file has its result, and returns how many each group has.
fn assert_results(
    file: &Value,
    mut verdict: impl FnMut(&Value, &Value) -> bool,
) -> BTreeMap<String, usize> {
    let mut ran = BTreeMap::new();
    for group in list(file, "testGroups") {
        for case in list(group, "tests") {
            let expected = text(case, "result") == "valid";
            assert_eq!(verdict(group, case), expected, "{case}");
            *ran.entry(text(group, "comment").to_owned()).or_default() += 1;
        }
    }
    assert_eq!(ran.values().sum::<usize>(), file["numberOfTests"]);
    ran
}

#[test]
fn every_jws_case_is_judged_as_expected() {
    let Some(file) = jws_cases() else { return };
    assert_results(&file, |group, case| {
        let key = SuppliedKey::parse(&key_of(group)).unwrap();
        verifies(&key, text(case, "jws"))
    });
}

/// Whether a set accepts the signature of a token. The payloads of some cases are no JSON, which is found afterwards.
fn is_signed(keys: &KeySet, token: &str) -> bool {
    matches!(
        keys.verify_signature(token, None, &WIDE),
        Ok(_) | Err(Error::PayloadJson(_) | Error::PayloadShape)
    )
}

#[test]
fn our_own_keys_judge_every_jws_case_as_expected() {
    let Some(file) = jws_cases() else { return };
    let ran = assert_results(&file, |group, case| {
        let public = VerifyingKey::from_jwk(&key_of(group), None);
        let set = public.and_then(|key| KeySet::new([key]).map_err(|_| KeyError::Kid));
        set.is_ok_and(|set| is_signed(&set, text(case, "jws")))
    });
    eprintln!("{ran:?}");
    assert_eq!(ran["hs256"], 17);
    assert_eq!(ran["rs256"], 231);
    assert_eq!(ran["ps256"], 48);
    assert_eq!(ran["SpecialCaseEs256"], 24);
}

#[test]
fn the_private_half_of_every_jws_group_signs_for_the_public_one() {
    let Some(file) = jws_cases() else { return };
    let (mut signed, mut refused) = (0, Vec::new());
    for group in list(&file, "testGroups") {
        let Ok(private) = SigningKey::from_jwk(&group["private"].to_string(), None) else {
            refused.push(text(group, "comment"));
            continue;
        };
        let token = private.sign(&private.header(None), b"{}").unwrap();
        let public = VerifyingKey::from_jwk(&key_of(group), None).unwrap();
        assert!(is_signed(&KeySet::new([public]).unwrap(), &token));
        signed += 1;
    }
    // The name ES521, twice; the operation "sign, verify"; and keys for encryption.
    let expected = [
        "rfc7520",
        "rfc7520WithKeyOps",
        "rfc7520WithKeyOps",
        "rsa_encryption",
        "ec_key_for_encryption",
        "rsa_encryption",
        "ec_key_for_encryption",
    ];
    refused.sort_unstable();
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    assert_eq!(refused, expected);
    assert_eq!(signed, 16);
}

/// Whether the keys of a group, a key or a set, accept the token of a case, read from either half.
fn keys_accept(group: &Value, case: &Value) -> bool {
    // Some are in the JSON serialization, which is no token.
    let in_json = case["jws"].to_string();
    let token = case["jws"].as_str().unwrap_or(&in_json);
    let set_of = |half: &Value| match half.get("keys") {
        Some(_) => half.clone(),
        None => json!({ "keys": [half] }),
    };
    let private = set_of(&group["private"]);
    if text(group, "comment") == "jws_mixedSymmetryKeyset" {
        // Each key has its algorithm, so a set that is made here may mix them. One that is read has no secrets.
        let read = KeySet::from_jwks(&private.to_string(), None);
        return read.is_ok_and(|(set, _)| is_signed(&set, token));
    }
    let private = list(&private, "keys").iter();
    let private = private.map(|jwk| SigningKey::from_jwk(&jwk.to_string(), None));
    let public = private.map(|key| Ok(key?.verifying_key().clone()));
    let set = public
        .collect::<Result<Vec<_>, KeyError>>()
        .map(KeySet::new);
    let is_accepted = matches!(set, Ok(Ok(set)) if is_signed(&set, token));
    if let Some(public) = group.get("public") {
        let (set, _) = KeySet::from_jwks(&set_of(public).to_string(), None).unwrap();
        assert_eq!(is_signed(&set, token), is_accepted, "{case}");
    }
    is_accepted
}

#[test]
fn our_own_keys_judge_every_jwk_case_as_expected() {
    let Some(file) = shared("vectors/wycheproof/json_web_key_test.json") else {
        return;
    };
    let ran = assert_results(&file, keys_accept);
    eprintln!("{ran:?}");
    assert_eq!(ran.len(), 18);
}

#[test]
fn our_own_keys_judge_every_signature_of_the_crypto_cases_as_expected() {
    let Some(mut file) = shared("vectors/wycheproof/json_web_crypto_test.json") else {
        return;
    };
    // The other groups encrypt, which Keyward does not.
    let is_encrypting = |group: &Value| text(group, "comment").starts_with("jwe_");
    let groups = file["testGroups"].as_array_mut().unwrap();
    let encrypting = groups.iter().filter(|group| is_encrypting(group));
    let left_out: usize = encrypting.map(|group| list(group, "tests").len()).sum();
    groups.retain(|group| !is_encrypting(group));
    file["numberOfTests"] = (file["numberOfTests"].as_u64().unwrap() - left_out as u64).into();
    let ran = assert_results(&file, keys_accept);
    eprintln!("{ran:?}");
    assert_eq!((ran.len(), left_out), (6, 34));
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
