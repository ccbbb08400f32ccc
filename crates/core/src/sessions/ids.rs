//! The ids of new sessions. A process takes them from blocks that it draws at random.
//!
//! Invariant: no id comes from a counter in the database, because a counter can go back when a standby takes over or a
//! dump is restored. So no id is given twice: docs/decisions/2026-11-session-ids.md.

use std::sync::atomic::{AtomicI64, Ordering};

use crate::id::SessionId;
use crate::random::Random;

/// The first id, above all ids that databases assigned by counting. Ids end below 2^53, because JSON readers represent
/// larger numbers inexactly.
const FIRST: i64 = 1 << 52;
/// The number of ids in a block, which is that of a container of the bitmap of closed sessions.
const BLOCK: i64 = 1 << 16;
/// The number of bits of a block's number.
const BLOCK_BITS: u32 = 36;

/// The generator of this process's session ids.
#[derive(Debug, Default)]
pub(super) struct Ids {
    /// The next id. It is a multiple of [`BLOCK`] if the block is used up or none was drawn.
    next: AtomicI64,
}

impl Ids {
    /// Returns a new id.
    pub(super) fn next(&self, random: &dyn Random) -> SessionId {
        loop {
            let next = self.next.load(Ordering::Relaxed);
            let id = match next % BLOCK {
                0 => draw(random),
                _ => next,
            };
            let taken =
                self.next
                    .compare_exchange(next, id + 1, Ordering::Relaxed, Ordering::Relaxed);
            if taken.is_ok() {
                return SessionId(id);
            }
        }
    }

    /// Abandons the block: the next id comes from a new one.
    pub(super) fn leave_block(&self) {
        self.next.store(0, Ordering::Relaxed);
    }
}

/// The first id of a random block.
fn draw(random: &dyn Random) -> i64 {
    let mut bytes = [0; 8];
    random.fill(&mut bytes);
    let block = u64::from_be_bytes(bytes) >> (u64::BITS - BLOCK_BITS);
    FIRST + block.cast_signed() * BLOCK
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::random::SeededRandom;

    #[test]
    fn ids_follow_one_another_within_a_block_and_none_is_given_twice() {
        let random = SeededRandom::new(1);
        let ids = Ids::default();
        let given: Vec<_> = (0..BLOCK + 2).map(|_| ids.next(&random).0).collect();
        let distinct: HashSet<_> = given.iter().collect();
        assert_eq!(distinct.len(), given.len());
        assert!(given.iter().all(|id| (FIRST..1 << 53).contains(id)));
        let (first, last) = (given[0], given[given.len() - 3]);
        assert_eq!((first % BLOCK, last), (0, first + BLOCK - 1));
        assert_eq!(given[given.len() - 1] - given[given.len() - 2], 1);
        ids.leave_block();
        assert_eq!(ids.next(&random).0 % BLOCK, 0);
    }

    #[test]
    fn processes_that_know_nothing_of_each_other_give_different_ids() {
        let random = SeededRandom::new(2);
        let first: HashSet<_> = (0..10_000)
            .map(|_| Ids::default().next(&random).0)
            .collect();
        assert_eq!(first.len(), 10_000);
    }

    #[test]
    fn threads_at_once_get_different_ids() {
        let (ids, random) = (Ids::default(), SeededRandom::new(3));
        let given = std::thread::scope(|scope| {
            let take = || (0..20_000).map(|_| ids.next(&random)).collect::<Vec<_>>();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
            let given = threads.into_iter().map(|it| it.join().expect("a thread"));
            given.flatten().collect::<Vec<_>>()
        });
        let distinct: HashSet<_> = given.iter().collect();
        assert_eq!(distinct.len(), 80_000);
    }
}
