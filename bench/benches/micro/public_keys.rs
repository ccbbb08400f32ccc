//! The notary's asymmetric algorithms, compared with aws-lc-rs alone and a parsed key.

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaPair, KeySize};
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, ParsedPublicKey};
use aws_lc_rs::signature::{RsaEncoding, VerificationAlgorithm};
use divan::{Bencher, black_box};
use keyward_jose::jws::{Compact, Limits};
use keyward_jose::{SuppliedKey, base64url};

const ALGORITHMS: [&str; 4] = ["RS256", "PS256", "ES256", "EdDSA"];

struct Signed {
    token: String,
    signature: Vec<u8>,
    /// The PEM that a caller supplies.
    pem: String,
    raw: ParsedPublicKey,
}

impl Signed {
    fn new(name: &str) -> Self {
        let header = base64url::encode(format!(r#"{{"alg":"{name}"}}"#));
        let message = format!("{header}.{}", base64url::encode(crate::CLAIMS));
        let (signature, spki, raw) = match name {
            "RS256" => rsa(
                &signature::RSA_PKCS1_SHA256,
                &signature::RSA_PKCS1_2048_8192_SHA256,
                &message,
            ),
            "PS256" => rsa(
                &signature::RSA_PSS_SHA256,
                &signature::RSA_PSS_2048_8192_SHA256,
                &message,
            ),
            "ES256" => p256(&message),
            _ => ed25519(&message),
        };
        let base64 = base64_simd::STANDARD.encode_to_string(spki);
        Self {
            token: format!("{message}.{}", base64url::encode(&signature)),
            signature,
            pem: format!("-----BEGIN PUBLIC KEY-----\n{base64}\n-----END PUBLIC KEY-----\n"),
            raw,
        }
    }

    fn message(&self) -> &[u8] {
        self.token.rsplit_once('.').unwrap().0.as_bytes()
    }
}

type Parts = (Vec<u8>, Vec<u8>, ParsedPublicKey);

fn rsa(
    padding: &'static dyn RsaEncoding,
    scheme: &'static dyn VerificationAlgorithm,
    message: &str,
) -> Parts {
    let pair = RsaPair::generate(KeySize::Rsa2048).unwrap();
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(
        padding,
        &SystemRandom::new(),
        message.as_bytes(),
        &mut signature,
    )
    .unwrap();
    let key = pair.public_key();
    let raw = ParsedPublicKey::new(scheme, key).unwrap();
    (signature, key.as_der().unwrap().as_ref().to_vec(), raw)
}

fn p256(message: &str) -> Parts {
    let pair = EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let signature = pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
    let key = pair.public_key();
    let raw = ParsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, key).unwrap();
    let spki = key.as_der().unwrap().as_ref().to_vec();
    (signature.as_ref().to_vec(), spki, raw)
}

fn ed25519(message: &str) -> Parts {
    let pair = Ed25519KeyPair::generate().unwrap();
    let signature = pair.sign(message.as_bytes());
    let key = pair.public_key();
    let raw = ParsedPublicKey::new(&signature::ED25519, key).unwrap();
    let spki = key.as_der().unwrap().as_ref().to_vec();
    (signature.as_ref().to_vec(), spki, raw)
}

/// Verifies a token with a cached key.
#[divan::bench(args = ALGORITHMS)]
fn judge_kept_key(bencher: Bencher<'_, '_>, name: &str) {
    let signed = Signed::new(name);
    let key = SuppliedKey::parse(&signed.pem).unwrap();
    bencher.bench_local(|| {
        let token = Compact::parse(black_box(&signed.token), &Limits::default()).unwrap();
        assert!(key.verifies(&token));
    });
}

/// Verifies a token with a key that is not cached.
#[divan::bench(args = ALGORITHMS)]
fn judge_new_key(bencher: Bencher<'_, '_>, name: &str) {
    let signed = Signed::new(name);
    bencher.bench_local(|| {
        let token = Compact::parse(black_box(&signed.token), &Limits::default()).unwrap();
        let key = SuppliedKey::parse(black_box(&signed.pem)).unwrap();
        assert!(key.verifies(&token));
    });
}

#[divan::bench(args = ALGORITHMS)]
fn verify_raw(bencher: Bencher<'_, '_>, name: &str) {
    let signed = Signed::new(name);
    bencher.bench_local(|| {
        signed
            .raw
            .verify_sig(black_box(signed.message()), &signed.signature)
            .unwrap();
    });
}
