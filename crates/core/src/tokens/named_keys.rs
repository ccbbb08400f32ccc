//! The keys that callers of the notary named lately, prepared, so that one named again is neither parsed
//! nor prepared again.
//!
//! Invariant: how long a look-up takes tells nothing of a kept key but whether it is the very one asked
//! for. Entries are found by a hash under a secret of the process, and compared in constant time; what is
//! dropped is wiped.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use keyward_jose::{ForeignKey, KeyError};
use zeroize::Zeroizing;

/// How many keys are kept; the oldest goes first.
const KEPT: usize = 16;
/// A longer text is not kept, so that all of them have a bound.
const LONGEST: usize = 8 * 1024;

#[derive(Default)]
pub(super) struct NamedKeys {
    secret: RandomState,
    kept: Mutex<VecDeque<Named>>,
}

struct Named {
    hash: u64,
    text: Zeroizing<Vec<u8>>,
    key: Arc<ForeignKey>,
}

impl NamedKeys {
    /// The key that `text` names.
    pub(super) fn key(&self, text: &str) -> Result<Arc<ForeignKey>, KeyError> {
        let hash = self.secret.hash_one(text);
        let is_it = |named: &&Named| {
            named.hash == hash && verify_slices_are_equal(&named.text, text.as_bytes()).is_ok()
        };
        if let Some(named) = self.kept().iter().find(is_it) {
            return Ok(Arc::clone(&named.key));
        }
        let key = Arc::new(ForeignKey::parse(text)?);
        if text.len() <= LONGEST {
            let mut kept = self.kept();
            if kept.len() == KEPT {
                kept.pop_front();
            }
            kept.push_back(Named {
                hash,
                text: Zeroizing::new(text.as_bytes().to_vec()),
                key: Arc::clone(&key),
            });
        }
        Ok(key)
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<Named>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_named_again_is_the_same_until_enough_others_were_named() {
        let keys = NamedKeys::default();
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
