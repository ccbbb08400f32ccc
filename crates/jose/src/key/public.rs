//! Public keys, for verification only. A key is bound to its algorithms when it is parsed.

use std::fmt;
use std::sync::OnceLock;

use aws_lc_rs::signature::{self, ParsedPublicKey, RsaParameters, VerificationAlgorithm};
use spki::der::asn1::{AnyRef, BitStringRef};
use spki::der::{self, Decode as _, Reader as _, SliceReader, Tag, Tagged as _};
use spki::{AlgorithmIdentifierRef, ObjectIdentifier, SubjectPublicKeyInfoRef};

use super::jwk::Jwk;
use super::rsa::RsaKey;
use super::{KeyError, pem};
use crate::Algorithm;

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

/// The name of RFC 8037, and the one of RFC 9864 that replaces it.
const ED25519_ALGORITHMS: [Algorithm; 2] = [Algorithm::EdDSA, Algorithm::Ed25519];

/// The length of an Ed25519 public key, in bytes.
const ED25519_LENGTH: usize = 32;

/// A public key and the algorithms it may verify.
pub struct PublicKey {
    numbers: Numbers,
    /// Parsed at the first use with each algorithm, since most keys are used with one only.
    allowed: Vec<(Algorithm, OnceLock<Option<ParsedPublicKey>>)>,
}

enum Numbers {
    Rsa(RsaKey),
    /// A curve point or an Ed25519 key, in the encoding of aws-lc.
    Point(Vec<u8>),
}

impl PublicKey {
    /// Parses the first block of a PEM text (RFC 7468): `PUBLIC KEY`, `RSA PUBLIC KEY`, or `CERTIFICATE`. Of a
    /// certificate, only the key is used.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        if pem::has_private_key(text) {
            return Err(KeyError::Private);
        }
        let block = pem::first_block(text)?;
        match block.label {
            "PUBLIC KEY" => Self::from_spki_der(&block.der),
            "RSA PUBLIC KEY" => Self::rsa(RsaKey::from_pkcs1_der(&block.der)?, None),
            "CERTIFICATE" => {
                Self::of_info(&certified_key(&block.der).map_err(|_| KeyError::Malformed)?)
            }
            _ => Err(KeyError::Unsupported),
        }
    }

    /// Parses a `SubjectPublicKeyInfo` (RFC 5280 §4.1.2.7).
    pub fn from_spki_der(der: &[u8]) -> Result<Self, KeyError> {
        let info = SubjectPublicKeyInfoRef::from_der(der).map_err(|_| KeyError::Malformed)?;
        Self::of_info(&info)
    }

    fn of_info(info: &SubjectPublicKeyInfoRef<'_>) -> Result<Self, KeyError> {
        let key = info
            .subject_public_key
            .as_bytes()
            .ok_or(KeyError::Malformed)?;
        let algorithm = match info.algorithm.oid {
            RSA_ENCRYPTION => return Self::rsa(RsaKey::from_pkcs1_der(key)?, None),
            ED25519 => return Self::edwards(key.to_vec(), None),
            EC_PUBLIC_KEY => match info.algorithm.parameters_oid() {
                Ok(P_256) => Algorithm::ES256,
                Ok(P_384) => Algorithm::ES384,
                Ok(P_521) => Algorithm::ES512,
                _ => return Err(KeyError::Unsupported),
            },
            _ => return Err(KeyError::Unsupported),
        };
        Self::new(Numbers::Point(key.to_vec()), &[algorithm], None)
    }

    /// Parses a JWK (RFC 7517) of type `RSA`, `EC` or `OKP`, and applies its `use`, `key_ops` and `alg`.
    pub fn from_jwk(text: &str) -> Result<Self, KeyError> {
        Self::of_jwk(&Jwk::parse(text)?)
    }

    pub(crate) fn of_jwk(jwk: &Jwk<'_>) -> Result<Self, KeyError> {
        if jwk.is_private() {
            return Err(KeyError::Private);
        }
        let bound = jwk.bound_algorithm()?;
        let kty = jwk.text("kty")?;
        let curve = match &*kty {
            "RSA" => return Self::rsa(RsaKey::new(jwk.bytes("n")?, jwk.bytes("e")?)?, bound),
            "EC" | "OKP" => jwk.text("crv")?,
            _ => return Err(KeyError::Unsupported),
        };
        let (algorithm, length) = match (&*kty, &*curve) {
            ("EC", "P-256") => (Algorithm::ES256, 32),
            ("EC", "P-384") => (Algorithm::ES384, 48),
            ("EC", "P-521") => (Algorithm::ES512, 66),
            ("OKP", "Ed25519") => return Self::edwards(jwk.bytes("x")?, bound),
            _ => return Err(KeyError::Unsupported),
        };
        let (x, y) = (jwk.bytes("x")?, jwk.bytes("y")?);
        if x.len() != length || y.len() != length {
            return Err(KeyError::Malformed);
        }
        // The uncompressed point of SEC 1 §2.3.3.
        let point = [&[4], &x[..], &y[..]].concat();
        Self::new(Numbers::Point(point), &[algorithm], bound)
    }

    /// The algorithms this key may verify.
    pub fn algorithms(&self) -> impl Iterator<Item = Algorithm> {
        self.allowed.iter().map(|(algorithm, _)| *algorithm)
    }

    /// Whether `signature` is this key's signature of `message`. False for an algorithm that the key may not verify.
    pub fn verifies(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        self.parsed(algorithm)
            .is_some_and(|key| key.verify_sig(message, signature).is_ok())
    }

    fn rsa(key: RsaKey, bound: Option<Algorithm>) -> Result<Self, KeyError> {
        Self::new(Numbers::Rsa(key), &RSA_ALGORITHMS, bound)
    }

    fn edwards(point: Vec<u8>, bound: Option<Algorithm>) -> Result<Self, KeyError> {
        if point.len() != ED25519_LENGTH {
            return Err(KeyError::Malformed);
        }
        Self::new(Numbers::Point(point), &ED25519_ALGORITHMS, bound)
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

/// The key of a certificate (RFC 5280 §4.1). Names and extensions are skipped without being parsed, so that their
/// number costs nothing.
fn certified_key(certificate: &[u8]) -> Result<SubjectPublicKeyInfoRef<'_>, der::Error> {
    /// Serial number, signature algorithm, issuer, validity, subject.
    const BEFORE_KEY: [Tag; 5] = [
        Tag::Integer,
        Tag::Sequence,
        Tag::Sequence,
        Tag::Sequence,
        Tag::Sequence,
    ];
    let mut reader = SliceReader::new(certificate)?;
    let key = reader.sequence(|certificate| {
        let key = certificate.sequence(|signed| {
            if Tag::peek(signed)?.is_context_specific() {
                signed.tlv_bytes()?;
            }
            for tag in BEFORE_KEY {
                AnyRef::decode(signed)?.tag().assert_eq(tag)?;
            }
            let key = SubjectPublicKeyInfoRef::decode(signed)?;
            while !signed.is_finished() {
                signed.tlv_bytes()?;
            }
            Ok::<_, der::Error>(key)
        })?;
        AlgorithmIdentifierRef::decode(certificate)?;
        BitStringRef::decode(certificate)?;
        Ok::<_, der::Error>(key)
    })?;
    reader.finish()?;
    Ok(key)
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
        Algorithm::EdDSA | Algorithm::Ed25519 => &signature::ED25519,
        _ => return None,
    })
}
