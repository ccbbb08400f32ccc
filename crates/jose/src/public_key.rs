//! Public keys, for verification only. Which algorithms a key serves is settled when it is read.

use std::fmt;
use std::sync::OnceLock;

use aws_lc_rs::signature::{self, ParsedPublicKey, RsaParameters, VerificationAlgorithm};
use x509_cert::Certificate;
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::der::{Decode, Encode, pem};
use x509_cert::spki::SubjectPublicKeyInfoRef;

use crate::Algorithm;
use crate::jwk::Jwk;
use crate::rsa::RsaKey;

const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P_384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P_521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

const RSA_ALGORITHMS: [Algorithm; 6] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];

/// Why a text is no public key to verify with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It holds a private key, which nobody should have sent.
    #[error("this is a private key: only its public half belongs here")]
    Private,
    /// It is not a key in a form that can be read.
    #[error("the key cannot be read")]
    Malformed,
    /// It is a key of a kind or on a curve that is not supported.
    #[error("keys of this kind are not supported")]
    Unsupported,
    /// Its own `use`, `key_ops` or `alg` does not allow verifying, or not with such a key.
    #[error("the key is meant for something else")]
    OtherUse,
    /// An RSA key under 2048 bits, with an exponent under 65537, or from a generator known broken.
    #[error("the RSA key is too weak")]
    WeakRsa,
}

/// A public key and the algorithms it may verify.
pub struct PublicKey {
    numbers: Numbers,
    /// Parsed at the first use under each algorithm: most keys are ever used under one.
    allowed: Vec<(Algorithm, OnceLock<Option<ParsedPublicKey>>)>,
}

enum Numbers {
    Rsa(RsaKey),
    /// A curve point or an Ed25519 key, as aws-lc reads it.
    Point(Vec<u8>),
}

impl PublicKey {
    /// Reads the first block of a PEM text (RFC 7468): `PUBLIC KEY`, `RSA PUBLIC KEY`, or a
    /// `CERTIFICATE`, of which only the key counts.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        if text
            .match_indices(PEM_BEGIN)
            .any(|(at, _)| label(&text[at..]).contains("PRIVATE KEY"))
        {
            return Err(KeyError::Private);
        }
        let block = first_block(text).ok_or(KeyError::Malformed)?;
        let mut der = Vec::new();
        let mut decoder =
            pem::Decoder::new_detect_wrap(block.as_bytes()).map_err(|_| KeyError::Malformed)?;
        decoder
            .decode_to_end(&mut der)
            .map_err(|_| KeyError::Malformed)?;
        match decoder.type_label() {
            "PUBLIC KEY" => Self::from_spki_der(&der),
            "RSA PUBLIC KEY" => Self::rsa(RsaKey::from_pkcs1_der(&der)?, None),
            "CERTIFICATE" => {
                let certificate = Certificate::from_der(&der).map_err(|_| KeyError::Malformed)?;
                let key = certificate
                    .tbs_certificate()
                    .subject_public_key_info()
                    .to_der();
                Self::from_spki_der(&key.map_err(|_| KeyError::Malformed)?)
            }
            _ => Err(KeyError::Unsupported),
        }
    }

    /// Reads a `SubjectPublicKeyInfo` (RFC 5280 §4.1.2.7).
    pub fn from_spki_der(der: &[u8]) -> Result<Self, KeyError> {
        let info = SubjectPublicKeyInfoRef::from_der(der).map_err(|_| KeyError::Malformed)?;
        let key = info
            .subject_public_key
            .as_bytes()
            .ok_or(KeyError::Malformed)?;
        let algorithm = match info.algorithm.oid {
            RSA_ENCRYPTION => return Self::rsa(RsaKey::from_pkcs1_der(key)?, None),
            ED25519 => Algorithm::EdDSA,
            EC_PUBLIC_KEY => match info.algorithm.parameters_oid() {
                Ok(P_256) => Algorithm::ES256,
                Ok(P_384) => Algorithm::ES384,
                Ok(P_521) => Algorithm::ES512,
                _ => return Err(KeyError::Unsupported),
            },
            _ => return Err(KeyError::Unsupported),
        };
        Self::point(algorithm, key.to_vec(), None)
    }

    /// Reads a JWK (RFC 7517) of the kinds `RSA`, `EC` and `OKP`; its `use`, `key_ops` and `alg`
    /// bind it.
    pub fn from_jwk(text: &str) -> Result<Self, KeyError> {
        Self::of_jwk(&Jwk::parse(text)?)
    }

    pub(crate) fn of_jwk(jwk: &Jwk<'_>) -> Result<Self, KeyError> {
        if jwk.is_private() {
            return Err(KeyError::Private);
        }
        let bound = jwk.bound_algorithm()?;
        let curve = match &*jwk.text("kty")? {
            "RSA" => return Self::rsa(RsaKey::new(jwk.bytes("n")?, jwk.bytes("e")?)?, bound),
            "EC" | "OKP" => jwk.text("crv")?,
            _ => return Err(KeyError::Unsupported),
        };
        let (algorithm, length) = match &*curve {
            "P-256" => (Algorithm::ES256, 32),
            "P-384" => (Algorithm::ES384, 48),
            "P-521" => (Algorithm::ES512, 66),
            "Ed25519" => (Algorithm::EdDSA, 32),
            _ => return Err(KeyError::Unsupported),
        };
        let is_edwards = algorithm == Algorithm::EdDSA;
        let x = jwk.bytes("x")?;
        if jwk.is("kty", "OKP") != is_edwards || x.len() != length {
            return Err(KeyError::Malformed);
        }
        if is_edwards {
            return Self::point(algorithm, x, bound);
        }
        let y = jwk.bytes("y")?;
        if y.len() != length {
            return Err(KeyError::Malformed);
        }
        // The uncompressed point of SEC 1 §2.3.3.
        Self::point(algorithm, [&[4], &x[..], &y[..]].concat(), bound)
    }

    /// The algorithms this key may verify.
    pub fn algorithms(&self) -> impl Iterator<Item = Algorithm> {
        self.allowed.iter().map(|(algorithm, _)| *algorithm)
    }

    /// Whether `signature` is this key's for `message`, under an algorithm the key may verify.
    pub fn verifies(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        self.parsed(algorithm)
            .is_some_and(|key| key.verify_sig(message, signature).is_ok())
    }

    fn rsa(key: RsaKey, bound: Option<Algorithm>) -> Result<Self, KeyError> {
        Self::new(Numbers::Rsa(key), &RSA_ALGORITHMS, bound)
    }

    fn point(
        algorithm: Algorithm,
        point: Vec<u8>,
        bound: Option<Algorithm>,
    ) -> Result<Self, KeyError> {
        Self::new(Numbers::Point(point), &[algorithm], bound)
    }

    fn new(
        numbers: Numbers,
        able: &[Algorithm],
        bound: Option<Algorithm>,
    ) -> Result<Self, KeyError> {
        let allowed = able
            .iter()
            .filter(|able| bound.is_none_or(|bound| bound == **able));
        let allowed: Vec<_> = allowed.map(|able| (*able, OnceLock::new())).collect();
        let (first, _) = *allowed.first().ok_or(KeyError::OtherUse)?;
        let key = Self { numbers, allowed };
        key.parsed(first).ok_or(KeyError::Malformed)?;
        Ok(key)
    }

    fn parsed(&self, algorithm: Algorithm) -> Option<&ParsedPublicKey> {
        let (_, slot) = self
            .allowed
            .iter()
            .find(|(allowed, _)| *allowed == algorithm)?;
        slot.get_or_init(|| match &self.numbers {
            Numbers::Rsa(key) => key.parsed(rsa_scheme(algorithm)?),
            Numbers::Point(point) => ParsedPublicKey::new(curve_scheme(algorithm)?, point).ok(),
        })
        .as_ref()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let algorithms: Vec<_> = self.algorithms().collect();
        formatter
            .debug_struct("PublicKey")
            .field("algorithms", &algorithms)
            .finish_non_exhaustive()
    }
}

/// What every PEM block begins with.
pub(crate) const PEM_BEGIN: &str = "-----BEGIN";

fn first_block(text: &str) -> Option<&str> {
    let block = &text[text.find(PEM_BEGIN)?..];
    let end = block.find("-----END")?;
    let length = block[end..]
        .find('\n')
        .map_or(block.len(), |line| end + line);
    Some(block[..length].trim_end())
}

/// The rest of the first line, which names what the block holds.
fn label(block: &str) -> &str {
    block.lines().next().unwrap_or_default()
}

fn rsa_scheme(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    Some(match algorithm {
        Algorithm::RS256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        Algorithm::RS384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        Algorithm::RS512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        Algorithm::PS256 => &signature::RSA_PSS_2048_8192_SHA256,
        Algorithm::PS384 => &signature::RSA_PSS_2048_8192_SHA384,
        Algorithm::PS512 => &signature::RSA_PSS_2048_8192_SHA512,
        _ => return None,
    })
}

fn curve_scheme(algorithm: Algorithm) -> Option<&'static dyn VerificationAlgorithm> {
    Some(match algorithm {
        Algorithm::ES256 => &signature::ECDSA_P256_SHA256_FIXED,
        Algorithm::ES384 => &signature::ECDSA_P384_SHA384_FIXED,
        Algorithm::ES512 => &signature::ECDSA_P521_SHA512_FIXED,
        Algorithm::EdDSA => &signature::ED25519,
        _ => return None,
    })
}
