//! The rows of the ring.

use std::time::Duration;

use async_trait::async_trait;
use keyward_jose::Algorithm;
use zeroize::Zeroizing;

use super::seal::Bound;
use super::{Error, Kid, MasterKey, Purpose, Sealed, State};
use crate::clock::Timestamp;
use crate::error::Fault;

/// A key as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredKey {
    /// Its id.
    pub kid: Kid,
    /// What it is for.
    pub purpose: Purpose,
    /// What it signs with.
    pub algorithm: Algorithm,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when it signs.
    pub signs_from: Timestamp,
    /// When its successor takes over, if there is one.
    pub signs_until: Option<Timestamp>,
    /// When the last token that it signed has expired, if it has a successor; earlier if it was retired.
    pub verifies_until: Option<Timestamp>,
    /// The longest lifetime of a token that it signs.
    pub lifetime: Duration,
    /// Its secret.
    pub sealed: Sealed,
}

impl StoredKey {
    /// Opens its secret by the one of the master keys that sealed it. `place` is where those come from.
    ///
    /// # Errors
    /// [`Error::Locked`], [`Error::Altered`].
    pub fn unseal(
        &self,
        masters: &[MasterKey],
        place: impl FnOnce() -> String,
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        let by = |master: &&MasterKey| master.id() == self.sealed.master;
        let master = masters.iter().find(by).ok_or_else(|| Error::Locked {
            kid: self.kid,
            master: self.sealed.master,
            place: place(),
        })?;
        let opened = master.open(Bound::of(self), &self.sealed);
        opened.map_err(|_| Error::Altered(self.kid))
    }

    /// What the key does at `now`.
    #[must_use]
    pub fn state(&self, now: Timestamp) -> State {
        let before = |until: Option<Timestamp>| until.is_none_or(|until| now < until);
        match () {
            () if !before(self.verifies_until) => State::Ended,
            () if !before(self.signs_until) => State::Retired,
            () if now < self.signs_from => State::Announced,
            () => State::Active,
        }
    }
}

/// The stored keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredRing {
    /// A random number that each change replaces; 0 before the first one.
    pub version: i64,
    /// The keys, in any order.
    pub keys: Vec<StoredKey>,
    /// Whether a version without the ring has opened sessions in this database.
    pub is_upgraded: bool,
}

/// A change of the stored keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyChange {
    /// The version after it.
    pub version: i64,
    /// Keys to insert, or to replace those with their ids.
    pub put: Vec<StoredKey>,
    /// Keys to delete.
    pub removed: Vec<Kid>,
}

/// Stored keys. Each method is atomic, and its effect is on disk when it returns.
#[async_trait]
pub trait Store: Send + Sync {
    /// All keys.
    async fn list_keys(&self) -> Result<StoredRing, Fault>;

    /// Changes keys, if their version is still `from`. Of concurrent calls from one version, one succeeds.
    async fn change_keys(&self, from: i64, change: KeyChange) -> Result<bool, Fault>;
}
