//! A cache of supplied keys, so that a key that is supplied again is neither parsed nor prepared again.
//!
//! Invariant: the time of a look-up shows only whether a key is cached. Entries are found by a hash keyed with a secret
//! of the process and compared in constant time. The text of a dropped entry is wiped from memory.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use keyward_jose::{KeyError, SuppliedKey};
use zeroize::Zeroizing;

/// The maximum number of keys. The oldest is dropped first.
const KEPT: usize = 16;
/// The longest text that is cached, in bytes.
const LONGEST: usize = 8 * 1024;

#[derive(Default)]
pub(super) struct SuppliedKeys {
    secret: RandomState,
    kept: Mutex<VecDeque<Kept>>,
}

struct Kept {
    hash: u64,
    text: Zeroizing<Vec<u8>>,
    key: Arc<SuppliedKey>,
}

impl SuppliedKeys {
    /// The key with this text.
    pub(super) fn key(&self, text: &str) -> Result<Arc<SuppliedKey>, KeyError> {
        let hash = self.secret.hash_one(text);
        let is_it = |kept: &&Kept| {
            kept.hash == hash && verify_slices_are_equal(&kept.text, text.as_bytes()).is_ok()
        };
        if let Some(kept) = self.kept().iter().find(is_it) {
            return Ok(Arc::clone(&kept.key));
        }
        let key = Arc::new(SuppliedKey::parse(text)?);
        if text.len() <= LONGEST {
            let mut kept = self.kept();
            if kept.len() == KEPT {
                kept.pop_front();
            }
            kept.push_back(Kept {
                hash,
                text: Zeroizing::new(text.as_bytes().to_vec()),
                key: Arc::clone(&key),
            });
        }
        Ok(key)
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_supplied_again_is_the_same_until_enough_others_were_supplied() {
        let keys = SuppliedKeys::default();
        let key = |text: &str| keys.key(text).expect("a secret");
        let first = key("first");
        assert!(Arc::ptr_eq(&first, &key("first")));
        assert!(!Arc::ptr_eq(&first, &key("First")));
        for other in 0..KEPT {
            key(&format!("other {other}"));
        }
        assert!(!Arc::ptr_eq(&first, &key("first")));
        assert_eq!(keys.kept().len(), KEPT);
        let long = "k".repeat(LONGEST + 1);
        assert!(!Arc::ptr_eq(&key(&long), &key(&long)));
    }
}
