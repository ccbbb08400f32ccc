//! Keys derived with PBKDF2 or scrypt.
//!
//! Invariant: a [`Derived`] exists only with costs within the caps and a key of the length that its format requires.

use std::num::NonZeroU32;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::pbkdf2;
use scrypt::Params;

use super::super::MOST_MEMORY_KIB;

/// The maximum number of PBKDF2 iterations.
const MOST_ITERATIONS: u32 = 5_000_000;

/// The digests PBKDF2 is used with.
#[derive(Clone, Copy)]
pub(super) enum Digest {
    Sha1,
    Sha256,
    Sha512,
}

/// A derived key and the parameters of its derivation.
pub(super) struct Derived {
    function: Function,
    salt: Vec<u8>,
    key: Vec<u8>,
}

enum Function {
    Pbkdf2(pbkdf2::Algorithm, NonZeroU32),
    Scrypt(Params),
}

impl Derived {
    /// A PBKDF2 key as long as its digest.
    pub(super) fn pbkdf2(
        digest: Digest,
        iterations: u32,
        salt: Vec<u8>,
        key: Vec<u8>,
    ) -> Option<Self> {
        let (algorithm, length) = match digest {
            Digest::Sha1 => (pbkdf2::PBKDF2_HMAC_SHA1, 20),
            Digest::Sha256 => (pbkdf2::PBKDF2_HMAC_SHA256, 32),
            Digest::Sha512 => (pbkdf2::PBKDF2_HMAC_SHA512, 64),
        };
        if iterations > MOST_ITERATIONS || key.len() != length {
            return None;
        }
        let function = Function::Pbkdf2(algorithm, NonZeroU32::new(iterations)?);
        Some(Self {
            function,
            salt,
            key,
        })
    }

    /// A scrypt key of cost `n`, a power of two above 1, block size `r` and `p` passes.
    pub(super) fn scrypt((n, r, p): (u32, u32, u32), salt: Vec<u8>, key: Vec<u8>) -> Option<Self> {
        let bytes = [r, p]
            .into_iter()
            .try_fold(128 * u64::from(n), |bytes, factor| {
                bytes.checked_mul(u64::from(factor))
            })?;
        if n < 2 || !n.is_power_of_two() || bytes > u64::from(MOST_MEMORY_KIB) * 1_024 {
            return None;
        }
        let log_n = u8::try_from(n.trailing_zeros()).ok()?;
        let function = Function::Scrypt(Params::new(log_n, r, p).ok()?);
        Some(Self {
            function,
            salt,
            key,
        })
    }

    /// The number of Argon2 blocks that take about as long.
    pub(super) fn work(&self) -> u64 {
        match &self.function {
            Function::Pbkdf2(_, iterations) => {
                // SHA-512 processes blocks twice as long as the others do.
                let per_four = if self.key.len() == 64 { 3 } else { 1 };
                u64::from(iterations.get()) * per_four / 4
            }
            // A scrypt block has 128 bytes, is written once and read once, and is mixed with a cipher of 8 rounds.
            Function::Scrypt(params) => {
                let blocks = (u64::from(params.r()) * u64::from(params.p())) << params.log_n();
                blocks / 2
            }
        }
    }

    /// Whether `password` derives this key.
    pub(super) fn matches(&self, password: &[u8]) -> bool {
        let Self {
            function,
            salt,
            key,
        } = self;
        match function {
            Function::Pbkdf2(algorithm, iterations) => {
                pbkdf2::verify(*algorithm, *iterations, salt, password, key).is_ok()
            }
            Function::Scrypt(params) => {
                let mut derived = vec![0; key.len()];
                scrypt::scrypt(password, salt, params, &mut derived).is_ok()
                    && verify_slices_are_equal(&derived, key).is_ok()
            }
        }
    }
}
