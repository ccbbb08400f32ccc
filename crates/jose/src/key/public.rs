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
use crate::{Algorithm, base64url};

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

/// The encodings of the points of small order on Ed25519, without the sign bit: everybody can sign for such a key. The
/// last two are not canonical (RFC 8032 §5.1.3).
const SMALL_ORDER: [&str; 7] = [
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "JuiVj8KyJ7BFw_SJ8u-Y8NXfrAXTxjM5sTgCiG1T_AU",
    "xxdqcD1N2E-6PAt2DRBnDyogU_osOczGTsf9d5KsA3o",
    "7P_______________________________________38",
    "7f_______________________________________38",
    "7v_______________________________________38",
];

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
            "RSA PUBLIC KEY" => Self::rsa_from_der(&block.der),
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
            RSA_ENCRYPTION => return Self::rsa_from_der(key),
            ED25519 => return Self::edwards(key, None),
            EC_PUBLIC_KEY => match info.algorithm.parameters_oid() {
                Ok(P_256) => Algorithm::ES256,
                Ok(P_384) => Algorithm::ES384,
                Ok(P_521) => Algorithm::ES512,
                _ => return Err(KeyError::Unsupported),
            },
            _ => return Err(KeyError::Unsupported),
        };
        Self::point(algorithm, key, None)
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
        if kty == "RSA" {
            return Self::rsa(RsaKey::new(jwk.bytes("n")?, jwk.bytes("e")?)?, bound);
        }
        if jwk.is_ed25519() {
            return Self::edwards(&jwk.bytes("x")?, bound);
        }
        let algorithm = jwk.curve_algorithm()?;
        Self::point(algorithm, &jwk.point(algorithm)?, bound)
    }

    /// The algorithm that is named, or else the one that the key's type leaves no choice of.
    pub(crate) fn choose(&self, named: Option<Algorithm>) -> Result<Algorithm, KeyError> {
        let algorithm = match (named, &*self.allowed) {
            (Some(named), _) => named,
            // The two names of Ed25519 mean the same algorithm.
            (None, [(only, _)] | [(only @ Algorithm::EdDSA, _), ..]) => *only,
            (None, _) => return Err(KeyError::NoAlgorithm),
        };
        self.parsed(algorithm).ok_or(KeyError::OtherUse)?;
        Ok(algorithm)
    }

    /// The members of the JWK that are the key, without braces, in the order of RFC 7638 §3.3. `None` for a point that
    /// is not in its uncompressed form.
    pub(crate) fn members(&self) -> Option<String> {
        let (algorithm, _) = self.allowed.first()?;
        match (&self.numbers, algorithm) {
            (Numbers::Rsa(key), _) => {
                let [n, e] = key.numbers().map(base64url::encode);
                Some(format!(r#""e":"{e}","kty":"RSA","n":"{n}""#))
            }
            (Numbers::Point(point), Algorithm::EdDSA | Algorithm::Ed25519) => {
                let x = base64url::encode(point);
                Some(format!(r#""crv":"Ed25519","kty":"OKP","x":"{x}""#))
            }
            (Numbers::Point(point), algorithm) => {
                let (4, both) = point.split_first()? else {
                    return None;
                };
                let (curve, length) = algorithm.curve()?;
                let (x, y) = both.split_at_checked(length)?;
                let (x, y) = (base64url::encode(x), base64url::encode(y));
                Some(format!(r#""crv":"{curve}","kty":"EC","x":"{x}","y":"{y}""#))
            }
        }
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

    /// Parses an `RSAPublicKey` (RFC 8017 §A.1.1).
    pub(crate) fn rsa_from_der(der: &[u8]) -> Result<Self, KeyError> {
        Self::rsa(RsaKey::from_pkcs1_der(der)?, None)
    }

    fn rsa(key: RsaKey, bound: Option<Algorithm>) -> Result<Self, KeyError> {
        Self::new(Numbers::Rsa(key), &RSA_ALGORITHMS, bound)
    }

    /// A point (SEC 1 §2.3.3) of the curve of an algorithm.
    pub(crate) fn point(
        algorithm: Algorithm,
        point: &[u8],
        bound: Option<Algorithm>,
    ) -> Result<Self, KeyError> {
        Self::new(Numbers::Point(point.to_vec()), &[algorithm], bound)
    }

    pub(crate) fn edwards(point: &[u8], bound: Option<Algorithm>) -> Result<Self, KeyError> {
        if point.len() != ED25519_LENGTH {
            return Err(KeyError::Malformed);
        }
        if has_small_order(point) {
            return Err(KeyError::WeakPoint);
        }
        Self::new(Numbers::Point(point.to_vec()), &ED25519_ALGORITHMS, bound)
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

fn has_small_order(point: &[u8]) -> bool {
    let mut point = point.to_vec();
    if let Some(last) = point.last_mut() {
        *last &= 0x7F;
    }
    SMALL_ORDER.contains(&&*base64url::encode(point))
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
