//! The program in which `bench/guard` counts what signing and verifying cost beside aws-lc-rs alone: `key-paths ALGORITHM
//! TIMES`. The guard has the counts written after each call of [`step`]: the set-up, signing with aws-lc-rs and here,
//! verifying with aws-lc-rs, here, and here with the claims.

use std::hint::black_box;

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair as RsaPair;
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, Ed25519KeyPair, KeyPair, ParsedPublicKey, RsaEncoding,
    VerificationAlgorithm,
};
use keyward_jose::claims::Expectations;
use keyward_jose::jws::Limits;
use keyward_jose::{Algorithm, KeySet, SigningKey, base64url};

const CLAIMS: &str = r#"{"iss":"https://id.example","sub":"0123456789abcdef0123456789abcdef","aud":"https://api.example","iat":1594212949,"exp":1594213549,"jti":"0123456789abcdef0123456789abcdef","sid":"7","client_id":"web","scope":"files:read"}"#;
const NOW: i64 = 1_594_213_000;

type Failure = Box<dyn std::error::Error>;
type Sign = Box<dyn Fn(&[u8]) -> Result<Vec<u8>, Unspecified>>;

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().ok_or("usage: key-paths ALGORITHM TIMES")?;
    let times: u32 = arguments.next().ok_or("no TIMES")?.parse()?;
    let key = SigningKey::generate(Algorithm::from_name(&name).ok_or("no such algorithm")?)?;
    let header = key.header(Some("at+jwt"));
    let token = key.sign(&header, CLAIMS.as_bytes())?;
    let (message, signature) = token.rsplit_once('.').ok_or("no token")?;
    let signature = base64url::decode(signature)?;
    let (raw_sign, raw_key) = raw(&name, &key.private_bytes()?)?;
    let before = SigningKey::generate(Algorithm::ES256)?;
    let keys = KeySet::new([&before, &key].map(|key| key.verifying_key().clone()))?;
    let expected = Expectations {
        typ: Some("at+jwt"),
        issuer: Some("https://id.example"),
        audience: Some("https://api.example"),
        leeway: 5,
    };
    let limits = Limits::default();

    // What a key prepares at its first use is part of the set-up.
    step(1, || {
        raw_sign(message.as_bytes()).is_ok()
            && raw_key.verify_sig(message.as_bytes(), &signature).is_ok()
            && keys.verify(&token, &expected, &limits, NOW).is_ok()
    })?;
    step(times, || raw_sign(black_box(message).as_bytes()).is_ok())?;
    step(times, || {
        key.sign(&header, black_box(CLAIMS).as_bytes()).is_ok()
    })?;
    step(times, || {
        let message = black_box(message).as_bytes();
        raw_key.verify_sig(message, &signature).is_ok()
    })?;
    step(times, || {
        let token = black_box(&token);
        keys.verify_signature(token, expected.typ, &limits).is_ok()
    })?;
    step(times, || {
        keys.verify(black_box(&token), &expected, &limits, NOW)
            .is_ok()
    })
}

#[inline(never)]
fn step(times: u32, work: impl Fn() -> bool) -> Result<(), Failure> {
    match (0..times).all(|_| work()) {
        true => Ok(()),
        false => Err("a path went wrong".into()),
    }
}

/// The key in aws-lc-rs, for signing and for verifying.
fn raw(name: &str, private: &[u8]) -> Result<(Sign, ParsedPublicKey), Failure> {
    match name {
        "RS256" => rsa(
            private,
            &signature::RSA_PKCS1_SHA256,
            &signature::RSA_PKCS1_2048_8192_SHA256,
        ),
        "PS256" => rsa(
            private,
            &signature::RSA_PSS_SHA256,
            &signature::RSA_PSS_2048_8192_SHA256,
        ),
        "ES256" => {
            let signing = &signature::ECDSA_P256_SHA256_FIXED_SIGNING;
            let pair = EcdsaKeyPair::from_pkcs8(signing, private)?;
            let public =
                ParsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, pair.public_key())?;
            let sign: Sign = Box::new(move |message| {
                let signature = pair.sign(&SystemRandom::new(), message)?;
                Ok(signature.as_ref().to_vec())
            });
            Ok((sign, public))
        }
        "EdDSA" => {
            let pair = Ed25519KeyPair::from_pkcs8(private)?;
            let public = ParsedPublicKey::new(&signature::ED25519, pair.public_key())?;
            let sign: Sign = Box::new(move |message| Ok(pair.try_sign(message)?.as_ref().to_vec()));
            Ok((sign, public))
        }
        _ => Err("not compared".into()),
    }
}

fn rsa(
    private: &[u8],
    padding: &'static dyn RsaEncoding,
    scheme: &'static dyn VerificationAlgorithm,
) -> Result<(Sign, ParsedPublicKey), Failure> {
    let pair = RsaPair::from_pkcs8(private)?;
    let public = ParsedPublicKey::new(scheme, pair.public_key())?;
    let sign: Sign = Box::new(move |message| {
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(padding, &SystemRandom::new(), message, &mut signature)?;
        Ok(signature)
    });
    Ok((sign, public))
}
