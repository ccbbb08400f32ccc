//! Our own keys, compared with aws-lc-rs alone and a parsed key: signing a token, and verifying signature and claims.

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair as RsaPair;
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, ParsedPublicKey};
use aws_lc_rs::signature::{EcdsaSigningAlgorithm, RsaEncoding, VerificationAlgorithm};
use divan::{Bencher, black_box};
use keyward_jose::claims::Expectations;
use keyward_jose::jws::{EncodedHeader, Limits};
use keyward_jose::{Algorithm, KeySet, RsaSize, SigningKey, base64url};

/// `RS256-3072` has 3,072 bits, the other RSA keys have 2,048.
const KEYS: [&str; 8] = [
    "HS256",
    "RS256",
    "RS256-3072",
    "PS256",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
];

/// The same key of aws-lc-rs.
enum Raw {
    Secret(Box<hmac::Key>),
    Rsa(RsaPair, &'static dyn RsaEncoding, ParsedPublicKey),
    Curve(EcdsaKeyPair, ParsedPublicKey),
    Edwards(Ed25519KeyPair, ParsedPublicKey),
}

struct Own {
    key: SigningKey,
    header: EncodedHeader,
    set: KeySet,
    token: String,
    raw: Raw,
}

impl Own {
    fn new(name: &str) -> Self {
        let (name, size) = match name.split_once('-') {
            Some((name, _)) => (name, RsaSize::Bits3072),
            None => (name, RsaSize::Bits2048),
        };
        let algorithm = Algorithm::from_name(name).unwrap();
        let key = SigningKey::generate_sized(algorithm, size).unwrap();
        let header = key.header(Some("at+jwt"));
        // Beside the key that it followed, as in a rotation.
        let before = SigningKey::generate(Algorithm::ES256).unwrap();
        let keys = [&before, &key].map(|key| key.verifying_key().clone());
        Self {
            token: key.sign(&header, crate::CLAIMS.as_bytes()).unwrap(),
            set: KeySet::new(keys).unwrap(),
            raw: Raw::new(algorithm, &key.private_bytes().unwrap()),
            header,
            key,
        }
    }

    fn message(&self) -> &[u8] {
        self.token.rsplit_once('.').unwrap().0.as_bytes()
    }

    fn signature(&self) -> Vec<u8> {
        base64url::decode(self.token.rsplit_once('.').unwrap().1).unwrap()
    }
}

impl Raw {
    fn new(algorithm: Algorithm, private: &[u8]) -> Self {
        match algorithm {
            Algorithm::HS256 => Self::Secret(Box::new(hmac::Key::new(hmac::HMAC_SHA256, private))),
            Algorithm::RS256 => Self::rsa(
                private,
                &signature::RSA_PKCS1_SHA256,
                &signature::RSA_PKCS1_2048_8192_SHA256,
            ),
            Algorithm::PS256 => Self::rsa(
                private,
                &signature::RSA_PSS_SHA256,
                &signature::RSA_PSS_2048_8192_SHA256,
            ),
            Algorithm::ES256 => Self::curve(
                private,
                &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
                &signature::ECDSA_P256_SHA256_FIXED,
            ),
            Algorithm::ES384 => Self::curve(
                private,
                &signature::ECDSA_P384_SHA384_FIXED_SIGNING,
                &signature::ECDSA_P384_SHA384_FIXED,
            ),
            Algorithm::ES512 => Self::curve(
                private,
                &signature::ECDSA_P521_SHA512_FIXED_SIGNING,
                &signature::ECDSA_P521_SHA512_FIXED,
            ),
            _ => {
                let pair = Ed25519KeyPair::from_pkcs8(private).unwrap();
                let key = ParsedPublicKey::new(&signature::ED25519, pair.public_key()).unwrap();
                Self::Edwards(pair, key)
            }
        }
    }

    fn rsa(
        private: &[u8],
        padding: &'static dyn RsaEncoding,
        scheme: &'static dyn VerificationAlgorithm,
    ) -> Self {
        let pair = RsaPair::from_pkcs8(private).unwrap();
        let key = ParsedPublicKey::new(scheme, pair.public_key()).unwrap();
        Self::Rsa(pair, padding, key)
    }

    fn curve(
        private: &[u8],
        signing: &'static EcdsaSigningAlgorithm,
        scheme: &'static dyn VerificationAlgorithm,
    ) -> Self {
        let pair = EcdsaKeyPair::from_pkcs8(signing, private).unwrap();
        let key = ParsedPublicKey::new(scheme, pair.public_key()).unwrap();
        Self::Curve(pair, key)
    }

    fn sign(&self, message: &[u8]) -> usize {
        let random = SystemRandom::new();
        match self {
            Self::Secret(key) => hmac::sign(key, message).as_ref().len(),
            Self::Rsa(pair, padding, _) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(*padding, &random, message, &mut signature)
                    .unwrap();
                black_box(signature).len()
            }
            Self::Curve(pair, _) => pair.sign(&random, message).unwrap().as_ref().len(),
            Self::Edwards(pair, _) => pair.sign(message).as_ref().len(),
        }
    }

    fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Secret(key) => hmac::verify(key, message, signature).is_ok(),
            Self::Rsa(_, _, key) | Self::Curve(_, key) | Self::Edwards(_, key) => {
                key.verify_sig(message, signature).is_ok()
            }
        }
    }
}

#[divan::bench(args = KEYS)]
fn sign(bencher: Bencher<'_, '_>, name: &str) {
    let own = Own::new(name);
    bencher.bench_local(|| {
        own.key
            .sign(&own.header, black_box(crate::CLAIMS).as_bytes())
    });
}

#[divan::bench(args = KEYS)]
fn sign_raw(bencher: Bencher<'_, '_>, name: &str) {
    let own = Own::new(name);
    bencher.bench_local(|| own.raw.sign(black_box(own.message())));
}

#[divan::bench(args = KEYS)]
fn verify(bencher: Bencher<'_, '_>, name: &str) {
    let own = Own::new(name);
    let (limits, now) = (Limits::default(), 1_594_213_000);
    let expected = Expectations {
        typ: Some("at+jwt"),
        ..Expectations::default()
    };
    bencher.bench_local(|| {
        let verified = own
            .set
            .verify(black_box(&own.token), &expected, &limits, now);
        verified.unwrap()
    });
}

#[divan::bench(args = KEYS)]
fn verify_raw(bencher: Bencher<'_, '_>, name: &str) {
    let own = Own::new(name);
    let signature = own.signature();
    bencher.bench_local(|| {
        assert!(own.raw.verifies(black_box(own.message()), &signature));
    });
}
