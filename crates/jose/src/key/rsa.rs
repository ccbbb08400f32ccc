//! RSA public keys. Keys that are too weak are refused.

use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::{ParsedPublicKey, RsaParameters};
use spki::der::asn1::UintRef;
use spki::der::{Decode as _, Reader as _, SliceReader};

use super::KeyError;

/// The minimum length of a modulus, in bits (RFC 7518 §3.3).
const LEAST_BITS: u32 = 2048;
/// The maximum length of a modulus, in bits, which is that of aws-lc.
const MOST_BITS: u32 = 8_192;

/// The minimum public exponent: smaller ones have made forgeries easy.
const LEAST_EXPONENT: u32 = 65_537;

/// Modulus and exponent, big-endian, without leading zeros.
pub(crate) struct RsaKey(PublicKeyComponents<Vec<u8>>);

impl RsaKey {
    /// Parses an `RSAPublicKey` (RFC 8017 §A.1.1): a sequence of modulus and exponent.
    pub(crate) fn from_pkcs1_der(der: &[u8]) -> Result<Self, KeyError> {
        let (n, e) = numbers(der).map_err(|_| KeyError::Malformed)?;
        Self::new(n.as_bytes().to_vec(), e.as_bytes().to_vec())
    }

    pub(crate) fn new(n: Vec<u8>, e: Vec<u8>) -> Result<Self, KeyError> {
        if n.first().is_none_or(|&byte| byte == 0) || e.first().is_none_or(|&byte| byte == 0) {
            return Err(KeyError::Malformed);
        }
        if bits(&n) > MOST_BITS {
            return Err(KeyError::Malformed);
        }
        if bits(&n) < LEAST_BITS || exponent(&e).is_none_or(|e| e < LEAST_EXPONENT || e % 2 == 0) {
            return Err(KeyError::WeakRsa);
        }
        if has_roca_fingerprint(&n) {
            return Err(KeyError::WeakRsa);
        }
        Ok(Self(PublicKeyComponents { n, e }))
    }

    /// Modulus and exponent.
    pub(crate) fn numbers(&self) -> [&[u8]; 2] {
        [&self.0.n, &self.0.e]
    }

    pub(crate) fn parsed(&self, scheme: &'static RsaParameters) -> Option<ParsedPublicKey> {
        self.0.to_parsed_public_key(scheme).ok()
    }
}

fn numbers(der: &[u8]) -> Result<(UintRef<'_>, UintRef<'_>), spki::der::Error> {
    let mut reader = SliceReader::new(der)?;
    let numbers = reader.sequence(|reader| {
        Ok::<_, spki::der::Error>((UintRef::decode(reader)?, UintRef::decode(reader)?))
    })?;
    reader.finish()?;
    Ok(numbers)
}

fn bits(big_endian: &[u8]) -> u32 {
    let leading = big_endian.first().map_or(0, |byte| byte.leading_zeros());
    u32::try_from(big_endian.len() * 8).unwrap_or(u32::MAX) - leading
}

/// The exponent as a number. aws-lc accepts up to 33 bits, but no exponent above 32 bits is in use.
fn exponent(big_endian: &[u8]) -> Option<u32> {
    let mut bytes = [0; 4];
    let start = bytes.len().checked_sub(big_endian.len())?;
    bytes[start..].copy_from_slice(big_endian);
    Some(u32::from_be_bytes(bytes))
}

/// Whether the modulus comes from the flawed generator of CVE-2017-15361 ("ROCA"), whose moduli are powers of 65537
/// modulo every small prime. One in 2^27 of all other moduli has this property too.
fn has_roca_fingerprint(n: &[u8]) -> bool {
    const SMALL_PRIMES: [u32; 38] = [
        3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89,
        97, 101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
    ];
    SMALL_PRIMES.into_iter().all(|prime| {
        let residue = n
            .iter()
            .fold(0, |rest, &byte| (rest * 256 + u32::from(byte)) % prime);
        let powers = std::iter::successors(Some(1), |power| Some(power * 65_537 % prime));
        powers.take(prime as usize).any(|power| power == residue)
    })
}
