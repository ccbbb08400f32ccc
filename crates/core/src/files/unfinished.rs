//! The bytes of unfinished uploads, counted while they arrive.
//!
//! Invariants: the unfinished uploads of all owners stay within their limit, and those of one owner within the owner's
//! quota. When an upload ends, its bytes are released.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::id::AccountId;

/// The bytes of all unfinished uploads.
#[derive(Debug)]
pub(super) struct Unfinished {
    most: u64,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    all: u64,
    owners: HashMap<AccountId, Owner>,
}

#[derive(Debug, Default)]
struct Owner {
    uploads: usize,
    bytes: u64,
}

/// The limit that an upload has reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// The limit of all unfinished uploads.
    All,
    /// The owner's quota.
    Owner,
}

impl Unfinished {
    pub(super) fn new(most: u64) -> Self {
        Self {
            most,
            counts: Mutex::default(),
        }
    }

    /// Starts to count an upload of `owner`.
    pub(super) fn begin(self: &Arc<Self>, owner: AccountId) -> Taken {
        self.counts().owners.entry(owner).or_default().uploads += 1;
        Taken {
            unfinished: Arc::clone(self),
            owner,
            bytes: 0,
        }
    }

    /// The bytes of all unfinished uploads.
    pub(super) fn bytes(&self) -> u64 {
        self.counts().all
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The bytes that one upload has reserved.
#[derive(Debug)]
pub(super) struct Taken {
    unfinished: Arc<Unfinished>,
    owner: AccountId,
    bytes: u64,
}

impl Taken {
    /// Reserves `more` bytes. `room` is the part of the owner's quota that stored files leave.
    pub(super) fn grow(&mut self, more: u64, room: u64) -> Result<(), Refused> {
        let mut counts = self.unfinished.counts();
        let all = counts.all.saturating_add(more);
        let owner = counts.owners.entry(self.owner).or_default();
        let bytes = owner.bytes.saturating_add(more);
        if bytes > room {
            return Err(Refused::Owner);
        }
        if all > self.unfinished.most {
            return Err(Refused::All);
        }
        owner.bytes = bytes;
        counts.all = all;
        self.bytes += more;
        Ok(())
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut counts = self.unfinished.counts();
        counts.all -= self.bytes;
        if let Some(owner) = counts.owners.get_mut(&self.owner) {
            owner.bytes -= self.bytes;
            owner.uploads -= 1;
            if owner.uploads == 0 {
                counts.owners.remove(&self.owner);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unfinished_uploads_share_one_room_and_give_back_what_they_took() {
        let unfinished = Arc::new(Unfinished::new(100));
        let (ada, eve) = (AccountId(1), AccountId(2));
        let mut first = unfinished.begin(ada);
        let mut second = unfinished.begin(ada);
        let mut third = unfinished.begin(eve);
        assert_eq!(first.grow(40, 60), Ok(()));
        assert_eq!(second.grow(21, 60), Err(Refused::Owner));
        assert_eq!(second.grow(20, 60), Ok(()));
        assert_eq!(third.grow(41, 60), Err(Refused::All));
        assert_eq!(third.grow(40, 60), Ok(()));
        drop(first);
        assert_eq!(second.grow(40, 60), Ok(()));
        assert_eq!(third.grow(1, 60), Err(Refused::All));
        drop((second, third));
        let counts = unfinished.counts();
        assert_eq!((counts.all, counts.owners.len()), (0, 0));
    }
}
