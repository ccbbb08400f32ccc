//! Private keys of our own. A key is bound to one algorithm and one `kid`, and never appears in `Debug` output.

use std::fmt;

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand::{self, SystemRandom};
use aws_lc_rs::rsa::{KeyPair as RsaPair, KeySize};
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaEncoding};
use zeroize::Zeroizing;

use super::jwk::Jwk;
use super::private::{Private, curve_scheme};
use super::public::PublicKey;
use super::verifying::VerifyingKey;
use super::{KeyError, hmac, pem};
use crate::jws::{EncodedHeader, signing_input};
use crate::{Algorithm, base64url};

/// The length of a generated RSA modulus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RsaSize {
    /// 2,048 bits, the least that RFC 7518 §3.3 allows.
    #[default]
    Bits2048,
    /// 3,072 bits, which NIST SP 800-57 counts with P-256. A signature costs about three times as much.
    Bits3072,
    /// 4,096 bits.
    Bits4096,
}

impl From<RsaSize> for KeySize {
    fn from(size: RsaSize) -> Self {
        match size {
            RsaSize::Bits2048 => Self::Rsa2048,
            RsaSize::Bits3072 => Self::Rsa3072,
            RsaSize::Bits4096 => Self::Rsa4096,
        }
    }
}

/// The reason why nothing was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The header names another algorithm or another key.
    #[error("the header is that of another key")]
    Header,
    /// The cryptographic library could not sign.
    #[error("the signature could not be made")]
    Failed,
}

/// A private key, or an HMAC secret, that signs under one algorithm.
pub struct SigningKey {
    private: Private,
    verifying: VerifyingKey,
}

impl SigningKey {
    /// A new random key, named by its thumbprint. An RSA key has 2,048 bits, a secret the length of the hash.
    pub fn generate(algorithm: Algorithm) -> Result<Self, KeyError> {
        Self::generate_sized(algorithm, RsaSize::default())
    }

    /// Like [`generate`](Self::generate), with an RSA modulus of this length. The size matters to RSA keys only.
    ///
    /// Making an RSA key may take seconds, so this must not run on an async worker.
    pub fn generate_sized(algorithm: Algorithm, size: RsaSize) -> Result<Self, KeyError> {
        let failed = |_: Unspecified| KeyError::NotGenerated;
        let private = match algorithm {
            Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => {
                let length = hmac::tag_length(algorithm)?;
                let mut secret = Zeroizing::new(vec![0; length]);
                rand::fill(&mut secret).map_err(failed)?;
                return Self::from_secret(algorithm, &secret);
            }
            Algorithm::EdDSA | Algorithm::Ed25519 => {
                Private::Edwards(Ed25519KeyPair::generate().map_err(failed)?)
            }
            _ => match curve_scheme(algorithm) {
                Some(scheme) => {
                    let pair = EcdsaKeyPair::generate(scheme).map_err(failed)?;
                    Private::Curve(pair, algorithm)
                }
                None => Private::Rsa(RsaPair::generate(size.into()).map_err(failed)?),
            },
        };
        Self::new(private, Some(algorithm))
    }

    /// Takes the bytes of [`private_bytes`](Self::private_bytes): for HMAC algorithms the secret, for others a PKCS #8
    /// `PrivateKeyInfo` in DER. The key is named by its thumbprint.
    pub fn from_private_bytes(algorithm: Algorithm, bytes: &[u8]) -> Result<Self, KeyError> {
        if algorithm.is_hmac() {
            Self::from_secret(algorithm, bytes)
        } else {
            Self::from_der(bytes, Some(algorithm))
        }
    }

    /// A shared secret, which must be at least as long as the algorithm's hash. The key is named by its thumbprint.
    pub fn from_secret(algorithm: Algorithm, secret: &[u8]) -> Result<Self, KeyError> {
        let secret = Zeroizing::new(secret.to_vec());
        Self::new(Private::Secret(secret), Some(algorithm))
    }

    /// Parses an unencrypted private key: PKCS #8 (RFC 5208), or PKCS #1 of an RSA key, or SEC 1 of a curve's key.
    ///
    /// An RSA key must be given an algorithm, others have that of their curve. The key is named by its thumbprint.
    pub fn from_der(der: &[u8], algorithm: Option<Algorithm>) -> Result<Self, KeyError> {
        Self::new(Private::of_der(der)?, algorithm)
    }

    /// Parses the first private key of a PEM text, as [`from_der`](Self::from_der) does.
    pub fn from_pem(text: &str, algorithm: Option<Algorithm>) -> Result<Self, KeyError> {
        let block = pem::private_block(text)?;
        let der = Zeroizing::new(block.der);
        match block.label {
            "PRIVATE KEY" | "RSA PRIVATE KEY" | "EC PRIVATE KEY" => Self::from_der(&der, algorithm),
            _ => Err(KeyError::Unsupported),
        }
    }

    /// Parses a private JWK of type `RSA`, `EC` or `OKP`, or a secret of type `oct`. Algorithm and name follow the
    /// rules of [`VerifyingKey::from_jwk`]; `key_ops`, if present, must contain `sign`. An RSA key needs its primes.
    pub fn from_jwk(text: &str, algorithm: Option<Algorithm>) -> Result<Self, KeyError> {
        let jwk = Jwk::parse(text)?;
        let bound = jwk.algorithm_for("sign")?;
        if bound.is_some() && algorithm.is_some() && bound != algorithm {
            return Err(KeyError::OtherUse);
        }
        let algorithm = bound.or(algorithm);
        let key = if jwk.is("kty", "oct") {
            Self::new(Private::Secret(Zeroizing::new(jwk.bytes("k")?)), algorithm)?
        } else {
            Self::new(Private::of_jwk(&jwk)?, algorithm)?
        };
        match jwk.kid()? {
            Some(kid) => key.with_kid(&kid),
            None => Ok(key),
        }
    }

    fn new(private: Private, algorithm: Option<Algorithm>) -> Result<Self, KeyError> {
        let public = match &private {
            Private::Secret(bytes) => {
                let algorithm = algorithm.ok_or(KeyError::NoAlgorithm)?;
                let verifying = VerifyingKey::secret(algorithm, bytes)?;
                return Ok(Self { private, verifying });
            }
            Private::Rsa(pair) => PublicKey::rsa_from_der(pair.public_key().as_ref()),
            Private::Curve(pair, own) => PublicKey::point(*own, pair.public_key().as_ref(), None),
            Private::Edwards(pair) => PublicKey::edwards(pair.public_key().as_ref(), None),
        };
        let verifying = VerifyingKey::public(public?, algorithm)?;
        Ok(Self { private, verifying })
    }

    /// The same key under another name: 1 to 256 bytes.
    pub fn with_kid(mut self, kid: &str) -> Result<Self, KeyError> {
        self.verifying = self.verifying.with_kid(kid)?;
        Ok(self)
    }

    /// The only algorithm that this key signs under.
    pub fn algorithm(&self) -> Algorithm {
        self.verifying.algorithm()
    }

    /// The name of the key. Unless another one was given, it is the thumbprint.
    pub fn kid(&self) -> &str {
        self.verifying.kid()
    }

    /// The key that verifies what this one signs, under the same name.
    pub fn verifying_key(&self) -> &VerifyingKey {
        &self.verifying
    }

    /// The header of this key's tokens of one type, encoded once: `alg`, `typ` and `kid`.
    pub fn header(&self, typ: Option<&str>) -> EncodedHeader {
        EncodedHeader::of_key(self.algorithm(), typ, self.kid())
    }

    /// Signs a payload, byte for byte as given, with a header that names this key or none.
    pub fn sign(&self, header: &EncodedHeader, payload: &[u8]) -> Result<String, SignError> {
        let is_other = header.kid().is_some_and(|kid| kid != self.kid());
        if header.algorithm() != self.algorithm() || is_other {
            return Err(SignError::Header);
        }
        let failed = |_: Unspecified| SignError::Failed;
        let mut token = signing_input(header, payload, self.private.signature_length());
        let append = |token: &mut String, signature: &[u8]| {
            token.push('.');
            base64url::encode_onto(token, signature);
        };
        let message = token.as_bytes();
        match &self.private {
            Private::Secret(_) => {
                let key = self.verifying.hmac().ok_or(SignError::Failed)?;
                let tag = key.sign(message);
                append(&mut token, tag.as_ref());
            }
            Private::Rsa(pair) => {
                let padding = rsa_padding(self.algorithm()).ok_or(SignError::Failed)?;
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(padding, &SystemRandom::new(), message, &mut signature)
                    .map_err(failed)?;
                append(&mut token, &signature);
            }
            Private::Curve(pair, _) => {
                let signature = pair.sign(&SystemRandom::new(), message).map_err(failed)?;
                append(&mut token, signature.as_ref());
            }
            Private::Edwards(pair) => {
                let signature = pair.try_sign(message).map_err(failed)?;
                append(&mut token, signature.as_ref());
            }
        }
        Ok(token)
    }

    /// The key as it is stored: the secret of an HMAC algorithm, or else PKCS #8 in DER.
    pub fn private_bytes(&self) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        self.private.bytes()
    }

    /// The private key as a JWK with `use`, `alg` and `kid`, in one line.
    pub fn to_jwk(&self) -> Result<Zeroizing<String>, KeyError> {
        let private = self.private.members()?;
        let labels = self.verifying.labels();
        let public = self.verifying.public_members();
        let public = public.map_or_else(String::new, |members| format!("{members},"));
        Ok(Zeroizing::new(format!("{{{public}{},{labels}}}", *private)))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SigningKey")
            .field("algorithm", &self.algorithm())
            .field("kid", &self.kid())
            .finish_non_exhaustive()
    }
}

fn rsa_padding(algorithm: Algorithm) -> Option<&'static dyn RsaEncoding> {
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
