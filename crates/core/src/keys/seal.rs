//! Sealing: the secret of a key is encrypted by a master key (AES-256-GCM), and bound to the key's row.
//!
//! Invariant: what was sealed for one key opens as no other, because its id, purpose and algorithm are authenticated
//! with it.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::digest;
use aws_lc_rs::error::Unspecified;
use keyward_jose::Algorithm;
use zeroize::Zeroizing;

use super::{Kid, Purpose, StoredKey};
use crate::hex;
use crate::random::Random;

/// A master key: 256 random bits.
#[derive(Clone, PartialEq, Eq)]
pub struct MasterKey(Zeroizing<[u8; Self::LENGTH]>);

/// The id of a master key: the beginning of a hash of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MasterId(i64);

/// An encrypted secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The master key that it was sealed by.
    pub master: MasterId,
    /// The nonce, the ciphertext and the tag.
    pub bytes: Vec<u8>,
}

impl MasterKey {
    /// Its length, in bytes.
    const LENGTH: usize = 32;

    /// Draws a master key.
    #[must_use]
    pub fn random(random: &dyn Random) -> Self {
        let mut bytes = Zeroizing::new([0; Self::LENGTH]);
        random.fill(&mut *bytes);
        Self(bytes)
    }

    /// Reads 64 hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = Zeroizing::new(hex::decode(text)?);
        let bytes: &[u8; Self::LENGTH] = bytes.as_slice().try_into().ok()?;
        Some(Self(Zeroizing::new(*bytes)))
    }

    /// What [`Self::parse`] reads.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(hex::encode(&*self.0))
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> MasterId {
        let mut hash = digest::Context::new(&digest::SHA256);
        hash.update(b"keyward master key id v1");
        hash.update(&*self.0);
        let hash = hash.finish();
        let first = hash.as_ref().first_chunk().copied().unwrap_or_default();
        MasterId(i64::from_be_bytes(first))
    }

    /// Encrypts the secret of a key.
    ///
    /// # Errors
    /// For a secret of many gigabytes.
    pub(super) fn seal(
        &self,
        bound: Bound,
        secret: &[u8],
        random: &dyn Random,
    ) -> Result<Sealed, Unspecified> {
        let mut nonce = [0; NONCE_LEN];
        random.fill(&mut nonce);
        // Has room for the tag, so that no copy of the secret is left behind.
        let mut text = Zeroizing::new(Vec::with_capacity(secret.len() + AES_256_GCM.tag_len()));
        text.extend_from_slice(secret);
        let at = Nonce::assume_unique_for_key(nonce);
        self.cipher()?
            .seal_in_place_append_tag(at, bound.aad(), &mut *text)?;
        Ok(Sealed {
            master: self.id(),
            bytes: [nonce.as_slice(), &text].concat(),
        })
    }

    /// Decrypts the secret of a key.
    ///
    /// # Errors
    /// When these bytes were not sealed for this key by this master key.
    pub(super) fn open(
        &self,
        bound: Bound,
        sealed: &Sealed,
    ) -> Result<Zeroizing<Vec<u8>>, Unspecified> {
        let (nonce, text) = sealed.bytes.split_first_chunk().ok_or(Unspecified)?;
        let mut text = Zeroizing::new(text.to_vec());
        let at = Nonce::assume_unique_for_key(*nonce);
        let length = self
            .cipher()?
            .open_in_place(at, bound.aad(), &mut text)?
            .len();
        text.truncate(length);
        Ok(text)
    }

    fn cipher(&self) -> Result<LessSafeKey, Unspecified> {
        Ok(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &*self.0)?))
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({})", self.id())
    }
}

impl MasterId {
    /// The id that is stored as `number`.
    #[must_use]
    pub const fn from_number(number: i64) -> Self {
        Self(number)
    }

    /// The number that is stored.
    #[must_use]
    pub const fn number(self) -> i64 {
        self.0
    }
}

impl fmt::Display for MasterId {
    /// 16 hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed(by {})", self.master)
    }
}

/// What a secret is bound to.
#[derive(Clone, Copy)]
pub(super) struct Bound {
    pub(super) kid: Kid,
    pub(super) purpose: Purpose,
    pub(super) algorithm: Algorithm,
}

impl Bound {
    pub(super) fn of(key: &StoredKey) -> Self {
        Self {
            kid: key.kid,
            purpose: key.purpose,
            algorithm: key.algorithm,
        }
    }

    fn aad(self) -> Aad<Vec<u8>> {
        let Self {
            kid,
            purpose,
            algorithm,
        } = self;
        let (purpose, algorithm) = (purpose.name(), algorithm.name());
        Aad::from(format!("keyward key v1 {kid} {purpose} {algorithm}").into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SeededRandom;

    #[test]
    fn a_secret_opens_for_its_row_and_its_master_key_alone() {
        let random = SeededRandom::new(1);
        let master = MasterKey::random(&random);
        let row = Bound {
            kid: Kid::random(&random),
            purpose: Purpose::Access,
            algorithm: Algorithm::HS256,
        };
        let sealed = master.seal(row, b"secret", &random).expect("sealed");
        assert_eq!(**master.open(row, &sealed).expect("opened"), *b"secret");
        assert_ne!(
            sealed,
            master.seal(row, b"secret", &random).expect("sealed")
        );
        assert!(!sealed.bytes.windows(6).any(|part| part == b"secret"));

        let others = [
            Bound {
                kid: Kid::random(&random),
                ..row
            },
            Bound {
                purpose: Purpose::Refresh,
                ..row
            },
            Bound {
                algorithm: Algorithm::HS384,
                ..row
            },
        ];
        assert!(
            others
                .iter()
                .all(|other| master.open(*other, &sealed).is_err())
        );
        assert!(MasterKey::random(&random).open(row, &sealed).is_err());
        for index in 0..sealed.bytes.len() {
            let mut changed = sealed.clone();
            changed.bytes[index] ^= 1;
            assert!(master.open(row, &changed).is_err(), "byte {index}");
            changed.bytes.truncate(index);
            assert!(master.open(row, &changed).is_err(), "{index} bytes");
        }
    }

    #[test]
    fn a_master_key_has_one_text_and_an_id_that_does_not_tell_it() {
        let master = MasterKey::random(&SeededRandom::new(2));
        let text = master.to_text();
        assert_eq!(MasterKey::parse(&text), Some(master.clone()));
        for other in ["", &text[1..], &text.to_uppercase(), &format!("{} ", *text)] {
            assert_eq!(MasterKey::parse(other), None, "{other}");
        }
        let shown = format!("{master:?}");
        assert!(shown.contains(&master.id().to_string()) && !shown.contains(&text[..16]));
        assert_eq!(MasterId::from_number(master.id().number()), master.id());
    }
}
