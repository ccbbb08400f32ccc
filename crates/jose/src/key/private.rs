//! Private keys of every type, as they are read and written: PKCS #8, PKCS #1, SEC 1 and JWK.
//!
//! Invariant: the text of a private number is zeroed when it is dropped.

use aws_lc_rs::encoding::AsBigEndian as _;
use aws_lc_rs::encoding::{AsDer as _, Curve25519SeedBin, EcPrivateKeyBin, Pkcs8V1Der};
use aws_lc_rs::error::{KeyRejected, Unspecified};
use aws_lc_rs::rsa::{KeyPair as RsaPair, KeyPairComponents, PublicKeyComponents};
use aws_lc_rs::signature::{self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair};
use spki::AlgorithmIdentifierRef;
use spki::der::asn1::{OctetStringRef, UintRef};
use spki::der::{self, Decode as _, Reader as _, SliceReader};
use zeroize::Zeroizing;

use super::KeyError;
use super::jwk::Jwk;
use super::rsa::RsaKey;
use super::verifying::{member, secret_members};
use crate::Algorithm;

/// A private key that is not bound to an algorithm.
pub(super) enum Private {
    Secret(Zeroizing<Vec<u8>>),
    Rsa(RsaPair),
    /// A key pair, and the algorithm of its curve.
    Curve(EcdsaKeyPair, Algorithm),
    Edwards(Ed25519KeyPair),
}

impl Private {
    /// Parses an unencrypted private key: PKCS #8, PKCS #1 or SEC 1.
    pub(super) fn of_der(der: &[u8]) -> Result<Self, KeyError> {
        let of_curve = |own| {
            let pair = EcdsaKeyPair::from_private_key_der(curve_scheme(own)?, der);
            Some(Self::Curve(pair.ok()?, own))
        };
        if let Some([n, e, ..]) = rsa_numbers(der) {
            // aws-lc reads no key of less than 2,048 bits. The public numbers are checked first, so that a weak key is
            // reported as weak.
            RsaKey::new(n.to_vec(), e.to_vec())?;
            let pair = RsaPair::from_pkcs8(der).or_else(|_| RsaPair::from_der(der));
            let pair = pair.map_err(|_| KeyError::Malformed)?;
            return Ok(Self::Rsa(pair));
        }
        let private = [Algorithm::ES256, Algorithm::ES384, Algorithm::ES512]
            .into_iter()
            .find_map(of_curve)
            .or_else(|| Ed25519KeyPair::from_pkcs8(der).ok().map(Self::Edwards));
        private.ok_or(KeyError::Malformed)
    }

    /// Parses a private JWK of type `RSA`, `EC` or `OKP`.
    pub(super) fn of_jwk(jwk: &Jwk<'_>) -> Result<Self, KeyError> {
        if !jwk.is_private() {
            return Err(KeyError::NotPrivate);
        }
        let secret = |name| jwk.bytes(name).map(Zeroizing::new);
        let malformed = |_: KeyRejected| KeyError::Malformed;
        let kty = jwk.text("kty")?;
        let d = secret("d")?;
        if kty == "RSA" {
            if jwk.has("oth") || !jwk.has("p") {
                return Err(KeyError::Unsupported);
            }
            let (n, e) = (jwk.bytes("n")?, jwk.bytes("e")?);
            // The public numbers are checked first, so that a weak key is reported as weak.
            RsaKey::new(n.clone(), e.clone())?;
            let pair = RsaPair::from_components(&KeyPairComponents {
                public_key: PublicKeyComponents { n, e },
                d,
                p: secret("p")?,
                q: secret("q")?,
                dP: secret("dp")?,
                dQ: secret("dq")?,
                qInv: secret("qi")?,
            });
            return Ok(Self::Rsa(pair.map_err(malformed)?));
        }
        if jwk.is_ed25519() {
            let pair = Ed25519KeyPair::from_seed_and_public_key(&d, &jwk.bytes("x")?);
            return Ok(Self::Edwards(pair.map_err(malformed)?));
        }
        let own = jwk.curve_algorithm()?;
        let scheme = curve_scheme(own).ok_or(KeyError::Unsupported)?;
        if own.curve().is_none_or(|(_, length)| d.len() != length) {
            return Err(KeyError::Malformed);
        }
        let pair = EcdsaKeyPair::from_private_key_and_public_key(scheme, &d, &jwk.point(own)?);
        Ok(Self::Curve(pair.map_err(malformed)?, own))
    }

    /// The secret, or the key as PKCS #8.
    pub(super) fn bytes(&self) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let der = |der: Result<Pkcs8V1Der<'_>, Unspecified>| {
            let der = der.map_err(|_| KeyError::Unsupported)?;
            Ok(Zeroizing::new(der.as_ref().to_vec()))
        };
        match self {
            Self::Secret(bytes) => Ok(bytes.clone()),
            Self::Rsa(pair) => der(pair.as_der()),
            Self::Edwards(pair) => der(pair.as_der()),
            Self::Curve(pair, _) => {
                let document = pair.to_pkcs8v1().map_err(|_| KeyError::Unsupported)?;
                Ok(Zeroizing::new(document.as_ref().to_vec()))
            }
        }
    }

    /// The private members of the JWK. Those of a secret are all but its labels.
    pub(super) fn members(&self) -> Result<Zeroizing<String>, KeyError> {
        let unsupported = |_: Unspecified| KeyError::Unsupported;
        Ok(match self {
            Self::Secret(bytes) => secret_members(bytes),
            Self::Rsa(_) => {
                let pkcs8 = self.bytes()?;
                rsa_private_members(&pkcs8).ok_or(KeyError::Unsupported)?
            }
            Self::Curve(pair, _) => {
                let d: EcPrivateKeyBin<'_> =
                    pair.private_key().as_be_bytes().map_err(unsupported)?;
                member("d", d.as_ref())
            }
            Self::Edwards(pair) => {
                let seed = pair.seed().map_err(unsupported)?;
                let d: Curve25519SeedBin<'_> = seed.as_be_bytes().map_err(unsupported)?;
                member("d", d.as_ref())
            }
        })
    }

    /// The length of the key's signatures, or a longer one, in bytes.
    pub(super) fn signature_length(&self) -> usize {
        match self {
            Self::Rsa(pair) => pair.public_modulus_len(),
            Self::Curve(_, own) => own.curve().map_or(0, |(_, length)| 2 * length),
            Self::Secret(_) | Self::Edwards(_) => 64,
        }
    }
}

/// The private members of an RSA key's JWK, from its PKCS #8.
fn rsa_private_members(pkcs8: &[u8]) -> Option<Zeroizing<String>> {
    const NAMES: [&str; 6] = ["d", "p", "q", "dp", "dq", "qi"];
    let [_, _, numbers @ ..] = rsa_numbers(pkcs8)?;
    // Room for all, so that no copy of the text is left behind.
    let mut members = Zeroizing::new(String::with_capacity(pkcs8.len() * 2));
    for (name, number) in NAMES.iter().zip(numbers) {
        if !members.is_empty() {
            members.push(',');
        }
        members.push_str(&member(name, number));
    }
    Some(members)
}

/// The numbers of an `RSAPrivateKey` (RFC 8017 §A.1.2), bare or in PKCS #8: n, e, d, p, q, dp, dq and qi.
fn rsa_numbers(der: &[u8]) -> Option<[&[u8]; 8]> {
    let of_pkcs1 = |der| {
        SliceReader::new(der)?.sequence(|key| {
            UintRef::decode(key)?;
            let mut numbers = [&[][..]; 8];
            for number in &mut numbers {
                *number = UintRef::decode(key)?.as_bytes();
            }
            Ok::<_, der::Error>(numbers)
        })
    };
    let of_pkcs8 = |der| {
        SliceReader::new(der)?.sequence(|info| {
            UintRef::decode(info)?;
            AlgorithmIdentifierRef::decode(info)?;
            let key = <&OctetStringRef>::decode(info)?.as_bytes();
            // Attributes may follow.
            while !info.is_finished() {
                info.tlv_bytes()?;
            }
            Ok::<_, der::Error>(key)
        })
    };
    of_pkcs8(der)
        .and_then(of_pkcs1)
        .or_else(|_| of_pkcs1(der))
        .ok()
}

pub(super) fn curve_scheme(algorithm: Algorithm) -> Option<&'static EcdsaSigningAlgorithm> {
    Some(match algorithm {
        Algorithm::ES256 => &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
        Algorithm::ES384 => &signature::ECDSA_P384_SHA384_FIXED_SIGNING,
        Algorithm::ES512 => &signature::ECDSA_P521_SHA512_FIXED_SIGNING,
        _ => return None,
    })
}
