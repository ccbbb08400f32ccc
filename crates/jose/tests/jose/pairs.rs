//! Key pairs made by the tests, so that every algorithm and curve is covered without published vectors.

use std::sync::LazyLock;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaPair, KeySize};
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaEncoding};
use keyward_jose::{Algorithm, base64url};

use crate::support::CLAIMS;

/// A private key, and the algorithms that it signs under.
pub(crate) enum Pair {
    Rsa(RsaPair),
    Curve(EcdsaKeyPair, Algorithm),
    Edwards(Ed25519KeyPair),
}

/// One pair of each kind.
pub(crate) static PAIRS: LazyLock<[Pair; 5]> = LazyLock::new(|| {
    let curve = |scheme, algorithm| Pair::Curve(EcdsaKeyPair::generate(scheme).unwrap(), algorithm);
    [
        Pair::Rsa(RsaPair::generate(KeySize::Rsa2048).unwrap()),
        curve(
            &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
            Algorithm::ES256,
        ),
        curve(
            &signature::ECDSA_P384_SHA384_FIXED_SIGNING,
            Algorithm::ES384,
        ),
        curve(
            &signature::ECDSA_P521_SHA512_FIXED_SIGNING,
            Algorithm::ES512,
        ),
        Pair::Edwards(Ed25519KeyPair::generate().unwrap()),
    ]
});

impl Pair {
    /// A token of [`CLAIMS`] under the algorithm; none where the key does not sign under it.
    pub(crate) fn token(&self, algorithm: Algorithm) -> Option<String> {
        self.token_with(algorithm, &format!(r#"{{"alg":"{}"}}"#, algorithm.name()))
    }

    /// Like [`token`](Self::token), with any header.
    pub(crate) fn token_with(&self, algorithm: Algorithm, header: &str) -> Option<String> {
        let input = format!(
            "{}.{}",
            base64url::encode(header),
            base64url::encode(CLAIMS)
        );
        let signature = self.sign(algorithm, input.as_bytes())?;
        Some(format!("{input}.{}", base64url::encode(signature)))
    }

    fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(
                    encoding(algorithm)?,
                    &SystemRandom::new(),
                    message,
                    &mut signature,
                )
                .unwrap();
                Some(signature)
            }
            Self::Curve(pair, own) if *own == algorithm => {
                let signature = pair.sign(&SystemRandom::new(), message).unwrap();
                Some(signature.as_ref().to_vec())
            }
            Self::Edwards(pair) if matches!(algorithm, Algorithm::EdDSA | Algorithm::Ed25519) => {
                Some(pair.sign(message).as_ref().to_vec())
            }
            _ => None,
        }
    }

    /// The public key as `SubjectPublicKeyInfo`.
    pub(crate) fn spki(&self) -> Vec<u8> {
        let der: PublicKeyX509Der<'_> = match self {
            Self::Rsa(pair) => pair.public_key().as_der().unwrap(),
            Self::Curve(pair, _) => pair.public_key().as_der().unwrap(),
            Self::Edwards(pair) => pair.public_key().as_der().unwrap(),
        };
        der.as_ref().to_vec()
    }

    /// The public key as its kind has it: `RSAPublicKey`, an uncompressed point, or the 32 bytes of Ed25519.
    pub(crate) fn raw(&self) -> Vec<u8> {
        match self {
            Self::Rsa(pair) => pair.public_key().as_ref().to_vec(),
            Self::Curve(pair, _) => pair.public_key().as_ref().to_vec(),
            Self::Edwards(pair) => pair.public_key().as_ref().to_vec(),
        }
    }

    /// The public key as a JWK with more members.
    pub(crate) fn jwk(&self, more: &str) -> String {
        let raw = self.raw();
        let members = match self {
            Self::Rsa(pair) => {
                let modulus = pair.public_key().modulus();
                let n = base64url::encode(modulus.big_endian_without_leading_zero());
                format!(r#""kty":"RSA","n":"{n}","e":"AQAB""#)
            }
            Self::Curve(_, algorithm) => {
                let curve = match algorithm {
                    Algorithm::ES256 => "P-256",
                    Algorithm::ES384 => "P-384",
                    _ => "P-521",
                };
                let (x, y) = raw[1..].split_at(raw.len() / 2);
                let (x, y) = (base64url::encode(x), base64url::encode(y));
                format!(r#""kty":"EC","crv":"{curve}","x":"{x}","y":"{y}""#)
            }
            Self::Edwards(_) => {
                format!(
                    r#""kty":"OKP","crv":"Ed25519","x":"{}""#,
                    base64url::encode(raw)
                )
            }
        };
        format!("{{{members}{more}}}")
    }

    /// The public key as a blob of OpenSSH.
    pub(crate) fn openssh_blob(&self) -> Vec<u8> {
        let string = |bytes: &[u8]| {
            let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
            [&length[..], bytes].concat()
        };
        let raw = self.raw();
        match self {
            Self::Rsa(pair) => {
                let modulus = pair.public_key().modulus();
                let modulus = [&[0], modulus.big_endian_without_leading_zero()].concat();
                [string(b"ssh-rsa"), string(&[1, 0, 1]), string(&modulus)].concat()
            }
            Self::Curve(_, algorithm) => {
                let curve = match algorithm {
                    Algorithm::ES256 => "nistp256",
                    Algorithm::ES384 => "nistp384",
                    _ => "nistp521",
                };
                let name = format!("ecdsa-sha2-{curve}");
                [
                    string(name.as_bytes()),
                    string(curve.as_bytes()),
                    string(&raw),
                ]
                .concat()
            }
            Self::Edwards(_) => [string(b"ssh-ed25519"), string(&raw)].concat(),
        }
    }
}

/// A PEM with lines of 64 characters.
pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    let base64 = base64_simd::STANDARD.encode_to_string(der);
    let lines = base64.as_bytes().chunks(64);
    let lines: Vec<_> = lines
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

fn encoding(algorithm: Algorithm) -> Option<&'static dyn RsaEncoding> {
    Some(match algorithm {
        Algorithm::RS256 => &signature::RSA_PKCS1_SHA256,
        Algorithm::RS384 => &signature::RSA_PKCS1_SHA384,
        Algorithm::RS512 => &signature::RSA_PKCS1_SHA512,
        Algorithm::PS256 => &signature::RSA_PSS_SHA256,
        Algorithm::PS384 => &signature::RSA_PSS_SHA384,
        Algorithm::PS512 => &signature::RSA_PSS_SHA512,
        _ => return None,
    })
}
