//! The examples printed in RFC 7515, 7517, 7520, 7797 and 8037, and the notary's golden tokens.

use keyward_jose::jws::{Compact, EncodedHeader, Envelope, Error, Limits, sign, verify};
use keyward_jose::{
    Algorithm, HmacKey, KeyError, KeySet, SigningKey, SuppliedKey, VerifyingKey, base64url,
};
use serde_json::Value;

use crate::support::{WIDE, list, shared, text, verifies};

/// The JWK without its private numbers, unless it is a secret.
fn public_half(jwk: &Value) -> String {
    let mut jwk = jwk.clone();
    if jwk["kty"] != "oct" {
        let members = jwk.as_object_mut().unwrap();
        members.retain(|name, _| !["d", "p", "q", "dp", "dq", "qi"].contains(&name.as_str()));
    }
    jwk.to_string()
}

#[test]
fn compact_examples_verify_and_unsecured_ones_never_do() {
    let Some(file) = shared("vectors/rfc/rfc_examples.json") else {
        return;
    };
    let (mut valid, mut refused) = (0, 0);
    let secret = SuppliedKey::parse("any secret").unwrap();
    for example in list(&file, "examples") {
        let Some(token) = example["compact"].as_str() else {
            continue;
        };
        if !text(example, "expect").starts_with("signature valid") {
            assert!(!verifies(&secret, token), "{example}");
            refused += 1;
            continue;
        }
        let key = SuppliedKey::parse(&public_half(&example["key"])).unwrap();
        assert!(verifies(&key, token), "{example}");
        let envelope = Envelope::parse(token, &WIDE).unwrap();
        assert_eq!(envelope.header().alg.as_deref(), example["alg"].as_str());
        // The printed payloads of A.1 to A.3 have CR LF where the file has LF.
        let payload = String::from_utf8(envelope.payload().to_vec()).unwrap();
        assert_eq!(
            payload.replace('\r', ""),
            text(example, "payload_utf8").replace('\r', "")
        );
        valid += 1;
    }
    assert_eq!((valid, refused), (5, 2));
}

#[test]
fn json_serializations_are_no_tokens() {
    let Some(file) = shared("vectors/rfc/rfc_examples.json") else {
        return;
    };
    let mut ran = 0;
    for example in list(&file, "examples")
        .iter()
        .filter(|example| !example["json"].is_null())
    {
        assert!(Envelope::parse(&example["json"].to_string(), &WIDE).is_err());
        ran += 1;
    }
    assert_eq!(ran, 2);
}

#[test]
fn the_cookbook_signatures_verify() {
    for name in [
        "jws/4_1.rsa_v15_signature",
        "jws/4_2.rsa-pss_signature",
        "jws/4_4.hmac-sha2_integrity_protection",
        "curve25519/jws",
    ] {
        let Some(file) = shared(&format!("vectors/rfc7520-cookbook/{name}.json")) else {
            return;
        };
        // RFC 7520 names its key of 4.2 PS384 in the header only; 4.1 and 4.4 need no change.
        let key = SuppliedKey::parse(&public_half(&file["input"]["key"])).unwrap();
        assert!(verifies(&key, text(&file["output"], "compact")), "{name}");
    }
}

#[test]
fn the_cookbook_signature_on_p_521_verifies() {
    let Some(file) = shared("vectors/rfc7520-cookbook/jws/4_3.ecdsa_signature.json") else {
        return;
    };
    let key = SuppliedKey::parse(&public_half(&file["input"]["key"])).unwrap();
    assert!(verifies(&key, text(&file["output"], "compact")));
    let private = SuppliedKey::parse(&file["input"]["key"].to_string());
    assert_eq!(private.unwrap_err(), KeyError::Private);
}

#[test]
fn signing_gives_the_cookbooks_token_byte_for_byte() {
    let Some(file) = shared("vectors/rfc7520-cookbook/jws/4_4.hmac-sha2_integrity_protection.json")
    else {
        return;
    };
    let secret = base64url::decode(text(&file["input"]["key"], "k")).unwrap();
    let key = HmacKey::new(Algorithm::HS256, &secret).unwrap();
    let header = base64url::decode(text(&file["signing"], "protected_b64u")).unwrap();
    let header = EncodedHeader::new(&String::from_utf8(header).unwrap()).unwrap();
    let payload = text(&file["input"], "payload").as_bytes();
    assert_eq!(
        sign(&key, &header, payload),
        text(&file["output"], "compact")
    );
}

#[test]
fn our_own_keys_sign_and_verify_the_rfcs_examples() {
    let Some(file) = shared("vectors/rfc/rfc_examples.json") else {
        return;
    };
    let (mut verified, mut made_again) = (0, 0);
    for example in list(&file, "examples") {
        let (Some(token), Some(algorithm)) = (
            example["compact"].as_str(),
            example["alg"].as_str().and_then(Algorithm::from_name),
        ) else {
            continue;
        };
        let envelope = Envelope::parse(token, &WIDE).unwrap();
        let (message, signature) = (envelope.signing_input(), envelope.signature());
        let private = SigningKey::from_jwk(&example["key"].to_string(), Some(algorithm)).unwrap();
        let public =
            VerifyingKey::from_jwk(&public_half(&example["key"]), Some(algorithm)).unwrap();
        assert_eq!(private.kid(), public.kid());
        assert!(public.verifies(message.as_bytes(), signature), "{example}");
        verified += 1;
        let header = EncodedHeader::new(envelope.header_json()).unwrap();
        let again = private.sign(&header, envelope.payload()).unwrap();
        // ECDSA draws a random number for each signature.
        if algorithm.name().starts_with("ES") {
            let again = Envelope::parse(&again, &WIDE).unwrap();
            assert!(public.verifies(message.as_bytes(), again.signature()));
        } else {
            assert_eq!(again, token);
            made_again += 1;
        }
    }
    assert_eq!((verified, made_again), (5, 3));
}

#[test]
fn our_own_keys_sign_and_verify_the_cookbooks_examples() {
    for (name, algorithm) in [
        ("jws/4_1.rsa_v15_signature", Algorithm::RS256),
        ("jws/4_2.rsa-pss_signature", Algorithm::PS384),
        ("jws/4_3.ecdsa_signature", Algorithm::ES512),
        ("jws/4_4.hmac-sha2_integrity_protection", Algorithm::HS256),
        ("curve25519/jws", Algorithm::EdDSA),
    ] {
        let Some(file) = shared(&format!("vectors/rfc7520-cookbook/{name}.json")) else {
            return;
        };
        let token = text(&file["output"], "compact");
        let key = SigningKey::from_jwk(&file["input"]["key"].to_string(), Some(algorithm)).unwrap();
        let set = KeySet::new([key.verifying_key().clone()]).unwrap();
        // The payload is a sentence: the signature is good, and the token is no JWT.
        let refused = set.verify_signature(token, None, &WIDE).unwrap_err();
        assert!(matches!(refused, Error::PayloadJson(_)), "{name} {refused}");
        let payload = text(&file["input"], "payload").as_bytes();
        let header = Envelope::parse(token, &WIDE).unwrap();
        let header = EncodedHeader::new(header.header_json()).unwrap();
        let again = key.sign(&header, payload).unwrap();
        let is_reproducible = file.get("reproducible").is_some_and(|value| value == true);
        assert_eq!(again == token, is_reproducible, "{name}");
    }
}

#[test]
fn the_cookbooks_keys_are_read() {
    let jwk = |name: &str| {
        let file = shared(&format!("vectors/rfc7520-cookbook/jwk/{name}.json"))?;
        Some(file.to_string())
    };
    for (private, public, algorithm) in [
        ("3_2.ec_private_key", "3_1.ec_public_key", Algorithm::ES512),
        (
            "3_4.rsa_private_key",
            "3_3.rsa_public_key",
            Algorithm::PS512,
        ),
    ] {
        let (Some(private), Some(public)) = (jwk(private), jwk(public)) else {
            return;
        };
        let key = SigningKey::from_jwk(&private, Some(algorithm)).unwrap();
        assert_eq!(key.kid(), "bilbo.baggins@hobbiton.example");
        let thumbprint = key.verifying_key().thumbprint();
        let public = VerifyingKey::from_jwk(&public, Some(algorithm)).unwrap();
        assert_eq!(public.thumbprint(), thumbprint);
        // What is written has the numbers that were read.
        let written: Value = serde_json::from_str(&key.to_jwk().unwrap()).unwrap();
        let read: Value = serde_json::from_str(&private).unwrap();
        for (name, value) in read.as_object().unwrap() {
            assert_eq!(&written[name], value, "{name}");
        }
    }
    let secrets = [
        "3_5.symmetric_key_mac_computation",
        "3_6.symmetric_key_encryption",
    ];
    let [Some(signing), Some(encrypting)] = secrets.map(jwk) else {
        return;
    };
    assert!(SigningKey::from_jwk(&signing, None).is_ok());
    let refused = SigningKey::from_jwk(&encrypting, None).unwrap_err();
    assert_eq!(refused, KeyError::OtherUse);
}

#[test]
fn detached_and_unencoded_payloads_do_not_verify() {
    let detached = "vectors/rfc7520-cookbook/jws/4_5.signature_with_detached_content.json";
    let Some(file) = shared(detached) else { return };
    let key = SuppliedKey::parse(&public_half(&file["input"]["key"])).unwrap();
    assert!(!verifies(&key, text(&file["output"], "compact")));

    let unencoded = "vectors/rfc7520-cookbook/rfc7797/4.2.hmac-sha2_b64_false.json";
    let Some(file) = shared(unencoded) else {
        return;
    };
    let key = SuppliedKey::parse(&public_half(&file["input"]["key"])).unwrap();
    let (header, signature) = (
        text(&file["signing"], "protected_b64u"),
        text(&file["signing"], "sig"),
    );
    assert!(!verifies(&key, &format!("{header}..{signature}")));
    assert!(!verifies(
        &key,
        &format!("{header}.{}.{signature}", base64url::encode("$.02"))
    ));
}

#[test]
fn the_notarys_golden_tokens_verify_and_are_made_again() {
    let Some(file) = shared("contracts/vectors.json") else {
        return;
    };
    let notary = &file["notary"];
    let key_text = text(notary, "signing_key");
    let supplied = SuppliedKey::parse(key_text).unwrap();
    let own = HmacKey::new(Algorithm::HS512, key_text.as_bytes()).unwrap();
    let header = EncodedHeader::new(r#"{"typ":"JWT","alg":"HS512"}"#).unwrap();
    for example in list(notary, "valid") {
        let token = text(example, "token");
        let compact = Compact::parse(token, &Limits::default()).unwrap();
        assert!(supplied.verifies(&compact));
        assert_eq!(compact.header_json(), r#"{"typ":"JWT","alg":"HS512"}"#);
        let claims: Value = serde_json::from_str(compact.payload_json()).unwrap();
        assert_eq!(claims, example["claims"]);

        assert_eq!(sign(&own, &header, compact.payload()), token);
        let verified = verify(token, &own, &header, &Limits::default()).unwrap();
        assert_eq!(verified.json(), compact.payload_json());

        let other = SuppliedKey::parse(&key_text[1..]).unwrap();
        assert!(!other.verifies(&compact));
    }
}

#[test]
fn tokens_under_unknown_keys_are_well_formed_and_do_not_verify() {
    let Some(file) = shared("contracts/vectors.json") else {
        return;
    };
    let key = SuppliedKey::parse("a guess").unwrap();
    for contract in ["directory", "exchange"] {
        let token = text(&file[contract]["login_token"], "token");
        let compact = Compact::parse(token, &Limits::default()).unwrap();
        assert_eq!(compact.header().algorithm, Some(Algorithm::HS256));
        assert!(!key.verifies(&compact));
    }
}
